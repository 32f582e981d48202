/* rng.h - counter-based random numbers: the value depends on (seed, stream, index) alone.
 *
 * Philox4x32-10 (Salmon et al., SC 2011). No state to save, the same numbers for any thread
 * count and after resume. A stream separates uses of one seed (weights, epoch 7's shuffle).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_BASE_RNG_H
#define FC_BASE_RNG_H

#include "base/err.h"

/* Streams of the whole program, so that no two uses draw the same numbers. */
typedef enum fc_rng_stream {
    FC_RNG_WEIGHTS = 1,
    FC_RNG_EXAMPLES = 2,
    FC_RNG_EVAL = 3,
    FC_RNG_TEST = 4,
    FC_RNG_RESAMPLE = 5,
    FC_RNG_EPOCH = 1000 /* + epoch: the shuffle of that epoch */
} fc_rng_stream;

/* Four independent 32-bit words. */
void fc_rng_block(uint64_t seed, uint64_t stream, uint64_t index, uint32_t out[4]);
uint64_t fc_rng_u64(uint64_t seed, uint64_t stream, uint64_t index);
double fc_rng_uniform(uint64_t seed, uint64_t stream,
                      uint64_t index); /* [0, 1), 53 bits */
double fc_rng_normal(uint64_t seed, uint64_t stream, uint64_t index); /* Box-Muller */

/* Writes a uniform random permutation of 0..n-1 (Fisher-Yates). 0 <= n <= UINT32_MAX. */
void fc_rng_permutation(uint64_t seed, uint64_t stream, int64_t n, uint32_t *out);

#endif
