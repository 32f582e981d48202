/* test_store.c - what is written is read: rows, where they come from, documents, statistics.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fake_store.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/par.h"
#include "formats/safetensors.h"

static const struct shape {
    int64_t n_rows, rows_per_shard, n_files; /* files: shards and documents, meta, mean */
} shapes[] = {{1, 1, 4},    {1, 100, 4},  {99, 50, 6},
              {100, 50, 6}, {101, 50, 8}, {1000, 64, 34}};

static void check_rows(const fc_store *store, fc_dtype dtype, int64_t n_rows)
{
    float *const x = calloc((size_t)(n_rows * FAKE_D), sizeof *x);
    assert_non_null(x);
    fc_store_read(store, 0, n_rows, x);
    for (int64_t i = 0; i < n_rows; i++) {
        const fc_row row = fc_store_row(store, i), expected = fake_row(i);
        assert_int_equal(row.token_id, expected.token_id);
        assert_int_equal(row.doc_id, expected.doc_id);
        assert_int_equal(row.position, expected.position);
        for (int64_t j = 0; j < FAKE_D; j++) {
            const float value = fake_stored(dtype, i, j);
            assert_memory_equal(&x[i * FAKE_D + j], &value, sizeof value);
        }
    }
    free(x);
}

static void rows_come_back_as_stored(void **state)
{
    (void)state;
    const fc_dtype dtypes[] = {FC_F32, FC_BF16};
    for (size_t i = 0; i < FC_LEN(shapes) * 2; i++) {
        const struct shape *const shape = &shapes[i / 2];
        char dir[FC_PATH_MAX];
        fc_err err;
        fc_store *store = NULL;
        fc_test_dir_make(dir);
        fake_make(dir, dtypes[i % 2], shape->n_rows, shape->rows_per_shard);
        assert_int_equal(fc_test_count_entries(dir), shape->n_files);
        fc_assert_ok(fc_store_open(&store, dir, true, false, &err), &err);
        assert_int_equal(fc_store_rows(store), shape->n_rows);
        check_rows(store, dtypes[i % 2], shape->n_rows);
        fc_store_close(store);
        fc_test_dir_remove(dir);
    }
}

static void rows_can_be_picked_in_any_order_and_twice(void **state)
{
    (void)state;
    char dir[FC_PATH_MAX];
    fc_err err;
    fc_store *store = NULL;
    const uint32_t row[] = {299, 0, 150, 150, 63, 64, 65, 298};
    float x[FC_LEN(row) * FAKE_D];
    fc_test_dir_make(dir);
    fake_make(dir, FC_BF16, 300, 64);
    fc_assert_ok(fc_store_open(&store, dir, false, false, &err), &err);
    fc_store_gather(store, row, FC_LEN(row), x);
    for (size_t i = 0; i < FC_LEN(row); i++)
        for (int64_t j = 0; j < FAKE_D; j++)
            assert_true(x[(int64_t)i * FAKE_D + j] == fake_stored(FC_BF16, row[i], j));
    fc_store_gather(store, row, 0, x);
    fc_store_close(store);
    fc_test_dir_remove(dir);
}

/* Within a shard and over its ends; hints before and after change nothing. */
static void rows_are_copied_as_stored_whatever_the_hints(void **state)
{
    (void)state;
    char dir[FC_PATH_MAX];
    fc_err err;
    fc_store *store = NULL;
    const int64_t spans[][2] = {{0, 300}, {0, 1}, {63, 2}, {10, 0}, {128, 64}, {299, 1}};
    static uint16_t x[300 * FAKE_D]; /* NOLINT: scratch, large for a stack */
    fc_test_dir_make(dir);
    fake_make(dir, FC_BF16, 300, 64);
    fc_assert_ok(fc_store_open(&store, dir, false, false, &err), &err);
    for (size_t i = 0; i < FC_LEN(spans); i++) {
        const int64_t begin = spans[i][0], n = spans[i][1];
        fc_store_expect(store, begin, n);
        fc_store_copy(store, begin, n, x);
        fc_store_drop(store, begin, n);
        for (int64_t k = 0; k < n * FAKE_D; k++)
            assert_true(fc_bf16_to_f32((fc_bf16){x[k]}) ==
                        fake_stored(FC_BF16, begin + k / FAKE_D, k % FAKE_D));
    }
    check_rows(store, FC_BF16, 300);
    fc_store_close(store);
    fc_test_dir_remove(dir);
}

