/* arch_standard.c - ReLU features with an L1 penalty.
 *
 *   f = relu(W_enc xc^T + b_enc)                                  [d_sae, n]
 *   total = mse(y, x) + lambda sum_i c_i sum_t f_it / n
 *
 * c_i weights a feature: 1 (l1_form sum), 1 / d_sae (mean), or ||W_dec_i|| (decoder_norm).
 * In the gradients:
 *   dz_it  += lambda c_i / n                          where the feature fires
 *   dW_dec_i += lambda (sum_t f_it / n) W_dec_i / ||W_dec_i||       decoder_norm only
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/arch_parts.h"

static fc_status check(const fc_train_config *config, fc_err *err)
{
    (void)config;
    (void)err;
    return FC_OK;
}

const fc_arch fc_arch_standard = {
    .name = "standard",
    .tensors = FC_HAS_FOUR,
    .has_whole_rows = true,
    .inference = {fc_activate_relu, FC_SELECT_NONE},
    .training = {fc_activate_relu, FC_SELECT_NONE},
    .check = check,
    .loss = fc_loss_l1,
    .backward = fc_backward_plain,
};
