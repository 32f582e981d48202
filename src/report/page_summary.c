/* page_summary.c - page 1: what was looked at, the numbers that matter and what they mean.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "report/pages.h"

double fc_heading(cairo_t *cr, double y, const char *title)
{
    fc_text(cr, FC_MARGIN, y, FC_LEFT, FC_TOP, fc_type_section, title);
    fc_color(cr, FC_GRID, 1);
    cairo_set_line_width(cr, 0.6);
    cairo_move_to(cr, FC_MARGIN, y + 21);
    cairo_rel_line_to(cr, fc_column, 0);
    cairo_stroke(cr);
    return y + 32;
}

typedef struct number {
    const char *name;
    char value[32];
    char remark[160];
} number;

static void describe_dead(number *n, const fc_report_data *d)
{
    const double share = 1 - (double)d->n_live / (double)fc_max(d->n_features, 1);
    char count[32], percent[32];
    n->name = "dead features";
    fc_format_count(count, d->n_features - d->n_live);
    fc_format_percent(percent, share);
    snprintf(n->value, sizeof n->value, "%.20s", count);
    snprintf(
        n->remark, sizeof n->remark, "%s of %lld. %s", percent, (long long)d->n_features,
        share > 0.5 ? "Most of the dictionary is unused: L1 has pushed it out for good."
        : share > 0.05 ? "A noticeable part of the dictionary is unused."
                       : "Nearly the whole dictionary is in use.");
}

static void describe_l0(number *n, const fc_report_data *d)
{
    const double l0 = fc_features_run_number(d->db, "l0"),
                 share = l0 / (double)fc_max(d->n_features, 1);
    char percent[32];
    n->name = "average L0";
    fc_format_percent(percent, share);
    snprintf(n->value, sizeof n->value, "%.1f", l0);
    snprintf(n->remark, sizeof n->remark, "%s of all features on each token. %s", percent,
             share > 0.05 ? "Dense: single features say little alone."
                          : "Sparse enough to read a token by its features.");
}

static void describe_mse(number *n, const fc_report_data *d)
{
    n->name = "MSE";
    fc_format_value(n->value, fc_features_run_number(d->db, "mse"), 3);
    snprintf(n->remark, sizeof n->remark,
             "Mean over tokens and dimensions of normalised activations; compare only at "
             "the same normalisation.");
}

static void describe_variance(number *n, const fc_report_data *d)
{
    const double ev = fc_features_run_number(d->db, "explained_variance");
    n->name = "explained variance";
    fc_format_percent(n->value, ev);
    snprintf(n->remark, sizeof n->remark, "%s",
             ev > 0.95  ? "The reconstruction keeps nearly all of the activations."
             : ev > 0.8 ? "The reconstruction keeps most of the activations."
                        : "The reconstruction loses a good part of the activations.");
}

static double draw_numbers(cairo_t *cr, double y, const fc_report_data *d)
{
    enum { N = 4 };
    const fc_type value_type = {19, 600, FC_INK};
    const double gap = 14, w = (fc_column - gap * (N - 1)) / N;
    number numbers[N] = {0};
    double height = 0;
    describe_dead(&numbers[0], d);
    describe_l0(&numbers[1], d);
    describe_mse(&numbers[2], d);
    describe_variance(&numbers[3], d);
    for (int i = 0; i < N; i++) {
        const double x = FC_MARGIN + i * (w + gap);
        fc_color(cr, FC_BLUE, 1);
        cairo_rectangle(cr, x, y, 22, 2);
        cairo_fill(cr);
        fc_text(cr, x, y + 8, FC_LEFT, FC_TOP, value_type, numbers[i].value);
        fc_text(cr, x, y + 34, FC_LEFT, FC_TOP, fc_type_strong, numbers[i].name);
        height = fmax(height, 49 + fc_paragraph(cr, x, y + 49, w, fc_type_small, 4, 0,
                                                numbers[i].remark));
    }
    return y + height + 18;
}

static double draw_highlights(cairo_t *cr, fc_pdf *pdf, double y, const fc_report_data *d)
{
    if (d->n_highlights == 0) return y;
    fc_text(cr, FC_MARGIN, y, FC_LEFT, FC_TOP, fc_type_chart, "Worth a look");
    y += 17;
    for (int64_t i = 0; i < d->n_highlights; i++) {
        char name[64];
        snprintf(name, sizeof name, "Feature %lld", (long long)d->highlight[i].feature);
        fc_text(cr, FC_MARGIN, y, FC_LEFT, FC_TOP, fc_type_strong, name);
        const double h = fc_paragraph(cr, FC_MARGIN + 80, y, fc_column - 80, fc_type_body,
                                      2, 0, d->highlight[i].text);
        for (int64_t c = 0; c < d->n_cards; c++) {
            if (d->card[c] != d->highlight[i].feature) continue;
            snprintf(name, sizeof name, "feature-%lld", (long long)d->card[c]);
            fc_pdf_link(pdf, name, FC_MARGIN, y, fc_column, h);
        }
        y += h + 4;
    }
    return y + 12;
}

void fc_page_summary(fc_pdf *pdf, const fc_report_data *d)
{
    char line[1024], rows[32], site[512];
    cairo_t *cr = fc_pdf_page(pdf, "Facet");
    double y = FC_MARGIN;
    fc_pdf_outline(pdf, 0, "Summary");
    fc_format_count(rows, d->n_rows);
    const char *hook = fc_features_run(d->db, "hook"),
               *model = fc_path_base(fc_features_run(d->db, "model"));
    snprintf(site, sizeof site, "%s", hook[0] ? hook : "unnamed hook");
    fc_text(cr, FC_MARGIN, y, FC_LEFT, FC_TOP, fc_type_title,
            "What the features of this layer mean");
    y += 30;
    snprintf(line, sizeof line,
             "A sparse autoencoder with %lld features on the output of %s of %s, studied "
             "on %s tokens.",
             (long long)d->n_features, site, model[0] ? model : "an unnamed model", rows);
    y += fc_paragraph(cr, FC_MARGIN, y, fc_column, fc_type_body, 3, 0, line) + 18;
    y = draw_numbers(cr, y, d);
    y = draw_highlights(cr, pdf, y, d);
    if (d->n_live > 0) {
        const double room = FC_PAGE_HEIGHT - FC_MARGIN - y;
        fc_fig_strength_map.draw(cr, (fc_box){FC_MARGIN, y, fc_column, fmin(room, 440)},
                                 d);
    }
}

/* ---- how it was made ---- */

