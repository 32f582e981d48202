/* test_html_large.c - the page of a full run: 9,216 features, all alive, with 45 contexts, tokens,
 * neighbours, logits and surroundings each, stays within 15 MB.
 *
 * Tokens are drawn by Zipf's law from 32,768 made-up words, which deflates worse than text does. How
 * long a browser takes is printed and not judged: a test does not look at the clock.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "browser.h"
#include "report/html.h"
#include "study/features_out_internal.h"

enum {
    N_FEATURES = 9216,
    N_STRONG = 20,
    N_QUANTILES = 5,
    N_WEAK = 5,
    N_CONTEXTS = N_STRONG + N_QUANTILES * N_WEAK, /* as study makes them */
    N_WINDOW = 11,
    N_WORDS = 32768,
    N_DOCUMENTS = 9000,
    MOST_BYTES = 15000000
};

/* ---- a made-up run ---- */

static uint64_t n_drawn;

static double draw(void) /* 0 .. 1 */
{
    return fc_rng_uniform(7, 1, n_drawn++);
}

static int64_t draw_word(void) /* by rank, share about 1 / rank */
{
    return (int64_t)exp(draw() * log(N_WORDS)) - 1;
}

static void name_word(char word[32], int64_t rank)
{
    static const char *const parts[] = {"ka", "ro", "shi", "en", "ta", "lu", "mer", "os",
                                        "in", "be", "dra", "no", "vi", "st", "el",  "qu"};
    size_t n = (size_t)snprintf(word, 32, rank % 3 ? " " : "");
    for (int64_t rest = rank + 16; rest > 0; rest /= 16)
        n += (size_t)snprintf(word + n, 32 - n, "%s", parts[rest % 16]);
}

static fc_status put_examples(fc_features_out *out, int64_t feature, fc_err *err)
{
    for (int64_t i = 0; i < N_CONTEXTS; i++) {
        int32_t ids[N_WINDOW];
        float activations[N_WINDOW];
        for (int k = 0; k < N_WINDOW; k++) {
            ids[k] = (int32_t)draw_word();
            activations[k] = draw() < 0.25 ? (float)draw() : 0;
        }
        activations[5] = (float)(2 - draw());
        const fc_example_row row = {.feature = feature,
                                    .kind =
                                        i < N_STRONG ? 0 : (i - N_STRONG) / N_WEAK + 1,
                                    .rank = i + 1,
                                    .value = (double)activations[5],
                                    .row = i,
                                    .doc = 1 + (int64_t)(draw() * N_DOCUMENTS),
                                    .n = N_WINDOW,
                                    .peak = 5,
                                    .token_ids = ids,
                                    .activations = activations};
        FC_TRY(fc_features_put_example(out, &row, err));
    }
    return FC_OK;
}

static fc_status put_meaning(fc_features_out *out, int64_t feature, fc_err *err)
{
    static const char *const kinds[] = {"before", "after", "position", "case"};
    for (int64_t r = 1; r <= 10; r++) {
        FC_TRY(fc_features_put_share(out,
                                     &(fc_share_row){.feature = feature,
                                                     .rank = r,
                                                     .token = draw_word(),
                                                     .n = (int64_t)(draw() * 4000),
                                                     .share = draw() / 10},
                                     err));
        for (int sign = -1; sign <= 1; sign += 2)
            FC_TRY(fc_features_put_logit(out,
                                         &(fc_logit_row){.feature = feature,
                                                         .rank = sign * r,
                                                         .token = draw_word(),
                                                         .score = sign * 4 * draw()},
                                         err));
    }
    for (int64_t r = 1; r <= 8; r++)
        FC_TRY(fc_features_put_neighbour(
            out,
            &(fc_neighbour_row){.feature = feature,
                                .rank = r,
                                .neighbour = (int64_t)(draw() * N_FEATURES),
                                .cosine = draw()},
            err));
    for (int64_t i = 0; i < 16; i++) {
        char word[32];
        name_word(word, draw_word());
        FC_TRY(fc_features_put_profile(out,
                                       &(fc_profile_row){.feature = feature,
                                                         .rank = i % 4 + 1,
                                                         .kind = kinds[i / 4],
                                                         .text = word,
                                                         .share = draw()},
                                       err));
    }
    return FC_OK;
}

