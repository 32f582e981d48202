/* pages.h - the pages of the report, in reading order.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_PAGES_H
#define FC_REPORT_PAGES_H

#include "report/figures.h"
#include "report/pdf.h"

/* The result in one minute. */
void fc_page_summary(fc_pdf *pdf, const fc_report_data *data);
/* How it was made: stages with their inputs, the recipe. */
void fc_page_method(fc_pdf *pdf, const fc_report_data *data);
/* Curves, sparsity, strengths. */
void fc_pages_figures(fc_pdf *pdf, const fc_report_data *data);
/* A card for each chosen feature; page_of[i] receives the page of card i. */
fc_status fc_pages_cards(fc_pdf *pdf, const fc_report_data *data, int *page_of,
                         fc_err *err);
/* Feature -> page. */
void fc_pages_index(fc_pdf *pdf, const fc_report_data *data, const int *page_of);

/* Section heading with a hairline; returns y below it. */
double fc_heading(cairo_t *cr, double y, const char *title);

#endif