static double row(cairo_t *cr, double y, const char *key, const char *value)
{
    fc_text(cr, FC_MARGIN, y, FC_LEFT, FC_TOP, fc_type_small, key);
    return y + fmax(13, fc_paragraph(cr, FC_MARGIN + 130, y, fc_column - 130,
                                     fc_type_body, 3, 0, value) +
                            2);
}

static double draw_stage(cairo_t *cr, double y, const json_t *entry)
{
    char text[2048];
    size_t i;
    json_t *input;
    const char *command = json_string_value(json_object_get(entry, "command"));
    const char *backend = json_string_value(json_object_get(entry, "backend"));
    const char *started = json_string_value(json_object_get(entry, "started"));
    snprintf(text, sizeof text, "%s, %.1f s, %lld threads, %s", started ? started : "?",
             json_number_value(json_object_get(entry, "seconds")),
             (long long)json_integer_value(json_object_get(entry, "threads")),
             backend ? backend : "?");
    y = row(cr, y, command ? command : "?", text);
    json_array_foreach(json_object_get(entry, "inputs"), i, input)
    {
        const char *path = json_string_value(json_object_get(input, "path"));
        const char *hash = json_string_value(json_object_get(input, "xxh3"));
        snprintf(text, sizeof text, "%s  (%lld bytes, XXH3 %s)",
                 path ? fc_path_base(path) : "?",
                 (long long)json_integer_value(json_object_get(input, "bytes")),
                 hash ? hash : "?");
        y = row(cr, y, "", text);
    }
    return y;
}

static double draw_config(cairo_t *cr, double y, const json_t *config)
{
    const char *key;
    json_t *value;
    const double column = fc_column / 2;
    int i = 0;
    void *iter = json_object_iter((json_t *)(uintptr_t)config);
    for (; iter; iter = json_object_iter_next((json_t *)(uintptr_t)config, iter), i++) {
        key = json_object_iter_key(iter);
        value = json_object_iter_value(iter);
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        const double x = FC_MARGIN + (i % 2) * column;
        fc_text(cr, x, y, FC_LEFT, FC_TOP, fc_type_small, key);
        fc_text(cr, x + 130, y, FC_LEFT, FC_TOP, fc_type_body, text ? text : "?");
        free(text);
        if (i % 2) y += 13;
    }
    return y + (i % 2 ? 13 : 0);
}

void fc_page_method(fc_pdf *pdf, const fc_report_data *d)
{
    cairo_t *cr = fc_pdf_page(pdf, "How it was made");
    fc_pdf_outline(pdf, 0, "How it was made");
    double y = fc_heading(cr, FC_MARGIN, "How it was made");
    const json_t *train = fc_report_stage(d, "train"),
                 *study = fc_report_stage(d, "study");
    y = row(cr, y, "model", fc_features_run(d->db, "model"));
    y = row(cr, y, "hook", fc_features_run(d->db, "hook"));
    if (train) y = draw_stage(cr, y, train);
    if (study) y = draw_stage(cr, y, study);
    if (train) {
        y = fc_heading(cr, y + 14, "Recipe of the training");
        y = draw_config(cr, y, json_object_get(train, "config"));
    }
}

void fc_pages_figures(fc_pdf *pdf, const fc_report_data *d)
{
    static const struct {
        const char *title;
        const fc_figure *figure[3];
    } pages[] = {
        {"Training", {&fc_fig_loss, &fc_fig_sparsity_curves, NULL}},
        {"Sparsity", {&fc_fig_l0, &fc_fig_frequency, &fc_fig_frequency_strength}},
        {"Strengths", {&fc_fig_strength_bars, NULL, NULL}},
    };
    for (size_t p = 0; p < FC_LEN(pages); p++) {
        double y = 0;
        cairo_t *cr = NULL;
        for (size_t i = 0; i < FC_LEN(pages[p].figure); i++) {
            const fc_figure *figure = pages[p].figure[i];
            if (!figure || (figure->is_there && !figure->is_there(d))) continue;
            if (!cr) {
                cr = fc_pdf_page(pdf, pages[p].title);
                fc_pdf_outline(pdf, 0, pages[p].title);
                y = fc_heading(cr, FC_MARGIN, pages[p].title) + 4;
            }
            figure->draw(cr, (fc_box){FC_MARGIN, y, fc_column, figure->height}, d);
            y += figure->height + 14;
        }
    }
}
