/* sae.h - a sparse autoencoder as a value: weights, what its input must look like, exchange. codes.h
 * uses it.
 *
 *   z = (x - b_dec) W_enc^T + b_enc,  f = activation(z),  y = f W_dec + b_dec
 *
 * Both matrices are stored feature-major, [d_sae, d_in]: row i of w_enc and of w_dec belong to
 * feature i.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_SAE_H
#define FC_SAE_SAE_H

#include <stdbool.h>

#include "acts/normaliser.h"
#include "tensor/backend.h"

typedef struct fc_sae {
    char arch[32]; /* "standard" */
    int64_t d_in, d_sae;
    bool is_b_dec_subtracted; /* apply_b_dec_to_input */
    float *w_enc, *w_dec;     /* [d_sae, d_in] */
    float *b_enc, *b_dec;     /* [d_sae], [d_in] */
    fc_normaliser
        normaliser; /* what raw activations go through first; NONE for foreign SAEs */
    char model[1024], hook[128]; /* where the activations came from; "" unknown */
    int64_t context_size;
} fc_sae;

/* Zeroed weights. Free with fc_sae_free. */
fc_status fc_sae_new(fc_sae **created, int64_t d_in, int64_t d_sae, fc_err *err);
void fc_sae_free(fc_sae *sae);

/* SAELens v6 folder: cfg.json and sae_weights.safetensors, W_enc [d_in, d_sae], W_dec [d_sae, d_in].
 * center_scale is folded into the weights exactly. center_unit has no counterpart in SAELens: the
 * weights are those for normalised input, metadata says so, and normalization.safetensors beside
 * them holds the mean; fc_sae_load takes it back. */
fc_status fc_sae_save(const fc_sae *sae, const char *dir, fc_err *err);
fc_status fc_sae_load(fc_sae **loaded, const char *dir, fc_err *err);

#endif
