/* shaded.c - one line of shaded tokens: what fits around the peak, with rounded boxes from Pango's
 * own line geometry, so that bidi and joined letters hold.
 *
 * Pango's background attribute would fill whole lines, cover the leading space and touch its
 * neighbours; boxes of 0.93 em above and 0.27 em below the baseline do not.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/shaded.h"

#include <math.h>
#include <stdio.h>

static const double above = 0.93, below = 0.27, narrowest = 3.6;
static const uint32_t steps[] = {0xffffff, 0xfeebcf, 0xfdc98b,
                                 0xfc9553, 0xe2492f, 0xa50f15};
static const double white_text_from = 0.75;

fc_rgb fc_shade(double a, double max)
{
    const size_t last = FC_LEN(steps) - 1;
    const double t = max > 0 ? fmin(1, fmax(0, a / max)) : 0, at = t * (double)last;
    const size_t i = at < (double)(last - 1) ? (size_t)at : last - 1;
    const fc_rgb p = fc_rgb_of(steps[i]), q = fc_rgb_of(steps[i + 1]);
    const double f = at - (double)i;
    return (fc_rgb){p.r + (q.r - p.r) * f, p.g + (q.g - p.g) * f, p.b + (q.b - p.b) * f};
}

/* ---- what fits ---- */

/* The spans shown, and where in the shown text each begins: span[i] - shift. */
typedef struct part {
    int64_t first, last;
    int shift;
    const char *text;
} part;

static void measure_spans(PangoLayout *layout, fc_display *d)
{
    PangoLayoutLine *line = pango_layout_get_line_readonly(layout, 0);
    for (int64_t i = 0; i < d->n_spans; i++) {
        int *range, n;
        d->span[i].width = 0;
        pango_layout_line_get_x_ranges(line, d->span[i].begin, d->span[i].end, &range,
                                       &n);
        for (int k = 0; k < n; k++)
            d->span[i].width += (double)(range[2 * k + 1] - range[2 * k]) / PANGO_SCALE;
        g_free(range);
    }
}

/* The span of the peak, or the last one before it: its characters may belong to another token. */
static int64_t find_peak(const fc_display *d, int64_t peak)
{
    int64_t found = 0;
    for (int64_t i = 0; i < d->n_spans; i++)
        if (d->span[i].token <= peak) found = i;
    return found;
}

/* Drops tokens from the ends until the rest fits. What comes before the peak is what made it fire,
 * so it is kept twice as wide as what comes after. */
static part choose_part(const fc_display *d, int64_t peak, double width)
{
    const double ellipsis = 16;
    const int64_t at = find_peak(d, peak);
    part p = {0, d->n_spans - 1, 0, NULL};
    double before = 0, after = 0;
    for (int64_t i = 0; i < at; i++) before += d->span[i].width;
    for (int64_t i = at + 1; i < d->n_spans; i++) after += d->span[i].width;
    double room = width - d->span[at].width;
    if (before + after > room) room -= ellipsis;
    while (before + after > room && (p.first < at || p.last > at)) {
        if (p.first == at || (p.last > at && 2 * after > before))
            after -= d->span[p.last--].width;
        else
            before -= d->span[p.first++].width;
    }
    return p;
}

static fc_status cut_text(part *p, const fc_display *d, fc_strbuf *out, fc_err *err)
{
    const char *text = fc_strbuf_text(&d->text);
    int begin = d->span[p->first].begin;
    if (text[begin] == ' ' && begin + 1 < d->span[p->first].end) begin++;
    fc_strbuf_clear(out);
    if (p->first > 0) FC_TRY(fc_strbuf_add(out, "\u2026 ", 4, err));
    p->shift = begin - (int)out->n;
    FC_TRY(fc_strbuf_add(out, text + begin, d->span[p->last].end - begin, err));
    if (p->last + 1 < d->n_spans) FC_TRY(fc_strbuf_add(out, " \u2026", 4, err));
    p->text = fc_strbuf_text(out);
    return FC_OK;
}

/* ---- drawing ---- */

/* White letters on dark boxes. */
static void color_letters(PangoLayout *layout, const fc_display *d, const part *p,
                          double max)
{
    PangoAttrList *list = pango_attr_list_new();
    for (int64_t i = p->first; i <= p->last; i++) {
        if (!((double)d->span[i].activation > white_text_from * max)) continue;
        PangoAttribute *white = pango_attr_foreground_new(0xffff, 0xffff, 0xffff);
        white->start_index = (guint)MAX(d->span[i].begin - p->shift, 0);
        white->end_index = (guint)(d->span[i].end - p->shift);
        pango_attr_list_insert(list, white);
    }
    pango_layout_set_attributes(layout, list);
    pango_attr_list_unref(list);
}

