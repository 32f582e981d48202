/* draw.h - text and strokes on a Cairo context, in points, the same for PDF, PNG and SVG.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_DRAW_H
#define FC_REPORT_DRAW_H

#include <pango/pangocairo.h>

#include "report/colormap.h"

/* Families in order of preference. The emoji font is never named: digits would become emoji. */
#define FC_FONT_FAMILIES                                                                \
    "Inter, Noto Sans, Noto Sans Arabic, Noto Sans Hebrew, Noto Sans Devanagari, Noto " \
    "Sans Thai, "                                                                       \
    "Noto Sans CJK SC, Droid Sans Fallback, DejaVu Sans, sans"

typedef struct fc_type { /* a text style */
    double size;         /* points */
    int weight;          /* 400 regular, 600 semibold, 700 bold */
    uint32_t color;
} fc_type;

extern const fc_type fc_type_title, fc_type_section, fc_type_body, fc_type_small,
    fc_type_faint, fc_type_tick, fc_type_axis, fc_type_chart, fc_type_strong;

typedef enum fc_align { FC_LEFT, FC_CENTER, FC_RIGHT } fc_align;
typedef enum fc_valign { FC_TOP, FC_MIDDLE, FC_BOTTOM, FC_BASELINE } fc_valign;

void fc_color(cairo_t *cr, uint32_t color, double alpha);

/* A layout set up for even spacing: 1 unit = 1 point, no hinting, no rounding to whole units.
 * Free with g_object_unref. */
PangoLayout *fc_layout_new(cairo_t *cr, fc_type type);

/* One line of plain text, or of Pango markup; returns its width. */
double fc_text(cairo_t *cr, double x, double y, fc_align align, fc_valign valign,
               fc_type type, const char *text);
double fc_markup(cairo_t *cr, double x, double y, fc_align align, fc_valign valign,
                 double angle, fc_type type, const char *markup);

/* A paragraph of at most `width`; at most max_lines lines (0: any number), the last with an ellipsis.
 * Returns its height. Draws nothing when is_measured_only. */
double fc_paragraph(cairo_t *cr, double x, double y, double width, fc_type type,
                    int max_lines, int is_measured_only, const char *text);

/* Numbers as people read them: 12,345; 0.0123; 1.2e−5 as 1.2 × 10^−5 stays plain text "1.2e−5". */
void fc_format_count(char out[32], int64_t n);
void fc_format_value(char out[32], double x, int digits);
void fc_format_percent(char out[32], double share); /* 0.0012 -> "0.12 %" */

#endif
