/* test_recipe_yaml.c - recipes as a stream of texts, and all of YAML that is refused.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "formats/recipe_yaml.h"

/* "section|key|value|where" lines. */
static fc_status note(void *ctx, const char *section, const char *key, const char *value,
                      const char *where, fc_err *err)
{
    return fc_strbuf_addf(ctx, err, "%s|%s|%s|%s\n", section, key, value, where);
}

static fc_status parse(fc_strbuf *seen, const char *text, fc_err *err)
{
    return fc_recipe_parse(text, strlen(text), "r.yaml", note, seen, err);
}

static void gives_each_value_as_text_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *seen;
    } cases[] = {
        {"", ""},
        {"# only a comment\n", ""},
        {"---\n", ""},
        {"---\n...\n", ""},
        {"{}", ""},
        {"a: 1", "|a|1|r.yaml:1: a\n"},
        {"# c\n\nmodel: google/x  # note\n", "|model|google/x|r.yaml:3: model\n"},
        {"train:\n  lr: 3e-3\n  on: no\n  n: 010\n",
         "train|lr|3e-3|r.yaml:2: lr\ntrain|on|no|r.yaml:3: on\ntrain|n|010|r.yaml:4: "
         "n\n"},
        {"t: [a.txt, 'b c.txt']\n", "|t|a.txt|r.yaml:1: t\n|t|b c.txt|r.yaml:1: t\n"},
        {"s:\n  t:\n    - a\n    - b\n", "s|t|a|r.yaml:3: t\ns|t|b|r.yaml:4: t\n"},
        {"t: []\n", ""},
        {"t:\n", ""},
        {"train:\n  # nothing set\n", ""},
        {"t: \"\"\n", "|t||r.yaml:1: t\n"},
        {"t: null\n", "|t|null|r.yaml:1: t\n"},
        {"t: ~\n", "|t|~|r.yaml:1: t\n"},
        {"a: {k: 1}\nb: {k: 2}\n", "a|k|1|r.yaml:1: k\nb|k|2|r.yaml:2: k\n"},
        {"k: 1\na: {k: 2}\n", "|k|1|r.yaml:1: k\na|k|2|r.yaml:2: k\n"},
        {"\"quoted key\": \xc3\xa9\r\n", "|quoted key|\xc3\xa9|r.yaml:1: quoted key\n"},
        {"t: |\n  two\n  lines\n", "|t|two\nlines\n|r.yaml:1: t\n"},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_strbuf seen = {0};
        fc_err err;
        fc_assert_ok(parse(&seen, cases[i].text, &err), &err);
        assert_string_equal(fc_strbuf_text(&seen), cases[i].seen);
        fc_strbuf_free(&seen);
    }
}

static void refuses_what_could_be_misread_and_says_the_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *place, *word;
    } cases[] = {
        {"word", "r.yaml:1:", "key: value"},
        {"- a\n- b\n", "r.yaml:1:", "key: value"},
        {"a: 1\na: 2\n", "r.yaml:2:", "'a' is given twice"},
        {"s:\n  a: 1\n  b: 2\n  a: 3\n", "r.yaml:4:", "'a' is given twice"},
        {"s: {a: 1}\ns: {b: 1}\n", "r.yaml:2:", "'s' is given twice"},
        {"a:\n  b:\n    c: 1\n", "r.yaml:3:", "nested"},
        {"a: [[1]]\n", "r.yaml:1:", "nested"},
        {"a: [{b: 1}]\n", "r.yaml:1:", "nested"},
        {"a:\n  b: [c: 1]\n", "r.yaml:2:", "nested"},
        {"a: &x 1\n", "r.yaml:1:", "anchors"},
        {"a: &x {b: 1}\n", "r.yaml:1:", "anchors"},
        {"a: &x [1]\n", "r.yaml:1:", "anchors"},
        {"&x a: 1\n", "r.yaml:1:", "anchors"},
        {"a: 1\nb: *x\n", "r.yaml:2:", "aliases"},
        {"a: [*x]\n", "r.yaml:1:", "aliases"},
        {"*x : 1\n", "r.yaml:1:", "aliases"},
        {"a: !!int 1\n", "r.yaml:1:", "tags"},
        {"a: !mine {b: 1}\n", "r.yaml:1:", "tags"},
        {"!mine\na: 1\n", "r.yaml:1:", "tags"},
        {"a: [!x 1]\n", "r.yaml:1:", "tags"},
        {"? [a]\n: 1\n", "r.yaml:1:", "key must be plain"},
        {"? {a: 1}\n: 1\n", "r.yaml:1:", "key must be plain"},
        {"a: 1\n---\nb: 2\n", "r.yaml:2:", "second document"},
        {"a: 1\n...\n---\n", "r.yaml:3:", "second document"},
        {"a: \"x\\0y\"\n", "r.yaml:1:", "zero byte"},
        {"\"x\\0y\": 1\n", "r.yaml:1:", "zero byte"},
        {"a: 1\n\tb: 2\n", "r.yaml:2:", "YAML"},
        {"a: \"open\n", "r.yaml:", "YAML"},
        {"a: [1, 2\n", "r.yaml:", "YAML"},
        {"a: b: c\n", "r.yaml:1:", "YAML"},
        {"a: \xff\n", "r.yaml", "byte 3"},
        {"a: \x01\n", "r.yaml", "not valid text"},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_strbuf seen = {0};
        fc_err err;
        fc_assert_fails(parse(&seen, cases[i].text, &err), &err, FC_FORMAT,
                        cases[i].place, cases[i].word);
        fc_strbuf_free(&seen);
    }
}

