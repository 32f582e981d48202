/* store_writer.c - fills a store shard by shard, so that killing it loses what came after the last
 * checkpoint at most.
 *
 *   append      rows gather in memory, converted, until rows_per_shard are there
 *   checkpoint  partial-R.safetensors with the rows gathered so far, then meta.json, which names it
 *               with its checksum; the one before is removed, as it is when the shard is full
 *   shard full  documents-N.jsonl, shard-N.safetensors, then meta.json, each written beside and
 *               renamed: the moment meta.json is renamed, the shard belongs to the store
 *   finish      last shard, mean.safetensors, meta.json with "complete": true
 *
 * A whole shard is held in memory, not streamed, because safetensors wants its shape first and
 * the last shard is short; it is the writer's only large memory. A partial file has no documents:
 * who goes on reads the text from the start, and announces them again.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "acts/store_internal.h"
#include "base/alloc.h"
#include "base/log.h"

enum { MARGIN_BYTES = 16 << 20, ROW_IDS_BYTES = 3 * sizeof(int32_t) };

typedef struct doc_mark { /* a document's line among those not yet written */
    int32_t id;
    int64_t end; /* of its line in `lines` */
} doc_mark;

struct fc_store_writer {
    char dir[FC_PATH_MAX];
    fc_store_state state; /* what meta.json says */
    json_t *meta;         /* the caller's members */
    int32_t last_doc;     /* of the last row on disk; -1 = none */

    uint8_t *x; /* the shard being filled: [capacity, d] of the store's dtype */
    int32_t *token, *doc, *position;
    int64_t n_held, capacity;

    fc_strbuf lines;
    doc_mark *mark;
    int64_t n_marks, mark_capacity;
};

/* --- create ------------------------------------------------------------------------------- */

static fc_status find_last_doc(fc_store_writer *writer, fc_err *err)
{
    const fc_store_state *const state = &writer->state;
    const int64_t i = state->n_shards - 1;
    fc_shard shard = {0};
    if (i < 0) return FC_OK;
    FC_TRY(fc_shard_open(&shard, writer->dir, state, i, false, err));
    writer->last_doc = fc_shard_last_doc(&shard, state->shard[i].n_rows);
    fc_shard_close(&shard);
    return FC_OK;
}

static fc_status take_over(fc_store_writer *writer, const fc_store_info *info,
                           fc_err *err)
{
    json_t *root = NULL;
    FC_TRY(fc_store_state_load(&writer->state, &root, writer->dir, err));
    const fc_status status =
        fc_store_same_run(&writer->state, root, info, writer->meta, writer->dir, err);
    json_decref(root);
    FC_TRY(status);
    FC_TRY(fc_store_keep_sound(&writer->state, writer->dir, err));
    FC_TRY(find_last_doc(writer, err));
    writer->state.info = *info; /* the model's path may be spelled another way now */
    return FC_OK;
}

static fc_status check_info(const fc_store_info *info, fc_err *err)
{
    FC_CHECK(info->dtype == FC_BF16 || info->dtype == FC_F32);
    FC_CHECK(info->d >= 1);
    if (info->rows_per_shard < 1 || info->rows_per_shard > UINT32_MAX)
        return fc_fail(err, FC_USAGE, "%" PRId64 " rows a shard, expected 1 to %" PRIu32,
                       info->rows_per_shard, UINT32_MAX);
    if (info->n_wanted >= 0 && info->n_wanted <= UINT32_MAX) return FC_OK;
    return fc_fail(err, FC_USAGE, "%" PRId64 " rows wanted, expected 0 to %" PRIu32,
                   info->n_wanted, UINT32_MAX);
}

/* For all rows to come, or one shard when their number is not known, and a shard's worth of partial
 * files: two, one of them to be removed, while the shard itself is not there yet. */
static fc_status check_space(const fc_store_writer *writer, fc_err *err)
{
    const fc_store_info *const info = &writer->state.info;
    const int64_t n =
        info->n_wanted > 0 ? info->n_wanted - writer->state.n_rows : info->rows_per_shard;
    const size_t row_bytes = (size_t)info->d * fc_dtype_size(info->dtype) + ROW_IDS_BYTES;
    const double n_most = (double)n + (double)fc_min(n, info->rows_per_shard);
    const double needed = n_most * (double)row_bytes + MARGIN_BYTES;
    int64_t n_free = 0;
    FC_TRY(fc_dir_free_bytes(writer->dir, &n_free, err));
    if ((double)n_free >= needed) return FC_OK;
    return fc_fail(err, FC_IO,
                   "%s: the disk has %.1f GB free, %" PRId64 " rows of width %" PRId64
                   " as %s need %.1f GB",
                   writer->dir, (double)n_free / 1e9, n, info->d,
                   fc_dtype_name(info->dtype), needed / 1e9);
}

