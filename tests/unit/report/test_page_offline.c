/* test_page_offline.c - the page of letters and of another SAE's features: its numbers, and that
 * whatever an eval.json holds, a report comes out of it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/report.h"
#include "report_run.h"

static const spec small = {4, 2, 3, plain, FC_LEN(plain), "Treaty"};

#define OFFLINE(text) \
    "{\"eval_result_unstructured\": {\"facet\": {\"offline\": " text "}}}"

static int64_t n_pages(const char *eval)
{
    fc_report_config config;
    fc_report_result result;
    fc_err err;
    add_file("eval.json", eval);
    fc_report_defaults(&config);
    config.has_page = false;
    fc_assert_ok(fc_report(&config, dir, &result, &err), &err);
    return result.n_pages;
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

static void letters_and_pairs_are_shown_with_their_numbers(void **state)
{
    (void)state;
    static const char letters[] = OFFLINE(
        "{\"absorption\": {\"words\": 1987, \"probe_f1\": 0.91, \"letters\": ["
        "{\"first_letter\": \"t\", \"words\": 412, \"probe_f1\": 0.93, "
        "\"split_features\": "
        "[1, 3], \"k_sparse_f1\": [0.81, 0.88], \"num_split_features\": 2, "
        "\"num_probe_true_positives\": 70, \"full_absorption_rate\": 0.13, "
        "\"mean_absorption_fraction\": 0.27},"
        "{\"first_letter\": \"z\", \"words\": 3, \"num_probe_true_positives\": 0, "
        "\"full_absorption_rate\": 0.99}]},"
        "\"stability\": {\"is_exact\": true, \"share_same\": 0.25, "
        "\"mean_matched_cosine\": 0.41, \"features_of_pairs\": {\"partner\": [2, 0, -1, "
        "1], "
        "\"cosine\": [0.9, 0.2, 0, 0.13]}}}");
    static const char *const words[] = {
        "First letters", "1,987 words", "412",       "0.93",        "0.81",       "13 %",
        "27 %",          "25",          "mean 0.41", "another SAE", "cosine with"};
    make_run(&small);
    const int64_t before = n_pages("{}");
    assert_int_equal(n_pages(letters), before + 2); /* with the page on the model */
    char *all = read_text();
    if (all == NULL) return;
    for (size_t i = 0; i < FC_LEN(words); i++)
        if (strstr(all, words[i]) == NULL) fail_msg("'%s' is not on any page", words[i]);
    assert_null(strstr(all, "99 %"));   /* of no judged word */
    assert_null(strstr(all, "hardly")); /* the probes are good */
    free(all);
}

static void weak_probes_are_said_to_say_little(void **state)
{
    (void)state;
    make_run(&small);
    (void)n_pages(OFFLINE("{\"absorption\": {\"probe_f1\": 0.2, \"letters\": "
                          "[{\"first_letter\": \"a\"}]}}"));
    char *all = read_text();
    assert_true(all == NULL || strstr(all, "hardly") != NULL);
    free(all);
}

static void whatever_eval_json_holds_there_is_a_report(void **state)
{
    (void)state;
    static const char *const contents[] = {
        OFFLINE("7"),
        OFFLINE("{\"absorption\": [], \"stability\": 3}"),
        OFFLINE("{\"absorption\": {\"letters\": {\"a\": 1}}}"),
        OFFLINE("{\"absorption\": {\"letters\": [1, null, {}, {\"first_letter\": 5}, "
                "{\"first_letter\": \"ab\"}, {\"first_letter\": \"\"}]}}"),
        OFFLINE("{\"absorption\": {\"words\": -1e300, \"letters\": [{\"first_letter\": "
                "\"q\", \"words\": 1e300, \"split_features\": [99999999999], "
                "\"k_sparse_f1\": [\"x\"], \"num_probe_true_positives\": 1e308}]}}"),
        OFFLINE("{\"absorption\": {\"letters\": [{\"first_letter\": \"q\", "
                "\"split_features\": [-1]}]}}"),
        OFFLINE("{\"stability\": {\"features_of_pairs\": {\"partner\": [1], \"cosine\": "
                "[1e300, -1e300, \"x\"]}}}"),
        OFFLINE("{\"stability\": {\"share_same\": 1e300, \"mean_matched_cosine\": null, "
                "\"features_of_pairs\": {\"partner\": [1, 2, 3], \"cosine\": [0.5]}}}"),
        OFFLINE("{\"stability\": {\"features_of_pairs\": {\"partner\": [-1], \"cosine\": "
                "[0.5]}}}"),
    };
    make_run(&small);
    for (size_t i = 0; i < FC_LEN(contents); i++) assert_true(n_pages(contents[i]) > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_and_pairs_are_shown_with_their_numbers),
        cmocka_unit_test(weak_probes_are_said_to_say_little),
        cmocka_unit_test(whatever_eval_json_holds_there_is_a_report),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
