/* page_concepts.c - concepts that were looked for, each with the features that follow it best.
 *
 *   Concept                      tokens    Feature          F1  precision  recall  AUC  top 100
 *   tens digit of a year          3,243    2030  `1` ..   0.62       0.70    0.56 0.91     1.00
 *   the third digit of a year               1695 ...      0.41       ...
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "report/described.h"
#include "report/pages.h"

enum { MOST_HITS = 3 };
static const double line = 12.6, below = 5, name_width = 136, count_right = 180,
                    id_left = 194, described_left = 221, described_width = 116;

typedef struct column {
    const char *name;
    double right;
} column;

static const column columns[] = {
    {"F1", 360}, {"precision", 397}, {"recall", 426}, {"AUC", 452}, {"top 100", 487}};

static void draw_head(fc_flow *f)
{
    const double y = f->y + 8;
    fc_text(f->cr, FC_MARGIN, y, FC_LEFT, FC_BASELINE, fc_type_faint, "Concept");
    fc_text(f->cr, FC_MARGIN + count_right, y, FC_RIGHT, FC_BASELINE, fc_type_faint,
            "tokens");
    fc_text(f->cr, FC_MARGIN + id_left, y, FC_LEFT, FC_BASELINE, fc_type_faint,
            "Features");
    for (size_t i = 0; i < FC_LEN(columns); i++)
        fc_text(f->cr, FC_MARGIN + columns[i].right, y, FC_RIGHT, FC_BASELINE,
                fc_type_faint, columns[i].name);
    fc_rule(f->cr, FC_MARGIN, f->y + 13, fc_column);
    f->y += 17;
}

static fc_status draw_hit(const fc_flow *f, const fc_report_data *d,
                          const fc_concept_hit *hit, double baseline, bool is_best,
                          fc_err *err)
{
    const double value[FC_LEN(columns)] = {hit->f1, hit->precision, hit->recall, hit->auc,
                                           hit->precision_100};
    if (hit->feature < 0 || hit->feature >= d->n_features) return FC_OK;
    fc_flow_feature(f, d, hit->feature, FC_MARGIN + id_left, baseline);
    for (size_t i = 0; i < FC_LEN(columns); i++) {
        char text[32] = "\u2013";
        fc_type type = fc_type_number;
        type.weight = i == 0 && is_best ? 600 : 400;
        if (isfinite(value[i])) snprintf(text, sizeof text, "%.2f", fabs(value[i]));
        fc_text(f->cr, FC_MARGIN + columns[i].right, baseline, FC_RIGHT, FC_BASELINE,
                type, text);
    }
    return fc_described_briefly(f->cr, FC_MARGIN + described_left, baseline,
                                described_width, fc_type_small,
                                d->feature[hit->feature].description, err);
}

static fc_status draw_named(fc_flow *f, const fc_report_data *d, const fc_concept_row *c,
                            const fc_described *name, const fc_described *rule,
                            fc_err *err)
{
    char count[32];
    const double name_height = fc_described_height(name);
    const int64_t n_hits = fc_min(c->n_hits, MOST_HITS);
    const double height =
        fmax(name_height + 1.5 + fc_described_height(rule), line * (double)n_hits) +
        below;
    const double page = f->y;
    fc_flow_need(f, height + 4);
    if (f->y < page) draw_head(f); /* on the new page */
    fc_described_draw(name, f->cr, FC_MARGIN, f->y + 9);
    fc_described_draw(rule, f->cr, FC_MARGIN, f->y + 10.5 + name_height);
    fc_format_count(count, c->n_rows);
    fc_text(f->cr, FC_MARGIN + count_right, f->y + 9, FC_RIGHT, FC_BASELINE,
            fc_type_number, count);
    for (int64_t i = 0; i < n_hits; i++)
        FC_TRY(draw_hit(f, d, &c->hit[i], f->y + 9 + line * (double)i, i == 0, err));
    fc_rule(f->cr, FC_MARGIN, f->y + height, fc_column);
    f->y += height + 4;
    return FC_OK;
}

static fc_status draw_concept(fc_flow *f, const fc_report_data *d,
                              const fc_concept_row *c, fc_err *err)
{
    fc_described name = {.type = fc_type_number, .width = name_width, .max_lines = 2},
                 rule = {.type = fc_type_small, .width = name_width, .max_lines = 3};
    fc_status status;
    name.type.weight = 600;
    name.type.is_tabular = false;
    FC_TRY_GOTO(fc_described_init(&name, f->cr, c->name, err));
    FC_TRY_GOTO(fc_described_init(&rule, f->cr, c->rule, err));
    FC_TRY_GOTO(draw_named(f, d, c, &name, &rule, err));
done:
    fc_described_free(&name);
    fc_described_free(&rule);
    return status;
}

fc_status fc_pages_concepts(fc_pdf *pdf, const fc_report_data *d, fc_err *err)
{
    const fc_concept_row *concept;
    int64_t n;
    fc_flow f = {.pdf = pdf, .footer = "Concepts"};
    FC_TRY(fc_features_concepts(d->db, &concept, &n, err));
    if (n == 0) return FC_OK;
    fc_flow_page(&f);
    fc_pdf_outline(pdf, 0, f.y, f.footer);
    fc_flow_heading(&f, f.footer);
    f.y += fc_paragraph(
        f.cr, FC_MARGIN, f.y, fc_column, fc_type_small, 0, false,
        "Features that follow a rule best, by F1, the harmonic mean of precision and "
        "recall at the threshold that makes it largest. AUC: how well the activation "
        "alone orders tokens with and without the concept, 0.5 is chance. Top 100: share "
        "of the feature\u2019s 100 strongest tokens on which the rule holds.");
    f.y += 12;
    draw_head(&f);
    for (int64_t i = 0; i < n; i++) FC_TRY(draw_concept(&f, d, &concept[i], err));
    return FC_OK;
}
