/* compare_figures.c - runs against each other: fidelity against sparsity, curves, frequencies, F1.
 *
 * A run has the same colour everywhere. In the plots of fidelity the grey line joins the runs that no
 * other beats in both: neither sparser and better, nor as sparse and better.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/compare_figures.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "report/display.h"

static double text_width(cairo_t *cr, fc_type type, const char *text)
{
    PangoLayout *layout = fc_layout_new(cr, type, text);
    const double width = fc_layout_width(layout);
    g_object_unref(layout);
    return width;
}

static void dot(cairo_t *cr, double x, double y, double r, uint32_t color)
{
    cairo_new_path(cr);
    cairo_arc(cr, x, y, r, 0, 2 * G_PI);
    fc_color(cr, color, 1);
    cairo_fill_preserve(cr);
    fc_color(cr, 0xffffff, 1);
    cairo_set_line_width(cr, 0.8);
    cairo_stroke(cr);
}

void fc_compare_legend(cairo_t *cr, double x, double baseline, double width,
                       const fc_compare_data *d)
{
    const double right = x + width;
    for (int64_t i = 0; i < d->n && x < right - 20; i++) {
        const double room = right - x - 10,
                     w = fmin(room, text_width(cr, fc_type_axis, d->run[i].name));
        dot(cr, x + 3, baseline - 2.6, 3, d->run[i].color);
        fc_line_cut(cr, x + 10, baseline, w + 1, fc_type_axis, d->run[i].name);
        x += 10 + w + 14;
    }
}

/* ---- fidelity against sparsity ---- */

typedef struct point {
    double x, y; /* data */
    int64_t run;
} point;

static int collect_points(point points[FC_COMPARE_MOST], const fc_compare_data *d,
                          fc_compared_number number)
{
    int n = 0;
    for (int64_t i = 0; i < d->n; i++) {
        const point p = {d->run[i].number[FC_COMPARED_L0], d->run[i].number[number], i};
        if (!(p.x > 0) || !isfinite(p.x) || !isfinite(p.y)) continue;
        int at = n++;
        for (; at > 0 && points[at - 1].x > p.x; at--) points[at] = points[at - 1];
        points[at] = p;
    }
    return n;
}

static bool overlaps(const fc_box *a, const fc_box *b)
{
    return a->x < b->x + b->w && b->x < a->x + a->w && a->y < b->y + b->h &&
           b->y < a->y + a->h;
}

/* Right of the point, left, above, below, and so on outwards: the first place that is free and
 * inside. False where there is none: then the point has its colour alone. */
static bool place_label(fc_box *at, const fc_axes *a, double x, double y, double w,
                        const fc_box *taken, int n_taken)
{
    enum { N_PLACES = 6 };
    static const double rise[N_PLACES] = {0, -7, 7, -16, 16, -26};
    const double h = 10;
    for (int i = 0; i < 2 * N_PLACES; i++) {
        const double left = i % 2 == 0 ? x + 6 : x - 6 - w;
        *at = (fc_box){left, y - h / 2 + rise[i / 2], w, h};
        bool is_free = at->x >= a->box.x + 2 && at->x + w <= a->box.x + a->box.w + 8 &&
                       at->y >= a->box.y - 4 && at->y + h <= a->box.y + a->box.h;
        for (int k = 0; k < n_taken; k++) is_free &= !overlaps(at, &taken[k]);
        if (is_free) return true;
    }
    return false;
}

static void draw_labels(cairo_t *cr, const fc_axes *a, const point *points, int n,
                        const fc_compare_data *d)
{
    fc_box taken[2 * FC_COMPARE_MOST];
    int n_taken = 0;
    for (int i = 0; i < n; i++) {
        const double x = fc_axes_x(a, points[i].x), y = fc_axes_y(a, points[i].y);
        taken[n_taken++] = (fc_box){x - 4, y - 4, 8, 8};
    }
    for (int i = 0; i < n; i++) {
        const char *name = d->run[points[i].run].name;
        const double w = fmin(text_width(cr, fc_type_tick, name) + 1, a->box.w * 0.45);
        const double x = fc_axes_x(a, points[i].x), y = fc_axes_y(a, points[i].y);
        fc_box at;
        if (!place_label(&at, a, x, y, w, taken, n_taken)) continue;
        taken[n_taken++] = at;
        fc_line_cut(cr, at.x, at.y + 7.6, w, fc_type_tick, name);
    }
}

