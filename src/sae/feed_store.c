/* feed_store.c - batches from one activation store, or from two side by side for a transcoder.
 *
 *   recipe.json   "acts": its folder, "store": which store it is
 *                 "target_acts", "target_store": the same of the target's
 *
 * A store is read by a mixer (acts/mixer.h). Two mixers with the same seed, over as many rows in pieces
 * of as many rows, give the same rows batch by batch: nothing but that keeps them together, and the
 * row tables of the stores are compared before.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "sae/feed.h"

enum { INPUT, TARGET, MAX_STORES };

typedef struct one_store {
    char dir[FC_PATH_MAX]; /* from the root: a run must find its store from anywhere */
    fc_store *store;
    fc_mixer *mixer;
} one_store;

typedef struct store_feed {
    fc_feed feed;
    one_store at[MAX_STORES];
    int n;
} store_feed;

static store_feed *of(fc_feed *feed)
{
    return (store_feed *)feed;
}

static const store_feed *of_const(const fc_feed *feed)
{
    return (const store_feed *)feed;
}

/* --- what it is --------------------------------------------------------------------------- */

/* The digest of its mean stands for the rows. */
static json_t *store_json(const fc_store *store)
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
    static const char *const keys[MAX_STORES][2] = {{"acts", "store"},
                                                    {"target_acts", "target_store"}};
    const store_feed *const f = of_const(feed);
    for (int i = 0; i < f->n; i++) {
        const one_store *const s = &f->at[i];
        if (json_object_set_new(recipe, keys[i][0], json_string(s->dir)) == 0 &&
            json_object_set_new(recipe, keys[i][1], store_json(s->store)) == 0)
            continue;
        return fc_fail(
            err, FC_FORMAT,
            "recipe.json: a name in the store '%s' is not UTF-8 (or there is no memory)",
            s->dir);
    }
    return FC_OK;
}

static fc_shuffle shuffle(const fc_feed *feed, int64_t memory_bytes)
{
    const store_feed *const f = of_const(feed);
    bool is_large = false;
    for (int i = 0; i < f->n; i++)
        is_large = is_large || fc_mixer_wants_blocks(f->at[i].store, memory_bytes / f->n);
    return is_large ? FC_SHUFFLE_BLOCKS : FC_SHUFFLE_FULL;
}

static int64_t buffer_rows(const fc_feed *feed, int64_t memory_bytes)
{
    const store_feed *const f = of_const(feed);
    int64_t n = feed->info.n_rows;
    for (int i = 0; i < f->n; i++)
        n = fc_min(n, fc_mixer_buffer_rows(f->at[i].store, memory_bytes / f->n));
    return n;
}

static fc_status normalisers(fc_feed *feed, const fc_feed_norm *norm, fc_normaliser *in,
                             fc_normaliser *target, fc_err *err)
{
    const store_feed *const f = of(feed);
    FC_TRY(fc_normaliser_of_store(in, norm->kind, f->at[INPUT].store, err));
    if (f->n == 1) return FC_OK;
    return fc_normaliser_of_store(target, fc_feed_target_norm(norm->kind),
                                  f->at[TARGET].store, err);
}

/* --- batches ------------------------------------------------------------------------------ */

/* Rows of a piece that both mixers read; 0: what one mixer likes. */
static int64_t piece_rows(const store_feed *f)
{
    int64_t n = INT64_MAX;
    for (int i = 0; i < f->n; i++) {
        const fc_store_info *const info = fc_store_info_of(f->at[i].store);
        const int64_t row_bytes = info->d * (int64_t)fc_dtype_size(info->dtype);
        n = fc_min(n, fc_max(FC_MIX_PIECE_BYTES / row_bytes, 1));
    }
    return f->n == 1 ? 0 : n;
}

static fc_status begin(fc_feed *feed, const fc_feed_order *order, const fc_normaliser *in,
                       const fc_normaliser *target, fc_err *err)
{
    store_feed *const f = of(feed);
    const fc_mixer_config config = {.batch_size = order->batch_size,
                                    .seed = order->seed,
                                    .drop_last = order->drop_last,
                                    .epoch = order->epoch,
                                    .index = order->index,
                                    .buffer_rows = order->buffer_rows,
                                    .piece_rows = piece_rows(f)};
    for (int i = 0; i < f->n; i++)
        FC_TRY(fc_mixer_new(&f->at[i].mixer, f->at[i].store, i == INPUT ? in : target,
                            &config, err));
    return FC_OK;
}

