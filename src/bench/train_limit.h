/* train_limit.h - the least time a training step could take on this machine.
 *
 * With F features, d inputs, a batch of n rows, feature i above 0 on c_i of them, a features whose
 * weights still move, an operand of s bytes (4 or 2), and the measured peaks (peaks.h):
 *
 *   encode      2 F d n operations at the peak of the precision, or reading W_enc once if that takes
 *               longer: 4 F d bytes
 *   decode      for each feature the shorter of two ways:
 *                 dense    2 d n operations at the peak
 *                 sparse   c_i rows of d s bytes gathered at the rate of the shared cache
 *   gradients   three such products (dW_dec, df, dW_enc), gathered from a core's own cache
 *   Adam        weights and two moments of both matrices read and written: 2 d a numbers, 24 bytes
 *               each, at the rate of updating in place
 *   other       x, y and delta pass five times, each entry above 0 is written and read three times
 *               in 8 bytes, at the rate of the shared cache
 *
 * Nothing is taken to overlap. A program may be faster than that only by leaving work out.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_BENCH_TRAIN_LIMIT_H
#define FC_BENCH_TRAIN_LIMIT_H

#include "bench/peaks.h"

typedef struct fc_train_shape {
    int64_t d_in, d_sae, n; /* d, F, n */
    const int64_t *count;   /* [F] c_i */
    int64_t n_moving;       /* a */
    fc_precision precision;
} fc_train_shape;

typedef struct fc_train_limit { /* seconds */
    double encode, decode, gradients, adam, other;
    double total;
} fc_train_limit;

fc_train_limit fc_train_limit_of(const fc_train_shape *shape, const fc_peaks *peaks);

#endif
