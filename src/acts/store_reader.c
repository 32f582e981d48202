/* store_reader.c - opens a store: maps its shards, checks them, and reads rows from them.
 *
 *   row r    shard r / rows_per_shard, row r % rows_per_shard of it (all but the last are full)
 *
 * Everything is mapped once and stays in the page cache while there is room; a gather of random rows
 * is a copy with widening. Files are hostile: names, shapes and sizes are checked against meta.json before any
 * row is touched, and the rows' bytes mean nothing beyond numbers.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "acts/store_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/memory.h"

struct fc_store {
    char dir[FC_PATH_MAX];
    fc_store_state state;
    json_t *meta;
    fc_shard *shard; /* [state.n_shards] */
    fc_row_stats stats;
    fc_doc_list docs;
    bool has_docs;
};

/* --- one shard ---------------------------------------------------------------------------- */

fc_status fc_store_check_file(const char *path, int64_t n_bytes, const char *hash,
                              bool is_verified, fc_err *err)
{
    const int64_t found = fc_file_size(path);
    if (found < 0)
        return fc_fail(err, FC_FORMAT, "%s: the file is missing from the store", path);
    if (n_bytes >= 0 && found != n_bytes)
        return fc_fail(
            err, FC_FORMAT,
            "%s: %" PRId64 " bytes, but meta.json says %" PRId64 ": the file is %s", path,
            found, n_bytes, found < n_bytes ? "cut short" : "another one");
    if (!is_verified) return FC_OK;
    char hex[FC_HASH_HEX];
    FC_TRY(fc_hash_file(path, hex, err));
    if (strcmp(hex, hash) == 0) return FC_OK;
    return fc_fail(err, FC_FORMAT,
                   "%s: the checksum is %s, but meta.json says %s: the file is damaged",
                   path, hex, hash);
}

static int32_t column_at(const uint8_t *column, int64_t i)
{
    int32_t value;
    memcpy(&value, column + (size_t)i * sizeof value, sizeof value);
    return value;
}

static fc_status find_column(const fc_safetensors *file, const char *name, int64_t n_rows,
                             const uint8_t **data, fc_err *err)
{
    const fc_tensor *tensor = NULL;
    FC_TRY(fc_safetensors_need(file, name, FC_I32, 1, &n_rows, &tensor, err));
    *data = tensor->data;
    return FC_OK;
}

static fc_status find_tensors(fc_shard *shard, const fc_store_info *info, int64_t n_rows,
                              fc_err *err)
{
    const int64_t shape[2] = {n_rows, info->d};
    const fc_tensor *x = NULL;
    FC_TRY(
        fc_safetensors_need(shard->file, "activations", info->dtype, 2, shape, &x, err));
    shard->x = x->data;
    FC_TRY(find_column(shard->file, "token_ids", n_rows, &shard->token, err));
    FC_TRY(find_column(shard->file, "doc_ids", n_rows, &shard->doc, err));
    return find_column(shard->file, "positions", n_rows, &shard->position, err);
}

/* What users of a store may rely on: ids that can index, documents that ascend. */
static fc_status check_columns(const fc_shard *shard, int64_t n_rows, fc_err *err)
{
    int32_t last_doc = 0;
    for (int64_t i = 0; i < n_rows; i++) {
        const int32_t token = column_at(shard->token, i), doc = column_at(shard->doc, i);
        const int32_t position = column_at(shard->position, i);
        if (token < 0 || doc < last_doc || position < 1)
            return fc_fail(
                err, FC_FORMAT,
                "%s: row %" PRId64 " has token %" PRId32 ", document %" PRId32
                " after %" PRId32 ", position %" PRId32
                "; expected ids of 0 or more, ascending documents, positions from 1",
                fc_safetensors_path(shard->file), i, token, doc, last_doc, position);
        last_doc = doc;
    }
    return FC_OK;
}

