/* test_meaning.c - features planted in a synthetic corpus get the description that a person would
 * give; what follows no rule is called mixed.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "planted.h"

#include <math.h>
#include <stdlib.h>

#include "base/par.h"
#include "base/rng.h"
#include "study/features_db.h"
#include "study/highlights.h"
#include "study/study.h"

enum { SENTENCES = 1500, MOST_ROWS = 60000, MOST_TEXT = 1 << 18 };

static char dir[FC_PATH_MAX], acts[FC_PATH_MAX], db_path[FC_PATH_MAX];
static fc_backend *be;
static fc_tokenizer *tokenizer; /* NULL: the example model is not there */
static fc_row *row;             /* [n_rows] */
static int64_t n_rows;

/* --- the corpus ------------------------------------------------------------------------- */

static uint64_t draw(int64_t sentence, uint64_t what)
{
    return fc_rng_u64(11, FC_RNG_TEST, (uint64_t)sentence * 16 + what);
}

static void write_sentence(char *text, size_t size, int64_t i)
{
    static const char *const months[] = {"January", "March",  "April",   "June",
                                         "July",    "August", "October", "December"};
    static const char *const starts[] = {"However", "Later", "There", "Today"};
    static const char *const things[] = {"river", "house", "village", "school", "church"};
    static const char *const verbs[] = {"was", "became", "remained"};
    const char *month = months[draw(i, 0) % FC_LEN(months)];
    const char *thing = things[draw(i, 1) % FC_LEN(things)];
    const int day = 1 + (int)(draw(i, 2) % 28), year = 1850 + (int)(draw(i, 3) % 150);
    const char *start = starts[draw(i, 4) % FC_LEN(starts)];
    const char *verb = verbs[draw(i, 5) % FC_LEN(verbs)];
    const char *in = draw(i, 7) % 2 == 0 ? "In" : "On";
    switch (i % 3) {
    case 0:
        snprintf(text, size, " %s , the king 's %s %s old on %d %s %d .", start, thing,
                 verb, day, month, year);
        break;
    case 1:
        snprintf(text, size, " %s %s %d , a %s of the city %s known for %d people .", in,
                 month, day, thing, verb, (int)(draw(i, 6) % 900) + 100);
        break;
    default:
        snprintf(text, size, " %s %s the %s , the garden and his family %s there .", in,
                 month, thing, verb);
        break;
    }
}

static void make_corpus(void)
{
    fc_encoder *encoder;
    fc_tokens tokens = {0};
    fc_err err;
    fc_assert_ok(fc_encoder_new(&encoder, tokenizer, &err), &err);
    for (int64_t i = 0; i < SENTENCES; i++) {
        char text[256];
        write_sentence(text, sizeof text, i);
        fc_assert_ok(fc_encode(encoder, text, (int64_t)strlen(text),
                               (fc_encode_options){.no_bos = true}, &tokens, &err),
                     &err);
        assert_true(n_rows + tokens.n <= MOST_ROWS);
        for (int64_t t = 0; t < tokens.n; t++)
            row[n_rows++] = (fc_row){tokens.id[t], (int32_t)i, (int32_t)t + 1};
    }
    fc_tokens_free(&tokens);
    fc_encoder_free(encoder);
}

/* --- planted features ------------------------------------------------------------------- */

static const char *piece(int64_t t)
{
    return t >= 0 && t < n_rows ? fc_tokenizer_piece(tokenizer, row[t].token_id) : "";
}

static bool is_piece(int64_t t, const char *text)
{
    return strcmp(piece(t), text) == 0;
}

static bool is_digit(int64_t t)
{
    return piece(t)[0] >= '0' && piece(t)[0] <= '9';
}

static bool is_month(int64_t t)
{
    static const char *const months[] = {"January", "March",  "April",   "June",
                                         "July",    "August", "October", "December"};
    for (size_t i = 0; i < FC_LEN(months); i++)
        if (strstr(piece(t), months[i]) != NULL) return true;
    return false;
}

static int64_t digits_before(int64_t t)
{
    int64_t n = 0;
    while (is_digit(t - 1 - n)) n++;
    return n;
}

static int64_t digits_after(int64_t t)
{
    int64_t n = 0;
    while (is_digit(t + 1 + n)) n++;
    return n;
}

typedef bool rule_fn(int64_t t);

static bool month_before_number(int64_t t)
{
    return is_month(t) &&
           (is_digit(t + 1) || (is_piece(t + 1, "\xe2\x96\x81") && is_digit(t + 2)));
}

static bool month_before_day(int64_t t)
{
    return month_before_number(t) && digits_after(is_digit(t + 1) ? t : t + 1) <= 2;
}

