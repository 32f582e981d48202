/* figures_sparsity.c - how many features fire on a token, how often each fires, and how strongly.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/strbuf.h"
#include "report/figures.h"

/* ---- features per token ---- */

static int64_t largest_l0(const fc_report_data *d)
{
    const int64_t *counts = fc_features_l0_histogram(d->db);
    int64_t last = 1;
    for (int64_t l0 = 0; l0 <= d->n_features; l0++)
        if (counts[l0] > 0) last = l0;
    return fc_max(last, 1);
}

/* The L0 up to which all but one token in ten thousand lie. */
static int64_t usual_l0(const fc_report_data *d)
{
    const int64_t *counts = fc_features_l0_histogram(d->db), last = largest_l0(d);
    int64_t total = 0, seen = 0, l0 = 0;
    for (int64_t i = 0; i <= last; i++) total += counts[i];
    for (; l0 < last; l0++) {
        seen += counts[l0];
        if (total - seen <= total / 10000) break;
    }
    return fc_max(l0, 1);
}

static void draw_l0(cairo_t *cr, fc_box box, const fc_report_data *d)
{
    fc_bins h = {0};
    char mean[64], note[64], most[32];
    const int64_t *counts = fc_features_l0_histogram(d->db), last = usual_l0(d);
    const double l0 = fc_features_run_number(d->db, "l0"),
                 width = ceil((double)(last + 1) / FC_FIGURE_BINS);
    for (int i = 0; i <= FC_FIGURE_BINS; i++) h.edge[i] = i * width;
    for (int64_t k = 0; k <= last; k++) fc_bins_add(&h, (double)k, (double)counts[k]);
    const fc_axes a = fc_bins_draw(cr, box, &h, false, "Features that fire on one token",
                                   "features (L0)", "tokens");
    snprintf(mean, sizeof mean, "mean %.1f", l0);
    if (isfinite(l0)) fc_axes_mark(cr, &a, l0, mean);
    fc_format_count(most, largest_l0(d));
    snprintf(note, sizeof note, "at most %s on one token", most);
    fc_axes_note(cr, &a, note);
}

static fc_status l0_csv(fc_strbuf *out, const fc_report_data *d, fc_err *err)
{
    const int64_t *counts = fc_features_l0_histogram(d->db), last = largest_l0(d);
    FC_TRY(fc_strbuf_addf(out, err, "l0,tokens\n"));
    for (int64_t i = 0; i <= last; i++)
        FC_TRY(fc_strbuf_addf(out, err, "%" PRId64 ",%" PRId64 "\n", i, counts[i]));
    return FC_OK;
}

/* ---- frequency ---- */

static double lowest_frequency(const fc_report_data *d)
{
    double low = 0.1;
    for (int64_t i = 0; i < d->n_features; i++)
        if (!d->feature[i].is_dead && d->feature[i].frequency > 0)
            low = fmin(low, d->feature[i].frequency);
    return pow(10, floor(log10(low)));
}

static void note_dead(cairo_t *cr, const fc_axes *a, const fc_report_data *d)
{
    char text[96], live[32], dead[32];
    fc_format_count(live, d->n_live);
    fc_format_count(dead, d->n_features - d->n_live);
    snprintf(text, sizeof text, "%s live, %s dead (not shown)", live, dead);
    fc_axes_note(cr, a, text);
}

static void draw_frequency(cairo_t *cr, fc_box box, const fc_report_data *d)
{
    fc_bins h;
    fc_bins_log(&h, lowest_frequency(d), 1);
    for (int64_t i = 0; i < d->n_features; i++)
        if (!d->feature[i].is_dead) fc_bins_add(&h, d->feature[i].frequency, 1);
    const fc_axes a =
        fc_bins_draw(cr, box, &h, true, "How often features fire",
                     "share of tokens on which a feature fires", "features");
    note_dead(cr, &a, d);
}

static void draw_frequency_strength(cairo_t *cr, fc_box box, const fc_report_data *d)
{
    fc_axes a = {.box = {box.x + 40, box.y + 16, box.w - 44, box.h - 46},
                 .x0 = lowest_frequency(d),
                 .x1 = 1,
                 .is_log_x = true,
                 .is_log_y = true,
                 .y0 = d->min_strength,
                 .y1 = d->max_strength,
                 .title = "How often against how strongly",
                 .x_label = "share of tokens on which a feature fires",
                 .y_label = "maximum activation"};
    fc_nice_range(&a.y0, &a.y1, true);
    fc_axes_draw(cr, &a);
    for (int64_t i = 0; i < d->n_features; i++)
        if (!d->feature[i].is_dead)
            fc_chart_points(cr, &a, &d->feature[i].frequency, &d->feature[i].max, 1,
                            d->n_live > 3000 ? 1.2 : 1.8, FC_BLUE, 0.55);
}

const fc_figure fc_fig_l0 = {.name = "l0",
                             .title = "Features per token",
                             .height = 200,
                             .draw = draw_l0,
                             .csv = l0_csv};
const fc_figure fc_fig_frequency = {.name = "frequency",
                                    .title = "How often features fire",
                                    .height = 200,
                                    .is_there = fc_figure_has_live,
                                    .draw = draw_frequency,
                                    .csv = fc_figure_features_csv};
const fc_figure fc_fig_frequency_strength = {.name = "frequency-strength",
                                             .title = "Frequency against strength",
                                             .height = 236,
                                             .is_there = fc_figure_has_live,
                                             .draw = draw_frequency_strength,
                                             .csv = fc_figure_features_csv};
