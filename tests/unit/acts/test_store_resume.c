/* test_store_resume.c - a store that was interrupted, damaged or swept by faults goes on to the
 * bytes of one that never was; one that belongs to another run is left alone.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fake_store.h"

#include <string.h>

#include "base/alloc.h"

enum { N_ROWS = 205, SHARD_ROWS = 40 }; /* five full shards and a short one */

static void an_interruption_at_any_row_changes_no_byte(void **state)
{
    fake_folders *const folders = *state;
    const fc_store_info info = fake_info(FC_BF16, N_ROWS, SHARD_ROWS);
    fc_err err;
    fake_make(folders->a, FC_BF16, N_ROWS, SHARD_ROWS);
    for (int64_t first = 0; first <= N_ROWS; first += 31) {
        const int64_t second = fc_min(N_ROWS, first + 1 + first % 70);
        fc_assert_ok(fake_fill(folders->b, &info, first, 5, false, &err), &err);
        fc_assert_ok(fake_fill(folders->b, &info, second, 11, false, &err), &err);
        fc_assert_ok(fake_fill(folders->b, &info, N_ROWS, 3, true, &err), &err);
        fake_assert_same(folders);
        fake_empty(folders->b);
    }
}

/* What kill -9 can leave: some of the files, in the order in which they appear. */
static void any_prefix_of_the_files_goes_on_to_the_same_bytes(void **state)
{
    fake_folders *const folders = *state;
    const fc_store_info info = fake_info(FC_F32, N_ROWS, SHARD_ROWS);
    const char *const next[] = {"documents-00002.jsonl", "shard-00002.safetensors"};
    fc_err err;
    for (size_t n_next = 0; n_next <= FC_LEN(next); n_next++) {
        fake_make(folders->a, FC_F32, N_ROWS, SHARD_ROWS);
        fc_assert_ok(fake_fill(folders->b, &info, 2 * SHARD_ROWS, 5, false, &err), &err);
        for (size_t i = 0; i < n_next; i++) fake_copy(folders, next[i]);
        fc_test_path(folders->path_b, folders->b, "shard-00003.safetensors.tmp-4711");
        fc_test_write(folders->path_b, "half a shard", 12);
        fc_test_path(folders->path_b, folders->b, "meta.json.tmp-4711");
        fc_test_write(folders->path_b, "{", 1);
        fc_assert_ok(fake_fill(folders->b, &info, N_ROWS, 5, true, &err), &err);
        fake_assert_same(folders);
        fake_empty(folders->a);
        fake_empty(folders->b);
    }
}

/* The last shard is named in meta.json before the mean is there; the kill may come between. */
static void a_short_last_shard_of_an_unfinished_store_goes_on_right(void **state)
{
    fake_folders *const folders = *state;
    const int64_t wanted[] = {N_ROWS, 0};
    fc_err err;
    for (size_t i = 0; i < FC_LEN(wanted); i++) {
        const fc_store_info info = fake_info(FC_F32, wanted[i], SHARD_ROWS);
        fc_assert_ok(fake_fill(folders->a, &info, N_ROWS, 5, true, &err), &err);
        fc_assert_ok(fake_fill(folders->b, &info, N_ROWS, 5, true, &err), &err);
        fc_test_path(folders->path_b, folders->b, "mean.safetensors");
        fc_assert_ok(fc_file_remove(folders->path_b, &err), &err);
        fc_assert_ok(fake_fill(folders->b, &info, N_ROWS, 5, true, &err), &err);
        fake_assert_same(folders);
        fake_empty(folders->a);
        fake_empty(folders->b);
    }
}

static void damage(const char *path, int how)
{
    size_t n;
    fc_err err;
    char *const bytes = fc_test_read(path, &n);
    bytes[n / 2] ^= 1;
    if (how == 0) fc_test_write(path, bytes, n);
    bytes[n / 2] ^= 1;
    if (how == 1) fc_test_write(path, bytes, n / 2);
    if (how == 2) fc_test_write(path, bytes, 0);
    if (how == 3) fc_assert_ok(fc_file_remove(path, &err), &err);
    free(bytes);
}

static const char *const files[] = {"shard-00000.safetensors", "shard-00003.safetensors",
                                    "shard-00005.safetensors", "documents-00001.jsonl",
                                    "documents-00005.jsonl",   "mean.safetensors"};

