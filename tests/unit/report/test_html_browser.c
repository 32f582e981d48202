/* test_html_browser.c - report.html in a real browser: it opens, searches, sorts, follows links and
 * keys, shows hostile text as text, and neither complains nor asks the network for anything.
 *
 * Skipped where there is no chromium. Pictures of what was seen are kept in page-pictures/ of the folder
 * that the test runs in; FACET_PAGE=file.html takes them of another page.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "browser.h"
#include "report/report.h"
#include "report_run.h"

static fc_browser tab;
static char profile[FC_PATH_MAX];

static int open_tab(void **state)
{
    (void)state;
    fc_test_dir_make(profile);
    if (fc_browser_path() == NULL) return 0;
    fc_browser_open(&tab, profile);
    fc_browser_screen(&tab, 1440, 1000, false, false);
    return 0;
}

static int close_tab(void **state)
{
    (void)state;
    if (tab.pid > 0) fc_browser_close(&tab);
    fc_test_dir_remove(profile);
    return 0;
}

static void need_chromium(void)
{
    if (tab.pid > 0) return;
    print_message("skipped: there is no chromium here (apt-get install chromium)\n");
    skip();
}

/* The page of a run, opened at a place of it. */
static void visit(const char *path, const char *place)
{
    char url[FC_PATH_MAX + 256];
    snprintf(url, sizeof url, "file://%s%s", path, place);
    tab.complaints[0] = 0;
    tab.n_requests = 0;
    fc_browser_visit(&tab,
                     "about:blank"); /* so that a place of the same page is opened anew */
    fc_browser_visit(&tab, url);
    fc_browser_wait(&tab, "window.facet?.timing.ready");
}

static void visit_run(const spec *s, const char *place)
{
    char path[FC_PATH_MAX];
    fc_report_config config;
    fc_report_result result;
    fc_err err;
    make_run(s);
    fc_report_defaults(&config);
    config.top = 1;
    fc_assert_ok(fc_report(&config, dir, &result, &err), &err);
    fc_test_path(path, dir, "report.html");
    visit(path, place);
}

static void assert_content(void)
{
    if (tab.complaints[0]) fail_msg("the page complains: %s", tab.complaints);
    assert_int_equal(tab.n_requests, 0);
}

#define TEXT(selector) "document.querySelector('" selector "').textContent.trim()"

static const spec small = {9, 5, 12, plain, FC_LEN(plain), "Treaty of Lausanne"};

static void a_page_opens_on_its_overview(void **state)
{
    (void)state;
    need_chromium();
    add_file("metrics.csv",
             "step,epoch,total,mse,l1,l0,dead,lr\n100,0.1,0.5,0.4,10,50,0,0.001\n"
             "200,0.2,0.3,,nan,20,1,0.002\n300,0.3,0.2,0.1,1,10,2,0.001\n");
    visit_run(&small, "");
    fc_assert_page(&tab, TEXT("#view-overview h1"), "Features of layers.1.mlp.down_proj");
    fc_assert_page(&tab, TEXT("#view-overview .numbers .value"), "87\u00a0%");
    fc_assert_page(&tab, "document.querySelectorAll('#view-overview .charts svg').length",
                   "6");
    fc_assert_page(&tab, TEXT("#n-live"), "5 live");
    fc_browser_point(&tab, ".map canvas", false); /* the middle of 3 x 3 cells */
    fc_browser_wait(&tab, "document.querySelector('.hint').textContent.startsWith('#4')");
    fc_browser_point(&tab, ".map canvas", true);
    fc_browser_wait(&tab, "location.hash === '#feature/4'");
    assert_content();
}

static void a_card_shows_contexts_by_strength(void **state)
{
    (void)state;
    need_chromium();
    visit_run(&small, "#feature/3");
    fc_assert_page(&tab, TEXT("#card h1 > span"), "#3");
    fc_assert_page(&tab, "document.querySelectorAll('#card .bars rect').length", "50");
    fc_assert_page(&tab, "document.querySelectorAll('#card [role=tab]').length", "6");
    fc_assert_page(&tab, "document.querySelectorAll('#card .ctx').length", "2");
    fc_assert_page(&tab, TEXT("#card .ctx .src"), "Treaty of Lausanne");
    fc_browser_point(&tab, "#card .peak", false);
    fc_browser_wait(&tab,
                    "document.getElementById('tip').textContent.includes('of max')");
    fc_browser_key(&tab, "ArrowRight");
    fc_browser_wait(&tab, TEXT("#card [aria-selected=true]") ".startsWith('80')");
    assert_content();
}

