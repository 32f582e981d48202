/* peak_avx512bf16.c - the rate of bf16 dot products, vdpbf16ps.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <immintrin.h>

#include "bench/peak_internal.h"

enum { LANES = 16, CHAINS = 12 };

static float dot_rounds(int64_t n_rounds)
{
    const __m512 tenth = _mm512_set1_ps(0.1f);
    const __m512bh a = _mm512_cvtne2ps_pbh(tenth, tenth);
    __m512 sum[CHAINS];
    for (int c = 0; c < CHAINS; c++) sum[c] = _mm512_set1_ps((float)c);
    for (int64_t i = 0; i < n_rounds; i++)
        for (int c = 0; c < CHAINS; c++) sum[c] = _mm512_dpbf16_ps(sum[c], a, a);
    for (int c = 1; c < CHAINS; c++) sum[0] = _mm512_add_ps(sum[0], sum[c]);
    return _mm_cvtss_f32(_mm512_castps512_ps128(sum[0]));
}

const fc_peak_products fc_peak_dot_avx512bf16 = {"avx512 bf16 dot", FC_PRECISION_BF16,
                                                 4 * CHAINS *LANES, dot_rounds};
