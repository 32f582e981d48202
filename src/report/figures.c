/* figures.c - the list of figures, and what they share: histograms and the table of features.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/figures.h"

#include <math.h>

#include "base/strbuf.h"

bool fc_figure_has_live(const fc_report_data *d)
{
    return d->n_live > 0;
}

void fc_figure_range(const double *y, int64_t n, bool is_log, double *low, double *high)
{
    *low = HUGE_VAL, *high = -HUGE_VAL;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(y[i]) || (is_log && !(y[i] > 0))) continue;
        *low = fmin(*low, y[i]);
        *high = fmax(*high, y[i]);
    }
    if (!(*low <= *high)) *low = is_log ? 0.1 : 0, *high = 1;
}

fc_status fc_figure_features_csv(fc_strbuf *out, const fc_report_data *d, fc_err *err)
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

/* ---- histograms ---- */

void fc_bins_linear(fc_bins *h, double low, double high)
{
    *h = (fc_bins){0};
    for (int i = 0; i <= FC_FIGURE_BINS; i++)
        h->edge[i] = low + (high - low) * i / FC_FIGURE_BINS;
}

void fc_bins_log(fc_bins *h, double low, double high)
{
    *h = (fc_bins){0};
    for (int i = 0; i <= FC_FIGURE_BINS; i++)
        h->edge[i] = low * pow(high / low, (double)i / FC_FIGURE_BINS);
}

void fc_bins_add(fc_bins *h, double v, double weight)
{
    int i = 0;
    if (!(v >= h->edge[0])) return;
    while (i + 1 < FC_FIGURE_BINS && v >= h->edge[i + 1]) i++;
    h->count[i] += weight;
    h->max = fmax(h->max, h->count[i]);
}

fc_axes fc_bins_draw(cairo_t *cr, fc_box box, const fc_bins *h, bool is_log_x,
                     const char *title, const char *x_label, const char *y_label)
{
    fc_axes a = {.box = {box.x + 40, box.y + 16, box.w - 44, box.h - 46},
                 .x0 = h->edge[0],
                 .x1 = h->edge[FC_FIGURE_BINS],
                 .y0 = 0,
                 .y1 = h->max,
                 .is_log_x = is_log_x,
                 .title = title,
                 .x_label = x_label,
                 .y_label = y_label};
    fc_nice_range(&a.y0, &a.y1, false);
    fc_axes_draw(cr, &a);
    fc_chart_bars(cr, &a, h->edge, h->count, FC_FIGURE_BINS, FC_BLUE);
    return a;
}

/* ---- the list ---- */

const fc_figure *const *fc_figures(int *n)
{
    static const fc_figure *const all[] = {
        &fc_fig_loss,          &fc_fig_sparsity_curves,    &fc_fig_l0,
        &fc_fig_frequency,     &fc_fig_frequency_strength, &fc_fig_strength_map,
        &fc_fig_strength_bars, &fc_fig_strengths,          &fc_fig_nearest};
    *n = (int)FC_LEN(all);
    return all;
}
