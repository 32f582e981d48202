/* test_strbuf.c - the growing byte string.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "base/strbuf.h"

#include <string.h>

static void an_empty_one_reads_as_an_empty_text(void **state)
{
    (void)state;
    fc_strbuf buf = {0};
    assert_string_equal(fc_strbuf_text(&buf), "");
    fc_strbuf_clear(&buf);
    fc_strbuf_free(&buf);
    assert_string_equal(fc_strbuf_text(&buf), "");
}

static void pieces_follow_each_other(void **state)
{
    (void)state;
    fc_strbuf buf = {0};
    fc_err err;
    fc_assert_ok(fc_strbuf_add(&buf, "ab\0c", 4, &err), &err);
    fc_assert_ok(fc_strbuf_addf(&buf, &err, "-%d-%s", 42, "x"), &err);
    fc_assert_ok(fc_strbuf_add(&buf, NULL, 0, &err), &err);
    fc_assert_ok(fc_strbuf_addf(&buf, &err, "%s", ""), &err);
    assert_int_equal(buf.n, 9);
    assert_memory_equal(buf.data, "ab\0c-42-x", 10);
    fc_strbuf_clear(&buf);
    assert_int_equal(buf.n, 0);
    assert_string_equal(fc_strbuf_text(&buf), "");
    fc_strbuf_free(&buf);
}

static void it_grows_one_by_one_and_at_once(void **state)
{
    (void)state;
    fc_strbuf buf = {0};
    fc_err err;
    for (int i = 0; i < 5000; i++) {
        fc_assert_ok(fc_strbuf_add(&buf, &"0123456789"[i % 10], 1, &err), &err);
        assert_int_equal(strlen(buf.data), i + 1);
    }
    fc_assert_ok(fc_strbuf_addf(&buf, &err, "%*s", 100000, "end"), &err);
    assert_int_equal(buf.n, 105000);
    assert_memory_equal(buf.data + 104997, "end", 4);
    fc_strbuf_free(&buf);
}

static void a_failure_leaves_the_content(void **state)
{
    (void)state;
    fc_strbuf buf = {0};
    fc_err err;
    fc_assert_ok(fc_strbuf_addf(&buf, &err, "kept"), &err);
    fc_assert_fails(fc_strbuf_add(&buf, "x", INT64_MAX, &err), &err, FC_NOMEM, "text");
    fc_assert_fails(fc_strbuf_add(&buf, "x", -1, &err), &err, FC_NOMEM, "text");
    fc_assert_fails(fc_strbuf_add(&buf, "x", 1LL << 47, &err), &err, FC_NOMEM, "text");
    assert_int_equal(buf.n, 4);
    assert_string_equal(buf.data, "kept");
    fc_strbuf_free(&buf);
}

static fc_status build(void *ctx, fc_err *err)
{
    fc_strbuf buf = {0};
    fc_status status = FC_OK;
    (void)ctx;
    for (int i = 0; i < 100 && status == FC_OK; i++)
        status = fc_strbuf_addf(&buf, err, "line %d\n", i);
    fc_strbuf_free(&buf);
    return status;
}

static void a_failed_allocation_is_reported(void **state)
{
    (void)state;
    assert_true(fc_test_sweep_alloc(build, NULL, NULL) >= 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_one_reads_as_an_empty_text),
        cmocka_unit_test(pieces_follow_each_other),
        cmocka_unit_test(it_grows_one_by_one_and_at_once),
        cmocka_unit_test(a_failure_leaves_the_content),
        cmocka_unit_test(a_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
