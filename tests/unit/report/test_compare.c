/* test_compare.c - several runs side by side: what is shown, hostile names and texts, faults.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "browser.h"
#include "pdf_words.h"
#include "report/compare.h"
#include "report_run.h"

enum { MOST_RUNS = 9 };

static char base[FC_PATH_MAX], folder[MOST_RUNS][FC_PATH_MAX];
static const char *folders[MOST_RUNS];

static const text tokens[] = {{" January", 0}, {" of", 0}, {"7", 0}, {"<script>x", 0}};
static const spec small = {9, 5, 3, tokens, FC_LEN(tokens), "Treaty"};

static const char metrics[] = "step,epoch,total,mse,l1,l0,dead,lr\n"
                              "100,0.1,0.5,0.4,10,50,0,0.001\n"
                              "200,0.2,0.3,,nan,20,1,0.002\n"
                              "300,0.3,0.2,0.1,1,10,2,0.001";

static int make_base(void **state)
{
    const int status = make_dir(state);
    memcpy(base, dir, sizeof base);
    return status;
}

static int remove_base(void **state)
{
    memcpy(dir, base, sizeof dir);
    return remove_dir(state);
}

/* A run folder of that name; `dir` is the base again after it. */
static void add_run(int i, const char *name, const spec *s, const char *l1, double loss)
{
    char content[1024];
    fc_err err;
    fc_test_path(folder[i], base, name);
    folders[i] = folder[i];
    fc_assert_ok(fc_dir_make(folder[i], &err), &err);
    memcpy(dir, folder[i], sizeof dir);
    make_run(s);
    add_file("metrics.csv", metrics);
    snprintf(content, sizeof content,
             "{\"commands\": [{\"command\": \"train\", \"started\": "
             "\"2026-01-02T03:04:05Z\", \"seconds\": 75, \"inputs\": [], \"config\": "
             "{\"arch\": \"standard\", \"l1_coefficient\": %s, \"lr\": 0.001}, "
             "\"result\": {}}]}",
             l1);
    add_file("manifest.json", content);
    snprintf(content, sizeof content,
             "{\"eval_result_metrics\": {\"model_performance_preservation\": "
             "{\"ce_loss_score\": %g}}}",
             loss);
    if (loss > 0) add_file("eval.json", content);
    memcpy(dir, base, sizeof dir);
}

static fc_compare_result compare(int64_t n)
{
    fc_compare_result result;
    fc_err err;
    fc_assert_ok(fc_compare_runs(folders, n, base, &result, &err), &err);
    return result;
}

static char *read_whole(const char *name)
{
    char path[FC_PATH_MAX];
    size_t n;
    fc_test_path(path, base, name);
    return fc_test_read(path, &n);
}

/* --- what is shown ---------------------------------------------------------------------- */

static void a_comparison_shows_numbers_settings_curves_and_concepts(void **state)
{
    (void)state;
    static const char *const files[] = {"pareto", "curves", "frequencies", "concepts"},
                             *const kinds[] = {"png", "svg", "csv"};
    char path[FC_PATH_MAX], name[64];
    add_run(0, "seed", &small, "3e-4", 0.97);
    add_run(1, "modern", &small, "2e-3", 0.5);
    const fc_compare_result result = compare(2);
    assert_int_equal(result.n_runs, 2);
    assert_int_equal(result.n_pages, 4);
    for (size_t i = 0; i < FC_LEN(files); i++)
        for (size_t k = 0; k < FC_LEN(kinds); k++) {
            snprintf(name, sizeof name, "figures/%s.%s", files[i], kinds[k]);
            fc_test_path(path, base, name);
            assert_true(fc_file_size(path) > 100 || k == 2);
        }
    char *csv = read_whole("figures/pareto.csv");
    assert_non_null(strstr(csv, "\"seed\",\"standard\",9,"));
    assert_non_null(strstr(csv, ",0.97,"));
    free(csv);
    char *page = read_whole("compare.html");
    assert_non_null(strstr(page, "\"report\":\"\"")); /* the runs have no page */
    assert_non_null(strstr(page, "l1_coefficient"));
    assert_null(strstr(page, "\"name\":\"lr\"")); /* the same in both */
    assert_non_null(strstr(page, "97.0\\u00A0%"));
    free(page);
    check_words("compare.pdf");
}

