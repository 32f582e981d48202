/* test_report.c - the whole report of small run folders: what is in it, the same bytes each time,
 * hostile text, empty runs, and nothing left behind by a failure.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/report.h"
#include "report_run.h"

static const spec small = {4, 2, 3, plain, FC_LEN(plain), "Treaty"};
static const char *const meanings[] = {"`treaty` or `…ies` after `the`",
                                       "opening brackets"};
static const meaning meant = {meanings, FC_LEN(meanings)};

static void add_metrics(void)
{
    add_file("metrics.csv", "step,epoch,total,mse,l1,l0,dead,lr\n"
                            "100,0.1,0.5,0.4,10,50,0,0.001\r\n"
                            "200,0.2,0.3,,nan,20,1,0.002\n"
                            "300,0.3,0.2,0.1,1,10,2,0.001");
}

static void add_manifest(void)
{
    add_file(
        "manifest.json",
        "{\"facet\": \"0.1.0\", \"commands\": [{\"command\": \"study\", \"started\": "
        "\"2026-01-02T03:04:05Z\", \"seconds\": 4000, \"threads\": 2, \"inputs\": "
        "[{\"path\": \"a/sae_weights.safetensors\", \"bytes\": 12345, \"xxh3\": "
        "\"00ff\"}], \"config\": {\"contexts\": 20, \"precision\": \"auto\"}, "
        "\"result\": {\"rows\": 7000, \"mse\": 0.25}}]}");
}

/* --- the report as text ----------------------------------------------------------------- */

static fc_report_result make_report(const char *features, int64_t top)
{
    fc_report_config config;
    fc_report_result result;
    fc_err err;
    fc_report_defaults(&config);
    config.top = top;
    snprintf(config.features, sizeof config.features, "%s", features);
    fc_assert_ok(fc_report(&config, dir, &result, &err), &err);
    return result;
}

static bool has_tool(const char *name)
{
    char command[64];
    snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", name);
    return system(command) == 0; /* NOLINT(cert-env33-c) */
}

/* No error and no warning; where qpdf is not installed nothing is checked. */
static void assert_sound(void)
{
    char command[FC_PATH_MAX + 64];
    if (!has_tool("qpdf")) return;
    snprintf(command, sizeof command, "qpdf --check '%s/report.pdf' >/dev/null 2>&1",
             dir);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
}

/* The text of all pages; NULL where pdftotext is not installed. free() it. */
static char *read_text(void)
{
    char command[2 * FC_PATH_MAX + 64], path[FC_PATH_MAX];
    size_t n;
    if (!has_tool("pdftotext")) return NULL;
    fc_test_path(path, dir, "text");
    snprintf(command, sizeof command,
             "pdftotext -layout '%s/report.pdf' '%s' 2>/dev/null", dir, path);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
    return fc_test_read(path, &n);
}

static void assert_text(const char *const *words)
{
    char *all = read_text();
    for (int i = 0; all != NULL && words[i] != NULL; i++)
        if (strstr(all, words[i]) == NULL) fail_msg("'%s' is not on any page", words[i]);
    free(all);
}

/* --- tests ------------------------------------------------------------------------------ */

static void a_report_shows_numbers_method_cards_and_index(void **state)
{
    (void)state;
    static const char *const words[] = {"Features of layers.1.mlp.down_proj",
                                        "87",
                                        "Worth a look",
                                        "How it was made",
                                        "sae_weights.safetensors",
                                        "12,345",
                                        "00ff",
                                        "66 min 40 s",
                                        "Total loss",
                                        "Feature 0",
                                        "Feature 1",
                                        "January",
                                        "Treaty",
                                        "Strongest contexts",
                                        "Concepts",
                                        "tokens: January",
                                        "Index of features",
                                        "Index of tokens",
                                        NULL};
    make_run(&small);
    add_metrics();
    add_manifest();
    const fc_report_result result = make_report("", 100);
    assert_int_equal(result.n_cards, 2);
    assert_int_equal(result.n_pages, 9);
    assert_sound();
    assert_text(words);
}