static fc_status allocate(fc_store_writer *writer, fc_err *err)
{
    const fc_store_info *const info = &writer->state.info;
    const size_t row_bytes = (size_t)info->d * fc_dtype_size(info->dtype);
    int64_t n = info->rows_per_shard;
    if (info->n_wanted > 0) n = fc_min(n, info->n_wanted);
    writer->capacity = info->rows_per_shard;
    FC_TRY(fc_alloc(&writer->x, n, row_bytes, "a shard of activations", err));
    FC_TRY(fc_alloc(&writer->token, n, sizeof(int32_t), "token ids of a shard", err));
    FC_TRY(fc_alloc(&writer->doc, n, sizeof(int32_t), "document ids of a shard", err));
    return fc_alloc(&writer->position, n, sizeof(int32_t), "positions of a shard", err);
}

/* Takes the rows of the partial shard into memory. */
static fc_status load_partial(fc_store_writer *writer, fc_err *err)
{
    const fc_store_info *const info = &writer->state.info;
    const size_t n = (size_t)writer->state.partial.n_rows;
    fc_shard shard = {0};
    if (n == 0) return FC_OK;
    FC_TRY(fc_partial_open(&shard, writer->dir, &writer->state, false, err));
    memcpy(writer->x, shard.x, n * (size_t)info->d * fc_dtype_size(info->dtype));
    memcpy(writer->token, shard.token, n * sizeof *writer->token);
    memcpy(writer->doc, shard.doc, n * sizeof *writer->doc);
    memcpy(writer->position, shard.position, n * sizeof *writer->position);
    writer->n_held = (int64_t)n;
    fc_shard_close(&shard);
    return FC_OK;
}

static fc_status begin(fc_store_writer *writer, const fc_store_info *info,
                       const json_t *meta, fc_err *err)
{
    char path[FC_PATH_MAX];
    FC_TRY(check_info(info, err));
    writer->meta = meta != NULL ? json_deep_copy(meta) : json_object();
    if (writer->meta == NULL)
        return fc_fail(err, FC_NOMEM, "no memory for the store's settings");
    FC_TRY(fc_dir_make(writer->dir, err));
    FC_TRY(fc_path_join(path, writer->dir, FC_STORE_META, err));
    const bool is_begun = fc_path_exists(path);
    writer->state.info = *info;
    if (is_begun) FC_TRY(take_over(writer, info, err));
    const bool is_complete = writer->state.is_complete;
    if (!is_complete) FC_TRY(check_space(writer, err));
    if (!is_begun)
        FC_TRY(fc_store_clear_leftovers(&writer->state, writer->dir, false, err));
    if (!is_complete)
        FC_TRY(fc_store_state_save(&writer->state, writer->meta, writer->dir, err));
    if (is_begun)
        FC_TRY(fc_store_clear_leftovers(&writer->state, writer->dir, true, err));
    if (is_complete) return FC_OK;
    FC_TRY(allocate(writer, err));
    return load_partial(writer, err);
}

fc_status fc_store_create(fc_store_writer **writer, const char *dir,
                          const fc_store_info *info, const json_t *meta, int64_t *n_done,
                          fc_err *err)
{
    fc_store_writer *made = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&made, 1, sizeof *made, "the writer of a store", err));
    made->last_doc = -1;
    FC_TRY_GOTO(fc_path_join(made->dir, NULL, dir, err));
    FC_TRY_GOTO(begin(made, info, meta, err));
    *n_done = made->state.n_rows + made->n_held;
    *writer = made;
    made = NULL;
done:
    fc_store_writer_close(made);
    return status;
}

bool fc_store_writer_is_complete(const fc_store_writer *writer)
{
    return writer->state.is_complete;
}

int64_t fc_store_writer_docs(const fc_store_writer *writer)
{
    return writer->state.n_docs;
}

