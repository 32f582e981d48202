/* hook.h - points in the model where a tensor can be read or replaced, by Hugging Face name.
 *
 *   model.embed_tokens                           scaled embedding            [n_tokens, d_model]
 *   model.layers.N                               residual stream after layer N
 *   model.layers.N.{input_layernorm, post_attention_layernorm, pre_feedforward_layernorm,
 *                   post_feedforward_layernorm}
 *   model.layers.N.self_attn.{q_proj, k_proj, v_proj, q_norm, k_norm, o_proj}, .self_attn (= o_proj)
 *   model.layers.N.mlp.{gate_proj, up_proj, down_proj}, .mlp (= down_proj)
 *   model.norm                                   after the final norm
 *   lm_head                                      logits, after the softcap   [n_tokens, n_vocab]
 *
 * A name means the module's output; ":input" appended means its input (self_attn.o_proj:input is
 * z, mlp.down_proj:input the gated activations). Accepted spellings: "model.layers[25].mlp",
 * "layers.25.mlp", "model.model.layers...", "model.language_model.layers...", and a final
 * ".output" or ".input" in place of the colon.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_MODEL_HOOK_H
#define FC_MODEL_HOOK_H

#include "model/gemma_config.h"

/* Tensors in the order in which one layer makes them. Names that mean the same tensor share a site. */
typedef enum fc_site {
    FC_SITE_EMBED,     /* before the layers */
    FC_SITE_LAYER_IN,  /* residual entering the layer */
    FC_SITE_ATTN_NORM, /* input_layernorm */
    FC_SITE_Q,
    FC_SITE_K,
    FC_SITE_V,
    FC_SITE_Q_NORM,
    FC_SITE_K_NORM,
    FC_SITE_ATTN_Z,   /* o_proj input */
    FC_SITE_ATTN_OUT, /* o_proj output */
    FC_SITE_POST_ATTN_NORM,
    FC_SITE_RESID_MID, /* pre_feedforward_layernorm input */
    FC_SITE_MLP_NORM,  /* pre_feedforward_layernorm output */
    FC_SITE_GATE,
    FC_SITE_UP,
    FC_SITE_MLP_ACT, /* down_proj input */
    FC_SITE_MLP_OUT, /* down_proj output */
    FC_SITE_POST_MLP_NORM,
    FC_SITE_LAYER_OUT,
    FC_SITE_FINAL_NORM, /* after the layers */
    FC_SITE_LOGITS,
    FC_N_SITES
} fc_site;

typedef struct fc_hook_point {
    fc_site site;
    int layer;     /* 0 where the site has none */
    int64_t width; /* elements per token */
    char name[96]; /* canonical, one for each site: "model.layers.25.mlp.down_proj" */
} fc_hook_point;

/* Unknown name: the sentence gives the nearest valid names; layer out of range: the range. */
fc_status fc_hook_parse(fc_hook_point *point, const char *text,
                        const fc_gemma_config *config, fc_err *err);

/* Order of computation: negative when a's tensor is made before b's. */
int fc_hook_compare(const fc_hook_point *a, const fc_hook_point *b);

/* Called when the tensor of a point has been computed: x [n_tokens, width] f32, token-major,
 * rows as in the batch. A hook may write to x: later computation goes on with the new values. */
typedef fc_status fc_hook_fn(void *ctx, const fc_hook_point *point, float *x,
                             int64_t n_tokens, fc_err *err);

typedef struct fc_hook {
    fc_hook_point point;
    fc_hook_fn *fn;
    void *ctx;
} fc_hook;

#endif