static void draw_front(cairo_t *cr, const fc_axes *a, const point *points, int n)
{
    double best = -HUGE_VAL;
    cairo_new_path(cr);
    for (int i = 0; i < n; i++) { /* from sparse to dense */
        const bool is_beaten =
            i + 1 < n && points[i + 1].x <= points[i].x && points[i + 1].y > points[i].y;
        if (points[i].y <= best || is_beaten) continue;
        best = points[i].y;
        cairo_line_to(cr, fc_axes_x(a, points[i].x), fc_axes_y(a, points[i].y));
    }
    fc_color(cr, 0xb4b8be, 1);
    cairo_set_line_width(cr, 1);
    cairo_stroke(cr);
}

static void draw_fidelity(cairo_t *cr, fc_box box, const fc_compare_data *d,
                          fc_compared_number number, const char *title)
{
    point points[FC_COMPARE_MOST];
    const int n = collect_points(points, d, number);
    fc_axes a = {.box = {box.x + 36, box.y + 16, box.w - 50, box.h - 46},
                 .is_log_x = true,
                 .x0 = HUGE_VAL,
                 .x1 = 0,
                 .y0 = 1,
                 .y1 = -HUGE_VAL,
                 .title = title,
                 .x_label = "features per token (L0)"};
    for (int i = 0; i < n; i++) {
        a.x0 = fmin(a.x0, points[i].x / 1.6);
        a.x1 = fmax(a.x1, points[i].x * 1.6);
        a.y0 = fmin(a.y0, points[i].y);
        a.y1 = fmax(a.y1, points[i].y);
    }
    if (n == 0) a.x0 = 1, a.x1 = 100, a.y0 = 0, a.y1 = 1;
    a.y0 -= (a.y1 - a.y0) * 0.15 + 1e-4;
    a.y1 = fmax(a.y1, fmin(1, a.y1 + (a.y1 - a.y0) * 0.1));
    fc_nice_range(&a.y0, &a.y1, false);
    fc_axes_draw(cr, &a);
    draw_front(cr, &a, points, n);
    for (int i = 0; i < n; i++)
        dot(cr, fc_axes_x(&a, points[i].x), fc_axes_y(&a, points[i].y), 4,
            d->run[points[i].run].color);
    draw_labels(cr, &a, points, n, d);
}

static void draw_pareto(cairo_t *cr, fc_box box, const void *ctx)
{
    const fc_compare_data *d = ctx;
    const double gap = 10, half = (box.w - gap) / 2;
    const fc_box left = {box.x, box.y, d->has_loss ? half : box.w, box.h};
    draw_fidelity(cr, left, d, FC_COMPARED_VARIANCE, "Explained variance");
    if (d->has_loss)
        draw_fidelity(cr, (fc_box){box.x + half + gap, box.y, half, box.h}, d,
                      FC_COMPARED_LOSS, "Loss recovered");
}

/* A name between quotes, as CSV has it. */
static fc_status add_quoted(fc_strbuf *out, const char *text, fc_err *err)
{
    FC_TRY(fc_strbuf_add(out, "\"", 1, err));
    for (; *text; text++)
        FC_TRY(fc_strbuf_addf(out, err, *text == '"' ? "\"\"" : "%c", *text));
    return fc_strbuf_add(out, "\"", 1, err);
}

