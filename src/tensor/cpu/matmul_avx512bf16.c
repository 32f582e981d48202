/* matmul_avx512bf16.c - bf16 register kernel: 14 rows x 32 columns with vdpbf16ps.
 *
 * The shape of matmul_avx512.c with pairs of k for single ones: each instruction adds two
 * products to each float32 sum. vdpbf16ps takes subnormal operands as zero.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <immintrin.h>

#include "tensor/cpu/matmul_avx512bf16_internal.h"
#include "tensor/cpu/matmul_internal.h"

enum { MR = 14, NR = 32 };

__attribute__((always_inline)) static inline void tile_of(const int n_rows,
                                                          const fc_gemm_part *part)
{
    float *const c = part->c;
    const fc_unit_bf16 *const a = part->a;
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
    const fc_unit_bf16 *third[(MR + 2) / 3];
    FC_UNROLL
    for (int i = 0; i < n_rows; i += 3) third[i / 3] = a + i * a_row;
    for (int64_t k = 0; k < n_units; k++, b += NR) {
        _mm_prefetch((const char *)soon + k * soon_step, _MM_HINT_T1);
        const __m512bh b0 = (__m512bh)_mm512_load_ps(b),
                       b1 = (__m512bh)_mm512_load_ps(b + 16);
        FC_UNROLL
        for (int i = 0; i < n_rows; i++) {
            const __m512bh row =
                (__m512bh)_mm512_set1_epi32(third[i / 3][i % 3 * a_row + k]);
            sum[i][0] = _mm512_dpbf16_ps(sum[i][0], row, b0);
            sum[i][1] = _mm512_dpbf16_ps(sum[i][1], row, b1);
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

const fc_gemm fc_gemm_avx512bf16 = {.name = "avx512bf16",
                                    .mr = MR,
                                    .nr = NR,
                                    .k_per_unit = 2,
                                    .a_dtype = FC_BF16,
                                    .dense_share = 0.28,
                                    .tile = tile,
                                    .run = fc_bf16_run,
                                    .pair_run = fc_bf16_pair_run,
                                    .transpose = fc_bf16_transpose};
