/* losses.h - the losses of a step by name.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_LOSSES_H
#define FC_SAE_LOSSES_H

#include <stdint.h>

/* id, name, what it is. `total` is the sum of mse and of what has its coefficient in it. What an
 * architecture has not is 0. */
#define FC_LOSSES(X)                                                              \
    X(TOTAL, total, "all of it")                                                  \
    X(MSE, mse, "squared error")                                                  \
    X(L1, l1, "sparsity penalty without its coefficient")                         \
    X(L0, l0, "mean number of features above 0 for a row")                        \
    X(L0_LOSS, l0_loss, "penalty on how many fire, with its coefficient")         \
    X(AUX, aux, "second reconstruction (AuxK, gate), with its coefficient")       \
    X(PRE_ACT, pre_act, "pre-activations of dead features, with its coefficient") \
    X(INNER, inner, "squared errors of inner levels")                             \
    X(VARIANCE, variance, "of what is reconstructed, as mse; last steps of a run only")

typedef enum fc_loss {
#define FC_LOSS_ID(id, name, help) FC_LOSS_##id,
    FC_LOSSES(FC_LOSS_ID)
#undef FC_LOSS_ID
        FC_N_LOSSES
} fc_loss;

typedef struct fc_losses { /* of one batch */
#define FC_LOSS_MEMBER(id, name, help) double name;
    FC_LOSSES(FC_LOSS_MEMBER)
#undef FC_LOSS_MEMBER
} fc_losses;

static inline void fc_losses_add(fc_losses *sum, const fc_losses *losses)
{
#define FC_LOSS_ADD(id, name, help) sum->name += losses->name;
    FC_LOSSES(FC_LOSS_ADD)
#undef FC_LOSS_ADD
}

/* sum / n; n < 1 counts as 1 */
static inline fc_losses fc_losses_mean(fc_losses sum, int64_t n)
{
    const double by = (double)(n < 1 ? 1 : n);
#define FC_LOSS_DIVIDE(id, name, help) sum.name /= by;
    FC_LOSSES(FC_LOSS_DIVIDE)
#undef FC_LOSS_DIVIDE
    return sum;
}

#endif
