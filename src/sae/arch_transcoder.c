/* arch_transcoder.c - a standard or jumprelu SAE whose target is another activation than its input.
 *
 *   y = f W_dec + b_dec (+ x W_skip^T)      target: y, not x; f from x without b_dec
 *
 * The skip path takes what is linear in the input, so that features need not; it begins at 0.
 * Dunefsky et al. 2024, arXiv 2406.11944; Paulo et al. 2025, arXiv 2501.18823 (skip).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/arch_parts.h"

static fc_status check_jumprelu(const fc_train_config *config, fc_err *err)
{
    FC_TRY(fc_check_transcoder(config, err));
    return fc_check_jumprelu(config, err);
}

const fc_arch fc_arch_transcoder = {
    .name = "transcoder",
    .tensors = FC_HAS_FOUR,
    .is_transcoder = true,
    .has_whole_rows = true,
    .inference = {fc_activate_relu, FC_SELECT_NONE},
    .training = {fc_activate_relu, FC_SELECT_NONE},
    .check = fc_check_transcoder,
    .loss = fc_loss_l1,
    .backward = fc_backward_plain,
};

const fc_arch fc_arch_skip_transcoder = {
    .name = "skip_transcoder",
    .tensors = FC_HAS_FOUR | FC_HAS_SKIP,
    .is_transcoder = true,
    .has_whole_rows = true,
    .inference = {fc_activate_relu, FC_SELECT_NONE},
    .training = {fc_activate_relu, FC_SELECT_NONE},
    .check = fc_check_transcoder,
    .loss = fc_loss_l1,
    .backward = fc_backward_plain,
};

const fc_arch fc_arch_jumprelu_transcoder = {
    .name = "jumprelu_transcoder",
    .tensors = FC_HAS_FOUR | FC_HAS_THRESHOLD,
    .is_transcoder = true,
    .has_band = true,
    .has_extra = true,
    .needs_norms = true,
    .inference = {fc_activate_threshold, FC_SELECT_NONE},
    .training = {fc_activate_jumprelu, FC_SELECT_NONE},
    .losses = 1U << FC_LOSS_L0_LOSS | 1U << FC_LOSS_PRE_ACT,
    .check = check_jumprelu,
    .begin = fc_begin_jumprelu,
    .loss = fc_loss_jumprelu,
    .backward = fc_backward_jumprelu,
};

const fc_arch fc_arch_jumprelu_skip_transcoder = {
    .name = "jumprelu_skip_transcoder",
    .tensors = FC_HAS_FOUR | FC_HAS_THRESHOLD | FC_HAS_SKIP,
    .is_transcoder = true,
    .has_band = true,
    .has_extra = true,
    .needs_norms = true,
    .inference = {fc_activate_threshold, FC_SELECT_NONE},
    .training = {fc_activate_jumprelu, FC_SELECT_NONE},
    .losses = 1U << FC_LOSS_L0_LOSS | 1U << FC_LOSS_PRE_ACT,
    .check = check_jumprelu,
    .begin = fc_begin_jumprelu,
    .loss = fc_loss_jumprelu,
    .backward = fc_backward_jumprelu,
};
