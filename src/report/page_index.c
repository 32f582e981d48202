/* page_index.c - all cards by id, each with its main token and a link.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "report/pages.h"
#include "report/shaded.h"

enum { N_COLUMNS = 3, ROW = 13 };
static const double first_baseline = 92, gap = 22;

typedef struct entry {
    int64_t feature;
    int page;
} entry;

static int by_id(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    return x->feature < y->feature ? -1 : x->feature > y->feature;
}

static fc_status draw_entry(fc_flow *f, const fc_report_data *d, const entry *e, double x,
                            double baseline, fc_err *err)
{
    char text[64];
    const fc_token_share *token;
    int64_t n;
    const double width = (fc_column - gap * (N_COLUMNS - 1)) / N_COLUMNS;
    snprintf(text, sizeof text, "%" PRId64, e->feature);
    fc_text(f->cr, x + 26, baseline, FC_RIGHT, FC_BASELINE, fc_type_number, text);
    FC_TRY(fc_features_tokens(d->db, e->feature, &token, &n, err));
    if (n > 0)
        FC_TRY(fc_token_label(f->cr, x + 36, baseline, width - 66, token->bytes,
                              token->n_bytes, err));
    snprintf(text, sizeof text, "%d", e->page);
    fc_text(f->cr, x + width, baseline, FC_RIGHT, FC_BASELINE, fc_type_faint, text);
    snprintf(text, sizeof text, "feature-%" PRId64, e->feature);
    fc_pdf_link(f->pdf, text, x, baseline - 9, width, ROW);
    return FC_OK;
}

static fc_status draw_entries(fc_flow *f, const fc_report_data *d, const entry *entries,
                              fc_err *err)
{
    const int64_t per_column =
        (d->n_cards + N_COLUMNS - 1) / N_COLUMNS; /* even columns */
    const int64_t n_rows =
        fc_min((int64_t)((FC_PAGE_BOTTOM - first_baseline) / ROW), per_column);
    const double step = (fc_column + gap) / N_COLUMNS;
    for (int64_t i = 0; i < d->n_cards; i++) {
        const int64_t at = i % (n_rows * N_COLUMNS);
        if (at == 0) {
            fc_flow_page(f);
            if (i == 0) fc_pdf_outline(f->pdf, 0, f->y, "Index of features");
            fc_flow_heading(f, "Index of features");
        }
        const int64_t column = at / n_rows, row = at % n_rows;
        FC_TRY(draw_entry(f, d, &entries[i], FC_MARGIN + (double)column * step,
                          first_baseline + 6 + (double)row * ROW, err));
    }
    return FC_OK;
}

fc_status fc_pages_index(fc_pdf *pdf, const fc_report_data *d, const int *page_of,
                         fc_err *err)
{
    entry *entries = NULL;
    fc_flow f = {.pdf = pdf, .footer = "Index of features"};
    if (d->n_cards == 0) return FC_OK;
    FC_TRY(fc_alloc(&entries, d->n_cards, sizeof *entries, "index", err));
    for (int64_t i = 0; i < d->n_cards; i++) entries[i] = (entry){d->card[i], page_of[i]};
    qsort(entries, (size_t)d->n_cards, sizeof *entries, by_id);
    const fc_status status = draw_entries(&f, d, entries, err);
    fc_free(entries);
    return status;
}
