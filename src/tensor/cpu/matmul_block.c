/* matmul_block.c - one packed block times another: register kernels side by side, and the edges
 * that do not fill one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tensor/cpu/matmul_internal.h"

/* The last columns of a block, fewer than nr, go through a buffer of a whole tile. */
static void edge_tile(const fc_gemm *gemm, const fc_gemm_part *edge)
{
    _Alignas(64) float whole[FC_GEMM_MAX_MR * FC_GEMM_MAX_NR];
    fc_gemm_part part = *edge;
    part.c = whole;
    part.c_row = part.n = gemm->nr;
    part.accumulate = false;
    gemm->tile(&part);
    for (int64_t i = 0; i < edge->m; i++) {
        for (int64_t j = 0; j < edge->n; j++) {
            float *const to = &edge->c[i * edge->c_row + j];
            const float sum = whole[i * gemm->nr + j];
            *to = edge->accumulate ? *to + sum : sum;
        }
    }
}

/* A panel of B serves all rows before the next one, which each kernel meanwhile asks for its share
 * of: so B may come from L3 or memory, and the rows stay in L2. Neither fits in L1 for long. */
void fc_gemm_block(const fc_gemm *gemm, const fc_gemm_part *part)
{
    /* Rows in equal shares: 8 + 7 keeps the multipliers busier than 14 + 1. */
    const int64_t n_shares = fc_ceil_div(part->m, gemm->mr), nr = gemm->nr;
    const int64_t panel_units = fc_gemm_panel_units(part->n_units);
    fc_gemm_part tile = *part;
    tile.soon_step = fc_ceil_div(nr * FC_GEMM_UNIT_BYTES, n_shares);
    for (int64_t j = 0; j < part->n; j += nr) {
        tile.b = part->b + j * panel_units;
        const float *const next = j + nr < part->n ? tile.b + nr * panel_units : tile.b;
        tile.n = fc_min(nr, part->n - j);
        for (int64_t share = 0; share < n_shares; share++) {
            const int64_t i = share * part->m / n_shares;
            tile.m = (share + 1) * part->m / n_shares - i;
            tile.a =
                (const unsigned char *)part->a + i * part->a_row * FC_GEMM_UNIT_BYTES;
            tile.c = part->c + i * part->c_row + j;
            tile.soon =
                (const unsigned char *)next + share * tile.soon_step * part->n_units;
            if (tile.n == nr)
                gemm->tile(&tile);
            else
                edge_tile(gemm, &tile);
        }
    }
}
