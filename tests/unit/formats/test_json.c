/* test_json.c - JSON in and out: what is refused, and in which words.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "formats/json.h"

static void refuses_what_is_not_one_json_value(void **state)
{
    (void)state;
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"", "line 1"},
        {"{\"a\": 1", "not valid JSON"},
        {"{\"a\": 1} x", "end of file expected"},
        {"{\"a\": 1}\n{\"b\": 2}", "line 2"},
        {"{\"a\": 1, \"a\": 2}", "duplicate"},
        {"{\"a\": {\"b\": 1, \"b\": 1}}", "duplicate"},
        {"{\"a\": NaN}", "not valid JSON"},
        {"{\"a\": 1e999}", "real number overflow"},
        {"{\"a\": 123456789012345678901234567890}", "too big integer"},
        {"{\"a\": \"\xff\"}", "unable to decode"},
        {"{\"a\\u0000b\": 1}", "NUL"},
        {"[1, 2", "cfg"},
        {"7", "expected"},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        json_t *root = NULL;
        fc_err err;
        fc_assert_fails(
            fc_json_parse(&root, cases[i].text, strlen(cases[i].text), "cfg", &err), &err,
            FC_FORMAT, "cfg", cases[i].word);
        assert_null(root);
    }
}

static void refuses_endless_nesting(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    char *text = malloc(DEPTH);
    json_t *root = NULL;
    fc_err err;
    assert_non_null(text);
    memset(text, '[', DEPTH);
    fc_assert_fails(fc_json_parse(&root, text, DEPTH, "deep", &err), &err, FC_FORMAT,
                    "depth");
    free(text);
}

static void reads_typed_members_and_keeps_defaults_of_absent_ones(void **state)
{
    (void)state;
    static const char text[] =
        "{\"i\": -3, \"x\": 0.5, \"b\": true, \"t\": \"word\", \"none\": null}";
    json_t *root = NULL;
    fc_err err;
    int64_t i = 1, absent = 7;
    double x = 0, whole = 0;
    bool b = false;
    const char *t = NULL;
    fc_assert_ok(fc_json_parse(&root, text, strlen(text), "cfg", &err), &err);
    fc_assert_ok(fc_json_i64(root, "i", &i, "cfg", &err), &err);
    fc_assert_ok(fc_json_f64(root, "x", &x, "cfg", &err), &err);
    fc_assert_ok(fc_json_f64(root, "i", &whole, "cfg", &err), &err);
    fc_assert_ok(fc_json_bool(root, "b", &b, "cfg", &err), &err);
    fc_assert_ok(fc_json_need_text(root, "t", &t, "cfg", &err), &err);
    fc_assert_ok(fc_json_i64(root, "none", &absent, "cfg", &err), &err);
    fc_assert_ok(fc_json_i64(root, "nowhere", &absent, "cfg", &err), &err);
    fc_assert_ok(fc_json_i64(NULL, "nowhere", &absent, "cfg", &err), &err);
    assert_int_equal(i, -3);
    assert_true(x == 0.5 && whole == -3.0);
    assert_true(b);
    assert_string_equal(t, "word");
    assert_int_equal(absent, 7);
    json_decref(root);
}

static void says_file_key_found_and_expected(void **state)
{
    (void)state;
    static const char text[] = "{\"s\": \"10\", \"x\": 10.5, \"l\": [1], \"o\": {}, "
                               "\"i\": 1, \"z\": \"a\\u0000b\"}";
    json_t *root = NULL, *list = json_array();
    fc_err err;
    int64_t i = 0;
    double x = 0;
    bool b = false;
    const char *t = NULL;
    fc_assert_ok(fc_json_parse(&root, text, strlen(text), "cfg", &err), &err);
    fc_assert_fails(fc_json_i64(root, "s", &i, "cfg", &err), &err, FC_FORMAT,
                    "cfg: s is a string, expected an integer");
    fc_assert_fails(fc_json_i64(root, "x", &i, "cfg", &err), &err, FC_FORMAT, "fraction");
    fc_assert_fails(fc_json_f64(root, "l", &x, "cfg", &err), &err, FC_FORMAT, "a list",
                    "a number");
    fc_assert_fails(fc_json_bool(root, "i", &b, "cfg", &err), &err, FC_FORMAT,
                    "an integer", "true or false");
    fc_assert_fails(fc_json_text(root, "o", &t, "cfg", &err), &err, FC_FORMAT,
                    "an object");
    fc_assert_fails(fc_json_text(root, "z", &t, "cfg", &err), &err, FC_FORMAT,
                    "zero byte");
    fc_assert_fails(fc_json_need_i64(root, "k", &i, "cfg", &err), &err, FC_FORMAT,
                    "cfg: k is missing");
    fc_assert_fails(fc_json_need_text(root, "k", &t, "cfg", &err), &err, FC_FORMAT,
                    "missing");
    fc_assert_fails(fc_json_i64(list, "k", &i, "cfg", &err), &err, FC_FORMAT,
                    "found a list, expected an object");
    json_decref(list);
    json_decref(root);
}

static void strings_may_hold_a_zero_character(void **state)
{
    (void)state;
    static const char text[] = "{\"text\": \"a\\u0000b\"}";
    json_t *root = NULL;
    fc_err err;
    fc_assert_ok(fc_json_parse(&root, text, strlen(text), "row", &err), &err);
    assert_int_equal(json_string_length(json_object_get(root, "text")), 3);
    json_decref(root);
}

static json_t *sample(void)
{
    return json_pack("{s:s, s:i, s:f, s:[i, i], s:s}", "zebra", "first", "apple", 1,
                     "third", 0.1, "list", 1, 2, "text", "\xc3\xa9");
}

static void saves_in_order_and_exactly(void **state)
{
    (void)state;
    char dir[FC_PATH_MAX], path[FC_PATH_MAX];
    json_t *const root = sample();
    json_t *again = NULL;
    fc_err err;
    fc_test_dir_make(dir);
    fc_test_path(path, dir, "a.json");
    fc_assert_ok(fc_json_save(root, path, &err), &err);
    char *text = fc_test_read(path, NULL);
    assert_string_equal(
        text, "{\n  \"zebra\": \"first\",\n  \"apple\": 1,\n"
              "  \"third\": 0.10000000000000001,\n  \"list\": [\n    1,\n    2\n  ],\n"
              "  \"text\": \"\xc3\xa9\"\n}\n");
    fc_assert_ok(fc_json_load(&again, path, &err), &err);
    assert_true(json_equal(root, again));
    free(text);
    json_decref(again);
    json_decref(root);
    fc_test_dir_remove(dir);
}

static void a_missing_file_is_named(void **state)
{
    (void)state;
    json_t *root = NULL;
    fc_err err;
    fc_assert_fails(fc_json_load(&root, "/nowhere/cfg.json", &err), &err, FC_IO,
                    "/nowhere/cfg.json", "No such file");
}

typedef struct fault_case {
    char dir[FC_PATH_MAX], path[FC_PATH_MAX];
    json_t *root;
} fault_case;

static fc_status save_and_load(void *ctx, fc_err *err)
{
    fault_case *const c = ctx;
    json_t *again = NULL;
    FC_TRY(fc_json_save(c->root, c->path, err));
    FC_TRY(fc_json_load(&again, c->path, err));
    json_decref(again);
    return FC_OK;
}

static void no_file_is_there(void *ctx)
{
    const fault_case *const c = ctx;
    assert_int_equal(fc_test_count_entries(c->dir), 0);
}

static void a_failed_save_leaves_no_file(void **state)
{
    (void)state;
    fault_case c;
    fc_test_dir_make(c.dir);
    fc_test_path(c.path, c.dir, "a.json");
    c.root = sample();
    assert_true(fc_test_sweep_alloc(save_and_load, no_file_is_there, &c) > 0);
    fc_err err;
    fc_assert_ok(fc_file_remove(c.path, &err), &err);
    assert_true(fc_test_sweep_write(save_and_load, no_file_is_there, &c) > 0);
    json_decref(c.root);
    fc_test_dir_remove(c.dir);
}

static int64_t n_until_refused; /* jansson's allocations; 0 = none is refused */

