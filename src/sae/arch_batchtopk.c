/* arch_batchtopk.c - k features a row on average: the k n strongest of a batch.
 *
 *   f = max(z, 0) of the floor(k n) largest keys of the batch; key = z_i, or z_i ||W_dec_i||
 *   total = mse + AuxK (auxk.h)
 *
 * A row that is hard gets more than one that is easy. What fires then depends on the batch; for use,
 * one threshold stands for it, the fading mean of the smallest key that was kept:
 *
 *   theta = (1 - r) theta + r min          r = topk_threshold_lr, every step, from 0
 *
 * After training threshold_i = theta (/ ||W_dec_i||) makes it a jumprelu SAE.
 * Bussmann et al. 2024, arXiv 2412.06410.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "sae/arch_parts.h"
#include "sae/auxk.h"

void fc_update_topk_threshold(fc_step *s)
{
    const fc_lists *l = &s->codes->lists;
    float min = INFINITY;
    for (int64_t i = 0; i < s->sae->d_sae; i++) {
        const float norm = s->codes->norm != NULL ? s->codes->norm[i] : 1.0f;
        const float *const value = l->value + l->begin[i];
        for (int64_t j = 0; j < l->count[i]; j++) min = fminf(min, value[j] * norm);
    }
    const double rate = s->config.topk_threshold_lr;
    if (isfinite(min))
        s->topk_threshold = (1.0 - rate) * s->topk_threshold + rate * (double)min;
}

void fc_finish_topk_threshold(fc_step *s)
{
    for (int64_t i = 0; i < s->sae->d_sae; i++) {
        const double norm = s->codes->norm != NULL ? (double)s->codes->norm[i] : 1.0;
        s->sae->threshold[i] =
            (float)(norm > 0.0 ? s->topk_threshold / norm : s->topk_threshold);
    }
}

static fc_status check(const fc_train_config *config, fc_err *err)
{
    return fc_check_k(config, false, err);
}

static void loss(fc_step *s)
{
    fc_update_topk_threshold(s);
    fc_auxk_loss(s);
}

const fc_arch fc_arch_batchtopk = {
    .name = "batchtopk",
    .tensors = FC_HAS_FOUR | FC_HAS_THRESHOLD,
    .fixed = FC_HAS_THRESHOLD,
    .has_auxk = true,
    .inference = {fc_activate_threshold, FC_SELECT_NONE},
    .training = {NULL, FC_SELECT_BATCH},
    .losses = 1U << FC_LOSS_AUX,
    .check = check,
    .loss = loss,
    .backward = fc_backward_kept,
    .finish = fc_finish_topk_threshold,
};
