/* optimizer.h - from gradients to weights: projection, clipping, Adam, unit decoder rows.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_OPTIMIZER_H
#define FC_SAE_OPTIMIZER_H

#include "sae/arch.h"

/* Makes of the gradients in step->param[].g what Adam is to see: with unit_norm_decoder the part
 * of dW_dec_i along W_dec_i is taken out; with grad_clip_norm c > 0 all are scaled by
 * min(1, c / (norm + 1e-6)). Returns the L2 norm of all gradients together, after the projection
 * and before the clipping; 0 when neither clipping nor is_norm_wanted asks for it. */
double fc_optimizer_prepare(fc_step *step, bool is_norm_wanted);

/* One Adam step on every parameter with rate lr; k = 1, 2, ... counts the steps. With
 * unit_norm_decoder the rows of W_dec return to length 1. */
void fc_optimizer_apply(fc_step *step, double lr, int64_t k);

#endif
