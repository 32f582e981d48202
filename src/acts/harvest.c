/* harvest.c - corpus through model into stores, one for each hook.
 *
 *   harvester -> queue of a store -> its writer           for each hook, from one forward pass
 *
 * With one hook the store is the folder itself; with several it is a folder within, by the hook's
 * name. Row r is the same token in all of them.
 *
 * Continuing begins at the first row that some store lacks: the one after its last checkpoint, which
 * Ctrl-C also takes; a store that is further leaves out what it has. The model's rows do not depend
 * on the batch they are in, so the bytes do not depend on where it was interrupted, nor on what is
 * collected beside.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "acts/harvest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "acts/harvest_internal.h"
#include "acts/harvester.h"
#include "acts/store_queue.h"
#include "base/cancel.h"
#include "base/file.h"
#include "base/log.h"

typedef struct one_store {
    fc_store_writer *writer;
    fc_store_queue *queue; /* to the writer; NULL: the store is complete */
    int64_t n_stored;      /* rows given to the queue or on disk */
} one_store;

typedef struct harvest {
    const fc_harvest_text *text;
    const fc_collect_config *config;
    fc_harvester *harvester;
    one_store store[FC_MAX_HOOKS];
    int n_stores;
    int64_t n_saved; /* row reached at the last checkpoint */
    double saved_s;  /* its time */
    fc_progress progress;
} harvest;

/* --- stores ------------------------------------------------------------------------------- */

static fc_status store_dir(char path[FC_PATH_MAX], const harvest *h, const char *out_dir,
                           int i, fc_err *err)
{
    if (h->n_stores == 1) return fc_path_join(path, NULL, out_dir, err);
    return fc_path_join(path, out_dir, fc_harvester_hook(h->harvester, i)->name, err);
}

static fc_status fill_info(fc_store_info *info, const harvest *h, int i, fc_err *err)
{
    const fc_collect_config *const config = h->config;
    const fc_hook_point *const point = fc_harvester_hook(h->harvester, i);
    *info = (fc_store_info){
        .d = point->width,
        .dtype = config->dtype == 0 ? FC_BF16 : FC_F32,
        .n_wanted = fc_harvester_rows(h->harvester),
        .rows_per_shard = config->shard_rows,
        .max_length = config->max_length,
    };
    snprintf(info->hook, sizeof info->hook, "%s", point->name);
    snprintf(info->model, sizeof info->model, "%s", config->model);
    snprintf(info->model_hash, sizeof info->model_hash, "%s",
             fc_harvester_model_hash(h->harvester));
    return fc_text_hash(h->text->paths, h->text->n_paths, info->text_hash, err);
}

static fc_status open_store(harvest *h, const char *out_dir, int i, const json_t *meta,
                            fc_err *err)
{
    char dir[FC_PATH_MAX];
    fc_store_info info;
    one_store *const store = &h->store[i];
    FC_TRY(store_dir(dir, h, out_dir, i, err));
    FC_TRY(fill_info(&info, h, i, err));
    FC_TRY(fc_store_create(&store->writer, dir, &info, meta, &store->n_stored, err));
    const bool is_complete = fc_store_writer_is_complete(store->writer);
    if (store->n_stored > 0 && fc_harvester_is_stdin(h->harvester) && !is_complete)
        return fc_fail(
            err, FC_USAGE,
            "%s: an unfinished store cannot be continued from standard input; remove it, "
            "or give the text as files",
            dir);
    if (is_complete) return FC_OK;
    return fc_store_queue_open(&store->queue, store->writer,
                               fc_harvester_batch_rows(h->harvester), info.d, err);
}

static fc_status open_stores(harvest *h, const char *out_dir, fc_err *err)
{
    json_t *const meta = fc_collect_meta(h->config, h->text->paths, h->text->n_paths,
                                         fc_harvester_precision(h->harvester));
    if (meta == NULL) return fc_fail(err, FC_NOMEM, "no memory for the store's settings");
    fc_status status = FC_OK;
    for (int i = 0; i < h->n_stores && status == FC_OK; i++)
        status = open_store(h, out_dir, i, meta, err);
    json_decref(meta);
    return status;
}