void fc_store_writer_close(fc_store_writer *writer)
{
    if (writer == NULL) return;
    fc_store_state_deinit(&writer->state);
    json_decref(writer->meta);
    fc_free(writer->x);
    fc_free(writer->token);
    fc_free(writer->doc);
    fc_free(writer->position);
    fc_strbuf_free(&writer->lines);
    fc_free(writer->mark);
    fc_free(writer);
}

/* --- shards ------------------------------------------------------------------------------- */

static fc_status write_shard(const fc_store_writer *writer, const char *path, fc_err *err)
{
    const fc_store_info *const info = &writer->state.info;
    const int64_t n = writer->n_held;
    const fc_tensor tensors[] = {
        {.name = "activations",
         .dtype = info->dtype,
         .rank = 2,
         .shape = {n, info->d},
         .data = writer->x},
        {.name = "token_ids",
         .dtype = FC_I32,
         .rank = 1,
         .shape = {n},
         .data = writer->token},
        {.name = "doc_ids",
         .dtype = FC_I32,
         .rank = 1,
         .shape = {n},
         .data = writer->doc},
        {.name = "positions",
         .dtype = FC_I32,
         .rank = 1,
         .shape = {n},
         .data = writer->position},
    };
    return fc_safetensors_save(path, tensors, (int64_t)FC_LEN(tensors), err);
}

/* Lines of the documents up to `last`, the document of the shard's last row. */
static fc_status write_docs(fc_store_writer *writer, const char *path, int32_t last,
                            fc_shard_note *note, fc_err *err)
{
    int64_t n = 0;
    while (n < writer->n_marks && writer->mark[n].id <= last) n++;
    const int64_t n_bytes = n > 0 ? writer->mark[n - 1].end : 0;
    const char *const lines = fc_strbuf_text(&writer->lines);
    FC_TRY(fc_file_write(path, lines, (size_t)n_bytes, err));
    fc_hash_bytes(lines, (size_t)n_bytes, note->docs_hash);
    note->n_docs = n;
    note->n_docs_bytes = n_bytes;

    const int64_t n_left = writer->n_marks - n;
    if (n_left > 0) { /* lines and marks of later documents move to the front */
        memmove(writer->lines.data, lines + n_bytes, (size_t)(writer->lines.n - n_bytes));
        memmove(writer->mark, writer->mark + n, (size_t)n_left * sizeof *writer->mark);
    }
    for (int64_t i = 0; i < n_left; i++) writer->mark[i].end -= n_bytes;
    writer->lines.n -= n_bytes;
    writer->n_marks = n_left;
    return FC_OK;
}

/* The rows held into `path`; what meta.json will say of the file into *note. */
static fc_status write_rows(const fc_store_writer *writer, const char *path,
                            fc_shard_note *note, fc_err *err)
{
    FC_TRY(write_shard(writer, path, err));
    FC_TRY(fc_hash_file(path, note->hash, err));
    note->n_rows = writer->n_held;
    note->n_bytes = fc_file_size(path);
    return FC_OK;
}

/* Makes the state what is on disk; what it names no longer goes. */
static fc_status commit(const fc_store_writer *writer, fc_err *err)
{
    FC_TRY(fc_store_state_save(&writer->state, writer->meta, writer->dir, err));
    return fc_store_clear_leftovers(&writer->state, writer->dir, true, err);
}

static fc_status close_shard(fc_store_writer *writer, fc_err *err)
{
    char path[FC_PATH_MAX];
    fc_shard_note note = {0};
    const int32_t last = writer->doc[writer->n_held - 1];
    const int64_t i = writer->state.n_shards;
    FC_TRY(fc_docs_path(path, writer->dir, i, err));
    FC_TRY(write_docs(writer, path, last, &note, err));
    FC_TRY(fc_shard_path(path, writer->dir, i, err));
    FC_TRY(write_rows(writer, path, &note, err));
    FC_TRY(fc_store_state_add(&writer->state, &note, err));
    writer->state.partial = (fc_shard_note){0};
    FC_TRY(commit(writer, err));
    writer->last_doc = last;
    writer->n_held = 0;
    return FC_OK;
}

fc_status fc_store_checkpoint(fc_store_writer *writer, fc_err *err)
{
    const fc_store_state *const state = &writer->state;
    const int64_t n = state->n_rows + writer->n_held;
    const bool is_saved = writer->n_held == state->partial.n_rows;
    char path[FC_PATH_MAX];
    if (is_saved || n == state->info.n_wanted) return FC_OK;
    FC_TRY(fc_partial_path(path, writer->dir, n, err));
    FC_TRY(write_rows(writer, path, &writer->state.partial, err));
    return commit(writer, err);
}

