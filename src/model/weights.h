/* weights.h - the tensors of a Gemma 3 text model as a plain table, one row a layer.
 *
 * Matrices point into the mapped files in the files' own type; norm gains are float32 copies.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_MODEL_WEIGHTS_H
#define FC_MODEL_WEIGHTS_H

#include "base/arena.h"
#include "model/gemma_config.h"
#include "model/weight_files.h"
#include "tensor/backend.h"

typedef struct fc_layer_weights {
    /* norm gains, the offset from 1 */
    const float *input_norm, *post_attention_norm;             /* [d_model] */
    const float *pre_feedforward_norm, *post_feedforward_norm; /* [d_model] */
    const float *q_norm, *k_norm; /* [d_head], shared by the heads */
    /* matrices [out, in] */
    fc_mat q;        /* [n_heads * d_head, d_model] */
    fc_mat k, v;     /* [n_kv_heads * d_head, d_model] */
    fc_mat o;        /* [d_model, n_heads * d_head] */
    fc_mat gate, up; /* [d_mlp, d_model] */
    fc_mat down;     /* [d_model, d_mlp] */
} fc_layer_weights;

typedef struct fc_weights {
    fc_mat embed;            /* [n_vocab, d_model] */
    fc_mat head;             /* [n_vocab, d_model]; embed itself when tied */
    const float *final_norm; /* [d_model] */
    fc_layer_weights *layer; /* [n_layers] */
} fc_weights;

/* Finds every tensor and checks name, type (BF16, F16, F32) and shape; norm gains must be finite.
 * Copies go to the arena; the rest is borrowed from the files. */
fc_status fc_weights_load(fc_weights *weights, const fc_weight_files *files,
                          const fc_gemma_config *config, fc_arena *arena, fc_err *err);

#endif