static void a_damaged_file_is_told_by_the_reader(void **state)
{
    fake_folders *const folders = *state;
    const char *const words[] = {"damaged", "cut short", "cut short", "missing"};
    fc_err err;
    for (size_t i = 0; i < FC_LEN(files); i++)
        for (int how = 0; how < 4; how++) {
            fc_store *store = NULL;
            const bool is_mean = strcmp(files[i], "mean.safetensors") == 0;
            fake_make(folders->b, FC_BF16, N_ROWS, SHARD_ROWS);
            fc_test_path(folders->path_b, folders->b, files[i]);
            damage(folders->path_b, how);
            fc_assert_fails(fc_store_open(&store, folders->b, true, false, &err), &err,
                            FC_FORMAT, files[i],
                            is_mean && how < 3 ? "damaged" : words[how]);
            fake_empty(folders->b);
        }
}

static void a_damaged_file_is_collected_again(void **state)
{
    fake_folders *const folders = *state;
    const fc_store_info info = fake_info(FC_BF16, N_ROWS, SHARD_ROWS);
    fc_err err;
    fake_make(folders->a, FC_BF16, N_ROWS, SHARD_ROWS);
    fake_make(folders->b, FC_BF16, N_ROWS, SHARD_ROWS);
    for (size_t i = 0; i < FC_LEN(files); i++)
        for (int how = 0; how < 4; how++) {
            fc_test_path(folders->path_b, folders->b, files[i]);
            damage(folders->path_b, how);
            fc_assert_ok(fake_fill(folders->b, &info, N_ROWS, 5, true, &err), &err);
            fake_assert_same(folders);
        }
}

static void a_complete_store_is_left_as_it_is(void **state)
{
    fake_folders *const folders = *state;
    const fc_store_info info = fake_info(FC_BF16, N_ROWS, SHARD_ROWS);
    fc_err err;
    int64_t n_done = 0;
    fc_store_writer *writer = NULL;
    fake_make(folders->a, FC_BF16, N_ROWS, SHARD_ROWS);
    fake_make(folders->b, FC_BF16, N_ROWS, SHARD_ROWS);
    json_t *const meta = json_pack("{s:s}", "precision", "f32");
    fc_assert_ok(fc_store_create(&writer, folders->b, &info, meta, &n_done, &err), &err);
    json_decref(meta);
    assert_int_equal(n_done, N_ROWS);
    assert_true(fc_store_writer_is_complete(writer));
    fc_assert_ok(fc_store_finish(writer, false, &err), &err);
    fc_store_writer_close(writer);
    fake_assert_same(folders);
}

static void a_store_of_another_run_is_refused_with_the_difference(void **state)
{
    fake_folders *const folders = *state;
    static const struct difference {
        const char *what, *found, *wanted;
    } cases[] = {{"hook", "model.layers.1.mlp.down_proj", "model.layers.2"},
                 {"model", "0123456789abcdef", "other/model"},
                 {"width", "19", "20"},
                 {"dtype", "BF16", "F32"},
                 {"max_length", "11", "12"},
                 {"text files", "fedcba98", "text2"},
                 {"precision", "f32", "bf16"},
                 {"rows_per_shard", "40", "41"},
                 {"rows_wanted", "205", "206"}};
    fake_make(folders->a, FC_BF16, N_ROWS, SHARD_ROWS);
    fake_make(folders->b, FC_BF16, N_ROWS, SHARD_ROWS);
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_err err;
        fc_store_writer *writer = NULL;
        int64_t n_done;
        fc_store_info info = fake_info(i == 3 ? FC_F32 : FC_BF16, N_ROWS, SHARD_ROWS);
        json_t *const meta = json_pack("{s:s}", "precision", i == 6 ? "bf16" : "f32");
        if (i == 0) strcpy(info.hook, "model.layers.2");
        if (i == 1) strcpy(info.model, "other/model");
        if (i == 1) strcpy(info.model_hash, "00");
        if (i == 2) info.d++;
        if (i == 4) info.max_length++;
        if (i == 5) strcpy(info.text_hash, "text2");
        if (i == 7) info.rows_per_shard++;
        if (i == 8) info.n_wanted++;
        fc_assert_fails(fc_store_create(&writer, folders->b, &info, meta, &n_done, &err),
                        &err, FC_MISMATCH, folders->b, cases[i].what, cases[i].found,
                        cases[i].wanted);
        json_decref(meta);
    }
    fake_assert_same(folders);
}

