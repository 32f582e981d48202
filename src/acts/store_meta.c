/* store_meta.c - meta.json of a store: to a struct and back, checked as hostile input.
 *
 *   {"format": "facet activation store", "version": 1, "complete": true,
 *    "hook", "model", "model_hash", "width", "dtype": "BF16", "rows_wanted", "rows_per_shard",
 *    "max_length", "text_hash", "rows", "documents",
 *    ... members that the caller wants kept ...,
 *    "shards": [{"file", "rows", "bytes", "xxh3",
 *                "documents_file", "documents", "documents_bytes", "documents_xxh3"}, ...],
 *    "partial": {"file", "rows", "bytes", "xxh3"},        only while a shard is being filled
 *    "rows_xxh3": fc_store_rows_hash,                     only when complete
 *    "mean": {"file": "mean.safetensors", "xxh3"}}        only when complete
 *
 * File names are written for other readers and only checked here: a path never comes from the
 * file. Nothing in a complete one depends on when or how often the collecting was interrupted.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "acts/store_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static const char format_name[] = "facet activation store";

enum { FORMAT_VERSION = 1, MAX_WIDTH = 1 << 24, NAME_MAX_BYTES = 64 };

static void shard_name(char name[NAME_MAX_BYTES], int64_t i)
{
    snprintf(name, NAME_MAX_BYTES, "shard-%05" PRId64 ".safetensors", i);
}

static void docs_name(char name[NAME_MAX_BYTES], int64_t i)
{
    snprintf(name, NAME_MAX_BYTES, "documents-%05" PRId64 ".jsonl", i);
}

static void partial_name(char name[NAME_MAX_BYTES], int64_t n_rows)
{
    snprintf(name, NAME_MAX_BYTES, "partial-%05" PRId64 ".safetensors", n_rows);
}

fc_status fc_shard_path(char *path, const char *dir, int64_t i, fc_err *err)
{
    char name[NAME_MAX_BYTES];
    shard_name(name, i);
    return fc_path_join(path, dir, name, err);
}

fc_status fc_docs_path(char *path, const char *dir, int64_t i, fc_err *err)
{
    char name[NAME_MAX_BYTES];
    docs_name(name, i);
    return fc_path_join(path, dir, name, err);
}

fc_status fc_partial_path(char *path, const char *dir, int64_t n_rows, fc_err *err)
{
    char name[NAME_MAX_BYTES];
    partial_name(name, n_rows);
    return fc_path_join(path, dir, name, err);
}

void fc_store_state_deinit(fc_store_state *state)
{
    fc_free(state->shard);
    *state = (fc_store_state){0};
}

fc_status fc_store_state_add(fc_store_state *state, const fc_shard_note *note,
                             fc_err *err)
{
    FC_TRY(fc_grow(&state->shard, &state->capacity, state->n_shards + 1,
                   sizeof *state->shard, "the list of shards", err));
    state->shard[state->n_shards++] = *note;
    state->n_rows += note->n_rows;
    state->n_docs += note->n_docs;
    return FC_OK;
}

void fc_store_state_cut(fc_store_state *state, int64_t n_shards)
{
    while (state->n_shards > n_shards) {
        const fc_shard_note *last = &state->shard[--state->n_shards];
        state->n_rows -= last->n_rows;
        state->n_docs -= last->n_docs;
    }
    state->partial = (fc_shard_note){0};
    state->is_complete = false;
}

/* --- reading ------------------------------------------------------------------------------ */

/* A text member into text[size], whole or not at all. */
static fc_status need_text(const json_t *object, const char *key, char *text, size_t size,
                           const char *path, fc_err *err)
{
    const char *value = NULL;
    FC_TRY(fc_json_need_text(object, key, &value, path, err));
    if (strlen(value) >= size)
        return fc_fail(err, FC_FORMAT, "%s: %s has %zu bytes, expected at most %zu", path,
                       key, strlen(value), size - 1);
    memcpy(text, value, strlen(value) + 1);
    return FC_OK;
}

static fc_status need_range(const json_t *object, const char *key, int64_t *value,
                            int64_t min, int64_t max, const char *path, fc_err *err)
{
    FC_TRY(fc_json_need_i64(object, key, value, path, err));
    if (*value >= min && *value <= max) return FC_OK;
    return fc_fail(err, FC_FORMAT,
                   "%s: %s is %" PRId64 ", expected %" PRId64 " to %" PRId64, path, key,
                   *value, min, max);
}

static fc_status need_name(const json_t *object, const char *key, const char *expected,
                           const char *path, fc_err *err)
{
    const char *found = NULL;
    FC_TRY(fc_json_need_text(object, key, &found, path, err));
    if (strcmp(found, expected) == 0) return FC_OK;
    return fc_fail(err, FC_FORMAT, "%s: %s is '%.80s', expected '%s'", path, key, found,
                   expected);
}

