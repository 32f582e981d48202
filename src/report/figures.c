/* figures.c - training curves, sparsity, strengths.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/figures.h"

#include <math.h>
#include <stdio.h>

#include "base/alloc.h"

/* ---- curves ---- */

static void range_of(const double *y, int64_t n, bool is_log, double *low, double *high)
{
    *low = INFINITY, *high = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(y[i]) || (is_log && !(y[i] > 0))) continue;
        *low = fmin(*low, y[i]);
        *high = fmax(*high, y[i]);
    }
    if (!(*low <= *high)) *low = is_log ? 0.1 : 0, *high = 1;
}

static bool has_curves(const fc_report_data *d)
{
    return d->n_points > 1;
}

static void curve(cairo_t *cr, fc_box box, const fc_report_data *d, fc_metric metric,
                  const char *title, bool is_log, uint32_t color)
{
    const double *x = d->metric[FC_METRIC_STEP], *y = d->metric[metric];
    const int64_t n = d->n_points;
    fc_axes a = {.box = {box.x + 36, box.y + 16, box.w - 40, box.h - 48},
                 .x0 = 0,
                 .x1 = x[n - 1],
                 .is_log_y = is_log,
                 .title = title,
                 .x_label = "step"};
    range_of(y, n, is_log, &a.y0, &a.y1);
    if (!is_log) a.y0 = fmin(a.y0, 0);
    fc_nice_range(&a.y0, &a.y1, is_log);
    fc_axes_draw(cr, &a);
    fc_chart_curve(
        cr, &a, x, y, n,
        metric == FC_METRIC_LR || metric == FC_METRIC_DEAD ? 1 : (double)n / 60, color);
}

static fc_box panel(fc_box box, int column, int row, int n_rows)
{
    const double gap = 16, w = (box.w - gap) / 2, h = box.h / n_rows;
    return (fc_box){box.x + column * (w + gap), box.y + row * h, w, h};
}

static void draw_loss(cairo_t *cr, fc_box box, const fc_report_data *d)
{
    curve(cr, panel(box, 0, 0, 2), d, FC_METRIC_TOTAL, "Total loss", true, FC_INK);
    curve(cr, panel(box, 1, 0, 2), d, FC_METRIC_MSE, "MSE (mean over dimensions)", true,
          FC_BLUE);
    curve(cr, panel(box, 0, 1, 2), d, FC_METRIC_L1, "L1, without its coefficient", true,
          FC_VERMILION);
    curve(cr, panel(box, 1, 1, 2), d, FC_METRIC_LR, "Learning rate", false, FC_GREEN);
}

static void draw_sparsity_curves(cairo_t *cr, fc_box box, const fc_report_data *d)
{
    curve(cr, panel(box, 0, 0, 1), d, FC_METRIC_L0, "L0: active features per token", true,
          FC_PINK);
    curve(cr, panel(box, 1, 0, 1), d, FC_METRIC_DEAD, "Dead features", false, FC_ORANGE);
}

static fc_status metrics_csv(fc_strbuf *out, const fc_report_data *d, fc_err *err)
{
    FC_TRY(fc_strbuf_addf(out, err, "step,epoch,total,mse,l1,l0,dead,lr\n"));
    for (int64_t i = 0; i < d->n_points; i++)
        for (int m = 0; m < FC_N_METRICS; m++)
            FC_TRY(fc_strbuf_addf(out, err, "%.9g%c", d->metric[m][i],
                                  m + 1 < FC_N_METRICS ? ',' : '\n'));
    return FC_OK;
}

/* ---- histograms ---- */

enum { N_BINS = 60 };

typedef struct histogram {
    double edge[N_BINS + 1], count[N_BINS], max;
} histogram;

static void add(histogram *h, double v, double weight)
{
    if (!(v >= h->edge[0])) return;
    int i = 0;
    while (i + 1 < N_BINS && v >= h->edge[i + 1]) i++;
    h->count[i] += weight;
    h->max = fmax(h->max, h->count[i]);
}

static void log_edges(histogram *h, double low, double high)
{
    for (int i = 0; i <= N_BINS; i++)
        h->edge[i] = low * pow(high / low, (double)i / N_BINS);
}

