/* matmul_pack.c - copies blocks of the operands into the order the register kernels read.
 *
 *   A  [r][units]             what the kernel broadcasts
 *   B  [r / nr][units, padded][nr]    what it loads as vectors
 *
 * Whichever way the operand lies in memory, it is read in long runs along its adjacent
 * direction, and each run is converted to the kernel's element type on the way ("a line").
 * Lines that already have the wanted direction go straight to their place; the others are
 * collected 16 at a time in a small buffer (L1) and turned by 16 x 16 squares. So the source
 * is read once, a cache line at a time, even when its rows are a multiple of 4096 bytes apart.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tensor/cpu/matmul_internal.h"

enum {
    GATHER = FC_GEMM_SQUARE * FC_GEMM_RUN, /* where in `lines` loose elements collect */
    BYTES_AHEAD = 8192                     /* between asking for a line and using it */
};

static const unsigned char *at(const fc_gemm_operand *from, int64_t r, int64_t k)
{
    return from->data + r * from->r_bytes + k * from->k_bytes;
}

static bool is_adjacent(const fc_gemm_operand *from, int64_t stride_bytes)
{
    return stride_bytes == (int64_t)fc_dtype_size(from->dtype);
}

/* Asks for the n_bytes of a line that will be read soon, into L2: `stride` from line to line. Rows lie far apart, so the processor does
 * not foresee the next one; without this, reading from memory is three times as slow. */
static void ask_for(const unsigned char *p, int64_t stride, int64_t n_bytes)
{
    const int64_t n_lines = fc_max(4, fc_min(16, BYTES_AHEAD / fc_max(n_bytes, 1)));
    const uintptr_t first = (uintptr_t)p + (uintptr_t)(n_lines * stride);
    for (int64_t i = 0; i < n_bytes; i += 64)
        __builtin_prefetch((const void *)(first + (uintptr_t)i), 0, 2);
}

static int64_t units_of(const fc_gemm *gemm, int64_t n_k)
{
    return fc_ceil_div(n_k, gemm->k_per_unit);
}

/* Units along k for one r. */
static void line_along_k(const fc_gemm *gemm, float *to, const fc_gemm_operand *from,
                         int64_t r, int64_t k0, int64_t n_k, float *loose)
{
    if (is_adjacent(from, from->k_bytes)) {
        ask_for(at(from, r, k0), from->r_bytes, n_k * from->k_bytes);
        gemm->run(to, at(from, r, k0), from->dtype, n_k);
    } else {
        for (int64_t i = 0; i < n_k; i++)
            fc_to_f32(&loose[i], at(from, r, k0 + i), from->dtype, 1);
        gemm->run(to, loose, FC_F32, n_k);
    }
    if (n_k % gemm->k_per_unit != 0) /* half a unit is left: its partner is zero */
        memset((unsigned char *)to + n_k * 2, 0, 2);
}

/* One unit of k for n_r adjacent r. */
static void line_along_r(const fc_gemm *gemm, float *to, const fc_gemm_operand *from,
                         int64_t r0, int64_t n_r, int64_t k, int64_t k_end)
{
    const unsigned char *const even = at(from, r0, k);
    for (int64_t i = 0; i < gemm->k_per_unit; i++)
        ask_for(at(from, r0, k + i), gemm->k_per_unit * from->k_bytes,
                n_r * from->r_bytes);
    if (gemm->k_per_unit == 1)
        gemm->run(to, even, from->dtype, n_r);
    else
        gemm->pair_run(to, even, k + 1 < k_end ? at(from, r0, k + 1) : NULL, from->dtype,
                       n_r);
}

