/* compare_pages.c - page 1 gives fidelity against sparsity and the table of numbers; then what was set
 * differently, curves over each other, frequencies, and the best feature of each run for each concept.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/compare_pages.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/compare_figures.h"
#include "report/described.h"
#include "report/display.h"
#include "report/pages.h"

static const double row = 15;

static void draw_dot(cairo_t *cr, double x, double y, uint32_t color)
{
    cairo_new_path(cr);
    cairo_arc(cr, x, y, 3, 0, 2 * G_PI);
    fc_color(cr, color, 1);
    cairo_fill(cr);
}

static void draw_figure(fc_flow *f, fc_drawing figure)
{
    fc_flow_need(f, figure.height);
    figure.draw(f->cr, (fc_box){FC_MARGIN, f->y, fc_column, figure.height}, figure.ctx);
    f->y += figure.height + 14;
}

/* ---- page 1 ---- */

static bool is_one_site(const fc_compare_data *d)
{
    for (int64_t i = 1; i < d->n; i++)
        if (strcmp(d->run[i].data.hook, d->run[0].data.hook) != 0 ||
            strcmp(d->run[i].data.model, d->run[0].data.model) != 0)
            return false;
    return true;
}

static void draw_title(fc_flow *f, const fc_compare_data *d)
{
    char line[1024];
    const fc_report_data *first = &d->run[0].data;
    snprintf(line, sizeof line, "%" PRId64 " runs compared", d->n);
    fc_paragraph(f->cr, FC_MARGIN, f->y, fc_column, fc_type_title, 1, false, line);
    f->y += 31;
    if (is_one_site(d))
        snprintf(line, sizeof line,
                 "Sparse autoencoders on the output of %s in %s. Up and to the left is "
                 "better: more is kept with fewer features. The grey line joins the runs "
                 "that none beats in both.",
                 first->hook[0] ? first->hook : "an unnamed hook",
                 first->model[0] ? first->model : "an unnamed model");
    else
        snprintf(line, sizeof line,
                 "The runs are not of one site: errors and strengths do not compare, "
                 "shares do with care. The grey line joins the runs that none beats in "
                 "both sparsity and fidelity.");
    f->y += fc_paragraph(f->cr, FC_MARGIN, f->y, fc_column, fc_type_body, 4, false, line);
    f->y += 14;
}

static const struct {
    fc_compared_number number;
    const char *head[2];
    double right;
} columns[] = {{FC_COMPARED_FEATURES, {"", "features"}, 205},
               {FC_COMPARED_L0, {"", "L0"}, 241},
               {FC_COMPARED_MSE, {"", "MSE"}, 290},
               {FC_COMPARED_VARIANCE, {"explained", "variance"}, 335},
               {FC_COMPARED_LOSS, {"loss", "recovered"}, 379},
               {FC_COMPARED_DEAD, {"", "dead"}, 412},
               {FC_COMPARED_F1, {"concept", "F1"}, 446},
               {FC_COMPARED_SECONDS, {"training", "time"}, 487}};

enum { NAME_WIDTH = 92, ARCH_LEFT = 106, ARCH_WIDTH = 60 };

static void draw_table_head(fc_flow *f)
{
    fc_text(f->cr, FC_MARGIN, f->y + 17, FC_LEFT, FC_BASELINE, fc_type_faint, "Run");
    fc_text(f->cr, FC_MARGIN + ARCH_LEFT, f->y + 17, FC_LEFT, FC_BASELINE, fc_type_faint,
            "architecture");
    for (size_t i = 0; i < FC_LEN(columns); i++)
        for (int k = 0; k < 2; k++)
            fc_text(f->cr, FC_MARGIN + columns[i].right, f->y + 8 + 9 * k, FC_RIGHT,
                    FC_BASELINE, fc_type_faint, columns[i].head[k]);
    fc_rule(f->cr, FC_MARGIN, f->y + 22, fc_column);
    f->y += 24;
}

