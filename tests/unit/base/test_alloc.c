/* test_alloc.c - sizes that cannot be, memory as promised, faults on request.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "base/alloc.h"

#include <string.h>

static void sizes_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const struct {
        int64_t n;
        size_t size;
        bool is_good;
    } cases[] = {
        {0, 8, true},
        {5, 0, true},
        {INT64_MAX, 0, true},
        {1LL << 47, 1, true},
        {(1LL << 47) + 1, 1, false},
        {1LL << 45, 4, true},
        {(1LL << 45) + 1, 4, false},
        {-1, 1, false},
        {INT64_MIN, 8, false},
        {INT64_MAX, 8, false},
        {2, SIZE_MAX, false},
        {-1, 0, false},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        size_t bytes = 42;
        fc_err err;
        const fc_status status = fc_bytes(cases[i].n, cases[i].size, &bytes, &err);
        assert_int_equal(status, cases[i].is_good ? FC_OK : FC_NOMEM);
        assert_true(bytes ==
                    (cases[i].is_good ? (size_t)cases[i].n * cases[i].size : 42));
    }
}

static void memory_is_zeroed_and_aligned(void **state)
{
    (void)state;
    static const int64_t ns[] = {0, 1, 63, 64, 65, 100000};
    for (size_t i = 0; i < FC_LEN(ns); i++) {
        unsigned char *p = NULL;
        fc_err err;
        for (int again = 0; again < 2; again++)
        { /* the second time the heap gives used memory */
            fc_assert_ok(fc_alloc(&p, ns[i], 3, "bytes", &err), &err);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % 64, 0);
            for (int64_t j = 0; j < 3 * ns[i]; j++) assert_int_equal(p[j], 0);
            memset(p, 0xff, (size_t)(3 * ns[i]));
            fc_free(p);
        }
    }
    fc_free(NULL);
}

static void growing_keeps_the_content_and_doubles(void **state)
{
    (void)state;
    int32_t *p = NULL;
    int64_t capacity = 0;
    fc_err err;
    const int64_t before = fc_alloc_count();
    for (int32_t i = 0; i < 10000; i++) {
        fc_assert_ok(fc_grow(&p, &capacity, i + 1, sizeof *p, "numbers", &err), &err);
        p[i] = i;
    }
    for (int32_t i = 0; i < 10000; i++) assert_int_equal(p[i], i);
    assert_true(fc_alloc_count() - before <= 12);
    assert_int_equal((uintptr_t)p % 64, 0);
    int32_t *const same = p;
    fc_assert_ok(fc_grow(&p, &capacity, capacity, sizeof *p, "numbers", &err), &err);
    assert_ptr_equal(p, same);
    fc_assert_fails(fc_grow(&p, &capacity, INT64_MAX, sizeof *p, "numbers", &err), &err,
                    FC_NOMEM, "numbers");
    assert_ptr_equal(p, same);
    assert_int_equal(p[9999], 9999);
    fc_free(p);
}

static void the_chosen_allocation_fails_and_no_other(void **state)
{
    (void)state;
    fc_err err;
    for (int64_t n = 1; n <= 3; n++) {
        fc_alloc_fail_at(n);
        for (int64_t i = 1; i <= 4; i++) {
            char *p = (char *)&err;
            const fc_status status = fc_alloc(&p, 5, 7, "some things", &err);
            assert_int_equal(status, i == n ? FC_NOMEM : FC_OK);
            if (i == n) {
                assert_null(p);
                assert_string_equal(
                    err.text, "no memory left for some things: 35 bytes are needed");
            }
            fc_free(p);
        }
    }
    fc_alloc_fail_at(1);
    fc_alloc_fail_at(0);
    char *copy;
    fc_assert_ok(fc_strdup(&copy, "héllo", &err), &err);
    assert_string_equal(copy, "héllo");
    fc_free(copy);
}

static void absurd_requests_fail_without_a_crash(void **state)
{
    (void)state;
    void *p = &p;
    fc_err err;
    fc_assert_fails(fc_alloc(&p, INT64_MAX, 4, "weights", &err), &err, FC_NOMEM,
                    "weights: ", "9223372036854775807 elements of 4 bytes");
    assert_null(p);
    assert_int_equal(fc_alloc(&p, -1, 4, "weights", NULL), FC_NOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_that_cannot_be_are_refused),
        cmocka_unit_test(memory_is_zeroed_and_aligned),
        cmocka_unit_test(growing_keeps_the_content_and_doubles),
        cmocka_unit_test(the_chosen_allocation_fails_and_no_other),
        cmocka_unit_test(absurd_requests_fail_without_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