static void every_document_is_found_and_no_other(void **state)
{
    (void)state;
    char dir[FC_PATH_MAX];
    fc_err err;
    fc_store *store = NULL;
    fc_test_dir_make(dir);
    fake_make(dir, FC_F32, 995, 64);
    fc_assert_ok(fc_store_open(&store, dir, true, false, &err), &err);
    assert_int_equal(fc_store_docs(store), 100);
    for (int32_t i = 0; i < 100; i++) {
        char title[64];
        fc_doc doc;
        snprintf(title, sizeof title, "Title \"%d\"", i);
        fc_assert_ok(fc_store_doc(store, i * FAKE_DOC_STEP, &doc, &err), &err);
        assert_string_equal(doc.title, title);
        assert_string_equal(doc.source, "text.txt");
        assert_int_equal(doc.line, i * FAKE_DOC_ROWS + 1);
        assert_int_equal(doc.n_tokens, FAKE_DOC_ROWS);
    }
    fc_doc doc;
    fc_assert_fails(fc_store_doc(store, 1, &doc, &err), &err, FC_FORMAT, "no document 1");
    fc_assert_fails(fc_store_doc(store, -1, &doc, &err), &err, FC_FORMAT,
                    "no document -1");
    fc_assert_fails(fc_store_doc(store, 300, &doc, &err), &err, FC_FORMAT, "300");
    fc_store_close(store);
    fc_test_dir_remove(dir);
}

static void damaged_utf8_in_a_title_becomes_a_replacement_character(void **state)
{
    (void)state;
    char dir[FC_PATH_MAX];
    fc_err err;
    fc_store *store = NULL;
    fc_store_writer *writer = NULL;
    int64_t n_done;
    float x[FAKE_D] = {1};
    const fc_row row = {.doc_id = 4, .position = 1};
    const fc_doc written = {"caf\xc3\xa9 \xff|", NULL, 1, 1};
    const fc_store_info info = fake_info(FC_F32, 1, 10);
    fc_doc doc;
    fc_test_dir_make(dir);
    fc_assert_ok(fc_store_create(&writer, dir, &info, NULL, &n_done, &err), &err);
    fc_assert_ok(fc_store_document(writer, 4, &written, &err), &err);
    fc_assert_ok(fc_store_append(writer, x, &row, 1, &err), &err);
    fc_assert_ok(fc_store_finish(writer, false, &err), &err);
    fc_store_writer_close(writer);
    fc_assert_ok(fc_store_open(&store, dir, true, false, &err), &err);
    fc_assert_ok(fc_store_doc(store, 4, &doc, &err), &err);
    assert_string_equal(doc.title, "caf\xc3\xa9 \xef\xbf\xbd|");
    assert_string_equal(doc.source, "");
    fc_store_close(store);
    fc_test_dir_remove(dir);
}

/* The plain formulas, in long double, over what a reader gives. */
typedef struct expected_stats {
    double mean[FAKE_D], variance[FAKE_D];
    double norm, centred_norm;
} expected_stats;

static void expect_stats(expected_stats *s, fc_dtype dtype, int64_t n_rows)
{
    long double mean[FAKE_D] = {0}, variance[FAKE_D] = {0}, norm = 0, centred_norm = 0;
    for (int64_t i = 0; i < n_rows; i++)
        for (int64_t j = 0; j < FAKE_D; j++)
            mean[j] += (long double)fake_stored(dtype, i, j) / n_rows;
    for (int64_t i = 0; i < n_rows; i++) {
        long double square = 0, centred_square = 0;
        for (int64_t j = 0; j < FAKE_D; j++) {
            const long double x = (long double)fake_stored(dtype, i, j), c = x - mean[j];
            square += x * x;
            centred_square += c * c;
            variance[j] += c * c / n_rows;
        }
        norm += sqrtl(square) / n_rows;
        centred_norm += sqrtl(centred_square) / n_rows;
    }
    for (int64_t j = 0; j < FAKE_D; j++) {
        s->mean[j] = (double)mean[j];
        s->variance[j] = (double)variance[j];
    }
    s->norm = (double)norm;
    s->centred_norm = (double)centred_norm;
}

static void check_f64(const fc_safetensors *file, const char *name, int rank,
                      const double *expected)
{
    fc_err err;
    const int64_t shape[] = {FAKE_D};
    const fc_tensor *tensor = NULL;
    fc_assert_ok(fc_safetensors_need(file, name, FC_F64, rank, shape, &tensor, &err),
                 &err);
    for (int64_t j = 0; j < tensor->n; j++) {
        double found;
        memcpy(&found, (const char *)tensor->data + j * 8, sizeof found);
        assert_true(fabs(found - expected[j]) <= 1e-13 * fabs(expected[j]));
    }
}