static fc_status pareto_csv(fc_strbuf *out, const void *ctx, fc_err *err)
{
    const fc_compare_data *d = ctx;
    FC_TRY(fc_strbuf_addf(out, err,
                          "run,arch,features,l0,mse,explained_variance,loss_recovered,"
                          "dead_share,concept_f1,training_s\n"));
    for (int64_t i = 0; i < d->n; i++) {
        FC_TRY(add_quoted(out, d->run[i].name, err));
        FC_TRY(fc_strbuf_add(out, ",", 1, err));
        FC_TRY(add_quoted(out, d->run[i].arch, err));
        for (int k = 0; k < FC_COMPARED_NUMBERS; k++)
            FC_TRY(isfinite(d->run[i].number[k])
                       ? fc_strbuf_addf(out, err, ",%.9g", d->run[i].number[k])
                       : fc_strbuf_add(out, ",", 1, err));
        FC_TRY(fc_strbuf_add(out, "\n", 1, err));
    }
    return FC_OK;
}

fc_drawing fc_compare_pareto(const fc_compare_data *d)
{
    return (fc_drawing){.name = "pareto",
                        .height = 236,
                        .draw = draw_pareto,
                        .csv = pareto_csv,
                        .ctx = d};
}

/* ---- curves ---- */

static const struct {
    fc_metric metric;
    const char *title;
    bool is_log;
} curves[] = {{FC_METRIC_TOTAL, "Total loss", true},
              {FC_METRIC_MSE, "Reconstruction error (MSE)", true},
              {FC_METRIC_L0, "Features per token (L0)", true},
              {FC_METRIC_DEAD, "Dead features", false}};

bool fc_compare_has_curves(const fc_compare_data *d)
{
    for (int64_t i = 0; i < d->n; i++)
        if (d->run[i].data.n_points > 1) return true;
    return false;
}

static void draw_curve(cairo_t *cr, fc_box box, const fc_compare_data *d, int k)
{
    fc_axes a = {.box = {box.x + 36, box.y + 16, box.w - 44, box.h - 46},
                 .is_log_y = curves[k].is_log,
                 .x1 = 1,
                 .y0 = HUGE_VAL,
                 .y1 = -HUGE_VAL,
                 .title = curves[k].title,
                 .x_label = "step"};
    for (int64_t i = 0; i < d->n; i++) {
        const fc_report_data *run = &d->run[i].data;
        double low, high;
        if (run->n_points < 2) continue;
        fc_figure_range(run->metric[FC_METRIC_STEP], run->n_points, false, &low, &high);
        a.x1 = fmax(a.x1, high);
        fc_figure_range(run->metric[curves[k].metric], run->n_points, a.is_log_y, &low,
                        &high);
        a.y0 = fmin(a.y0, low);
        a.y1 = fmax(a.y1, high);
    }
    if (!a.is_log_y) a.y0 = fmin(a.y0, 0);
    fc_nice_range(&a.y0, &a.y1, a.is_log_y);
    fc_axes_draw(cr, &a);
    for (int64_t i = 0; i < d->n; i++) {
        const fc_report_data *run = &d->run[i].data;
        if (run->n_points > 1)
            fc_chart_curve(cr, &a, run->metric[FC_METRIC_STEP],
                           run->metric[curves[k].metric], run->n_points, 1,
                           d->run[i].color);
    }
}

static void draw_curves(cairo_t *cr, fc_box box, const void *ctx)
{
    const fc_compare_data *d = ctx;
    const double gap = 14, head = 22, w = (box.w - gap) / 2, h = (box.h - head) / 2;
    fc_compare_legend(cr, box.x + 36, box.y + 8, box.w - 36, d);
    for (int k = 0; k < (int)FC_LEN(curves); k++) {
        const int line = k / 2, column = k % 2;
        draw_curve(
            cr, (fc_box){box.x + column * (w + gap), box.y + head + line * h, w, h - gap},
            d, k);
    }
}

