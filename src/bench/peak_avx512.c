/* peak_avx512.c - the peak loops with 512-bit vectors.
 *
 * Twelve chains: a core starts up to two multiply-adds a cycle, each of which takes four to five.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <immintrin.h>

#include "bench/peak_internal.h"

enum { LANES = 16, CHAINS = 12, READS = 8 };

static float fma_rounds(int64_t n_rounds)
{
    const __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
    __m512 sum[CHAINS];
    for (int c = 0; c < CHAINS; c++) sum[c] = _mm512_set1_ps((float)c);
    for (int64_t i = 0; i < n_rounds; i++)
        for (int c = 0; c < CHAINS; c++) sum[c] = _mm512_fmadd_ps(sum[c], a, b);
    for (int c = 1; c < CHAINS; c++) sum[0] = _mm512_add_ps(sum[0], sum[c]);
    return _mm_cvtss_f32(_mm512_castps512_ps128(sum[0]));
}

static uint32_t read_all(const float *x, int64_t n)
{
    __m512i all[READS];
    for (int c = 0; c < READS; c++) all[c] = _mm512_setzero_si512();
    for (int64_t i = 0; i < n; i += READS * LANES)
        for (int c = 0; c < READS; c++) {
            const __m512 word = _mm512_load_ps(x + i + c * LANES);
            all[c] = _mm512_xor_si512(all[c], _mm512_castps_si512(word));
        }
    for (int c = 1; c < READS; c++) all[0] = _mm512_xor_si512(all[0], all[c]);
    return (uint32_t)_mm_cvtsi128_si32(_mm512_castsi512_si128(all[0]));
}

static void update_all(float *w, float *m, float *v, int64_t n)
{
    const __m512 slow = _mm512_set1_ps(0.999f), fast = _mm512_set1_ps(0.9f);
    const __m512 small = _mm512_set1_ps(0.001f), large = _mm512_set1_ps(0.1f);
    for (int64_t i = 0; i < n; i += LANES) {
        const __m512 mi = _mm512_fmadd_ps(_mm512_load_ps(m + i), fast, large);
        const __m512 vi = _mm512_fmadd_ps(_mm512_load_ps(v + i), slow, small);
        const __m512 wi = _mm512_mul_ps(_mm512_load_ps(w + i), slow);
        _mm512_store_ps(m + i, mi);
        _mm512_store_ps(v + i, vi);
        _mm512_store_ps(w + i, _mm512_fmadd_ps(mi, vi, wi));
    }
}

const fc_peak_products fc_peak_fma_avx512 = {"avx512 fma", FC_PRECISION_F32,
                                             2 * CHAINS *LANES, fma_rounds};
const fc_peak_memory fc_peak_memory_avx512 = {read_all, update_all};