static bool genitive(int64_t t)
{
    return is_piece(t, "\xe2\x96\x81's");
}

static bool tens_of_year(int64_t t)
{
    return is_digit(t) && digits_before(t) == 2 && digits_after(t) == 1;
}

static bool units_of_year(int64_t t)
{
    return is_digit(t) && digits_before(t) == 3 && digits_after(t) == 0;
}

static bool comma_after_however(int64_t t)
{
    return is_piece(t, "\xe2\x96\x81,") && is_piece(t - 1, "\xe2\x96\x81However");
}

static bool the_or_a(int64_t t)
{
    return is_piece(t, "\xe2\x96\x81the") || is_piece(t, "\xe2\x96\x81"
                                                         "a");
}

static bool first_of_text(int64_t t)
{
    return row[t].position == 1;
}

static bool one_row(int64_t t)
{
    return t == 777;
}

static bool anywhere(int64_t t)
{
    return fc_rng_u64(12, FC_RNG_TEST, (uint64_t)t) % 3 == 0;
}

static bool nowhere(int64_t t)
{
    (void)t;
    return false;
}

static const struct {
    rule_fn *rule;
    const char *description; /* its beginning */
    double least_purity, most_purity;
} planted[] = {
    {month_before_number, "months before a number", 0.99, 1.0},
    {genitive, "the genitive `'s`", 0.99, 1.0},
    {tens_of_year, "the tens digit of a year", 0.99, 1.0},
    {units_of_year, "the units digit of a year", 0.99, 1.0},
    {comma_after_however, "`,` after `However`", 0.99, 1.0},
    {the_or_a, "articles", 0.99, 1.0},
    {first_of_text, "capitalised words at the beginning of a text", 0.99, 1.0},
    {one_row, "`", 0.99, 1.0},
    {anywhere, "mixed", 0.0, 0.3},
    {month_before_day, "months before a day number", 0.99, 1.0},
    {nowhere, "", 0.0, 0.0},
};
enum { N_PLANTED = FC_LEN(planted) };

static void make_store(void)
{
    float *x = calloc((size_t)n_rows * N_PLANTED, sizeof *x);
    assert_non_null(x);
    for (int64_t t = 0; t < n_rows; t++)
        for (int i = 0; i < N_PLANTED; i++)
            if (planted[i].rule(t))
                x[t * N_PLANTED + i] = 1.0f + 0.25f * (float)(draw(t, 15) % 4);
    const planted_rows rows = {n_rows, N_PLANTED, x, row};
    planted_store(acts, &rows);
    free(x);
}

static int set_up(void **state)
{
    (void)state;
    fc_test_dir_make(dir);
    fc_test_path(acts, dir, "acts");
    fc_test_path(db_path, dir, "features.db");
    if (tokenizer == NULL) return 0;
    if (n_rows == 0) make_corpus();
    make_store();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fc_test_dir_remove(dir);
    return 0;
}

static void study(const fc_study_source *source)
{
    fc_study_config config;
    fc_study_result result;
    fc_store *store;
    fc_err err;
    fc_study_defaults(&config);
    config.precision = FC_F32_PRECISION;
    fc_sae *sae = planted_sae(N_PLANTED);
    fc_assert_ok(fc_store_open(&store, acts, false, false, &err), &err);
    fc_assert_ok(fc_study(&config, sae, store, source, be, db_path, &result, &err), &err);
    fc_store_close(store);
    fc_sae_free(sae);
}

/* --- tests ------------------------------------------------------------------------------ */

static void planted_features_are_described(void **state)
{
    (void)state;
    if (tokenizer == NULL) skip();
    const fc_study_source source = {.tokenizer = tokenizer};
    fc_features_db *db;
    fc_err err;
    int64_t n;
    study(&source);
    fc_assert_ok(fc_features_open(&db, db_path, &err), &err);
    const fc_feature *feature = fc_features_all(db, &n);
    for (int i = 0; i < N_PLANTED; i++) {
        const char *expected = planted[i].description, *found = feature[i].description;
        const size_t n_text = expected[0] == '\0' ? 1 : strlen(expected);
        if (strncmp(found, expected, n_text) != 0)
            fail_msg("feature %d is '%s' (%.2f), expected '%s'", i, found,
                     feature[i].purity, expected);
        if (feature[i].purity < planted[i].least_purity ||
            feature[i].purity > planted[i].most_purity + 1e-9)
            fail_msg("feature %d, '%s', has purity %.3f", i, found, feature[i].purity);
    }
    fc_features_close(db);
}

