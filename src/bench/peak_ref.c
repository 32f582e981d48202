/* peak_ref.c - the peak loops in plain C.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "bench/peak_internal.h"

enum { CHAINS = 16 }; /* independent sums: more than latency times width of any core */

static float fma_rounds(int64_t n_rounds)
{
    float sum[CHAINS] = {0};
    for (int64_t i = 0; i < n_rounds; i++)
        for (int c = 0; c < CHAINS; c++) sum[c] = fmaf(sum[c], 0.999f, 0.001f);
    float all = 0.0f;
    for (int c = 0; c < CHAINS; c++) all += sum[c];
    return all;
}

static uint32_t read_all(const float *x, int64_t n)
{
    uint32_t all[CHAINS] = {0}, one = 0;
    for (int64_t i = 0; i < n; i += CHAINS) {
        uint32_t word[CHAINS];
        memcpy(word, x + i, sizeof word);
        for (int c = 0; c < CHAINS; c++) all[c] ^= word[c];
    }
    for (int c = 0; c < CHAINS; c++) one ^= all[c];
    return one;
}

static void update_all(float *w, float *m, float *v, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        m[i] = m[i] * 0.9f + 0.1f;
        v[i] = v[i] * 0.999f + 0.001f;
        w[i] = w[i] * 0.999f + m[i] * v[i];
    }
}

const fc_peak_products fc_peak_fma_ref = {"ref fma", FC_PRECISION_F32, 2 * CHAINS,
                                          fma_rounds};
const fc_peak_memory fc_peak_memory_ref = {read_all, update_all};