static void draw_table(fc_flow *f, const fc_compare_data *d)
{
    fc_flow_need(f, 24 + row * (double)d->n);
    draw_table_head(f);
    for (int64_t i = 0; i < d->n; i++) {
        const fc_compared *run = &d->run[i];
        const double baseline = f->y + 10;
        draw_dot(f->cr, FC_MARGIN + 3, baseline - 2.8, run->color);
        fc_line_cut(f->cr, FC_MARGIN + 11, baseline, NAME_WIDTH - 4, fc_type_strong,
                    run->name);
        fc_line_cut(f->cr, FC_MARGIN + ARCH_LEFT, baseline, ARCH_WIDTH, fc_type_small,
                    run->arch);
        for (size_t k = 0; k < FC_LEN(columns); k++) {
            char text[32];
            fc_type type = fc_type_number;
            type.weight = fc_compare_is_best(d, i, columns[k].number) ? 700 : 400;
            fc_compare_text(text, run->number[columns[k].number], columns[k].number);
            fc_text(f->cr, FC_MARGIN + columns[k].right, baseline, FC_RIGHT, FC_BASELINE,
                    type, text);
        }
        fc_rule(f->cr, FC_MARGIN, f->y + row - 0.6, fc_column);
        f->y += row;
    }
    f->y += 5;
    f->y += fc_paragraph(
        f->cr, FC_MARGIN, f->y, fc_column, fc_type_faint, 3, false,
        "Bold: the best of a column. Loss recovered: how much of the cross-entropy that "
        "zeros in place of the activations cost is won back. Concept F1: of the best "
        "feature for each concept, the mean over the concepts that all runs looked for.");
    f->y += 14;
}

/* ---- settings ---- */

static void draw_settings(fc_flow *f, const fc_compare_data *d)
{
    const double left = 116, width = (fc_column - left) / (double)d->n;
    fc_flow_need(f, 60);
    fc_text(f->cr, FC_MARGIN, f->y, FC_LEFT, FC_TOP, fc_type_chart,
            "Settings that differ");
    f->y += 18;
    if (d->n_settings == 0) {
        fc_text(f->cr, FC_MARGIN, f->y, FC_LEFT, FC_TOP, fc_type_small,
                "None is known: the runs were trained alike, or do not say how.");
        f->y += 20;
        return;
    }
    for (int64_t i = 0; i < d->n; i++) {
        const double x = FC_MARGIN + left + width * (double)i;
        draw_dot(f->cr, x + 3, f->y + 5.2, d->run[i].color);
        fc_line_cut(f->cr, x + 10, f->y + 8, width - 14, fc_type_faint, d->run[i].name);
    }
    fc_rule(f->cr, FC_MARGIN, f->y + 13, fc_column);
    f->y += 14;
    for (int64_t k = 0; k < d->n_settings; k++) {
        fc_flow_need(f, row);
        fc_line_cut(f->cr, FC_MARGIN, f->y + 10, left - 8, fc_type_small,
                    d->setting[k].name);
        for (int64_t i = 0; i < d->n; i++)
            fc_line_cut(f->cr, FC_MARGIN + left + width * (double)i, f->y + 10, width - 8,
                        fc_type_number, d->setting[k].value[i]);
        fc_rule(f->cr, FC_MARGIN, f->y + row - 0.6, fc_column);
        f->y += row;
    }
    f->y += 14;
}

static void begin(fc_flow *f, const char *title, const char *lead)
{
    f->footer = title;
    fc_flow_page(f);
    fc_pdf_outline(f->pdf, 0, f->y, title);
    fc_flow_heading(f, title);
    f->y += 14 + fc_paragraph(f->cr, FC_MARGIN, f->y - 2, fc_column, fc_type_small, 3,
                              false, lead);
}

/* ---- concepts ---- */

