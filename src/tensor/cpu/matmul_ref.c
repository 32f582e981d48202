/* matmul_ref.c - the register kernel in plain C, the definition of truth for the others.
 *
 * fmaf is slow without hardware for it and right everywhere.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "tensor/cpu/matmul_internal.h"
#include "tensor/cpu/matmul_runs_internal.h"

enum { MR = 4, NR = 16 };

static void tile(const fc_gemm_part *part)
{
    const fc_unit_f32 *const rows = part->a;
    const float *const cols = part->b;
    for (int64_t i = 0; i < part->m; i++) {
        float *const c = part->c + i * part->c_row;
        float sum[NR] = {0};
        for (int64_t k = 0; k < part->n_units; k++)
            for (int64_t j = 0; j < NR; j++)
                sum[j] = fmaf(rows[i * part->a_row + k], cols[k * NR + j], sum[j]);
        for (int64_t j = 0; j < NR; j++) c[j] = part->accumulate ? c[j] + sum[j] : sum[j];
    }
}

static void run(void *to, const void *from, fc_dtype dtype, int64_t n)
{
    fc_run_to_f32(to, from, dtype, n);
}

static void run_rounded(void *to, const void *from, fc_dtype dtype, int64_t n)
{
    fc_run_to_rounded(to, from, dtype, n);
}

static void transpose(void *to, int64_t to_row, const void *from, int64_t from_row)
{
    float *const out = to;
    const float *const in = from;
    for (int64_t i = 0; i < FC_GEMM_SQUARE; i++)
        for (int64_t j = 0; j < FC_GEMM_SQUARE; j++)
            out[j * to_row + i] = in[i * from_row + j];
}

const fc_gemm fc_gemm_ref = {.name = "ref",
                             .mr = MR,
                             .nr = NR,
                             .k_per_unit = 1,
                             .a_dtype = FC_F32,
                             .dense_share = 0.28,
                             .tile = tile,
                             .run = run,
                             .transpose = transpose};

const fc_gemm fc_gemm_ref_rounded = {.name = "ref, rounded to bf16",
                                     .mr = MR,
                                     .nr = NR,
                                     .k_per_unit = 1,
                                     .a_dtype = FC_N_DTYPES,
                                     .dense_share = 0.28,
                                     .tile = tile,
                                     .run = run_rounded,
                                     .transpose = transpose};
