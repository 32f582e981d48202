/* matmul_avx512bf16.c - bf16 register kernel: 14 rows x 32 columns with vdpbf16ps.
 *
 * The shape of matmul_avx512.c with pairs of k for single ones: each instruction adds two
 * products to each float32 sum. vdpbf16ps takes subnormal operands as zero.
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
    for (int64_t k = 0; k < n_units; k++, b += NR) {
        _mm_prefetch((const char *)soon + k * soon_step, _MM_HINT_T1);
        const __m512bh b0 = (__m512bh)_mm512_load_ps(b),
                       b1 = (__m512bh)_mm512_load_ps(b + 16);
        FC_UNROLL
        for (int i = 0; i < n_rows; i++) {
            const __m512bh row = (__m512bh)_mm512_set1_epi32(a[i * a_row + k]);
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

/* 32 elements from p as bf16; the lanes past n_left are not read and are zero. */
static inline __m512i load_32(const unsigned char *p, fc_dtype dtype, int64_t n_left)
{
    const __mmask32 lanes = n_left >= 32 ? ~(__mmask32)0 : ((__mmask32)1 << n_left) - 1;
    if (dtype == FC_BF16) return _mm512_maskz_loadu_epi16(lanes, p);
    const __mmask16 first = (__mmask16)lanes, second = (__mmask16)(lanes >> 16);
    __m512 low, high;
    if (dtype == FC_F32) {
        low = _mm512_maskz_loadu_ps(first, p);
        high = _mm512_maskz_loadu_ps(second, p + 64);
    } else {
        const __m512i halves = _mm512_maskz_loadu_epi16(lanes, p);
        low = _mm512_cvtph_ps(_mm512_castsi512_si256(halves));
        high = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(halves, 1));
    }
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

static void run(void *to, const void *from, fc_dtype dtype, int64_t n)
{
    const unsigned char *const p = from;
    const int64_t size = dtype == FC_F32 ? 4 : 2;
    int64_t i = 0;
    for (; i + 32 <= n; i += 32)
        _mm512_storeu_si512((unsigned char *)to + i * 2,
                            load_32(p + i * size, dtype, 32));
    if (i < n) {
        const __mmask32 lanes = ((__mmask32)1 << (n - i)) - 1;
        _mm512_mask_storeu_epi16((unsigned char *)to + i * 2, lanes,
                                 load_32(p + i * size, dtype, n - i));
    }
}

static void pair_run(void *to, const void *even, const void *odd, fc_dtype dtype,
                     int64_t n)
{
    const unsigned char *const p = even, *const q = odd;
    const int64_t size = dtype == FC_F32 ? 4 : 2;
    uint32_t *const out = to;
    /* Unpacking works inside 128-bit quarters; the second pass puts the quarters in order. */
    const __m512i front = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    const __m512i back = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    for (int64_t i = 0; i < n; i += 32) {
        const __m512i x = load_32(p + i * size, dtype, n - i);
        const __m512i y =
            q ? load_32(q + i * size, dtype, n - i) : _mm512_setzero_si512();
        const __m512i low = _mm512_unpacklo_epi16(x, y),
                      high = _mm512_unpackhi_epi16(x, y);
        const __m512i first = _mm512_permutex2var_epi64(low, front, high);
        const __m512i second = _mm512_permutex2var_epi64(low, back, high);
        const int64_t n_left = n - i;
        const uint32_t lanes = n_left >= 32 ? ~0u : (1u << n_left) - 1;
        _mm512_mask_storeu_epi32(out + i, (__mmask16)lanes, first);
        _mm512_mask_storeu_epi32(out + i + 16, (__mmask16)(lanes >> 16), second);
    }
}

static void transpose(void *to, int64_t to_row, const void *from, int64_t from_row)
{
    fc_avx512_transpose(to, to_row, from, from_row);
}

const fc_gemm fc_gemm_avx512bf16 = {.name = "avx512bf16",
                                    .mr = MR,
                                    .nr = NR,
                                    .k_per_unit = 2,
                                    .a_dtype = FC_BF16,
                                    .dense_share = 0.28,
                                    .tile = tile,
                                    .run = run,
                                    .pair_run = pair_run,
                                    .transpose = transpose};
