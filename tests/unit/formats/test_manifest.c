/* test_manifest.c - configs through field tables, and the entries of a run folder.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdlib.h>
#include <string.h>

#include "formats/manifest.h"

typedef struct config {
    int64_t n;
    double lr;
    bool is_on;
    char text[FC_FIELD_TEXT_MAX];
    int loss;
    fc_every save;
} config;

static const fc_field fields[] = {
    {"n-tokens", FC_FIELD_I64, offsetof(config, n), 0, 1e15, NULL, "N", "tokens"},
    {"lr", FC_FIELD_F64, offsetof(config, lr), 0, 10, NULL, "RATE", "learning rate"},
    {"is-on", FC_FIELD_BOOL, offsetof(config, is_on), 0, 0, NULL, NULL, "a flag"},
    {"text", FC_FIELD_TEXT, offsetof(config, text), 0, 0, NULL, "FILE", "a file"},
    {"loss", FC_FIELD_CHOICE, offsetof(config, loss), 0, 0, "sum|mean", "LOSS",
     "a choice"},
    {"save-every", FC_FIELD_EVERY, offsetof(config, save), 0, 0, NULL, "TIME",
     "how often"},
};

static config sample(void)
{
    config c = {
        .n = 3000000, .lr = 0.1, .is_on = true, .loss = 1, .save = {.seconds = 300}};
    memcpy(c.text, "a \"b\".txt", 10);
    return c;
}

static void a_config_comes_back_as_it_was(void **state)
{
    (void)state;
    const config c = sample();
    config back = {.text = "default"};
    json_t *object = NULL;
    fc_err err;
    fc_assert_ok(fc_manifest_config(&object, fields, FC_LEN(fields), &c, &err), &err);
    assert_int_equal(json_object_size(object), FC_LEN(fields));
    assert_true(json_is_integer(json_object_get(object, "n_tokens")));
    assert_true(json_is_real(json_object_get(object, "lr")));
    assert_true(json_is_true(json_object_get(object, "is_on")));
    assert_string_equal(json_string_value(json_object_get(object, "loss")), "mean");
    fc_assert_ok(
        fc_manifest_read_config(object, fields, FC_LEN(fields), &back, "r.json", &err),
        &err);
    assert_int_equal(back.n, c.n);
    assert_true(back.lr == c.lr && back.is_on == c.is_on && back.loss == c.loss);
    assert_string_equal(back.text, c.text);
    assert_true(back.save.seconds == 300 && back.save.steps == 0);
    json_decref(object);
}

static void what_is_not_given_keeps_its_value(void **state)
{
    (void)state;
    config c = sample();
    json_t *const object = json_pack("{s:i, s:s}", "lr", 1, "n-tokens", "2k");
    fc_err err;
    fc_assert_ok(
        fc_manifest_read_config(object, fields, FC_LEN(fields), &c, "r.json", &err),
        &err);
    assert_true(c.lr == 1 && c.n == 2000 && c.is_on);
    json_decref(object);
}

static void wrong_values_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"[]", "a list, expected an object"},
        {"{\"lrr\": 1}", "'lrr' is not a known key, did you mean 'lr'?"},
        {"{\"n_token\": 1}", "did you mean 'n_tokens'?"},
        {"{\"zzzzzzzz\": 1}", "'zzzzzzzz' is not a known key"},
        {"{\"lr\": null}", "r.json: lr is null"},
        {"{\"lr\": [1]}", "r.json: lr is a list"},
        {"{\"lr\": 11}", "r.json: lr"},
        {"{\"n_tokens\": 1.5}", "r.json: n_tokens"},
        {"{\"is_on\": \"perhaps\"}", "r.json: is_on"},
        {"{\"loss\": \"median\"}", "r.json: loss"},
        {"{\"text\": \"a\\u0000b\"}", "zero byte"},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        config c = {0};
        json_t *object = NULL;
        fc_err err;
        fc_assert_ok(
            fc_json_parse(&object, cases[i].text, strlen(cases[i].text), "t", &err),
            &err);
        const fc_status status =
            fc_manifest_read_config(object, fields, FC_LEN(fields), &c, "r.json", &err);
        assert_int_not_equal(status, FC_OK);
        fc_assert_fails(status, &err, status, "r.json", cases[i].word);
        json_decref(object);
    }
}

static void text_that_json_cannot_hold_is_refused(void **state)
{
    (void)state;
    config c = {.text = "\xff"};
    json_t *object = NULL;
    fc_err err;
    fc_assert_fails(fc_manifest_config(&object, fields, FC_LEN(fields), &c, &err), &err,
                    FC_FORMAT, "text", "UTF-8");
    assert_null(object);
}

static json_t *entry(const char *command, const char *started, int seed)
{
    return started == NULL ? json_pack("{s:s, s:i}", "command", command, "seed", seed)
                           : json_pack("{s:s, s:s, s:i}", "command", command, "started",
                                       started, "seed", seed);
}

static void a_command_that_runs_again_replaces_its_entry(void **state)
{
    (void)state;
    char dir[FC_PATH_MAX], path[FC_PATH_MAX];
    json_t *manifest = NULL;
    fc_err err;
    fc_test_dir_make(dir);
    fc_test_path(path, dir, "manifest.json");
    fc_assert_ok(fc_manifest_add(dir, entry("train", "1", 1), &err), &err);
    fc_assert_ok(fc_manifest_add(dir, entry("study", "2", 2), &err), &err);
    fc_assert_ok(fc_manifest_add(dir, entry("train", NULL, 3), &err), &err); /* resumed */
    fc_assert_ok(fc_manifest_add(dir, entry("study", "4", 4), &err), &err);  /* anew */
    fc_assert_ok(fc_json_load(&manifest, path, &err), &err);
    json_t *const expected =
        json_pack("{s:s, s:[{s:s, s:s, s:i}, {s:s, s:s, s:i}]}", "facet",
                  json_string_value(json_object_get(manifest, "facet")), "commands",
                  "command", "train", "started", "1", "seed", 3, "command", "study",
                  "started", "4", "seed", 4);
    assert_true(json_equal(manifest, expected));
    json_decref(expected);
    json_decref(manifest);
    fc_test_dir_remove(dir);
}