static void runs_of_one_name_are_told_apart_by_their_folders(void **state)
{
    (void)state;
    add_run(0, "a/run", &small, "1", 0);
    add_run(1, "b/run", &small, "1", 0);
    compare(2);
    char *page = read_whole("compare.html");
    assert_non_null(strstr(page, "\"name\":\"a/run\""));
    assert_non_null(strstr(page, "\"name\":\"b/run\""));
    free(page);
    folders[1] = folders[0];
    compare(2);
    page = read_whole("compare.html");
    assert_non_null(strstr(page, "\"name\":\"1 "));
    assert_non_null(strstr(page, "\"name\":\"2 "));
    free(page);
}

static void a_run_with_a_page_is_linked_from_the_comparison(void **state)
{
    (void)state;
    fc_compare_result result;
    fc_err err;
    char out[FC_PATH_MAX], path[FC_PATH_MAX];
    size_t n;
    add_run(0, "runs/one", &small, "1", 0);
    add_run(1, "runs/two", &small, "2", 0);
    fc_test_path(path, folder[1], "report.html");
    fc_test_write(path, "x", 1);
    fc_test_path(out, base, "runs/both/");
    fc_assert_ok(fc_compare_runs(folders, 2, out, &result, &err), &err);
    char *page = fc_test_read(result.page, &n);
    assert_non_null(strstr(page, "\"report\":\"../two/report.html\""));
    free(page);
}

static void the_same_runs_give_the_same_bytes(void **state)
{
    (void)state;
    char a[FC_PATH_MAX], b[FC_PATH_MAX];
    static const char *const names[] = {"compare.pdf", "compare.html",
                                        "figures/pareto.png", "figures/concepts.png"};
    add_run(0, "one", &small, "1", 0.9);
    add_run(1, "two", &small, "2", 0);
    compare(2);
    for (size_t i = 0; i < FC_LEN(names); i++) {
        size_t n, n_again;
        fc_test_path(a, base, names[i]);
        char *first = fc_test_read(a, &n);
        compare(2);
        fc_test_path(b, base, names[i]);
        char *again = fc_test_read(b, &n_again);
        assert_int_equal(n, n_again);
        assert_memory_equal(first, again, n);
        free(first);
        free(again);
    }
}

/* --- little, much, hostile -------------------------------------------------------------- */

static void runs_with_little_in_them_are_compared(void **state)
{
    (void)state;
    static const spec none = {3, 0, 0, tokens, 1, "none live"};
    char path[FC_PATH_MAX];
    add_run(0, "empty", &none, "1", 0);
    add_run(1, "bare", &small, "1", 0);
    fc_test_path(path, folder[1], "manifest.json");
    assert_int_equal(remove(path), 0);
    fc_test_path(path, folder[1], "metrics.csv");
    assert_int_equal(remove(path), 0);
    compare(2);
    check_words("compare.pdf");
}

static void eight_runs_of_hostile_names_keep_to_their_places(void **state)
{
    (void)state;
    static const char *const names[] = {
        "</script><script>alert(1)<",
        "a \"quoted\", name",
        "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d",
        "\xff\xfe broken",
        "a-name-that-is-longer-than-any-column-of-the-table-has-room-for",
        "new\nline",
        "\xe6\x9d\xb1\xe4\xba\xac",
        "{{json}}"};
    for (int i = 0; i < 8; i++) {
        char name[256], l1[32];
        size_t n = (size_t)snprintf(name, sizeof name, "%s", names[i]);
        for (size_t k = 0; k < n; k++) name[k] = name[k] == '/' ? '|' : name[k];
        snprintf(l1, sizeof l1, "%d.5", i);
        add_run(i, name, &small, l1, 0.1 * (i + 1));
    }
    compare(8);
    check_words("compare.pdf");
    char *page = read_whole("compare.html");
    assert_null(strstr(page, "<script>alert"));
    assert_non_null(strstr(page, "{{json}}")); /* data is not a template */
    free(page);
}

