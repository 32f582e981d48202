/* feed_stream.c - batches from text on its way through the model: no store (acts/windows.h).
 *
 *   recipe.json   "text": the files, "stream": which rows they give
 *   RUN/stream.safetensors   mean F32 [d_in], mean_centred_norm F64 []: moments of the first
 *                 window, by which all rows are normalised; and target_mean .. of the target
 *
 * That file saves a resumed run the first window's forward passes; when it is missing or damaged
 * they are done again, to the same numbers.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "formats/safetensors.h"
#include "sae/feed.h"

enum { INPUT, TARGET, MAX_HOOKS };

static const char moments_file[] = "stream.safetensors";
static const char *const tensor_names[MAX_HOOKS][2] = {
    {"mean", "mean_centred_norm"}, {"target_mean", "target_mean_centred_norm"}};

typedef struct stream_feed {
    fc_feed feed;
    fc_windows *windows;
    bool is_owner;
    int hook[MAX_HOOKS], n;
    fc_window_reader *reader[MAX_HOOKS];
} stream_feed;

static stream_feed *of(fc_feed *feed)
{
    return (stream_feed *)feed;
}

static const stream_feed *of_const(const fc_feed *feed)
{
    return (const stream_feed *)feed;
}

static const fc_hook_point *point_of(const stream_feed *f, int i)
{
    return fc_harvester_hook(fc_windows_harvester(f->windows), f->hook[i]);
}

/* --- what it is --------------------------------------------------------------------------- */

static fc_status describe(const fc_feed *feed, json_t *recipe, fc_err *err)
{
    const stream_feed *const f = of_const(feed);
    json_t *stream = NULL;
    int failures = 0;
    FC_TRY(fc_harvester_json(fc_windows_harvester(f->windows), &stream, err));
    failures |=
        json_object_set_new(stream, "hook", json_string(point_of(f, INPUT)->name));
    failures |= json_object_set_new(stream, "width", json_integer(feed->info.d_in));
    if (f->n > 1) {
        failures |= json_object_set_new(stream, "target_hook",
                                        json_string(point_of(f, TARGET)->name));
        failures |=
            json_object_set_new(stream, "target_width", json_integer(feed->info.d_out));
    }
    failures |= json_object_set_new(
        stream, "dtype", json_string(fc_dtype_name(fc_windows_dtype(f->windows))));
    failures |= json_object_set(recipe, "text", json_object_get(stream, "text"));
    failures |= json_object_del(stream, "text");
    failures |= json_object_set_new(recipe, "stream", stream);
    if (failures == 0) return FC_OK;
    return fc_fail(err, FC_FORMAT,
                   "recipe.json: a name in it is not UTF-8 (or there is no memory)");
}

static fc_shuffle shuffle(const fc_feed *feed, int64_t memory_bytes)
{
    (void)feed;
    (void)memory_bytes;
    return FC_SHUFFLE_WINDOWS;
}

static int64_t buffer_rows(const fc_feed *feed, int64_t memory_bytes)
{
    return fc_windows_rows_for(of_const(feed)->windows, memory_bytes);
}

/* --- moments ------------------------------------------------------------------------------ */

typedef struct moments {
    const float *mean;
    double norm;
} moments;

static fc_status hash_moments(const stream_feed *f, const moments *m, char *hex,
                              fc_err *err)
{
    fc_hash *hash = NULL;
    FC_TRY(fc_hash_new(&hash, err));
    for (int i = 0; i < f->n; i++) {
        fc_hash_update(hash, m[i].mean,
                       (size_t)point_of(f, i)->width * sizeof *m[i].mean);
        fc_hash_update(hash, &m[i].norm, sizeof m[i].norm);
    }
    fc_hash_hex(hash, hex);
    fc_hash_free(hash);
    return FC_OK;
}

