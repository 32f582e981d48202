/* test_report_layout.c - words of report.pdf keep to the page and off each other, whatever a run says.
 *
 * The words and their boxes are those that `pdftotext -bbox` finds; without it only the number of
 * pages is checked.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pdf_words.h"
#include "report/report.h"
#include "report_run.h"

/* --- runs ------------------------------------------------------------------------------- */

static char endless[900], wide[3000];

static const char *const descriptions[] = {
    "`,`",
    endless,
    "",
    "mixed; strongest on tokens before `…ed`, `…ged`, `…ined`, `…ared` or first digits "
    "of "
    "a number with thousands commas, in headings and brackets",
    "```` ` `unpaired",
    "`\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d` after `\xe2\x80\xae` and "
    "`\xe6\x9d\xb1\xe4\xba\xac`",
    "a\nb\tc\x01 \xff\xfe `\xf0\x9f\x9a\x80`"};

static const char metrics[] = "step,epoch,total,mse,l1,l0,dead,lr\n"
                              "100,0.1,0.5,0.4,10,50,0,0.001\n"
                              "200,0.2,0.3,,nan,20,1,0.002\n";

static const text hostile[] = {{"<script>alert(1)</script>", 0},
                               {" a\0b", 4},
                               {"\xff\xfe\x80", 3},
                               {"\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d", 0},
                               {" \xe2\x80\xae"
                                "evil\xe2\x81\xa6",
                                0},
                               {"\u2028\u2029\r\n\t", 0},
                               {wide, sizeof wide},
                               {"\xf0\x9f\x9a", 3},
                               {"\xe6\x9d\xb1\xe4\xba\xac\xe3\x81\xaf", 0},
                               {" internationalisation", 0},
                               {"\xf0\x9f\x9a\x80", 0},
                               {" ", 1}};

static int make_texts(void **state)
{
    memset(wide, 'w', sizeof wide - 1);
    for (size_t i = 0; i + 10 < sizeof endless; i += 10)
        memcpy(endless + i, i % 30 ? "words and " : "`token` or ", 10);
    return make_dir(state);
}

static int64_t report_pages(const char *features)
{
    fc_report_config config;
    fc_report_result result;
    fc_err err;
    fc_report_defaults(&config);
    config.has_page = false;
    config.top = 0;
    snprintf(config.features, sizeof config.features, "%s", features);
    fc_assert_ok(fc_report(&config, dir, &result, &err), &err);
    return result.n_pages;
}

/* --- tests ------------------------------------------------------------------------------ */

static void no_word_lies_over_another_or_outside(void **state)
{
    (void)state;
    static const meaning all = {descriptions, FC_LEN(descriptions)},
                         first = {descriptions, 1};
    const struct {
        spec spec;
        const meaning *meaning;
    } cases[] = {
        {{8, 6, 3, plain, FC_LEN(plain), "Treaty"}, &first},
        {{14, 14, 12, hostile, FC_LEN(hostile), "</title>\xff\n\xe2\x80\xae"}, &all},
        {{14, 14, 12, hostile, FC_LEN(hostile), wide}, NULL},
        {{2, 1, 0, plain, 1, ""}, &all},
        {{3, 0, 0, plain, 1, "none live"}, NULL}};
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        make_meant_run(&cases[i].spec, cases[i].meaning);
        add_file("metrics.csv", metrics);
        if (i == 1) /* one number more at the head of page 1 */
            add_file("eval.json",
                     "{\"eval_result_metrics\": {\"model_performance_preservation\": "
                     "{\"ce_loss_score\": 0.875}}}");
        report_pages("");
        check_words("report.pdf");
    }
}

static void two_cards_fit_on_a_page_whatever_they_hold(void **state)
{
    (void)state;
    const spec s = {14, 14, 60, hostile, FC_LEN(hostile), "two"};
    const meaning cases[] = {{descriptions, FC_LEN(descriptions)},
                             {&descriptions[1], 1},  /* endless */
                             {&descriptions[3], 1}}; /* two lines */
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        make_meant_run(&s, &cases[i]);
        assert_int_equal(report_pages("") - report_pages("0,1"), 6);
    }
}

static void a_feature_that_is_named_twice_has_one_card(void **state)
{
    (void)state;
    const spec s = {2, 2, 3, plain, FC_LEN(plain), "twice"};
    make_run(&s);
    assert_int_equal(report_pages("1,1,1,1,1"), report_pages("1"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_texts, remove_dir)
    const struct CMUnitTest tests[] = {
        TEST(no_word_lies_over_another_or_outside),
        TEST(two_cards_fit_on_a_page_whatever_they_hold),
        TEST(a_feature_that_is_named_twice_has_one_card),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
