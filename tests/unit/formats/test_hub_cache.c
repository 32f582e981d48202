/* test_hub_cache.c - names of the hub, where its cache lies, and what is in it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/hub_cache.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define OTHER  "fedcba9876543210fedcba9876543210fedcba98"

static char dir[FC_PATH_MAX];

static void clear_settings(void)
{
    static const char *const names[] = {"HF_HUB_CACHE",   "HUGGINGFACE_HUB_CACHE",
                                        "HF_HOME",        "XDG_CACHE_HOME",
                                        "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"};
    for (size_t i = 0; i < FC_LEN(names); i++) assert_int_equal(unsetenv(names[i]), 0);
}

static int make_dir(void **state)
{
    (void)state;
    fc_test_dir_make(dir);
    clear_settings();
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    clear_settings();
    fc_test_dir_remove(dir);
    return 0;
}

static void set(const char *name, const char *value)
{
    assert_int_equal(setenv(name, value, 1), 0);
}

/* A file below the folder of this test, with its folders. */
static void put(const char *name, const char *text)
{
    char path[FC_PATH_MAX], folder[FC_PATH_MAX];
    fc_err err = {0};
    fc_test_path(path, dir, name);
    snprintf(folder, sizeof folder, "%.*s", (int)(fc_path_base(path) - path - 1), path);
    fc_assert_ok(fc_dir_make(folder, &err), &err);
    fc_test_write(path, text, strlen(text));
}

static void names_are_taken_apart_and_odd_ones_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *repo, *revision, *subset;
    } good[] = {
        {"google/gemma-3-1b-it", "google/gemma-3-1b-it", "main", ""},
        {"a/b.c_d", "a/b.c_d", "main", ""},
        {"a/b@refs/pr/1", "a/b", "refs/pr/1", ""},
        {"Salesforce/wikitext:wikitext-103-raw-v1/train", "Salesforce/wikitext", "main",
         "wikitext-103-raw-v1/train"},
        {"a/b@v1:x/y.parquet", "a/b", "v1", "x/y.parquet"},
    };
    static const char *const bad[] = {
        "",         "a",      "/a/b",  "a/",      "a/b/c",  "./a",    "../a",
        "a/..",     "a/.b",   "-a/b",  "a/b-",    "a--b/c", "a/b--c", "a/b..c",
        "a b/c",    "a/b@",   "a/b:",  "a/b@..",  "a/b:/",  "a/b:..", "a/b:x/../y",
        "a/b:x//y", "a\\b/c", "a/b\n", "a/b:x\n", "C:/a/b"};
    for (size_t i = 0; i < FC_LEN(good); i++) {
        fc_hub_name name;
        assert_true(fc_hub_name_parse(&name, good[i].text));
        assert_string_equal(name.repo, good[i].repo);
        assert_string_equal(name.revision, good[i].revision);
        assert_string_equal(name.subset, good[i].subset);
    }
    for (size_t i = 0; i < FC_LEN(bad); i++) {
        fc_hub_name name;
        if (fc_hub_name_parse(&name, bad[i])) fail_msg("'%s' was taken", bad[i]);
    }
    char long_name[600];
    memset(long_name, 'a', sizeof long_name);
    long_name[3] = '/';
    long_name[sizeof long_name - 1] = '\0';
    fc_hub_name name;
    assert_false(fc_hub_name_parse(&name, long_name));
}

static void a_subset_is_a_file_a_folder_or_configuration_and_split(void **state)
{
    (void)state;
    static const struct {
        const char *subset, *path;
        bool is_in;
    } cases[] = {
        {"", "any/thing", true},
        {"wiki-v1/train", "wiki-v1/train-00000-of-00002.parquet", true},
        {"wiki-v1/train", "wiki-v1/test-00000-of-00002.parquet", false},
        {"wiki-v1/train", "wiki-v12/train-00000-of-00002.parquet", false},
        {"wiki-v1", "wiki-v1/train-00000-of-00002.parquet", true},
        {"wiki-v1", "wiki-v1-other/train.parquet", false},
        {"train", "data/train-00000-of-00002.parquet", true},
        {"train", "train.jsonl.gz", true},
        {"train", "training.jsonl.gz", false},
        {"default/train", "default/train/0000.parquet", true},
        {"data/train-00000-of-00001.parquet", "data/train-00000-of-00001.parquet", true},
        {"data/train-00000-of-00001.parquet", "data/train-00001-of-00001.parquet", false},
        {"a/b", "a/b/c.txt", true},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++)
        if (fc_hub_subset_has(cases[i].subset, cases[i].path) != cases[i].is_in)
            fail_msg("'%s' and '%s'", cases[i].subset, cases[i].path);
}