static fc_status curves_csv(fc_strbuf *out, const void *ctx, fc_err *err)
{
    const fc_compare_data *d = ctx;
    FC_TRY(fc_strbuf_addf(out, err, "run,step,epoch,total,mse,l1,l0,dead,lr\n"));
    for (int64_t i = 0; i < d->n; i++)
        for (int64_t k = 0; k < d->run[i].data.n_points; k++) {
            FC_TRY(add_quoted(out, d->run[i].name, err));
            for (int m = 0; m < FC_N_METRICS; m++)
                FC_TRY(fc_strbuf_addf(out, err, ",%.9g", d->run[i].data.metric[m][k]));
            FC_TRY(fc_strbuf_add(out, "\n", 1, err));
        }
    return FC_OK;
}

fc_drawing fc_compare_curves(const fc_compare_data *d)
{
    return (fc_drawing){.name = "curves",
                        .height = 440,
                        .draw = draw_curves,
                        .csv = curves_csv,
                        .ctx = d};
}

/* ---- frequencies ---- */

static double lowest_frequency(const fc_compare_data *d)
{
    double low = 0.1;
    for (int64_t i = 0; i < d->n; i++)
        for (int64_t k = 0; k < d->run[i].data.n_features; k++) {
            const fc_feature *f = &d->run[i].data.feature[k];
            if (!f->is_dead && f->frequency > 0) low = fmin(low, f->frequency);
        }
    return pow(10, floor(log10(low)));
}

static void bin_frequencies(fc_bins *h, const fc_report_data *run, double low)
{
    fc_bins_log(h, low, 1);
    for (int64_t i = 0; i < run->n_features; i++)
        if (!run->feature[i].is_dead) fc_bins_add(h, run->feature[i].frequency, 1);
}

static void draw_frequencies(cairo_t *cr, fc_box box, const void *ctx)
{
    const fc_compare_data *d = ctx;
    const int64_t n_rows = (d->n + 1) / 2;
    const double gap = 14, w = (box.w - gap) / 2, h = box.h / (double)n_rows,
                 low = lowest_frequency(d);
    for (int64_t i = 0; i < d->n; i++) {
        const fc_compared *run = &d->run[i];
        const int64_t line = i / 2, column = i % 2;
        char live[32], note[64];
        fc_bins bins;
        bin_frequencies(&bins, &run->data, low);
        fc_axes a = {.box = {box.x + (double)column * (w + gap) + 36,
                             box.y + (double)line * h + 16, w - 44, h - 54},
                     .x0 = low,
                     .x1 = 1,
                     .y1 = fmax(bins.max, 1),
                     .is_log_x = true,
                     .x_label = line == n_rows - 1 || i + 2 >= d->n
                                    ? "share of tokens on which a feature fires"
                                    : NULL};
        fc_nice_range(&a.y0, &a.y1, false);
        fc_axes_draw(cr, &a);
        fc_chart_bars(cr, &a, bins.edge, bins.count, FC_FIGURE_BINS, run->color);
        fc_line_cut(cr, a.box.x, a.box.y - 7, a.box.w - 60, fc_type_chart, run->name);
        fc_format_count(live, run->data.n_live);
        snprintf(note, sizeof note, "%s live", live);
        fc_axes_note(cr, &a, note);
    }
}

static fc_status frequencies_csv(fc_strbuf *out, const void *ctx, fc_err *err)
{
    const fc_compare_data *d = ctx;
    const double low = lowest_frequency(d);
    FC_TRY(fc_strbuf_addf(out, err, "run,from,to,features\n"));
    for (int64_t i = 0; i < d->n; i++) {
        fc_bins bins;
        bin_frequencies(&bins, &d->run[i].data, low);
        for (int k = 0; k < FC_FIGURE_BINS; k++) {
            FC_TRY(add_quoted(out, d->run[i].name, err));
            FC_TRY(fc_strbuf_addf(out, err, ",%.6g,%.6g,%.0f\n", bins.edge[k],
                                  bins.edge[k + 1], bins.count[k]));
        }
    }
    return FC_OK;
}

