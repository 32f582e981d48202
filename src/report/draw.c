/* draw.c - Pango on Cairo with the settings that make text even at any size.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/draw.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "report/fonts.h"

const fc_type fc_type_title = {20, 700, FC_INK, false};
const fc_type fc_type_section = {13, 700, FC_INK, false};
const fc_type fc_type_body = {9.2, 400, FC_INK, false};
const fc_type fc_type_strong = {9.2, 600, FC_INK, false};
const fc_type fc_type_small = {8, 400, FC_SECONDARY, false};
const fc_type fc_type_token = {8.4, 400, FC_INK, false};
const fc_type fc_type_number = {8, 400, FC_INK, true};
const fc_type fc_type_faint = {7.2, 400, FC_FAINT, false};
const fc_type fc_type_tick = {7.2, 400, FC_INK, false};
const fc_type fc_type_axis = {7.6, 400, FC_SECONDARY, false};
const fc_type fc_type_chart = {9, 600, FC_INK, false};

static const double line_spacing = 1.28, corner_radius = 1.6;

void fc_color(cairo_t *cr, uint32_t color, double alpha)
{
    const fc_rgb c = fc_rgb_of(color);
    cairo_set_source_rgba(cr, c.r, c.g, c.b, alpha);
}

/* The options are those of the context, so a layout made from it needs no more. */
static void set_up_context(PangoContext *context)
{
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    pango_cairo_context_set_font_options(context, options);
    cairo_font_options_destroy(options);
    pango_cairo_context_set_resolution(context, 72);
    pango_context_set_round_glyph_positions(context, FALSE);
    pango_context_set_language(context, pango_language_from_string("en"));
}

static PangoLayout *new_layout(cairo_t *cr, fc_type type, const char *families)
{
    PangoLayout *layout = pango_cairo_create_layout(cr);
    set_up_context(pango_layout_get_context(layout));
    PangoFontDescription *font = pango_font_description_new();
    pango_font_description_set_family_static(font, families);
    pango_font_description_set_size(font, (int)lround(type.size * PANGO_SCALE));
    pango_font_description_set_weight(font, (PangoWeight)type.weight);
    pango_layout_set_font_description(layout, font);
    pango_font_description_free(font);
    if (type.is_tabular) {
        PangoAttrList *list = pango_attr_list_new();
        pango_attr_list_insert(list, pango_attr_font_features_new("tnum=1"));
        pango_layout_set_attributes(layout, list);
        pango_attr_list_unref(list);
    }
    pango_layout_context_changed(layout);
    return layout;
}

PangoLayout *fc_layout_new(cairo_t *cr, fc_type type, const char *text)
{
    FC_ASSERT(g_utf8_validate(text, -1, NULL));
    PangoLayout *layout = new_layout(cr, type, fc_font_families(text));
    pango_layout_set_text(layout, text, -1);
    return layout;
}

double fc_layout_width(PangoLayout *layout)
{
    int w;
    pango_layout_get_size(layout, &w, NULL);
    return (double)w / PANGO_SCALE;
}

static double show(cairo_t *cr, PangoLayout *layout, double x, double y, fc_align align,
                   fc_valign valign, double angle, uint32_t color)
{
    int w, h;
    pango_layout_get_size(layout, &w, &h);
    const double width = (double)w / PANGO_SCALE, height = (double)h / PANGO_SCALE;
    const double baseline = (double)pango_layout_get_baseline(layout) / PANGO_SCALE;
    const double dx[] = {0, -width / 2, -width};
    const double dy[] = {0, -height / 2, -height, -baseline};
    cairo_save(cr);
    cairo_translate(cr, x, y);
    if (angle != 0) cairo_rotate(cr, angle);
    fc_layout_show(cr, layout, dx[align], dy[valign], color);
    cairo_restore(cr);
    g_object_unref(layout);
    return width;
}

double fc_text(cairo_t *cr, double x, double y, fc_align align, fc_valign valign,
               fc_type type, const char *text)
{
    return show(cr, fc_layout_new(cr, type, text), x, y, align, valign, 0, type.color);
}

double fc_markup(cairo_t *cr, double x, double y, fc_align align, fc_valign valign,
                 double angle, fc_type type, const char *markup)
{
    PangoLayout *layout = new_layout(cr, type, fc_font_families(markup));
    pango_layout_set_markup(layout, markup, -1);
    return show(cr, layout, x, y, align, valign, angle, type.color);
}

