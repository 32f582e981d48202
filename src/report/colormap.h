/* colormap.h - colours: 0xRRGGBB constants of the report and the two continuous scales.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_COLORMAP_H
#define FC_REPORT_COLORMAP_H

#include <stdint.h>

typedef struct fc_rgb {
    double r, g, b; /* 0..1 */
} fc_rgb;

enum {
    FC_INK = 0x222222,
    FC_SECONDARY = 0x666666,
    FC_FAINT = 0x767676, /* contrast of 4.5 on white */
    FC_AXIS = 0x555555,
    FC_GRID = 0xe4e4e4,
    FC_DEAD = 0xececee,
    /* series: Okabe-Ito, told apart by the colour-blind */
    FC_BLUE = 0x0072b2,
    FC_VERMILION = 0xd55e00,
    FC_GREEN = 0x009e73,
    FC_PINK = 0xcc79a7,
    FC_ORANGE = 0xe69f00,
    FC_SKY = 0x56b4e9
};

typedef enum fc_colormap_name { FC_MAGMA, FC_VIRIDIS } fc_colormap_name;

fc_rgb fc_rgb_of(uint32_t color);
fc_rgb fc_colormap(fc_colormap_name name, double t); /* t is clamped to 0..1 */

#endif
