/* auxk.h - AuxK: dead features learn to reconstruct what the living leave over.
 *
 *   e = y - what is reconstructed        a constant, no gradient flows into it
 *   g = z of the k_aux dead features with the largest keys of a row, whatever their sign
 *   aux = coefficient min(n_dead / k_max, 1) mean (g W_dec - e)^2       k_aux = min(k_max, n_dead)
 *
 * k_max is half the input's width unless configured. Gao et al. 2024, arXiv 2406.04093, appendix A.2;
 * SAELens' form: no division by the variance.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_AUXK_H
#define FC_SAE_AUXK_H

#include "sae/step.h"

typedef struct fc_auxk fc_auxk;

/* For a step that has its codes; step->config says how. */
fc_status fc_auxk_new(fc_auxk **created, const fc_step *step, fc_err *err);
void fc_auxk_free(fc_auxk *auxk);

/* Terms of its own: 1, or one for each level of the step. */
int fc_auxk_levels(const fc_step *step);

/* Sets step->aux and losses.aux, from main.delta: that of each level by itself. */
void fc_auxk_loss(fc_step *step);

#endif
