/* charts.c - curves, histograms, scatter plots and the heat map.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/charts.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { MAX_COLUMNS = 512 }; /* a band is drawn in columns of a point or a little more */

static bool is_drawable(const fc_axes *a, double v)
{
    return isfinite(v) && (!a->is_log_y || v > 0);
}

/* Lowest and highest value of each column, as one closed path. */
static void draw_band(cairo_t *cr, const fc_axes *a, const double *x, const double *y,
                      int64_t n, uint32_t color)
{
    double low[MAX_COLUMNS], high[MAX_COLUMNS];
    bool has[MAX_COLUMNS] = {false};
    const int n_columns = (int)fmin(a->box.w, MAX_COLUMNS);
    const double column_width = a->box.w / n_columns;
    for (int64_t i = 0; i < n; i++) {
        const double at = (fc_axes_x(a, x[i]) - a->box.x) / column_width;
        const int k = (int)at;
        if (!is_drawable(a, y[i]) || at < 0 || k >= n_columns) continue;
        low[k] = has[k] ? fmin(low[k], y[i]) : y[i];
        high[k] = has[k] ? fmax(high[k], y[i]) : y[i];
        has[k] = true;
    }
    for (int k = 0; k < n_columns; k++)
        if (has[k])
            cairo_line_to(cr, a->box.x + (k + 0.5) * column_width, fc_axes_y(a, high[k]));
    for (int k = n_columns - 1; k >= 0; k--)
        if (has[k])
            cairo_line_to(cr, a->box.x + (k + 0.5) * column_width, fc_axes_y(a, low[k]));
    cairo_close_path(cr);
    fc_color(cr, color, 0.22);
    cairo_fill(cr);
}

/* Mean of the drawable values in [i - half, i + half]: it does not lag behind the band, as an
 * exponential average would. Both ends of the window only move forwards. */
typedef struct window {
    double sum;
    int64_t begin, end, n;
} window;

static void move_window(window *w, const fc_axes *a, const double *y, int64_t n,
                        int64_t i, int64_t half)
{
    for (; w->end < n && w->end <= i + half; w->end++)
        if (is_drawable(a, y[w->end])) w->sum += y[w->end], w->n++;
    for (; w->begin < i - half; w->begin++)
        if (is_drawable(a, y[w->begin])) w->sum -= y[w->begin], w->n--;
}

static void draw_line(cairo_t *cr, const fc_axes *a, const double *x, const double *y,
                      int64_t n, int64_t smooth, uint32_t color)
{
    double last_x = -HUGE_VAL;
    window w = {0};
    for (int64_t i = 0; i < n; i++) {
        move_window(&w, a, y, n, i, smooth / 2);
        const double at = fc_axes_x(a, x[i]);
        if (w.n == 0 || (at - last_x < 0.5 && i != n - 1)) continue; /* half a point */
        last_x = at;
        const double mean = smooth > 1 ? w.sum / (double)w.n : y[i];
        if (is_drawable(a, mean)) cairo_line_to(cr, at, fc_axes_y(a, mean));
    }
    cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
    cairo_set_line_cap(cr, CAIRO_LINE_CAP_ROUND);
    cairo_set_line_width(cr, 1.2);
    fc_color(cr, color, 1);
    cairo_stroke(cr);
}

void fc_chart_curve(cairo_t *cr, const fc_axes *a, const double *x, const double *y,
                    int64_t n, int64_t smooth, uint32_t color)
{
    cairo_save(cr);
    fc_axes_clip(cr, a);
    cairo_new_path(cr);
    if (smooth > 1) draw_band(cr, a, x, y, n, color);
    cairo_new_path(cr);
    draw_line(cr, a, x, y, n, smooth, color);
    cairo_restore(cr);
}

void fc_chart_bars(cairo_t *cr, const fc_axes *a, const double *edges,
                   const double *heights, int64_t n_bins, uint32_t color)
{
    const double bottom = a->box.y + a->box.h;
    cairo_save(cr);
    fc_axes_clip(cr, a);
    fc_color(cr, color, 1);
    for (int64_t i = 0; i < n_bins; i++) {
        if (!(heights[i] > 0)) continue;
        const double x0 = fc_axes_x(a, edges[i]), x1 = fc_axes_x(a, edges[i + 1]);
        const double gap = x1 - x0 > 2 ? 0.5 : 0,
                     top = fc_axes_y(a, fmax(heights[i], a->y0));
        cairo_rectangle(cr, x0 + gap / 2, top, x1 - x0 - gap, bottom - top);
    }
    cairo_fill(cr);
    cairo_restore(cr);
}

void fc_chart_points(cairo_t *cr, const fc_axes *a, const double *x, const double *y,
                     int64_t n, double r, uint32_t color, double alpha)
{
    cairo_set_line_width(cr, fmin(0.5, r / 4));
    for (int64_t i = 0; i < n; i++) {
        if ((a->is_log_x && !(x[i] > 0)) || !is_drawable(a, y[i])) continue;
        cairo_new_path(cr);
        cairo_arc(cr, fc_axes_x(a, x[i]), fc_axes_y(a, y[i]), r, 0, 2 * G_PI);
        fc_color(cr, color, alpha);
        cairo_fill_preserve(cr);
        cairo_set_source_rgba(cr, 1, 1, 1, 0.8);
        cairo_stroke(cr);
    }
}

static uint32_t pixel(fc_rgb c)
{
    return (uint32_t)lround(c.r * 255) << 16 | (uint32_t)lround(c.g * 255) << 8 |
           (uint32_t)lround(c.b * 255);
}

void fc_chart_heat(cairo_t *cr, fc_box box, const double *value, int64_t n, int64_t side,
                   double low, double high)
{
    const int up =
        side >= 64 ? 8
                   : 16; /* viewers that smooth images then blur a fraction of a cell */
    const int size = (int)side * up;
    cairo_surface_t *image = cairo_image_surface_create(CAIRO_FORMAT_RGB24, size, size);
    if (cairo_surface_status(image) != CAIRO_STATUS_SUCCESS) return;
    unsigned char *data = cairo_image_surface_get_data(image);
    const int stride = cairo_image_surface_get_stride(image);
    for (int64_t i = 0; i < side * side; i++) {
        uint32_t color = i < n ? (uint32_t)FC_DEAD : 0xffffff;
        if (i < n && value[i] > 0)
            color = pixel(fc_colormap(FC_MAGMA, log(value[i] / low) / log(high / low)));
        for (int row = 0; row < up; row++) {
            unsigned char *to =
                data + ((i / side) * up + row) * stride + (i % side) * up * 4;
            for (int column = 0; column < up; column++)
                memcpy(to + 4 * column, &color, 4);
        }
    }
    cairo_surface_mark_dirty(image);
    cairo_save(cr);
    cairo_translate(cr, box.x, box.y);
    cairo_scale(cr, box.w / size, box.h / size);
    cairo_set_source_surface(cr, image, 0, 0);
    cairo_pattern_set_filter(cairo_get_source(cr), CAIRO_FILTER_NEAREST);
    cairo_paint(cr);
    cairo_restore(cr);
    cairo_surface_destroy(image);
}