static fc_status read_info(fc_store_info *info, const json_t *root, const char *path,
                           fc_err *err)
{
    char dtype[16];
    FC_TRY(need_text(root, "hook", info->hook, sizeof info->hook, path, err));
    FC_TRY(need_text(root, "model", info->model, sizeof info->model, path, err));
    FC_TRY(need_text(root, "model_hash", info->model_hash, sizeof info->model_hash, path,
                     err));
    FC_TRY(
        need_text(root, "text_hash", info->text_hash, sizeof info->text_hash, path, err));
    FC_TRY(need_range(root, "width", &info->d, 1, MAX_WIDTH, path, err));
    FC_TRY(need_range(root, "rows_wanted", &info->n_wanted, 0, UINT32_MAX, path, err));
    FC_TRY(need_range(root, "rows_per_shard", &info->rows_per_shard, 1, UINT32_MAX, path,
                      err));
    FC_TRY(need_range(root, "max_length", &info->max_length, 0, INT32_MAX, path, err));
    FC_TRY(need_text(root, "dtype", dtype, sizeof dtype, path, err));
    FC_TRY(fc_dtype_parse(&info->dtype, dtype, err));
    if (info->dtype == FC_BF16 || info->dtype == FC_F32) return FC_OK;
    return fc_fail(err, FC_FORMAT, "%s: dtype is %s, expected BF16 or F32", path, dtype);
}

static fc_status read_shard(fc_shard_note *note, const json_t *object, int64_t i,
                            int64_t max_rows, const char *path, fc_err *err)
{
    char name[NAME_MAX_BYTES];
    shard_name(name, i);
    FC_TRY(need_name(object, "file", name, path, err));
    FC_TRY(need_range(object, "rows", &note->n_rows, 1, max_rows, path, err));
    FC_TRY(need_range(object, "bytes", &note->n_bytes, 1, INT64_MAX, path, err));
    FC_TRY(need_text(object, "xxh3", note->hash, sizeof note->hash, path, err));
    docs_name(name, i);
    FC_TRY(need_name(object, "documents_file", name, path, err));
    FC_TRY(need_range(object, "documents_bytes", &note->n_docs_bytes, 0, INT64_MAX, path,
                      err));
    FC_TRY(
        need_range(object, "documents", &note->n_docs, 0, note->n_docs_bytes, path, err));
    return need_text(object, "documents_xxh3", note->docs_hash, sizeof note->docs_hash,
                     path, err);
}

/* All shards but the last are full, so a row's shard is a division. */
static fc_status read_shards(fc_store_state *state, const json_t *root, const char *path,
                             fc_err *err)
{
    const json_t *shards = json_object_get(root, "shards");
    if (!json_is_array(shards))
        return fc_fail(err, FC_FORMAT, "%s: shards is %s, expected an array", path,
                       fc_json_type_word(shards));
    const int64_t n = (int64_t)json_array_size(shards);
    const int64_t full = state->info.rows_per_shard;
    for (int64_t i = 0; i < n; i++) {
        fc_shard_note note = {0};
        FC_TRY(read_shard(&note, json_array_get(shards, (size_t)i), i, full, path, err));
        if (i < n - 1 && note.n_rows != full)
            return fc_fail(err, FC_FORMAT,
                           "%s: shard %" PRId64 " has %" PRId64 " rows, expected %" PRId64
                           " in all but the last",
                           path, i, note.n_rows, full);
        FC_TRY(fc_store_state_add(state, &note, err));
        if (state->n_rows > UINT32_MAX)
            return fc_fail(err, FC_FORMAT, "%s: more than %" PRIu32 " rows", path,
                           UINT32_MAX);
    }
    int64_t n_rows = 0, n_docs = 0;
    FC_TRY(fc_json_need_i64(root, "rows", &n_rows, path, err));
    FC_TRY(fc_json_need_i64(root, "documents", &n_docs, path, err));
    if (n_rows == state->n_rows && n_docs == state->n_docs) return FC_OK;
    return fc_fail(err, FC_FORMAT,
                   "%s: rows is %" PRId64 " and documents is %" PRId64
                   ", the shards have %" PRId64 " and %" PRId64,
                   path, n_rows, n_docs, state->n_rows, state->n_docs);
}