static void the_page_opens_in_a_browser_without_complaint(void **state)
{
    (void)state;
    char profile[FC_PATH_MAX], url[FC_PATH_MAX + 32];
    fc_browser tab = {0};
    fc_err err;
    if (fc_browser_path() == NULL) skip();
    add_run(0, "one", &small, "1", 0.9);
    add_run(1, "</script><b>two", &small, "2", 0.8);
    const fc_compare_result result = compare(2);
    fc_test_dir_make(profile);
    fc_browser_open(&tab, profile);
    fc_browser_screen(&tab, 1440, 1000, false, false);
    snprintf(url, sizeof url, "file://%s", result.page);
    fc_browser_visit(&tab, url);
    fc_browser_wait(&tab, "window.facet?.ready");
    fc_assert_page(&tab, "document.querySelectorAll('circle.point').length", "4");
    fc_assert_page(&tab, "document.querySelectorAll('tbody').length", "3");
    fc_assert_page(&tab, "document.querySelectorAll('polyline.curve').length", "8");
    fc_assert_page(&tab, "document.querySelectorAll('#page b').length", "0");
    assert_string_equal(tab.complaints, "");
    assert_int_equal(tab.n_requests, 0);
    fc_assert_ok(fc_dir_make("page-pictures", &err), &err);
    fc_browser_picture(&tab, "page-pictures/compare-desktop.png");
    fc_browser_screen(&tab, 390, 844, true, true);
    fc_browser_picture(&tab, "page-pictures/compare-phone-dark.png");
    fc_browser_close(&tab);
    fc_test_dir_remove(profile);
}

static void what_cannot_be_compared_is_refused(void **state)
{
    (void)state;
    fc_compare_result result;
    fc_err err;
    for (int i = 0; i < MOST_RUNS; i++) add_run(i, "one", &small, "1", 0);
    fc_assert_fails(fc_compare_runs(folders, 1, base, &result, &err), &err, FC_USAGE,
                    "2 to 8");
    fc_assert_fails(fc_compare_runs(folders, 9, base, &result, &err), &err, FC_USAGE,
                    "2 to 8");
    folders[1] = "/nowhere";
    fc_assert_fails(fc_compare_runs(folders, 2, base, &result, &err), &err, FC_IO,
                    "/nowhere/features.db");
}

/* --- faults ----------------------------------------------------------------------------- */

static fc_status compare_once(void *ctx, fc_err *err)
{
    fc_compare_result result;
    (void)ctx;
    return fc_compare_runs(folders, 2, base, &result, err);
}

static void check_nothing_partial(void *ctx)
{
    static const char *const places[] = {"", "figures"};
    (void)ctx;
    for (size_t f = 0; f < FC_LEN(places); f++) {
        char path[FC_PATH_MAX];
        fc_names names = {0};
        fc_err err;
        fc_test_path(path, base, places[f]);
        if (!fc_path_is_dir(path)) continue;
        fc_assert_ok(fc_dir_list(&names, path, &err), &err);
        for (int64_t i = 0; i < names.n; i++)
            if (strstr(names.name[i], ".tmp")) fail_msg("%s is left", names.name[i]);
        fc_names_free(&names);
    }
}

static const spec tiny = {2, 1, 1, tokens, 1, "tiny"};

static void a_failed_write_leaves_nothing_partial(void **state)
{
    (void)state;
    add_run(0, "one", &tiny, "1", 0.9);
    add_run(1, "two", &tiny, "2", 0);
    assert_true(fc_test_sweep_write(compare_once, check_nothing_partial, NULL) >= 10);
}

/* Every 17th allocation only: a comparison takes a tenth of a second. */
static void a_failed_allocation_leaves_nothing_partial(void **state)
{
    (void)state;
    fc_status status = FC_NOMEM;
    int64_t n_faults = 0;
    add_run(0, "one", &tiny, "1", 0.9);
    add_run(1, "two", &tiny, "2", 0);
    for (int64_t n = 1; status != FC_OK; n += 17, n_faults++) {
        fc_err err = {0};
        fc_alloc_fail_at(n);
        status = compare_once(NULL, &err);
        fc_alloc_fail_at(0);
        if (status != FC_OK && status != FC_NOMEM)
            fail_msg("fault %d: %s", (int)n, err.text);
        check_nothing_partial(NULL);
    }
    assert_true(n_faults > 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_base, remove_base)
    const struct CMUnitTest tests[] = {
        TEST(a_comparison_shows_numbers_settings_curves_and_concepts),
        TEST(runs_of_one_name_are_told_apart_by_their_folders),
        TEST(a_run_with_a_page_is_linked_from_the_comparison),
        TEST(the_same_runs_give_the_same_bytes),
        TEST(runs_with_little_in_them_are_compared),
        TEST(eight_runs_of_hostile_names_keep_to_their_places),
        TEST(the_page_opens_in_a_browser_without_complaint),
        TEST(what_cannot_be_compared_is_refused),
        TEST(a_failed_write_leaves_nothing_partial),
        TEST(a_failed_allocation_leaves_nothing_partial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