fc_drawing fc_compare_frequencies(const fc_compare_data *d)
{
    const int64_t n_rows = (d->n + 1) / 2;
    return (fc_drawing){.name = "frequencies",
                        .height = (double)n_rows * (n_rows > 2 ? 150 : 190),
                        .draw = draw_frequencies,
                        .csv = frequencies_csv,
                        .ctx = d};
}

/* ---- concepts ---- */

enum { CONCEPT_ROW = 12, CONCEPT_HEAD = 30, CONCEPT_NAME = 130 };

/* One line a concept, a dot a run: how far apart they are, and where. */
static void draw_concepts(cairo_t *cr, fc_box box, const void *ctx)
{
    const fc_compare_data *d = ctx;
    const fc_axes a = {.box = {box.x + CONCEPT_NAME, box.y + CONCEPT_HEAD,
                               box.w - CONCEPT_NAME - 8,
                               (double)d->n_concepts * CONCEPT_ROW},
                       .x1 = 1,
                       .y1 = 1,
                       .is_bare = true};
    fc_compare_legend(cr, box.x + CONCEPT_NAME, box.y + 8, box.w - CONCEPT_NAME, d);
    for (int tenth = 0; tenth <= 10; tenth += 2) {
        char text[16];
        const double x = fc_axes_x(&a, tenth / 10.0);
        fc_color(cr, FC_GRID, 1);
        cairo_set_line_width(cr, 0.45);
        cairo_move_to(cr, x, a.box.y);
        cairo_rel_line_to(cr, 0, a.box.h);
        cairo_stroke(cr);
        snprintf(text, sizeof text, "%.1f", tenth / 10.0);
        fc_text(cr, x, a.box.y - 3, FC_CENTER, FC_BASELINE, fc_type_tick, text);
    }
    for (int64_t i = 0; i < d->n_concepts; i++) {
        const fc_compared_concept *c = &d->concept[i];
        const double y = a.box.y + ((double)i + 0.5) * CONCEPT_ROW;
        double low = 1, high = 0;
        char name[128];
        fc_display_name(name, sizeof name, c->name);
        fc_line_cut(cr, box.x, y + 2.6, CONCEPT_NAME - 10, fc_type_small, name);
        for (int64_t k = 0; k < d->n; k++) {
            if (c->best[k].feature < 0) continue;
            low = fmin(low, c->best[k].f1);
            high = fmax(high, c->best[k].f1);
        }
        if (high > low) {
            fc_color(cr, 0xd4d7db, 1);
            cairo_set_line_width(cr, 1.6);
            cairo_move_to(cr, fc_axes_x(&a, low), y);
            cairo_line_to(cr, fc_axes_x(&a, high), y);
            cairo_stroke(cr);
        }
        for (int64_t k = 0; k < d->n; k++)
            if (c->best[k].feature >= 0)
                dot(cr, fc_axes_x(&a, c->best[k].f1), y, 3, d->run[k].color);
    }
}

static fc_status concepts_csv(fc_strbuf *out, const void *ctx, fc_err *err)
{
    const fc_compare_data *d = ctx;
    FC_TRY(fc_strbuf_addf(out, err, "concept,run,feature,f1\n"));
    for (int64_t i = 0; i < d->n_concepts; i++)
        for (int64_t k = 0; k < d->n; k++) {
            if (d->concept[i].best[k].feature < 0) continue;
            FC_TRY(add_quoted(out, d->concept[i].name, err));
            FC_TRY(fc_strbuf_add(out, ",", 1, err));
            FC_TRY(add_quoted(out, d->run[k].name, err));
            FC_TRY(fc_strbuf_addf(out, err, ",%" PRId64 ",%.6g\n",
                                  d->concept[i].best[k].feature,
                                  d->concept[i].best[k].f1));
        }
    return FC_OK;
}

fc_drawing fc_compare_concepts(const fc_compare_data *d)
{
    return (fc_drawing){.name = "concepts",
                        .height = CONCEPT_HEAD + CONCEPT_ROW * (double)d->n_concepts + 24,
                        .draw = draw_concepts,
                        .csv = concepts_csv,
                        .ctx = d};
}