static void cards_say_what_features_are_about(void **state)
{
    (void)state;
    static const char *const words[] = {"treaty or …ies after the",
                                        "opening brackets",
                                        "90 % of its activation",
                                        "around",
                                        "nearest",
                                        "Raises",
                                        "+12",
                                        "Lowers",
                                        "Decoder geometry",
                                        "How near its nearest feature lies",
                                        "The nearest pairs",
                                        "0.870",
                                        "Index of descriptions",
                                        NULL};
    make_meant_run(&small, &meant);
    assert_int_equal(make_report("", 100).n_cards, 2);
    assert_sound();
    assert_text(words);
}

static void every_figure_is_saved_as_png_svg_and_csv(void **state)
{
    (void)state;
    static const char *const names[] = {"loss",         "sparsity-curves",    "l0",
                                        "frequency",    "frequency-strength", "strengths",
                                        "strength-map", "strength-bars",      "nearest"};
    static const char *const kinds[] = {"png", "svg", "csv"};
    char figures[FC_PATH_MAX];
    make_meant_run(&small, &meant);
    add_metrics();
    make_report("", 100);
    for (size_t i = 0; i < FC_LEN(names); i++)
        for (size_t k = 0; k < FC_LEN(kinds); k++) {
            char name[64], path[FC_PATH_MAX];
            snprintf(name, sizeof name, "figures/%s.%s", names[i], kinds[k]);
            fc_test_path(path, dir, name);
            if (fc_file_size(path) <= 10) fail_msg("%s is missing or empty", name);
        }
    fc_test_path(figures, dir, "figures");
    assert_int_equal(fc_test_count_entries(figures), 27);
}

static void the_same_run_gives_the_same_bytes(void **state)
{
    (void)state;
    size_t n_a, n_b;
    make_meant_run(&small, &meant);
    add_manifest();
    const fc_report_result result = make_report("", 100);
    char *a = fc_test_read(result.pdf, &n_a);
    make_report("", 100);
    char *b = fc_test_read(result.pdf, &n_b);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(a, b, n_a);
    free(a);
    free(b);
}

static bool has_bytes(const char *data, size_t n, const char *word)
{
    for (size_t i = 0; i + strlen(word) <= n; i++)
        if (memcmp(data + i, word, strlen(word)) == 0) return true;
    return false;
}

static void the_date_is_that_of_the_study_or_of_the_environment(void **state)
{
    (void)state;
    static const struct {
        const char *epoch, *date;
    } cases[] = {{NULL, "/CreationDate(D:20260102030405)"},
                 {"86400", "/CreationDate(D:19700102000000)"},
                 {"soon", "/CreationDate(D:20260102030405)"},
                 {"", "/ModDate(D:20260102030405)"}};
    make_run(&small);
    add_manifest();
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        size_t n;
        if (cases[i].epoch != NULL) setenv("SOURCE_DATE_EPOCH", cases[i].epoch, 1);
        char *pdf = fc_test_read(make_report("", 1).pdf, &n);
        if (!has_bytes(pdf, n, cases[i].date)) fail_msg("no %s", cases[i].date);
        free(pdf);
    }
}

static void hostile_text_is_shown_and_breaks_nothing(void **state)
{
    (void)state;
    static char large[10000];
    memset(large, 'w', sizeof large);
    const text hostile[] = {{"<script>alert(1)</script>", 0},
                            {" a\0b", 4},
                            {"\xff\xfe\x80", 3},
                            {"\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d", 0},
                            {" \xe2\x80\xae"
                             "evil\xe2\x81\xa6",
                             0},
                            {"\u2028\u2029\r\n\t", 0},
                            {large, sizeof large},
                            {"\xf0\x9f\x9a", 3},
                            {"\x80", 1},
                            {"\xe6\x9d\xb1\xe4\xba\xac\xe3\x81\xaf", 0},
                            {"&amp;<b>%s%n", 0},
                            {" ", 1}};
    static const char *const words[] = {"<script>alert(1)</script>", "%s%n", "</title>",
                                        NULL};
    const spec s = {12, 12, 12, hostile, FC_LEN(hostile), "</title>\xff\n\xe2\x80\xae"};
    make_run(&s);
    assert_int_equal(make_report("", 100).n_cards, 12);
    assert_sound();
    assert_text(words);
}