static void highlights_are_families_that_a_description_explains(void **state)
{
    (void)state;
    if (tokenizer == NULL) skip();
    const fc_study_source source = {.tokenizer = tokenizer};
    fc_highlight highlight[N_PLANTED];
    fc_features_db *db;
    fc_err err;
    int64_t n, n_features, n_months = 0;
    study(&source);
    fc_assert_ok(fc_features_open(&db, db_path, &err), &err);
    const fc_feature *feature = fc_features_all(db, &n_features);
    fc_assert_ok(fc_highlights(db, highlight, N_PLANTED, &n, &err), &err);
    assert_true(n >= 2); /* what is on more than a twentieth of the rows is none */
    for (int64_t i = 0; i < n; i++) {
        const int64_t id = highlight[i].feature;
        const char *said = feature[id].description;
        assert_memory_equal(highlight[i].text, said, strlen(said));
        assert_non_null(strstr(highlight[i].text, " % of its activation"));
        assert_true(planted[id].rule != anywhere && planted[id].rule != one_row);
        n_months += strncmp(said, "months", 6) == 0;
    }
    assert_int_equal(n_months, 1); /* two features: one family */
    fc_features_close(db);
}

static double share_of(fc_features_db *db, int64_t feature, const char *kind,
                       const char *text)
{
    const fc_profile_line *line;
    int64_t n;
    fc_err err;
    fc_assert_ok(fc_features_profile(db, feature, &line, &n, &err), &err);
    for (int64_t i = 0; i < n; i++)
        if (strcmp(line[i].kind, kind) == 0 && strcmp(line[i].text, text) == 0)
            return line[i].share;
    return 0.0;
}

static void profiles_say_what_surrounds_a_feature(void **state)
{
    (void)state;
    if (tokenizer == NULL) skip();
    const fc_study_source source = {.tokenizer = tokenizer};
    fc_features_db *db;
    fc_err err;
    study(&source);
    fc_assert_ok(fc_features_open(&db, db_path, &err), &err);
    assert_true(share_of(db, 1, "before", "king") > 0.999);
    assert_true(share_of(db, 4, "before", "However") > 0.999);
    assert_true(share_of(db, 4, "after", "the") > 0.999);
    assert_true(share_of(db, 4, "position", "2 to 3") > 0.999);
    assert_true(share_of(db, 4, "case", "sign") > 0.999);
    assert_true(share_of(db, 0, "case", "capitalised") > 0.999);
    assert_true(share_of(db, 2, "slot", "tens digit of a year") > 0.999);
    assert_true(share_of(db, 2, "slot", "digits of a year") > 0.999);
    assert_true(share_of(db, 2, "slot", "units digit of a year") == 0.0);
    assert_true(share_of(db, N_PLANTED - 1, "case", "sign") == 0.0);
    fc_features_close(db);
}

static void without_a_tokenizer_tokens_are_numbers(void **state)
{
    (void)state;
    if (tokenizer == NULL) skip();
    fc_features_db *db;
    fc_err err;
    int64_t n;
    char expected[64];
    study(NULL);
    fc_assert_ok(fc_features_open(&db, db_path, &err), &err);
    int64_t t = 0;
    while (!genitive(t)) t++;
    snprintf(expected, sizeof expected, "token %d", (int)row[t].token_id);
    assert_memory_equal(fc_features_all(db, &n)[1].description, expected,
                        strlen(expected));
    assert_non_null(strstr(fc_features_run(db, "logit_lens"), "none"));
    fc_features_close(db);
}

static void any_number_of_threads_says_the_same(void **state)
{
    (void)state;
    if (tokenizer == NULL) skip();
    const fc_study_source source = {.tokenizer = tokenizer};
    char other[FC_PATH_MAX];
    fc_test_path(other, dir, "other.db");
    fc_par_set_threads(1);
    study(&source);
    assert_int_equal(rename(db_path, other), 0);
    fc_par_set_threads(3);
    study(&source);
    fc_test_assert_files_equal(db_path, other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(planted_features_are_described),
        TEST(highlights_are_families_that_a_description_explains),
        TEST(profiles_say_what_surrounds_a_feature),
        TEST(without_a_tokenizer_tokens_are_numbers),
        TEST(any_number_of_threads_says_the_same),
    };
    char model[FC_PATH_MAX];
    fc_par_set_threads(3);
    row = calloc(MOST_ROWS, sizeof *row);
    if (row == NULL || fc_backend_open(&be, NULL, NULL) != FC_OK) return 1;
    fc_source_file(model, "assets/example-model");
    if (fc_path_exists(model) && fc_tokenizer_load(&tokenizer, model, NULL) != FC_OK)
        return 1;
    const int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    fc_tokenizer_free(tokenizer);
    fc_backend_close(be);
    free(row);
    return n_failed;
}
