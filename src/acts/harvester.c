/* harvester.c - reads text, fills batches, runs the model, and hands on what its hooks see.
 *
 * The text is first tokenised once without the model, which costs less than one per cent of the
 * forward passes: then too little text is an error in seconds and not after hours, a disk can be
 * checked for all that comes, and progress knows its end. (Standard input is read once.)
 *
 * Beginning at a row reads the text from the start again and leaves out the sequences before it: no
 * place within a text file need ever be remembered.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "acts/harvester.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "acts/harvest_internal.h"
#include "base/alloc.h"
#include "base/cancel.h"
#include "base/hash.h"
#include "base/log.h"

typedef struct hook_ctx {
    fc_harvester *harvester;
    int i;
} hook_ctx;

struct fc_harvester {
    fc_harvest_text text;
    fc_model *model;
    fc_tokenizer *tokenizer;
    fc_runner *runner;
    fc_hook hook[FC_MAX_HOOKS];
    hook_ctx ctx[FC_MAX_HOOKS];
    int n_hooks;
    int64_t n_wanted; /* 0: not known */
    int64_t n_max;    /* tokens of a batch */
    int64_t n_run;    /* tokens so far */

    fc_harvest_sink sink;
    fc_corpus *corpus;
    fc_sequences *sequences;
    fc_text_batch batch;
    int64_t n_given;  /* the row after those given, or left out */
    int64_t n_passed; /* rows of all sequences read so far */
};

/* --- setting up --------------------------------------------------------------------------- */

bool fc_harvester_is_stdin(const fc_harvester *h)
{
    for (int64_t i = 0; i < h->text.n_paths; i++)
        if (strcmp(h->text.paths[i], "-") == 0) return true;
    return false;
}

