/* test_store_checkpoint.c - the rows of a shard that is being filled, saved early: they are not
 * given again, they change no byte of the finished store, and a file that is not what was saved
 * counts for nothing.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fake_store.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"

enum { N_ROWS = 105, SHARD_ROWS = 40 }; /* two full shards and a short one */

/* Goes on to row `end`, a checkpoint after every `step` rows. *n_done: rows that were there. */
static fc_status fill_and_save(const char *dir, const fc_store_info *info, int64_t end,
                               int64_t step, int64_t *n_done, fc_err *err)
{
    fc_store_writer *writer = NULL;
    json_t *const meta = json_pack("{s:s}", "precision", "f32");
    fc_status status;
    FC_TRY_GOTO(fc_store_create(&writer, dir, info, meta, n_done, err));
    for (int64_t n = 0, row = *n_done; row < end; row += n) {
        n = fc_min(step, end - row);
        for (int64_t i = row == *n_done ? 0 : row; i < row + n; i++)
            FC_TRY_GOTO(fake_document(writer, i, err));
        for (int64_t i = row; i < row + n; i++) {
            float x[FAKE_D];
            const fc_row from = fake_row(i);
            for (int64_t j = 0; j < FAKE_D; j++) x[j] = fake_x(i, j);
            FC_TRY_GOTO(fc_store_append(writer, x, &from, 1, err));
        }
        FC_TRY_GOTO(fc_store_checkpoint(writer, err));
    }
done:
    fc_store_writer_close(writer);
    json_decref(meta);
    return status;
}

static void save_until(const char *dir, const fc_store_info *info, int64_t end)
{
    int64_t n_done = 0;
    fc_err err;
    fc_assert_ok(fill_and_save(dir, info, end, end, &n_done, &err), &err);
}

/* Finishes folder b, after checking how many rows it has; it must equal folder a. */
static void assert_goes_on_from(fake_folders *folders, const fc_store_info *info,
                                int64_t n_rows)
{
    int64_t n_done = -1;
    fc_err err;
    fc_assert_ok(fill_and_save(folders->b, info, 0, 1, &n_done, &err), &err);
    assert_int_equal(n_done, n_rows);
    fc_assert_ok(fake_fill(folders->b, info, N_ROWS, 5, true, &err), &err);
    fake_assert_same(folders);
    fake_empty(folders->b);
}

static void saved_rows_are_kept_and_change_no_byte(void **state)
{
    fake_folders *const folders = *state;
    for (int dtype = 0; dtype < 2; dtype++) {
        const fc_dtype stored = dtype == 0 ? FC_BF16 : FC_F32;
        const fc_store_info info = fake_info(stored, N_ROWS, SHARD_ROWS);
        fake_make(folders->a, stored, N_ROWS, SHARD_ROWS);
        for (int64_t first = 1; first < N_ROWS; first += 13) {
            save_until(folders->b, &info, first);
            save_until(folders->b, &info, fc_min(N_ROWS - 1, first + first % 17));
            assert_goes_on_from(folders, &info, fc_min(N_ROWS - 1, first + first % 17));
        }
        fake_empty(folders->a);
    }
}

static void a_store_of_unknown_length_goes_on_as_well(void **state)
{
    fake_folders *const folders = *state;
    const fc_store_info info = fake_info(FC_BF16, 0, SHARD_ROWS);
    fc_err err;
    fc_assert_ok(fake_fill(folders->a, &info, N_ROWS, 7, true, &err), &err);
    save_until(folders->b, &info, 95);
    assert_goes_on_from(folders, &info, 95);
}

static void only_the_newest_save_is_in_the_folder(void **state)
{
    fake_folders *const folders = *state;
    const fc_store_info info = fake_info(FC_BF16, N_ROWS, SHARD_ROWS);
    int64_t n_done;
    fc_err err;
    fc_assert_ok(fill_and_save(folders->b, &info, 59, 3, &n_done, &err), &err);
    assert_int_equal(fc_test_count_entries(folders->b),
                     4); /* meta, shard, its documents */
    fc_test_path(folders->path_b, folders->b, "partial-00059.safetensors");
    assert_true(fc_path_exists(folders->path_b));
    fc_assert_ok(fill_and_save(folders->b, &info, 80, 21, &n_done, &err), &err);
    assert_int_equal(fc_test_count_entries(folders->b), 5); /* a second shard instead */
    assert_false(fc_path_exists(folders->path_b));
}

