/* bars3d.c - bars on a square floor in perspective, nearest last (painter's order).
 *
 *   camera at azimuth -0.9, elevation 0.62 rad, distance 3 from the middle of the unit square
 *
 * Rows and columns sorted by distance from the camera give the exact order for boxes on a grid.
 * Vector output: its size follows the bars that are alive, and lines stay sharp in print.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "report/charts.h"

enum { MAX_SIDE = 256 };

typedef struct point {
    double x, y, z;
} point;

typedef struct camera {
    point at, right, up, forward;
    double focus, x, y, scale; /* to the page */
} camera;

static const double azimuth = -0.9, elevation = 0.62, distance = 3, top = 0.5;

static double dot(point a, point b)
{
    return a.x * b.x + a.y * b.y + a.z * b.z;
}

static void project(const camera *c, point p, double *x, double *y)
{
    const point d = {p.x - c->at.x, p.y - c->at.y, p.z - c->at.z};
    const double depth = dot(d, c->forward);
    *x = c->x + c->scale * c->focus * dot(d, c->right) / depth;
    *y = c->y - c->scale * c->focus * dot(d, c->up) / depth;
}

/* Looks at the middle of the cube's lower part and fills the box. */
static camera make_camera(fc_box box)
{
    const double ca = cos(azimuth), sa = sin(azimuth), ce = cos(elevation),
                 se = sin(elevation);
    camera c = {.right = {-sa, ca, 0},
                .up = {-ca * se, -sa * se, ce},
                .forward = {-ca * ce, -sa * ce, -se}};
    c.at = (point){0.5 - distance * c.forward.x, 0.5 - distance * c.forward.y,
                   top * 0.4 - distance * c.forward.z};
    c.focus = distance;
    c.scale = 1;
    double x0 = HUGE_VAL, x1 = -HUGE_VAL, y0 = HUGE_VAL, y1 = -HUGE_VAL;
    for (int k = 0; k < 8; k++) {
        double x, y;
        project(&c, (point){k & 1, k >> 1 & 1, (k >> 2) * top}, &x, &y);
        x0 = fmin(x0, x), x1 = fmax(x1, x), y0 = fmin(y0, y), y1 = fmax(y1, y);
    }
    c.scale = fmin(box.w / (x1 - x0), box.h / (y1 - y0));
    c.x = box.x + box.w / 2 - c.scale * (x0 + x1) / 2;
    c.y = box.y + box.h / 2 - c.scale * (y0 + y1) / 2;
    return c;
}

static void face(cairo_t *cr, const camera *c, const point p[4])
{
    for (int i = 0; i < 4; i++) {
        double x, y;
        project(c, p[i], &x, &y);
        if (i == 0)
            cairo_move_to(cr, x, y);
        else
            cairo_line_to(cr, x, y);
    }
    cairo_close_path(cr);
}

static void segment(cairo_t *cr, const camera *c, point a, point b)
{
    double x, y;
    project(c, a, &x, &y);
    cairo_move_to(cr, x, y);
    project(c, b, &x, &y);
    cairo_line_to(cr, x, y);
    cairo_stroke(cr);
}

/* The corner of the floor nearest the camera; the walls stand on the other two sides. */
typedef struct corner {
    double near_x, near_y, far_x, far_y;
} corner;

static corner find_corner(const camera *c)
{
    const double nx = c->at.x > 0.5 ? 1 : 0, ny = c->at.y > 0.5 ? 1 : 0;
    return (corner){nx, ny, 1 - nx, 1 - ny};
}

