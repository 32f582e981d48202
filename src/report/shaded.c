/* shaded.c - rounded boxes from Pango's own line geometry, so that bidi, wrapping and joining hold.
 *
 * Pango's background attribute would fill whole lines, cover the leading space and touch its
 * neighbours; boxes of 0.93 em above and 0.27 em below the baseline do not.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/shaded.h"

#include <math.h>

static const double above = 0.93, below = 0.27, radius = 1.6, spacing = 1.5;
static const uint32_t steps[] = {0xffffff, 0xfeebcf, 0xfdc98b,
                                 0xfc9553, 0xe2492f, 0xa50f15};
static const double white_text_from = 0.75;

fc_rgb fc_shade(double a, double max)
{
    const double t = max > 0 ? fmin(1, fmax(0, a / max)) : 0,
                 at = t * (FC_LEN(steps) - 1);
    const size_t i = at < (double)(FC_LEN(steps) - 2) ? (size_t)at : FC_LEN(steps) - 2;
    const fc_rgb p = fc_rgb_of(steps[i]), q = fc_rgb_of(steps[i + 1]);
    const double f = at - (double)i;
    return (fc_rgb){p.r + (q.r - p.r) * f, p.g + (q.g - p.g) * f, p.b + (q.b - p.b) * f};
}

static void rounded(cairo_t *cr, double x, double y, double w, double h)
{
    const double r = fmin(radius, fmin(w, h) / 2);
    cairo_new_sub_path(cr);
    cairo_arc(cr, x + w - r, y + r, r, -G_PI / 2, 0);
    cairo_arc(cr, x + w - r, y + h - r, r, 0, G_PI / 2);
    cairo_arc(cr, x + r, y + h - r, r, G_PI / 2, G_PI);
    cairo_arc(cr, x + r, y + r, r, G_PI, 3 * G_PI / 2);
    cairo_close_path(cr);
}

/* White letters on dark boxes. */
static PangoAttrList *letter_colors(const fc_display *d, double max)
{
    PangoAttrList *list = pango_attr_list_new();
    for (int64_t i = 0; i < d->n_spans; i++) {
        if (!((double)d->span[i].activation > white_text_from * max)) continue;
        PangoAttribute *white = pango_attr_foreground_new(0xffff, 0xffff, 0xffff);
        white->start_index = (guint)d->span[i].begin;
        white->end_index = (guint)d->span[i].end;
        pango_attr_list_insert(list, white);
    }
    return list;
}

static void box_of_span(cairo_t *cr, PangoLayoutLine *line, double x, double baseline,
                        const fc_span *span, const char *text, double max, bool is_peak)
{
    int *range, n, begin = span->begin;
    if (text[begin] == ' ' && begin + 1 < span->end) begin++;
    const double size = fc_type_body.size;
    pango_layout_line_get_x_ranges(line, begin, span->end, &range, &n);
    for (int i = 0; i < n; i++) {
        const double x0 = x + (double)range[2 * i] / PANGO_SCALE,
                     x1 = x + (double)range[2 * i + 1] / PANGO_SCALE;
        if (x1 - x0 < 0.01) continue;
        const fc_rgb c = fc_shade(span->activation, max);
        rounded(cr, x0 - 0.4, baseline - above * size, x1 - x0 + 0.8,
                (above + below) * size);
        cairo_set_source_rgb(cr, c.r, c.g, c.b);
        cairo_fill_preserve(cr);
        if (is_peak) {
            fc_color(cr, 0x7a0a10, 1);
            cairo_set_line_width(cr, 0.7);
            cairo_stroke(cr);
        }
        cairo_new_path(cr);
    }
    g_free(range);
}

static void draw_boxes(cairo_t *cr, PangoLayout *layout, double x, double y,
                       const fc_display *d, double max, int64_t peak)
{
    PangoLayoutIter *iter = pango_layout_get_iter(layout);
    do {
        PangoLayoutLine *line = pango_layout_iter_get_line_readonly(iter);
        const double baseline =
            y + (double)pango_layout_iter_get_baseline(iter) / PANGO_SCALE;
        const int begin = line->start_index, end = begin + line->length;
        for (int64_t i = 0; i < d->n_spans; i++) {
            fc_span span = d->span[i];
            if (!(span.activation > 0) || span.end <= begin || span.begin >= end)
                continue;
            span.begin = (int)fmax(span.begin, begin);
            span.end = (int)fmin(span.end, end);
            box_of_span(cr, line, x, baseline, &span, fc_strbuf_text(&d->text), max,
                        d->span[i].token == peak);
        }
    } while (pango_layout_iter_next_line(iter));
    pango_layout_iter_free(iter);
}

double fc_shaded_text(cairo_t *cr, double x, double y, double width, const fc_display *d,
                      double max, int64_t peak, bool is_measured_only)
{
    int height;
    PangoLayout *layout = fc_layout_new(cr, fc_type_body);
    PangoAttrList *letters = letter_colors(d, max);
    pango_layout_set_width(layout, (int)(width * PANGO_SCALE));
    pango_layout_set_wrap(layout, PANGO_WRAP_WORD_CHAR);
    pango_layout_set_line_spacing(layout, (float)spacing);
    pango_layout_set_text(layout, fc_strbuf_text(&d->text), -1);
    pango_layout_set_attributes(layout, letters);
    pango_attr_list_unref(letters);
    pango_layout_get_size(layout, NULL, &height);
    if (!is_measured_only) {
        draw_boxes(cr, layout, x, y, d, max, peak);
        fc_color(cr, FC_INK, 1);
        cairo_move_to(cr, x, y);
        pango_cairo_show_layout(cr, layout);
    }
    g_object_unref(layout);
    return (double)height / PANGO_SCALE;
}
