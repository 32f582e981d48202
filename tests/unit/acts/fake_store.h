/* fake_store.h - a store with known rows for tests: no model, no text.
 *
 *   row r      x[j] = normal(row r, column j) + j,  token 7 r mod 1000
 *   document   10 rows each, ids 0, 3, 6, ...: ids with gaps, as documents without tokens leave
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FAKE_STORE_H
#define FC_FAKE_STORE_H

#include "testing.h"

#include <stdio.h>
#include <stdlib.h>

#include "acts/store.h"
#include "base/rng.h"

enum { FAKE_D = 19, FAKE_DOC_ROWS = 10, FAKE_DOC_STEP = 3 };

static inline float fake_x(int64_t row, int64_t j)
{
    const uint64_t index = (uint64_t)(row * FAKE_D + j);
    return (float)(fc_rng_normal(5, FC_RNG_TEST, index) + (double)j);
}

/* What a reader must give: the value after storing. */
static inline float fake_stored(fc_dtype dtype, int64_t row, int64_t j)
{
    const float x = fake_x(row, j);
    return dtype == FC_BF16 ? fc_bf16_to_f32(fc_bf16_from_f32(x)) : x;
}

static inline fc_row fake_row(int64_t row)
{
    return (fc_row){.token_id = (int32_t)(row * 7 % 1000),
                    .doc_id = (int32_t)(row / FAKE_DOC_ROWS * FAKE_DOC_STEP),
                    .position = (int32_t)(row % FAKE_DOC_ROWS + 1)};
}

static inline fc_store_info fake_info(fc_dtype dtype, int64_t n_wanted,
                                      int64_t rows_per_shard)
{
    return (fc_store_info){.hook = "model.layers.1.mlp.down_proj",
                           .model = "some/model",
                           .model_hash = "0123456789abcdef0123456789abcdef",
                           .d = FAKE_D,
                           .dtype = dtype,
                           .n_wanted = n_wanted,
                           .rows_per_shard = rows_per_shard,
                           .max_length = FAKE_DOC_ROWS + 1,
                           .text_hash = "fedcba9876543210fedcba9876543210"};
}

/* Announces the document that begins at this row, if one does. */
static inline fc_status fake_document(fc_store_writer *writer, int64_t row, fc_err *err)
{
    char title[64];
    if (row % FAKE_DOC_ROWS != 0) return FC_OK;
    snprintf(title, sizeof title, "Title \"%lld\"", (long long)(row / FAKE_DOC_ROWS));
    const fc_doc doc = {title, "text.txt", row + 1, FAKE_DOC_ROWS};
    return fc_store_document(writer, fake_row(row).doc_id, &doc, err);
}

/* Gives rows up to `end` to a writer that has n_done of them, `piece` rows at a time. */
static inline fc_status fake_append(fc_store_writer *writer, int64_t n_done, int64_t end,
                                    int64_t piece, fc_err *err)
{
    enum { MAX_PIECE = 64 };
    float x[MAX_PIECE * FAKE_D];
    fc_row rows[MAX_PIECE];
    for (int64_t row = 0; row < end;) {
        int64_t n = 0;
        while (n < piece && n < MAX_PIECE && row < end) {
            FC_TRY(fake_document(writer, row, err));
            for (int64_t j = 0; j < FAKE_D && row >= n_done; j++)
                x[n * FAKE_D + j] = fake_x(row, j);
            if (row >= n_done) rows[n++] = fake_row(row);
            row++;
        }
        FC_TRY(fc_store_append(writer, x, rows, n, err));
    }
    return FC_OK;
}

/* Creates or continues; stops at row `end`; finishes if is_finished. */
static inline fc_status fake_fill(const char *dir, const fc_store_info *info, int64_t end,
                                  int64_t piece, bool is_finished, fc_err *err)
{
    fc_store_writer *writer = NULL;
    int64_t n_done = 0;
    json_t *meta =
        json_pack("{s:s, s:{s:s}}", "precision", "f32", "made_by", "facet", "0");
    fc_status status;
    FC_TRY_GOTO(fc_store_create(&writer, dir, info, meta, &n_done, err));
    if (!fc_store_writer_is_complete(writer))
        FC_TRY_GOTO(fake_append(writer, n_done, end, piece, err));
    if (is_finished) FC_TRY_GOTO(fc_store_finish(writer, info->n_wanted == 0, err));
done:
    fc_store_writer_close(writer);
    json_decref(meta);
    return status;
}

static inline void fake_make(const char *dir, fc_dtype dtype, int64_t n_rows,
                             int64_t rows_per_shard)
{
    fc_err err;
    const fc_store_info info = fake_info(dtype, n_rows, rows_per_shard);
    fc_assert_ok(fake_fill(dir, &info, n_rows, 7, true, &err), &err);
}

/* --- two folders to compare --------------------------------------------------------------- */

typedef struct fake_folders { /* on the heap: paths are long */
    char a[FC_PATH_MAX], b[FC_PATH_MAX];
    char path_a[FC_PATH_MAX], path_b[FC_PATH_MAX]; /* scratch */
} fake_folders;

static inline int fake_setup(void **state)
{
    fake_folders *const folders = calloc(1, sizeof *folders);
    if (folders == NULL) return -1;
    fc_test_dir_make(folders->a);
    fc_test_dir_make(folders->b);
    *state = folders;
    return 0;
}

static inline int fake_teardown(void **state)
{
    fake_folders *const folders = *state;
    fc_test_dir_remove(folders->a);
    fc_test_dir_remove(folders->b);
    free(folders);
    return 0;
}

static inline void fake_empty(const char *dir)
{
    fc_err err;
    fc_test_dir_remove(dir);
    fc_assert_ok(fc_dir_make(dir, &err), &err);
}

/* The same names, and the same bytes under each. */
static inline void fake_assert_same(fake_folders *folders)
{
    fc_names names = {0};
    fc_err err;
    fc_assert_ok(fc_dir_list(&names, folders->a, &err), &err);
    assert_int_equal(names.n, fc_test_count_entries(folders->b));
    for (int64_t i = 0; i < names.n; i++) {
        fc_test_path(folders->path_a, folders->a, names.name[i]);
        fc_test_path(folders->path_b, folders->b, names.name[i]);
        fc_test_assert_files_equal(folders->path_a, folders->path_b);
    }
    fc_names_free(&names);
}

static inline void fake_copy(fake_folders *folders, const char *name)
{
    size_t n;
    fc_test_path(folders->path_a, folders->a, name);
    fc_test_path(folders->path_b, folders->b, name);
    char *const bytes = fc_test_read(folders->path_a, &n);
    fc_test_write(folders->path_b, bytes, n);
    free(bytes);
}

#endif
