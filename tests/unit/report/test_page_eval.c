/* test_page_eval.c - the page on what the model keeps: there with eval.json, with its numbers; and
 * whatever an eval.json from somewhere else holds, a report comes out of it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/report.h"
#include "report_run.h"

static const spec small = {4, 2, 3, plain, FC_LEN(plain), "Treaty"};

static fc_report_result make_report(void)
{
    fc_report_config config;
    fc_report_result result;
    fc_err err;
    fc_report_defaults(&config);
    config.has_page = false;
    fc_assert_ok(fc_report(&config, dir, &result, &err), &err);
    return result;
}

/* The text of all pages; NULL where pdftotext is not installed. free() it. */
static char *read_text(void)
{
    char command[2 * FC_PATH_MAX + 64], path[FC_PATH_MAX];
    size_t n;
    if (system("command -v pdftotext >/dev/null 2>&1") != 0) /* NOLINT(cert-env33-c) */
        return NULL;
    fc_test_path(path, dir, "text");
    snprintf(command, sizeof command,
             "pdftotext -layout '%s/report.pdf' '%s' 2>/dev/null", dir, path);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
    return fc_test_read(path, &n);
}

#define BINS_9 "0,0,0,0,0,0,0,0,0,"
#define WHOLE                                                                            \
    "{\"eval_result_metrics\": {\"token_stats\": "                                       \
    "{\"total_tokens_eval_reconstruction\": 20045}, "                                    \
    "\"model_performance_preservation\": {\"ce_loss_score\": 0.796}}, "                  \
    "\"eval_result_unstructured\": {\"facet\": {\"special_tokens\": \"keep\", "          \
    "\"losses\": {\"original\": {\"cross_entropy\": 3.5783}, "                           \
    "\"sae\": {\"cross_entropy\": 3.6308, \"kl_divergence\": 0.059}, "                   \
    "\"zero_ablation\": {\"cross_entropy\": 3.8351, \"kl_divergence\": 0.2631}, "        \
    "\"mean_ablation\": {\"cross_entropy\": 3.5, \"kl_divergence\": 0.4734}}, "          \
    "\"recovered_from_zero_ablation\": {\"cross_entropy\": 0.7956}, "                    \
    "\"token_delta_histogram\": {\"from\": -3, \"to\": 3, \"counts\": "                  \
    "[" BINS_9 BINS_9 BINS_9 "5,80,70,9,4,2," BINS_9 BINS_9 "0,0,0,0,0,0,0,0,1]}, "      \
    "\"token_deltas\": {\"median\": 0.023}, "                                            \
    "\"worst_tokens\": [{\"delta\": 2.4225, \"before\": \"the Panthers sixth in the\", " \
    "\"token\": \" Sun\", \"next\": \" Bel\"}], "                                        \
    "\"offline\": {\"geometry\": {\"decoder_effective_rank\": 241.6}}}}}"

static void the_page_shows_runs_numbers_and_tokens(void **state)
{
    (void)state;
    static const char *const words[] = {"What the model keeps",
                                        "20,045 tokens",
                                        "3.6308",
                                        "+0.0525",
                                        "+0.2568",
                                        "\u22120.0783",
                                        "79.6 %",
                                        "0.2631",
                                        "loss recovered",
                                        "median 0.023",
                                        "+2.4225",
                                        "Sun",
                                        "sixth in the",
                                        "effective rank",
                                        "242"};
    make_run(&small);
    const int n_without = (int)make_report().n_pages;
    add_file("eval.json", WHOLE);
    assert_int_equal(make_report().n_pages, n_without + 1);
    char *all = read_text();
    for (size_t i = 0; all != NULL && i < FC_LEN(words); i++)
        if (strstr(all, words[i]) == NULL) fail_msg("'%s' is not on any page", words[i]);
    free(all);
}

static void a_run_without_an_evaluation_has_no_such_page(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    fc_test_path(path, dir, "eval.json");
    (void)remove(path);
    make_run(&small);
    make_report();
    char *all = read_text();
    assert_true(all == NULL || strstr(all, "What the model keeps") == NULL);
    free(all);
}

static void whatever_eval_json_holds_there_is_a_report(void **state)
{
    (void)state;
#define OWN(text) "{\"eval_result_unstructured\": {\"facet\": " text "}}"
    static const char *const contents[] = {
        "{}",
        "[]",
        "{\"eval_result_unstructured\": [1, 2]}",
        OWN("null"),
        OWN("{}"),
        OWN("7"),
        OWN("{\"losses\": 3, \"special_tokens\": 5}"),
        OWN("{\"losses\": {\"original\": {\"cross_entropy\": \"x\"}}}"),
        OWN("{\"losses\": {\"original\": {\"cross_entropy\": 1e300}, \"sae\": "
            "{\"cross_entropy\": -1e300}}}"),
        OWN("{\"token_delta_histogram\": {\"from\": 3, \"to\": -3, \"counts\": []}}"),
        OWN("{\"token_delta_histogram\": {\"from\": 0, \"to\": 1, \"counts\": [1, 2]}}"),
        OWN("{\"worst_tokens\": [{}, 7, null, {\"before\": 9, \"token\": \"\\u202e\\u0000"
            "\", \"next\": \"\\ud83d\\ude00\"}]}"),
        OWN("{\"worst_tokens\": {\"a\": 1}, \"offline\": [], \"right_values\": "
            "{\"l0\": null}}"),
        "{\"eval_result_metrics\": {\"token_stats\": "
        "{\"total_tokens_eval_reconstruction\": 1e300}}, "
        "\"eval_result_unstructured\": {\"facet\": {}}}",
    };
    make_run(&small);
    for (size_t i = 0; i < FC_LEN(contents); i++) {
        add_file("eval.json", contents[i]);
        make_report();
    }
}

/* A text of any length is cut to its place. */
static void long_texts_stay_on_their_lines(void **state)
{
    (void)state;
    enum { N = 5000 };
    static char content[4 * N];
    char *long_text = malloc(N + 1);
    assert_non_null(long_text);
    for (int i = 0; i < N; i += 2) memcpy(long_text + i, "\xc3\xa9", 2); /* é */
    long_text[N] = '\0';
    (void)snprintf(content, sizeof content,
                   OWN("{\"worst_tokens\": [{\"delta\": 1, \"before\": \"%s\", "
                       "\"token\": \"%s\", \"next\": \"%s\"}]}"),
                   long_text, long_text, long_text);
    free(long_text);
    make_run(&small);
    add_file("eval.json", content);
    make_report();
    char *all = read_text();
    assert_true(all == NULL || strstr(all, "What the model keeps") != NULL);
    free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_shows_runs_numbers_and_tokens),
        cmocka_unit_test(a_run_without_an_evaluation_has_no_such_page),
        cmocka_unit_test(whatever_eval_json_holds_there_is_a_report),
        cmocka_unit_test(long_texts_stay_on_their_lines),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
