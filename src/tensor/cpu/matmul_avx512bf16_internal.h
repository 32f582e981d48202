/* matmul_avx512bf16_internal.h - runs of any type to bf16, shared by the kernels that multiply it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TENSOR_CPU_MATMUL_AVX512BF16_INTERNAL_H
#define FC_TENSOR_CPU_MATMUL_AVX512BF16_INTERNAL_H

#include <stdint.h>

#include "formats/dtype.h"
#include "tensor/cpu/matmul_avx512_internal.h"

#if defined(__AVX512BF16__) /* so that the header compiles alone, anywhere */

/* 32 elements from p as bf16; the lanes past n_left are not read and are zero. */
static inline __m512i fc_bf16_load_32(const unsigned char *p, fc_dtype dtype,
                                      int64_t n_left)
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

static inline void fc_bf16_run(void *to, const void *from, fc_dtype dtype, int64_t n)
{
    const unsigned char *const p = from;
    const int64_t size = dtype == FC_F32 ? 4 : 2;
    int64_t i = 0;
    for (; i + 32 <= n; i += 32)
        _mm512_storeu_si512((unsigned char *)to + i * 2,
                            fc_bf16_load_32(p + i * size, dtype, 32));
    if (i < n) {
        const __mmask32 lanes = ((__mmask32)1 << (n - i)) - 1;
        _mm512_mask_storeu_epi16((unsigned char *)to + i * 2, lanes,
                                 fc_bf16_load_32(p + i * size, dtype, n - i));
    }
}

static inline void fc_bf16_pair_run(void *to, const void *even, const void *odd,
                                    fc_dtype dtype, int64_t n)
{
    const unsigned char *const p = even, *const q = odd;
    const int64_t size = dtype == FC_F32 ? 4 : 2;
    uint32_t *const out = to;
    /* Unpacking works inside 128-bit quarters; the second pass puts the quarters in order. */
    const __m512i front = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    const __m512i back = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    for (int64_t i = 0; i < n; i += 32) {
        const __m512i x = fc_bf16_load_32(p + i * size, dtype, n - i);
        const __m512i y =
            q ? fc_bf16_load_32(q + i * size, dtype, n - i) : _mm512_setzero_si512();
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

static inline void fc_bf16_transpose(void *to, int64_t to_row, const void *from,
                                     int64_t from_row)
{
    fc_avx512_transpose(to, to_row, from, from_row);
}

#endif
#endif
