/* arch_matryoshka.c - batchtopk whose first features must also do alone.
 *
 *   y_w   = sum of features below w, + b_dec          for each width w_1 < w_2 < ... < d_sae
 *   total = sum over the widths of mse(y_w, y) + AuxK
 *
 * Wide dictionaries split a feature into narrow ones and then absorb it; here the narrow prefixes keep
 * the general features. One selection serves all widths. A feature of level g is part of y_w for all
 * w from g on, so it sees the sum of their gradients:
 *
 *   delta_g = sum over w >= w_g of d mse(y_w) / d y_w
 *
 * AuxK is on what all features leave over, or with matryoshka_aux for each level by itself (auxk.c).
 * Bussmann et al. 2025, arXiv 2503.17547.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sae/arch_parts.h"
#include "sae/auxk.h"

/* --- widths ------------------------------------------------------------------------------- */

int fc_matryoshka_levels(const char *widths, int64_t d_sae, int64_t *level_end)
{
    int n = 0;
    double last = 0.0;
    for (const char *at = widths; n < FC_MAX_LEVELS - 1;) {
        char *end = NULL;
        const double width = strtod(at, &end);
        if (end == at || !(width > last) || (*end != ',' && *end != '\0')) return 0;
        last = width;
        const double features = width <= 1.0 ? floor(width * (double)d_sae) : width;
        if (width > 1.0 && features != floor(features)) return 0;
        const int64_t before = n > 0 ? level_end[n - 1] : 0;
        if (features > (double)before && features < (double)d_sae)
            level_end[n++] = (int64_t)features;
        if (*end == '\0') {
            level_end[n++] = d_sae;
            return n;
        }
        at = end + 1;
    }
    return 0;
}

static fc_status check(const fc_train_config *config, fc_err *err)
{
    int64_t level_end[FC_MAX_LEVELS];
    if (fc_matryoshka_levels(config->matryoshka_widths, 1 << 24, level_end) == 0)
        return fc_fail(
            err, FC_USAGE,
            "matryoshka-widths is '%.100s', expected up to %d ascending shares "
            "of the features like 0.25,0.5,1 or numbers of them",
            config->matryoshka_widths, FC_MAX_LEVELS - 1);
    return fc_check_k(config, false, err);
}

/* --- one step ----------------------------------------------------------------------------- */

static float *delta_of(const fc_step *s, int level)
{
    return s->main.delta + level * s->config.batch_size * s->sae->d_out;
}

/* Each level goes on from the one before; its delta is its own until the loss has seen it. */
static void reconstruct(fc_step *s)
{
    const fc_ops *op = s->be->ops;
    const int64_t d = s->sae->d_out;
    const size_t n_bytes = (size_t)(s->n * d) * sizeof(float);
    fc_lists_turn(&s->codes->lists, s->n);
    for (int l = 0; l < s->n_levels; l++) {
        const int64_t first = l == 0 ? 0 : s->level_end[l - 1];
        if (l > 0) memcpy(delta_of(s, l), delta_of(s, l - 1), n_bytes);
        op->spmm(s->be, delta_of(s, l), d,
                 fc_lists_part_by_row(&s->codes->lists, first, s->level_end[l]),
                 fc_step_w_dec(s), s->precision, l > 0);
    }
    for (int l = 0; l < s->n_levels; l++)
        s->level_mse[l] =
            op->mse_grad(s->be, delta_of(s, l), s->sae->b_dec, fc_step_target(s), s->n, d,
                         (float)(2.0 / s->denominator)) /
            s->denominator;
    s->losses.mse = s->level_mse[s->n_levels - 1];
}

static void loss(fc_step *s)
{
    fc_update_topk_threshold(s);
    fc_auxk_loss(s);
    for (int l = 0; l < s->n_levels - 1; l++) s->losses.inner += s->level_mse[l];
    s->losses.total += s->losses.inner;
    const int64_t n = s->n * s->sae->d_out;
    for (int l = s->n_levels - 2; l >= 0; l--) {
        float *const delta = delta_of(s, l);
        const float *const next = delta_of(s, l + 1);
        for (int64_t j = 0; j < n; j++) delta[j] += next[j];
    }
}

const fc_arch fc_arch_matryoshka_batchtopk = {
    .name = "matryoshka_batchtopk",
    .tensors = FC_HAS_FOUR | FC_HAS_THRESHOLD,
    .fixed = FC_HAS_THRESHOLD,
    .has_auxk = true,
    .has_levels = true,
    .inference = {fc_activate_threshold, FC_SELECT_NONE},
    .training = {NULL, FC_SELECT_BATCH},
    .losses = 1U << FC_LOSS_AUX | 1U << FC_LOSS_INNER,
    .check = check,
    .reconstruct = reconstruct,
    .loss = loss,
    .backward = fc_backward_kept,
    .finish = fc_finish_topk_threshold,
};