/* The last row is saved by finishing: a checkpoint would hide its documents from the next run. */
static void all_rows_wanted_are_not_a_partial_shard(void **state)
{
    fake_folders *const folders = *state;
    const fc_store_info info = fake_info(FC_BF16, N_ROWS, SHARD_ROWS);
    fake_make(folders->a, FC_BF16, N_ROWS, SHARD_ROWS);
    save_until(folders->b, &info, N_ROWS);
    assert_goes_on_from(folders, &info, 2 * SHARD_ROWS);
}

static void the_reader_sees_the_shards_alone(void **state)
{
    fake_folders *const folders = *state;
    const int64_t ends[] = {7, 59};
    for (size_t i = 0; i < FC_LEN(ends); i++) {
        const fc_store_info info = fake_info(FC_BF16, N_ROWS, SHARD_ROWS);
        fc_store *store = NULL;
        fc_err err;
        save_until(folders->b, &info, ends[i]);
        fc_assert_fails(fc_store_open(&store, folders->b, true, false, &err), &err,
                        FC_MISMATCH, "unfinished");
        fc_assert_ok(fc_store_open(&store, folders->b, true, true, &err), &err);
        assert_int_equal(fc_store_rows(store), ends[i] / SHARD_ROWS * SHARD_ROWS);
        fc_store_close(store);
    }
}

/* --- interruptions ------------------------------------------------------------------------ */

/* A kill between the new partial file and meta.json leaves both; one after it leaves the old one. */
static void a_kill_between_two_files_loses_one_save_at_most(void **state)
{
    fake_folders *const folders = *state;
    const fc_store_info info = fake_info(FC_BF16, N_ROWS, SHARD_ROWS);
    static const struct left {
        const char *copied[2]; /* from a store saved at row 70 into one saved at row 60 */
        int64_t n_rows;
    } cases[] = {{{"partial-00070.safetensors", NULL}, 60},
                 {{"partial-00070.safetensors", "meta.json"}, 70}};
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        save_until(folders->a, &info, 70);
        save_until(folders->b, &info, 60);
        fc_test_path(folders->path_b, folders->b, "partial-00070.safetensors.tmp-4711");
        fc_test_write(folders->path_b, "half", 4);
        for (int k = 0; k < 2 && cases[i].copied[k] != NULL; k++)
            fake_copy(folders, cases[i].copied[k]);
        fake_empty(folders->a);
        fake_make(folders->a, FC_BF16, N_ROWS, SHARD_ROWS);
        assert_goes_on_from(folders, &info, cases[i].n_rows);
        fake_empty(folders->a);
    }
}

/* Fills the store in a process that the system kills when a file grows beyond n_bytes. Returns
 * whether it was killed. */
static bool fill_until_killed(const char *dir, const fc_store_info *info, rlim_t n_bytes)
{
    const pid_t child = fork();
    int how = 0;
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit core = {0, 0}, limit = {n_bytes, n_bytes};
        int64_t n_done;
        const bool is_limited = signal(SIGXFSZ, SIG_DFL) != SIG_ERR &&
                                setrlimit(RLIMIT_CORE, &core) == 0 &&
                                setrlimit(RLIMIT_FSIZE, &limit) == 0;
        if (!is_limited) _exit(2);
        _exit(fill_and_save(dir, info, N_ROWS, 3, &n_done, NULL) == FC_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how) || WEXITSTATUS(how) == 0);
    return WIFSIGNALED(how);
}

static void a_kill_in_the_middle_of_any_file_loses_one_save_at_most(void **state)
{
    fake_folders *const folders = *state;
    const fc_store_info info = fake_info(FC_BF16, N_ROWS, SHARD_ROWS);
    int64_t n_done = 0, n_most = 0;
    int n_kills = 0;
    fc_err err;
    fake_make(folders->a, FC_BF16, N_ROWS, SHARD_ROWS);
    for (rlim_t n_bytes = 300; n_bytes < 3000; n_bytes += 90) {
        if (!fill_until_killed(folders->b, &info, n_bytes)) break;
        n_kills++;
        fc_assert_ok(fill_and_save(folders->b, &info, 0, 1, &n_done, &err), &err);
        assert_true(n_done >= n_most); /* a later limit kills later, saved rows stay */
        n_most = n_done;
    }
    assert_in_range(n_kills, 10, 29);     /* the last was not killed */
    assert_true(n_most > SHARD_ROWS - 9); /* no file is larger than a full shard */
    fc_assert_ok(fake_fill(folders->b, &info, N_ROWS, 5, true, &err), &err);
    fake_assert_same(folders);
}

/* --- files that are not what was saved ---------------------------------------------------- */

static void damage(const char *path, int how)
{
    size_t n;
    fc_err err;
    char *const bytes = fc_test_read(path, &n);
    bytes[n - 9] ^= 1;
    if (how == 0) fc_test_write(path, bytes, n);
    if (how == 1) fc_test_write(path, bytes, n - 1);
    if (how == 2) fc_test_write(path, bytes, 0);
    if (how == 3) fc_assert_ok(fc_file_remove(path, &err), &err);
    free(bytes);
}

