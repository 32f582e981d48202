/* collect_limit.c - counts the operations of the layers before a hook, and of the hook's own.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "bench/collect_limit.h"

/* Keys that all queries of a sequence of n tokens see together; window 0: all before. */
static double keys_seen(int64_t n, int64_t window)
{
    const int64_t full = window > 0 ? fc_min(n, window) : n;
    return 0.5 * (double)full * (double)(full + 1) + (double)(n - full) * (double)full;
}

static double attention_flops(const fc_gemma_config *m, int layer, fc_ragged seqs)
{
    double keys = 0.0;
    for (int64_t s = 0; s < seqs.n_seqs; s++)
        keys += keys_seen(seqs.begin[s + 1] - seqs.begin[s],
                          m->is_full[layer] ? 0 : m->window);
    return 4.0 * (double)(m->n_heads * m->d_head) * keys;
}

/* Of one layer up to the tensor `last`, the products that give later tensors left out. */
static double layer_flops(const fc_gemma_config *m, int layer, fc_site last,
                          fc_ragged seqs)
{
    const int64_t d = m->d_model, q = m->n_heads * m->d_head;
    const int64_t kv = m->n_kv_heads * m->d_head;
    const struct {
        fc_site site;
        int64_t weights;
    } products[] = {
        {FC_SITE_Q, d * q},
        {FC_SITE_K, d * kv},
        {FC_SITE_V, d * kv},
        {FC_SITE_ATTN_OUT, q * d},
        {FC_SITE_GATE, d * m->d_mlp},
        {FC_SITE_UP, d * m->d_mlp},
        {FC_SITE_MLP_OUT, m->d_mlp * d},
    };
    double flops = last >= FC_SITE_ATTN_Z ? attention_flops(m, layer, seqs) : 0.0;
    for (size_t i = 0; i < FC_LEN(products); i++)
        if (products[i].site <= last)
            flops += 2.0 * (double)products[i].weights * (double)seqs.begin[seqs.n_seqs];
    return flops;
}

double fc_collect_flops(const fc_gemma_config *m, const fc_hook_point *hook,
                        fc_ragged seqs)
{
    const bool is_after = hook->site >= FC_SITE_FINAL_NORM;
    const int n_whole = is_after                      ? (int)m->n_layers
                        : hook->site == FC_SITE_EMBED ? 0
                                                      : hook->layer;
    double flops = 0.0;
    for (int l = 0; l < n_whole; l++) flops += layer_flops(m, l, FC_SITE_LAYER_OUT, seqs);
    if (hook->site == FC_SITE_LOGITS)
        flops += 2.0 * (double)m->d_model * (double)m->n_vocab *
                 (double)seqs.begin[seqs.n_seqs];
    if (is_after || hook->site == FC_SITE_EMBED) return flops;
    return flops + layer_flops(m, hook->layer, hook->site, seqs);
}