static fc_status open_rows(fc_shard *shard, const char *path, const fc_store_info *info,
                           const fc_shard_note *note, bool is_verified, fc_err *err)
{
    fc_shard opened = {0};
    FC_TRY(fc_store_check_file(path, note->n_bytes, note->hash, is_verified, err));
    FC_TRY(fc_safetensors_open(&opened.file, path, err));
    fc_status status = find_tensors(&opened, info, note->n_rows, err);
    if (status == FC_OK) status = check_columns(&opened, note->n_rows, err);
    if (status != FC_OK) {
        fc_shard_close(&opened);
        return status;
    }
    *shard = opened;
    return FC_OK;
}

fc_status fc_shard_open(fc_shard *shard, const char *dir, const fc_store_state *state,
                        int64_t i, bool is_verified, fc_err *err)
{
    const fc_shard_note *const note = &state->shard[i];
    char path[FC_PATH_MAX];
    FC_TRY(fc_docs_path(path, dir, i, err));
    FC_TRY(
        fc_store_check_file(path, note->n_docs_bytes, note->docs_hash, is_verified, err));
    FC_TRY(fc_shard_path(path, dir, i, err));
    return open_rows(shard, path, &state->info, note, is_verified, err);
}

fc_status fc_partial_open(fc_shard *shard, const char *dir, const fc_store_state *state,
                          bool is_verified, fc_err *err)
{
    char path[FC_PATH_MAX];
    FC_TRY(fc_partial_path(path, dir, state->n_rows + state->partial.n_rows, err));
    return open_rows(shard, path, &state->info, &state->partial, is_verified, err);
}

void fc_shard_close(fc_shard *shard)
{
    fc_safetensors_close(shard->file);
    *shard = (fc_shard){0};
}

int32_t fc_shard_last_doc(const fc_shard *shard, int64_t n_rows)
{
    return column_at(shard->doc, n_rows - 1);
}

/* --- the store ---------------------------------------------------------------------------- */

static fc_status check_mean(const fc_store *store, bool is_verified, fc_err *err)
{
    char path[FC_PATH_MAX];
    FC_TRY(fc_path_join(path, store->dir, FC_STORE_MEAN, err));
    return fc_store_check_file(path, -1, store->state.mean_hash, is_verified, err);
}

static fc_status open_shards(fc_store *store, bool is_verified, fc_err *err)
{
    const fc_store_state *const state = &store->state;
    int32_t last_doc = 0;
    FC_TRY(fc_alloc(&store->shard, state->n_shards, sizeof *store->shard, "shards", err));
    for (int64_t i = 0; i < state->n_shards; i++) {
        FC_TRY(fc_shard_open(&store->shard[i], store->dir, state, i, is_verified, err));
        const int32_t first_doc = column_at(store->shard[i].doc, 0);
        if (first_doc < last_doc)
            return fc_fail(err, FC_FORMAT,
                           "%s: shard %" PRId64 " begins with document %" PRId32
                           ", the one before ends with %" PRId32,
                           store->dir, i, first_doc, last_doc);
        last_doc = fc_shard_last_doc(&store->shard[i], state->shard[i].n_rows);
    }
    return FC_OK;
}

/* A folder that is no store, but holds some: their names are what its user needs. */
static fc_status refuse_several(const char *dir, fc_err *err)
{
    char path[FC_PATH_MAX], found[256] = "";
    fc_names names = {0};
    int64_t n_found = 0;
    FC_TRY(fc_path_join(path, dir, FC_STORE_META, err));
    if (fc_path_exists(path) || !fc_path_is_dir(dir)) return FC_OK;
    FC_TRY(fc_dir_list(&names, dir, err));
    for (int64_t i = 0; i < names.n; i++) {
        char inner[FC_PATH_MAX];
        if (fc_path_join(inner, dir, names.name[i], NULL) != FC_OK ||
            fc_path_join(path, inner, FC_STORE_META, NULL) != FC_OK ||
            !fc_path_exists(path))
            continue;
        const size_t n = strlen(found);
        if (n_found++ < 4)
            (void)snprintf(found + n, sizeof found - n, "%s'%.48s'", n > 0 ? ", " : "",
                           names.name[i]);
    }
    fc_names_free(&names);
    if (n_found == 0) return FC_OK;
    return fc_fail(err, FC_USAGE,
                   "%s: holds the stores of several hooks (%s%s); name one of them", dir,
                   found, n_found > 4 ? ", .." : "");
}