static void a_damaged_save_is_dropped(void **state)
{
    fake_folders *const folders = *state;
    const fc_store_info info = fake_info(FC_F32, N_ROWS, SHARD_ROWS);
    fake_make(folders->a, FC_F32, N_ROWS, SHARD_ROWS);
    for (int how = 0; how < 4; how++) {
        save_until(folders->b, &info, 60);
        fc_test_path(folders->path_b, folders->b, "partial-00060.safetensors");
        damage(folders->path_b, how);
        assert_goes_on_from(folders, &info, SHARD_ROWS);
    }
}

static void a_save_goes_with_a_damaged_shard_before_it(void **state)
{
    fake_folders *const folders = *state;
    const fc_store_info info = fake_info(FC_F32, N_ROWS, SHARD_ROWS);
    fake_make(folders->a, FC_F32, N_ROWS, SHARD_ROWS);
    save_until(folders->b, &info, 60);
    fc_test_path(folders->path_b, folders->b, "shard-00000.safetensors");
    damage(folders->path_b, 0);
    assert_goes_on_from(folders, &info, 0);
}

/* Files of the same names and sizes, from a store of another model. */
static void a_save_of_another_store_is_not_taken(void **state)
{
    fake_folders *const folders = *state;
    const fc_store_info info = fake_info(FC_BF16, N_ROWS, SHARD_ROWS);
    const float x[2 * FAKE_D] = {1, 2, 3};
    const fc_row rows[2] = {fake_row(40), fake_row(41)};
    fc_store_info other = info;
    fc_store_writer *writer = NULL;
    int64_t n_done;
    fc_err err;
    strcpy(other.model_hash, "00");
    save_until(folders->a, &other, SHARD_ROWS);
    fc_assert_ok(fc_store_create(&writer, folders->a, &other, NULL, &n_done, &err), &err);
    fc_assert_ok(fc_store_append(writer, x, rows, 2, &err), &err);
    fc_assert_ok(fc_store_checkpoint(writer, &err), &err);
    fc_store_writer_close(writer);
    save_until(folders->b, &info, 42);
    fake_copy(folders, "partial-00042.safetensors");
    fake_empty(folders->a);
    fake_make(folders->a, FC_BF16, N_ROWS, SHARD_ROWS);
    assert_goes_on_from(folders, &info, SHARD_ROWS);
}

static void a_run_with_other_settings_leaves_the_save_alone(void **state)
{
    fake_folders *const folders = *state;
    const fc_store_info info = fake_info(FC_BF16, N_ROWS, SHARD_ROWS);
    fc_store_info other = info;
    fc_err err;
    other.max_length++;
    fake_make(folders->a, FC_BF16, N_ROWS, SHARD_ROWS);
    save_until(folders->b, &info, 60);
    fc_assert_fails(fake_fill(folders->b, &other, N_ROWS, 5, true, &err), &err,
                    FC_MISMATCH, "max_length");
    assert_goes_on_from(folders, &info, 60);
}

static void a_save_without_meta_json_is_not_touched(void **state)
{
    fake_folders *const folders = *state;
    const fc_store_info info = fake_info(FC_BF16, N_ROWS, SHARD_ROWS);
    fc_err err;
    fc_test_path(folders->path_b, folders->b, "partial-00060.safetensors");
    fc_test_write(folders->path_b, "precious", 8);
    fc_assert_fails(fake_fill(folders->b, &info, N_ROWS, 5, true, &err), &err,
                    FC_MISMATCH, "partial-00060.safetensors", "no meta.json");
    assert_int_equal(fc_file_size(folders->path_b), 8);
}

/* What meta.json may say of a partial file, in a store of 105 rows with one full shard of 40. */
static void every_lie_about_the_save_is_told(void **state)
{
    fake_folders *const folders = *state;
    static const struct lie {
        const char *key, *value, *word;
    } cases[] = {{"rows", "0", "rows is 0, expected 1 to 39"},
                 {"rows", "40", "rows is 40, expected 1 to 39"},
                 {"rows", "19", "expected 'partial-00059.safetensors'"},
                 {"rows", "\"20\"", "rows"},
                 {"file", "\"../partial-00060.safetensors\"", "file is"},
                 {"bytes", "0", "bytes is 0"},
                 {"xxh3", "7", "xxh3"},
                 {"xxh3", "\"0123456789012345678901234567890123456789\"", "xxh3 has 40"}};
    const fc_store_info info = fake_info(FC_BF16, N_ROWS, SHARD_ROWS);
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        json_t *root = NULL;
        fc_store *store = NULL;
        fc_err err;
        save_until(folders->b, &info, 60);
        fc_test_path(folders->path_b, folders->b, "meta.json");
        fc_assert_ok(fc_json_load(&root, folders->path_b, &err), &err);
        json_t *const value = json_loads(cases[i].value, JSON_DECODE_ANY, NULL);
        json_t *const partial = json_object_get(root, "partial");
        assert_int_equal(json_object_set_new(partial, cases[i].key, value), 0);
        fc_assert_ok(fc_json_save(root, folders->path_b, &err), &err);
        json_decref(root);
        fc_assert_fails(fc_store_open(&store, folders->b, false, true, &err), &err,
                        FC_FORMAT, "meta.json", cases[i].word);
        fake_empty(folders->b);
    }
}

