/* matmul_block.c - one packed block times another: register kernels side by side, and the edges
 * that do not fill one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tensor/cpu/matmul_internal.h"

/* The last columns of a block, fewer than nr, go through a buffer of a whole tile. Nine parameters: a
 * product by blocks has no fewer. NOLINTNEXTLINE(readability-function-size) */
static void edge_tile(const fc_gemm *gemm, float *c, int64_t c_row, const float *a,
                      const float *b, int64_t n_rows, int64_t n_cols, int64_t n_units,
                      bool accumulate)
{
    _Alignas(64) float whole[FC_GEMM_MAX_MR * FC_GEMM_MAX_NR];
    gemm->tile(whole, gemm->nr, a, b, n_units, n_rows, false);
    for (int64_t i = 0; i < n_rows; i++) {
        for (int64_t j = 0; j < n_cols; j++) {
            float *const to = &c[i * c_row + j];
            const float sum = whole[i * gemm->nr + j];
            *to = accumulate ? *to + sum : sum;
        }
    }
}

/* NOLINTNEXTLINE(readability-function-size) */
void fc_gemm_block(const fc_gemm *gemm, float *c, int64_t c_row, const float *a,
                   const float *b, int64_t m, int64_t n, int64_t n_units, bool accumulate)
{
    /* Rows in equal shares: 8 + 7 keeps the multipliers busier than 14 + 1. */
    const int64_t n_shares = fc_ceil_div(m, gemm->mr), nr = gemm->nr;
    const int64_t panel_units = fc_gemm_panel_units(n_units);
    for (int64_t share = 0; share < n_shares; share++) {
        const int64_t i = share * m / n_shares, n_rows = (share + 1) * m / n_shares - i;
        const float *const rows = a + i * FC_GEMM_UNITS;
        for (int64_t j = 0; j < n; j += nr) {
            const float *const panel = b + j * panel_units;
            float *const to = c + i * c_row + j;
            if (j + nr <= n)
                gemm->tile(to, c_row, rows, panel, n_units, n_rows, accumulate);
            else
                edge_tile(gemm, to, c_row, rows, panel, n_rows, n - j, n_units,
                          accumulate);
        }
    }
}
