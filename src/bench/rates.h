/* rates.h - an SAE in which every feature fires as often as wanted, without training one.
 *
 * How long a training step takes depends on how many features fire, and how unevenly. In trained SAEs
 * the rates are heavy-tailed; here they are drawn so:
 *
 *   rate_i = min(cap, s 10^(0.6 g_i)),  g_i normal,  s such that their mean is the one wanted
 *
 * Inputs are random unit rows, the encoder is random, and b_enc_i is minus the value that
 * W_enc_i x exceeds on a share rate_i of them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_BENCH_RATES_H
#define FC_BENCH_RATES_H

#include "sae/sae.h"

typedef struct fc_rates {
    int64_t n, n_dead; /* features, and those among them that never fire */
    double mean;       /* of the others; 0 .. 0.9 */
    uint64_t seed;
} fc_rates;

/* rate: [n], 0 for the dead. */
fc_status fc_rates_draw(double *rate, const fc_rates *rates, fc_err *err);

/* x: [n, d] random rows of length 1 */
void fc_unit_rows(float *x, fc_backend *be, int64_t n, int64_t d, uint64_t seed);

/* Sets b_enc: on the rows x [n, d_in] feature i fires rate[i] n times, rounded up or down by the seed,
 * so that the mean stays. b_dec is taken to be 0. */
fc_status fc_rates_set(fc_sae *sae, fc_backend *be, const float *x, int64_t n,
                       const double *rate, uint64_t seed, fc_err *err);

#endif
