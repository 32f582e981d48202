/* layer_internal.h - one batch on its way through the model, and the layer it passes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_MODEL_LAYER_INTERNAL_H
#define FC_MODEL_LAYER_INTERNAL_H

#include "model/linear.h"

/* Buffers are [n_tokens, width], rows as in the batch. Attention is over when the MLP begins, so
 * q, k, v, z share their memory with gate, up. */
typedef struct fc_pass {
    fc_backend *be;
    const fc_model *model;
    const fc_linears *linears;
    fc_ragged seqs;
    int64_t n_tokens;
    const int32_t *position; /* [n_tokens] within the sequence */
    const float *one;        /* [n_tokens] of 1 */

    float *x;         /* [d_model] residual stream */
    float *h;         /* [d_model] what a block reads, then what it adds */
    float *q, *z;     /* [n_heads * d_head] */
    float *k, *v;     /* [n_kv_heads * d_head] */
    float *gate, *up; /* [d_mlp] */
    void *operand;    /* [the widest row that a product reads] bf16; NULL in float32 */

    const fc_hook *hook;
    int64_t n_hooks, n_left; /* hooks not called yet; 0 = nothing more to compute */
    fc_status status;        /* of the hook that failed */
    fc_err *err;
} fc_pass;

/* x [n_tokens, width] as products read it: itself, or rounded into `operand`, until the next call. */
fc_mat fc_pass_operand(const fc_pass *pass, const float *x, int64_t width);

/* Whether a hook sits at the point. */
bool fc_pass_is_hooked(const fc_pass *pass, fc_site site, int64_t layer);

/* The tensor of a point is made: calls its hooks. False when the run is over: no hook is left, or
 * one failed. */
bool fc_pass_reach(fc_pass *pass, fc_site site, int64_t layer, float *x);

/* Runs x through one layer. False when the run is over. */
bool fc_layer_run(fc_pass *pass, int64_t layer);

#endif
