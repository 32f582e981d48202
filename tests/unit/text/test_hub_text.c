/* test_hub_text.c - names of data sets to files in the hub's cache.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/hub_text.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define WIKI   "datasets--Salesforce--wikitext"

static char dir[FC_PATH_MAX];

static void put(const char *repo, const char *name, const char *text)
{
    char path[FC_PATH_MAX], folder[FC_PATH_MAX];
    fc_err err = {0};
    snprintf(folder, sizeof folder, "%s/%s", repo, name);
    fc_test_path(path, dir, folder);
    snprintf(folder, sizeof folder, "%.*s", (int)(fc_path_base(path) - path - 1), path);
    fc_assert_ok(fc_dir_make(folder, &err), &err);
    fc_test_write(path, text, strlen(text));
}

static int make_cache(void **state)
{
    static const char *const files[] = {
        "README.md",
        "wikitext-103-raw-v1/test-00000-of-00001.parquet",
        "wikitext-103-raw-v1/train-00000-of-00002.parquet",
        "wikitext-103-raw-v1/train-00001-of-00002.parquet",
        "wikitext-2-raw-v1/test-00000-of-00001.parquet",
        "wikitext-2-raw-v1/train-00000-of-00001.parquet"};
    char name[256];
    (void)state;
    fc_test_dir_make(dir);
    assert_int_equal(setenv("HF_HUB_CACHE", dir, 1), 0);
    put(WIKI, "refs/main", COMMIT);
    for (size_t i = 0; i < FC_LEN(files); i++) {
        snprintf(name, sizeof name, "snapshots/" COMMIT "/%s", files[i]);
        put(WIKI, name, "");
    }
    put("datasets--a--plain", "refs/main", COMMIT);
    put("datasets--a--plain", "snapshots/" COMMIT "/data/validation.jsonl.gz", "");
    put("datasets--a--plain", "snapshots/" COMMIT "/data/train.jsonl.gz", "");
    put("datasets--a--plain", "snapshots/" COMMIT "/picture.png", "");
    return 0;
}

static int remove_cache(void **state)
{
    (void)state;
    assert_int_equal(unsetenv("HF_HUB_CACHE"), 0);
    fc_test_dir_remove(dir);
    return 0;
}

static void a_name_gives_the_files_of_one_split_in_order(void **state)
{
    (void)state;
    static const struct {
        const char *given;
        const char *file[3];
    } cases[] = {
        {"Salesforce/wikitext:wikitext-103-raw-v1/train",
         {"wikitext-103-raw-v1/train-00000-of-00002.parquet",
          "wikitext-103-raw-v1/train-00001-of-00002.parquet"}},
        {"Salesforce/wikitext:wikitext-103-raw-v1",
         {"wikitext-103-raw-v1/train-00000-of-00002.parquet",
          "wikitext-103-raw-v1/train-00001-of-00002.parquet"}},
        {"Salesforce/wikitext@main:wikitext-2-raw-v1/test",
         {"wikitext-2-raw-v1/test-00000-of-00001.parquet"}},
        {"Salesforce/wikitext:wikitext-103-raw-v1/train-00001-of-00002.parquet",
         {"wikitext-103-raw-v1/train-00001-of-00002.parquet"}},
        {"a/plain", {"data/train.jsonl.gz"}},
        {"a/plain:validation", {"data/validation.jsonl.gz"}},
        {"a/plain:data/validation", {"data/validation.jsonl.gz"}},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_names files;
        fc_err err = {0};
        print_message("%s\n", cases[i].given);
        fc_assert_ok(fc_text_find(&files, cases[i].given, &err), &err);
        int64_t n = 0;
        for (; n < 3 && cases[i].file[n]; n++) {
            assert_true(n < files.n);
            assert_non_null(strstr(files.name[n], "/snapshots/" COMMIT "/"));
            assert_non_null(strstr(files.name[n], cases[i].file[n]));
            assert_true(fc_path_exists(files.name[n]));
        }
        assert_int_equal(files.n, n);
        fc_names_free(&files);
    }
}

static void paths_and_what_is_no_name_stay_as_they_are(void **state)
{
    (void)state;
    static const char *const given[] = {"-", "/etc/hostname", "none.txt", "./a/b",
                                        "a/b/c"};
    for (size_t i = 0; i < FC_LEN(given); i++) {
        fc_names files;
        fc_err err = {0};
        fc_assert_ok(fc_text_find(&files, given[i], &err), &err);
        assert_int_equal(files.n, 1);
        assert_string_equal(files.name[0], given[i]);
        fc_names_free(&files);
    }
}

static void a_name_that_leads_nowhere_says_what_to_do(void **state)
{
    (void)state;
    fc_names files;
    fc_err err = {0};
    fc_assert_fails(fc_text_find(&files, "Salesforce/wikitext", &err), &err, FC_USAGE,
                    "2 parts", "wikitext-103-raw-v1, wikitext-2-raw-v1",
                    "as in 'Salesforce/wikitext:wikitext-103-raw-v1'");
    fc_assert_fails(fc_text_find(&files, "Salesforce/wikitext:train", &err), &err,
                    FC_USAGE, "2 parts");
    fc_assert_fails(
        fc_text_find(&files, "Salesforce/wikitext:wikitext-103-v1/train", &err), &err,
        FC_IO, "no text 'wikitext-103-v1/train'",
        "'facet fetch Salesforce/wikitext:wikitext-103-v1/train' downloads it");
    fc_assert_fails(fc_text_find(&files, "a/none", &err), &err, FC_IO, "'a/none'",
                    "no data set of that name", "facet fetch a/none --type dataset");
}

static fc_status find(void *ctx, fc_err *err)
{
    fc_names files;
    (void)ctx;
    FC_TRY(fc_text_find(&files, "Salesforce/wikitext:wikitext-103-raw-v1", err));
    fc_names_free(&files);
    return FC_OK;
}

static void a_failed_allocation_gives_a_sentence_and_leaks_nothing(void **state)
{
    (void)state;
    assert_true(fc_test_sweep_alloc(find, NULL, NULL) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_gives_the_files_of_one_split_in_order),
        cmocka_unit_test(paths_and_what_is_no_name_stay_as_they_are),
        cmocka_unit_test(a_name_that_leads_nowhere_says_what_to_do),
        cmocka_unit_test(a_failed_allocation_gives_a_sentence_and_leaks_nothing),
    };
    return cmocka_run_group_tests_name("hub_text", tests, make_cache, remove_cache);
}
