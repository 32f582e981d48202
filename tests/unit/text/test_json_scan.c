/* test_json_scan.c - walking JSON text: strings, numbers, nesting, and what is refused where.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <string.h>

#include "text/json_scan.h"

static fc_json_scan scan_of(const char *text)
{
    fc_json_scan scan;
    fc_json_scan_init(&scan, text, (int64_t)strlen(text), "x.json");
    return scan;
}

static void strings_are_given_as_they_lie_or_written_out(void **state)
{
    (void)state;
    static const struct {
        const char *json, *text;
        int64_t n;
    } cases[] = {
        {"\"\"", "", 0},
        {" \t\r\n\"a b\"", "a b", 3},
        {"\"\xC3\xA9\"", "\xC3\xA9", 2},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8},
        {"\"x\\u00e9\\u2581\\uD83D\\uDE42y\"", "x\xC3\xA9\xE2\x96\x81\xF0\x9F\x99\x82y",
         11},
        {"\"a\\u0000b\"", "a\0b", 3},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_json_scan scan = scan_of(cases[i].json);
        const char *text = NULL;
        int64_t n = 0;
        fc_err err = {0};
        fc_assert_ok(fc_json_scan_string(&scan, &text, &n, &err), &err);
        assert_int_equal(n, cases[i].n);
        assert_memory_equal(text, cases[i].text, (size_t)n);
        fc_assert_ok(fc_json_scan_finish(&scan, &err), &err);
        fc_json_scan_deinit(&scan);
    }
}

static void bad_strings_are_refused_where_they_go_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *json, *words;
    } cases[] = {
        {"5", "byte 0: expected a string, found '5'"},
        {"", "byte 0: expected a string, found the end of the file"},
        {"\"abc", "byte 4: expected the end of a string"},
        {"\"a\nb\"", "byte 2: expected the end of a string, found byte 0x0A"},
        {"\"\\x\"", "byte 2: expected an escape"},
        {"\"\\", "expected an escape"},
        {"\"\\u00g0\"", "byte 5: expected four hexadecimal digits, found 'g'"},
        {"\"\\u00", "four hexadecimal digits, found the end"},
        {"\"\\ud83d\"", "second half of a surrogate pair"},
        {"\"\\ud83d\\n\"", "second half of a surrogate pair"},
        {"\"\\ud83d\\u0041\"", "second half of a surrogate pair"},
        {"\"\\ude42\"", "a whole surrogate pair"},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_json_scan scan = scan_of(cases[i].json);
        const char *text = NULL;
        int64_t n = 0;
        fc_err err = {0};
        fc_assert_fails(fc_json_scan_string(&scan, &text, &n, &err), &err, FC_FORMAT,
                        "x.json: ", cases[i].words);
        fc_json_scan_deinit(&scan);
    }
}

static void integers_are_whole_and_fit_31_bits(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int64_t value; /* -1: refused */
    } cases[] = {{"0", 0},
                 {"7", 7},
                 {"2147483647", INT32_MAX},
                 {"2147483648", -1},
                 {"1e2", -1},
                 {"1.0", -1},
                 {"-1", -1},
                 {"00", -1},
                 {"true", -1},
                 {"", -1},
                 {"99999999999999999999", -1}};
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_json_scan scan = scan_of(cases[i].json);
        int32_t value = -1;
        fc_err err = {0};
        const fc_status status = fc_json_scan_i32(&scan, &value, &err);
        assert_int_equal(status, cases[i].value < 0 ? FC_FORMAT : FC_OK);
        assert_int_equal(value, cases[i].value);
    }
}