static fc_status next(fc_feed *feed, fc_fed_batch *batch, fc_err *err)
{
    const store_feed *const f = of(feed);
    (void)err;
    const fc_mixed_batch *const x = fc_mixer_next(f->at[INPUT].mixer);
    const fc_mixed_batch *const y = f->n > 1 ? fc_mixer_next(f->at[TARGET].mixer) : x;
    FC_ASSERT(x->n == y->n && memcmp(x->row, y->row, (size_t)x->n * sizeof *x->row) == 0);
    *batch = (fc_fed_batch){x->x, y->x, x->row, x->n};
    return FC_OK;
}

static void close_feed(fc_feed *feed)
{
    store_feed *const f = of(feed);
    for (int i = 0; i < MAX_STORES; i++) {
        fc_mixer_free(f->at[i].mixer); /* its thread reads the store */
        fc_store_close(f->at[i].store);
    }
    fc_free(f);
}

static const fc_feed_ops ops = {.shuffle = shuffle,
                                .buffer_rows = buffer_rows,
                                .describe = describe,
                                .normalisers = normalisers,
                                .begin = begin,
                                .next = next,
                                .close = close_feed};

/* --- opening ------------------------------------------------------------------------------ */

static fc_status full_path(char path[FC_PATH_MAX], const char *dir, fc_err *err)
{
    char here[FC_PATH_MAX];
    if (dir[0] == '/') return fc_path_join(path, NULL, dir, err);
    if (getcwd(here, sizeof here) == NULL)
        return fc_fail_errno(err, "cannot tell the current folder");
    return fc_path_join(path, here, dir, err);
}

static fc_status open_store(store_feed *f, const char *dir, fc_err *err)
{
    one_store *const s = &f->at[f->n];
    FC_TRY(full_path(s->dir, dir, err));
    FC_TRY(fc_store_open(&s->store, dir, false, false, err));
    f->n++;
    return FC_OK;
}

static fc_status refuse_pair(const store_feed *f, const char *what, fc_err *err)
{
    return fc_fail(
        err, FC_MISMATCH,
        "the stores '%s' and '%s' cannot be input and target: %s; collect both "
        "hooks in one pass",
        f->at[INPUT].dir, f->at[TARGET].dir, what);
}

/* The rows of both must be the same tokens of the same text in the same model. */
static fc_status compare_stores(const store_feed *f, fc_err *err)
{
    const fc_store *const a = f->at[INPUT].store, *const b = f->at[TARGET].store;
    char what[160];
    if (strcmp(fc_store_info_of(a)->model_hash, fc_store_info_of(b)->model_hash) != 0)
        return refuse_pair(f, "they come from different models", err);
    if (fc_store_rows(a) != fc_store_rows(b)) {
        (void)snprintf(what, sizeof what, "they have %" PRId64 " and %" PRId64 " rows",
                       fc_store_rows(a), fc_store_rows(b));
        return refuse_pair(f, what, err);
    }
    for (int64_t i = 0; i < fc_store_rows(a); i++) {
        const fc_row x = fc_store_row(a, i), y = fc_store_row(b, i);
        if (x.token_id == y.token_id && x.doc_id == y.doc_id && x.position == y.position)
            continue;
        (void)snprintf(what, sizeof what,
                       "row %" PRId64 " is token %" PRId32 " at position %" PRId32
                       " in one and token %" PRId32 " at position %" PRId32
                       " in the other",
                       i, x.token_id, x.position, y.token_id, y.position);
        return refuse_pair(f, what, err);
    }
    return FC_OK;
}

static void fill_info(store_feed *f)
{
    fc_feed_info *const info = &f->feed.info;
    const fc_store_info *const in = fc_store_info_of(f->at[INPUT].store);
    info->n_rows = fc_store_rows(f->at[INPUT].store);
    info->d_in = info->d_out = in->d;
    info->max_length = in->max_length;
    (void)snprintf(info->model, sizeof info->model, "%s", in->model);
    (void)snprintf(info->hook, sizeof info->hook, "%s", in->hook);
    if (f->n == 1) return;
    const fc_store_info *const target = fc_store_info_of(f->at[TARGET].store);
    info->has_target = true;
    info->d_out = target->d;
    (void)snprintf(info->target_hook, sizeof info->target_hook, "%s", target->hook);
}

fc_status fc_feed_of_store(fc_feed **feed, const char *store_dir, const char *target_dir,
                           fc_err *err)
{
    store_feed *made = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&made, 1, sizeof *made, "the feed of a store", err));
    made->feed.ops = &ops;
    FC_TRY_GOTO(open_store(made, store_dir, err));
    if (target_dir != NULL) {
        FC_TRY_GOTO(open_store(made, target_dir, err));
        FC_TRY_GOTO(compare_stores(made, err));
    }
    fill_info(made);
    *feed = &made->feed;
    made = NULL;
done:
    if (made != NULL) close_feed(&made->feed);
    return status;
}
