/* harvest.c - corpus through model into a store.
 *
 *   documents -> sequences -> batch of whole sequences -> forward pass up to the hook
 *             -> rows of the real tokens, appended in corpus order
 *
 * The text is first tokenised once without the model, which costs less than one per cent of the
 * forward passes: then too little text is an error in seconds and not after hours, the disk can be
 * checked for the whole store, and progress knows its end. (Standard input is read once.)
 *
 * Continuing reads the text from the start again and leaves out what lies before the first
 * row wanted: the one after the last checkpoint, which Ctrl-C also takes. The model's rows do not
 * depend on the batch they are in, so the bytes do not depend on where it was interrupted.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "acts/harvest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "acts/harvest_internal.h"
#include "acts/store_queue.h"
#include "base/alloc.h"
#include "base/cancel.h"
#include "base/file.h"
#include "base/log.h"

typedef struct harvest {
    const fc_collect_config *config;
    const char *const *paths;
    int64_t n_paths;
    fc_model *model;
    fc_tokenizer *tokenizer;
    fc_runner *runner;
    fc_hook_point point;
    fc_store_writer *writer;
    fc_store_queue *queue; /* to the writer */
    int64_t n_wanted;      /* rows of the finished store; 0 = not known: standard input */
    int64_t n_stored;      /* rows given to the queue or on disk */
    int64_t n_passed;      /* rows of all sequences read so far */
    int64_t n_saved;       /* n_stored at the last checkpoint */
    double saved_s;        /* its time */
    fc_text_batch batch;
    fc_progress progress;
    fc_collect_result *result;
} harvest;

/* --- setting up --------------------------------------------------------------------------- */

static bool is_stdin(const harvest *h)
{
    for (int64_t i = 0; i < h->n_paths; i++)
        if (strcmp(h->paths[i], "-") == 0) return true;
    return false;
}

static fc_status check(const harvest *h, fc_err *err)
{
    const fc_collect_config *const config = h->config;
    if (config->model[0] == '\0') return fc_fail(err, FC_USAGE, "no model given");
    if (config->hook[0] == '\0')
        return fc_fail(err, FC_USAGE,
                       "no hook given, such as model.layers.25.mlp.down_proj");
    if (h->n_paths < 1) return fc_fail(err, FC_USAGE, "no text file given");
    if (config->max_length < 2)
        return fc_fail(err, FC_USAGE, "max-length is %" PRId64 ", expected 2 or more",
                       config->max_length);
    if (config->batch_tokens < 1)
        return fc_fail(err, FC_USAGE, "batch-tokens is %" PRId64 ", expected 1 or more",
                       config->batch_tokens);
    if (config->tokens >= 0) return FC_OK;
    return fc_fail(err, FC_USAGE, "tokens is %" PRId64 ", expected 0 or more",
                   config->tokens);
}

static fc_status load(harvest *h, fc_err *err)
{
    const fc_collect_config *const config = h->config;
    FC_TRY(fc_model_load(&h->model, config->model, err));
    const fc_gemma_config *const shape = fc_model_config(h->model);
    FC_TRY(fc_hook_parse(&h->point, config->hook, shape, err));
    FC_TRY(fc_tokenizer_load(&h->tokenizer, config->model, err));
    if (config->max_length > shape->max_positions)
        fc_log(FC_LOG_WARN,
               "max-length %" PRId64 " is beyond the %" PRId64
               " positions the model was made for",
               config->max_length, shape->max_positions);
    return FC_OK;
}

static fc_text_source source_of(const harvest *h)
{
    const fc_collect_config *const config = h->config;
    return (fc_text_source){
        .corpus = {.paths = h->paths,
                   .n_paths = h->n_paths,
                   .format = (fc_text_format)config->text_format,
                   .split = (fc_split)config->split,
                   .field = config->field},
        .tokenizer = h->tokenizer,
        .max_length = config->max_length,
        .overflow = (fc_overflow)config->overflow,
    };
}

/* Sets n_wanted from what the text has and what was asked. */
static fc_status count(harvest *h, fc_err *err)
{
    const fc_collect_config *const config = h->config;
    h->n_wanted = config->tokens;
    if (is_stdin(h)) return FC_OK;
    const fc_text_source source = source_of(h);
    const int64_t limit = config->tokens > 0 ? config->tokens : INT64_MAX;
    int64_t n = 0;
    FC_TRY(fc_text_count(&source, limit, &n, err));
    if (n == 0)
        return fc_fail(err, FC_MISMATCH, "%s: the text gives no tokens%s", h->paths[0],
                       h->n_paths > 1 ? " (nor do the files after it)" : "");
    if (n < config->tokens && !config->allow_fewer)
        return fc_fail(err, FC_MISMATCH,
                       "%s: the text gives %" PRId64 " tokens at max-length %" PRId64
                       ", %" PRId64
                       " were asked for; add text, ask for fewer, or use --allow-fewer",
                       h->paths[0], n, config->max_length, config->tokens);
    h->n_wanted = fc_min(n, limit);
    return FC_OK;
}

