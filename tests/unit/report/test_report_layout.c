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

#include "report/report.h"
#include "report_run.h"

enum { MOST_WORDS = 4000, TEXT_LENGTH = 24 };

typedef struct word {
    double x0, y0, x1, y1;
    char text[TEXT_LENGTH];
} word;

static word words[MOST_WORDS]; /* of one page */

/* --- what is on a page ------------------------------------------------------------------ */

static char *read_boxes(void)
{
    char command[2 * FC_PATH_MAX + 64], path[FC_PATH_MAX];
    size_t n;
    if (system("command -v pdftotext >/dev/null 2>&1") != 0) /* NOLINT(cert-env33-c) */
        return NULL;
    fc_test_path(path, dir, "boxes");
    snprintf(command, sizeof command, "pdftotext -bbox '%s/report.pdf' '%s' 2>/dev/null",
             dir, path);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
    return fc_test_read(path, &n);
}

static bool read_word(word *w, const char *line)
{
    static const char *const names[] = {"xMin=\"", "yMin=\"", "xMax=\"", "yMax=\""};
    double *const values[] = {&w->x0, &w->y0, &w->x1, &w->y1};
    if (strncmp(line, "<word ", 6) != 0) return false;
    for (size_t i = 0; i < FC_LEN(names); i++) {
        const char *at = strstr(line, names[i]);
        assert_non_null(at);
        *values[i] = strtod(at + strlen(names[i]), NULL);
    }
    snprintf(w->text, sizeof w->text, "%s", strchr(line, '>') + 1);
    return true;
}

/* Where letters are for certain: fonts of other scripts claim much more above and below. */
static word core_of(const word *w)
{
    const double h = w->y1 - w->y0;
    word core = *w;
    core.x0 += 0.6;
    core.x1 -= 0.6;
    core.y0 += 0.3 * h;
    core.y1 -= 0.2 * h;
    return core;
}

static void check_page(int page, int n)
{
    const double left = 50, right = 595 - 50, bottom = 842 - 26;
    for (int i = 0; i < n; i++) {
        const word a = core_of(&words[i]);
        if (a.x1 <= a.x0) continue; /* a mark of no width */
        if (a.x0 < left || a.x1 > right || a.y0 < 40 || a.y1 > bottom)
            fail_msg("page %d: '%s' lies outside", page, a.text);
        for (int k = i + 1; k < n; k++) {
            const word b = core_of(&words[k]);
            if (fmin(a.x1, b.x1) > fmax(a.x0, b.x0) &&
                fmin(a.y1, b.y1) > fmax(a.y0, b.y0))
                fail_msg("page %d: '%s' lies over '%s' at %.0f %.0f", page, a.text,
                         b.text, b.x0, b.y0);
        }
    }
}

static void check_pages(void)
{
    char *boxes = read_boxes(), *rest = boxes;
    int page = 0, n = 0;
    for (char *line; boxes != NULL && (line = strtok_r(rest, "\n", &rest)) != NULL;) {
        while (*line == ' ') line++;
        if (strncmp(line, "<page ", 6) == 0) page++, n = 0;
        if (n < MOST_WORDS && read_word(&words[n], line)) n++;
        if (strncmp(line, "</page>", 7) == 0) check_page(page, n);
    }
    free(boxes);
}

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
        report_pages("");
        check_pages();
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
