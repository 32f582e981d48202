/* page_geometry.c - the histogram of nearest cosines, and the pairs at its upper end: what was
 * perhaps learnt twice.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "report/described.h"
#include "report/pages.h"

enum { MOST_PAIRS = 20 };
static const double row = 16;

typedef struct pair {
    int64_t a, b; /* a < b unless b is nearer to a third */
    double cosine;
} pair;

/* A pair is met from both sides where each is the other's nearest: then only from the lower one. */
static bool is_met_again(const fc_report_data *d, int64_t feature)
{
    const int64_t other = d->nearest[feature];
    return other < feature && d->nearest[other] == feature;
}

/* The nearest pairs, nearest first, of equals the one with the lower number. */
static int find_pairs(pair pairs[MOST_PAIRS], const fc_report_data *d)
{
    int n = 0;
    for (int64_t i = 0; i < d->n_features; i++) {
        if (d->nearest[i] < 0 || is_met_again(d, i)) continue;
        const pair found = {i, d->nearest[i], d->nearest_cosine[i]};
        int at = n;
        while (at > 0 && pairs[at - 1].cosine < found.cosine) at--;
        if (at == MOST_PAIRS) continue;
        if (n < MOST_PAIRS) n++;
        for (int k = n - 1; k > at; k--) pairs[k] = pairs[k - 1];
        pairs[at] = found;
    }
    return n;
}

static fc_status draw_feature(const fc_flow *f, const fc_report_data *d, int64_t feature,
                              double x, double width, fc_err *err)
{
    const double baseline = f->y + 10.5;
    fc_flow_feature(f, d, feature, x, baseline);
    return fc_described_briefly(f->cr, x + 34, baseline, width - 34, fc_type_token,
                                d->feature[feature].description, err);
}

static fc_status draw_pair(fc_flow *f, const fc_report_data *d, const pair *p,
                           fc_err *err)
{
    char cosine[32];
    const double left = FC_MARGIN + 46, gap = 16, width = (fc_column - 46 - gap) / 2;
    fc_flow_need(f, row);
    snprintf(cosine, sizeof cosine, "%s%.3f", p->cosine < 0 ? "\u2212" : "",
             fabs(p->cosine));
    fc_text(f->cr, FC_MARGIN, f->y + 10.5, FC_LEFT, FC_BASELINE, fc_type_number, cosine);
    FC_TRY(draw_feature(f, d, p->a, left, width, err));
    FC_TRY(draw_feature(f, d, p->b, left + width + gap, width, err));
    fc_rule(f->cr, FC_MARGIN, f->y + row - 0.6, fc_column);
    f->y += row;
    return FC_OK;
}

fc_status fc_pages_geometry(fc_pdf *pdf, const fc_report_data *d, fc_err *err)
{
    fc_flow f = {.pdf = pdf, .footer = "Decoder geometry"};
    pair pairs[MOST_PAIRS];
    const int n = find_pairs(pairs, d);
    if (n == 0) return FC_OK;
    fc_flow_page(&f);
    fc_pdf_outline(pdf, 0, f.y, f.footer);
    fc_flow_heading(&f, f.footer);
    f.y += 4;
    fc_fig_nearest.draw(f.cr, (fc_box){FC_MARGIN, f.y, fc_column, fc_fig_nearest.height},
                        d);
    f.y += fc_fig_nearest.height + 20;
    fc_text(f.cr, FC_MARGIN, f.y, FC_LEFT, FC_TOP, fc_type_chart, "The nearest pairs");
    f.y += 15;
    f.y += fc_paragraph(
        f.cr, FC_MARGIN, f.y, fc_column, fc_type_small, 0, false,
        "Cosine of two decoder rows. Near 1 both features write the same direction: one "
        "thing learnt twice, or a feature split into cases that differ in what sets them "
        "off.");
    f.y += 8;
    for (int i = 0; i < n; i++) FC_TRY(draw_pair(&f, d, &pairs[i], err));
    return FC_OK;
}
