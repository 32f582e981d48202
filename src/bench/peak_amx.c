/* peak_amx.c - the rate of bf16 products in tile registers, tdpbf16ps: 16 x 16 sums of 32 each.
 *
 * The backend has asked the system for the tiles before a name with "amx" is chosen.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <immintrin.h>

#include "bench/peak_internal.h"

enum { SIDE = 16, CHAINS = 4, FLOPS = 2 * SIDE * SIDE * 2 * SIDE };

/* ldtilecfg: palette 1, eight tiles of 16 rows of 64 bytes. A constant: compilers do not all know
 * that the instruction reads it. */
static const struct {
    unsigned char palette, start_row, reserved[14];
    unsigned short row_bytes[16];
    unsigned char rows[16];
} config = {.palette = 1,
            .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
            .rows = {SIDE, SIDE, SIDE, SIDE, SIDE, SIDE, SIDE, SIDE}};

static float tile_rounds(int64_t n_rounds)
{
    float sum[SIDE * SIDE];
    _tile_loadconfig(&config);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
    _tile_zero(5);
    for (int64_t i = 0; i < n_rounds; i++) {
        _tile_dpbf16ps(0, 4, 5);
        _tile_dpbf16ps(1, 4, 5);
        _tile_dpbf16ps(2, 4, 5);
        _tile_dpbf16ps(3, 4, 5);
    }
    _tile_stored(0, sum, SIDE * sizeof *sum);
    _tile_release();
    __asm__ volatile("" : : "r"(sum) : "memory");
    return sum[0];
}

const fc_peak_products fc_peak_dot_amx = {"amx bf16 tiles", FC_PRECISION_BF16,
                                          (int64_t)CHAINS *FLOPS, tile_rounds};