static void refuses_files_that_are_no_recipes_by_size(void **state)
{
    (void)state;
    enum { OVER = (1 << 20) + 1, N_KEYS = 1025 };
    fc_strbuf text = {0}, seen = {0};
    fc_err err;
    char *const spaces = malloc(OVER);
    assert_non_null(spaces);
    memset(spaces, ' ', OVER);
    fc_assert_ok(fc_recipe_parse(spaces, OVER - 1, "r.yaml", note, &seen, &err), &err);
    fc_assert_fails(fc_recipe_parse(spaces, OVER, "r.yaml", note, &seen, &err), &err,
                    FC_FORMAT, "1048577 bytes");
    memset(spaces, '[', OVER);
    fc_assert_fails(fc_recipe_parse(spaces, OVER - 1, "r.yaml", note, &seen, &err), &err,
                    FC_FORMAT, "r.yaml:1");
    for (int i = 0; i < N_KEYS; i++)
        fc_assert_ok(fc_strbuf_addf(&text, &err, "k%d: 1\n", i), &err);
    fc_assert_fails(parse(&seen, text.data, &err), &err, FC_FORMAT, "r.yaml:1025",
                    "1024 keys");
    free(spaces);
    fc_strbuf_free(&text);
    fc_strbuf_free(&seen);
}

static fc_status stop_at_b(void *ctx, const char *section, const char *key,
                           const char *value, const char *where, fc_err *err)
{
    (void)section;
    (void)value;
    ++*(int *)ctx;
    return strcmp(key, "b") == 0 ? fc_fail(err, FC_USAGE, "%s is not wanted", where)
                                 : FC_OK;
}

static void stops_where_the_caller_says_no(void **state)
{
    (void)state;
    static const char text[] = "a: 1\nb: 2\nc: 3\n";
    int n_calls = 0;
    fc_err err;
    fc_assert_fails(
        fc_recipe_parse(text, sizeof text - 1, "r", stop_at_b, &n_calls, &err), &err,
        FC_USAGE, "r:2: b is not wanted");
    assert_int_equal(n_calls, 2);
}

static fc_status parse_sample(void *ctx, fc_err *err)
{
    fc_strbuf seen = {0};
    const fc_status status = fc_recipe_load(ctx, note, &seen, err);
    fc_strbuf_free(&seen);
    return status;
}

static void each_failed_allocation_is_reported(void **state)
{
    (void)state;
    static const char text[] = "model: x\ntrain:\n  lr: 1\n  text: [a, b]\n";
    char dir[FC_PATH_MAX], path[FC_PATH_MAX];
    fc_err err;
    fc_test_dir_make(dir);
    fc_test_path(path, dir, "r.yaml");
    fc_assert_fails(parse_sample(path, &err), &err, FC_IO, path);
    fc_test_write(path, text, sizeof text - 1);
    assert_true(fc_test_sweep_alloc(parse_sample, NULL, path) >= 4);
    fc_test_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_each_value_as_text_with_its_place),
        cmocka_unit_test(refuses_what_could_be_misread_and_says_the_line),
        cmocka_unit_test(refuses_files_that_are_no_recipes_by_size),
        cmocka_unit_test(stops_where_the_caller_says_no),
        cmocka_unit_test(each_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
