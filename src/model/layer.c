/* layer.c - one decoder layer of Gemma 3, written once for every size.
 *
 *   h = Norm(x; input_layernorm)                                      [n_tokens, d_model]
 *   q = Rope(Norm(W_q h)), k = Rope(Norm(W_k h)), v = W_v h           heads of d_head
 *   z = softmax(scale q k^T, causal, in the window) v                 [n_tokens, n_heads * d_head]
 *   x = x + Norm(W_o z; post_attention_layernorm)
 *   m = Norm(x; pre_feedforward_layernorm)
 *   y = W_down (gelu(W_gate m) * W_up m)                              [n_tokens, d_model]
 *   x = x + Norm(y; post_feedforward_layernorm)
 *
 * Norm(x; w) = x / sqrt(mean(x^2) + eps) (1 + w). Unlike in Llama, the post-norms act on what a
 * block adds. After each tensor its hooks are called, and the first `false` ends the run: that is
 * how nothing behind the last hook is computed.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "model/layer_internal.h"

#include <math.h>

fc_mat fc_pass_operand(const fc_pass *pass, const float *x, int64_t width)
{
    if (pass->operand == NULL) return fc_mat_of(x, FC_F32, pass->n_tokens, width);
    pass->be->ops->convert(pass->be, pass->operand, FC_BF16, x, FC_F32,
                           pass->n_tokens * width);
    return fc_mat_of(pass->operand, FC_BF16, pass->n_tokens, width);
}

static bool is_at(const fc_hook *hook, fc_site site, int64_t layer)
{
    return hook->point.site == site && hook->point.layer == layer;
}

bool fc_pass_is_hooked(const fc_pass *pass, fc_site site, int64_t layer)
{
    for (int64_t i = 0; i < pass->n_hooks; i++)
        if (is_at(&pass->hook[i], site, layer)) return true;
    return false;
}

bool fc_pass_reach(fc_pass *pass, fc_site site, int64_t layer, float *x)
{
    for (int64_t i = 0; i < pass->n_hooks; i++) {
        const fc_hook *hook = &pass->hook[i];
        if (!is_at(hook, site, layer)) continue;
        pass->status = hook->fn(hook->ctx, &hook->point, x, pass->n_tokens, pass->err);
        if (pass->status != FC_OK) return false;
        pass->n_left--;
    }
    return pass->n_left > 0;
}

/* h = Norm(x; gain) */
static void norm(const fc_pass *pass, const float *gain)
{
    const fc_gemma_config *config = &pass->model->config;
    pass->be->ops->rmsnorm(pass->be, pass->h, pass->x, gain, pass->n_tokens,
                           config->d_model, (float)config->rms_norm_eps);
}

/* Norm over each head of q or k, in place. */
static void norm_heads(const fc_pass *pass, float *q, const float *gain, int64_t n_heads)
{
    const fc_gemma_config *config = &pass->model->config;
    pass->be->ops->rmsnorm(pass->be, q, q, gain, pass->n_tokens * n_heads, config->d_head,
                           (float)config->rms_norm_eps);
}

/* x += Norm(h; gain), in one operation or, for a hook on the norm, in two that round alike. */
static bool add_normed(fc_pass *pass, const float *gain, fc_site site, int64_t layer)
{
    const fc_gemma_config *config = &pass->model->config;
    const fc_ops *ops = pass->be->ops;
    const float eps = (float)config->rms_norm_eps;
    if (!fc_pass_is_hooked(pass, site, layer)) {
        ops->add_rmsnorm(pass->be, pass->x, pass->h, gain, pass->n_tokens,
                         config->d_model, eps);
        return true;
    }
    ops->rmsnorm(pass->be, pass->h, pass->h, gain, pass->n_tokens, config->d_model, eps);
    if (!fc_pass_reach(pass, site, layer, pass->h)) return false;
    ops->add_scaled_rows(pass->be, pass->x, pass->one, pass->h, pass->n_tokens,
                         config->d_model);
    return true;
}

static void rotate_and_attend(const fc_pass *pass, int64_t layer)
{
    const fc_gemma_config *config = &pass->model->config;
    const fc_ops *ops = pass->be->ops;
    const bool is_full = config->is_full[layer];
    const float *inv_freq =
        is_full ? pass->model->inv_freq_full : pass->model->inv_freq_sliding;
    ops->rope(pass->be, pass->q, pass->position, inv_freq, pass->n_tokens,
              config->n_heads, config->d_head);
    ops->rope(pass->be, pass->k, pass->position, inv_freq, pass->n_tokens,
              config->n_kv_heads, config->d_head);
    const fc_attention shape = {.n_heads = config->n_heads,
                                .n_kv_heads = config->n_kv_heads,
                                .d_head = config->d_head,
                                .window = is_full ? 0 : config->window,
                                .scale =
                                    (float)(1 / sqrt(config->query_pre_attn_scalar))};
    ops->attention(pass->be, pass->z, pass->q, pass->k, pass->v, pass->seqs, shape,
                   pass->linears->precision);
}