/* It follows full shards, and would be a shard if it were full or held the last row. */
static fc_status read_partial(fc_store_state *state, const json_t *root, const char *path,
                              fc_err *err)
{
    const json_t *partial = json_object_get(root, "partial");
    fc_shard_note *const note = &state->partial;
    char name[NAME_MAX_BYTES];
    if (partial == NULL) return FC_OK;
    const int64_t full = state->info.rows_per_shard, wanted = state->info.n_wanted;
    if (state->is_complete || state->n_rows % full != 0)
        return fc_fail(err, FC_FORMAT, "%s: partial, but the last shard is there", path);
    const int64_t n_max = wanted > 0 ? fc_min(full, wanted - state->n_rows) : full;
    FC_TRY(need_range(partial, "rows", &note->n_rows, 1, n_max - 1, path, err));
    partial_name(name, state->n_rows + note->n_rows);
    FC_TRY(need_name(partial, "file", name, path, err));
    FC_TRY(need_range(partial, "bytes", &note->n_bytes, 1, INT64_MAX, path, err));
    return need_text(partial, "xxh3", note->hash, sizeof note->hash, path, err);
}

static fc_status read_state(fc_store_state *state, const json_t *root, const char *path,
                            fc_err *err)
{
    int64_t version = 0;
    FC_TRY(need_name(root, "format", format_name, path, err));
    FC_TRY(
        need_range(root, "version", &version, FORMAT_VERSION, FORMAT_VERSION, path, err));
    FC_TRY(read_info(&state->info, root, path, err));
    FC_TRY(read_shards(state, root, path, err));
    FC_TRY(fc_json_bool(root, "complete", &state->is_complete, path, err));
    FC_TRY(read_partial(state, root, path, err));
    if (!state->is_complete) return FC_OK;
    if (state->n_rows == 0)
        return fc_fail(err, FC_FORMAT, "%s: complete, but without rows", path);
    if (json_object_get(root, "rows_xxh3") != NULL) /* older stores have none */
        FC_TRY(need_text(root, "rows_xxh3", state->rows_hash, sizeof state->rows_hash,
                         path, err));
    const json_t *mean = json_object_get(root, "mean");
    FC_TRY(need_name(mean, "file", FC_STORE_MEAN, path, err));
    return need_text(mean, "xxh3", state->mean_hash, sizeof state->mean_hash, path, err);
}

fc_status fc_store_state_load(fc_store_state *state, json_t **root, const char *dir,
                              fc_err *err)
{
    char path[FC_PATH_MAX];
    FC_TRY(fc_path_join(path, dir, FC_STORE_META, err));
    json_t *read = NULL;
    FC_TRY(fc_json_load(&read, path, err));
    fc_store_state made = {0};
    const fc_status status = read_state(&made, read, path, err);
    if (status != FC_OK) {
        fc_store_state_deinit(&made);
        json_decref(read);
        return status;
    }
    *state = made;
    *root = read;
    return FC_OK;
}

/* --- writing ------------------------------------------------------------------------------ */

static json_t *shard_to_json(const fc_shard_note *note, int64_t i)
{
    char shard[NAME_MAX_BYTES], docs[NAME_MAX_BYTES];
    shard_name(shard, i);
    docs_name(docs, i);
    return json_pack("{s:s, s:I, s:I, s:s, s:s, s:I, s:I, s:s}", "file", shard, "rows",
                     (json_int_t)note->n_rows, "bytes", (json_int_t)note->n_bytes, "xxh3",
                     note->hash, "documents_file", docs, "documents",
                     (json_int_t)note->n_docs, "documents_bytes",
                     (json_int_t)note->n_docs_bytes, "documents_xxh3", note->docs_hash);
}

static json_t *partial_to_json(const fc_store_state *state)
{
    const fc_shard_note *const note = &state->partial;
    char name[NAME_MAX_BYTES];
    partial_name(name, state->n_rows + note->n_rows);
    return json_pack("{s:s, s:I, s:I, s:s}", "file", name, "rows",
                     (json_int_t)note->n_rows, "bytes", (json_int_t)note->n_bytes, "xxh3",
                     note->hash);
}

static json_t *state_to_json(const fc_store_state *state)
{
    const fc_store_info *info = &state->info;
    return json_pack(
        "{s:s, s:i, s:b, s:s, s:s, s:s, s:I, s:s, s:I, s:I, s:I, s:s, s:I, s:I}",
        "format", format_name, "version", (int)FORMAT_VERSION, "complete",
        (int)state->is_complete, "hook", info->hook, "model", info->model, "model_hash",
        info->model_hash, "width", (json_int_t)info->d, "dtype",
        fc_dtype_name(info->dtype), "rows_wanted", (json_int_t)info->n_wanted,
        "rows_per_shard", (json_int_t)info->rows_per_shard, "max_length",
        (json_int_t)info->max_length, "text_hash", info->text_hash, "rows",
        (json_int_t)state->n_rows, "documents", (json_int_t)state->n_docs);
}

