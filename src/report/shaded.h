/* shaded.h - running text in which every token is shaded by its activation.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_SHADED_H
#define FC_REPORT_SHADED_H

#include <stdbool.h>

#include "report/display.h"
#include "report/draw.h"

/* Colour of a token with activation a of max: white to dark red in five steps, linear between. */
fc_rgb fc_shade(double a, double max);

/* Draws the text wrapped to `width` with its first line's top at y; returns the height used. Boxes lie
 * behind the text, leave out a token's leading space and do not touch those of the next line.
 * peak: token to outline, -1 = none. */
double fc_shaded_text(cairo_t *cr, double x, double y, double width,
                      const fc_display *display, double max, int64_t peak,
                      bool is_measured_only);

#endif
