/* eval_pass.c - a text through the model as it is and three times changed, batch by batch.
 *
 *   original   residual entering the hook's layer, tensors at the hook, h after the final norm
 *   y          from the SAE, for the rows that count
 *   others     from that residual on, with rows at the hook replaced; h after the final norm
 *   rows       logits of the original and of one other run at a time, a block of rows: nll and KL
 *
 * Logits are the largest tensor by far (1 MiB a row at Gemma's vocabulary), so those of a batch are
 * never there at once: h is kept for all runs, and logits are made from it for as many rows as 64 MB
 * hold. Their products are as large as in a plain run.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/log.h"
#include "sae/arch.h"
#include "study/eval_internal.h"
#include "study/study_pass_internal.h"

enum { LOGIT_BYTES = 64 << 20, BLOCK_MOST = 256, BLOCK_LEAST = 16 };

/* --- where ---------------------------------------------------------------------------------------- */

/* A tensor at the border of two layers is the residual itself: replaced where the latter begins, less
 * is computed again. */
static fc_status place(fc_evaluation *e, fc_err *err)
{
    const fc_gemma_config *config = fc_model_config(e->source->model);
    const fc_sae *sae = e->sae;
    const bool is_transcoder = fc_arch_find(sae->arch)->is_transcoder;
    FC_TRY(fc_hook_parse(&e->in, sae->hook, config, err));
    FC_TRY(fc_hook_parse(&e->out, is_transcoder ? sae->target_hook : sae->hook, config,
                         err));
    if (e->in.width != sae->d_in || e->out.width != sae->d_out)
        return fc_fail(err, FC_MISMATCH,
                       "the SAE goes from %" PRId64 " to %" PRId64
                       " dimensions, but %s has %" PRId64 " and %s %" PRId64,
                       sae->d_in, sae->d_out, e->in.name, e->in.width, e->out.name,
                       e->out.width);
    if (e->out.site == FC_SITE_LOGITS || e->in.site == FC_SITE_LOGITS)
        return fc_fail(
            err, FC_USAGE,
            "the SAE's hook is lm_head, but nothing of the model comes after it "
            "that could change");
    if (fc_hook_compare(&e->in, &e->out) > 0)
        return fc_fail(err, FC_USAGE,
                       "the transcoder reads %s, which the model computes after %s, the "
                       "tensor it writes",
                       e->in.name, e->out.name);
    const bool is_border =
        e->out.site == FC_SITE_LAYER_OUT && e->out.layer + 1 < config->n_layers;
    if (is_border || e->out.site == FC_SITE_EMBED) {
        e->out.layer = is_border ? e->out.layer + 1 : 0;
        e->out.site = FC_SITE_LAYER_IN;
    }
    e->layer = e->out.site == FC_SITE_FINAL_NORM ? config->n_layers : e->out.layer;
    return FC_OK;
}

/* --- memory --------------------------------------------------------------------------------------- */

static fc_status alloc_rows(float **rows, int64_t n, int64_t width, fc_err *err)
{
    size_t row_bytes;
    FC_TRY(fc_bytes(width, sizeof **rows, &row_bytes, err));
    return fc_alloc(rows, n, row_bytes, "rows of a batch", err);
}

static fc_status alloc_batch(fc_evaluation *e, int64_t n, fc_err *err)
{
    const int64_t d_model = fc_model_config(e->source->model)->d_model;
    FC_TRY(fc_text_batch_init(&e->batch, n, e->source->text.max_length, err));
    FC_TRY(fc_alloc(&e->row, n, sizeof *e->row, "rows of a batch", err));
    FC_TRY(fc_alloc(&e->prompt, n, sizeof *e->prompt, "rows of a batch", err));
    FC_TRY(fc_alloc(&e->next, n, sizeof *e->next, "rows of a batch", err));
    FC_TRY(alloc_rows(&e->residual, n, d_model, err));
    FC_TRY(alloc_rows(&e->x, n, e->sae->d_in, err));
    FC_TRY(alloc_rows(&e->y, n, e->sae->d_out, err));
    e->t = e->x;
    if (fc_arch_find(e->sae->arch)->is_transcoder)
        FC_TRY(alloc_rows(&e->t, n, e->sae->d_out, err));
    for (int r = 0; r < FC_EVAL_RUNS; r++) {
        FC_TRY(alloc_rows(&e->h[r], n, d_model, err));
        FC_TRY(fc_alloc(&e->nll[r], n, sizeof *e->nll[r], "losses of a batch", err));
        FC_TRY(fc_alloc(&e->kl[r], n, sizeof *e->kl[r], "losses of a batch", err));
    }
    return FC_OK;
}

