/* emoji.c - show a layout run by run: text as text, colour emoji as images of 96 pixels per em.
 *
 * Cairo 1.16 writes colour glyphs into a PDF as Type 3 bitmaps of 12 x 12 pixels, which blur. An
 * image is drawn anew for each occurrence, but carries a name made of font and glyph
 * (CAIRO_MIME_TYPE_UNIQUE_ID), so the document holds each picture once and no cache is needed.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <string.h>

#include "report/draw.h"

enum { EM = 96, SIZE = 144, ORIGIN_X = 10, ORIGIN_Y = 106 };

static bool is_emoji_run(const PangoLayoutRun *run)
{
    if (run->item->analysis.font == NULL) return false;
    PangoFontDescription *font = pango_font_describe(run->item->analysis.font);
    const char *family = pango_font_description_get_family(font);
    const bool is_emoji = family != NULL && strstr(family, "Emoji") != NULL;
    pango_font_description_free(font);
    return is_emoji;
}

static bool has_emoji(PangoLayout *layout)
{
    bool has = false;
    PangoLayoutIter *iter = pango_layout_get_iter(layout);
    do {
        const PangoLayoutRun *run = pango_layout_iter_get_run_readonly(iter);
        has = run != NULL && is_emoji_run(run);
    } while (!has && pango_layout_iter_next_run(iter));
    pango_layout_iter_free(iter);
    return has;
}

static cairo_surface_t *make_image(cairo_scaled_font_t *font, unsigned long glyph,
                                   const char *family)
{
    cairo_surface_t *image = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, SIZE, SIZE);
    cairo_t *cr = cairo_create(image);
    const cairo_glyph_t placed = {glyph, ORIGIN_X, ORIGIN_Y};
    cairo_set_font_face(cr, cairo_scaled_font_get_font_face(font));
    cairo_set_font_size(cr, EM);
    cairo_show_glyphs(cr, &placed, 1);
    cairo_destroy(cr);
    char *id = g_strdup_printf("%s-%lu", family, glyph);
    if (cairo_surface_set_mime_data(image, CAIRO_MIME_TYPE_UNIQUE_ID,
                                    (const unsigned char *)id, strlen(id), g_free,
                                    id) != CAIRO_STATUS_SUCCESS)
        g_free(id);
    return image;
}

static void paint_image(cairo_t *cr, cairo_surface_t *image, double x, double y,
                        double size)
{
    cairo_save(cr);
    cairo_translate(cr, x, y);
    cairo_scale(cr, size / EM, size / EM);
    cairo_set_source_surface(cr, image, -ORIGIN_X, -ORIGIN_Y);
    cairo_pattern_set_filter(cairo_get_source(cr), CAIRO_FILTER_GOOD);
    cairo_paint(cr);
    cairo_restore(cr);
}

/* size: of the text around, since a bitmap font only knows its own. */
static void show_emoji(cairo_t *cr, const PangoLayoutRun *run, double x, double y,
                       double size)
{
    PangoFont *font = run->item->analysis.font;
    PangoFontDescription *description = pango_font_describe(font);
    cairo_scaled_font_t *scaled =
        pango_cairo_font_get_scaled_font((PangoCairoFont *)font);
    for (int i = 0; i < run->glyphs->num_glyphs && scaled != NULL; i++) {
        const PangoGlyphInfo *glyph = &run->glyphs->glyphs[i];
        const bool is_drawn = glyph->glyph != PANGO_GLYPH_EMPTY &&
                              (glyph->glyph & PANGO_GLYPH_UNKNOWN_FLAG) == 0;
        if (is_drawn) {
            cairo_surface_t *image = make_image(
                scaled, glyph->glyph, pango_font_description_get_family(description));
            paint_image(cr, image, x + (double)glyph->geometry.x_offset / PANGO_SCALE,
                        y + (double)glyph->geometry.y_offset / PANGO_SCALE, size);
            cairo_surface_destroy(image);
        }
        x += (double)glyph->geometry.width / PANGO_SCALE;
    }
    pango_font_description_free(description);
}

/* The run's own foreground, if it has one; pango_cairo_show_glyph_item does not look. */
static void set_color(cairo_t *cr, const PangoLayoutRun *run, uint32_t color)
{
    fc_color(cr, color, 1);
    for (const GSList *p = run->item->analysis.extra_attrs; p != NULL; p = p->next) {
        const PangoAttribute *attribute = p->data;
        if (attribute->klass->type != PANGO_ATTR_FOREGROUND) continue;
        const PangoColor c = ((const PangoAttrColor *)p->data)->color;
        cairo_set_source_rgb(cr, c.red / 65535.0, c.green / 65535.0, c.blue / 65535.0);
    }
}

static void show_runs(cairo_t *cr, PangoLayout *layout, double x, double y,
                      uint32_t color)
{
    const PangoFontDescription *font = pango_layout_get_font_description(layout);
    const double size = (double)pango_font_description_get_size(font) / PANGO_SCALE;
    PangoLayoutIter *iter = pango_layout_get_iter(layout);
    do {
        PangoLayoutRun *run = pango_layout_iter_get_run_readonly(iter);
        PangoRectangle box;
        if (run == NULL) continue; /* the end of a line */
        pango_layout_iter_get_run_extents(iter, NULL, &box);
        const double left = x + (double)box.x / PANGO_SCALE;
        const double baseline =
            y + (double)pango_layout_iter_get_baseline(iter) / PANGO_SCALE;
        if (is_emoji_run(run)) {
            show_emoji(cr, run, left, baseline, size);
            continue;
        }
        set_color(cr, run, color);
        cairo_move_to(cr, left, baseline);
        pango_cairo_show_glyph_item(cr, pango_layout_get_text(layout), run);
    } while (pango_layout_iter_next_run(iter));
    pango_layout_iter_free(iter);
}

void fc_layout_show(cairo_t *cr, PangoLayout *layout, double x, double y, uint32_t color)
{
    if (has_emoji(layout)) {
        show_runs(cr, layout, x, y, color);
        return;
    }
    fc_color(cr, color, 1);
    cairo_move_to(cr, x, y);
    pango_cairo_show_layout(cr, layout);
}