double fc_paragraph(cairo_t *cr, double x, double y, double width, fc_type type,
                    int max_lines, bool is_measured_only, const char *text)
{
    int h;
    PangoLayout *layout = fc_layout_new(cr, type, text);
    pango_layout_set_width(layout, (int)(width * PANGO_SCALE));
    pango_layout_set_wrap(layout, PANGO_WRAP_WORD_CHAR);
    pango_layout_set_line_spacing(layout, (float)line_spacing);
    if (max_lines > 0) {
        pango_layout_set_height(layout, -max_lines);
        pango_layout_set_ellipsize(layout, PANGO_ELLIPSIZE_END);
    }
    pango_layout_get_size(layout, NULL, &h);
    if (!is_measured_only) fc_layout_show(cr, layout, x, y, type.color);
    g_object_unref(layout);
    return (double)h / PANGO_SCALE;
}

void fc_line_cut(cairo_t *cr, double x, double baseline, double width, fc_type type,
                 const char *text)
{
    PangoLayout *layout = fc_layout_new(cr, type, text);
    pango_layout_set_width(layout, (int)(width * PANGO_SCALE));
    pango_layout_set_ellipsize(layout, PANGO_ELLIPSIZE_END);
    fc_layout_show(cr, layout, x,
                   baseline - (double)pango_layout_get_baseline(layout) / PANGO_SCALE,
                   type.color);
    g_object_unref(layout);
}

void fc_rounded(cairo_t *cr, double x, double y, double w, double h)
{
    const double r = fmin(corner_radius, fmin(w, h) / 2);
    cairo_new_sub_path(cr);
    cairo_arc(cr, x + w - r, y + r, r, -G_PI / 2, 0);
    cairo_arc(cr, x + w - r, y + h - r, r, 0, G_PI / 2);
    cairo_arc(cr, x + r, y + h - r, r, G_PI / 2, G_PI);
    cairo_arc(cr, x + r, y + r, r, G_PI, 3 * G_PI / 2);
    cairo_close_path(cr);
}

void fc_rule(cairo_t *cr, double x, double y, double width)
{
    fc_color(cr, FC_GRID, 1);
    cairo_set_line_width(cr, 0.6);
    cairo_move_to(cr, x, y);
    cairo_rel_line_to(cr, width, 0);
    cairo_stroke(cr);
}

void fc_format_count(char out[32], int64_t n)
{
    char digits[24];
    const int length = snprintf(digits, sizeof digits, "%" PRId64, n < 0 ? -n : n);
    int at = 0;
    if (n < 0) at += snprintf(out, 8, "\u2212");
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = 0;
}

void fc_format_value(char out[32], double x, int digits)
{
    char plain[32];
    if (!isfinite(x)) {
        snprintf(out, 32, "%s", "\u2013");
        return;
    }
    snprintf(plain, sizeof plain, "%.*g", digits, x);
    char *exponent = strchr(plain, 'e');
    if (exponent) {
        const int e = (int)strtol(exponent + 1, NULL, 10);
        *exponent = 0;
        snprintf(out, 32, "%.12se%s%d", plain[0] == '-' ? plain + 1 : plain,
                 e < 0 ? "\u2212" : "", e < 0 ? -e : e);
        return;
    }
    snprintf(out, 32, "%s%.20s", plain[0] == '-' ? "\u2212" : "",
             plain[0] == '-' ? plain + 1 : plain);
}

void fc_format_like(char out[32], double x, double scale)
{
    const double digits = scale > 0 && isfinite(scale) ? floor(log10(scale)) : 0;
    if (!isfinite(x) || digits < -4 || digits > 6)
        fc_format_value(out, x, 3);
    else
        snprintf(out, 32, "%s%.*f", x < 0 ? "\u2212" : "",
                 digits < 2 ? 2 - (int)digits : 0, fabs(x));
}

void fc_format_percent(char out[32], double share)
{
    const double p = 100 * fabs(share);
    const char *sign = share < 0 ? "\u2212" : "";
    if (!isfinite(share))
        snprintf(out, 32, "%s", "\u2013");
    else if (p < 1e6 && (p >= 9.95 || p == 0))
        snprintf(out, 32, "%s%.0f\u00a0%%", sign, p);
    else if (p < 1e6 && p >= 0.995)
        snprintf(out, 32, "%s%.1f\u00a0%%", sign, p);
    else if (p < 1e6 && p >= 0.01)
        snprintf(out, 32, "%s%.2f\u00a0%%", sign, p);
    else /* too small or too large for places */
        snprintf(out, 32, "%s%.1g\u00a0%%", sign, p);
}