/* Each store found room for itself; together they need more. */
static fc_status check_space(const harvest *h, const char *out_dir, fc_err *err)
{
    const size_t n_element = fc_dtype_size(h->config->dtype == 0 ? FC_BF16 : FC_F32);
    double n_needed = 0;
    int64_t n_free = 0;
    for (int i = 0; i < h->n_stores; i++) {
        const int64_t n_left =
            fc_harvester_rows(h->harvester) - h->store[i].n_stored; /* < 0: not known */
        const int64_t width = fc_harvester_hook(h->harvester, i)->width;
        n_needed += (double)fc_max(n_left, 0) * (double)width * (double)n_element;
    }
    FC_TRY(fc_dir_free_bytes(out_dir, &n_free, err));
    if ((double)n_free >= n_needed) return FC_OK;
    return fc_fail(err, FC_IO,
                   "%s: the disk has %.1f GB free, the stores of %d hooks need %.1f GB",
                   out_dir, (double)n_free / 1e9, h->n_stores, n_needed / 1e9);
}

/* The first row that some store lacks; those that are complete lack none. */
static int64_t first_missing(const harvest *h)
{
    int64_t first = INT64_MAX;
    for (int i = 0; i < h->n_stores; i++)
        if (h->store[i].queue != NULL) first = fc_min(first, h->store[i].n_stored);
    return first;
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
    for (int i = 0; i < h->n_stores; i++)
        if (h->store[i].queue != NULL)
            FC_TRY(fc_store_queue_document(h->store[i].queue, (int32_t)document->id, &doc,
                                           err));
    return FC_OK;
}

/* Sends what the hook's store does not have yet. */
static fc_status keep_rows(void *ctx, const fc_harvested *rows, fc_err *err)
{
    harvest *const h = ctx;
    one_store *const store = &h->store[rows->hook];
    const int64_t n_known = fc_max(store->n_stored - rows->first, 0);
    (void)err;
    if (store->queue == NULL || n_known >= rows->n) return FC_OK;
    const int64_t width = fc_harvester_hook(h->harvester, rows->hook)->width;
    fc_store_queue_rows(store->queue, rows->x + n_known * width, rows->row + n_known,
                        rows->n - n_known);
    store->n_stored = rows->first + rows->n;
    return FC_OK;
}

typedef fc_status queue_fn(fc_store_queue *queue, fc_err *err);

static fc_status for_queues(const harvest *h, queue_fn *fn, fc_err *err)
{
    for (int i = 0; i < h->n_stores; i++)
        if (h->store[i].queue != NULL) FC_TRY(fn(h->store[i].queue, err));
    return FC_OK;
}

/* Standard input cannot be read again, so what comes after the last shard is not kept. */
static fc_status checkpoint(harvest *h, fc_err *err)
{
    FC_TRY(for_queues(h, fc_store_queue_drain, err));
    for (int i = 0; i < h->n_stores; i++)
        if (h->store[i].queue != NULL && !fc_harvester_is_stdin(h->harvester))
            FC_TRY(fc_store_checkpoint(h->store[i].writer, err));
    h->n_saved = fc_harvester_at(h->harvester);
    h->saved_s = fc_clock_s();
    return FC_OK;
}

static bool is_checkpoint_due(const harvest *h)
{
    const fc_every *const every = &h->config->checkpoint_every;
    if (every->steps > 0)
        return fc_harvester_at(h->harvester) - h->n_saved >= every->steps;
    return fc_clock_s() - h->saved_s >= every->seconds;
}

static fc_status stop(harvest *h, fc_err *err)
{
    const int64_t n = fc_harvester_at(h->harvester);
    FC_TRY(checkpoint(h, err));
    if (fc_harvester_is_stdin(h->harvester))
        return fc_fail(err, FC_CANCELLED,
                       "stopped after %" PRId64 " activations; collecting from standard "
                       "input cannot go on, only begin again",
                       n);
    return fc_fail(err, FC_CANCELLED,
                   "stopped with %" PRId64 " of %" PRId64
                   " activations safe on disk; the same command goes on from there",
                   n, fc_harvester_rows(h->harvester));
}

static fc_status run_batches(harvest *h, fc_err *err)
{
    for (bool is_end = false; !is_end;) {
        const int64_t before = fc_harvester_at(h->harvester);
        FC_TRY(fc_harvester_next(h->harvester, &is_end, err));
        const int64_t at = fc_harvester_at(h->harvester);
        if (at == before && fc_cancel_requested()) return stop(h, err);
        if (at == before) continue;
        FC_TRY(for_queues(h, fc_store_queue_send, err));
        if (is_checkpoint_due(h)) FC_TRY(checkpoint(h, err));
        fc_progress_set(&h->progress, (double)at);
    }
    FC_TRY(for_queues(h, fc_store_queue_send, err)); /* documents after the last batch */
    return for_queues(h, fc_store_queue_drain, err);
}