static void runs_with_little_in_them_have_a_report(void **state)
{
    (void)state;
    static const struct {
        spec spec;
        int64_t n_cards;
    } cases[] = {{{3, 0, 0, plain, 1, "none live"}, 0},
                 {{1, 1, 3, plain, 1, "one feature"}, 1},
                 {{1, 0, 0, plain, 1, "one dead feature"}, 0},
                 {{2, 2, 0, plain, 1, "no contexts"}, 2},
                 {{2, 2, 40, plain, 1, "many contexts"}, 2}};
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        make_run(&cases[i].spec);
        assert_int_equal(make_report("", 100).n_cards, cases[i].n_cards);
        assert_sound();
    }
}

static void chosen_features_and_highlights_have_cards(void **state)
{
    (void)state;
    fc_report_config config;
    fc_report_result result;
    fc_err err;
    const spec s = {9, 8, 3, plain, FC_LEN(plain), "many"};
    make_run(&s);
    assert_int_equal(make_report("5,0,7", 1).n_cards, 3);
    assert_int_equal(make_report("", 0).n_cards, 8);
    assert_in_range(make_report("", 1).n_cards, 2, 4); /* and highlights */
    fc_report_defaults(&config);
    static const char *const lists[] = {"9", "-1", "x", "1,,2", "1 2", "8"};
    for (size_t i = 0; i < FC_LEN(lists); i++) {
        snprintf(config.features, sizeof config.features, "%s", lists[i]);
        fc_assert_fails(fc_report(&config, dir, &result, &err), &err, FC_USAGE,
                        "--features");
    }
}

static void a_run_that_cannot_be_read_is_refused(void **state)
{
    (void)state;
    fc_report_config config;
    fc_report_result result;
    fc_err err;
    fc_report_defaults(&config);
    fc_assert_fails(fc_report(&config, dir, &result, &err), &err, FC_IO, "features.db",
                    "facet study");
    make_run(&small);
    add_file("metrics.csv", "step,epoch,total\n1,2,3\n");
    fc_assert_fails(fc_report(&config, dir, &result, &err), &err, FC_FORMAT,
                    "metrics.csv", "'mse'");
    add_file("metrics.csv", "");
    fc_assert_ok(fc_report(&config, dir, &result, &err), &err);
    add_file("manifest.json", "{");
    fc_assert_fails(fc_report(&config, dir, &result, &err), &err, FC_FORMAT,
                    "manifest.json");
}

static void odd_manifests_are_shown_as_far_as_they_go(void **state)
{
    (void)state;
    static const char *const manifests[] = {
        "[]", "{\"commands\": 7}", "{\"commands\": [1, {\"command\": \"study\"}]}",
        "{\"commands\": [{\"command\": \"train\", \"started\": 5, \"seconds\": \"x\", "
        "\"inputs\": {\"a\": 1}, \"config\": [1], \"result\": \"no\"}]}",
        "{\"commands\": [{\"command\": \"study\", \"started\": \"20 letters, no date!\", "
        "\"seconds\": -1e300, \"config\": {\"a\\u202e\": null, \"b\": [1, {}]}}]}"};
    make_run(&small);
    for (size_t i = 0; i < FC_LEN(manifests); i++) {
        add_file("manifest.json", manifests[i]);
        make_report("", 1);
        assert_sound();
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        TEST(a_report_shows_numbers_method_cards_and_index),
        TEST(cards_say_what_features_are_about),
        TEST(every_figure_is_saved_as_png_svg_and_csv),
        TEST(the_same_run_gives_the_same_bytes),
        TEST(the_date_is_that_of_the_study_or_of_the_environment),
        TEST(hostile_text_is_shown_and_breaks_nothing),
        TEST(runs_with_little_in_them_have_a_report),
        TEST(chosen_features_and_highlights_have_cards),
        TEST(a_run_that_cannot_be_read_is_refused),
        TEST(odd_manifests_are_shown_as_far_as_they_go),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