fc_status fc_store_open(fc_store **store, const char *dir, bool is_verified,
                        bool allow_partial, fc_err *err)
{
    fc_store *made = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&made, 1, sizeof *made, "an activation store", err));
    FC_TRY_GOTO(fc_path_join(made->dir, NULL, dir, err));
    FC_TRY_GOTO(refuse_several(dir, err));
    FC_TRY_GOTO(fc_store_state_load(&made->state, &made->meta, dir, err));
    const fc_store_state *const state = &made->state;
    if (!state->is_complete && !allow_partial)
        FC_TRY_GOTO(fc_fail(err, FC_MISMATCH,
                            "%s: the store is unfinished, with %" PRId64 " of %" PRId64
                            " rows; collect again into it to go on",
                            dir, state->n_rows, state->info.n_wanted));
    FC_TRY_GOTO(open_shards(made, is_verified, err));
    if (state->is_complete) {
        FC_TRY_GOTO(check_mean(made, is_verified, err));
        FC_TRY_GOTO(fc_store_stats_load(&made->stats, dir, state->info.d, err));
    }
    *store = made;
    made = NULL;
done:
    fc_store_close(made);
    return status;
}

void fc_store_close(fc_store *store)
{
    if (store == NULL) return;
    for (int64_t i = 0; store->shard != NULL && i < store->state.n_shards; i++)
        fc_shard_close(&store->shard[i]);
    fc_free(store->shard);
    fc_row_stats_deinit(&store->stats);
    fc_doc_list_free(&store->docs);
    fc_store_state_deinit(&store->state);
    json_decref(store->meta);
    fc_free(store);
}

const fc_store_info *fc_store_info_of(const fc_store *store)
{
    return &store->state.info;
}

const json_t *fc_store_meta(const fc_store *store)
{
    return store->meta;
}

int64_t fc_store_rows(const fc_store *store)
{
    return store->state.n_rows;
}

int64_t fc_store_docs(const fc_store *store)
{
    return store->state.n_docs;
}

const float *fc_store_mean(const fc_store *store)
{
    return store->stats.mean;
}

double fc_store_mean_norm(const fc_store *store)
{
    return store->stats.mean_norm;
}

double fc_store_mean_centred_norm(const fc_store *store)
{
    return store->stats.mean_centred_norm;
}

/* --- rows --------------------------------------------------------------------------------- */

/* Rows that lie together in a shard. */
typedef struct span {
    const uint8_t *x;
    int64_t n;
    size_t n_bytes;
} span;

static size_t row_bytes(const fc_store *store)
{
    return (size_t)store->state.info.d * fc_dtype_size(store->state.info.dtype);
}

/* The first of begin .. begin+n-1, n >= 1, and what follows it in its shard. */
static span span_at(const fc_store *store, int64_t begin, int64_t n)
{
    FC_CHECK(begin >= 0 && n > 0 && n <= store->state.n_rows - begin);
    const int64_t full = store->state.info.rows_per_shard, at = begin % full;
    const int64_t n_here = fc_min(n, store->state.shard[begin / full].n_rows - at);
    return (span){.x = store->shard[begin / full].x + (size_t)at * row_bytes(store),
                  .n = n_here,
                  .n_bytes = (size_t)n_here * row_bytes(store)};
}

