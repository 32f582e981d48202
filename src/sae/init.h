/* init.h - start weights, drawn from (seed, FC_RNG_WEIGHTS, index).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_INIT_H
#define FC_SAE_INIT_H

#include "sae/train.h"

/* Fills the weights of a zeroed SAE as config->init says. With unit_norm_decoder the decoder rows
 * are then brought to length 1. */
void fc_sae_init_weights(fc_sae *sae, const fc_train_config *config, fc_backend *be);

/* b_dec = mean or geometric median of the first batch, y [n, d_out] (config->b_dec_init). scratch:
 * [2, d_out]. */
void fc_sae_init_b_dec(fc_sae *sae, const fc_train_config *config, const float *y,
                       int64_t n, double *scratch);

#endif
