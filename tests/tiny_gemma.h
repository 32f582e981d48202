/* tiny_gemma.h - a random Gemma 3 checkpoint, small enough to write anew in every test.
 *
 *   fc_tiny_gemma tiny = fc_tiny_gemma_defaults();   2 layers, d_model 64, 256 tokens
 *   tiny.n_layers = 3;
 *   fc_tiny_gemma_write(dir, &tiny);                 config.json, model.safetensors
 *
 * The same struct gives the same bytes. No part of the model is idle: gains differ from 0, heads
 * are shared, layer 0 has a window of 8 and layer 1 sees everything.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TINY_GEMMA_H
#define FC_TINY_GEMMA_H

#include "formats/dtype.h"

typedef struct fc_tiny_gemma {
    int64_t n_vocab, d_model, d_mlp, n_layers, n_heads, n_kv_heads, d_head;
    int64_t window, pattern, query_pre_attn_scalar;
    uint64_t seed;
    fc_dtype dtype;     /* F32 or BF16, of every tensor */
    int n_shards;       /* 0: one file without an index */
    int has_head;       /* an lm_head of its own, tie_word_embeddings false */
    const char *prefix; /* of the tensors' names: "model." */
    const char
        *more_config; /* members added to config.json: "\"eos_token_id\": 1"; or NULL */
    /* Damage, each the name of a tensor with its prefix, or NULL */
    const char *left_out, *misshapen, *poisoned /* with a NaN at its end */;
} fc_tiny_gemma;

fc_tiny_gemma fc_tiny_gemma_defaults(void);

/* Writes into an existing folder; a failure fails the test. */
void fc_tiny_gemma_write(const char *dir, const fc_tiny_gemma *tiny);

#endif