static fc_status alloc_logits(fc_evaluation *e, int64_t n, fc_err *err)
{
    const int64_t n_vocab = fc_model_config(e->source->model)->n_vocab;
    const int64_t fits = LOGIT_BYTES / 4 / fc_max(n_vocab, 1);
    e->n_block = fc_min(n, fc_min(BLOCK_MOST, fc_max(BLOCK_LEAST, fits)));
    FC_TRY(alloc_rows(&e->original, e->n_block, n_vocab, err));
    return alloc_rows(&e->other, e->n_block, n_vocab, err);
}

static fc_status alloc_all(fc_evaluation *e, fc_err *err)
{
    const fc_sae *sae = e->sae;
    const int64_t n = fc_max(e->config->batch_tokens, e->source->text.max_length);
    const fc_precision precision = fc_study_precision(e->config->precision, e->be);
    FC_TRY(fc_runner_new(&e->runner, e->source->model, e->be,
                         (fc_precision_choice)e->config->precision, n, err));
    FC_TRY(fc_splice_new(&e->splice, sae, e->be, precision, err));
    FC_TRY(alloc_batch(e, n, err));
    FC_TRY(alloc_logits(e, n, err));
    FC_TRY(fc_alloc(&e->mean, sae->d_out, sizeof *e->mean, "mean activation", err));
    FC_TRY(fc_alloc(&e->no_bias, sae->d_out, sizeof *e->no_bias, "no bias", err));
    FC_TRY(fc_moments_init(&e->target, sae->d_out, err));
    FC_TRY(fc_core_metrics_new(&e->core, sae, n, err));
    return fc_reconstruction_init(&e->normalised, sae->d_out, e->splice->n_block, err);
}

void fc_evaluation_deinit(fc_evaluation *e)
{
    if (e->t != e->x) fc_free(e->t);
    float *const arrays[] = {e->residual, e->x,    e->y,      e->original,
                             e->other,    e->mean, e->no_bias};
    for (size_t i = 0; i < FC_LEN(arrays); i++) fc_free(arrays[i]);
    for (int r = 0; r < FC_EVAL_RUNS; r++) {
        fc_free(e->h[r]);
        fc_free(e->nll[r]);
        fc_free(e->kl[r]);
    }
    fc_text_batch_deinit(&e->batch);
    fc_free(e->row);
    fc_free(e->prompt);
    fc_free(e->next);
    fc_moments_deinit(&e->target);
    fc_reconstruction_deinit(&e->normalised);
    fc_token_losses_deinit(&e->losses);
    fc_core_metrics_free(e->core);
    fc_splice_free(e->splice);
    fc_runner_free(e->runner);
}

/* --- the text ------------------------------------------------------------------------------------- */

/* Rows that are replaced and counted, their sequences, and the token after each token. */
static void choose_rows(fc_evaluation *e, int64_t first_prompt)
{
    const fc_text_batch *b = &e->batch;
    const fc_tokenizer *tokenizer = e->source->text.tokenizer;
    const bool has_all = e->config->special == FC_SPECIAL_REPLACE;
    e->n_rows = 0;
    for (int64_t s = 0; s < b->n_seqs; s++)
        for (int64_t t = b->begin[s]; t < b->begin[s + 1]; t++) {
            e->next[t] = t + 1 < b->begin[s + 1] ? b->id[t + 1] : 0;
            if (!has_all && fc_tokenizer_is_special(tokenizer, b->id[t])) continue;
            e->row[e->n_rows] = t;
            e->prompt[e->n_rows++] = first_prompt + s;
        }
}

typedef fc_status batch_fn(fc_evaluation *e, int64_t first_prompt, fc_err *err);

/* Whole sequences until there are as many rows as wanted. */
static fc_status fill(fc_evaluation *e, fc_sequences *sequences, int64_t n_before,
                      bool *is_end, fc_err *err)
{
    const int64_t wanted = e->config->tokens > 0 ? e->config->tokens : INT64_MAX;
    int64_t n = n_before;
    fc_text_batch_clear(&e->batch);
    while (fc_text_batch_has_room(&e->batch)) {
        fc_sequence sequence;
        if (n >= wanted) *is_end = true;
        if (!*is_end) FC_TRY(fc_sequences_next(sequences, &sequence, is_end, err));
        if (*is_end) break;
        fc_text_batch_add(&e->batch, &sequence);
        n += sequence.n - 1;
    }
    return FC_OK;
}