static void a_complete_store_with_a_save_is_refused(void **state)
{
    fake_folders *const folders = *state;
    const fc_store_info info = fake_info(FC_BF16, N_ROWS, SHARD_ROWS);
    json_t *root = NULL;
    fc_store *store = NULL;
    fc_err err;
    fc_assert_ok(fake_fill(folders->b, &info, N_ROWS, 5, true, &err), &err);
    fc_test_path(folders->path_b, folders->b, "meta.json");
    fc_assert_ok(fc_json_load(&root, folders->path_b, &err), &err);
    assert_int_equal(json_object_set_new(root, "partial", json_object()), 0);
    fc_assert_ok(fc_json_save(root, folders->path_b, &err), &err);
    json_decref(root);
    fc_assert_fails(fc_store_open(&store, folders->b, false, true, &err), &err, FC_FORMAT,
                    "the last shard is there");
}

/* --- faults ------------------------------------------------------------------------------- */

enum { SWEEP_ROWS = 14, SWEEP_SHARD = 8 };

/* Saves within both shards, goes on from the second save, finishes. */
static fc_status save_and_finish(void *ctx, fc_err *err)
{
    const fake_folders *const folders = ctx;
    const fc_store_info info = fake_info(FC_BF16, SWEEP_ROWS, SWEEP_SHARD);
    int64_t n_done;
    FC_TRY(fill_and_save(folders->b, &info, 12, 4, &n_done, err));
    return fake_fill(folders->b, &info, SWEEP_ROWS, 4, true, err);
}

static void goes_on(void *ctx)
{
    fake_folders *const folders = ctx;
    fc_err err;
    fc_assert_ok(save_and_finish(folders, &err), &err);
    fake_assert_same(folders);
    fake_empty(folders->b);
}

static void every_failed_write_is_reported_and_the_store_goes_on(void **state)
{
    fake_folders *const folders = *state;
    fake_make(folders->a, FC_BF16, SWEEP_ROWS, SWEEP_SHARD);
    assert_in_range(fc_test_sweep_write(save_and_finish, goes_on, folders), 15, 1000);
}

static void every_failed_allocation_is_reported_and_the_store_goes_on(void **state)
{
    fake_folders *const folders = *state;
    fake_make(folders->a, FC_BF16, SWEEP_ROWS, SWEEP_SHARD);
    assert_in_range(fc_test_sweep_alloc(save_and_finish, goes_on, folders), 60, 1000);
}

#define WITH_FOLDERS(test) \
    cmocka_unit_test_setup_teardown(test, fake_setup, fake_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDERS(saved_rows_are_kept_and_change_no_byte),
        WITH_FOLDERS(a_store_of_unknown_length_goes_on_as_well),
        WITH_FOLDERS(only_the_newest_save_is_in_the_folder),
        WITH_FOLDERS(all_rows_wanted_are_not_a_partial_shard),
        WITH_FOLDERS(the_reader_sees_the_shards_alone),
        WITH_FOLDERS(a_kill_between_two_files_loses_one_save_at_most),
        WITH_FOLDERS(a_kill_in_the_middle_of_any_file_loses_one_save_at_most),
        WITH_FOLDERS(a_damaged_save_is_dropped),
        WITH_FOLDERS(a_save_goes_with_a_damaged_shard_before_it),
        WITH_FOLDERS(a_save_of_another_store_is_not_taken),
        WITH_FOLDERS(a_run_with_other_settings_leaves_the_save_alone),
        WITH_FOLDERS(a_save_without_meta_json_is_not_touched),
        WITH_FOLDERS(every_lie_about_the_save_is_told),
        WITH_FOLDERS(a_complete_store_with_a_save_is_refused),
        WITH_FOLDERS(every_failed_write_is_reported_and_the_store_goes_on),
        WITH_FOLDERS(every_failed_allocation_is_reported_and_the_store_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
