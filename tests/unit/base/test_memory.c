/* test_memory.c - limits as control groups state them, and hints that leave what is read alone.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static char dir[FC_PATH_MAX]; /* NOLINT: of one test at a time */

static void put(const char *name, const char *text)
{
    char path[FC_PATH_MAX], folder[FC_PATH_MAX];
    fc_err err;
    fc_test_path(path, dir, name);
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    fc_assert_ok(fc_dir_make(folder, &err), &err);
    fc_test_write(path, text, strlen(text));
}

static int64_t limit(const char *membership)
{
    char path[FC_PATH_MAX];
    put("cgroup", membership);
    fc_test_path(path, dir, "cgroup");
    return fc_cgroup_memory_limit(path, dir);
}

static int set_up(void **state)
{
    (void)state;
    fc_test_dir_make(dir);
    put("a/b/memory.max", "2000\n");
    put("a/memory.max", "5000\n");
    put("a/high/memory.max", "9000\n");
    put("a/free/memory.max", "max\n");
    put("odd/memory.max", "none\n");
    put("empty/memory.max", "");
    put("memory/docker/x/memory.limit_in_bytes", "3000\n");
    put("memory/docker/memory.limit_in_bytes", "9223372036854771712\n");
    put("memory/huge/memory.limit_in_bytes", "99999999999999999999\n");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fc_test_dir_remove(dir);
    return 0;
}

static void the_lowest_limit_of_a_group_and_those_around_it_counts(void **state)
{
    static const struct line {
        const char *membership;
        int64_t limit;
    } lines[] = {
        {"0::/a/b\n", 2000},
        {"0::/a\n", 5000},
        {"0::/a/high\n", 5000},
        {"0::/a/free\n", 5000},
        {"0::/a/b/not/there\n", 2000},
        {"0::/\n", INT64_MAX},
        {"0::/odd\n", INT64_MAX},
        {"0::/empty\n", INT64_MAX},
        {"0::", INT64_MAX},
        {"", INT64_MAX},
        {"nonsense\n:\n", INT64_MAX},
        {"4:memory:/docker/x\n", 3000},
        {"4:cpu,memory:/docker/x\n", 3000},
        {"4:memory,cpu:/docker/x\n", 3000},
        {"4:memory:/docker\n", 9223372036854771712},
        {"4:cpu:/docker/x\n", INT64_MAX},
        {"4:memory_not:/docker/x\n", INT64_MAX},
        {"4:memory:/huge\n", INT64_MAX},
        {"3:cpu:/\n4:memory:/docker/x\n0::/a/b\n", 2000},
    };
    (void)state;
    for (size_t i = 0; i < FC_LEN(lines); i++)
        assert_int_equal(limit(lines[i].membership), lines[i].limit);
    assert_int_equal(fc_cgroup_memory_limit("/not/there", dir), INT64_MAX);
}

static void a_group_at_the_mount_is_found_from_a_path_of_the_host(void **state)
{
    (void)state;
    put("memory.max", "7000\n");
    assert_int_equal(limit("0::/kubepods/pod7\n"), 7000);
}

static void there_is_some_memory(void **state)
{
    (void)state;
    assert_true(fc_memory_bytes() > 1 << 20);
}

static void dropped_pages_read_as_before(void **state)
{
    enum { N = 100000 };
    char path[FC_PATH_MAX];
    unsigned char *const bytes = malloc(N);
    fc_map map;
    fc_err err;
    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < N; i++) bytes[i] = (unsigned char)(i * 7 % 251);
    fc_test_path(path, dir, "pages");
    fc_test_write(path, bytes, N);
    fc_assert_ok(fc_map_open(&map, path, &err), &err);
    for (size_t begin = 0; begin < N; begin += 9999) {
        const size_t sizes[] = {0, 1, 4095, 4096, 20000, N - begin};
        for (size_t i = 0; i < FC_LEN(sizes); i++) {
            const size_t n = sizes[i] < N - begin ? sizes[i] : N - begin;
            fc_pages_expect(map.data + begin, n);
            assert_memory_equal(map.data, bytes, N);
            fc_pages_drop(map.data + begin, n);
            assert_memory_equal(map.data, bytes, N);
        }
    }
    fc_map_close(&map);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            the_lowest_limit_of_a_group_and_those_around_it_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_group_at_the_mount_is_found_from_a_path_of_the_host, set_up, tear_down),
        cmocka_unit_test(there_is_some_memory),
        cmocka_unit_test_setup_teardown(dropped_pages_read_as_before, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