static fc_status open_store(harvest *h, const char *out_dir, fc_err *err)
{
    const fc_collect_config *const config = h->config;
    fc_store_info info = {
        .d = h->point.width,
        .dtype = config->dtype == 0 ? FC_BF16 : FC_F32,
        .n_wanted = h->n_wanted,
        .rows_per_shard = config->shard_rows,
        .max_length = config->max_length,
    };
    snprintf(info.hook, sizeof info.hook, "%s", h->point.name);
    snprintf(info.model, sizeof info.model, "%s", config->model);
    snprintf(info.model_hash, sizeof info.model_hash, "%s",
             fc_model_fingerprint(h->model));
    FC_TRY(fc_text_hash(h->paths, h->n_paths, info.text_hash, err));
    json_t *meta =
        fc_collect_meta(config, h->paths, h->n_paths, fc_runner_precision(h->runner));
    if (meta == NULL) return fc_fail(err, FC_NOMEM, "no memory for the store's settings");
    const fc_status status =
        fc_store_create(&h->writer, out_dir, &info, meta, &h->n_stored, err);
    json_decref(meta);
    FC_TRY(status);
    if (h->n_stored == 0 || !is_stdin(h) || fc_store_writer_is_complete(h->writer))
        return FC_OK;
    return fc_fail(
        err, FC_USAGE,
        "%s: an unfinished store cannot be continued from standard input; remove it, or "
        "give the text as files",
        out_dir);
}

/* --- running ------------------------------------------------------------------------------ */

static fc_status keep_document(void *ctx, const fc_document *document, int64_t n_tokens,
                               fc_err *err)
{
    const harvest *const h = ctx;
    const fc_doc doc = {.title = document->title,
                        .source = document->source,
                        .line = document->line,
                        .n_tokens = n_tokens};
    if (document->id > INT32_MAX)
        return fc_fail(err, FC_USAGE, "%s:%" PRId64 ": more than %" PRId32 " documents",
                       document->source, document->line, INT32_MAX);
    return fc_store_queue_document(h->queue, (int32_t)document->id, &doc, err);
}

/* The hook: x [n_tokens, d]. Sends what is not yet stored of each sequence, its <bos> left out. */
static fc_status keep_rows(void *ctx, const fc_hook_point *point, float *x,
                           int64_t n_tokens, fc_err *err)
{
    harvest *const h = ctx;
    const fc_text_batch *const batch = &h->batch;
    FC_CHECK(n_tokens == batch->n);
    int64_t first =
        batch->first_row; /* number of the sequence's first row in the store */
    for (int64_t s = 0; s < batch->n_seqs; s++) {
        const int64_t n = batch->begin[s + 1] - batch->begin[s] - 1;
        const int64_t n_skipped = fc_max(0, h->n_stored - first);
        int64_t n_new = n - n_skipped;
        if (h->n_wanted > 0) n_new = fc_min(n_new, h->n_wanted - h->n_stored);
        const int64_t at = batch->begin[s] + 1 + n_skipped;
        first += n;
        if (n_new <= 0) continue;
        fc_store_queue_rows(h->queue, x + at * point->width, batch->row + at, n_new);
        h->n_stored += n_new;
    }
    return fc_store_queue_send(h->queue, err);
}

static bool is_done(const harvest *h)
{
    return h->n_wanted > 0 && h->n_stored >= h->n_wanted;
}

/* Sequences until the batch is full; those that are stored already are passed over. */
static fc_status fill(harvest *h, fc_sequences *sequences, bool *is_end, fc_err *err)
{
    fc_text_batch *const batch = &h->batch;
    fc_text_batch_clear(batch);
    while (!*is_end && !fc_cancel_requested() && fc_text_batch_has_room(batch)) {
        fc_sequence sequence;
        if (h->n_wanted > 0 && h->n_passed >= h->n_wanted) *is_end = true;
        if (!*is_end) FC_TRY(fc_sequences_next(sequences, &sequence, is_end, err));
        if (*is_end) break;
        const int64_t n = sequence.n - 1;
        if (h->n_passed + n > h->n_stored) {
            if (batch->n_seqs == 0) batch->first_row = h->n_passed;
            fc_text_batch_add(batch, &sequence);
        }
        h->n_passed += n;
    }
    return FC_OK;
}

/* Standard input cannot be read again, so what comes after the last shard is not kept. */
static fc_status checkpoint(harvest *h, fc_err *err)
{
    FC_TRY(fc_store_queue_drain(h->queue, err));
    if (!is_stdin(h)) FC_TRY(fc_store_checkpoint(h->writer, err));
    h->n_saved = h->n_stored;
    h->saved_s = fc_clock_s();
    return FC_OK;
}

static bool is_checkpoint_due(const harvest *h)
{
    const fc_every *const every = &h->config->checkpoint_every;
    if (every->steps > 0) return h->n_stored - h->n_saved >= every->steps;
    return fc_clock_s() - h->saved_s >= every->seconds;
}