static void draw_room(cairo_t *cr, const camera *c, corner k, int64_t side, double step)
{
    const point floor[4] = {{0, 0, 0}, {1, 0, 0}, {1, 1, 0}, {0, 1, 0}};
    const point wall_x[4] = {
        {k.far_x, 0, 0}, {k.far_x, 1, 0}, {k.far_x, 1, top}, {k.far_x, 0, top}};
    const point wall_y[4] = {
        {0, k.far_y, 0}, {1, k.far_y, 0}, {1, k.far_y, top}, {0, k.far_y, top}};
    fc_color(cr, 0xf6f6f7, 1);
    face(cr, c, floor);
    cairo_fill(cr);
    fc_color(cr, 0xfbfbfc, 1);
    face(cr, c, wall_x);
    cairo_fill(cr);
    face(cr, c, wall_y);
    cairo_fill(cr);
    fc_color(cr, 0xd4d4d8, 1);
    cairo_set_line_width(cr, 0.4);
    for (int i = 0; i * step <= (double)side; i++) {
        const double t = i * step / (double)side;
        segment(cr, c, (point){t, 0, 0}, (point){t, 1, 0});
        segment(cr, c, (point){0, t, 0}, (point){1, t, 0});
        segment(cr, c, (point){k.far_x, t, 0}, (point){k.far_x, t, top});
        segment(cr, c, (point){t, k.far_y, 0}, (point){t, k.far_y, top});
    }
}

static void draw_height_ticks(cairo_t *cr, const camera *c, corner k, double high,
                              const char *label)
{
    const double step = fc_nice_step(high, 5);
    double xa, ya, xb, yb, x, y, label_x = HUGE_VAL;
    project(c, (point){k.far_x, k.near_y, 0}, &xa, &ya);
    project(c, (point){k.near_x, k.far_y, 0}, &xb, &yb);
    const point edge =
        xa < xb ? (point){k.far_x, k.near_y, 0} : (point){k.near_x, k.far_y, 0};
    for (int i = 0; i * step <= high * (1 + 1e-9); i++) {
        char text[96];
        const double v = i * step, z = v / high * top;
        fc_color(cr, 0xd4d4d8, 1);
        cairo_set_line_width(cr, 0.4);
        segment(cr, c, (point){k.far_x, 0, z}, (point){k.far_x, 1, z});
        segment(cr, c, (point){0, k.far_y, z}, (point){1, k.far_y, z});
        project(c, (point){edge.x, edge.y, z}, &x, &y);
        fc_tick_text(text, v, step, false);
        const double w =
            fc_markup(cr, x - 5, y, FC_RIGHT, FC_MIDDLE, 0, fc_type_tick, text);
        label_x = fmin(label_x, x - 5 - w);
    }
    project(c, (point){edge.x, edge.y, top / 2}, &x, &y);
    fc_markup(cr, label_x - 5, y, FC_CENTER, FC_BOTTOM, -G_PI / 2, fc_type_axis, label);
}

static double readable_angle(double x0, double y0, double x1, double y1)
{
    const double angle = atan2(y1 - y0, x1 - x0);
    return angle > G_PI / 2 ? angle - G_PI : angle < -G_PI / 2 ? angle + G_PI : angle;
}

/* Ticks and label along one near edge of the floor. `along` gives a point at t on the edge, moved
 * outwards by `out`. */
static point along(corner k, bool is_x, double t, double out)
{
    if (is_x) return (point){t, k.near_y + (k.near_y > 0 ? out : -out), 0};
    return (point){k.near_x + (k.near_x > 0 ? out : -out), t, 0};
}

static void draw_floor_ticks(cairo_t *cr, const camera *c, corner k, bool is_x,
                             int64_t side, double step, const char *label)
{
    double x, y, x0, y0, x1, y1;
    for (int i = 0; i * step <= (double)side; i++) {
        char text[32];
        const double v = i * step, t = v / (double)side;
        fc_color(cr, FC_AXIS, 1);
        cairo_set_line_width(cr, 0.5);
        segment(cr, c, along(k, is_x, t, 0), along(k, is_x, t, 0.03));
        project(c, along(k, is_x, t, 0.07), &x, &y);
        snprintf(text, sizeof text, "%g", v);
        fc_text(cr, x, y, FC_CENTER, FC_MIDDLE, fc_type_tick, text);
    }
    project(c, along(k, is_x, 0, 0), &x0, &y0);
    project(c, along(k, is_x, 1, 0), &x1, &y1);
    project(c, along(k, is_x, 0.5, 0.17), &x, &y);
    fc_markup(cr, x, y, FC_CENTER, FC_MIDDLE, readable_angle(x0, y0, x1, y1),
              fc_type_axis, label);
    fc_color(cr, FC_AXIS, 1);
    cairo_set_line_width(cr, 0.6);
    segment(cr, c, along(k, is_x, 0, 0), along(k, is_x, 1, 0));
}