static void the_cache_lies_where_the_settings_say(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    fc_err err = {0};
    char home[FC_PATH_MAX];
    snprintf(home, sizeof home, "%s", getenv("HOME") ? getenv("HOME") : "");
    set("HOME", "/home/x");
    fc_assert_ok(fc_hub_cache(path, &err), &err);
    assert_string_equal(path, "/home/x/.cache/huggingface/hub");
    set("XDG_CACHE_HOME", "/xdg");
    fc_assert_ok(fc_hub_cache(path, &err), &err);
    assert_string_equal(path, "/xdg/huggingface/hub");
    set("HF_HOME", "~/hf");
    fc_assert_ok(fc_hub_cache(path, &err), &err);
    assert_string_equal(path, "/home/x/hf/hub");
    set("HUGGINGFACE_HUB_CACHE", "$XDG_CACHE_HOME/old${HOME}$ $");
    fc_assert_ok(fc_hub_cache(path, &err), &err);
    assert_string_equal(path, "/xdg/old/home/x$ $");
    set("HF_HUB_CACHE", "/hub");
    fc_assert_ok(fc_hub_cache(path, &err), &err);
    assert_string_equal(path, "/hub");
    fc_assert_ok(fc_hub_repo_dir(path, FC_HUB_DATASET, "Salesforce/wikitext", &err),
                 &err);
    assert_string_equal(path, "/hub/datasets--Salesforce--wikitext");
    clear_settings();
    assert_int_equal(unsetenv("HOME"), 0);
    fc_assert_fails(fc_hub_cache(path, &err), &err, FC_IO, "neither HF_HOME nor HOME");
    set("HOME", home);
}

static void a_model_is_found_by_the_commit_of_its_revision(void **state)
{
    (void)state;
    char path[FC_PATH_MAX], expected[FC_PATH_MAX];
    fc_err err = {0};
    set("HF_HUB_CACHE", dir);
    put("models--org--small/snapshots/" COMMIT "/config.json", "{}");
    put("models--org--small/snapshots/" OTHER "/config.json", "{}");
    fc_assert_fails(fc_hub_model_path(path, "org/small", &err), &err, FC_IO,
                    "'org/small'", "no model of that name", "models--org--small",
                    "'facet fetch org/small' downloads it");
    put("models--org--small/refs/main", COMMIT "\n");
    put("models--org--small/refs/refs/pr/1", OTHER);
    fc_assert_ok(fc_hub_model_path(path, "org/small", &err), &err);
    fc_test_path(expected, dir, "models--org--small/snapshots/" COMMIT);
    assert_string_equal(path, expected);
    fc_assert_ok(fc_hub_model_path(path, "org/small@refs/pr/1", &err), &err);
    fc_test_path(expected, dir, "models--org--small/snapshots/" OTHER);
    assert_string_equal(path, expected);
    fc_assert_ok(fc_hub_model_path(path, "org/small@" OTHER, &err), &err);
    assert_string_equal(path, expected);
    fc_assert_fails(fc_hub_model_path(path, "org/small@v2", &err), &err, FC_IO,
                    "at revision v2", "org/small --revision v2'");
}

static void what_is_there_or_is_no_name_stays_as_it_is(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    fc_err err = {0};
    set("HF_HUB_CACHE", dir);
    static const char *const given[] = {"gemma", "./org/small", "/none/such", "a/b/c",
                                        "-"};
    for (size_t i = 0; i < FC_LEN(given); i++) {
        fc_assert_ok(fc_hub_model_path(path, given[i], &err), &err);
        assert_string_equal(path, given[i]);
    }
    char here[FC_PATH_MAX];
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(dir), 0);
    put("org/small/config.json", "{}");
    fc_assert_ok(fc_hub_model_path(path, "org/small", &err), &err);
    assert_string_equal(path, "org/small"); /* a folder here outranks the cache */
    assert_int_equal(chdir(here), 0);
}

