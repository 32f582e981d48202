/* figures_geometry.c - how near the decoder rows of live features lie to each other.
 *
 *   cos(i) = max over live j /= i of  w_i . w_j / (|w_i| |w_j|),     w = rows of W_dec
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/strbuf.h"
#include "report/figures.h"

static bool has_nearest(const fc_report_data *d)
{
    return d->n_nearest > 0;
}

/* To the tenth below the lowest; 0 unless some are opposed to all others. */
static double lowest_cosine(const fc_report_data *d)
{
    double low = 0;
    for (int64_t i = 0; i < d->n_features; i++)
        if (d->nearest[i] >= 0) low = fmin(low, d->nearest_cosine[i]);
    return floor(low * 10) / 10;
}

static void draw_nearest(cairo_t *cr, fc_box box, const fc_report_data *d)
{
    fc_bins h;
    double sum = 0;
    int64_t n_close = 0;
    char text[96], count[32];
    fc_bins_linear(&h, lowest_cosine(d), 1);
    for (int64_t i = 0; i < d->n_features; i++) {
        if (d->nearest[i] < 0) continue;
        fc_bins_add(&h, d->nearest_cosine[i], 1);
        sum += d->nearest_cosine[i];
        n_close += d->nearest_cosine[i] > 0.9;
    }
    const fc_axes a =
        fc_bins_draw(cr, box, &h, false, "How near its nearest feature lies",
                     "cosine with the nearest decoder row", "features");
    const double mean = sum / (double)d->n_nearest;
    snprintf(text, sizeof text, "mean %s%.2f", mean < 0 ? "\u2212" : "", fabs(mean));
    fc_axes_mark(cr, &a, mean, text);
    fc_format_count(count, n_close);
    snprintf(text, sizeof text, "%s above 0.9", n_close > 0 ? count : "none");
    fc_axes_note(cr, &a, text);
}

static fc_status nearest_csv(fc_strbuf *out, const fc_report_data *d, fc_err *err)
{
    FC_TRY(fc_strbuf_addf(out, err, "feature,nearest,cosine\n"));
    for (int64_t i = 0; i < d->n_features; i++)
        if (d->nearest[i] >= 0)
            FC_TRY(fc_strbuf_addf(out, err, "%" PRId64 ",%" PRId64 ",%.6g\n", i,
                                  d->nearest[i], d->nearest_cosine[i]));
    return FC_OK;
}

const fc_figure fc_fig_nearest = {.name = "nearest",
                                  .title = "Nearest decoder rows",
                                  .height = 200,
                                  .is_there = has_nearest,
                                  .draw = draw_nearest,
                                  .csv = nearest_csv};
