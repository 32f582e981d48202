/* saelens_internal.h - what export and import of SAELens folders agree on.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_SAELENS_INTERNAL_H
#define FC_SAE_SAELENS_INTERNAL_H

#include "sae/sae.h"

/* Key in cfg.json's metadata: input must be normalised so, with normalization.safetensors. */
#define FC_SAELENS_NORMALIZATION "facet_normalization"

/* Tensors of the standard architecture in the order of the file. */
enum { FC_SAELENS_TENSORS = 4 };
extern const char *const fc_saelens_names[FC_SAELENS_TENSORS];

/* Shape of fc_saelens_names[i]; returns the rank. */
int fc_saelens_shape(int i, int64_t d_in, int64_t d_sae, int64_t shape[2]);

/* FC_FORMAT when a value is NaN or infinite; `where` begins the sentence. */
fc_status fc_saelens_check_finite(const float *w, int64_t n, const char *name,
                                  const char *where, fc_err *err);

#endif