static fc_status save_moments(const stream_feed *f, const moments *m, const char *path,
                              fc_err *err)
{
    fc_safetensors_out *out = NULL;
    char xxh3[FC_HASH_HEX];
    fc_status status;
    FC_TRY(hash_moments(f, m, xxh3, err));
    FC_TRY_GOTO(fc_safetensors_create(&out, path, err));
    FC_TRY_GOTO(fc_safetensors_meta(out, "xxh3", xxh3, err));
    for (int i = 0; i < f->n; i++) {
        const int64_t width = point_of(f, i)->width;
        FC_TRY_GOTO(
            fc_safetensors_declare(out, tensor_names[i][0], FC_F32, 1, &width, err));
        FC_TRY_GOTO(
            fc_safetensors_declare(out, tensor_names[i][1], FC_F64, 0, NULL, err));
    }
    for (int i = 0; i < f->n; i++) {
        FC_TRY_GOTO(fc_safetensors_write(out, tensor_names[i][0], m[i].mean,
                                         (size_t)point_of(f, i)->width * sizeof(float),
                                         err));
        FC_TRY_GOTO(fc_safetensors_write(out, tensor_names[i][1], &m[i].norm,
                                         sizeof m[i].norm, err));
    }
    status = fc_safetensors_commit(out, err);
done:
    fc_safetensors_discard(out);
    return status;
}

static fc_status read_moments(const stream_feed *f, const fc_safetensors *file, int i,
                              float **mean, double *norm, fc_err *err)
{
    const int64_t width = point_of(f, i)->width;
    const fc_tensor *tensor = NULL;
    FC_TRY(fc_safetensors_need(file, tensor_names[i][1], FC_F64, 0, NULL, &tensor, err));
    memcpy(norm, tensor->data, sizeof *norm);
    FC_TRY(
        fc_safetensors_need(file, tensor_names[i][0], FC_F32, 1, &width, &tensor, err));
    return fc_tensor_to_f32(tensor, mean, err);
}

static fc_status take_moments(const stream_feed *f, const fc_safetensors *file,
                              fc_err *err)
{
    float *mean[MAX_HOOKS] = {NULL, NULL};
    moments m[MAX_HOOKS] = {{0}};
    char found[FC_HASH_HEX];
    fc_status status = FC_OK;
    for (int i = 0; i < f->n; i++) {
        FC_TRY_GOTO(read_moments(f, file, i, &mean[i], &m[i].norm, err));
        m[i].mean = mean[i];
    }
    FC_TRY_GOTO(hash_moments(f, m, found, err));
    const char *const xxh3 = fc_safetensors_metadata(file, "xxh3");
    if (xxh3 == NULL || strcmp(xxh3, found) != 0)
        FC_TRY_GOTO(fc_fail(err, FC_FORMAT, "%s: the checksum is %s, expected %s",
                            fc_safetensors_path(file), found,
                            xxh3 != NULL ? xxh3 : "one"));
    for (int i = 0; i < f->n; i++)
        FC_TRY_GOTO(
            fc_windows_set_moments(f->windows, f->hook[i], mean[i], m[i].norm, err));
done:
    for (int i = 0; i < MAX_HOOKS; i++) fc_free(mean[i]);
    return status;
}

/* What an earlier run left; damage is told and passed over, want of memory is not. */
static fc_status load_moments(const stream_feed *f, const char *path, fc_err *err)
{
    fc_safetensors *file = NULL;
    fc_err why;
    if (!fc_path_exists(path)) return FC_OK;
    fc_status status = fc_safetensors_open(&file, path, &why);
    if (status == FC_OK) status = take_moments(f, file, &why);
    fc_safetensors_close(file);
    if (status == FC_NOMEM) return fc_fail(err, status, "%s", why.text);
    if (status != FC_OK)
        fc_log(FC_LOG_WARN, "%s; the first window is run through the model again",
               why.text);
    return FC_OK;
}