/* --- rows and documents ------------------------------------------------------------------- */

fc_status fc_rows_check_finite(const char *hook, const float *x, const fc_row *rows,
                               int64_t n, int64_t d, fc_err *err)
{
    for (int64_t i = 0; i < n; i++) {
        int n_bad = 0;
        for (int64_t j = 0; j < d; j++) n_bad += isfinite(x[i * d + j]) ? 0 : 1;
        if (n_bad > 0)
            return fc_fail(
                err, FC_FORMAT,
                "%s: %d of %" PRId64 " activations are not finite at token %" PRId32
                ", position %" PRId32 " of document %" PRId32,
                hook, n_bad, d, rows[i].token_id, rows[i].position, rows[i].doc_id);
    }
    return FC_OK;
}

static void hold(fc_store_writer *writer, const float *x, const fc_row *rows, int64_t n)
{
    const fc_store_info *const info = &writer->state.info;
    const size_t row_bytes = (size_t)info->d * fc_dtype_size(info->dtype);
    fc_from_f32(writer->x + (size_t)writer->n_held * row_bytes, info->dtype, x,
                n * info->d);
    for (int64_t i = 0; i < n; i++) {
        writer->token[writer->n_held + i] = rows[i].token_id;
        writer->doc[writer->n_held + i] = rows[i].doc_id;
        writer->position[writer->n_held + i] = rows[i].position;
    }
    writer->n_held += n;
}

fc_status fc_store_append(fc_store_writer *writer, const float *x, const fc_row *rows,
                          int64_t n, fc_err *err)
{
    const fc_store_info *const info = &writer->state.info;
    const int64_t n_now = writer->state.n_rows + writer->n_held;
    FC_CHECK(!writer->state.is_complete || n == 0);
    FC_CHECK(info->n_wanted == 0 || n <= info->n_wanted - n_now);
    if (n > UINT32_MAX - n_now)
        return fc_fail(err, FC_USAGE, "%s: more than %" PRIu32 " rows", writer->dir,
                       UINT32_MAX);
    FC_TRY(fc_rows_check_finite(info->hook, x, rows, n, info->d, err));
    while (n > 0) {
        const int64_t n_here = fc_min(n, writer->capacity - writer->n_held);
        hold(writer, x, rows, n_here);
        if (writer->n_held == writer->capacity) FC_TRY(close_shard(writer, err));
        x += n_here * info->d;
        rows += n_here;
        n -= n_here;
    }
    return FC_OK;
}

fc_status fc_store_document(fc_store_writer *writer, int32_t doc_id, const fc_doc *doc,
                            fc_err *err)
{
    const int32_t before =
        writer->n_marks > 0 ? writer->mark[writer->n_marks - 1].id : -1;
    if (doc_id <= writer->last_doc) return FC_OK; /* on disk since an earlier run */
    FC_CHECK(doc_id > before);
    FC_TRY(fc_grow(&writer->mark, &writer->mark_capacity, writer->n_marks + 1,
                   sizeof *writer->mark, "documents of a shard", err));
    FC_TRY(fc_doc_line(&writer->lines, doc_id, doc, err));
    writer->mark[writer->n_marks++] = (doc_mark){doc_id, writer->lines.n};
    return FC_OK;
}

fc_status fc_store_finish(fc_store_writer *writer, bool is_short_allowed, fc_err *err)
{
    fc_store_state *const state = &writer->state;
    if (state->is_complete) return FC_OK;
    const int64_t n = state->n_rows + writer->n_held;
    if (n == 0)
        return fc_fail(err, FC_MISMATCH, "%s: no activations to store", writer->dir);
    if (n < state->info.n_wanted && !is_short_allowed)
        return fc_fail(err, FC_MISMATCH, "%s: %" PRId64 " rows, expected %" PRId64,
                       writer->dir, n, state->info.n_wanted);
    if (writer->n_held > 0) FC_TRY(close_shard(writer, err));
    char path[FC_PATH_MAX];
    FC_TRY(fc_store_stats_write(writer->dir, state->rows_hash, err));
    FC_TRY(fc_path_join(path, writer->dir, FC_STORE_MEAN, err));
    FC_TRY(fc_hash_file(path, state->mean_hash, err));
    state->is_complete = true;
    return fc_store_state_save(state, writer->meta, writer->dir, err);
}