static void statistics_are_those_of_the_stored_rows(void **state)
{
    (void)state;
    const fc_dtype dtypes[] = {FC_F32, FC_BF16};
    for (size_t i = 0; i < FC_LEN(dtypes); i++) {
        char dir[FC_PATH_MAX], path[FC_PATH_MAX];
        fc_err err;
        fc_store *store = NULL;
        fc_safetensors *file = NULL;
        expected_stats expected;
        expect_stats(&expected, dtypes[i], 1337);
        fc_test_dir_make(dir);
        fake_make(dir, dtypes[i], 1337, 100);
        fc_test_path(path, dir, "mean.safetensors");
        fc_assert_ok(fc_safetensors_open(&file, path, &err), &err);
        check_f64(file, "mean_f64", 1, expected.mean);
        check_f64(file, "variance_f64", 1, expected.variance);
        check_f64(file, "mean_norm", 0, &expected.norm);
        check_f64(file, "mean_centred_norm", 0, &expected.centred_norm);
        fc_safetensors_close(file);
        fc_assert_ok(fc_store_open(&store, dir, false, false, &err), &err);
        for (int64_t j = 0; j < FAKE_D; j++)
            assert_true(fabs((double)fc_store_mean(store)[j] - expected.mean[j]) <=
                        6e-8 * fabs(expected.mean[j]));
        assert_true(fabs(fc_store_mean_norm(store) - expected.norm) <
                    1e-12 * expected.norm);
        assert_true(fabs(fc_store_mean_centred_norm(store) - expected.centred_norm) <
                    1e-12 * expected.centred_norm);
        fc_store_close(store);
        fc_test_dir_remove(dir);
    }
}

static void bytes_depend_neither_on_pieces_nor_on_threads(void **state)
{
    fake_folders *const folders = *state;
    const fc_store_info info = fake_info(FC_BF16, 20000, 3000);
    fc_err err;
    fc_par_set_threads(1);
    fc_assert_ok(fake_fill(folders->a, &info, info.n_wanted, 1, true, &err), &err);
    for (int n_threads = 2; n_threads <= 5; n_threads += 3) {
        fc_par_set_threads(n_threads);
        fc_assert_ok(fake_fill(folders->b, &info, info.n_wanted, 63, true, &err), &err);
        fake_assert_same(folders);
        fake_empty(folders->b);
    }
    fc_par_set_threads(0);
}

static void statistics_do_not_depend_on_the_size_of_shards(void **state)
{
    fake_folders *const folders = *state;
    fake_make(folders->a, FC_BF16, 3000, 17);
    fake_make(folders->b, FC_BF16, 3000, 4096);
    fc_test_path(folders->path_a, folders->a, "mean.safetensors");
    fc_test_path(folders->path_b, folders->b, "mean.safetensors");
    fc_test_assert_files_equal(folders->path_a, folders->path_b);
}

static void a_row_that_is_not_finite_is_refused(void **state)
{
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < FC_LEN(bad); i++) {
        char dir[FC_PATH_MAX];
        fc_err err;
        fc_store_writer *writer = NULL;
        int64_t n_done;
        float x[2 * FAKE_D] = {0};
        const fc_row rows[2] = {{.token_id = 1, .doc_id = 5, .position = 1},
                                {.token_id = 77, .doc_id = 5, .position = 2}};
        const fc_store_info info = fake_info(FC_BF16, 2, 2);
        x[FAKE_D + 3] = bad[i];
        fc_test_dir_make(dir);
        fc_assert_ok(fc_store_create(&writer, dir, &info, NULL, &n_done, &err), &err);
        fc_assert_fails(fc_store_append(writer, x, rows, 2, &err), &err, FC_FORMAT,
                        "model.layers.1.mlp.down_proj", "1 of 19", "token 77",
                        "position 2", "document 5");
        fc_store_writer_close(writer);
        fc_test_dir_remove(dir);
    }
}

static void finishing_without_all_rows_fails_unless_allowed(void **state)
{
    (void)state;
    char dir[FC_PATH_MAX];
    fc_err err;
    fc_store *store = NULL;
    fc_store_writer *writer = NULL;
    int64_t n_done;
    const fc_store_info info = fake_info(FC_F32, 100, 30);
    fc_test_dir_make(dir);
    fc_assert_fails(fake_fill(dir, &info, 70, 7, true, &err), &err, FC_MISMATCH,
                    "70 rows", "expected 100");
    fc_assert_ok(fc_store_create(&writer, dir, &info, NULL, &n_done, &err), &err);
    assert_int_equal(n_done, 60);
    fc_assert_ok(fake_append(writer, n_done, 70, 7, &err), &err);
    fc_assert_ok(fc_store_finish(writer, true, &err), &err);
    fc_store_writer_close(writer);
    fc_assert_ok(fc_store_open(&store, dir, true, false, &err), &err);
    assert_int_equal(fc_store_rows(store), 70);
    check_rows(store, FC_F32, 70);
    fc_store_close(store);
    fc_test_dir_remove(dir);
}