static fc_status run(harvest *h, fc_err *err)
{
    const fc_harvest_sink sink = {.rows = keep_rows, .document = keep_document, .ctx = h};
    const int64_t first = first_missing(h), n_rows = fc_harvester_rows(h->harvester);
    if (n_rows > 0 && first >= n_rows) return FC_OK;
    FC_TRY(fc_harvester_begin(h->harvester, first, &sink, err));
    h->progress = fc_progress_begin("collect", "tokens", (double)first, (double)n_rows);
    h->n_saved = first;
    h->saved_s = fc_clock_s();
    const fc_status status = run_batches(h, err);
    fc_progress_end(&h->progress);
    return status;
}

static fc_status finish(const harvest *h, fc_err *err)
{
    const bool is_short_allowed = h->config->allow_fewer || h->config->tokens == 0;
    for (int i = 0; i < h->n_stores; i++)
        FC_TRY(fc_store_finish(h->store[i].writer, is_short_allowed, err));
    return FC_OK;
}

/* --- precision ---------------------------------------------------------------------------- */

/* What a store in `dir` was begun with, else `choice`. A damaged meta.json is reported when the store
 * is opened. */
static fc_precision_choice precision_of(const char *dir, fc_precision_choice choice)
{
    char path[FC_PATH_MAX];
    json_t *meta = NULL;
    const char *word = "";
    if (fc_path_join(path, dir, "meta.json", NULL) != FC_OK || !fc_path_exists(path) ||
        fc_json_load(&meta, path, NULL) != FC_OK)
        return choice;
    if (fc_json_text(meta, "precision", &word, path, NULL) == FC_OK)
        choice = strcmp(word, "bf16") == 0  ? FC_BF16_PRECISION
                 : strcmp(word, "f32") == 0 ? FC_F32_PRECISION
                                            : choice;
    json_decref(meta);
    return choice;
}

/* `auto` is settled once for a store: one that is there goes on as it began, also on a machine whose
 * faster products are others. The stores of several hooks have one precision. */
static fc_precision_choice settle_precision(const fc_collect_config *config,
                                            const char *out_dir)
{
    fc_precision_choice choice = (fc_precision_choice)config->precision;
    fc_names names = {0};
    if (choice != FC_AUTO_PRECISION) return choice;
    choice = precision_of(out_dir, choice);
    if (strchr(config->hook, ',') == NULL || !fc_path_is_dir(out_dir) ||
        fc_dir_list(&names, out_dir, NULL) != FC_OK)
        return choice;
    for (int64_t i = 0; i < names.n && choice == FC_AUTO_PRECISION; i++) {
        char dir[FC_PATH_MAX];
        if (fc_path_join(dir, out_dir, names.name[i], NULL) == FC_OK)
            choice = precision_of(dir, choice);
    }
    fc_names_free(&names);
    return choice;
}

/* --- all of it ---------------------------------------------------------------------------- */

static fc_status collect(harvest *h, fc_backend *be, const char *out_dir, fc_err *err)
{
    FC_TRY(fc_harvester_open(&h->harvester, h->text, be,
                             settle_precision(h->config, out_dir), err));
    h->n_stores = fc_harvester_hooks(h->harvester);
    FC_TRY(open_stores(h, out_dir, err));
    if (h->n_stores > 1) FC_TRY(check_space(h, out_dir, err));
    FC_TRY(run(h, err));
    return finish(h, err);
}

static void fill_result(const harvest *h, fc_collect_result *result)
{
    if (h->harvester == NULL) return;
    result->precision = fc_harvester_precision(h->harvester);
    result->n_tokens_run = fc_harvester_tokens_run(h->harvester);
    result->n_hooks = h->n_stores;
    for (int i = 0; i < h->n_stores; i++)
        snprintf(result->hook[i], sizeof result->hook[i], "%s",
                 fc_harvester_hook(h->harvester, i)->name);
    if (h->store[0].writer == NULL) return;
    result->n_rows = h->store[0].n_stored;
    result->n_docs = fc_store_writer_docs(h->store[0].writer);
}

fc_status fc_collect(const fc_collect_config *config, const char *const *paths,
                     int64_t n_paths, fc_backend *be, const char *out_dir,
                     fc_collect_result *result, fc_err *err)
{
    const double begin_s = fc_clock_s();
    const fc_harvest_text text = {config, paths, n_paths};
    harvest h = {.config = config, .text = &text};
    *result = (fc_collect_result){0};
    const fc_status status = collect(&h, be, out_dir, err);
    fill_result(&h, result);
    for (int i = 0; i < h.n_stores; i++) {
        fc_store_queue_close(h.store[i].queue);
        fc_store_writer_close(h.store[i].writer);
    }
    fc_harvester_close(h.harvester);
    result->seconds = fc_clock_s() - begin_s;
    return status;
}