static void draw_histogram(cairo_t *cr, fc_box box, const histogram *h, bool is_log_x,
                           const char *title, const char *x_label, const char *y_label,
                           uint32_t color)
{
    fc_axes a = {.box = {box.x + 40, box.y + 16, box.w - 44, box.h - 48},
                 .x0 = h->edge[0],
                 .x1 = h->edge[N_BINS],
                 .y0 = 0,
                 .y1 = h->max,
                 .is_log_x = is_log_x,
                 .title = title,
                 .x_label = x_label,
                 .y_label = y_label};
    fc_nice_range(&a.y0, &a.y1, false);
    fc_axes_draw(cr, &a);
    fc_chart_bars(cr, &a, h->edge, h->count, N_BINS, color);
}

static int64_t largest_l0(const fc_report_data *d)
{
    const int64_t *counts = fc_features_l0_histogram(d->db);
    int64_t last = 1;
    for (int64_t l0 = 0; l0 <= d->n_features; l0++)
        if (counts[l0] > 0) last = l0;
    return fc_max(last, 1);
}

static void draw_l0(cairo_t *cr, fc_box box, const fc_report_data *d)
{
    histogram h = {0};
    const int64_t *counts = fc_features_l0_histogram(d->db), last = largest_l0(d);
    const double width = ceil((double)(last + 1) / N_BINS);
    for (int i = 0; i <= N_BINS; i++) h.edge[i] = i * width;
    for (int64_t l0 = 0; l0 <= last; l0++) add(&h, (double)l0, (double)counts[l0]);
    draw_histogram(cr, box, &h, false, "Active features per token", "L0", "tokens",
                   FC_BLUE);
}

static fc_status l0_csv(fc_strbuf *out, const fc_report_data *d, fc_err *err)
{
    const int64_t *counts = fc_features_l0_histogram(d->db), last = largest_l0(d);
    FC_TRY(fc_strbuf_addf(out, err, "l0,tokens\n"));
    for (int64_t i = 0; i <= last; i++)
        FC_TRY(
            fc_strbuf_addf(out, err, "%lld,%lld\n", (long long)i, (long long)counts[i]));
    return FC_OK;
}

static double lowest_frequency(const fc_report_data *d)
{
    double low = 0.1;
    for (int64_t i = 0; i < d->n_features; i++)
        if (!d->feature[i].is_dead && d->feature[i].frequency > 0)
            low = fmin(low, d->feature[i].frequency);
    return pow(10, floor(log10(low)));
}

static void draw_frequency(cairo_t *cr, fc_box box, const fc_report_data *d)
{
    histogram h = {0};
    char title[96];
    log_edges(&h, lowest_frequency(d), 1);
    for (int64_t i = 0; i < d->n_features; i++)
        if (!d->feature[i].is_dead) add(&h, d->feature[i].frequency, 1);
    snprintf(title, sizeof title, "Firing frequency of the %lld live features",
             (long long)d->n_live);
    draw_histogram(cr, box, &h, true, title, "share of tokens on which a feature fires",
                   "features", FC_GREEN);
}

static void draw_frequency_strength(cairo_t *cr, fc_box box, const fc_report_data *d)
{
    double *x = NULL, *y = NULL;
    fc_axes a = {.box = {box.x + 40, box.y + 16, box.w - 44, box.h - 48},
                 .x0 = lowest_frequency(d),
                 .x1 = 1,
                 .is_log_x = true,
                 .is_log_y = true,
                 .y0 = d->min_strength,
                 .y1 = d->max_strength,
                 .title = "Frequency against strength",
                 .x_label = "share of tokens on which a feature fires",
                 .y_label = "maximum activation"};
    fc_nice_range(&a.y0, &a.y1, true);
    fc_axes_draw(cr, &a);
    if (fc_alloc(&x, d->n_live, sizeof *x, "points", NULL) == FC_OK &&
        fc_alloc(&y, d->n_live, sizeof *y, "points", NULL) == FC_OK)
    {
        int64_t n = 0;
        for (int64_t i = 0; i < d->n_features; i++)
            if (!d->feature[i].is_dead)
                x[n] = d->feature[i].frequency, y[n++] = d->feature[i].max;
        fc_chart_points(cr, &a, x, y, n, n > 3000 ? 1.2 : 1.8, FC_BLUE, 0.55);
    }
    fc_free(x);
    fc_free(y);
}

