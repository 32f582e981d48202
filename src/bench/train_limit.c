/* train_limit.c - the sums of train_limit.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "bench/train_limit.h"

#include <math.h>

fc_train_limit fc_train_limit_of(const fc_train_shape *s, const fc_peaks *peaks)
{
    const double d = (double)s->d_in, features = (double)s->d_sae, n = (double)s->n;
    const double flops = peaks->flops[s->precision];
    const double row_bytes = d * (s->precision == FC_PRECISION_BF16 ? 2.0 : 4.0);
    const double dense_s = 2.0 * d * n / flops;
    fc_train_limit limit = {
        .encode = fmax(features * dense_s, 4.0 * features * d / peaks->read)};
    double n_fired = 0.0;
    for (int64_t i = 0; i < s->d_sae; i++) {
        const double gathered = (double)s->count[i] * row_bytes;
        n_fired += (double)s->count[i];
        limit.decode += fmin(dense_s, gathered / peaks->l3);
        limit.gradients += 3.0 * fmin(dense_s, gathered / peaks->l2);
    }
    limit.adam = 24.0 * 2.0 * d * (double)s->n_moving / peaks->update;
    limit.other = (5.0 * 4.0 * n * d + 3.0 * 8.0 * n_fired) / peaks->l3;
    limit.total =
        limit.encode + limit.decode + limit.gradients + limit.adam + limit.other;
    return limit;
}