static bool run_attention(fc_pass *pass, int64_t layer)
{
    const fc_gemma_config *config = &pass->model->config;
    const fc_layer_weights *w = &pass->model->weights.layer[layer];
    const fc_linear_layer *linear = &pass->linears->layer[layer];

    norm(pass, w->input_norm);
    if (!fc_pass_reach(pass, FC_SITE_ATTN_NORM, layer, pass->h)) return false;
    const fc_mat h = fc_pass_operand(pass, pass->h, config->d_model);
    fc_linear_apply(pass->linears, pass->q, h, &linear->q);
    if (!fc_pass_reach(pass, FC_SITE_Q, layer, pass->q)) return false;
    fc_linear_apply(pass->linears, pass->k, h, &linear->k);
    if (!fc_pass_reach(pass, FC_SITE_K, layer, pass->k)) return false;
    fc_linear_apply(pass->linears, pass->v, h, &linear->v);
    if (!fc_pass_reach(pass, FC_SITE_V, layer, pass->v)) return false;
    norm_heads(pass, pass->q, w->q_norm, config->n_heads);
    if (!fc_pass_reach(pass, FC_SITE_Q_NORM, layer, pass->q)) return false;
    norm_heads(pass, pass->k, w->k_norm, config->n_kv_heads);
    if (!fc_pass_reach(pass, FC_SITE_K_NORM, layer, pass->k)) return false;
    rotate_and_attend(pass, layer);
    if (!fc_pass_reach(pass, FC_SITE_ATTN_Z, layer, pass->z)) return false;
    const fc_mat z = fc_pass_operand(pass, pass->z, linear->o.weight.cols);
    fc_linear_apply(pass->linears, pass->h, z, &linear->o);
    if (!fc_pass_reach(pass, FC_SITE_ATTN_OUT, layer, pass->h)) return false;
    return add_normed(pass, w->post_attention_norm, FC_SITE_POST_ATTN_NORM, layer);
}

/* *a = gelu(gate) * up as down_proj reads it. Nobody but a hook needs it in float32. */
static bool gate_and_up(fc_pass *pass, int64_t layer, int64_t d_mlp, fc_mat *a)
{
    const fc_ops *ops = pass->be->ops;
    const int64_t n = pass->n_tokens * d_mlp;
    if (pass->operand != NULL && !fc_pass_is_hooked(pass, FC_SITE_MLP_ACT, layer)) {
        ops->gelu_mul(pass->be, pass->operand, FC_BF16, pass->gate, pass->up, n);
        *a = fc_mat_of(pass->operand, FC_BF16, pass->n_tokens, d_mlp);
        return true;
    }
    ops->gelu_mul(pass->be, pass->gate, FC_F32, pass->gate, pass->up, n);
    if (!fc_pass_reach(pass, FC_SITE_MLP_ACT, layer, pass->gate)) return false;
    *a = fc_pass_operand(pass, pass->gate, d_mlp);
    return true;
}

static bool run_mlp(fc_pass *pass, int64_t layer)
{
    const fc_layer_weights *w = &pass->model->weights.layer[layer];
    const fc_linear_layer *linear = &pass->linears->layer[layer];
    fc_mat act;

    norm(pass, w->pre_feedforward_norm);
    if (!fc_pass_reach(pass, FC_SITE_MLP_NORM, layer, pass->h)) return false;
    const fc_mat h = fc_pass_operand(pass, pass->h, pass->model->config.d_model);
    fc_linear_apply(pass->linears, pass->gate, h, &linear->gate);
    if (!fc_pass_reach(pass, FC_SITE_GATE, layer, pass->gate)) return false;
    fc_linear_apply(pass->linears, pass->up, h, &linear->up);
    if (!fc_pass_reach(pass, FC_SITE_UP, layer, pass->up)) return false;
    if (!gate_and_up(pass, layer, w->gate.rows, &act)) return false;
    fc_linear_apply(pass->linears, pass->h, act, &linear->down);
    if (!fc_pass_reach(pass, FC_SITE_MLP_OUT, layer, pass->h)) return false;
    return add_normed(pass, w->post_feedforward_norm, FC_SITE_POST_MLP_NORM, layer);
}

bool fc_layer_run(fc_pass *pass, int64_t layer)
{
    return fc_pass_reach(pass, FC_SITE_LAYER_IN, layer, pass->x) &&
           run_attention(pass, layer) &&
           fc_pass_reach(pass, FC_SITE_RESID_MID, layer, pass->x) &&
           run_mlp(pass, layer) && fc_pass_reach(pass, FC_SITE_LAYER_OUT, layer, pass->x);
}
