/* matmul_avx512.c - float32 register kernel: 14 rows x 32 columns in 28 of 32 registers.
 *
 * Each step of k loads two vectors of B and broadcasts one float from each row of A: 16 loads
 * for 28 multiply-adds, so the multipliers are the limit even when B comes from L2. Fewer rows
 * have their own copy of the loop, so that edges do no idle work.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <immintrin.h>

#include "tensor/cpu/matmul_avx512_internal.h"
#include "tensor/cpu/matmul_internal.h"
#include "tensor/cpu/matmul_runs_internal.h"

enum { MR = 14, NR = 32 };

__attribute__((always_inline)) static inline void tile_of(const int n_rows,
                                                          const fc_gemm_part *part)
{
    float *const c = part->c;
    const fc_unit_f32 *const a = part->a;
    const float *b = part->b;
    const int64_t c_row = part->c_row, a_row = part->a_row, n_units = part->n_units;
    const bool accumulate = part->accumulate;
    const unsigned char *const soon = part->soon;
    const int64_t soon_step = part->soon_step;
    __m512 sum[MR][2];
    FC_UNROLL
    for (int i = 0; i < n_rows; i++) {
        sum[i][0] = sum[i][1] = _mm512_setzero_ps();
        _mm_prefetch((const char *)(c + i * c_row), _MM_HINT_T1);
        _mm_prefetch((const char *)(c + i * c_row + 16), _MM_HINT_T1);
    }
    /* Every third row: a pointer for each would not fit in registers. */
    const fc_unit_f32 *third[(MR + 2) / 3];
    FC_UNROLL
    for (int i = 0; i < n_rows; i += 3) third[i / 3] = a + i * a_row;
    for (int64_t k = 0; k < n_units; k++, b += NR) {
        _mm_prefetch((const char *)soon + k * soon_step, _MM_HINT_T1);
        const __m512 b0 = _mm512_load_ps(b), b1 = _mm512_load_ps(b + 16);
        FC_UNROLL
        for (int i = 0; i < n_rows; i++) {
            const __m512 row = _mm512_set1_ps(third[i / 3][i % 3 * a_row + k]);
            sum[i][0] = _mm512_fmadd_ps(row, b0, sum[i][0]);
            sum[i][1] = _mm512_fmadd_ps(row, b1, sum[i][1]);
        }
    }
    FC_UNROLL
    for (int i = 0; i < n_rows; i++)
        fc_avx512_store_row(c + i * c_row, sum[i], accumulate);
}

#define ROWS(n) \
    case n: tile_of(n, part); break;

static void tile(const fc_gemm_part *part)
{
    FC_ASSERT(part->m >= 1 && part->m <= MR);
    switch (part->m) {
        FC_AVX512_ROWS(ROWS) default : break;
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
    fc_avx512_transpose(to, to_row, from, from_row);
}

const fc_gemm fc_gemm_avx512 = {.name = "avx512",
                                .mr = MR,
                                .nr = NR,
                                .k_per_unit = 1,
                                .a_dtype = FC_F32,
                                .dense_share = 0.28,
                                .tile = tile,
                                .run = run,
                                .transpose = transpose};

const fc_gemm fc_gemm_avx512_rounded = {.name = "avx512, rounded to bf16",
                                        .mr = MR,
                                        .nr = NR,
                                        .k_per_unit = 1,
                                        .a_dtype = FC_N_DTYPES,
                                        .dense_share = 0.28,
                                        .tile = tile,
                                        .run = run_rounded,
                                        .transpose = transpose};
