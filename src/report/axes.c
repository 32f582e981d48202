/* axes.c - ticks at 1, 2 or 5 times a power of ten; powers of ten with minor ticks on log axes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/axes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double place(double v, double low, double high, bool is_log)
{
    if (is_log) return (log10(v) - log10(low)) / (log10(high) - log10(low));
    return (v - low) / (high - low);
}

double fc_axes_x(const fc_axes *a, double v)
{
    return a->box.x + a->box.w * place(v, a->x0, a->x1, a->is_log_x);
}

double fc_axes_y(const fc_axes *a, double v)
{
    return a->box.y + a->box.h * (1 - place(v, a->y0, a->y1, a->is_log_y));
}

double fc_nice_step(double range, int n_steps)
{
    const double raw = range / n_steps, power = pow(10, floor(log10(raw))),
                 f = raw / power;
    return (f < 1.5 ? 1 : f < 3 ? 2 : f < 7 ? 5 : 10) * power;
}

void fc_nice_range(double *low, double *high, bool is_log)
{
    if (is_log) {
        if (!(*high > 0)) *high = 1;
        if (!(*low > 0)) *low = *high / 10;
        if (*low >= *high) { /* one value: in the middle */
            *low = *high / 3;
            *high *= 3;
        }
        *low *= 0.9;
        *high *= 1.1;
        return;
    }
    if (!(*high > *low)) *high = *low + (*low != 0 ? fabs(*low) : 1);
    const double step = fc_nice_step(*high - *low, 5);
    *low = floor(*low / step + 1e-9) * step;
    *high = ceil(*high / step - 1e-9) * step;
}

/* m times 10^e, m = 1 to 9. */
static void power_text(char out[96], int m, int e)
{
    char times[12] = "";
    if (m > 1) snprintf(times, sizeof times, "%c\u2009\u00b7\u2009", '0' + m);
    if (e >= -2 && e <= 3)
        snprintf(out, 96, "%g", m * pow(10, e));
    else
        snprintf(out, 96,
                 "%s10<span font_scale=\"superscript\" "
                 "baseline_shift=\"superscript\">%s%d</span>",
                 times, e < 0 ? "\u2212" : "", abs(e) % 1000);
}

void fc_tick_text(char out[96], double v, double step, bool is_log)
{
    const double size = fabs(v);
    if (is_log) {
        const int e = (int)floor(log10(size) + 1e-9);
        power_text(out, (int)lround(size / pow(10, e)), e);
        return;
    }
    const char *sign = v < 0 && size > step * 1e-6 ? "\u2212" : "";
    const int decimals = step >= 1 ? 0 : (int)ceil(-log10(step) - 1e-9);
    if (size >= 10000 && fmod(size, 1e6) == 0)
        snprintf(out, 96, "%s%.0fM", sign, size / 1e6);
    else if (size >= 10000 && fmod(size, 1000) == 0)
        snprintf(out, 96, "%s%.0fk", sign, size / 1000);
    else if (decimals > 4)
        snprintf(out, 96, "%s%.3g", sign, size > step * 1e-6 ? size : 0);
    else
        snprintf(out, 96, "%s%.*f", sign, decimals, size);
}

/* One axis as a list of ticks. */
typedef struct ticks {
    double v[64];
    bool is_major[64];
    int n;
    double step;
    bool is_log, is_short; /* short: less than two decades */
    double decades;
} ticks;

static void add_tick(ticks *t, double v, bool is_major)
{
    if (t->n >= 64) return;
    t->v[t->n] = v;
    t->is_major[t->n++] = is_major;
}

static void make_linear_ticks(ticks *t, double low, double high, int n_wanted)
{
    t->step = fc_nice_step(high - low, n_wanted);
    const double first = ceil(low / t->step - 1e-9) * t->step;
    for (int i = 0; first + i * t->step <= high + t->step * 1e-9; i++)
        add_tick(t, first + i * t->step, true);
}

/* Whether m times a power of ten has a label over so many decades. */
static bool is_labelled(int m, double decades)
{
    if (m == 1 || decades >= 2) return m == 1;
    if (decades < 0.5) return true;
    return m == 2 || m == 5 || (decades < 1 && (m == 3 || m == 7));
}

/* Powers of ten with their multiples as minor ticks; over less than two decades some of these are
 * labelled too, as plain numbers. */
