/* test_path.c - names of files and what lies in folders.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <string.h>
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

static void paths_join_with_one_slash(void **state)
{
    (void)state;
    static const struct {
        const char *dir, *name, *expected;
    } cases[] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"},
                 {NULL, "b", "b"},  {"/", "b", "/b"},   {"a/b", "c/d", "a/b/c/d"}};
    char path[FC_PATH_MAX];
    fc_err err;
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_assert_ok(fc_path_join(path, cases[i].dir, cases[i].name, &err), &err);
        assert_string_equal(path, cases[i].expected);
    }
}

static void a_joined_path_that_is_too_long_is_refused(void **state)
{
    (void)state;
    char path[FC_PATH_MAX], name[FC_PATH_MAX];
    fc_err err;
    memset(name, 'n', sizeof name);
    name[FC_PATH_MAX - 3] = '\0';
    fc_assert_ok(fc_path_join(path, "d", name, &err), &err);
    assert_int_equal(strlen(path), FC_PATH_MAX - 1);
    fc_assert_fails(fc_path_join(path, "dd", name, &err), &err, FC_IO, "'dd/nnn",
                    "longer than");
}

static void the_base_is_what_follows_the_last_slash(void **state)
{
    (void)state;
    assert_string_equal(fc_path_base("a/b/c.txt"), "c.txt");
    assert_string_equal(fc_path_base("c.txt"), "c.txt");
    assert_string_equal(fc_path_base("a/"), "");
}

static void folders_are_made_with_their_parents(void **state)
{
    (void)state;
    char path[FC_PATH_MAX], file[FC_PATH_MAX], below[FC_PATH_MAX];
    fc_err err;
    fc_test_path(path, dir, "a//b/c/");
    fc_assert_ok(fc_dir_make(path, &err), &err);
    assert_true(fc_path_is_dir(path));
    fc_assert_ok(fc_dir_make(path, &err), &err);
    fc_test_path(file, dir, "a/file");
    fc_test_write(file, "x", 1);
    fc_assert_fails(fc_dir_make(file, &err), &err, FC_IO, file);
    fc_test_path(below, dir, "a/file/b");
    fc_assert_fails(fc_dir_make(below, &err), &err, FC_IO, below);
}

static void questions_about_paths_are_answered(void **state)
{
    (void)state;
    char file[FC_PATH_MAX], missing[FC_PATH_MAX];
    int64_t n_bytes = -1;
    fc_err err;
    fc_test_path(file, dir, "file");
    fc_test_path(missing, dir, "missing");
    fc_test_write(file, "12345", 5);
    assert_true(fc_path_exists(file) && fc_path_exists(dir) && !fc_path_exists(missing));
    assert_true(fc_path_is_dir(dir) && !fc_path_is_dir(file) && !fc_path_is_dir(missing));
    assert_int_equal(fc_file_size(file), 5);
    assert_int_equal(fc_file_size(missing), -1);
    assert_int_equal(fc_file_size(dir), -1);
    fc_assert_ok(fc_dir_free_bytes(dir, &n_bytes, &err), &err);
    assert_true(n_bytes >= 0);
    fc_assert_fails(fc_dir_free_bytes(missing, &n_bytes, &err), &err, FC_IO, missing);
}

static void entries_come_sorted_by_bytes(void **state)
{
    (void)state;
    static const char *const made[] = {"b", "a10", "a2", "Z", "é", ".hidden"};
    static const char *const sorted[] = {".hidden", "Z", "a10", "a2", "b", "é"};
    char path[FC_PATH_MAX];
    fc_names names = {0};
    fc_err err;
    fc_assert_ok(fc_dir_list(&names, dir, &err), &err);
    assert_int_equal(names.n, 0);
    fc_names_free(&names);
    for (size_t i = 0; i < FC_LEN(made); i++) {
        fc_test_path(path, dir, made[i]);
        fc_test_write(path, "", 0);
    }
    fc_assert_ok(fc_dir_list(&names, dir, &err), &err);
    assert_int_equal(names.n, FC_LEN(sorted));
    for (size_t i = 0; i < FC_LEN(sorted); i++)
        assert_string_equal(names.name[i], sorted[i]);
    fc_names_free(&names);
    fc_test_path(path, dir, "missing");
    fc_assert_fails(fc_dir_list(&names, path, &err), &err, FC_IO, path);
    fc_names_free(&names);
}

static fc_status list(void *ctx, fc_err *err)
{
    fc_names names = {0};
    const fc_status status = fc_dir_list(&names, ctx, err);
    fc_names_free(&names);
    return status;
}

static void a_failed_allocation_is_reported(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    for (int i = 0; i < 20; i++) {
        const char name[] = {(char)('a' + i), '\0'};
        fc_test_path(path, dir, name);
        fc_test_write(path, "", 0);
    }
    assert_int_equal(fc_test_sweep_alloc(list, NULL, dir), 22);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_join_with_one_slash),
        cmocka_unit_test(a_joined_path_that_is_too_long_is_refused),
        cmocka_unit_test(the_base_is_what_follows_the_last_slash),
        IN_DIR(folders_are_made_with_their_parents),
        IN_DIR(questions_about_paths_are_answered),
        IN_DIR(entries_come_sorted_by_bytes),
        IN_DIR(a_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