static fc_status run_text(fc_evaluation *e, fc_sequences *sequences, const char *job,
                          batch_fn *fn, fc_err *err)
{
    fc_progress progress =
        fc_progress_begin(job, "tokens", 0.0, (double)e->config->tokens);
    bool is_end = false;
    int64_t n = 0, n_prompts = 0;
    fc_status status = FC_OK;
    while (!is_end) {
        FC_TRY_GOTO(fill(e, sequences, n, &is_end, err));
        if (fc_cancel_requested()) {
            status = fc_fail(err, FC_CANCELLED,
                             "the evaluation was interrupted; nothing was written");
            goto done;
        }
        if (e->batch.n_seqs == 0) continue;
        choose_rows(e, n_prompts);
        FC_TRY_GOTO(fn(e, n_prompts, err));
        n += e->batch.n - e->batch.n_seqs; /* as `fill` counts: without <bos> */
        n_prompts += e->batch.n_seqs;
        fc_progress_set(&progress, (double)n);
    }
    if (n == 0)
        status = fc_fail(err, FC_MISMATCH, "%s: the text gives no tokens",
                         e->source->text.corpus.paths[0]);
done:
    fc_progress_end(&progress);
    return status;
}

static fc_status with_text(fc_evaluation *e, const char *job, batch_fn *fn, fc_err *err)
{
    fc_corpus *corpus = NULL;
    fc_sequences *sequences = NULL;
    FC_TRY(fc_text_open(&e->source->text, &corpus, &sequences, err));
    const fc_status status = run_text(e, sequences, job, fn, err);
    fc_sequences_free(sequences);
    fc_corpus_close(corpus);
    return status;
}

/* --- hooks ---------------------------------------------------------------------------------------- */

static fc_status copy_rows(void *ctx, const fc_hook_point *point, float *x,
                           int64_t n_tokens, fc_err *err)
{
    (void)err;
    memcpy(ctx, x, (size_t)(n_tokens * point->width) * sizeof *x);
    return FC_OK;
}

typedef struct replacing {
    const fc_evaluation *e;
    fc_eval_run run;
} replacing;

static void put_row(const replacing *r, float *to, int64_t k, size_t row_bytes)
{
    const fc_evaluation *e = r->e;
    if (r->run == FC_RUN_ZERO)
        memset(to, 0, row_bytes);
    else
        memcpy(to, r->run == FC_RUN_MEAN ? e->mean : e->y + k * e->sae->d_out, row_bytes);
}

static fc_status replace_rows(void *ctx, const fc_hook_point *point, float *x,
                              int64_t n_tokens, fc_err *err)
{
    const replacing *r = ctx;
    const fc_evaluation *e = r->e;
    const size_t row_bytes = (size_t)point->width * sizeof *x;
    (void)err;
    if (r->run != FC_RUN_SAE && e->config->special == FC_SPECIAL_ABLATE)
        for (int64_t t = 0; t < n_tokens; t++)
            put_row(r, x + t * point->width, 0, row_bytes);
    else
        for (int64_t k = 0; k < e->n_rows; k++)
            put_row(r, x + e->row[k] * point->width, k, row_bytes);
    return FC_OK;
}

static fc_hook_point final_norm(const fc_evaluation *e)
{
    return (fc_hook_point){FC_SITE_FINAL_NORM, 0,
                           fc_model_config(e->source->model)->d_model, "model.norm"};
}

static fc_batch batch_of(const fc_evaluation *e)
{
    return (fc_batch){e->batch.id, {e->batch.n_seqs, e->batch.begin}};
}

/* --- one batch ------------------------------------------------------------------------------------ */

/* The chosen rows of a tensor of the batch move to its front. */
static void gather(const fc_evaluation *e, float *x, int64_t width)
{
    for (int64_t k = 0; k < e->n_rows; k++)
        memmove(x + k * width, x + e->row[k] * width, (size_t)width * sizeof *x);
}

static void look_at_block(void *ctx, const fc_splice *splice, const float *made,
                          int64_t first, int64_t n)
{
    fc_evaluation *e = ctx;
    fc_core_metrics_features(e->core, splice->codes, e->prompt + first);
    fc_reconstruction_add(&e->normalised, splice->target, made, e->no_bias, n);
}

/* x, t and y of the rows that count. With the error term, y + (t - y) goes into the model. */
static void splice_rows(fc_evaluation *e)
{
    const int64_t n = e->n_rows * e->sae->d_out;
    gather(e, e->x, e->sae->d_in);
    if (e->t != e->x) gather(e, e->t, e->sae->d_out);
    const fc_splice_rows rows = {e->x, e->t, e->n_rows};
    fc_splice_apply(e->splice, e->y, &rows, look_at_block, e);
    fc_core_metrics_batch(e->core, e->t, e->y, e->n_rows);
    if (!e->config->has_error_term) return;
    for (int64_t i = 0; i < n; i++) e->y[i] += e->t[i] - e->y[i];
}

static fc_status run_original(fc_evaluation *e, fc_err *err)
{
    const fc_hook hooks[] = {
        {fc_residual_point(e->source->model, e->layer), copy_rows, e->residual},
        {e->in, copy_rows, e->x},
        {e->out, copy_rows, e->t},
        {final_norm(e), copy_rows, e->h[FC_RUN_ORIGINAL]}};
    return fc_runner_run(e->runner, batch_of(e), hooks, FC_LEN(hooks), err);
}

