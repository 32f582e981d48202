/* axes.h - the frame of a chart: data to points, ticks, grid, labels, legend, colour bar.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_AXES_H
#define FC_REPORT_AXES_H

#include <stdbool.h>

#include "report/draw.h"

typedef struct fc_box { /* points, y downwards */
    double x, y, w, h;
} fc_box;

typedef struct fc_axes {
    fc_box box;            /* the plotting area; labels lie outside it */
    double x0, x1, y0, y1; /* data range, may fall; > 0 where logarithmic */
    bool is_log_x, is_log_y;
    bool is_bare;                          /* no grid: a picture fills the area */
    const char *title, *x_label, *y_label; /* markup; NULL = none */
} fc_axes;

double fc_axes_x(const fc_axes *axes, double v);
double fc_axes_y(const fc_axes *axes, double v);

/* Grid, ticks, left and bottom line, title and labels. */
void fc_axes_draw(cairo_t *cr, const fc_axes *axes);
void fc_axes_clip(cairo_t *cr,
                  const fc_axes *axes); /* between cairo_save and cairo_restore */

/* Range of data made round: linear from 0 or a nice step, logarithmic to 1-2-5 steps. */
void fc_nice_range(double *low, double *high, bool is_log);
double fc_nice_step(double range, int n_steps);

/* A dashed vertical line at v with a short label beside its top. */
void fc_axes_mark(cairo_t *cr, const fc_axes *axes, double v, const char *label);

/* A short remark at the top right, inside the plotting area. */
void fc_axes_note(cairo_t *cr, const fc_axes *axes, const char *note);

/* A tick's text: 10k, −0.5; powers of ten as markup. */
void fc_tick_text(char out[96], double v, double step, bool is_log);

/* Vertical colour bar at box. The colour of value v is scale(t), t = position of v from 0 to 1. */
void fc_color_bar(cairo_t *cr, fc_box box, fc_colormap_name map, bool is_sqrt, double low,
                  double high, bool is_log, const char *label);

#endif
