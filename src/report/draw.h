/* draw.h - text and strokes on a Cairo context, in points, the same for PDF, PNG and SVG.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_DRAW_H
#define FC_REPORT_DRAW_H

#include <pango/pangocairo.h>
#include <stdbool.h>

#include "report/colormap.h"

typedef struct fc_type { /* a text style */
    double size;         /* points */
    int weight;          /* 400 regular, 600 semibold, 700 bold */
    uint32_t color;
    bool is_tabular; /* all digits equally wide, for columns of numbers */
} fc_type;

extern const fc_type fc_type_title, fc_type_section, fc_type_body, fc_type_small,
    fc_type_faint, fc_type_tick, fc_type_axis, fc_type_chart, fc_type_strong,
    fc_type_token,  /* of a list */
    fc_type_number; /* of a table */

typedef enum fc_align { FC_LEFT, FC_CENTER, FC_RIGHT } fc_align;
typedef enum fc_valign { FC_TOP, FC_MIDDLE, FC_BOTTOM, FC_BASELINE } fc_valign;

void fc_color(cairo_t *cr, uint32_t color, double alpha);

/* A layout of the text set up for even spacing: 1 unit = 1 point, no hinting, no rounding to whole
 * units. Invalid UTF-8 is not allowed. Free with g_object_unref. */
PangoLayout *fc_layout_new(cairo_t *cr, fc_type type, const char *text);
double fc_layout_width(PangoLayout *layout);

/* Draws a layout with its top left at x, y. Colour emoji are painted as sharp images, which
 * Cairo's PDF surface would shrink to 12 pixels; everything else stays text. (emoji.c) */
void fc_layout_show(cairo_t *cr, PangoLayout *layout, double x, double y, uint32_t color);

/* One line of plain text, or of Pango markup; returns its width. */
double fc_text(cairo_t *cr, double x, double y, fc_align align, fc_valign valign,
               fc_type type, const char *text);
double fc_markup(cairo_t *cr, double x, double y, fc_align align, fc_valign valign,
                 double angle, fc_type type, const char *markup);

/* A paragraph of at most `width`; at most max_lines lines (0: any number), the last with an ellipsis.
 * Returns its height. Draws nothing when is_measured_only. */
double fc_paragraph(cairo_t *cr, double x, double y, double width, fc_type type,
                    int max_lines, bool is_measured_only, const char *text);

/* One line on a baseline, ended by an ellipsis where it is wider than `width`. */
void fc_line_cut(cairo_t *cr, double x, double baseline, double width, fc_type type,
                 const char *text);

/* A path around a box with round corners. */
void fc_rounded(cairo_t *cr, double x, double y, double w, double h);

/* A thin grey line from x over the width. */
void fc_rule(cairo_t *cr, double x, double y, double width);

/* Numbers as people read them: 12,345; 0.0123; 1.2e−5 as 1.2 × 10^−5 stays plain text "1.2e−5". */
void fc_format_count(char out[32], int64_t n);
void fc_format_value(char out[32], double x, int digits);
/* With the decimals that give `scale` three digits: numbers of one column stay comparable. */
void fc_format_like(char out[32], double x, double scale);
void fc_format_percent(char out[32], double share); /* 0.0012 -> "0.12 %" */

#endif
