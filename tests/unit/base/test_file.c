/* test_file.c - maps, and outputs that are whole or not there.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[FC_PATH_MAX];

static int make_dir(void **state)
{
    (void)state;
    fc_test_dir_make(dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    fc_test_dir_remove(dir);
    return 0;
}

static void assert_content(const char *path, const char *expected)
{
    size_t n;
    char *got = fc_test_read(path, &n);
    assert_int_equal(n, strlen(expected));
    assert_string_equal(got, expected);
    free(got);
}

static void a_map_shows_the_bytes(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    fc_map map = {0};
    fc_err err;
    fc_test_path(path, dir, "bytes");
    fc_test_write(path, "a\0b", 3);
    fc_assert_ok(fc_map_open(&map, path, &err), &err);
    assert_int_equal(map.n_bytes, 3);
    assert_memory_equal(map.data, "a\0b", 3);
    fc_map_close(&map);
    assert_null(map.data);
    fc_map_close(&map);
}

static void an_empty_file_maps_to_nothing(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    fc_map map = {.n_bytes = 7};
    fc_err err;
    fc_test_path(path, dir, "empty");
    fc_test_write(path, "", 0);
    fc_assert_ok(fc_map_open(&map, path, &err), &err);
    assert_null(map.data);
    assert_int_equal(map.n_bytes, 0);
    fc_map_close(&map);
}

static void what_cannot_be_mapped_is_named(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    fc_map map;
    fc_err err;
    fc_test_path(path, dir, "missing");
    fc_assert_fails(fc_map_open(&map, path, &err), &err, FC_IO, path, "No such file");
    fc_assert_fails(fc_map_open(&map, dir, &err), &err, FC_IO, dir, "a folder",
                    "expected a file");
    fc_assert_fails(fc_map_open(&map, "/dev/null", &err), &err, FC_IO, "'/dev/null'",
                    "a device");
}

static void a_commit_replaces_the_file_and_leaves_no_other(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    fc_out *out = NULL;
    fc_err err;
    fc_test_path(path, dir, "out");
    fc_test_write(path, "old", 3);
    fc_sync_skip(false);
    fc_assert_ok(fc_out_open(&out, path, &err), &err);
    fc_assert_ok(fc_out_write(out, "new ", 4, &err), &err);
    fc_assert_ok(fc_out_write(out, NULL, 0, &err), &err);
    fc_assert_ok(fc_out_write(out, "text", 4, &err), &err);
    assert_content(path, "old");
    fc_assert_ok(fc_out_commit(out, &err), &err);
    assert_content(path, "new text");
    fc_out_close(out);
    assert_content(path, "new text");
    assert_int_equal(fc_test_count_entries(dir), 1);
}

static void without_commit_nothing_happened(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    fc_out *out = NULL;
    fc_err err;
    fc_test_path(path, dir, "out");
    fc_assert_ok(fc_out_open(&out, path, &err), &err);
    fc_assert_ok(fc_out_write(out, "new", 3, &err), &err);
    assert_int_equal(fc_test_count_entries(dir), 1);
    fc_out_close(out);
    assert_int_equal(fc_test_count_entries(dir), 0);
    fc_out_close(NULL);
}

/* Pieces below, at and above the size of the buffer, in a row that crosses its end. */
static void pieces_of_any_size_arrive_in_order(void **state)
{
    (void)state;
    static const size_t sizes[] = {1,      262143, 1,      262144, 3, 600000,
                                   262143, 2,      262145, 0,      77};
    char path[FC_PATH_MAX];
    fc_out *out = NULL;
    fc_err err;
    size_t total = 0, n;
    for (size_t i = 0; i < FC_LEN(sizes); i++) total += sizes[i];
    unsigned char *data = malloc(total);
    assert_non_null(data);
    for (size_t i = 0; i < total; i++) data[i] = (unsigned char)(i * 2654435761u >> 13);
    fc_test_path(path, dir, "large");
    fc_assert_ok(fc_out_open(&out, path, &err), &err);
    for (size_t i = 0, at = 0; i < FC_LEN(sizes); at += sizes[i++])
        fc_assert_ok(fc_out_write(out, data + at, sizes[i], &err), &err);
    fc_assert_ok(fc_out_commit(out, &err), &err);
    fc_out_close(out);
    char *got = fc_test_read(path, &n);
    assert_int_equal(n, total);
    assert_memory_equal(got, data, total);
    free(got);
    free(data);
}

static void a_path_that_cannot_be_written_is_named(void **state)
{
    (void)state;
    char path[FC_PATH_MAX], longest[2 * FC_PATH_MAX], limit[64];
    fc_out *out = (fc_out *)&path;
    fc_err err;
    snprintf(limit, sizeof limit, "longer than %d bytes", FC_PATH_MAX - 1);
    fc_test_path(path, dir, "no-folder/out");
    fc_assert_fails(fc_out_open(&out, path, &err), &err, FC_IO, path, "No such file");
    assert_null(out);
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    fc_assert_fails(fc_out_open(&out, longest, &err), &err, FC_IO, limit);
    longest[FC_PATH_MAX - 2] = '\0'; /* fits, but its temporary does not */
    fc_assert_fails(fc_out_open(&out, longest, &err), &err, FC_IO, limit);
}

