/* shaded.h - a line of text in which every token is shaded by its activation.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_SHADED_H
#define FC_REPORT_SHADED_H

#include "report/display.h"
#include "report/draw.h"

/* Colour of a token with activation a of max: white to dark red in five steps, linear between. */
fc_rgb fc_shade(double a, double max);

/* Draws as many tokens around the peak (outlined) as `width` holds; an ellipsis stands for those
 * left out. Right-to-left text is drawn as such, from x. Boxes lie behind the text and leave out a
 * token's leading space. Uses display->span[].width. */
fc_status fc_shaded_line(cairo_t *cr, double x, double baseline, double width,
                         fc_display *display, double max, int64_t peak, fc_err *err);

/* A token in a list, its leading space as a faint U+2581, shortened to `width`; its number where its
 * text is not known. */
fc_status fc_token_label(cairo_t *cr, double x, double baseline, double width, int32_t id,
                         const char *bytes, int64_t n_bytes, fc_err *err);

#endif