static void make_log_ticks(ticks *t, double low, double high)
{
    const int e0 = (int)floor(log10(low)), e1 = (int)ceil(log10(high)), decades = e1 - e0;
    const int every = decades > 6 ? 2 : 1;
    t->is_log = true;
    t->decades = log10(high / low);
    t->is_short = t->decades < 2;
    for (int e = e0; e <= e1; e++)
        for (int m = 1; m < 10; m++) {
            const double v = m * pow(10, e);
            if (v < low * 0.999999 || v > high * 1.000001) continue;
            if (m == 1 || decades <= 6)
                add_tick(t, v,
                         is_labelled(m, t->decades) && (m > 1 || (e - e0) % every == 0));
        }
}

static void make_ticks(ticks *t, double a, double b, bool is_log, int n_wanted)
{
    *t = (ticks){0};
    if (is_log)
        make_log_ticks(t, fmin(a, b), fmax(a, b));
    else
        make_linear_ticks(t, fmin(a, b), fmax(a, b), n_wanted);
}

static void tick_label(char text[96], const ticks *t, double v)
{
    const double step = t->is_short ? pow(10, floor(log10(v) + 1e-9)) : t->step;
    fc_tick_text(text, v, step, t->is_log && !t->is_short);
}

static void line(cairo_t *cr, double x, double y, double dx, double dy)
{
    cairo_move_to(cr, x, y);
    cairo_rel_line_to(cr, dx, dy);
    cairo_stroke(cr);
}

static void draw_grid(cairo_t *cr, const fc_axes *a, const ticks *tx, const ticks *ty)
{
    fc_color(cr, FC_GRID, 1);
    cairo_set_line_width(cr, 0.45);
    for (int i = 0; i < tx->n; i++)
        if (tx->is_major[i]) line(cr, fc_axes_x(a, tx->v[i]), a->box.y, 0, a->box.h);
    for (int i = 0; i < ty->n; i++)
        if (ty->is_major[i]) line(cr, a->box.x, fc_axes_y(a, ty->v[i]), a->box.w, 0);
}

static void draw_ticks(cairo_t *cr, const fc_axes *a, const ticks *tx, const ticks *ty)
{
    char text[96];
    const double bottom = a->box.y + a->box.h;
    cairo_set_line_width(cr, 0.5);
    for (int i = 0; i < tx->n; i++) {
        const double x = fc_axes_x(a, tx->v[i]);
        fc_color(cr, FC_AXIS, 1);
        line(cr, x, bottom, 0, tx->is_major[i] ? 3 : 1.6);
        if (!tx->is_major[i]) continue;
        tick_label(text, tx, tx->v[i]);
        fc_markup(cr, x, bottom + 4, FC_CENTER, FC_TOP, 0, fc_type_tick, text);
    }
    for (int i = 0; i < ty->n; i++) {
        const double y = fc_axes_y(a, ty->v[i]);
        fc_color(cr, FC_AXIS, 1);
        line(cr, a->box.x, y, ty->is_major[i] ? -3 : -1.6, 0);
        if (!ty->is_major[i]) continue;
        tick_label(text, ty, ty->v[i]);
        fc_markup(cr, a->box.x - 5, y, FC_RIGHT, FC_MIDDLE, 0, fc_type_tick, text);
    }
}

void fc_axes_draw(cairo_t *cr, const fc_axes *a)
{
    ticks tx, ty;
    make_ticks(&tx, a->x0, a->x1, a->is_log_x, a->box.w > 300 ? 8 : 5);
    make_ticks(&ty, a->y0, a->y1, a->is_log_y, a->box.h > 200 ? 6 : 4);
    cairo_set_line_cap(cr, CAIRO_LINE_CAP_BUTT);
    if (!a->is_bare) draw_grid(cr, a, &tx, &ty);
    draw_ticks(cr, a, &tx, &ty);
    fc_color(cr, FC_AXIS, 1);
    cairo_set_line_width(cr, 0.6);
    cairo_move_to(cr, a->box.x, a->box.y);
    cairo_rel_line_to(cr, 0, a->box.h);
    cairo_rel_line_to(cr, a->box.w, 0);
    cairo_stroke(cr);
    if (a->title)
        fc_markup(cr, a->box.x, a->box.y - 6, FC_LEFT, FC_BOTTOM, 0, fc_type_chart,
                  a->title);
    if (a->x_label)
        fc_markup(cr, a->box.x + a->box.w / 2, a->box.y + a->box.h + 15, FC_CENTER,
                  FC_TOP, 0, fc_type_axis, a->x_label);
    if (a->y_label)
        fc_markup(cr, a->box.x - 28, a->box.y + a->box.h / 2, FC_CENTER, FC_BOTTOM,
                  -G_PI / 2, fc_type_axis, a->y_label);
}