void fc_store_read(const fc_store *store, int64_t begin, int64_t n, float *out)
{
    const fc_store_info *const info = &store->state.info;
    for (const int64_t end = begin + n; begin < end;) {
        const span here = span_at(store, begin, end - begin);
        fc_to_f32(out, here.x, info->dtype, here.n * info->d);
        out += here.n * info->d;
        begin += here.n;
    }
}

void fc_store_copy(const fc_store *store, int64_t begin, int64_t n, void *out)
{
    uint8_t *to = out;
    for (const int64_t end = begin + n; begin < end;) {
        const span here = span_at(store, begin, end - begin);
        memcpy(to, here.x, here.n_bytes);
        to += here.n_bytes;
        begin += here.n;
    }
}

static void advise(const fc_store *store, int64_t begin, int64_t n,
                   void (*hint)(const void *data, size_t n_bytes))
{
    for (const int64_t end = begin + n; begin < end;) {
        const span here = span_at(store, begin, end - begin);
        hint(here.x, here.n_bytes);
        begin += here.n;
    }
}

void fc_store_expect(const fc_store *store, int64_t begin, int64_t n)
{
    advise(store, begin, n, fc_pages_expect);
}

void fc_store_drop(const fc_store *store, int64_t begin, int64_t n)
{
    advise(store, begin, n, fc_pages_drop);
}

void fc_store_gather(const fc_store *store, const uint32_t *row, int64_t n, float *out)
{
    const int64_t d = store->state.info.d;
    for (int64_t i = 0; i < n; i++) fc_store_read(store, row[i], 1, out + i * d);
}

fc_row fc_store_row(const fc_store *store, int64_t row)
{
    FC_CHECK(row >= 0 && row < store->state.n_rows);
    const int64_t full = store->state.info.rows_per_shard, at = row % full;
    const fc_shard *const shard = &store->shard[row / full];
    return (fc_row){.token_id = column_at(shard->token, at),
                    .doc_id = column_at(shard->doc, at),
                    .position = column_at(shard->position, at)};
}

fc_status fc_store_rows_hash(const fc_store *store, char *hex, fc_err *err)
{
    enum { GROUP = 1024, COLUMNS = 3 };
    int32_t table[GROUP * COLUMNS];
    const int64_t n_rows = fc_store_rows(store);
    fc_hash *hash = NULL;
    FC_TRY(fc_hash_new(&hash, err));
    for (int64_t begin = 0; begin < n_rows; begin += GROUP) {
        const int64_t n = fc_min(GROUP, n_rows - begin);
        for (int64_t i = 0; i < n; i++) {
            const fc_row row = fc_store_row(store, begin + i);
            table[i * COLUMNS] = row.token_id;
            table[i * COLUMNS + 1] = row.doc_id;
            table[i * COLUMNS + 2] = row.position;
        }
        fc_hash_update(hash, table, (size_t)(n * COLUMNS) * sizeof table[0]);
    }
    fc_hash_hex(hash, hex);
    fc_hash_free(hash);
    return FC_OK;
}

/* --- documents ---------------------------------------------------------------------------- */

fc_status fc_store_doc(fc_store *store, int32_t doc_id, fc_doc *doc, fc_err *err)
{
    if (!store->has_docs) {
        FC_TRY(fc_doc_list_load(&store->docs, store->dir, &store->state, err));
        store->has_docs = true;
    }
    int64_t begin = 0, end = store->docs.n; /* the first id that is not below doc_id */
    while (begin < end) {
        const int64_t middle = begin + (end - begin) / 2;
        if (store->docs.id[middle] < doc_id)
            begin = middle + 1;
        else
            end = middle;
    }
    if (begin == store->docs.n || store->docs.id[begin] != doc_id)
        return fc_fail(err, FC_FORMAT, "%s: the store has no document %" PRId32,
                       store->dir, doc_id);
    *doc = store->docs.doc[begin];
    return FC_OK;
}