static fc_status run_changed(fc_evaluation *e, fc_eval_run run, fc_err *err)
{
    replacing r = {e, run};
    const fc_hook hooks[] = {{e->out, replace_rows, &r},
                             {final_norm(e), copy_rows, e->h[run]}};
    const fc_residual from = {e->layer, e->residual};
    return fc_runner_resume(e->runner, batch_of(e), from, hooks, FC_LEN(hooks), err);
}

/* nll and KL of rows first .. first+n-1 in every run. */
static fc_status lose_block(fc_evaluation *e, int64_t first, int64_t n, fc_err *err)
{
    const fc_gemma_config *config = fc_model_config(e->source->model);
    const int64_t at = first * config->d_model;
    const fc_ops *ops = e->be->ops;
    FC_TRY(fc_runner_logits(e->runner, e->original, e->h[FC_RUN_ORIGINAL] + at, n, err));
    ops->cross_entropy(e->be, e->nll[FC_RUN_ORIGINAL] + first, e->original,
                       e->next + first, n, config->n_vocab);
    for (int r = FC_RUN_SAE; r < FC_EVAL_RUNS; r++) {
        FC_TRY(fc_runner_logits(e->runner, e->other, e->h[r] + at, n, err));
        ops->cross_entropy(e->be, e->nll[r] + first, e->other, e->next + first, n,
                           config->n_vocab);
        ops->kl_divergence(e->be, e->kl[r] + first, e->original, e->other, n,
                           config->n_vocab);
    }
    return FC_OK;
}

static fc_status keep_losses(fc_evaluation *e, fc_err *err)
{
    int64_t at = 0;
    FC_TRY(fc_token_losses_batch(&e->losses, &e->batch, &at, err));
    for (int64_t k = 0, s = 0; k < e->n_rows; k++) {
        const int64_t t = e->row[k];
        while (e->batch.begin[s + 1] <= t) s++;
        fc_token_loss loss = {.at = at + t, .has_next = t + 1 < e->batch.begin[s + 1]};
        for (int r = 0; r < FC_EVAL_RUNS; r++) {
            loss.nll[r] = e->nll[r][t];
            loss.kl[r] = r == FC_RUN_ORIGINAL ? 0.0f : e->kl[r][t];
        }
        FC_TRY(fc_token_losses_add(&e->losses, &loss, err));
    }
    return FC_OK;
}

static fc_status evaluate_batch(fc_evaluation *e, int64_t first_prompt, fc_err *err)
{
    (void)first_prompt;
    FC_TRY(run_original(e, err));
    splice_rows(e);
    for (int r = FC_RUN_SAE; r < FC_EVAL_RUNS; r++)
        FC_TRY(run_changed(e, (fc_eval_run)r, err));
    for (int64_t t = 0; t < e->batch.n; t += e->n_block)
        FC_TRY(lose_block(e, t, fc_min(e->n_block, e->batch.n - t), err));
    e->n_batches++;
    return keep_losses(e, err);
}

/* --- the mean ------------------------------------------------------------------------------------- */

static fc_status add_to_mean(fc_evaluation *e, int64_t first_prompt, fc_err *err)
{
    const fc_hook hook = {e->out, copy_rows, e->t};
    (void)first_prompt;
    FC_TRY(fc_runner_run(e->runner, batch_of(e), &hook, 1, err));
    gather(e, e->t, e->sae->d_out);
    fc_moments_add(&e->target, e->t, e->n_rows);
    return FC_OK;
}

static fc_status find_mean(fc_evaluation *e, fc_err *err)
{
    const int64_t d = e->sae->d_out;
    if (e->source->mean != NULL) {
        memcpy(e->mean, e->source->mean, (size_t)d * sizeof *e->mean);
        return FC_OK;
    }
    FC_TRY(with_text(e, "mean", add_to_mean, err));
    for (int64_t j = 0; j < d; j++) e->mean[j] = (float)fc_moments_mean(&e->target, j);
    return FC_OK;
}

fc_status fc_evaluation_run(fc_evaluation *e, fc_err *err)
{
    fc_status status;
    FC_TRY_GOTO(place(e, err));
    FC_TRY_GOTO(alloc_all(e, err));
    FC_TRY_GOTO(find_mean(e, err));
    FC_TRY_GOTO(with_text(e, "eval", evaluate_batch, err));
    FC_TRY_GOTO(fc_core_metrics_weights(e->core, e->sae, e->be, err));
done:
    if (status != FC_OK) {
        fc_evaluation_deinit(e);
        *e = (fc_evaluation){0};
    }
    return status;
}
