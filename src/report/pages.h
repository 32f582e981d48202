/* pages.h - the pages of the report, in reading order.
 *
 * All are drawn twice: the first pass finds on which page each card lies, the second tells.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_PAGES_H
#define FC_REPORT_PAGES_H

#include "report/figures.h"
#include "report/pdf.h"

/* The result in one minute. page_of[i]: page of card i, 0 when not yet known. */
fc_status fc_page_summary(fc_pdf *pdf, const fc_report_data *data, const int *page_of,
                          fc_err *err);
/* How it was made: stages with their inputs, the recipe; and how to read it. */
fc_status fc_pages_method(fc_pdf *pdf, const fc_report_data *data, fc_err *err);
/* Curves, sparsity, strengths. */
void fc_pages_figures(fc_pdf *pdf, const fc_report_data *data);
/* How near decoder rows lie, and the features that are nearest to each other. */
fc_status fc_pages_geometry(fc_pdf *pdf, const fc_report_data *data, fc_err *err);
/* What the model keeps, by eval.json; no page without one. */
fc_status fc_page_eval(fc_pdf *pdf, const fc_report_data *data, fc_err *err);
/* Letters of the absorption test, and the features of another SAE; no page without them in eval.json. */
fc_status fc_page_offline(fc_pdf *pdf, const fc_report_data *data, fc_err *err);
/* Concepts with their best features; no page when none were looked for. */
fc_status fc_pages_concepts(fc_pdf *pdf, const fc_report_data *data, fc_err *err);
/* A card for each chosen feature; page_of[i] receives the page of card i. */
fc_status fc_pages_cards(fc_pdf *pdf, const fc_report_data *data, int *page_of,
                         fc_err *err);
/* By number, by description, and from tokens to features. */
fc_status fc_pages_index(fc_pdf *pdf, const fc_report_data *data, const int *page_of,
                         fc_err *err);

/* Where things go that are drawn from top to bottom. */
typedef struct fc_flow {
    fc_pdf *pdf;
    cairo_t *cr;
    const char *footer;
    double y;
} fc_flow;

enum { FC_PAGE_TOP = FC_MARGIN, FC_PAGE_BOTTOM = FC_PAGE_HEIGHT - FC_MARGIN };

void fc_flow_page(fc_flow *flow);                /* begins a page */
void fc_flow_need(fc_flow *flow, double height); /* and so when less is left */

/* Section heading with a hairline; moves below it. */
void fc_flow_heading(fc_flow *flow, const char *title);

/* What numbers, cards and signs mean, below what is there if it fits; nothing without cards. */
void fc_flow_reading(fc_flow *flow, const fc_report_data *data);

/* A feature's number on a baseline, a link where the feature has a card. Returns its width. */
double fc_flow_feature(const fc_flow *flow, const fc_report_data *data, int64_t feature,
                       double x, double baseline);
/* A rectangle that leads to a feature's card, if there is one. */
void fc_flow_link(const fc_flow *flow, const fc_report_data *data, int64_t feature,
                  fc_box box);

#endif
