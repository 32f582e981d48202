/* test_arena.c - many small things, one lifetime.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "base/alloc.h"
#include "base/arena.h"

#include <string.h>

static void things_are_zeroed_aligned_and_do_not_overlap(void **state)
{
    (void)state;
    enum { N = 300 };
    unsigned char *p[N];
    fc_arena arena = {0};
    fc_err err;
    for (int i = 0; i < N; i++) {
        const int64_t n = (int64_t)i * i % 5000; /* 0 .. many, across several blocks */
        fc_assert_ok(fc_arena_alloc(&arena, &p[i], n, 1, &err), &err);
        assert_int_equal((uintptr_t)p[i] % 64, 0);
        for (int64_t j = 0; j < n; j++) assert_int_equal(p[i][j], 0);
        memset(p[i], i % 251 + 1, (size_t)n);
    }
    for (int i = 0; i < N; i++)
        for (int64_t j = 0; j < (int64_t)i * i % 5000; j++)
            assert_int_equal(p[i][j], i % 251 + 1);
    fc_arena_free(&arena);
    assert_null(arena.head);
    fc_arena_free(&arena);
}

static void one_thing_may_be_larger_than_a_block(void **state)
{
    (void)state;
    fc_arena arena = {0};
    fc_err err;
    char *small, *large;
    fc_assert_ok(fc_arena_alloc(&arena, &small, 10, 1, &err), &err);
    fc_assert_ok(fc_arena_alloc(&arena, &large, 1 << 20, 1, &err), &err);
    memset(large, 1, 1 << 20);
    memset(small, 2, 10);
    assert_int_equal(large[0], 1);
    fc_arena_free(&arena);
}

static void texts_are_copied_with_their_length(void **state)
{
    (void)state;
    fc_arena arena = {0};
    fc_err err;
    char *a, *b, *empty, *aligned;
    fc_assert_ok(fc_arena_strdup(&arena, &a, "hello world", 5, &err), &err);
    fc_assert_ok(fc_arena_strdup(&arena, &b, "a\0b", 3, &err), &err);
    fc_assert_ok(fc_arena_strdup(&arena, &empty, NULL, 0, &err), &err);
    fc_assert_ok(fc_arena_alloc(&arena, &aligned, 1, 1, &err), &err);
    assert_string_equal(a, "hello");
    assert_memory_equal(b, "a\0b", 4);
    assert_string_equal(empty, "");
    assert_int_equal((uintptr_t)aligned % 64, 0);
    fc_arena_free(&arena);
}

static void small_things_share_a_block(void **state)
{
    (void)state;
    fc_arena arena = {0};
    fc_err err;
    const int64_t before = fc_alloc_count();
    for (int i = 0; i < 200; i++) {
        char *p;
        fc_assert_ok(fc_arena_alloc(&arena, &p, 64, 1, &err), &err);
    }
    assert_int_equal(fc_alloc_count() - before, 1);
    fc_arena_free(&arena);
}

static void hostile_sizes_are_refused(void **state)
{
    (void)state;
    static const int64_t ns[] = {-1, INT64_MIN, INT64_MAX, 1LL << 46};
    fc_arena arena = {0};
    fc_err err;
    void *p;
    for (size_t i = 0; i < FC_LEN(ns); i++)
        assert_int_equal(fc_arena_alloc(&arena, &p, ns[i], 8, &err), FC_NOMEM);
    char *copy;
    assert_int_equal(fc_arena_strdup(&arena, &copy, "x", -1, &err), FC_NOMEM);
    fc_arena_free(&arena);
}

static fc_status fill_and_free(void *ctx, fc_err *err)
{
    fc_arena arena = {0};
    fc_status status = FC_OK;
    (void)ctx;
    for (int i = 0; i < 5 && status == FC_OK; i++) {
        char *p, *copy;
        status = fc_arena_alloc(&arena, &p, 50000, 1, err);
        if (status == FC_OK) status = fc_arena_strdup(&arena, &copy, "text", 4, err);
    }
    fc_arena_free(&arena);
    return status;
}

static void a_failed_allocation_is_reported(void **state)
{
    (void)state;
    assert_int_equal(fc_test_sweep_alloc(fill_and_free, NULL, NULL), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(things_are_zeroed_aligned_and_do_not_overlap),
        cmocka_unit_test(one_thing_may_be_larger_than_a_block),
        cmocka_unit_test(texts_are_copied_with_their_length),
        cmocka_unit_test(small_things_share_a_block),
        cmocka_unit_test(hostile_sizes_are_refused),
        cmocka_unit_test(a_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
