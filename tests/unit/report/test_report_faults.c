/* test_report_faults.c - a report that fails leaves only whole files; fonts that are missing are told.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "report/report.h"
#include "report_run.h"

/* --- faults ----------------------------------------------------------------------------- */

static fc_status report_once(void *ctx, fc_err *err)
{
    fc_report_config config;
    fc_report_result result;
    (void)ctx;
    fc_report_defaults(&config);
    config.top = 1;
    return fc_report(&config, dir, &result, err);
}

/* Only whole files: no temporary one, here or among the figures. */
static void check_nothing_partial(void *ctx)
{
    static const char *const folders[] = {"", "figures"};
    (void)ctx;
    for (size_t f = 0; f < FC_LEN(folders); f++) {
        char path[FC_PATH_MAX];
        fc_names names = {0};
        fc_err err;
        fc_test_path(path, dir, folders[f]);
        if (!fc_path_is_dir(path)) continue;
        fc_assert_ok(fc_dir_list(&names, path, &err), &err);
        for (int64_t i = 0; i < names.n; i++)
            if (strstr(names.name[i], ".tmp")) fail_msg("%s is left", names.name[i]);
        fc_names_free(&names);
    }
}

static const spec tiny = {2, 1, 1, plain, 1, "tiny"};

static void a_failed_write_leaves_nothing_partial(void **state)
{
    (void)state;
    make_run(&tiny);
    assert_true(fc_test_sweep_write(report_once, check_nothing_partial, NULL) >= 16);
}

/* Every 13th allocation only: a report takes a tenth of a second. */
static void a_failed_allocation_leaves_nothing_partial(void **state)
{
    (void)state;
    fc_status status = FC_NOMEM;
    int64_t n_faults = 0;
    make_run(&tiny);
    for (int64_t n = 1; status != FC_OK; n += 13, n_faults++) {
        fc_err err = {0};
        fc_alloc_fail_at(n);
        status = report_once(NULL, &err);
        fc_alloc_fail_at(0);
        if (status != FC_OK && status != FC_NOMEM)
            fail_msg("fault %d: %s", (int)n, err.text);
        check_nothing_partial(NULL);
    }
    assert_true(n_faults > 10);
}

static const char *self; /* path of this program */
static int64_t n_warnings;

static void count_warning(void *ctx, fc_log_level level, const char *message)
{
    (void)ctx;
    n_warnings += level == FC_LOG_WARN && strstr(message, "Inter") != NULL;
}

/* In a process of its own, since fontconfig reads its configuration once. */
static void a_missing_font_is_told_once_and_no_font_is_an_error(void **state)
{
    (void)state;
    fc_report_config config;
    fc_report_result result;
    fc_err err;
    make_run(&tiny);
    fc_log_set_sink((fc_log_sink){.message = count_warning});
    fc_report_defaults(&config);
    const fc_status status = fc_report(&config, dir, &result, &err);
    fc_log_set_sink((fc_log_sink){0});
    const char *expected = getenv("FACET_TEST_FONTS");
    if (expected != NULL && strcmp(expected, "none") == 0) {
        fc_assert_fails(status, &err, FC_IO, "no font is installed");
        return;
    }
    fc_assert_ok(status, &err);
    assert_in_range(n_warnings, 0, 1);
    if (expected != NULL) assert_int_equal(n_warnings, 1);
}

/* The test above in a new process that sees only the fonts of `folder`. */
static void run_with_fonts(const char *folder, const char *expected)
{
    char command[3 * FC_PATH_MAX], conf[2 * FC_PATH_MAX];
    snprintf(conf, sizeof conf,
             "<?xml version='1.0'?><!DOCTYPE fontconfig SYSTEM 'fonts.dtd'><fontconfig>"
             "<dir>%s</dir><cachedir>%s/cache</cachedir></fontconfig>",
             folder, dir);
    add_file("fonts.conf", conf);
    snprintf(command, sizeof command,
             "FACET_TEST_FONTS=%s FONTCONFIG_FILE='%s/fonts.conf' '%s' >/dev/null 2>&1",
             expected, dir, self);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
}

static void other_fonts_and_none_are_told(void **state)
{
    static const char dejavu[] = "/usr/share/fonts/truetype/dejavu";
    (void)state;
    run_with_fonts(dir, "none");
    if (fc_path_is_dir(dejavu)) run_with_fonts(dejavu, "other");
}

int main(int argc, char **argv)
{
    (void)argc;
    self = argv[0];
    const struct CMUnitTest fonts[] = {cmocka_unit_test_setup_teardown(
        a_missing_font_is_told_once_and_no_font_is_an_error, make_dir, remove_dir)};
    if (getenv("FACET_TEST_FONTS") != NULL)
        return cmocka_run_group_tests_name("fonts", fonts, NULL, NULL);
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        TEST(a_failed_write_leaves_nothing_partial),
        TEST(a_failed_allocation_leaves_nothing_partial),
        TEST(other_fonts_and_none_are_told),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
