/* feed_store.c - batches from one activation store: a mixer (acts/mixer.h), its input the target.
 *
 *   recipe.json   "acts": its folder, "store": which store it is
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "sae/feed.h"

typedef struct store_feed {
    fc_feed feed;
    char dir[FC_PATH_MAX]; /* from the root: a run must find its store from anywhere */
    fc_store *store;
    fc_mixer *mixer;
} store_feed;

static store_feed *of(fc_feed *feed)
{
    return (store_feed *)feed;
}

static const store_feed *of_const(const fc_feed *feed)
{
    return (const store_feed *)feed;
}

void fc_feed_close(fc_feed *feed)
{
    if (feed != NULL) feed->ops->close(feed);
}

/* --- what it is --------------------------------------------------------------------------- */

json_t *fc_feed_store_json(const fc_store *store)
{
    const fc_store_info *info = fc_store_info_of(store);
    const json_t *mean = json_object_get(fc_store_meta(store), "mean");
    const char *mean_hash = json_string_value(json_object_get(mean, "xxh3"));
    return json_pack("{s:s, s:s, s:s, s:I, s:s, s:I, s:s, s:s}", "hook", info->hook,
                     "model", info->model, "model_hash", info->model_hash, "width",
                     (json_int_t)info->d, "dtype", fc_dtype_name(info->dtype), "rows",
                     (json_int_t)fc_store_rows(store), "text_hash", info->text_hash,
                     "mean_xxh3", mean_hash != NULL ? mean_hash : "");
}

static fc_status describe(const fc_feed *feed, json_t *recipe, fc_err *err)
{
    const store_feed *const f = of_const(feed);
    if (json_object_set_new(recipe, "acts", json_string(f->dir)) == 0 &&
        json_object_set_new(recipe, "store", fc_feed_store_json(f->store)) == 0)
        return FC_OK;
    return fc_fail(
        err, FC_FORMAT,
        "recipe.json: a name in the store '%s' is not UTF-8 (or there is no memory)",
        f->dir);
}

static fc_shuffle shuffle(const fc_feed *feed, int64_t memory_bytes)
{
    return fc_mixer_wants_blocks(of_const(feed)->store, memory_bytes) ? FC_SHUFFLE_BLOCKS
                                                                      : FC_SHUFFLE_FULL;
}

static int64_t buffer_rows(const fc_feed *feed, int64_t memory_bytes)
{
    return fc_min(fc_mixer_buffer_rows(of_const(feed)->store, memory_bytes),
                  feed->info.n_rows);
}

static fc_status normalisers(fc_feed *feed, fc_norm_kind kind, fc_normaliser *in,
                             fc_normaliser *target, fc_err *err)
{
    (void)target;
    return fc_normaliser_of_store(in, kind, of(feed)->store, err);
}

/* --- batches ------------------------------------------------------------------------------ */

static fc_status begin(fc_feed *feed, const fc_feed_order *order, const fc_normaliser *in,
                       const fc_normaliser *target, fc_err *err)
{
    store_feed *const f = of(feed);
    (void)target;
    const fc_mixer_config config = {.batch_size = order->batch_size,
                                    .seed = order->seed,
                                    .drop_last = order->drop_last,
                                    .epoch = order->epoch,
                                    .index = order->index,
                                    .buffer_rows = order->buffer_rows};
    return fc_mixer_new(&f->mixer, f->store, in, &config, err);
}

static fc_status next(fc_feed *feed, fc_fed_batch *batch, fc_err *err)
{
    (void)err;
    const fc_mixed_batch *const mixed = fc_mixer_next(of(feed)->mixer);
    *batch = (fc_fed_batch){mixed->x, mixed->x, mixed->row, mixed->n};
    return FC_OK;
}

static void close_feed(fc_feed *feed)
{
    store_feed *const f = of(feed);
    fc_mixer_free(f->mixer); /* its thread reads the store */
    fc_store_close(f->store);
    fc_free(f);
}

static const fc_feed_ops ops = {.shuffle = shuffle,
                                .buffer_rows = buffer_rows,
                                .describe = describe,
                                .normalisers = normalisers,
                                .begin = begin,
                                .next = next,
                                .close = close_feed};

static fc_status full_path(char path[FC_PATH_MAX], const char *dir, fc_err *err)
{
    char here[FC_PATH_MAX];
    if (dir[0] == '/') return fc_path_join(path, NULL, dir, err);
    if (getcwd(here, sizeof here) == NULL)
        return fc_fail_errno(err, "cannot tell the current folder");
    return fc_path_join(path, here, dir, err);
}

static void fill_info(fc_feed_info *info, const fc_store *store)
{
    const fc_store_info *const of_store = fc_store_info_of(store);
    info->n_rows = fc_store_rows(store);
    info->d_in = info->d_out = of_store->d;
    info->max_length = of_store->max_length;
    (void)snprintf(info->model, sizeof info->model, "%s", of_store->model);
    (void)snprintf(info->hook, sizeof info->hook, "%s", of_store->hook);
}

fc_status fc_feed_of_store(fc_feed **feed, const char *store_dir, fc_err *err)
{
    store_feed *made = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&made, 1, sizeof *made, "the feed of a store", err));
    made->feed.ops = &ops;
    FC_TRY_GOTO(full_path(made->dir, store_dir, err));
    FC_TRY_GOTO(fc_store_open(&made->store, store_dir, false, false, err));
    fill_info(&made->feed.info, made->store);
    *feed = &made->feed;
    made = NULL;
done:
    if (made != NULL) close_feed(&made->feed);
    return status;
}
