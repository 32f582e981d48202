/* matmul_avx512_internal.h - what the AVX-512 register kernels share. Inline only: nothing
 * here may become a symbol that plain code could link to.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TENSOR_CPU_MATMUL_AVX512_INTERNAL_H
#define FC_TENSOR_CPU_MATMUL_AVX512_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__AVX512F__) /* so that the header compiles alone, anywhere */

#    include <immintrin.h>

#    define FC_AVX512_ROWS(X) \
        X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)

static inline void fc_avx512_store_row(float *c, const __m512 sum[2], bool accumulate)
{
    __m512 low = sum[0], high = sum[1];
    if (accumulate) {
        low = _mm512_add_ps(_mm512_loadu_ps(c), low);
        high = _mm512_add_ps(_mm512_loadu_ps(c + 16), high);
    }
    _mm512_storeu_ps(c, low);
    _mm512_storeu_ps(c + 16, high);
}

/* to[j][i] = from[i][j], 16 x 16 words of 32 bits: rows are merged pairwise by words, then by
 * double words, then whole 128-bit quarters change places. */
static inline void fc_avx512_transpose(void *to, int64_t to_row, const void *from,
                                       int64_t from_row)
{
    __m512i r[16], t[16];
    for (int i = 0; i < 16; i++)
        r[i] = _mm512_loadu_si512((const uint32_t *)from + i * from_row);
    for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 4; i++)
    { /* r[4i + q]: columns q, q+4, q+8, q+12 of rows 4i..4i+3 */
        r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
    for (int q = 0; q < 4; q++) {
        const __m512i even0 =
            _mm512_shuffle_i32x4(r[q], r[4 + q], 0x88); /* columns q, q+8 */
        const __m512i even1 = _mm512_shuffle_i32x4(r[8 + q], r[12 + q], 0x88);
        const __m512i odd0 = _mm512_shuffle_i32x4(r[q], r[4 + q], 0xdd); /* q+4, q+12 */
        const __m512i odd1 = _mm512_shuffle_i32x4(r[8 + q], r[12 + q], 0xdd);
        uint32_t *const out = (uint32_t *)to + q * to_row;
        _mm512_storeu_si512(out, _mm512_shuffle_i32x4(even0, even1, 0x88));
        _mm512_storeu_si512(out + 4 * to_row, _mm512_shuffle_i32x4(odd0, odd1, 0x88));
        _mm512_storeu_si512(out + 8 * to_row, _mm512_shuffle_i32x4(even0, even1, 0xdd));
        _mm512_storeu_si512(out + 12 * to_row, _mm512_shuffle_i32x4(odd0, odd1, 0xdd));
    }
}

#endif
#endif
