/* saelens_internal.h - what export and import of SAELens folders agree on.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_SAELENS_INTERNAL_H
#define FC_SAE_SAELENS_INTERNAL_H

#include "sae/import_internal.h"

#define FC_SAELENS_CFG_FILE     "cfg.json"
#define FC_SAELENS_WEIGHTS_FILE "sae_weights.safetensors"
#define FC_SAELENS_NPZ_FILE     "sae_weights.npz"
#define FC_SAELENS_MEAN_FILE    "normalization.safetensors"

/* Key in cfg.json's metadata: input must be normalised so, with normalization.safetensors. */
#define FC_SAELENS_NORMALIZATION "facet_normalization"

/* Tensors of all architectures in the order of the file; gated calls b_enc otherwise. */
void fc_saelens_rows(fc_import_row rows[FC_SAE_TENSORS], const char *arch);

/* The same folder with sae_weights.npz in the place of the safetensors file. */
fc_status fc_saelens_save_npz(const fc_sae *sae, const char *dir, fc_err *err);

#endif
