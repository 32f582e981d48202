/* site_names.h - the canonical name of every site, as the tests spell it out once more.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TEST_SITE_NAMES_H
#define FC_TEST_SITE_NAMES_H

#include <stdio.h>
#include <string.h>

#include "model/hook.h"

/* Name of each site; the layer's number takes the place of '#'. */
static const char *const site_names[FC_N_SITES] = {
    [FC_SITE_EMBED] = "model.embed_tokens",
    [FC_SITE_LAYER_IN] = "model.layers.#:input",
    [FC_SITE_ATTN_NORM] = "model.layers.#.input_layernorm",
    [FC_SITE_Q] = "model.layers.#.self_attn.q_proj",
    [FC_SITE_K] = "model.layers.#.self_attn.k_proj",
    [FC_SITE_V] = "model.layers.#.self_attn.v_proj",
    [FC_SITE_Q_NORM] = "model.layers.#.self_attn.q_norm",
    [FC_SITE_K_NORM] = "model.layers.#.self_attn.k_norm",
    [FC_SITE_ATTN_Z] = "model.layers.#.self_attn.o_proj:input",
    [FC_SITE_ATTN_OUT] = "model.layers.#.self_attn.o_proj",
    [FC_SITE_POST_ATTN_NORM] = "model.layers.#.post_attention_layernorm",
    [FC_SITE_RESID_MID] = "model.layers.#.pre_feedforward_layernorm:input",
    [FC_SITE_MLP_NORM] = "model.layers.#.pre_feedforward_layernorm",
    [FC_SITE_GATE] = "model.layers.#.mlp.gate_proj",
    [FC_SITE_UP] = "model.layers.#.mlp.up_proj",
    [FC_SITE_MLP_ACT] = "model.layers.#.mlp.down_proj:input",
    [FC_SITE_MLP_OUT] = "model.layers.#.mlp.down_proj",
    [FC_SITE_POST_MLP_NORM] = "model.layers.#.post_feedforward_layernorm",
    [FC_SITE_LAYER_OUT] = "model.layers.#",
    [FC_SITE_FINAL_NORM] = "model.norm",
    [FC_SITE_LOGITS] = "lm_head",
};

static inline bool is_in_layer(fc_site site)
{
    return site > FC_SITE_EMBED && site < FC_SITE_FINAL_NORM;
}

static inline void site_name(char *name, size_t n_bytes, fc_site site, int64_t layer)
{
    snprintf(name, n_bytes, "%s", site_names[site]);
    char *sharp = strchr(name, '#'); /* one digit: test models are small */
    if (sharp != NULL) *sharp = (char)('0' + layer);
}

#endif