static void files_that_look_like_a_store_but_have_no_meta_are_not_touched(void **state)
{
    fake_folders *const folders = *state;
    const fc_store_info info = fake_info(FC_BF16, N_ROWS, SHARD_ROWS);
    fc_err err;
    fc_test_path(folders->path_b, folders->b, "shard-00001.safetensors");
    fc_test_write(folders->path_b, "precious", 8);
    fc_assert_fails(fake_fill(folders->b, &info, N_ROWS, 5, true, &err), &err,
                    FC_MISMATCH, "shard-00001.safetensors", "no meta.json");
    assert_int_equal(fc_file_size(folders->path_b), 8);
    assert_int_equal(fc_test_count_entries(folders->b), 1);
}

static void files_of_others_in_the_folder_stay(void **state)
{
    fake_folders *const folders = *state;
    const char *const names[] = {"notes.txt", "shard-1.safetensors",
                                 "shard-00001.safetensors.old", "documents-00001.jsonl~",
                                 "manifest.json"};
    fc_err err;
    const fc_store_info info = fake_info(FC_BF16, N_ROWS, SHARD_ROWS);
    fc_assert_ok(fake_fill(folders->b, &info, 100, 5, false, &err), &err);
    for (size_t i = 0; i < FC_LEN(names); i++) {
        fc_test_path(folders->path_b, folders->b, names[i]);
        fc_test_write(folders->path_b, "x", 1);
    }
    fc_assert_ok(fake_fill(folders->b, &info, N_ROWS, 5, true, &err), &err);
    for (size_t i = 0; i < FC_LEN(names); i++) {
        fc_test_path(folders->path_b, folders->b, names[i]);
        assert_int_equal(fc_file_size(folders->path_b), 1);
    }
}

/* --- faults ------------------------------------------------------------------------------- */

enum { SWEEP_ROWS = 25, SWEEP_SHARD = 10 };

static fc_status read_all(const char *dir, fc_err *err)
{
    fc_store *store = NULL;
    fc_doc doc;
    FC_TRY(fc_store_open(&store, dir, true, false, err));
    const fc_status status = fc_store_doc(store, 0, &doc, err);
    fc_store_close(store);
    return status;
}

static fc_status fill_and_read(void *ctx, fc_err *err)
{
    const fake_folders *const folders = ctx;
    const fc_store_info info = fake_info(FC_BF16, SWEEP_ROWS, SWEEP_SHARD);
    FC_TRY(fake_fill(folders->b, &info, SWEEP_ROWS, 4, true, err));
    return read_all(folders->b, err);
}

/* After a fault: what is there goes on to the same bytes; then from the beginning again. */
static void goes_on(void *ctx)
{
    fake_folders *const folders = ctx;
    fc_err err;
    fc_alloc_fail_at(0);
    fc_write_fail_at(0);
    fc_assert_ok(fill_and_read(folders, &err), &err);
    fake_assert_same(folders);
    fake_empty(folders->b);
}

static void every_failed_write_is_reported_and_the_store_goes_on(void **state)
{
    fake_folders *const folders = *state;
    fake_make(folders->a, FC_BF16, SWEEP_ROWS, SWEEP_SHARD);
    assert_in_range(fc_test_sweep_write(fill_and_read, goes_on, folders), 12, 1000);
}

static void every_failed_allocation_is_reported_and_the_store_goes_on(void **state)
{
    fake_folders *const folders = *state;
    fake_make(folders->a, FC_BF16, SWEEP_ROWS, SWEEP_SHARD);
    assert_in_range(fc_test_sweep_alloc(fill_and_read, goes_on, folders), 40, 1000);
}

#define WITH_FOLDERS(test) \
    cmocka_unit_test_setup_teardown(test, fake_setup, fake_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDERS(an_interruption_at_any_row_changes_no_byte),
        WITH_FOLDERS(any_prefix_of_the_files_goes_on_to_the_same_bytes),
        WITH_FOLDERS(a_short_last_shard_of_an_unfinished_store_goes_on_right),
        WITH_FOLDERS(a_damaged_file_is_told_by_the_reader),
        WITH_FOLDERS(a_damaged_file_is_collected_again),
        WITH_FOLDERS(a_complete_store_is_left_as_it_is),
        WITH_FOLDERS(a_store_of_another_run_is_refused_with_the_difference),
        WITH_FOLDERS(files_that_look_like_a_store_but_have_no_meta_are_not_touched),
        WITH_FOLDERS(files_of_others_in_the_folder_stay),
        WITH_FOLDERS(every_failed_write_is_reported_and_the_store_goes_on),
        WITH_FOLDERS(every_failed_allocation_is_reported_and_the_store_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