static void a_ref_that_is_no_commit_is_refused(void **state)
{
    (void)state;
    static const char *const refs[] = {"../../../etc", "", "0123", (COMMIT "0"),
                                       "0123456789ABCDEF0123456789abcdef01234567"};
    char path[FC_PATH_MAX];
    fc_err err = {0};
    set("HF_HUB_CACHE", dir);
    for (size_t i = 0; i < FC_LEN(refs); i++) {
        put("models--org--bad/refs/main", refs[i]);
        fc_assert_fails(fc_hub_model_path(path, "org/bad", &err), &err, FC_FORMAT,
                        "models--org--bad/refs/main", "40 hexadecimal digits");
    }
}

static void files_are_listed_in_order_and_a_circle_of_links_ends(void **state)
{
    (void)state;
    static const char *const expected[] = {"a/b.txt", "a/c/d.txt", "a1.txt", "z"};
    char path[FC_PATH_MAX];
    fc_names files;
    fc_err err = {0};
    for (size_t i = 0; i < FC_LEN(expected); i++) {
        snprintf(path, sizeof path, "list/%s", expected[i]);
        put(path, "");
    }
    fc_test_path(path, dir, "list");
    fc_assert_ok(fc_hub_list(&files, path, &err), &err);
    assert_int_equal(files.n, FC_LEN(expected));
    for (size_t i = 0; i < FC_LEN(expected); i++)
        assert_string_equal(files.name[i], expected[i]);
    fc_names_free(&files);
    char link[FC_PATH_MAX];
    fc_test_path(link, dir, "list/a/again");
    assert_int_equal(symlink("..", link), 0);
    fc_assert_ok(fc_hub_list(&files, path, &err), &err);
    assert_in_range(files.n, FC_LEN(expected) + 1, 100);
    fc_names_free(&files);
    assert_int_equal(unlink(link), 0);
}

static void offline_is_said_in_several_words(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        bool is_offline;
    } cases[] = {
        {"HF_HUB_OFFLINE", "1", true},        {"HF_HUB_OFFLINE", "0", false},
        {"HF_HUB_OFFLINE", "", false},        {"HF_HUB_OFFLINE", "yes", true},
        {"TRANSFORMERS_OFFLINE", "On", true}, {"TRANSFORMERS_OFFLINE", "no", false}};
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        clear_settings();
        assert_false(fc_hub_is_offline());
        set(cases[i].name, cases[i].value);
        assert_int_equal(fc_hub_is_offline(), cases[i].is_offline);
    }
    clear_settings();
}

static fc_status list_all(void *ctx, fc_err *err)
{
    fc_names files;
    char path[FC_PATH_MAX];
    (void)ctx;
    FC_TRY(fc_hub_model_path(path, "org/small", err));
    FC_TRY(fc_hub_list(&files, path, err));
    fc_names_free(&files);
    return FC_OK;
}

static void a_failed_allocation_gives_a_sentence_and_leaks_nothing(void **state)
{
    (void)state;
    set("HF_HUB_CACHE", dir);
    put("models--org--small/refs/main", COMMIT);
    put("models--org--small/snapshots/" COMMIT "/a/config.json", "{}");
    assert_true(fc_test_sweep_alloc(list_all, NULL, NULL) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_taken_apart_and_odd_ones_refused),
        cmocka_unit_test(a_subset_is_a_file_a_folder_or_configuration_and_split),
        cmocka_unit_test(the_cache_lies_where_the_settings_say),
        cmocka_unit_test(a_model_is_found_by_the_commit_of_its_revision),
        cmocka_unit_test(what_is_there_or_is_no_name_stays_as_it_is),
        cmocka_unit_test(a_ref_that_is_no_commit_is_refused),
        cmocka_unit_test(files_are_listed_in_order_and_a_circle_of_links_ends),
        cmocka_unit_test(offline_is_said_in_several_words),
        cmocka_unit_test(a_failed_allocation_gives_a_sentence_and_leaks_nothing),
    };
    return cmocka_run_group_tests_name("hub_cache", tests, make_dir, remove_dir);
}