static fc_status put_large_feature(fc_features_out *out, int64_t id, fc_err *err)
{
    char description[128], a[32], b[32];
    int64_t hist[FC_HISTOGRAM_BINS];
    for (int i = 0; i < FC_HISTOGRAM_BINS; i++)
        hist[i] = (int64_t)(2000 * draw() / (i + 1));
    name_word(a, draw_word());
    name_word(b, draw_word());
    snprintf(description, sizeof description, "`%s` or `%s` before a number", a, b);
    const fc_feature_row row = {.feature = {.id = id,
                                            .max = 2,
                                            .mean_active = draw(),
                                            .frequency = pow(10, -5 * draw()),
                                            .n_active = (int64_t)(30000 * draw()),
                                            .description = description,
                                            .purity = draw()},
                                .nearest = draw(),
                                .hist = hist};
    FC_TRY(fc_features_put_feature(out, &row, err));
    FC_TRY(put_examples(out, id, err));
    return put_meaning(out, id, err);
}

static fc_status put_large_run(fc_features_out *out, fc_err *err)
{
    char word[32];
    FC_TRY(fc_features_put_integer(out, "d_sae", N_FEATURES, err));
    FC_TRY(fc_features_put_integer(out, "n_rows", 3000000, err));
    FC_TRY(fc_features_put_integer(out, "window", N_WINDOW - 1, err));
    FC_TRY(fc_features_put_integer(out, "contexts", N_STRONG, err));
    FC_TRY(fc_features_put_integer(out, "quantiles", N_QUANTILES, err));
    FC_TRY(fc_features_put_integer(out, "per_quantile", N_WEAK, err));
    for (int64_t i = 0; i < N_FEATURES; i++) FC_TRY(put_large_feature(out, i, err));
    for (int64_t i = 0; i <= N_DOCUMENTS; i++) {
        name_word(word, 77 * i);
        FC_TRY(fc_features_put_document(
            out, &(fc_document_row){.id = i, .title = word, .source = "a"}, err));
    }
    for (int64_t i = 0; i < N_WORDS; i++) {
        name_word(word, i);
        FC_TRY(fc_features_put_token(out, i, word, word, (int64_t)strlen(word), err));
    }
    return FC_OK;
}

/* ---- the test ---- */

static char dir[FC_PATH_MAX];

static int make_dir(void **state)
{
    (void)state;
    fc_test_dir_make(dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    fc_test_dir_remove(dir);
    return 0;
}

static void print_times(const char *path)
{
    char profile[FC_PATH_MAX], url[FC_PATH_MAX + 16];
    fc_browser b;
    if (fc_browser_path() == NULL) return;
    fc_test_dir_make(profile);
    fc_browser_open(&b, profile);
    snprintf(url, sizeof url, "file://%s", path);
    fc_browser_visit(&b, url);
    fc_browser_wait(&b, "window.facet?.timing.ready");
    fc_assert_page(&b, "location.hash = '#features?q=shi', 1", "1");
    fc_browser_wait(&b, "facet.timing.contexts");
    char *first = fc_browser_ask(
        &b,
        "JSON.stringify({paint: performance.getEntriesByType('paint').at(-1)?.startTime,"
        " ...facet.timing})");
    fc_assert_page(&b, "facet.timing.contexts = 0, location.hash = '#features?q=mero', 1",
                   "1");
    fc_browser_wait(&b, "facet.timing.contexts");
    char *second = fc_browser_ask(&b, "JSON.stringify(facet.timing)");
    print_message("milliseconds, first search: %s\n             a later one: %s\n", first,
                  second);
    free(first);
    free(second);
    assert_string_equal(b.complaints, "");
    fc_browser_close(&b);
    fc_test_dir_remove(profile);
}

static void a_full_run_stays_within_15_megabytes(void **state)
{
    (void)state;
    char path[FC_PATH_MAX], folder[FC_PATH_MAX];
    fc_features_out *out = NULL;
    fc_report_data data = {0};
    fc_report_config config;
    fc_err err;
    fc_test_path(path, dir, "features.db");
    fc_assert_ok(fc_features_create(&out, path, &err), &err);
    fc_assert_ok(put_large_run(out, &err), &err);
    fc_assert_ok(fc_features_commit(out, &err), &err);
    fc_features_discard(out);
    fc_report_defaults(&config);
    fc_assert_ok(fc_report_load(&data, &config, dir, &err), &err);
    fc_assert_ok(fc_dir_make("page-pictures", &err), &err);
    assert_non_null(getcwd(folder, sizeof folder)); /* kept, to look at */
    fc_test_path(path, folder, "page-pictures/large.html");
    fc_assert_ok(fc_html_save(&data, path, &err), &err);
    fc_report_unload(&data);
    print_message("%" PRId64 " bytes\n", fc_file_size(path));
    assert_true(fc_file_size(path) <= MOST_BYTES);
    print_times(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(
        a_full_run_stays_within_15_megabytes, make_dir, remove_dir)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
