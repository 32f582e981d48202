/* pdf.c - Cairo's PDF surface into memory, mended (pdf_mend.c), then written at once.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/pdf.h"

#include <cairo-pdf.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/file.h"
#include "report/pdf_mend.h"

struct fc_pdf {
    cairo_surface_t *surface;
    cairo_t *cr;
    fc_strbuf bytes;
    fc_err write_err; /* of the stream */
    int n_pages, page, parent;
    char footer[256];
};

/* Keeps nothing in a pass that only counts pages. Never tells Cairo of a failure: 1.16 crashes when
 * it still has fonts to write. */
static cairo_status_t take_bytes(void *ctx, const unsigned char *data, unsigned int n)
{
    fc_pdf *pdf = ctx;
    if (pdf->n_pages > 0 && pdf->write_err.status == FC_OK &&
        fc_strbuf_add(&pdf->bytes, data, n, &pdf->write_err) != FC_OK)
        fc_strbuf_free(&pdf->bytes);
    return CAIRO_STATUS_SUCCESS;
}

fc_status fc_pdf_new(fc_pdf **out, const char *title, const char *date, int n_pages,
                     fc_err *err)
{
    fc_pdf *pdf;
    FC_TRY(fc_alloc(&pdf, 1, sizeof *pdf, "document", err));
    *out = pdf;
    pdf->n_pages = n_pages;
    pdf->surface = cairo_pdf_surface_create_for_stream(take_bytes, pdf, FC_PAGE_WIDTH,
                                                       FC_PAGE_HEIGHT);
    cairo_pdf_surface_restrict_to_version(pdf->surface, CAIRO_PDF_VERSION_1_5);
    cairo_pdf_surface_set_metadata(pdf->surface, CAIRO_PDF_METADATA_TITLE, title);
    cairo_pdf_surface_set_metadata(pdf->surface, CAIRO_PDF_METADATA_CREATOR,
                                   "Facet " FACET_VERSION);
    cairo_pdf_surface_set_metadata(pdf->surface, CAIRO_PDF_METADATA_CREATE_DATE,
                                   date[0] ? date : "2000-01-01T00:00:00Z");
    cairo_pdf_surface_set_metadata(pdf->surface, CAIRO_PDF_METADATA_MOD_DATE,
                                   date[0] ? date : "2000-01-01T00:00:00Z");
    pdf->cr = cairo_create(pdf->surface);
    return FC_OK;
}

void fc_pdf_free(fc_pdf *pdf)
{
    if (!pdf) return;
    if (pdf->page > 0) cairo_show_page(pdf->cr); /* else Cairo leaks the page's label */
    cairo_destroy(pdf->cr);
    cairo_surface_destroy(pdf->surface);
    fc_strbuf_free(&pdf->bytes);
    fc_free(pdf);
}

static void end_page(fc_pdf *pdf)
{
    char number[32];
    const double y = FC_PAGE_HEIGHT - 30;
    if (pdf->page == 0) return;
    snprintf(number, sizeof number, pdf->n_pages > 0 ? "%d / %d" : "%d", pdf->page,
             pdf->n_pages);
    fc_text(pdf->cr, FC_MARGIN, y, FC_LEFT, FC_BASELINE, fc_type_faint, pdf->footer);
    fc_text(pdf->cr, FC_PAGE_WIDTH - FC_MARGIN, y, FC_RIGHT, FC_BASELINE, fc_type_faint,
            number);
    cairo_show_page(pdf->cr);
}

cairo_t *fc_pdf_page(fc_pdf *pdf, const char *footer)
{
    char label[16];
    end_page(pdf);
    pdf->page++;
    snprintf(pdf->footer, sizeof pdf->footer, "%s", footer);
    snprintf(label, sizeof label, "%d", pdf->page);
    cairo_pdf_surface_set_page_label(pdf->surface, label);
    return pdf->cr;
}

int fc_pdf_pages(const fc_pdf *pdf)
{
    return pdf->page;
}

bool fc_pdf_is_counting(const fc_pdf *pdf)
{
    return pdf->n_pages == 0;
}

void fc_pdf_outline(fc_pdf *pdf, int level, double y, const char *title)
{
    char where[64];
    snprintf(where, sizeof where, "page=%d pos=[%d %.0f]", pdf->page, FC_MARGIN, y);
    const int parent = level == 0 ? CAIRO_PDF_OUTLINE_ROOT : pdf->parent;
    const int id = cairo_pdf_surface_add_outline(
        pdf->surface, parent, title, where, level == 0 ? CAIRO_PDF_OUTLINE_FLAG_BOLD : 0);
    if (level == 0) pdf->parent = id;
}

void fc_pdf_anchor(fc_pdf *pdf, const char *name, double y)
{
    char attributes[128];
    snprintf(attributes, sizeof attributes, "name='%s' x=%d y=%.1f", name, FC_MARGIN, y);
    cairo_tag_begin(pdf->cr, CAIRO_TAG_DEST, attributes);
    cairo_tag_end(pdf->cr, CAIRO_TAG_DEST);
}

void fc_pdf_link(fc_pdf *pdf, const char *name, double x, double y, double w, double h)
{
    char attributes[160];
    snprintf(attributes, sizeof attributes, "dest='%s' rect=[%.1f %.1f %.1f %.1f]", name,
             x, y, w, h);
    cairo_tag_begin(pdf->cr, CAIRO_TAG_LINK, attributes);
    cairo_tag_end(pdf->cr, CAIRO_TAG_LINK);
}

fc_status fc_pdf_save(fc_pdf *pdf, const char *path, fc_err *err)
{
    end_page(pdf);
    pdf->page = 0;
    cairo_surface_finish(pdf->surface);
    const cairo_status_t status = cairo_surface_status(pdf->surface);
    if (pdf->write_err.status != FC_OK) {
        if (err) *err = pdf->write_err;
        return pdf->write_err.status;
    }
    if (status != CAIRO_STATUS_SUCCESS)
        return fc_fail(err, FC_NOMEM, "%s: Cairo cannot draw the document: %s", path,
                       cairo_status_to_string(status));
    fc_pdf_mend(pdf->bytes.data, pdf->bytes.n);
    return path ? fc_file_write(path, pdf->bytes.data, (size_t)pdf->bytes.n, err) : FC_OK;
}
