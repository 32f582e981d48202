/* gemma_config.h - shapes and constants of a Gemma 3 text model, from config.json.
 *
 * Reads every spelling in use: text-only and multimodal (text_config), sparse configs that rely on
 * the defaults of transformers' Gemma3TextConfig, rope_theta / rope_local_base_freq / rope_scaling
 * and rope_parameters, layer_types and sliding_window_pattern. What would silently give other
 * numbers than transformers is refused with a sentence.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_MODEL_GEMMA_CONFIG_H
#define FC_MODEL_GEMMA_CONFIG_H

#include <stdbool.h>

#include "base/err.h"

enum { FC_MAX_LAYERS = 512 };

typedef struct fc_rope {
    double theta;
    double factor; /* linear scaling: frequencies are divided by it; 1 = none */
} fc_rope;

typedef struct fc_gemma_config {
    int64_t n_vocab, d_model, d_mlp, n_layers;
    int64_t n_heads, n_kv_heads, d_head;
    int64_t window; /* keys a sliding layer sees, the query included */
    int64_t max_positions;
    double query_pre_attn_scalar; /* attention scale is its inverse square root */
    double rms_norm_eps;
    double final_logit_softcap; /* 0 = none */
    fc_rope rope_full, rope_sliding;
    bool is_full[FC_MAX_LAYERS]; /* layer attends to everything before it */
    bool is_multimodal;          /* config came with a text_config */
    bool is_head_tied;
    int32_t bos_id, pad_id;
} fc_gemma_config;

/* path: config.json */
fc_status fc_gemma_config_load(fc_gemma_config *config, const char *path, fc_err *err);

#endif