static fc_status check(const fc_harvest_text *text, fc_err *err)
{
    const fc_collect_config *const config = text->config;
    if (config->model[0] == '\0') return fc_fail(err, FC_USAGE, "no model given");
    if (config->hook[0] == '\0')
        return fc_fail(err, FC_USAGE,
                       "no hook given, such as model.layers.25.mlp.down_proj");
    if (text->n_paths < 1) return fc_fail(err, FC_USAGE, "no text file given");
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

static fc_status keep_rows(void *ctx, const fc_hook_point *point, float *x,
                           int64_t n_tokens, fc_err *err);

static fc_status add_hook(fc_harvester *h, const char *name, fc_err *err)
{
    fc_hook_point point;
    FC_TRY(fc_hook_parse(&point, name, fc_model_config(h->model), err));
    for (int i = 0; i < h->n_hooks; i++)
        if (fc_hook_compare(&h->hook[i].point, &point) == 0)
            return fc_fail(err, FC_USAGE, "hook %s is given twice", point.name);
    if (h->n_hooks == FC_MAX_HOOKS)
        return fc_fail(err, FC_USAGE, "more than %d hooks", FC_MAX_HOOKS);
    hook_ctx *const own = &h->ctx[h->n_hooks];
    *own = (hook_ctx){h, h->n_hooks};
    h->hook[h->n_hooks++] = (fc_hook){.point = point, .fn = keep_rows, .ctx = own};
    return FC_OK;
}

static fc_status find_hooks(fc_harvester *h, fc_err *err)
{
    const char *at = h->text.config->hook;
    for (;;) {
        char name[FC_FIELD_TEXT_MAX];
        const size_t n = strcspn(at, ",");
        memcpy(name, at, n);
        name[n] = '\0';
        FC_TRY(add_hook(h, name, err));
        if (at[n] == '\0') return FC_OK;
        at += n + 1;
    }
}

static fc_status load(fc_harvester *h, fc_err *err)
{
    const fc_collect_config *const config = h->text.config;
    FC_TRY(fc_model_load(&h->model, config->model, err));
    FC_TRY(find_hooks(h, err));
    FC_TRY(fc_tokenizer_load(&h->tokenizer, config->model, err));
    const int64_t max_positions = fc_model_config(h->model)->max_positions;
    if (config->max_length > max_positions)
        fc_log(FC_LOG_WARN,
               "max-length %" PRId64 " is beyond the %" PRId64
               " positions the model was made for",
               config->max_length, max_positions);
    return FC_OK;
}

static fc_text_source source_of(const fc_harvester *h)
{
    const fc_collect_config *const config = h->text.config;
    return (fc_text_source){
        .corpus = {.paths = h->text.paths,
                   .n_paths = h->text.n_paths,
                   .format = (fc_text_format)config->text_format,
                   .split = (fc_split)config->split,
                   .field = config->field},
        .tokenizer = h->tokenizer,
        .max_length = config->max_length,
        .overflow = (fc_overflow)config->overflow,
    };
}

/* Sets n_wanted from what the text has and what was asked. */
static fc_status count(fc_harvester *h, fc_err *err)
{
    const fc_collect_config *const config = h->text.config;
    const char *const path = h->text.paths[0];
    h->n_wanted = config->tokens;
    if (fc_harvester_is_stdin(h)) return FC_OK;
    const fc_text_source source = source_of(h);
    const int64_t limit = config->tokens > 0 ? config->tokens : INT64_MAX;
    int64_t n = 0;
    FC_TRY(fc_text_count(&source, limit, &n, err));
    if (n == 0)
        return fc_fail(err, FC_MISMATCH, "%s: the text gives no tokens%s", path,
                       h->text.n_paths > 1 ? " (nor do the files after it)" : "");
    if (n < config->tokens && !config->allow_fewer)
        return fc_fail(err, FC_MISMATCH,
                       "%s: the text gives %" PRId64 " tokens at max-length %" PRId64
                       ", %" PRId64
                       " were asked for; add text, ask for fewer, or use --allow-fewer",
                       path, n, config->max_length, config->tokens);
    h->n_wanted = fc_min(n, limit);
    return FC_OK;
}

fc_status fc_harvester_open(fc_harvester **opened, const fc_harvest_text *text,
                            fc_backend *be, fc_precision_choice precision, fc_err *err)
{
    const fc_collect_config *const config = text->config;
    fc_harvester *h = NULL;
    fc_status status;
    FC_TRY(check(text, err));
    FC_TRY_GOTO(fc_alloc(&h, 1, sizeof *h, "a harvester", err));
    h->text = *text;
    h->n_max = fc_max(config->batch_tokens, config->max_length);
    FC_TRY_GOTO(load(h, err));
    FC_TRY_GOTO(fc_runner_new(&h->runner, h->model, be, precision, h->n_max, err));
    FC_TRY_GOTO(count(h, err));
    FC_TRY_GOTO(fc_text_batch_init(&h->batch, h->n_max, config->max_length, err));
    *opened = h;
    h = NULL;
done:
    fc_harvester_close(h);
    return status;
}

static void close_text(fc_harvester *h)
{
    fc_sequences_free(h->sequences);
    fc_corpus_close(h->corpus);
    h->sequences = NULL;
    h->corpus = NULL;
}

void fc_harvester_close(fc_harvester *h)
{
    if (h == NULL) return;
    close_text(h);
    fc_text_batch_deinit(&h->batch);
    fc_runner_free(h->runner);
    fc_tokenizer_free(h->tokenizer);
    fc_model_close(h->model);
    fc_free(h);
}

/* --- what it is --------------------------------------------------------------------------- */

int fc_harvester_hooks(const fc_harvester *h)
{
    return h->n_hooks;
}

const fc_hook_point *fc_harvester_hook(const fc_harvester *h, int i)
{
    return &h->hook[i].point;
}

int64_t fc_harvester_rows(const fc_harvester *h)
{
    return h->n_wanted;
}

const fc_harvest_text *fc_harvester_text(const fc_harvester *h)
{
    return &h->text;
}

fc_status fc_harvester_json(const fc_harvester *h, json_t **object, fc_err *err)
{
    const fc_collect_config *const config = h->text.config;
    char text_hash[FC_HASH_HEX];
    FC_TRY(fc_text_hash(h->text.paths, h->text.n_paths, text_hash, err));
    json_t *made =
        json_pack("{s:s, s:s, s:I, s:s, s:I}", "model", config->model, "model_hash",
                  fc_model_fingerprint(h->model), "rows", (json_int_t)h->n_wanted,
                  "text_hash", text_hash, "max_length", (json_int_t)config->max_length);
    json_t *const meta = fc_collect_meta(config, h->text.paths, h->text.n_paths,
                                         fc_runner_precision(h->runner));
    (void)json_object_del(meta, "made_by");
    const bool is_good = json_object_update(made, meta) == 0;
    json_decref(meta);
    if (is_good) {
        *object = made;
        return FC_OK;
    }
    json_decref(made);
    return fc_fail(err, FC_FORMAT,
                   "the model's name '%s' is not UTF-8 (or there is no memory)",
                   config->model);
}

const char *fc_harvester_model_hash(const fc_harvester *h)
{
    return fc_model_fingerprint(h->model);
}

fc_precision fc_harvester_precision(const fc_harvester *h)
{
    return fc_runner_precision(h->runner);
}

int64_t fc_harvester_batch_rows(const fc_harvester *h)
{
    return h->n_max;
}

int64_t fc_harvester_tokens_run(const fc_harvester *h)
{
    return h->n_run;
}

int64_t fc_harvester_at(const fc_harvester *h)
{
    return h->n_given;
}

/* --- running ------------------------------------------------------------------------------ */

fc_status fc_harvester_begin(fc_harvester *h, int64_t first_row,
                             const fc_harvest_sink *sink, fc_err *err)
{
    const fc_text_source source = source_of(h);
    close_text(h);
    FC_TRY(fc_text_open(&source, &h->corpus, &h->sequences, err));
    h->sink = *sink;
    if (sink->document != NULL)
        fc_sequences_on_document(h->sequences, sink->document, sink->ctx);
    h->n_given = first_row;
    h->n_passed = 0;
    return FC_OK;
}

/* The hook: x [n_tokens, width]. Hands on what is new of each sequence, its <bos> left out. */
static fc_status keep_rows(void *ctx, const fc_hook_point *point, float *x,
                           int64_t n_tokens, fc_err *err)
{
    const hook_ctx *const own = ctx;
    const fc_harvester *const h = own->harvester;
    const fc_text_batch *const batch = &h->batch;
    const int64_t end = h->n_wanted > 0 ? h->n_wanted : INT64_MAX;
    FC_CHECK(n_tokens == batch->n);
    int64_t first = batch->first_row; /* number of the sequence's first row */
    for (int64_t s = 0; s < batch->n_seqs; s++) {
        const int64_t n = batch->begin[s + 1] - batch->begin[s] - 1;
        const int64_t n_skipped = fc_max(0, h->n_given - first);
        const int64_t at = batch->begin[s] + 1 + n_skipped;
        const fc_harvested rows = {.hook = own->i,
                                   .first = first + n_skipped,
                                   .n = fc_min(n - n_skipped, end - first - n_skipped),
                                   .x = x + at * point->width,
                                   .row = batch->row + at};
        if (rows.n > 0) FC_TRY(h->sink.rows(h->sink.ctx, &rows, err));
        first += n;
    }
    return FC_OK;
}

/* Sequences until the batch is full; those that lie before the first row are passed over. */
static fc_status fill(fc_harvester *h, bool *is_end, fc_err *err)
{
    fc_text_batch *const batch = &h->batch;
    fc_text_batch_clear(batch);
    while (!*is_end && !fc_cancel_requested() && fc_text_batch_has_room(batch)) {
        fc_sequence sequence;
        if (h->n_wanted > 0 && h->n_passed >= h->n_wanted) *is_end = true;
        if (!*is_end) FC_TRY(fc_sequences_next(h->sequences, &sequence, is_end, err));
        if (*is_end) break;
        const int64_t n = sequence.n - 1;
        if (h->n_passed + n > h->n_given) {
            if (batch->n_seqs == 0) batch->first_row = h->n_passed;
            fc_text_batch_add(batch, &sequence);
        }
        h->n_passed += n;
    }
    return FC_OK;
}

fc_status fc_harvester_next(fc_harvester *h, bool *is_end, fc_err *err)
{
    *is_end = false;
    FC_TRY(fill(h, is_end, err));
    if (fc_cancel_requested() || h->batch.n_seqs == 0) return FC_OK;
    const fc_batch batch = {.id = h->batch.id,
                            .seqs = {.n_seqs = h->batch.n_seqs, .begin = h->batch.begin}};
    FC_TRY(fc_runner_run(h->runner, batch, h->hook, h->n_hooks, err));
    h->n_run += h->batch.n;
    h->n_given = h->n_wanted > 0 ? fc_min(h->n_passed, h->n_wanted) : h->n_passed;
    if (h->n_given == h->n_wanted) *is_end = true;
    return FC_OK;
}
