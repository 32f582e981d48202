/* matmul_avx2.c - float32 register kernel: 6 rows x 16 columns in 12 of 16 registers.
 *
 * Each step of k loads two vectors of B and broadcasts one float from each row of A: 8 loads
 * for 12 multiply-adds.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <immintrin.h>

#include "tensor/cpu/matmul_internal.h"
#include "tensor/cpu/matmul_runs_internal.h"

enum { MR = 6, NR = 16 };

static inline void store_row(float *c, const __m256 sum[2], bool accumulate)
{
    __m256 low = sum[0], high = sum[1];
    if (accumulate) {
        low = _mm256_add_ps(_mm256_loadu_ps(c), low);
        high = _mm256_add_ps(_mm256_loadu_ps(c + 8), high);
    }
    _mm256_storeu_ps(c, low);
    _mm256_storeu_ps(c + 8, high);
}

__attribute__((always_inline)) static inline void tile_of(const int n_rows,
                                                          const fc_gemm_part *part)
{
    float *const c = part->c;
    const fc_unit_f32 *const a = part->a;
    const float *const b = part->b;
    const int64_t c_row = part->c_row, a_row = part->a_row, n_units = part->n_units;
    const bool accumulate = part->accumulate;
    __m256 sum[MR][2];
    FC_UNROLL
    for (int i = 0; i < n_rows; i++) {
        sum[i][0] = sum[i][1] = _mm256_setzero_ps();
        _mm_prefetch((const char *)(c + i * c_row), _MM_HINT_T0);
    }
    for (int64_t k = 0; k < n_units; k++) {
        const __m256 b0 = _mm256_load_ps(b + k * NR), b1 = _mm256_load_ps(b + k * NR + 8);
        FC_UNROLL
        for (int i = 0; i < n_rows; i++) {
            const __m256 row = _mm256_broadcast_ss(&a[i * a_row + k]);
            sum[i][0] = _mm256_fmadd_ps(row, b0, sum[i][0]);
            sum[i][1] = _mm256_fmadd_ps(row, b1, sum[i][1]);
        }
    }
    FC_UNROLL
    for (int i = 0; i < n_rows; i++) store_row(c + i * c_row, sum[i], accumulate);
}

static void tile(const fc_gemm_part *part)
{
    FC_ASSERT(part->m >= 1 && part->m <= MR);
    switch (part->m) {
    case 1: tile_of(1, part); break;
    case 2: tile_of(2, part); break;
    case 3: tile_of(3, part); break;
    case 4: tile_of(4, part); break;
    case 5: tile_of(5, part); break;
    case 6: tile_of(6, part); break;
    default: break;
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

/* to[j][i] = from[i][j], 8 x 8. */
static inline void transpose_8(float *to, int64_t to_row, const float *from,
                               int64_t from_row)
{
    __m256 r[8], t[8];
    for (int i = 0; i < 8; i++) r[i] = _mm256_loadu_ps(from + i * from_row);
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        const __m256 *const in = t + 4 * i;
        r[4 * i] = _mm256_shuffle_ps(in[0], in[2], 0x44);
        r[4 * i + 1] = _mm256_shuffle_ps(in[0], in[2], 0xee);
        r[4 * i + 2] = _mm256_shuffle_ps(in[1], in[3], 0x44);
        r[4 * i + 3] = _mm256_shuffle_ps(in[1], in[3], 0xee);
    }
    for (int j = 0; j < 4; j++) {
        _mm256_storeu_ps(to + j * to_row, _mm256_permute2f128_ps(r[j], r[4 + j], 0x20));
        _mm256_storeu_ps(to + (j + 4) * to_row,
                         _mm256_permute2f128_ps(r[j], r[4 + j], 0x31));
    }
}

static void transpose(void *to, int64_t to_row, const void *from, int64_t from_row)
{
    float *const out = to;
    const float *const in = from;
    transpose_8(out, to_row, in, from_row);
    transpose_8(out + 8, to_row, in + 8 * from_row, from_row);
    transpose_8(out + 8 * to_row, to_row, in + 8, from_row);
    transpose_8(out + 8 * to_row + 8, to_row, in + 8 * from_row + 8, from_row);
}

const fc_gemm fc_gemm_avx2 = {.name = "avx2",
                              .mr = MR,
                              .nr = NR,
                              .k_per_unit = 1,
                              .a_dtype = FC_F32,
                              .dense_share = 0.28,
                              .tile = tile,
                              .run = run,
                              .transpose = transpose};

const fc_gemm fc_gemm_avx2_rounded = {.name = "avx2, rounded to bf16",
                                      .mr = MR,
                                      .nr = NR,
                                      .k_per_unit = 1,
                                      .a_dtype = FC_N_DTYPES,
                                      .dense_share = 0.28,
                                      .tile = tile,
                                      .run = run_rounded,
                                      .transpose = transpose};