static void a_manifest_that_is_none_is_not_overwritten(void **state)
{
    (void)state;
    static const struct {
        const char *text, *word;
    } cases[] = {{"{", "not valid JSON"},
                 {"{\"commands\": {}}", "commands is an object"},
                 {"[]", "nothing"}};
    char dir[FC_PATH_MAX], path[FC_PATH_MAX];
    fc_err err;
    fc_test_dir_make(dir);
    fc_test_path(path, dir, "manifest.json");
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_test_write(path, cases[i].text, strlen(cases[i].text));
        fc_assert_fails(fc_manifest_add(dir, entry("train", "1", 1), &err), &err,
                        FC_FORMAT, path, cases[i].word);
        char *const text = fc_test_read(path, NULL);
        assert_string_equal(text, cases[i].text);
        free(text);
    }
    fc_assert_fails(fc_manifest_add(dir, json_object(), &err), &err, FC_FORMAT,
                    "command is missing");
    fc_test_dir_remove(dir);
}

static fc_status describe_and_add(void *ctx, fc_err *err)
{
    const config c = sample();
    json_t *object = NULL, *made = NULL;
    FC_TRY(fc_manifest_config(&object, fields, FC_LEN(fields), &c, err));
    made = json_pack("{s:s, s:o}", "command", "train", "config", object);
    return fc_manifest_add(ctx, made, err);
}

static void old_manifest_is_whole(void *ctx)
{
    char path[FC_PATH_MAX];
    json_t *manifest = NULL;
    fc_err err;
    fc_test_path(path, ctx, "manifest.json");
    fc_assert_ok(fc_json_load(&manifest, path, &err), &err);
    assert_int_equal(json_array_size(json_object_get(manifest, "commands")), 1);
    assert_int_equal(fc_test_count_entries(ctx), 1);
    json_decref(manifest);
}

static void a_failed_write_leaves_the_old_manifest(void **state)
{
    (void)state;
    char dir[FC_PATH_MAX], path[FC_PATH_MAX];
    fc_err err;
    fc_test_dir_make(dir);
    fc_test_path(path, dir, "manifest.json");
    fc_assert_ok(fc_manifest_add(dir, entry("study", "1", 1), &err), &err);
    assert_true(fc_test_sweep_alloc(describe_and_add, old_manifest_is_whole, dir) >= 3);
    fc_assert_ok(fc_file_remove(path, &err), &err);
    fc_assert_ok(fc_manifest_add(dir, entry("study", "1", 1), &err), &err);
    assert_true(fc_test_sweep_write(describe_and_add, old_manifest_is_whole, dir) >= 2);
    fc_test_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_config_comes_back_as_it_was),
        cmocka_unit_test(what_is_not_given_keeps_its_value),
        cmocka_unit_test(wrong_values_are_named),
        cmocka_unit_test(text_that_json_cannot_hold_is_refused),
        cmocka_unit_test(a_command_that_runs_again_replaces_its_entry),
        cmocka_unit_test(a_manifest_that_is_none_is_not_overwritten),
        cmocka_unit_test(a_failed_write_leaves_the_old_manifest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