static void *refusing_malloc(size_t n)
{
    if (n_until_refused == 0 || --n_until_refused > 0) return malloc(n);
    errno = ENOMEM;
    return NULL;
}

static void jansson_without_memory_is_reported(void **state)
{
    (void)state;
    static const char text[] = "{\"a\": [1, 0.5, \"text\", {\"b\": null, \"c\": true}]}";
    fc_status status = FC_NOMEM;
    int64_t n = 0;
    json_set_alloc_funcs(refusing_malloc, free);
    while (status != FC_OK && ++n < 1000) {
        json_t *root = NULL;
        fc_err err = {0};
        n_until_refused = n;
        status = fc_json_parse(&root, text, sizeof text - 1, "cfg", &err);
        n_until_refused = 0;
        if (status != FC_OK) fc_assert_fails(status, &err, FC_NOMEM, "cfg", "no memory");
        json_decref(root);
    }
    json_set_alloc_funcs(malloc, free);
    assert_in_range(n, 10, 999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_is_not_one_json_value),
        cmocka_unit_test(refuses_endless_nesting),
        cmocka_unit_test(reads_typed_members_and_keeps_defaults_of_absent_ones),
        cmocka_unit_test(says_file_key_found_and_expected),
        cmocka_unit_test(strings_may_hold_a_zero_character),
        cmocka_unit_test(saves_in_order_and_exactly),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(a_failed_save_leaves_no_file),
        cmocka_unit_test(jansson_without_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
