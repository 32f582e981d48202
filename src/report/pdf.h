/* pdf.h - an A4 document: pages with footers, outline, links, metadata; the same bytes each time.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_PDF_H
#define FC_REPORT_PDF_H

#include <stdbool.h>

#include "base/strbuf.h"
#include "report/draw.h"

enum { FC_PAGE_WIDTH = 595, FC_PAGE_HEIGHT = 842, FC_MARGIN = 54 };
static const double fc_column = FC_PAGE_WIDTH - 2.0 * FC_MARGIN; /* text width, 487 pt */

typedef struct fc_pdf fc_pdf;

/* date: ISO 8601, for the document's dates; "" none. n_pages: shown as "3 / 27"; 0 when not yet known
 * (a first pass that only counts). */
fc_status fc_pdf_new(fc_pdf **out, const char *title, const char *date, int n_pages,
                     fc_err *err);
void fc_pdf_free(fc_pdf *pdf);

/* Begins a page (ends the one before) and returns its context. Every page shows `footer` at the left. */
cairo_t *fc_pdf_page(fc_pdf *pdf, const char *footer);
int fc_pdf_pages(const fc_pdf *pdf);
/* Whether this is a pass whose drawing nobody will see. */
bool fc_pdf_is_counting(const fc_pdf *pdf);

/* Outline entry that points at y of the current page. level 0 top, 1 below the last of level 0. */
void fc_pdf_outline(fc_pdf *pdf, int level, double y, const char *title);

/* A named place on the current page, and a link of a rectangle to one. */
void fc_pdf_anchor(fc_pdf *pdf, const char *name, double y);
void fc_pdf_link(fc_pdf *pdf, const char *name, double x, double y, double w, double h);

/* Ends the document and writes it to path (beside, then renamed). */
fc_status fc_pdf_save(fc_pdf *pdf, const char *path, fc_err *err);

#endif
