/* token_losses.c - keeps the losses of tokens, sums them, and finds the largest differences.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/token_losses_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

enum { CONTEXT_TOKENS = 24 }; /* shown before a token that loses */

void fc_token_losses_deinit(fc_token_losses *l)
{
    fc_free(l->id);
    fc_free(l->begin);
    fc_free(l->loss);
    *l = (fc_token_losses){0};
}

fc_status fc_token_losses_batch(fc_token_losses *l, const fc_text_batch *batch,
                                int64_t *at, fc_err *err)
{
    FC_TRY(fc_grow(&l->id, &l->id_capacity, l->n_ids + batch->n, sizeof *l->id,
                   "tokens of the text", err));
    FC_TRY(fc_grow(&l->begin, &l->seq_capacity, l->n_seqs + batch->n_seqs + 1,
                   sizeof *l->begin, "sequences of the text", err));
    memcpy(l->id + l->n_ids, batch->id, (size_t)batch->n * sizeof *l->id);
    for (int64_t s = 0; s <= batch->n_seqs; s++)
        l->begin[l->n_seqs + s] = l->n_ids + batch->begin[s];
    *at = l->n_ids;
    l->n_ids += batch->n;
    l->n_seqs += batch->n_seqs;
    return FC_OK;
}

fc_status fc_token_losses_add(fc_token_losses *l, const fc_token_loss *loss, fc_err *err)
{
    FC_TRY(fc_grow(&l->loss, &l->capacity, l->n + 1, sizeof *l->loss, "losses of tokens",
                   err));
    l->loss[l->n++] = *loss;
    return FC_OK;
}

static double delta_of(const fc_token_loss *loss)
{
    return (double)loss->nll[FC_RUN_SAE] - (double)loss->nll[FC_RUN_ORIGINAL];
}

static int64_t bin_of(double delta)
{
    const double end = FC_DELTA_END;
    const double place = floor((delta + end) / (2.0 * end) * FC_DELTA_BINS);
    return (int64_t)fmin(fmax(place, 0.0), FC_DELTA_BINS - 1.0);
}

fc_status fc_token_losses_sum(const fc_token_losses *l, fc_eval_result *result,
                              fc_err *err)
{
    double nll[FC_EVAL_RUNS] = {0}, kl[FC_EVAL_RUNS] = {0}, *delta = NULL;
    int64_t n = 0, n_finite = 0;
    FC_TRY(fc_alloc(&delta, l->n, sizeof *delta, "differences of tokens", err));
    for (int64_t i = 0; i < l->n; i++) {
        const fc_token_loss *loss = &l->loss[i];
        for (int r = 0; r < FC_EVAL_RUNS; r++) kl[r] += (double)loss->kl[r];
        if (!loss->has_next) continue;
        n++;
        for (int r = 0; r < FC_EVAL_RUNS; r++) nll[r] += (double)loss->nll[r];
        if (!isfinite(delta_of(loss))) continue;
        delta[n_finite++] = delta_of(loss);
        result->delta_bin[bin_of(delta_of(loss))]++;
    }
    for (int r = 0; r < FC_EVAL_RUNS; r++) {
        result->cross_entropy[r] = nll[r] / (double)n;
        result->divergence[r] = kl[r] / (double)l->n;
    }
    result->n_rows = l->n;
    result->n_predictions = n;
    result->n_sequences = l->n_seqs;
    result->delta = fc_quantiles_of(delta, n_finite);
    fc_free(delta);
    return FC_OK;
}

/* --- the worst ---------------------------------------------------------------------------------- */

/* Keeps the n largest in order; of equal ones the earlier stays before. */
static int64_t find_worst(const fc_token_losses *l, int64_t n,
                          const fc_token_loss **worst)
{
    int64_t count = 0;
    for (int64_t i = 0; i < l->n && n > 0; i++) {
        const fc_token_loss *loss = &l->loss[i];
        const double delta = delta_of(loss);
        if (!loss->has_next || !isfinite(delta)) continue;
        if (count == n && delta <= delta_of(worst[n - 1])) continue;
        int64_t at = count < n ? count++ : n - 1;
        for (; at > 0 && delta_of(worst[at - 1]) < delta; at--) worst[at] = worst[at - 1];
        worst[at] = loss;
    }
    return count;
}

/* The sequence that holds place `at` of the ids. */
static int64_t sequence_at(const fc_token_losses *l, int64_t at)
{
    int64_t low = 0, high = l->n_seqs;
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        if (l->begin[middle] <= at)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Text of ids [begin, end) as a JSON string; what is no UTF-8 is replaced by fc_decode. */
static fc_status text_of(const fc_token_losses *l, const fc_tokenizer *tokenizer,
                         int64_t begin, int64_t end, json_t *object, const char *key,
                         fc_err *err)
{
    fc_strbuf text = {0};
    fc_status status =
        fc_decode(tokenizer, l->id + begin, end - begin, false, &text, err);
    if (status == FC_OK &&
        json_object_set_new(object, key,
                            json_stringn(fc_strbuf_text(&text), (size_t)text.n)) != 0)
        status = fc_fail(err, FC_NOMEM, "no memory for the contexts");
    fc_strbuf_free(&text);
    return status;
}

static fc_status describe(const fc_token_losses *l, const fc_tokenizer *tokenizer,
                          const fc_token_loss *loss, json_t *list, fc_err *err)
{
    const int64_t sequence = sequence_at(l, loss->at), first = l->begin[sequence];
    json_t *object = json_pack(
        "{s:f, s:f, s:f, s:I, s:I}", "delta", delta_of(loss), "nll_original",
        (double)loss->nll[FC_RUN_ORIGINAL], "nll_sae", (double)loss->nll[FC_RUN_SAE],
        "sequence", (json_int_t)sequence, "position", (json_int_t)(loss->at - first));
    if (object == NULL || json_array_append_new(list, object) != 0)
        return fc_fail(err, FC_NOMEM, "no memory for the contexts");
    const int64_t before = fc_max(first + 1, loss->at - CONTEXT_TOKENS);
    FC_TRY(
        text_of(l, tokenizer, fc_min(before, loss->at), loss->at, object, "before", err));
    FC_TRY(text_of(l, tokenizer, loss->at, loss->at + 1, object, "token", err));
    return text_of(l, tokenizer, loss->at + 1, loss->at + 2, object, "next", err);
}

fc_status fc_token_losses_worst(const fc_token_losses *l, const fc_tokenizer *tokenizer,
                                int64_t n, json_t **list, fc_err *err)
{
    const fc_token_loss **worst = NULL;
    json_t *found = json_array();
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&worst, n, sizeof *worst, "contexts", err));
    const int64_t count = find_worst(l, n, worst);
    for (int64_t i = 0; i < count; i++)
        FC_TRY_GOTO(describe(l, tokenizer, worst[i], found, err));
done:
    fc_free(worst);
    if (status == FC_OK)
        *list = found;
    else
        json_decref(found);
    return status;
}