static void what_was_begun_is_taken_up_again(void **state)
{
    (void)state;
    char path[FC_PATH_MAX], partial[FC_PATH_MAX];
    fc_out *out = NULL;
    fc_err err;
    int64_t n_there = -1;
    size_t n;
    fc_test_path(path, dir, "out");
    fc_test_path(partial, dir, "out.incomplete");
    fc_assert_ok(fc_out_resume(&out, path, partial, &n_there, &err), &err);
    assert_int_equal(n_there, 0);
    fc_assert_ok(fc_out_write(out, "lost", 4, &err), &err);
    fc_assert_ok(fc_out_restart(out, &err), &err);
    fc_assert_ok(fc_out_write(out, "abc", 3, &err), &err);
    fc_out_close(out); /* keeps what there is */
    assert_false(fc_path_exists(path));
    assert_int_equal(fc_file_size(partial), 3);

    fc_assert_ok(fc_out_resume(&out, path, partial, &n_there, &err), &err);
    assert_int_equal(n_there, 3);
    fc_assert_ok(fc_out_write(out, "de", 2, &err), &err);
    fc_assert_ok(fc_out_flush(out, &err), &err);
    assert_int_equal(fc_file_size(partial), 5);
    fc_assert_ok(fc_out_commit(out, &err), &err);
    fc_out_close(out);
    assert_false(fc_path_exists(partial));
    char *got = fc_test_read(path, &n);
    assert_string_equal(got, "abcde");
    free(got);
    fc_test_path(partial, dir, "no-folder/x");
    fc_assert_fails(fc_out_resume(&out, path, partial, &n_there, &err), &err, FC_IO,
                    path);
    assert_null(out);
}

/* The target is a folder, so the rename at the very end fails. */
static void a_failed_rename_removes_the_temporary(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    fc_out *out = NULL;
    fc_err err;
    fc_test_path(path, dir, "folder");
    fc_assert_ok(fc_dir_make(path, &err), &err);
    fc_assert_ok(fc_out_open(&out, path, &err), &err);
    fc_assert_fails(fc_out_commit(out, &err), &err, FC_IO, path);
    fc_out_close(out);
    assert_int_equal(fc_test_count_entries(dir), 1);
}

static void a_full_disk_is_an_error(void **state)
{
    (void)state;
    fc_err err;
    char path[FC_PATH_MAX];
    fc_test_path(path, dir, "out");
    fc_write_fail_at(1);
    fc_assert_fails(fc_file_write(path, "x", 1, &err), &err, FC_IO, path,
                    "No space left");
    fc_assert_ok(fc_file_write(path, "x", 1, &err), &err);
}

static fc_status write_three(void *ctx, fc_err *err)
{
    fc_out *out = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_out_open(&out, ctx, err));
    for (int i = 0; i < 3; i++) FC_TRY_GOTO(fc_out_write(out, "abc", 3, err));
    FC_TRY_GOTO(fc_out_commit(out, err));
done:
    fc_out_close(out);
    return status;
}

static void check_old_file(void *ctx)
{
    assert_content(ctx, "old");
    assert_int_equal(fc_test_count_entries(dir), 1);
}

static void after_any_fault_the_old_file_is_whole(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    fc_test_path(path, dir, "out");
    fc_test_write(path, "old", 3);
    assert_int_equal(fc_test_sweep_write(write_three, check_old_file, path), 4);
    assert_content(path, "abcabcabc");
    fc_test_write(path, "old", 3);
    assert_int_equal(fc_test_sweep_alloc(write_three, check_old_file, path), 2);
    assert_content(path, "abcabcabc");
}

static void removing_what_is_not_there_is_fine(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    fc_err err;
    fc_test_path(path, dir, "x");
    fc_assert_ok(fc_file_remove(path, &err), &err);
    fc_test_write(path, "x", 1);
    fc_assert_ok(fc_file_remove(path, &err), &err);
    assert_false(fc_path_exists(path));
    fc_assert_fails(fc_file_remove(dir, &err), &err, FC_IO, dir);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(a_map_shows_the_bytes),
        IN_DIR(an_empty_file_maps_to_nothing),
        IN_DIR(what_cannot_be_mapped_is_named),
        IN_DIR(a_commit_replaces_the_file_and_leaves_no_other),
        IN_DIR(without_commit_nothing_happened),
        IN_DIR(pieces_of_any_size_arrive_in_order),
        IN_DIR(a_path_that_cannot_be_written_is_named),
        IN_DIR(what_was_begun_is_taken_up_again),
        IN_DIR(a_failed_rename_removes_the_temporary),
        IN_DIR(a_full_disk_is_an_error),
        IN_DIR(after_any_fault_the_old_file_is_whole),
        IN_DIR(removing_what_is_not_there_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
