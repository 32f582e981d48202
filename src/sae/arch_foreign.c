/* arch_foreign.c - architectures that only other tools train: their features, no training step.
 *
 *   topk_transcoder, topk_skip_transcoder    as topk; y is another activation (+ x W_skip^T)
 *   groupmax                                 max(z, 0) of the largest z of each of k runs of
 *                                            d_sae / k neighbours; of equal ones the first
 *
 * All are of sparsify (EleutherAI).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/arch_parts.h"

static fc_status check(const fc_train_config *config, fc_err *err)
{
    return fc_fail(err, FC_USAGE, "arch %d can be used but not trained", config->arch);
}

const fc_arch fc_arch_topk_transcoder = {
    .name = "topk_transcoder",
    .tensors = FC_HAS_FOUR,
    .is_transcoder = true,
    .inference = {NULL, FC_SELECT_ROW},
    .check = check,
};

const fc_arch fc_arch_topk_skip_transcoder = {
    .name = "topk_skip_transcoder",
    .tensors = FC_HAS_FOUR | FC_HAS_SKIP,
    .is_transcoder = true,
    .inference = {NULL, FC_SELECT_ROW},
    .check = check,
};

const fc_arch fc_arch_groupmax = {
    .name = "groupmax",
    .tensors = FC_HAS_FOUR,
    .inference = {NULL, FC_SELECT_GROUP},
    .check = check,
};