static void paint_face(cairo_t *cr, const camera *c, const point p[4], fc_rgb color,
                       double shade)
{
    face(cr, c, p);
    cairo_set_source_rgb(cr, color.r * shade, color.g * shade, color.b * shade);
    cairo_fill_preserve(cr);
    cairo_set_source_rgb(cr, color.r * shade * 0.62, color.g * shade * 0.62,
                         color.b * shade * 0.62);
    cairo_stroke(cr);
}

static void draw_bar(cairo_t *cr, const camera *c, double x0, double y0, double width,
                     double t)
{
    const double x1 = x0 + width, y1 = y0 + width, z = t * top;
    const fc_rgb color = fc_colormap(FC_VIRIDIS, 0.06 + 0.94 * sqrt(t));
    const bool is_x_seen = c->at.x > x1 || c->at.x < x0;
    const bool is_y_seen = c->at.y > y1 || c->at.y < y0;
    const double sx = c->at.x > x1 ? x1 : x0, sy = c->at.y > y1 ? y1 : y0;
    const point side_x[4] = {{sx, y0, 0}, {sx, y1, 0}, {sx, y1, z}, {sx, y0, z}};
    const point side_y[4] = {{x0, sy, 0}, {x1, sy, 0}, {x1, sy, z}, {x0, sy, z}};
    const point lid[4] = {{x0, y0, z}, {x1, y0, z}, {x1, y1, z}, {x0, y1, z}};
    if (is_x_seen) paint_face(cr, c, side_x, color, 0.8);
    if (is_y_seen) paint_face(cr, c, side_y, color, 0.6);
    if (c->at.z > z) paint_face(cr, c, lid, color, 1);
}

/* Indices 0..side-1 from far to near as seen along one axis. */
static void sort_by_distance(int *order, int64_t side, double camera_at)
{
    int64_t low = 0, high = side - 1;
    for (int64_t i = 0; i < side; i++) {
        const double d_low = fabs(((double)low + 0.5) / (double)side - camera_at);
        const double d_high = fabs(((double)high + 0.5) / (double)side - camera_at);
        order[i] = d_low >= d_high ? (int)low++ : (int)high--;
    }
}

static void draw_bars(cairo_t *cr, const camera *c, const double *value, int64_t n,
                      int64_t side, double high)
{
    int column[MAX_SIDE], row[MAX_SIDE];
    const double cell = 1 / (double)side, gap = 0.16 * cell;
    sort_by_distance(column, side, c->at.x);
    sort_by_distance(row, side, c->at.y);
    cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
    cairo_set_line_width(cr, 0.12);
    for (int64_t j = 0; j < side; j++)
        for (int64_t i = 0; i < side; i++) {
            const int64_t at = (int64_t)row[j] * side + column[i];
            if (at >= n || !(value[at] > 0)) continue;
            const double t = fmin(1, fmax(0.004, value[at] / high));
            draw_bar(cr, c, column[i] * cell + gap / 2, row[j] * cell + gap / 2,
                     cell - gap, t);
        }
}

void fc_chart_bars3d(cairo_t *cr, fc_box box, const double *value, int64_t n,
                     int64_t side, double high, const fc_bars_labels *labels)
{
    if (side < 1 || side > MAX_SIDE || !(high > 0)) return;
    const fc_box inner = {box.x + 34, box.y, box.w - 54, box.h - 22};
    const camera c = make_camera(inner);
    const corner k = find_corner(&c);
    const double step = side > 8 ? fc_nice_step((double)side, 6) : 1;
    draw_room(cr, &c, k, side, step);
    draw_height_ticks(cr, &c, k, high, labels->value);
    draw_floor_ticks(cr, &c, k, true, side, step, labels->column);
    draw_floor_ticks(cr, &c, k, false, side, step, labels->row);
    draw_bars(cr, &c, value, n, side, high);
}
