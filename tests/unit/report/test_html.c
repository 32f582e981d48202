/* test_html.c - report.html as a file: written or left out, the same each time, closed to the
 * outside, and never half written. What a browser makes of it is in test_html_browser.c.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/html.h"
#include "report/html_parts.h"
#include "report/html_strings.h"
#include "report/report.h"
#include "report_run.h"

static const spec small = {4, 2, 3, plain, FC_LEN(plain), "Treaty"};
static const spec tiny = {2, 1, 1, plain, 1, "tiny"};

static fc_status save_page(void *ctx, fc_err *err)
{
    char path[FC_PATH_MAX];
    fc_report_data data = {0};
    fc_report_config config;
    (void)ctx;
    fc_report_defaults(&config);
    FC_TRY(fc_report_load(&data, &config, dir, err));
    fc_test_path(path, dir, "report.html");
    const fc_status status = fc_html_save(&data, path, err);
    fc_report_unload(&data);
    return status;
}

/* The page of a run; free() it. */
static char *page_of(const spec *s)
{
    char path[FC_PATH_MAX];
    size_t n;
    fc_err err;
    make_run(s);
    fc_assert_ok(save_page(NULL, &err), &err);
    fc_test_path(path, dir, "report.html");
    return fc_test_read(path, &n);
}

static void a_report_has_a_page_unless_it_is_declined(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    fc_report_config config;
    fc_report_result result;
    fc_err err;
    make_run(&tiny);
    fc_test_path(path, dir, "report.html");
    fc_report_defaults(&config);
    config.has_page = false;
    fc_assert_ok(fc_report(&config, dir, &result, &err), &err);
    assert_false(fc_path_exists(path));
    assert_string_equal(result.page, "");
    config.has_page = true;
    fc_assert_ok(fc_report(&config, dir, &result, &err), &err);
    assert_true(fc_path_exists(path));
    assert_string_equal(result.page, path);
}

static void the_same_run_gives_the_same_page(void **state)
{
    (void)state;
    add_file("metrics.csv", "step,epoch,total,mse,l1,l0,dead,lr\n1,0,2,1,1,9,0,0.1\n");
    char *first = page_of(&small), *second = page_of(&small);
    assert_string_equal(first, second);
    free(first);
    free(second);
}

static void a_page_forbids_and_names_nothing_outside_itself(void **state)
{
    (void)state;
    static const char *const policy[] = {"default-src 'none'", "script-src 'sha256-",
                                         "style-src 'sha256-",
                                         "img-src data:", "base-uri 'none'"};
    char *page = page_of(&small);
    for (size_t i = 0; i < FC_LEN(policy); i++) assert_non_null(strstr(page, policy[i]));
    assert_null(strstr(page, "unsafe-"));
    assert_null(strstr(page, "https://"));
    for (const char *at = page; (at = strstr(at, "http://")) != NULL; at++)
        assert_int_equal(strncmp(at, "http://www.w3.org/2000/svg", 26), 0); /* a name */
    assert_null(strstr(page, "{{"));
    free(page);
}

static void the_sources_of_the_page_cannot_end_their_elements(void **state)
{
    (void)state;
    assert_string_equal(fc_html_part_names(),
                        "compare.html, compare.js, data.js, page.css, "
                        "page.html, page.js");
    assert_null(fc_html_part_text("page"));
    static const char *const scripts[] = {"compare.js", "data.js", "page.js"};
    for (size_t i = 0; i < FC_LEN(scripts); i++) {
        assert_null(strstr(fc_html_part_text(scripts[i]), "</script"));
        assert_null(strstr(fc_html_part_text(scripts[i]), "<!--"));
        assert_null(strstr(fc_html_part_text(scripts[i]), "innerHTML"));
    }
    assert_null(strstr(fc_html_part_text("page.css"), "</style"));
}

/* The title is the only text of the run outside its deflated blocks. */
static void names_of_the_run_are_escaped(void **state)
{
    (void)state;
    fc_features_out *out = NULL;
    char path[FC_PATH_MAX];
    size_t n;
    fc_err err;
    fc_test_path(path, dir, "features.db");
    fc_assert_ok(fc_features_create(&out, path, &err), &err);
    fc_assert_ok(fc_features_put_text(out, "hook", "</title><script>a&\"", &err), &err);
    fc_assert_ok(fc_features_put_integer(out, "d_sae", 0, &err), &err);
    fc_assert_ok(fc_features_commit(out, &err), &err);
    fc_features_discard(out);
    fc_assert_ok(save_page(NULL, &err), &err);
    fc_test_path(path, dir, "report.html");
    char *page = fc_test_read(path, &n);
    assert_non_null(strstr(page,
                           "<title>Features of &#60;/title&#62;&#60;script&#62;a&#38;"
                           "&#34;</title>"));
    free(page);
}

static void texts_are_numbered_as_they_come(void **state)
{
    (void)state;
    fc_strings strings = {0};
    fc_err err;
    for (int round = 0; round < 2; round++)
        for (int64_t i = 0; i < 1000; i++) {
            char name[32];
            int64_t number, n_bytes;
            const int n = snprintf(name, sizeof name, "%x", (unsigned)(i * i));
            fc_assert_ok(fc_strings_number(&strings, name, i == 0 ? 0 : n, &number, &err),
                         &err);
            assert_int_equal(number, i);
            const char *kept = fc_strings_get(&strings, number, &n_bytes);
            assert_int_equal(n_bytes, i == 0 ? 0 : n);
            assert_memory_equal(kept, name, (size_t)n_bytes);
        }
    assert_int_equal(strings.n, 1000);
    fc_strings_free(&strings);
}

static void check_nothing_partial(void *ctx)
{
    (void)ctx;
    assert_int_equal(fc_test_count_entries(dir), 1); /* features.db */
}

static void a_failed_allocation_or_write_leaves_no_page(void **state)
{
    (void)state;
    make_run(&tiny);
    assert_true(fc_test_sweep_write(save_page, check_nothing_partial, NULL) >= 3);
    fc_err err;
    char path[FC_PATH_MAX];
    fc_test_path(path, dir, "report.html");
    fc_assert_ok(fc_file_remove(path, &err), &err);
    assert_true(fc_test_sweep_alloc(save_page, check_nothing_partial, NULL) > 30);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        TEST(a_report_has_a_page_unless_it_is_declined),
        TEST(the_same_run_gives_the_same_page),
        TEST(a_page_forbids_and_names_nothing_outside_itself),
        TEST(the_sources_of_the_page_cannot_end_their_elements),
        TEST(names_of_the_run_are_escaped),
        TEST(texts_are_numbered_as_they_come),
        TEST(a_failed_allocation_or_write_leaves_no_page),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