static void keys_and_links_lead_through_the_list(void **state)
{
    (void)state;
    need_chromium();
    visit_run(&small, "#features");
    fc_assert_page(&tab, TEXT("#rows .row .id"), "#4"); /* the strongest */
    fc_browser_key(&tab, "ArrowDown");
    fc_browser_key(&tab, "ArrowDown");
    fc_browser_key(&tab, "Enter");
    fc_browser_wait(
        &tab, "location.hash === '#feature/3' && document.querySelector('#card h1')");
    fc_browser_key(&tab, "j");
    fc_browser_wait(&tab, "location.hash === '#feature/2'");
    fc_browser_key(&tab, "Escape");
    fc_browser_wait(&tab, "location.hash === '#features'");
    fc_browser_point(&tab, "#grid-head [role=columnheader]:nth-child(1) button", true);
    fc_browser_wait(&tab, "location.hash === '#features?sort=id'");
    fc_browser_wait(&tab, TEXT("#rows .row .id") " === '#0'");
    fc_browser_key(&tab, "c");
    fc_browser_wait(&tab, "!document.getElementById('view-concepts').hidden");
    fc_browser_key(&tab, "?");
    fc_browser_wait(&tab, "document.getElementById('help').open");
    assert_content();
}

static void concepts_lead_to_their_features(void **state)
{
    (void)state;
    need_chromium();
    visit_run(&small, "#concepts");
    fc_assert_page(&tab, TEXT("#view-concepts tbody th bdi"), "months");
    fc_assert_page(&tab, TEXT("#view-concepts tbody .number:nth-child(4)"), "0.75");
    fc_browser_point(&tab, "#view-concepts tbody a", true);
    fc_browser_wait(
        &tab, "location.hash === '#feature/1' && document.querySelector('#card h1')");
    fc_browser_wait(&tab,
                    "document.querySelector('.rail').textContent.includes('months')");
    assert_content();
}

static void search_and_filters_narrow_the_list(void **state)
{
    (void)state;
    need_chromium();
    visit_run(&small, "#features");
    fc_browser_key(&tab, "/");
    fc_assert_page(&tab, "document.activeElement.id", "search");
    fc_browser_type(&tab, "#2");
    fc_browser_wait(&tab, "document.querySelectorAll('#rows .row').length === 1");
    fc_browser_key(&tab, "Escape");
    fc_browser_wait(&tab, "document.querySelectorAll('#rows .row').length === 5");
    fc_browser_type(&tab, "signed."); /* in contexts alone, across tokens */
    fc_browser_wait(&tab, "document.querySelector('#rows mark')");
    fc_assert_page(&tab, TEXT("#rows mark"), "signed.");
    fc_browser_key(&tab, "Escape");
    fc_assert_page(&tab, "location.hash = '#features?show=dead'", "#features?show=dead");
    fc_browser_wait(&tab, "document.getElementById('n-shown').textContent === '4 of 9'");
    fc_assert_page(&tab, "location.hash = '#features?q=nowhere'", "#features?q=nowhere");
    fc_browser_wait(&tab, "document.querySelector('#rows .notice')");
    assert_content();
}

static void places_that_do_not_exist_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *place, *said;
    } cases[] = {{"#feature/99", "There is no such feature"},
                 {"#feature/x", "There is no such feature"},
                 {"#feature/8", "Feature 8 is dead"},
                 {"#nothing", "There is no such page"}};
    need_chromium();
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        visit_run(&small, cases[i].place);
        fc_assert_page(&tab,
                       "[...document.querySelectorAll('.notice h1')].at(-1).textContent",
                       cases[i].said);
        assert_content();
    }
}