static void draw_box(cairo_t *cr, PangoLayoutLine *line, double x, double baseline,
                     const fc_span *span, const part *p, fc_rgb color, bool is_peak)
{
    int *range, n, begin = MAX(span->begin - p->shift, 0);
    const int end = span->end - p->shift;
    const double size = fc_type_body.size;
    if (p->text[begin] == ' ' && begin + 1 < end) begin++;
    pango_layout_line_get_x_ranges(line, begin, end, &range, &n);
    for (int i = 0; i < n; i++) {
        const double x0 = x + (double)range[2 * i] / PANGO_SCALE,
                     x1 = x + (double)range[2 * i + 1] / PANGO_SCALE;
        const double pad = fmax(0.4, (narrowest - (x1 - x0)) / 2); /* a full stop, too */
        if (x1 - x0 < 0.01) continue;
        fc_rounded(cr, x0 - pad, baseline - above * size, x1 - x0 + 2 * pad,
                   (above + below) * size);
        cairo_set_source_rgb(cr, color.r, color.g, color.b);
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

static void draw_part(cairo_t *cr, double x, double baseline, double width,
                      const fc_display *d, const part *p, double max, int64_t peak)
{
    PangoLayout *layout = fc_layout_new(cr, fc_type_body, p->text);
    pango_layout_set_single_paragraph_mode(layout, TRUE);
    color_letters(layout, d, p, max);
    if (fc_layout_width(layout) > width) {
        pango_layout_set_width(layout, (int)(width * PANGO_SCALE));
        pango_layout_set_ellipsize(layout, PANGO_ELLIPSIZE_END);
    }
    PangoLayoutLine *line = pango_layout_get_line_readonly(layout, 0);
    for (int is_peak = 0; is_peak < 2; is_peak++) /* last, so that its outline is whole */
        for (int64_t i = p->first; i <= p->last; i++) {
            const fc_span *span = &d->span[i];
            if ((span->token == peak) == is_peak && (span->activation > 0 || is_peak))
                draw_box(cr, line, x, baseline, span, p,
                         fc_shade((double)span->activation, max), is_peak);
        }
    fc_layout_show(cr, layout, x,
                   baseline - (double)pango_layout_get_baseline(layout) / PANGO_SCALE,
                   FC_INK);
    g_object_unref(layout);
}

fc_status fc_shaded_line(cairo_t *cr, double x, double baseline, double width,
                         fc_display *d, double max, int64_t peak, fc_err *err)
{
    fc_strbuf text = {0};
    if (d->n_spans == 0) {
        fc_line_cut(cr, x, baseline, width, fc_type_faint,
                    "the text of these tokens is not known");
        return FC_OK;
    }
    PangoLayout *layout = fc_layout_new(cr, fc_type_body, fc_strbuf_text(&d->text));
    pango_layout_set_single_paragraph_mode(layout, TRUE);
    measure_spans(layout, d);
    g_object_unref(layout);
    part p = choose_part(d, peak, width);
    const fc_status status = cut_text(&p, d, &text, err);
    if (status == FC_OK) draw_part(cr, x, baseline, width, d, &p, max, peak);
    fc_strbuf_free(&text);
    return status;
}

/* ---- tokens in lists ---- */

/* Leading spaces as U+2581, *n_marked bytes of them. */
static fc_status mark_spaces(fc_strbuf *text, const char *bytes, int64_t n_bytes,
                             int64_t *n_marked, fc_err *err)
{
    int64_t n = 0;
    for (; n < n_bytes && bytes[n] == ' '; n++)
        FC_TRY(fc_strbuf_add(text, "\u2581", 3, err));
    *n_marked = text->n;
    return fc_display_text(text, bytes + n, n_bytes - n, err);
}

static void draw_label(cairo_t *cr, double x, double baseline, double width,
                       const char *text, int64_t n_faint)
{
    PangoLayout *layout = fc_layout_new(cr, fc_type_token, text);
    PangoAttrList *list = pango_attr_list_new();
    PangoAttribute *faint = pango_attr_foreground_new(0xb4b4, 0xb4b4, 0xb8b8);
    faint->start_index = 0;
    faint->end_index = (guint)n_faint;
    pango_attr_list_insert(list, faint);
    pango_layout_set_attributes(layout, list);
    pango_attr_list_unref(list);
    pango_layout_set_auto_dir(layout, FALSE); /* a list stays at the left */
    pango_layout_set_width(layout, (int)(width * PANGO_SCALE));
    pango_layout_set_ellipsize(layout, PANGO_ELLIPSIZE_END);
    fc_layout_show(cr, layout, x,
                   baseline - (double)pango_layout_get_baseline(layout) / PANGO_SCALE,
                   FC_INK);
    g_object_unref(layout);
}

fc_status fc_token_label(cairo_t *cr, double x, double baseline, double width, int32_t id,
                         const char *bytes, int64_t n_bytes, fc_err *err)
{
    if (n_bytes == 0) {
        char number[32];
        fc_type type = fc_type_token;
        type.color = FC_SECONDARY;
        snprintf(number, sizeof number, "token %d", (int)id);
        fc_line_cut(cr, x, baseline, width, type, number);
        return FC_OK;
    }
    fc_strbuf text = {0};
    int64_t n_marked = 0;
    const int64_t n = fc_display_cut(bytes, n_bytes);
    fc_status status = mark_spaces(&text, bytes, n, &n_marked, err);
    if (status == FC_OK && n < n_bytes) status = fc_strbuf_add(&text, "\u2026", 3, err);
    if (status == FC_OK)
        draw_label(cr, x, baseline, width, fc_strbuf_text(&text), n_marked);
    fc_strbuf_free(&text);
    return status;
}
