/* sae.h - a sparse autoencoder as a value: weights, what its input must look like, exchange. codes.h
 * uses it.
 *
 *   z = (x - b_dec) W_enc^T + b_enc,  f = activation(z),  y = f W_dec + b_dec (+ x W_skip^T)
 *
 * Both matrices are stored feature-major, [d_sae, d_in] and [d_sae, d_out]: row i of w_enc and of
 * w_dec belong to feature i. A transcoder's y is not x but another activation, of d_out dimensions.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_SAE_H
#define FC_SAE_SAE_H

#include <stdbool.h>

#include "acts/normaliser.h"
#include "tensor/backend.h"

/* What an SAE may hold. Names are SAELens'; but for the first four an architecture has it or not. */
typedef enum fc_sae_tensor_id {
    FC_W_ENC,     /* [d_sae, d_in] */
    FC_W_DEC,     /* [d_sae, d_out] */
    FC_B_ENC,     /* [d_sae]; gated: called b_gate */
    FC_B_DEC,     /* [d_out] */
    FC_THRESHOLD, /* [d_sae] jumprelu, and what batchtopk uses once it is trained */
    FC_R_MAG,     /* [d_sae] gated */
    FC_B_MAG,     /* [d_sae] gated */
    FC_W_SKIP,    /* [d_out, d_in] skip transcoders */
    FC_SAE_TENSORS
} fc_sae_tensor_id;

/* Architectures (the rules are those of SAELens; arch.h has the table):
 *   standard, transcoder, skip_transcoder    f = max(z, 0)
 *   topk                   f = max(z, 0) of the k largest of a row; equal ones: lower feature first
 *   jumprelu (.._transcoder, .._skip_transcoder)    f = max(z, 0) where z > threshold
 *   batchtopk, matryoshka_batchtopk          as jumprelu (other tools store them under that name)
 *   gated                  f = max(e^r_mag (z - b_gate) + b_mag, 0) where z > 0
 * and of other tools, not to be trained
 *   topk_transcoder, topk_skip_transcoder    as topk
 *   groupmax               f = max(z, 0) of the largest of each of k runs of neighbours */
typedef struct fc_sae {
    char arch[32];
    int64_t d_in, d_out, d_sae; /* d_out differs from d_in in transcoders only */
    bool is_b_dec_subtracted;   /* apply_b_dec_to_input; never in transcoders */
    double k; /* topk, batchtopk: features a row (fractions: batchtopk) */
    bool
        is_rescaled; /* topk: rows compete by z_i ||W_dec_i||, f stays z. SAELens' f is then
                         z_i ||W_dec_i||: fc_sae_fold_norms makes both the same */
    float *w_enc, *w_dec, *b_enc, *b_dec;
    float *threshold, *r_mag, *b_mag, *w_skip; /* NULL where the architecture has none */
    fc_normaliser normaliser;                  /* what raw activations go through first */
    fc_normaliser target_normaliser;           /* transcoders: the same for y */
    char model[1024], hook[128]; /* where the activations came from; "" unknown */
    char target_hook[128];       /* transcoders: where y came from */
    int64_t context_size;
} fc_sae;

/* Zeroed weights of a known architecture; d_out must be d_in unless it is a transcoder. Free with
 * fc_sae_free. */
fc_status fc_sae_new(fc_sae **created, const char *arch, int64_t d_in, int64_t d_out,
                     int64_t d_sae, fc_err *err);
void fc_sae_free(fc_sae *sae);

/* One of its tensors as a row-major matrix, vectors as one row. data NULL: it has none. `name`
 * as in files. */
typedef struct fc_sae_tensor {
    const char *name;
    int64_t rows, cols;
    float *data;
} fc_sae_tensor;
fc_sae_tensor fc_sae_tensor_of(const fc_sae *sae, fc_sae_tensor_id id);

/* Decoder rows to length 1, with encoder, biases and thresholds scaled so that y stays the same and
 * f becomes f_i ||W_dec_i||. Not for topk unless it is rescaled: other features would win. A row
 * of zeros is left alone. */
void fc_sae_fold_norms(fc_sae *sae);

/* SAELens v6 folder: cfg.json and sae_weights.safetensors, W_enc [d_in, d_sae], W_dec [d_sae, d_out].
 * center_scale is folded into the weights exactly. center_unit has no counterpart in SAELens: the
 * weights are those for normalised input, metadata says so, and normalization.safetensors beside
 * them holds the mean; fc_sae_load takes it back. */
fc_status fc_sae_save(const fc_sae *sae, const char *dir, fc_err *err);
/* An SAE of any tool that exchange.h knows: its folder, its weights, or a run of Facet. */
fc_status fc_sae_load(fc_sae **loaded, const char *given, fc_err *err);

#endif
