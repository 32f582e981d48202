/* figures_strength.c - the largest activation of every feature: as a map, as bars, as a histogram.
 *
 * Map and bars lay the features row by row on the smallest square that holds them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "report/figures.h"

static void note_counts(cairo_t *cr, const fc_axes *a, const fc_report_data *d)
{
    char text[96], all[32], dead[32];
    fc_format_count(all, d->n_features);
    fc_format_count(dead, d->n_features - d->n_live);
    snprintf(text, sizeof text, "%s features, %s dead (grey)", all, dead);
    fc_axes_note(cr, a, text);
}

static void draw_strength_map(cairo_t *cr, fc_box box, const fc_report_data *d)
{
    char x_label[64], y_label[64];
    const double size = fmin(box.h - 48, box.w - 110);
    double low = d->min_strength, high = d->max_strength;
    if (high / low < 1.5) low = high / 10;
    snprintf(x_label, sizeof x_label, "feature index mod %" PRId64, d->side);
    snprintf(y_label, sizeof y_label, "feature index div %" PRId64, d->side);
    const fc_axes a = {.box = {box.x + 40, box.y + 16, size, size},
                       .x0 = 0,
                       .x1 = (double)d->side,
                       .y0 = (double)d->side,
                       .y1 = 0,
                       .is_bare = true,
                       .title = "Maximum activation of every feature",
                       .x_label = x_label,
                       .y_label = y_label};
    fc_chart_heat(cr, a.box, d->strength, d->n_features, d->side, low, high);
    fc_axes_draw(cr, &a);
    note_counts(cr, &a, d);
    fc_color_bar(cr, (fc_box){a.box.x + size + 14, a.box.y, 9, size}, FC_MAGMA, false,
                 low, high, true, "maximum activation (logarithmic)");
}

static void draw_strength_bars(cairo_t *cr, fc_box box, const fc_report_data *d)
{
    char column[64], row[64], note[128];
    double low = 0, high = d->max_strength;
    const fc_box room = {box.x, box.y + 32, box.w - 62, box.h - 32};
    const int64_t side = d->block_side;
    fc_nice_range(&low, &high, false);
    if (d->block > 1) {
        snprintf(column, sizeof column, "column block");
        snprintf(row, sizeof row, "row block");
        snprintf(note, sizeof note,
                 "largest of %" PRId64 " \u00d7 %" PRId64
                 " neighbours; height linear, colour by square root",
                 d->block, d->block);
    } else {
        snprintf(column, sizeof column, "feature index mod %" PRId64, side);
        snprintf(row, sizeof row, "feature index div %" PRId64, side);
        snprintf(note, sizeof note,
                 "height linear, colour by square root; dead features: bare floor");
    }
    fc_text(cr, box.x, box.y + 10, FC_LEFT, FC_BASELINE, fc_type_chart,
            "The strength of every feature");
    fc_text(cr, box.x, box.y + 21, FC_LEFT, FC_BASELINE, fc_type_faint, note);
    fc_chart_bars3d(cr, room, d->block_max, side * side, side, high,
                    &(fc_bars_labels){column, row, "maximum activation"});
    fc_color_bar(cr, (fc_box){box.x + box.w - 42, box.y + box.h * 0.28, 9, box.h * 0.44},
                 FC_VIRIDIS, true, 0, high, false, NULL);
}

static void draw_strengths(cairo_t *cr, fc_box box, const fc_report_data *d)
{
    fc_bins h;
    double low = d->min_strength, high = d->max_strength * 1.0000001;
    if (high / low < 1.5) low = high / 10;
    fc_bins_log(&h, low, high);
    for (int64_t i = 0; i < d->n_features; i++)
        if (!d->feature[i].is_dead) fc_bins_add(&h, d->strength[i], 1);
    (void)fc_bins_draw(cr, box, &h, true, "How strong the live features are",
                       "maximum activation", "features");
}

const fc_figure fc_fig_strength_map = {.name = "strength-map",
                                       .title = "Strength map",
                                       .height = 430,
                                       .is_there = fc_figure_has_live,
                                       .draw = draw_strength_map,
                                       .csv = fc_figure_features_csv};
const fc_figure fc_fig_strength_bars = {.name = "strength-bars",
                                        .title = "Strength landscape",
                                        .height = 390,
                                        .is_there = fc_figure_has_live,
                                        .draw = draw_strength_bars,
                                        .csv = fc_figure_features_csv};
const fc_figure fc_fig_strengths = {.name = "strengths",
                                    .title = "Distribution of strengths",
                                    .height = 200,
                                    .is_there = fc_figure_has_live,
                                    .draw = draw_strengths,
                                    .csv = fc_figure_features_csv};