void fc_axes_clip(cairo_t *cr, const fc_axes *a)
{
    cairo_rectangle(cr, a->box.x, a->box.y, a->box.w, a->box.h);
    cairo_clip(cr);
}

void fc_axes_mark(cairo_t *cr, const fc_axes *a, double v, const char *label)
{
    static const double dashes[] = {3, 2.2};
    const double x = fc_axes_x(a, v);
    fc_type type = fc_type_tick;
    type.color = FC_VERMILION;
    if (!(x >= a->box.x && x <= a->box.x + a->box.w)) return;
    fc_color(cr, FC_VERMILION, 1);
    cairo_set_line_width(cr, 0.9);
    cairo_set_dash(cr, dashes, 2, 0);
    line(cr, x, a->box.y, 0, a->box.h);
    cairo_set_dash(cr, NULL, 0, 0);
    const bool is_left = x > a->box.x + a->box.w * 0.6;
    PangoLayout *layout = fc_layout_new(cr, type, label);
    const double width = fc_layout_width(layout), left = is_left ? x - 5 - width : x + 5;
    g_object_unref(layout);
    fc_color(cr, 0xffffff, 0.85); /* bars may stand behind it */
    fc_rounded(cr, left - 2, a->box.y + 1, width + 4, 11);
    cairo_fill(cr);
    fc_text(cr, left, a->box.y + 2, FC_LEFT, FC_TOP, type, label);
}

void fc_axes_note(cairo_t *cr, const fc_axes *a, const char *note)
{
    fc_text(cr, a->box.x + a->box.w, a->box.y - 6, FC_RIGHT, FC_BOTTOM, fc_type_faint,
            note);
}

void fc_color_bar(cairo_t *cr, fc_box box, fc_colormap_name map, bool is_sqrt, double low,
                  double high, bool is_log, const char *label)
{
    enum { N_STOPS = 32 };
    ticks t;
    char text[96];
    const fc_axes scale = {
        .box = box, .x0 = 0, .x1 = 1, .y0 = low, .y1 = high, .is_log_y = is_log};
    cairo_pattern_t *pattern = cairo_pattern_create_linear(0, box.y + box.h, 0, box.y);
    for (int i = 0; i <= N_STOPS; i++) {
        const double at = (double)i / N_STOPS;
        const fc_rgb c = fc_colormap(map, is_sqrt ? 0.06 + 0.94 * sqrt(at) : at);
        cairo_pattern_add_color_stop_rgb(pattern, at, c.r, c.g, c.b);
    }
    cairo_rectangle(cr, box.x, box.y, box.w, box.h);
    cairo_set_source(cr, pattern);
    cairo_fill(cr);
    cairo_pattern_destroy(pattern);
    make_ticks(&t, low, high, is_log, 6);
    for (int i = 0; i < t.n; i++) {
        const double y = fc_axes_y(&scale, t.v[i]);
        const bool is_three =
            is_log && !t.is_short &&
            fabs(t.v[i] / (3 * pow(10, floor(log10(t.v[i])))) - 1) < 1e-6;
        fc_color(cr, FC_AXIS, 1);
        cairo_set_line_width(cr, 0.5);
        line(cr, box.x + box.w, y, t.is_major[i] ? 3 : 1.6, 0);
        if (!t.is_major[i] && !is_three) continue;
        tick_label(text, &t, t.v[i]);
        fc_markup(cr, box.x + box.w + 5, y, FC_LEFT, FC_MIDDLE, 0, fc_type_tick, text);
    }
    if (label)
        fc_markup(cr, box.x + box.w + 36, box.y + box.h / 2, FC_CENTER, FC_MIDDLE,
                  -G_PI / 2, fc_type_axis, label);
}