static fc_status stop(harvest *h, fc_err *err)
{
    FC_TRY(checkpoint(h, err));
    if (is_stdin(h))
        return fc_fail(err, FC_CANCELLED,
                       "stopped after %" PRId64 " activations; collecting from standard "
                       "input cannot go on, only begin again",
                       h->n_stored);
    return fc_fail(err, FC_CANCELLED,
                   "stopped with %" PRId64 " of %" PRId64
                   " activations safe on disk; the same command goes on from there",
                   h->n_stored, h->n_wanted);
}

static fc_status run_batches(harvest *h, fc_sequences *sequences, fc_err *err)
{
    const fc_hook hook = {.point = h->point, .fn = keep_rows, .ctx = h};
    bool is_end = false;
    while (!is_end && !is_done(h)) {
        FC_TRY(fill(h, sequences, &is_end, err));
        if (fc_cancel_requested()) return stop(h, err);
        if (h->batch.n_seqs == 0) continue;
        const fc_batch batch = {
            .id = h->batch.id,
            .seqs = {.n_seqs = h->batch.n_seqs, .begin = h->batch.begin}};
        FC_TRY(fc_runner_run(h->runner, batch, &hook, 1, err));
        h->result->n_tokens_run += h->batch.n;
        if (is_checkpoint_due(h)) FC_TRY(checkpoint(h, err));
        fc_progress_set(&h->progress, (double)h->n_stored);
    }
    FC_TRY(fc_store_queue_send(h->queue, err)); /* documents after the last batch */
    return fc_store_queue_drain(h->queue, err);
}

static fc_status run(harvest *h, fc_err *err)
{
    const fc_text_source source = source_of(h);
    fc_corpus *corpus = NULL;
    fc_sequences *sequences = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_text_open(&source, &corpus, &sequences, err));
    fc_sequences_on_document(sequences, keep_document, h);
    h->progress =
        fc_progress_begin("collect", "tokens", (double)h->n_stored, (double)h->n_wanted);
    h->n_saved = h->n_stored;
    h->saved_s = fc_clock_s();
    status = run_batches(h, sequences, err);
    fc_progress_end(&h->progress);
done:
    fc_sequences_free(sequences);
    fc_corpus_close(corpus);
    return status;
}

/* `auto` is settled once for a store: one that is there goes on as it began, also on a machine whose
 * faster products are others. A damaged meta.json is reported when the store is opened. */
static fc_precision_choice settle_precision(const fc_collect_config *config,
                                            const char *out_dir)
{
    char path[FC_PATH_MAX];
    json_t *meta = NULL;
    const char *word = "";
    fc_precision_choice choice = (fc_precision_choice)config->precision;
    if (choice != FC_AUTO_PRECISION) return choice;
    if (fc_path_join(path, out_dir, "meta.json", NULL) != FC_OK ||
        !fc_path_exists(path) || fc_json_load(&meta, path, NULL) != FC_OK)
        return choice;
    if (fc_json_text(meta, "precision", &word, path, NULL) == FC_OK)
        choice = strcmp(word, "bf16") == 0  ? FC_BF16_PRECISION
                 : strcmp(word, "f32") == 0 ? FC_F32_PRECISION
                                            : choice;
    json_decref(meta);
    return choice;
}

/* Everything between a loaded model and a finished store. */
static fc_status collect(harvest *h, fc_backend *be, const char *out_dir, fc_err *err)
{
    const fc_collect_config *const config = h->config;
    const int64_t n_max = fc_max(config->batch_tokens, config->max_length);
    FC_TRY(fc_runner_new(&h->runner, h->model, be, settle_precision(config, out_dir),
                         n_max, err));
    h->result->precision = fc_runner_precision(h->runner);
    FC_TRY(count(h, err));
    FC_TRY(open_store(h, out_dir, err));
    if (!fc_store_writer_is_complete(h->writer)) {
        FC_TRY(fc_text_batch_init(&h->batch, n_max, config->max_length, err));
        FC_TRY(fc_store_queue_open(&h->queue, h->writer, n_max, h->point.width, err));
        if (!is_done(h)) FC_TRY(run(h, err));
        FC_TRY(
            fc_store_finish(h->writer, config->allow_fewer || config->tokens == 0, err));
    }
    h->result->n_rows = h->n_stored;
    h->result->n_docs = fc_store_writer_docs(h->writer);
    return FC_OK;
}

fc_status fc_collect(const fc_collect_config *config, const char *const *paths,
                     int64_t n_paths, fc_backend *be, const char *out_dir,
                     fc_collect_result *result, fc_err *err)
{
    const double begin_s = fc_clock_s();
    *result = (fc_collect_result){0};
    harvest h = {.config = config, .paths = paths, .n_paths = n_paths, .result = result};
    fc_status status;
    FC_TRY_GOTO(check(&h, err));
    FC_TRY_GOTO(load(&h, err));
    FC_TRY_GOTO(collect(&h, be, out_dir, err));
done:
    fc_text_batch_deinit(&h.batch);
    fc_store_queue_close(h.queue);
    fc_store_writer_close(h.writer);
    fc_runner_free(h.runner);
    fc_tokenizer_free(h.tokenizer);
    fc_model_close(h.model);
    result->seconds = fc_clock_s() - begin_s;
    return status;
}