static void an_empty_store_cannot_be_finished(void **state)
{
    (void)state;
    char dir[FC_PATH_MAX];
    fc_err err;
    const fc_store_info info = fake_info(FC_F32, 0, 30);
    fc_test_dir_make(dir);
    fc_assert_fails(fake_fill(dir, &info, 0, 7, true, &err), &err, FC_MISMATCH,
                    "no activations");
    fc_test_dir_remove(dir);
}

static void an_unfinished_store_opens_only_where_that_is_allowed(void **state)
{
    (void)state;
    char dir[FC_PATH_MAX];
    fc_err err;
    fc_store *store = NULL;
    const fc_store_info info = fake_info(FC_F32, 100, 30);
    fc_test_dir_make(dir);
    fc_assert_ok(fake_fill(dir, &info, 70, 7, false, &err), &err);
    fc_assert_fails(fc_store_open(&store, dir, true, false, &err), &err, FC_MISMATCH,
                    "unfinished", "60 of 100");
    fc_assert_ok(fc_store_open(&store, dir, true, true, &err), &err);
    assert_int_equal(fc_store_rows(store), 60);
    assert_null(fc_store_mean(store));
    check_rows(store, FC_F32, 60);
    fc_store_close(store);
    fc_test_dir_remove(dir);
}

static void a_store_larger_than_the_disk_is_refused_at_once(void **state)
{
    (void)state;
    char dir[FC_PATH_MAX];
    fc_err err;
    fc_store_info info = fake_info(FC_F32, UINT32_MAX, 1000);
    info.d = 1 << 20;
    fc_test_dir_make(dir);
    fc_assert_fails(fake_fill(dir, &info, 0, 7, false, &err), &err, FC_IO, "GB free",
                    "4294967295", dir);
    assert_int_equal(fc_test_count_entries(dir), 0);
    fc_test_dir_remove(dir);
}

static void meta_keeps_what_the_caller_gave(void **state)
{
    (void)state;
    char dir[FC_PATH_MAX];
    fc_err err;
    fc_store *store = NULL;
    fc_test_dir_make(dir);
    fake_make(dir, FC_BF16, 10, 10);
    fc_assert_ok(fc_store_open(&store, dir, false, false, &err), &err);
    const json_t *const meta = fc_store_meta(store);
    assert_string_equal(json_string_value(json_object_get(meta, "precision")), "f32");
    const json_t *const made_by = json_object_get(meta, "made_by");
    assert_string_equal(json_string_value(json_object_get(made_by, "facet")), "0");
    const fc_store_info *const info = fc_store_info_of(store);
    const fc_store_info expected = fake_info(FC_BF16, 10, 10);
    assert_string_equal(info->hook, expected.hook);
    assert_string_equal(info->model, expected.model);
    assert_string_equal(info->model_hash, expected.model_hash);
    assert_string_equal(info->text_hash, expected.text_hash);
    assert_int_equal(info->d, expected.d);
    assert_int_equal(info->max_length, expected.max_length);
    fc_store_close(store);
    fc_test_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back_as_stored),
        cmocka_unit_test(rows_can_be_picked_in_any_order_and_twice),
        cmocka_unit_test(rows_are_copied_as_stored_whatever_the_hints),
        cmocka_unit_test(every_document_is_found_and_no_other),
        cmocka_unit_test(damaged_utf8_in_a_title_becomes_a_replacement_character),
        cmocka_unit_test(statistics_are_those_of_the_stored_rows),
        cmocka_unit_test_setup_teardown(bytes_depend_neither_on_pieces_nor_on_threads,
                                        fake_setup, fake_teardown),
        cmocka_unit_test_setup_teardown(statistics_do_not_depend_on_the_size_of_shards,
                                        fake_setup, fake_teardown),
        cmocka_unit_test(a_row_that_is_not_finite_is_refused),
        cmocka_unit_test(finishing_without_all_rows_fails_unless_allowed),
        cmocka_unit_test(an_empty_store_cannot_be_finished),
        cmocka_unit_test(an_unfinished_store_opens_only_where_that_is_allowed),
        cmocka_unit_test(a_store_larger_than_the_disk_is_refused_at_once),
        cmocka_unit_test(meta_keeps_what_the_caller_gave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
