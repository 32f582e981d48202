/* test_dir_out.c - folders that appear complete or not at all, and bytes set aside without a name.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <string.h>

#include "base/alloc.h"
#include "base/dir_out.h"
#include "base/spool.h"

static char dir[FC_PATH_MAX], path[FC_PATH_MAX];

static int make_dir(void **state)
{
    (void)state;
    fc_test_dir_make(dir);
    fc_test_path(path, dir, "out");
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    fc_test_dir_remove(dir);
    return 0;
}

static void a_folder_appears_at_commit_and_not_before(void **state)
{
    (void)state;
    fc_err err = {0};
    fc_dir_out out;
    char file[FC_PATH_MAX];
    fc_test_path(path, dir, "out/"); /* a slash at the end is no other folder */
    fc_assert_ok(fc_dir_out_begin(&out, path, &err), &err);
    fc_test_path(path, dir, "out");
    fc_test_path(file, out.dir, "x");
    fc_assert_ok(fc_file_write(file, "x", 1, &err), &err);
    assert_false(fc_path_exists(path));
    fc_assert_ok(fc_dir_out_commit(&out, &err), &err);
    fc_dir_out_discard(&out); /* nothing is left to discard */
    assert_int_equal(fc_test_count_entries(path), 1);
    assert_int_equal(fc_test_count_entries(dir), 1);
}

static void what_is_discarded_leaves_nothing(void **state)
{
    (void)state;
    fc_err err = {0};
    fc_dir_out out;
    char file[FC_PATH_MAX];
    fc_test_path(path, dir, "other");
    fc_assert_ok(fc_dir_out_begin(&out, path, &err), &err);
    fc_test_path(file, out.dir, "x");
    fc_assert_ok(fc_file_write(file, "x", 1, &err), &err);
    fc_dir_out_discard(&out);
    fc_dir_out_discard(&out);
    assert_int_equal(fc_test_count_entries(dir), 1); /* "out", of the test before */
}

static void what_is_there_is_not_touched(void **state)
{
    (void)state;
    fc_err err = {0};
    fc_dir_out out;
    fc_test_path(path, dir, "out");
    fc_assert_fails(fc_dir_out_begin(&out, path, &err), &err, FC_USAGE, path,
                    "is there already");
    fc_dir_out_discard(&out);
    assert_int_equal(fc_test_count_entries(path), 1);
}

/* --- spools --------------------------------------------------------------------------------- */

static fc_status spool_some(void *ctx, fc_err *err)
{
    const int64_t n = *(const int64_t *)ctx;
    fc_spool *spool = NULL;
    fc_map map;
    fc_status status;
    FC_TRY_GOTO(fc_spool_open(&spool, path, err));
    for (int64_t i = 0; i < n; i++) FC_TRY_GOTO(fc_spool_write(spool, &i, sizeof i, err));
    FC_TRY_GOTO(fc_spool_map(spool, &map, err));
    assert_int_equal(map.n_bytes, (size_t)n * sizeof n);
    for (int64_t i = 0; i < n; i++) {
        int64_t back;
        memcpy(&back, map.data + (size_t)i * sizeof i, sizeof back);
        assert_int_equal(back, i);
    }
done:
    fc_spool_close(spool);
    return status;
}

static void a_spool_gives_back_what_was_written_and_has_no_name(void **state)
{
    (void)state;
    int64_t counts[] = {0, 1, 32768, 100001}; /* 32768 fill the buffer exactly */
    const int64_t n_entries = fc_test_count_entries(dir);
    for (size_t i = 0; i < FC_LEN(counts); i++) {
        fc_err err = {0};
        fc_assert_ok(spool_some(&counts[i], &err), &err);
        assert_int_equal(fc_test_count_entries(dir), n_entries);
    }
    assert_true(fc_test_sweep_alloc(spool_some, NULL, &counts[1]) == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_appears_at_commit_and_not_before),
        cmocka_unit_test(what_is_discarded_leaves_nothing),
        cmocka_unit_test(what_is_there_is_not_touched),
        cmocka_unit_test(a_spool_gives_back_what_was_written_and_has_no_name),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