static fc_status normalisers(fc_feed *feed, const fc_feed_norm *norm, fc_normaliser *in,
                             fc_normaliser *target, fc_err *err)
{
    const stream_feed *const f = of(feed);
    const fc_norm_kind kind[MAX_HOOKS] = {norm->kind, fc_feed_target_norm(norm->kind)};
    fc_normaliser *const to[MAX_HOOKS] = {in, target};
    moments m[MAX_HOOKS] = {{0}};
    char path[FC_PATH_MAX];
    FC_TRY(fc_windows_set_rows(f->windows, norm->buffer_rows, err));
    FC_TRY(fc_path_join(path, norm->run_dir, moments_file, err));
    FC_TRY(load_moments(f, path, err));
    for (int i = 0; i < f->n; i++) {
        FC_TRY(fc_windows_moments(f->windows, f->hook[i], &m[i].mean, &m[i].norm, err));
        FC_TRY(fc_normaliser_of_moments(to[i], kind[i], point_of(f, i)->width, m[i].mean,
                                        m[i].norm, err));
    }
    return save_moments(f, m, path, err);
}

/* --- batches ------------------------------------------------------------------------------ */

static fc_status begin(fc_feed *feed, const fc_feed_order *order, const fc_normaliser *in,
                       const fc_normaliser *target, fc_err *err)
{
    stream_feed *const f = of(feed);
    for (int i = 0; i < f->n; i++) {
        const fc_window_place place = {.hook = f->hook[i],
                                       .seed = order->seed,
                                       .batch_size = order->batch_size,
                                       .drop_last = order->drop_last,
                                       .epoch = order->epoch,
                                       .index = order->index,
                                       .n_batches_left = order->n_left};
        FC_TRY(fc_window_reader_new(&f->reader[i], f->windows, &place,
                                    i == INPUT ? in : target, err));
    }
    return FC_OK;
}

static bool is_ready(fc_feed *feed)
{
    return fc_window_reader_is_ready(of(feed)->reader[INPUT]);
}

static fc_status next(fc_feed *feed, fc_fed_batch *batch, fc_err *err)
{
    const stream_feed *const f = of(feed);
    fc_window_batch x, y;
    FC_TRY(fc_window_reader_next(f->reader[INPUT], &x, err));
    y = x;
    if (f->n > 1) FC_TRY(fc_window_reader_next(f->reader[TARGET], &y, err));
    *batch = (fc_fed_batch){x.x, y.x, x.row, x.n};
    return FC_OK;
}

static void close_feed(fc_feed *feed)
{
    stream_feed *const f = of(feed);
    for (int i = 0; i < MAX_HOOKS; i++) fc_window_reader_free(f->reader[i]);
    if (f->is_owner) fc_windows_close(f->windows);
    fc_free(f);
}

static const fc_feed_ops ops = {.shuffle = shuffle,
                                .buffer_rows = buffer_rows,
                                .describe = describe,
                                .normalisers = normalisers,
                                .begin = begin,
                                .is_ready = is_ready,
                                .next = next,
                                .close = close_feed};

static void fill_info(stream_feed *f)
{
    const fc_harvester *const harvester = fc_windows_harvester(f->windows);
    const fc_collect_config *const config = fc_harvester_text(harvester)->config;
    fc_feed_info *const info = &f->feed.info;
    info->is_stream = true;
    info->n_rows = fc_harvester_rows(harvester);
    info->d_in = info->d_out = point_of(f, INPUT)->width;
    info->max_length = config->max_length;
    (void)snprintf(info->model, sizeof info->model, "%s", config->model);
    (void)snprintf(info->hook, sizeof info->hook, "%s", point_of(f, INPUT)->name);
    if (f->n == 1) return;
    info->has_target = true;
    info->d_out = point_of(f, TARGET)->width;
    (void)snprintf(info->target_hook, sizeof info->target_hook, "%s",
                   point_of(f, TARGET)->name);
}

fc_status fc_feed_of_windows(fc_feed **feed, fc_windows *windows, int hook, int target,
                             bool is_owner, fc_err *err)
{
    stream_feed *f = NULL;
    const fc_status status = fc_alloc(&f, 1, sizeof *f, "the feed of a stream", err);
    if (status != FC_OK) {
        if (is_owner) fc_windows_close(windows);
        return status;
    }
    f->feed.ops = &ops;
    f->windows = windows;
    f->is_owner = is_owner;
    f->hook[INPUT] = hook;
    f->hook[TARGET] = target;
    f->n = target >= 0 ? 2 : 1;
    fill_info(f);
    *feed = &f->feed;
    return FC_OK;
}
