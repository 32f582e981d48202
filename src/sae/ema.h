/* ema.h - a fading mean of the weights over the steps of a run, to be used instead of the last ones.
 *
 * Taken every FC_EMA_STEPS steps, which costs a tenth and fades the same: with E = FC_EMA_STEPS and
 * the u-th taking,  mean += s (w - mean),  s = max(1 - decay^E, 1 / u). Until 1 / u is the smaller
 * it is the plain mean, so that the start weights leave no trace.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_EMA_H
#define FC_SAE_EMA_H

#include "sae/step.h"

enum { FC_EMA_STEPS = 10 };

typedef struct fc_ema {
    float *w[FC_SAE_TENSORS]; /* as step->param, NULL where that has none */
} fc_ema;

/* Memory, if the configuration asks for a mean; else all NULL and nothing to do. */
fc_status fc_ema_init(fc_ema *ema, const fc_step *step, fc_err *err);
void fc_ema_deinit(fc_ema *ema);

/* After each step. */
void fc_ema_update(fc_ema *ema, const fc_step *step);

/* The mean becomes the weights of the SAE, once training is over; decoder rows get length 1 again
 * where they are kept so. */
void fc_ema_use(const fc_ema *ema, fc_step *step);

#endif
