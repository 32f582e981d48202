/* fonts.h - which fonts a text is set in.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_FONTS_H
#define FC_REPORT_FONTS_H

#include "base/err.h"

/* Families in order of preference, for Pango. Han characters look as their language wants: Japanese
 * where the text has kana, Korean where it has Hangul, simplified Chinese otherwise. The emoji
 * font is never named (digits would become emoji); Pango finds it by itself. */
const char *fc_font_families(const char *text);

/* Once before drawing: fails when no font at all is installed, warns when Inter is missing. */
fc_status fc_fonts_check(fc_err *err);

/* After drawing: gives back the fonts that Pango keeps for this thread. */
void fc_fonts_release(void);

#endif