static void runs_with_little_in_them_have_a_page(void **state)
{
    (void)state;
    static const spec specs[] = {
        {1, 0, 0, plain, 1, ""}, {3, 3, 0, plain, 2, ""}, {65, 65, 1, plain, 3, "x"}};
    need_chromium();
    for (size_t i = 0; i < FC_LEN(specs); i++) {
        visit_run(&specs[i], "");
        fc_assert_page(&tab, "location.hash = '#feature/0'", "#feature/0");
        fc_browser_wait(&tab, "document.querySelector('#card h1')");
        assert_content();
    }
}

static void hostile_text_is_shown_as_text(void **state)
{
    (void)state;
    static const text hostile[] = {
        {"</script><script>document.title='owned'</script>", 0},
        {"<img src=x onerror=alert(1)>", 0},
        {"\xf0\x9f", 0},
        {"\x99\x82", 0}, /* with the one before: a face */
        {"\xff\xfe", 0},
        {"\0", 1},
        {"\u2028\u202e\u2066", 0},
        {"{{script}}\"'`\\", 0},
    };
    static const spec s = {3, 2, 8, hostile, FC_LEN(hostile), "<b>\u202etitle</b>\""};
    need_chromium();
    visit_run(&s, "#feature/1");
    fc_assert_page(&tab, "document.title", "Feature 1 of layers.1.mlp.down_proj");
    fc_assert_page(&tab, "document.querySelectorAll('img, #card script, #card b').length",
                   "0");
    fc_browser_wait(
        &tab,
        "document.querySelector('#card .contexts').textContent.includes('<img src=x')");
    fc_browser_wait(&tab,
                    "document.querySelector('#card').textContent.includes('\\u{1f642}')");
    fc_browser_wait(&tab,
                    "document.querySelector('#card').textContent.includes('\\u2400')");
    fc_browser_wait(&tab, "!/[\\0\\u2028\\u202e\\u2066]/.test(document.body.innerText)");
    fc_assert_page(&tab, TEXT("#card .src"), "<b>\u25abtitle</b>\"");
    assert_content();
}

/* ---- pictures ---- */

static void take_pictures(const char *suffix, int width, int height, bool is_phone,
                          bool is_dark)
{
    static const struct {
        const char *name, *place;
    } places[] = {{"overview", "#overview"},
                  {"list", "#features"},
                  {"card", NULL},
                  {"concepts", "#concepts"}};
    fc_browser_screen(&tab, width, height, is_phone, is_dark);
    for (size_t i = 0; i < FC_LEN(places); i++) {
        char expression[256], path[FC_PATH_MAX];
        snprintf(expression, sizeof expression, "location.hash = %s%s%s, 'done'",
                 places[i].place ? "'" : "`#feature/${facet.state.shown[0] ?? 0}`",
                 places[i].place ? places[i].place : "", places[i].place ? "'" : "");
        fc_assert_page(&tab, expression, "done");
        free(fc_browser_ask(&tab, "new Promise((done) => setTimeout(done, 250))"));
        snprintf(path, sizeof path, "page-pictures/%s-%s.png", places[i].name, suffix);
        fc_browser_picture(&tab, path);
    }
}

static void pictures_are_taken_wide_and_narrow_light_and_dark(void **state)
{
    (void)state;
    fc_err err;
    const char *page = getenv("FACET_PAGE");
    need_chromium();
    fc_assert_ok(fc_dir_make("page-pictures", &err), &err);
    if (page != NULL)
        visit(page, "");
    else
        visit_run(&small, "");
    take_pictures("desktop", 1440, 1000, false, false);
    take_pictures("dark", 1440, 1000, false, true);
    take_pictures("phone", 390, 844, true, false);
    take_pictures("phone-dark", 390, 844, true, true);
    fc_assert_page(&tab, "document.documentElement.scrollWidth <= innerWidth", "true");
    assert_content();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        TEST(a_page_opens_on_its_overview),
        TEST(a_card_shows_contexts_by_strength),
        TEST(keys_and_links_lead_through_the_list),
        TEST(concepts_lead_to_their_features),
        TEST(search_and_filters_narrow_the_list),
        TEST(places_that_do_not_exist_are_told),
        TEST(runs_with_little_in_them_have_a_page),
        TEST(hostile_text_is_shown_as_text),
        TEST(pictures_are_taken_wide_and_narrow_light_and_dark),
    };
#undef TEST
    return cmocka_run_group_tests(tests, open_tab, close_tab);
}
