/* peak_avx2.c - the peak loops with 256-bit vectors.
 *
 * Twelve chains: a core starts up to two multiply-adds a cycle, each of which takes four to five.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <immintrin.h>

#include "bench/peak_internal.h"

enum { LANES = 8, CHAINS = 12, READS = 8 };

static float fma_rounds(int64_t n_rounds)
{
    const __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
    __m256 sum[CHAINS];
    for (int c = 0; c < CHAINS; c++) sum[c] = _mm256_set1_ps((float)c);
    for (int64_t i = 0; i < n_rounds; i++)
        for (int c = 0; c < CHAINS; c++) sum[c] = _mm256_fmadd_ps(sum[c], a, b);
    for (int c = 1; c < CHAINS; c++) sum[0] = _mm256_add_ps(sum[0], sum[c]);
    return _mm_cvtss_f32(_mm256_castps256_ps128(sum[0]));
}

static uint32_t read_all(const float *x, int64_t n)
{
    __m256i all[READS];
    for (int c = 0; c < READS; c++) all[c] = _mm256_setzero_si256();
    for (int64_t i = 0; i < n; i += READS * LANES)
        for (int c = 0; c < READS; c++) {
            const __m256 word = _mm256_load_ps(x + i + c * LANES);
            all[c] = _mm256_xor_si256(all[c], _mm256_castps_si256(word));
        }
    for (int c = 1; c < READS; c++) all[0] = _mm256_xor_si256(all[0], all[c]);
    return (uint32_t)_mm_cvtsi128_si32(_mm256_castsi256_si128(all[0]));
}

static void update_all(float *w, float *m, float *v, int64_t n)
{
    const __m256 slow = _mm256_set1_ps(0.999f), fast = _mm256_set1_ps(0.9f);
    const __m256 small = _mm256_set1_ps(0.001f), large = _mm256_set1_ps(0.1f);
    for (int64_t i = 0; i < n; i += LANES) {
        const __m256 mi = _mm256_fmadd_ps(_mm256_load_ps(m + i), fast, large);
        const __m256 vi = _mm256_fmadd_ps(_mm256_load_ps(v + i), slow, small);
        const __m256 wi = _mm256_mul_ps(_mm256_load_ps(w + i), slow);
        _mm256_store_ps(m + i, mi);
        _mm256_store_ps(v + i, vi);
        _mm256_store_ps(w + i, _mm256_fmadd_ps(mi, vi, wi));
    }
}

const fc_peak_products fc_peak_fma_avx2 = {"avx2 fma", FC_PRECISION_F32,
                                           2 * CHAINS *LANES, fma_rounds};
const fc_peak_memory fc_peak_memory_avx2 = {read_all, update_all};