/* jansson says -1 and NULL when memory ends; it takes NULL values as failures, too. */
static bool add_rest(json_t *root, const fc_store_state *state, const json_t *meta)
{
    json_t *copy = meta != NULL ? json_deep_copy(meta) : NULL;
    bool is_good =
        meta == NULL || (copy != NULL && json_object_update_missing(root, copy) == 0);
    json_decref(copy);
    json_t *shards = json_array();
    for (int64_t i = 0; i < state->n_shards && is_good; i++)
        is_good = json_array_append_new(shards, shard_to_json(&state->shard[i], i)) == 0;
    is_good = json_object_set_new(root, "shards", shards) == 0 && is_good;
    if (state->partial.n_rows > 0)
        is_good =
            json_object_set_new(root, "partial", partial_to_json(state)) == 0 && is_good;
    if (state->is_complete && state->rows_hash[0] != '\0')
        is_good =
            json_object_set_new(root, "rows_xxh3", json_string(state->rows_hash)) == 0 &&
            is_good;
    if (state->is_complete) {
        json_t *mean =
            json_pack("{s:s, s:s}", "file", FC_STORE_MEAN, "xxh3", state->mean_hash);
        is_good = json_object_set_new(root, "mean", mean) == 0 && is_good;
    }
    return is_good;
}

fc_status fc_store_state_save(const fc_store_state *state, const json_t *meta,
                              const char *dir, fc_err *err)
{
    char path[FC_PATH_MAX];
    FC_TRY(fc_path_join(path, dir, FC_STORE_META, err));
    json_t *root = state_to_json(state);
    fc_status status = FC_OK;
    if (root == NULL || !add_rest(root, state, meta))
        status = fc_fail(err, FC_NOMEM, "%s: no memory to write it", path);
    else
        status = fc_json_save(root, path, err);
    json_decref(root);
    return status;
}

/* --- comparing ---------------------------------------------------------------------------- */

static fc_status differs(const char *path, const char *what, const char *found,
                         const char *expected, fc_err *err)
{
    return fc_fail(
        err, FC_MISMATCH,
        "%s: the store was begun with %s %s, this run has %s; name another folder, or "
        "remove this one",
        path, what, found, expected);
}

static fc_status same_text(const char *path, const char *what, const char *found,
                           const char *expected, fc_err *err)
{
    return strcmp(found, expected) == 0 ? FC_OK
                                        : differs(path, what, found, expected, err);
}

static fc_status same_count(const char *path, const char *what, int64_t found,
                            int64_t expected, fc_err *err)
{
    if (found == expected) return FC_OK;
    char a[32], b[32];
    snprintf(a, sizeof a, "%" PRId64, found);
    snprintf(b, sizeof b, "%" PRId64, expected);
    return differs(path, what, a, b, err);
}

/* Texts, numbers and booleans among the caller's members identify the run as well. */
static fc_status same_members(const json_t *root, const json_t *meta, const char *path,
                              fc_err *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)meta, key, value)
    {
        const json_t *found = json_object_get(root, key);
        if (json_is_object(value) || json_is_array(value) || json_equal(found, value))
            continue;
        char *a = json_dumps(found, JSON_ENCODE_ANY);
        char *b = json_dumps(value, JSON_ENCODE_ANY);
        const fc_status status = differs(path, key, a != NULL ? a : "(nothing)",
                                         b != NULL ? b : "(nothing)", err);
        free(a);
        free(b);
        return status;
    }
    return FC_OK;
}

fc_status fc_store_same_run(const fc_store_state *state, const json_t *root,
                            const fc_store_info *info, const json_t *meta,
                            const char *dir, fc_err *err)
{
    char path[FC_PATH_MAX];
    FC_TRY(fc_path_join(path, dir, FC_STORE_META, err));
    const fc_store_info *old = &state->info;
    FC_TRY(same_text(path, "hook", old->hook, info->hook, err));
    if (strcmp(old->model_hash, info->model_hash) != 0) {
        char found[160], expected[160];
        snprintf(found, sizeof found, "'%.80s' (%s)", old->model, old->model_hash);
        snprintf(expected, sizeof expected, "'%.80s' (%s)", info->model,
                 info->model_hash);
        return differs(path, "model", found, expected, err);
    }
    FC_TRY(same_count(path, "width", old->d, info->d, err));
    FC_TRY(same_text(path, "dtype", fc_dtype_name(old->dtype), fc_dtype_name(info->dtype),
                     err));
    FC_TRY(same_count(path, "max_length", old->max_length, info->max_length, err));
    FC_TRY(same_text(path, "text files", old->text_hash, info->text_hash, err));
    FC_TRY(same_members(root, meta, path, err));
    FC_TRY(same_count(path, "rows_per_shard", old->rows_per_shard, info->rows_per_shard,
                      err));
    return same_count(path, "rows_wanted", old->n_wanted, info->n_wanted, err);
}