static void arrays_and_objects_are_walked_in_order(void **state)
{
    (void)state;
    fc_json_scan scan =
        scan_of("{\"a\": [], \"b\": [1, 2 ,3], \"c\": {\"d\": [[\"]\"], {}]}}");
    const char *key = NULL;
    int64_t n = 0;
    bool has_more = false;
    fc_json_span span;
    fc_err err = {0};
    fc_assert_ok(fc_json_scan_open(&scan, '{', &err), &err);
    fc_assert_ok(fc_json_scan_more(&scan, '}', &has_more, &err), &err);
    fc_assert_ok(fc_json_scan_key(&scan, &key, &n, &err), &err);
    fc_assert_ok(fc_json_scan_open(&scan, '[', &err), &err);
    fc_assert_ok(fc_json_scan_more(&scan, ']', &has_more, &err), &err);
    assert_false(has_more);
    fc_assert_ok(fc_json_scan_more(&scan, '}', &has_more, &err), &err);
    assert_true(has_more);
    fc_assert_ok(fc_json_scan_key(&scan, &key, &n, &err), &err);
    fc_assert_ok(fc_json_scan_open(&scan, '[', &err), &err);
    for (int32_t i = 1; i <= 3; i++) {
        int32_t value = 0;
        fc_assert_ok(fc_json_scan_more(&scan, ']', &has_more, &err), &err);
        assert_true(has_more);
        fc_assert_ok(fc_json_scan_i32(&scan, &value, &err), &err);
        assert_int_equal(value, i);
    }
    fc_assert_ok(fc_json_scan_more(&scan, ']', &has_more, &err), &err);
    assert_false(has_more);
    fc_assert_ok(fc_json_scan_more(&scan, '}', &has_more, &err), &err);
    fc_assert_ok(fc_json_scan_key(&scan, &key, &n, &err), &err);
    fc_assert_ok(fc_json_scan_skip(&scan, &span, &err), &err);
    assert_int_equal(span.n, strlen("{\"d\": [[\"]\"], {}]}"));
    fc_assert_ok(fc_json_scan_more(&scan, '}', &has_more, &err), &err);
    assert_false(has_more);
    fc_assert_ok(fc_json_scan_finish(&scan, &err), &err);
}

static void wrong_commas_and_brackets_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {"[,", "[1 2]", "[1,]", "[1,,2]",
                                        "[1", "[1}",   "[",    "[]]"};
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_json_scan scan = scan_of(cases[i]);
        fc_err err = {0};
        fc_status status = fc_json_scan_open(&scan, '[', &err);
        for (bool has_more = true; status == FC_OK && has_more;) {
            int32_t value = 0;
            status = fc_json_scan_more(&scan, ']', &has_more, &err);
            if (status == FC_OK && has_more)
                status = fc_json_scan_i32(&scan, &value, &err);
        }
        if (status == FC_OK) status = fc_json_scan_finish(&scan, &err);
        fc_assert_fails(status, &err, FC_FORMAT, "x.json: byte", "expected");
    }
}

static void skipping_needs_no_stack_and_stops_at_the_end(void **state)
{
    (void)state;
    enum { DEPTH = 1000000 };
    static char text[2 * DEPTH + 1];
    memset(text, '[', DEPTH);
    memset(text + DEPTH, ']', DEPTH);
    fc_json_scan scan = scan_of(text);
    fc_json_span span;
    fc_err err = {0};
    fc_assert_ok(fc_json_scan_skip(&scan, &span, &err), &err);
    assert_int_equal(span.n, 2 * DEPTH);
    text[2 * DEPTH - 1] = '\0';
    scan = scan_of(text);
    fc_assert_fails(fc_json_scan_skip(&scan, &span, &err), &err, FC_FORMAT,
                    "rest of a value");
    static const char *const cases[] = {"", ",", "}", "\"a", "\"\\", "{\"a"};
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        scan = scan_of(cases[i]);
        fc_assert_fails(fc_json_scan_skip(&scan, &span, &err), &err, FC_FORMAT,
                        "expected");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_given_as_they_lie_or_written_out),
        cmocka_unit_test(bad_strings_are_refused_where_they_go_wrong),
        cmocka_unit_test(integers_are_whole_and_fit_31_bits),
        cmocka_unit_test(arrays_and_objects_are_walked_in_order),
        cmocka_unit_test(wrong_commas_and_brackets_are_refused),
        cmocka_unit_test(skipping_needs_no_stack_and_stops_at_the_end),
    };
    return cmocka_run_group_tests_name("json_scan", tests, NULL, NULL);
}
