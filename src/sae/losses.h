/* losses.h - the losses of a step by name.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_LOSSES_H
#define FC_SAE_LOSSES_H

#include <stdint.h>

/* name, what it is. `total` is the sum of what has a coefficient in it, and mse. A loss that the
 * architecture has not is 0. */
#define FC_LOSSES(X)                                                     \
    X(total, "all of it")                                                \
    X(mse, "squared error")                                              \
    X(l1, "sparsity penalty without its coefficient")                    \
    X(l0, "mean number of features above 0 for a row")                   \
    X(l0_loss, "penalty on how many fire, with its coefficient")         \
    X(aux, "auxiliary reconstruction, with its coefficient")             \
    X(pre_act, "pre-activations of dead features, with its coefficient") \
    X(inner, "squared errors of the inner levels")

typedef struct fc_losses { /* of one batch */
#define FC_LOSS_MEMBER(name, help) double name;
    FC_LOSSES(FC_LOSS_MEMBER)
#undef FC_LOSS_MEMBER
} fc_losses;

enum { FC_N_LOSSES = (int)(sizeof(fc_losses) / sizeof(double)) };

static inline void fc_losses_add(fc_losses *sum, const fc_losses *losses)
{
#define FC_LOSS_ADD(name, help) sum->name += losses->name;
    FC_LOSSES(FC_LOSS_ADD)
#undef FC_LOSS_ADD
}

/* sum / n; n < 1 counts as 1 */
static inline fc_losses fc_losses_mean(fc_losses sum, int64_t n)
{
    const double by = (double)(n < 1 ? 1 : n);
#define FC_LOSS_DIVIDE(name, help) sum.name /= by;
    FC_LOSSES(FC_LOSS_DIVIDE)
#undef FC_LOSS_DIVIDE
    return sum;
}

#endif
