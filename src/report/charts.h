/* charts.h - the kinds of chart in the report. Each draws into axes or a box of any Cairo context.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_CHARTS_H
#define FC_REPORT_CHARTS_H

#include "report/axes.h"

/* A curve of n points: minimum and maximum of each narrow column as a pale band, a smoothed line
 * (mean of the `smooth` points around; 1 = none) on top. NaN and, on log axes, values <= 0 are
 * left out. */
void fc_chart_curve(cairo_t *cr, const fc_axes *axes, const double *x, const double *y,
                    int64_t n, int64_t smooth, uint32_t color);

/* n_bins bars between edges[i] and edges[i+1] with a half-point gap. */
void fc_chart_bars(cairo_t *cr, const fc_axes *axes, const double *edges,
                   const double *heights, int64_t n_bins, uint32_t color);

/* Points of radius r with a thin white rim. */
void fc_chart_points(cairo_t *cr, const fc_axes *axes, const double *x, const double *y,
                     int64_t n, double r, uint32_t color, double alpha);

/* side x side cells, value i at row i / side; value <= 0 is dead. Logarithmic colour. n may be less than
 * side * side. One small image, so that no viewer shows seams. */
void fc_chart_heat(cairo_t *cr, fc_box box, const double *value, int64_t n, int64_t side,
                   double low, double high);

typedef struct fc_bars_labels {
    const char *column, *row, *value;
} fc_bars_labels;

/* The same values as bars on a floor, seen in perspective; height linear in value up to `high`. */
void fc_chart_bars3d(cairo_t *cr, fc_box box, const double *value, int64_t n,
                     int64_t side, double high, const fc_bars_labels *labels);

#endif
