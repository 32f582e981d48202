/* fonts.c - font families by script, and the check that there is a font to draw with.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/fonts.h"

#include <fontconfig/fontconfig.h>
#include <pango/pangocairo.h>
#include <stdbool.h>
#include <string.h>

#include "base/log.h"

#define FIRST                                                \
    "Inter, Noto Sans, Noto Sans Arabic, Noto Sans Hebrew, " \
    "Noto Sans Devanagari, Noto Sans Thai, "
#define LAST "Droid Sans Fallback, DejaVu Sans, sans"

static bool is_within(gunichar c, gunichar low, gunichar high)
{
    return c >= low && c <= high;
}

const char *fc_font_families(const char *text)
{
    bool has_hangul = false;
    for (const char *p = text; *p; p += g_utf8_skip[(unsigned char)*p]) {
        if ((unsigned char)*p < 0xe1) continue; /* below both scripts */
        const gunichar c = g_utf8_get_char(p);
        if (is_within(c, 0x3041, 0x30ff) || is_within(c, 0x31f0, 0x31ff))
            return FIRST "Noto Sans CJK JP, " LAST;
        has_hangul |= is_within(c, 0xac00, 0xd7af) || is_within(c, 0x1100, 0x11ff) ||
                      is_within(c, 0x3131, 0x318e);
    }
    return has_hangul ? FIRST "Noto Sans CJK KR, " LAST : FIRST "Noto Sans CJK SC, " LAST;
}

fc_status fc_fonts_check(fc_err *err)
{
    FcConfig *config = FcConfigReference(NULL);
    FcPattern *inter = FcPatternCreate();
    FcObjectSet *objects = FcObjectSetBuild(FC_FAMILY, (char *)NULL);
    fc_status status = FC_OK;
    const FcFontSet *all = config != NULL ? FcConfigGetFonts(config, FcSetSystem) : NULL;
    if (all == NULL || all->nfont == 0) {
        status = fc_fail(err, FC_IO,
                         "no font is installed, so no page can be drawn: install any "
                         "(fonts-inter is the one the report is made for)");
    } else if (inter != NULL && objects != NULL) {
        FcPatternAddString(inter, FC_FAMILY, (const FcChar8 *)"Inter");
        FcFontSet *found = FcFontList(config, inter, objects);
        if (found != NULL && found->nfont == 0)
            fc_log(FC_LOG_WARN, "the font Inter is not installed (Debian: fonts-inter): "
                                "the report is set in another one");
        if (found != NULL) FcFontSetDestroy(found);
    }
    if (objects != NULL) FcObjectSetDestroy(objects);
    if (inter != NULL) FcPatternDestroy(inter);
    if (config != NULL) FcConfigDestroy(config);
    return status;
}

void fc_fonts_release(void)
{
    pango_cairo_font_map_set_default(NULL);
}
