/* figures_training.c - the curves of metrics.csv.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/strbuf.h"
#include "report/figures.h"

static bool has_curves(const fc_report_data *d)
{
    return d->n_points > 1;
}

typedef struct curve {
    fc_metric metric;
    const char *title;
    bool is_log, is_smooth;
    uint32_t color;
} curve;

static void draw_curve(cairo_t *cr, fc_box box, const fc_report_data *d, const curve *c)
{
    const double *x = d->metric[FC_METRIC_STEP], *y = d->metric[c->metric];
    const int64_t n = d->n_points;
    fc_axes a = {.box = {box.x + 36, box.y + 16, box.w - 44, box.h - 46},
                 .is_log_y = c->is_log,
                 .title = c->title,
                 .x_label = "step"};
    fc_figure_range(x, n, false, &a.x0, &a.x1);
    a.x0 = 0;
    if (!(a.x1 > 0)) a.x1 = 1;
    fc_figure_range(y, n, c->is_log, &a.y0, &a.y1);
    if (!c->is_log) a.y0 = fmin(a.y0, 0);
    fc_nice_range(&a.y0, &a.y1, c->is_log);
    fc_axes_draw(cr, &a);
    fc_chart_curve(cr, &a, x, y, n, c->is_smooth ? n / 40 : 1, c->color);
}

/* Whether there is anything to draw: not every architecture has a penalty. */
static bool has_values(const fc_report_data *d, const curve *c)
{
    for (int64_t i = 0; i < d->n_points; i++)
        if (isfinite(d->metric[c->metric][i]) &&
            (!c->is_log || d->metric[c->metric][i] > 0))
            return true;
    return false;
}

/* Curves side by side in rows of two. */
static void draw_curves(cairo_t *cr, fc_box box, const fc_report_data *d,
                        const curve *curves, int n)
{
    const int n_rows = (n + 1) / 2;
    const double gap = 14, w = (box.w - gap) / 2, h = (box.h + gap) / n_rows - gap;
    int at = 0;
    for (int i = 0; i < n; i++) {
        const int row = at / 2, column = at % 2;
        if (!has_values(d, &curves[i])) continue;
        draw_curve(cr,
                   (fc_box){box.x + column * (w + gap), box.y + row * (h + gap), w, h}, d,
                   &curves[i]);
        at++;
    }
}

static void draw_loss(cairo_t *cr, fc_box box, const fc_report_data *d)
{
    static const curve curves[] = {
        {FC_METRIC_TOTAL, "Total loss", true, true, FC_INK},
        {FC_METRIC_MSE, "Reconstruction error (MSE)", true, true, FC_BLUE},
        {FC_METRIC_L1, "L1 norm, without its coefficient", true, true, FC_VERMILION},
        {FC_METRIC_LR, "Learning rate", false, false, FC_GREEN}};
    draw_curves(cr, box, d, curves, FC_LEN(curves));
}

static void draw_sparsity_curves(cairo_t *cr, fc_box box, const fc_report_data *d)
{
    static const curve curves[] = {
        {FC_METRIC_L0, "Features per token (L0)", true, true, FC_PINK},
        {FC_METRIC_DEAD, "Dead features", false, false, FC_ORANGE}};
    draw_curves(cr, box, d, curves, FC_LEN(curves));
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

const fc_figure fc_fig_loss = {.name = "loss",
                               .title = "Training curves",
                               .height = 424,
                               .is_there = has_curves,
                               .draw = draw_loss,
                               .csv = metrics_csv};
const fc_figure fc_fig_sparsity_curves = {.name = "sparsity-curves",
                                          .title = "Sparsity during training",
                                          .height = 205,
                                          .is_there = has_curves,
                                          .draw = draw_sparsity_curves,
                                          .csv = metrics_csv};
