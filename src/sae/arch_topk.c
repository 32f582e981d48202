/* arch_topk.c - the k strongest features of each row.
 *
 *   z   = W_enc xc^T + b_enc
 *   f   = max(z, 0) of the k largest keys of a row; key = z_i, or z_i ||W_dec_i||
 *   total = mse + AuxK (auxk.h)
 *
 * k fixes the sparsity, so there is no penalty to tune. The price: easy and hard rows get the same
 * budget; arch_batchtopk.c shares it over the batch. The gradient flows through kept entries only.
 * Gao et al. 2024, arXiv 2406.04093, section 2.3.
 *
 * Ranking by z_i ||W_dec_i|| (SAELens' rescale_acts_by_decoder_norm) makes the choice independent of
 * how length is shared between encoder and decoder. SAELens scales f by the norm and divides by it
 * again on decoding; both cancel, in the gradients too, so here f stays z.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "sae/arch_parts.h"
#include "sae/auxk.h"

fc_status fc_check_k(const fc_train_config *config, bool is_whole_number, fc_err *err)
{
    if (is_whole_number && config->k != floor(config->k))
        return fc_fail(err, FC_USAGE,
                       "k is %g, expected a whole number: a fraction is for batchtopk",
                       config->k);
    if (config->k > 0.0) return FC_OK;
    return fc_fail(err, FC_USAGE, "k is %g, expected more than 0 features a row",
                   config->k);
}

static fc_status check(const fc_train_config *config, fc_err *err)
{
    return fc_check_k(config, true, err);
}

const fc_arch fc_arch_topk = {
    .name = "topk",
    .tensors = FC_HAS_FOUR,
    .has_auxk = true,
    .inference = {NULL, FC_SELECT_ROW},
    .training = {NULL, FC_SELECT_ROW},
    .losses = 1U << FC_LOSS_AUX,
    .check = check,
    .loss = fc_auxk_loss,
    .backward = fc_backward_kept,
};