static fc_status draw_best(const fc_flow *f, const fc_compare_data *d, int64_t run,
                           const fc_compared_concept *c, double x, double width,
                           fc_err *err)
{
    char text[32];
    fc_type type = fc_type_number;
    const double baseline = f->y + 10;
    const int64_t feature = c->best[run].feature;
    if (feature < 0) {
        fc_text(f->cr, x, baseline, FC_LEFT, FC_BASELINE, fc_type_small, "\u2013");
        return FC_OK;
    }
    type.weight = c->winner == run ? 700 : 400;
    snprintf(text, sizeof text, "%.2f", c->best[run].f1);
    fc_text(f->cr, x, baseline, FC_LEFT, FC_BASELINE, type, text);
    snprintf(text, sizeof text, "%" PRId64, feature);
    fc_text(f->cr, x + 24, baseline, FC_LEFT, FC_BASELINE, fc_type_small, text);
    if (width < 140) return FC_OK;
    return fc_described_briefly(f->cr, x + 50, baseline, width - 58, fc_type_small,
                                d->run[run].data.feature[feature].description, err);
}

static fc_status draw_concept_table(fc_flow *f, const fc_compare_data *d, fc_err *err)
{
    const double left = 128, width = (fc_column - left) / (double)d->n;
    bool is_headed = false;
    for (int64_t k = 0; k < d->n_concepts; k++) {
        const double page = f->y;
        char name[128];
        fc_flow_need(f, is_headed ? row : 60);
        if (!is_headed || f->y < page) {
            for (int64_t i = 0; i < d->n; i++) {
                const double x = FC_MARGIN + left + width * (double)i;
                draw_dot(f->cr, x + 3, f->y + 5.2, d->run[i].color);
                fc_line_cut(f->cr, x + 10, f->y + 8, width - 14, fc_type_faint,
                            d->run[i].name);
            }
            fc_rule(f->cr, FC_MARGIN, f->y + 13, fc_column);
            f->y += 14;
            is_headed = true;
        }
        fc_display_name(name, sizeof name, d->concept[k].name);
        fc_line_cut(f->cr, FC_MARGIN, f->y + 10, left - 8, fc_type_token, name);
        for (int64_t i = 0; i < d->n; i++)
            FC_TRY(draw_best(f, d, i, &d->concept[k],
                             FC_MARGIN + left + width * (double)i, width, err));
        fc_rule(f->cr, FC_MARGIN, f->y + row - 0.6, fc_column);
        f->y += row;
    }
    return FC_OK;
}

static fc_status draw_concepts(fc_flow *f, const fc_compare_data *d, fc_err *err)
{
    begin(f, "Concepts",
          "F1 of the feature that follows a concept best, in each run. To the right is "
          "better.");
    draw_figure(f, fc_compare_concepts(d));
    fc_flow_need(f, 120);
    fc_text(f->cr, FC_MARGIN, f->y, FC_LEFT, FC_TOP, fc_type_chart,
            "The best feature of each run");
    f->y += 18;
    return draw_concept_table(f, d, err);
}

fc_status fc_compare_pages(fc_pdf *pdf, const fc_compare_data *d, fc_err *err)
{
    fc_flow f = {.pdf = pdf, .footer = "Comparison"};
    fc_flow_page(&f);
    fc_pdf_outline(pdf, 0, f.y, f.footer);
    draw_title(&f, d);
    draw_figure(&f, fc_compare_pareto(d));
    draw_table(&f, d);
    draw_settings(&f, d);
    if (fc_compare_has_curves(d)) {
        begin(&f, "Training",
              "Over the steps of each run. Losses of different penalties do not compare; "
              "the "
              "error and the number of features per token do.");
        draw_figure(&f, fc_compare_curves(d));
    }
    begin(&f, "Frequencies",
          "On how large a share of the tokens each live feature fires, on one scale for "
          "all "
          "runs. Features at the right are dense: alone they say little.");
    draw_figure(&f, fc_compare_frequencies(d));
    return d->n_concepts > 0 ? draw_concepts(&f, d, err) : FC_OK;
}