static fc_status features_csv(fc_strbuf *out, const fc_report_data *d, fc_err *err)
{
    FC_TRY(fc_strbuf_addf(out, err, "feature,max,mean_active,frequency,n_active,dead\n"));
    for (int64_t i = 0; i < d->n_features; i++) {
        const fc_feature *f = &d->feature[i];
        FC_TRY(fc_strbuf_addf(out, err, "%lld,%.9g,%.9g,%.9g,%lld,%d\n", (long long)f->id,
                              f->max, f->mean_active, f->frequency,
                              (long long)f->n_active, f->is_dead));
    }
    return FC_OK;
}

/* ---- strengths ---- */

static bool has_live(const fc_report_data *d)
{
    return d->n_live > 0;
}

static void draw_strength_map(cairo_t *cr, fc_box box, const fc_report_data *d)
{
    const double size = fmin(box.h - 40, box.w - 90);
    double low = d->min_strength, high = d->max_strength;
    if (high / low < 1.5) low = high / 10;
    const fc_box map = {box.x + (box.w - size - 60) / 2, box.y + 18, size, size};
    fc_axes a = {.box = map,
                 .x0 = 0,
                 .x1 = (double)d->side,
                 .y0 = (double)d->side,
                 .y1 = 0,
                 .title = "Strength of every feature"};
    fc_chart_heat(cr, map, d->strength, d->n_features, d->side, low, high);
    fc_text(cr, map.x + map.w, map.y - 6, FC_RIGHT, FC_BOTTOM, fc_type_faint,
            "row by row from the top left; grey: dead");
    (void)a;
    fc_color_bar(cr, (fc_box){map.x + size + 14, map.y, 9, size}, FC_MAGMA, false, low,
                 high, true, "maximum activation (log)");
}

static void draw_strength_bars(cairo_t *cr, fc_box box, const fc_report_data *d)
{
    double low = 0, high = d->max_strength;
    const fc_box room = {box.x, box.y + 16, box.w - 62, box.h - 16};
    fc_text(cr, box.x, box.y + 10, FC_LEFT, FC_BASELINE, fc_type_chart,
            "Strength of every feature as a landscape");
    fc_nice_range(&low, &high, false);
    fc_chart_bars3d(cr, room, d->strength, d->n_features, d->side, high,
                    "maximum activation");
    fc_color_bar(cr, (fc_box){box.x + box.w - 52, box.y + box.h * 0.25, 9, box.h * 0.45},
                 FC_VIRIDIS, true, 0, high, false, NULL);
}

const fc_figure fc_fig_loss = {"loss",     "Training curves", 330,
                               has_curves, draw_loss,         metrics_csv};
const fc_figure fc_fig_sparsity_curves = {
    "sparsity-curves", "Sparsity during training", 165,
    has_curves,        draw_sparsity_curves,       metrics_csv};
const fc_figure fc_fig_l0 = {"l0",  "Active features per token", 190, NULL, draw_l0,
                             l0_csv};
const fc_figure fc_fig_frequency = {"frequency", "Firing frequency", 190,
                                    has_live,    draw_frequency,     features_csv};
const fc_figure fc_fig_frequency_strength = {"frequency-strength",
                                             "Frequency against strength",
                                             220,
                                             has_live,
                                             draw_frequency_strength,
                                             features_csv};
const fc_figure fc_fig_strength_map = {"strength-map", "Strength map",    430,
                                       has_live,       draw_strength_map, features_csv};
const fc_figure fc_fig_strength_bars = {
    "strength-bars", "Strength landscape", 380,
    has_live,        draw_strength_bars,   features_csv};

const fc_figure *const *fc_figures(int *n)
{
    static const fc_figure *const all[] = {
        &fc_fig_loss,         &fc_fig_sparsity_curves,    &fc_fig_l0,
        &fc_fig_frequency,    &fc_fig_frequency_strength, &fc_fig_strength_map,
        &fc_fig_strength_bars};
    *n = (int)FC_LEN(all);
    return all;
}