void fc_gemm_pack_a(const fc_gemm *gemm, float *to, const fc_gemm_operand *from,
                    int64_t r0, int64_t n_r, int64_t k0, int64_t n_k, float *lines)
{
    const int64_t n_units = units_of(gemm, n_k);
    if (!is_adjacent(from, from->r_bytes) || is_adjacent(from, from->k_bytes)) {
        for (int64_t r = 0; r < n_r; r++)
            line_along_k(gemm, to + r * FC_GEMM_UNITS, from, r0 + r, k0, n_k,
                         lines + GATHER);
        return;
    }
    for (int64_t u = 0; u < n_units; u += FC_GEMM_SQUARE) {
        const int64_t u_end = fc_min(u + FC_GEMM_SQUARE, n_units);
        for (int64_t i = u; i < u_end; i++)
            line_along_r(gemm, lines + (i - u) * FC_GEMM_RUN, from, r0, n_r,
                         k0 + i * gemm->k_per_unit, k0 + n_k);
        for (int64_t r = 0; r < n_r; r += FC_GEMM_SQUARE)
            gemm->transpose(to + r * FC_GEMM_UNITS + u, FC_GEMM_UNITS, lines + r,
                            FC_GEMM_RUN);
    }
}

/* Columns adjacent: each line is dealt out to the panels. */
static void pack_b_along_r(const fc_gemm *gemm, float *to, const fc_gemm_operand *from,
                           int64_t r0, int64_t n_r, int64_t k0, int64_t n_k, float *line)
{
    const int64_t n_units = units_of(gemm, n_k), nr = gemm->nr;
    const int64_t n_padded = fc_round_up(n_r, nr),
                  panel_units = fc_gemm_panel_units(n_units);
    memset(line + n_r, 0, (size_t)(n_padded - n_r) * sizeof *line);
    for (int64_t u = 0; u < n_units; u++) {
        line_along_r(gemm, line, from, r0, n_r, k0 + u * gemm->k_per_unit, k0 + n_k);
        for (int64_t r = 0; r < n_padded; r += nr) {
            float *const row = to + r * panel_units + u * nr;
            for (int64_t i = 0; i < nr; i += FC_GEMM_SQUARE)
                memcpy(row + i, line + r + i, FC_GEMM_SQUARE * sizeof *line);
        }
    }
}

/* 16 columns, n_r of them real, in the lanes of a panel where they belong. */
static void pack_b_square(const fc_gemm *gemm, float *panel, const fc_gemm_operand *from,
                          int64_t r0, int64_t n_r, int64_t k0, int64_t n_k, float *lines)
{
    if (n_r < FC_GEMM_SQUARE) memset(lines, 0, GATHER * sizeof *lines);
    for (int64_t u = 0; u < units_of(gemm, n_k); u += FC_GEMM_RUN) {
        const int64_t k = u * gemm->k_per_unit;
        const int64_t n = fc_min(FC_GEMM_RUN * gemm->k_per_unit, n_k - k);
        for (int64_t i = 0; i < n_r; i++)
            line_along_k(gemm, lines + i * FC_GEMM_RUN, from, r0 + i, k0 + k, n,
                         lines + GATHER);
        for (int64_t v = 0; v < units_of(gemm, n); v += FC_GEMM_SQUARE)
            gemm->transpose(panel + (u + v) * gemm->nr, gemm->nr, lines + v, FC_GEMM_RUN);
    }
}

void fc_gemm_pack_b(const fc_gemm *gemm, float *to, const fc_gemm_operand *from,
                    int64_t r0, int64_t n_r, int64_t k0, int64_t n_k, float *lines)
{
    const int64_t panel_units = fc_gemm_panel_units(units_of(gemm, n_k)), nr = gemm->nr;
    if (is_adjacent(from, from->r_bytes)) {
        pack_b_along_r(gemm, to, from, r0, n_r, k0, n_k, lines);
        return;
    }
    for (int64_t r = 0; r < fc_round_up(n_r, nr); r += FC_GEMM_SQUARE) {
        const int64_t n_real = fc_max(0, fc_min(FC_GEMM_SQUARE, n_r - r));
        pack_b_square(gemm, to + r / nr * nr * panel_units + r % nr, from, r0 + r, n_real,
                      k0, n_k, lines);
    }
}
