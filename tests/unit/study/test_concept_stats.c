/* test_concept_stats.c - scores of features against their definitions, bins that slide, threads, and
 * `facet find` as a whole on planted features.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "planted.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/par.h"
#include "base/rng.h"
#include "study/concept_stats_internal.h"

static char dir[FC_PATH_MAX], acts[FC_PATH_MAX], db_path[FC_PATH_MAX];
static fc_backend *be;
static fc_tokenizer *tokenizer; /* NULL: the example model is not there */

static int set_up(void **state)
{
    (void)state;
    fc_test_dir_make(dir);
    fc_test_path(acts, dir, "acts");
    fc_test_path(db_path, dir, "features.db");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fc_test_dir_remove(dir);
    return 0;
}

/* --- the counts alone ------------------------------------------------------------------- */

enum { N = 5000, CONCEPTS = 3 };

typedef struct rows {
    float value[N]; /* 0: does not fire */
    uint64_t set[N];
    int32_t token[N], doc[N];
} rows;

static double unit(uint64_t stream, int64_t i)
{
    return (double)(fc_rng_u64(stream, FC_RNG_TEST, (uint64_t)i) >> 11) * 0x1p-53;
}

/* Feeds the rows in blocks of `block`, in the given order of size. */
static void feed(fc_concept_stats *stats, const rows *r, int64_t block)
{
    static int32_t at[N];
    static float value[N];
    for (int64_t first = 0; first < N; first += block) {
        const int64_t n = fc_min(block, N - first);
        fc_block b = {.first = first, .n = n};
        b.token = calloc((size_t)n, sizeof *b.token);
        b.doc = calloc((size_t)n, sizeof *b.doc);
        assert_non_null(b.token);
        assert_non_null(b.doc);
        fc_hits hits = {.feature = 0, .at = at, .value = value};
        for (int64_t t = 0; t < n; t++) {
            if (!(r->value[first + t] > 0.0f)) continue;
            at[hits.n] = (int32_t)t;
            value[hits.n++] = r->value[first + t];
            hits.max = fmaxf(hits.max, r->value[first + t]);
        }
        fc_concept_stats_rows(stats, r->set + first, n);
        if (hits.n > 0) fc_concept_stats_add(stats, &hits, &b, r->set + first);
        free(b.token);
        free(b.doc);
    }
}

/* F1 of "at least t" by definition. */
static double f1_of(const rows *r, int concept, double t)
{
    double hit = 0, taken = 0, positive = 0;
    for (int64_t i = 0; i < N; i++) {
        const bool is_taken = r->value[i] > 0.0f && (double)r->value[i] >= t;
        const bool is_positive = r->set[i] >> concept & 1;
        hit += is_taken && is_positive;
        taken += is_taken;
        positive += is_positive;
    }
    return 2.0 * hit / (taken + positive);
}

/* Activations below `least` count as equal. */
static double auc_by_pairs(const rows *r, int concept, float least)
{
    double sum = 0, n = 0;
    for (int64_t i = 0; i < N; i++)
        for (int64_t j = 0; j < N; j++) {
            if (!(r->set[i] >> concept & 1) || (r->set[j] >> concept & 1)) continue;
            const float p = r->value[i] > 0.0f ? fmaxf(r->value[i], least) : 0.0f;
            const float q = r->value[j] > 0.0f ? fmaxf(r->value[j], least) : 0.0f;
            sum += p > q ? 1.0 : p == q ? 0.5 : 0.0;
            n++;
        }
    return sum / n;
}

/* Activations over `octaves` octaves, larger where concept 0 holds; 1 is independent; 2 never. */
static rows *random_rows(double octaves)
{
    rows *r = calloc(1, sizeof *r);
    assert_non_null(r);
    for (int64_t i = 0; i < N; i++) {
        const bool holds = unit(1, i) < 0.1;
        const bool fires = unit(2, i) < (holds ? 0.9 : 0.3);
        const double level = fmax(unit(3, i), holds ? unit(4, i) : 0.0);
        r->set[i] = (uint64_t)holds | (uint64_t)(unit(5, i) < 0.02) << 1;
        if (fires) r->value[i] = (float)exp2(octaves * (level - 1.0));
    }
    return r;
}

static void scores_are_those_of_their_definition(void **state)
{
    (void)state;
    static const double spans[] = {0.5, 4.0, 7.5, 30.0};
    for (size_t s = 0; s < FC_LEN(spans); s++) {
        rows *r = random_rows(spans[s]);
        fc_err err;
        const fc_thresholds all = {.n = 0};
        fc_concept_stats stats;
        fc_assert_ok(fc_concept_stats_init(&stats, 1, CONCEPTS, &err), &err);
        feed(&stats, r, 700);
        for (int c = 0; c < 2; c++) {
            fc_concept_hit hit;
            assert_int_equal(fc_concept_stats_best(&stats, c, &all, &hit, 1), 1);
            assert_true(fabs(hit.f1 - f1_of(r, c, hit.threshold)) < 1e-12);
            const double f1 =
                2.0 * hit.precision * hit.recall / (hit.precision + hit.recall);
            assert_true(fabs(hit.f1 - f1) < 1e-12);
            /* no border of the bins that are kept is better */
            for (int k = 0; k < 56; k++)
                assert_true(hit.f1 >=
                            f1_of(r, c, ldexp(1.0 + k % 8 / 8.0, -k / 8 - 1)) - 1e-12);
            assert_true(hit.f1 >= f1_of(r, c, 0.0));
            /* activations of one bin count as equal */
            assert_true(fabs(hit.auc - auc_by_pairs(r, c, 0x1p-8f)) < 0.01);
        }
        fc_concept_hit none;
        assert_int_equal(fc_concept_stats_best(&stats, 2, &all, &none, 1), 0);
        fc_concept_stats_deinit(&stats);
        free(r);
    }
}

static void counts_do_not_depend_on_how_rows_come(void **state)
{
    (void)state;
    rows *r = random_rows(20.0);
    fc_concept_stats a, b;
    fc_err err;
    fc_assert_ok(fc_concept_stats_init(&a, 1, CONCEPTS, &err), &err);
    fc_assert_ok(fc_concept_stats_init(&b, 1, CONCEPTS, &err), &err);
    feed(&a, r, 1);
    feed(&b, r, N);
    assert_memory_equal(a.count, b.count,
                        (CONCEPTS + 1) * FC_CONCEPT_BINS * sizeof *a.count);
    assert_int_equal(a.top[0], b.top[0]);
    fc_concept_stats_deinit(&a);
    fc_concept_stats_deinit(&b);
    free(r);
}

/* From the smallest float to the largest, in jumps of more bins than are kept. */
static void extreme_activations_are_counted(void **state)
{
    (void)state;
    static const float values[] = {1e-45f, 1e-40f, 1e-20f, 1.0f, 3e38f, 1e-45f, 2e38f};
    rows *r = calloc(1, sizeof *r);
    assert_non_null(r);
    fc_concept_stats stats;
    fc_concept_hit hit;
    fc_err err;
    const fc_thresholds all = {.n = 0};
    for (size_t i = 0; i < FC_LEN(values); i++) r->value[i] = values[i];
    r->set[4] = r->set[6] = 1;
    fc_assert_ok(fc_concept_stats_init(&stats, 1, 1, &err), &err);
    feed(&stats, r, 1);
    assert_int_equal(fc_concept_stats_best(&stats, 0, &all, &hit, 1), 1);
    assert_true(hit.f1 == 1.0 && hit.auc == 1.0);
    assert_true(hit.threshold > 1.0 && hit.threshold <= 2e38);
    int64_t n = 0;
    for (int k = 0; k < FC_CONCEPT_BINS; k++) n += stats.count[FC_CONCEPT_BINS + k];
    assert_int_equal(n, FC_LEN(values));
    fc_concept_stats_deinit(&stats);
    free(r);
}

static void given_thresholds_are_shares_of_the_maximum(void **state)
{
    (void)state;
    rows *r = random_rows(4.0);
    const fc_thresholds given = {{0.5, 0.0, 0.25}, 3};
    fc_concept_stats stats;
    fc_concept_hit hit;
    fc_err err;
    fc_assert_ok(fc_concept_stats_init(&stats, 1, CONCEPTS, &err), &err);
    feed(&stats, r, 100);
    const double max = (double)stats.max[0];
    assert_int_equal(fc_concept_stats_best(&stats, 0, &given, &hit, 1), 1);
    double best = 0.0;
    for (int i = 0; i < 3; i++) best = fmax(best, f1_of(r, 0, given.share[i] * max));
    assert_true(fabs(hit.f1 - best) < 0.02); /* moved to a border, by at most a 16th */
    const double share = hit.threshold / max;
    assert_true(share == 0.0 || fabs(share - 0.25) < 0.02 || fabs(share - 0.5) < 0.04);
    fc_concept_stats_deinit(&stats);
    free(r);
}

/* --- the whole -------------------------------------------------------------------------- */

enum { ROWS = 6000, D = 4 };

static const char concepts_yaml[] = "of: {piece: \" of\"}\n"
                                    "digit after digit: {class: digit, class-1: digit}\n"
                                    "never: {piece: \" qzx\"}\n";

static const char *const words[] = {" of", " the", "1", "9", " king", " city"};

static int32_t id_of(const char *text)
{
    fc_encoder *encoder;
    fc_tokens tokens = {0};
    fc_err err;
    fc_assert_ok(fc_encoder_new(&encoder, tokenizer, &err), &err);
    fc_assert_ok(fc_encode(encoder, text, (int64_t)strlen(text),
                           (fc_encode_options){.no_bos = true}, &tokens, &err),
                 &err);
    const int32_t id = tokens.id[tokens.n - 1];
    fc_tokens_free(&tokens);
    fc_encoder_free(encoder);
    return id;
}

/* Feature 0 fires on " of" alone, 1 on that and half of " the", more strongly on " of"; 2 on digits
 * after digits but for one in ten; 3 everywhere. */
static void plant(void)
{
    static float x[ROWS * D];
    static fc_row row[ROWS];
    int32_t id[FC_LEN(words)];
    for (size_t i = 0; i < FC_LEN(words); i++) id[i] = id_of(words[i]);
    int last = -1;
    for (int64_t t = 0; t < ROWS; t++) {
        const int w = (int)(fc_rng_u64(7, FC_RNG_TEST, (uint64_t)t) % FC_LEN(words));
        const double draw = unit(8, t);
        const bool is_second =
            (w == 2 || w == 3) && (last == 2 || last == 3) && t % 60 != 0;
        row[t] = (fc_row){id[w], (int32_t)(t / 60), (int32_t)(t % 60) + 1};
        x[t * D] = w == 0 ? 1.0f + (float)draw : -1.0f;
        x[t * D + 1] = w == 0 ? 2.0f + (float)draw : w == 1 && draw < 0.5 ? 1.0f : -1.0f;
        x[t * D + 2] = is_second && draw > 0.1 ? 1.0f + (float)draw : -1.0f;
        x[t * D + 3] = 1.0f;
        last = w;
    }
    const planted_rows planted = {ROWS, D, x, row};
    planted_store(acts, &planted);
}

static fc_sae *sae; /* of D planted features */

static fc_status find(fc_find_result *result, const fc_find_config *config,
                      const char *yaml, fc_concepts **concepts, fc_err *err)
{
    fc_store *store = NULL;
    fc_status status;
    *concepts = NULL;
    FC_TRY_GOTO(fc_store_open(&store, acts, false, false, err));
    FC_TRY_GOTO(fc_concepts_parse(concepts, yaml, strlen(yaml), "test", err));
    const fc_study_source source = {.tokenizer = tokenizer, .concepts = *concepts};
    status = fc_find(config, sae, store, &source, be, result, err);
done:
    if (status != FC_OK) fc_concepts_free(*concepts);
    fc_store_close(store);
    return status;
}

static void planted_features_are_found(void **state)
{
    (void)state;
    fc_find_config config;
    fc_find_result r;
    fc_concepts *concepts;
    fc_err err;
    if (tokenizer == NULL) skip();
    plant();
    fc_find_defaults(&config);
    config.top = 3;
    config.precision = FC_F32_PRECISION;
    fc_assert_ok(find(&r, &config, concepts_yaml, &concepts, &err), &err);
    assert_int_equal(r.n, 3);
    assert_int_equal(r.n_rows, ROWS);
    const fc_concept_row *of = &r.concept[0], *second = &r.concept[1];
    assert_string_equal(of->name, "of");
    assert_int_equal(of->n_hits, 3);
    assert_int_equal(of->hit[0].feature, 0); /* as good as 1, which comes later */
    assert_int_equal(of->hit[1].feature, 1);
    assert_int_equal(of->hit[2].feature, 3);
    assert_true(of->hit[0].f1 == 1.0 && of->hit[0].auc == 1.0);
    assert_true(of->hit[0].precision_100 == 1.0);
    assert_true(of->hit[1].f1 == 1.0 && of->hit[1].threshold > 1.0);
    assert_true(of->hit[2].auc == 0.5 && of->hit[2].recall == 1.0);
    assert_int_equal(second->hit[0].feature, 2);
    assert_true(second->hit[0].precision == 1.0);
    assert_true(fabs(second->hit[0].recall - 0.9) < 0.03);
    assert_int_equal(r.concept[2].n_rows, 0);
    assert_int_equal(r.concept[2].n_hits, 0);
    fc_find_result_deinit(&r);
    fc_concepts_free(concepts);

    config.rows = 600;
    fc_assert_ok(find(&r, &config, concepts_yaml, &concepts, &err), &err);
    assert_int_equal(r.n_rows, 600);
    fc_find_result_deinit(&r);
    fc_concepts_free(concepts);
}

static void any_number_of_threads_finds_the_same(void **state)
{
    (void)state;
    static const int threads[] = {1, 3};
    fc_find_config config;
    fc_find_result r[2];
    fc_concepts *concepts[2];
    fc_err err;
    if (tokenizer == NULL) skip();
    plant();
    fc_find_defaults(&config);
    config.top = 4;
    for (int i = 0; i < 2; i++) {
        fc_par_set_threads(threads[i]);
        fc_assert_ok(find(&r[i], &config, concepts_yaml, &concepts[i], &err), &err);
    }
    for (int64_t c = 0; c < r[0].n; c++) {
        assert_int_equal(r[0].concept[c].n_rows, r[1].concept[c].n_rows);
        assert_int_equal(r[0].concept[c].n_hits, r[1].concept[c].n_hits);
    }
    assert_memory_equal(r[0].hit, r[1].hit, (size_t)r[0].n * 4 * sizeof *r[0].hit);
    for (int i = 0; i < 2; i++) {
        fc_find_result_deinit(&r[i]);
        fc_concepts_free(concepts[i]);
    }
}

static void study_keeps_what_find_finds(void **state)
{
    (void)state;
    fc_find_config config;
    fc_find_result r;
    fc_concepts *concepts;
    fc_study_config study;
    fc_study_result result;
    fc_features_db *db;
    fc_store *store;
    const fc_concept_row *c;
    int64_t n;
    fc_err err;
    if (tokenizer == NULL) skip();
    plant();
    fc_find_defaults(&config);
    config.top = FC_CONCEPT_HITS;
    fc_assert_ok(find(&r, &config, concepts_yaml, &concepts, &err), &err);
    fc_study_defaults(&study);
    const fc_study_source source = {.tokenizer = tokenizer, .concepts = concepts};
    fc_assert_ok(fc_store_open(&store, acts, false, false, &err), &err);
    fc_assert_ok(fc_study(&study, sae, store, &source, be, db_path, &result, &err), &err);
    fc_assert_ok(fc_features_open(&db, db_path, &err), &err);
    fc_assert_ok(fc_features_concepts(db, &c, &n, &err), &err);
    assert_int_equal(n, r.n);
    for (int64_t i = 0; i < n; i++) {
        assert_string_equal(c[i].name, r.concept[i].name);
        assert_string_equal(c[i].rule, r.concept[i].rule);
        assert_int_equal(c[i].n_rows, r.concept[i].n_rows);
        assert_int_equal(c[i].n_hits, r.concept[i].n_hits);
        assert_memory_equal(c[i].hit, r.concept[i].hit,
                            (size_t)c[i].n_hits * sizeof *c[i].hit);
    }
    fc_features_close(db);
    fc_store_close(store);
    fc_find_result_deinit(&r);
    fc_concepts_free(concepts);
}

static void bad_thresholds_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {"x", "0,,1", "1.5", "-0.1", "nan", "0 .5", "0;1"};
    fc_find_config config;
    fc_find_result r;
    fc_concepts *concepts;
    fc_err err;
    if (tokenizer == NULL) skip();
    plant();
    fc_find_defaults(&config);
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        snprintf(config.thresholds, sizeof config.thresholds, "%s", cases[i]);
        fc_assert_fails(find(&r, &config, concepts_yaml, &concepts, &err), &err, FC_USAGE,
                        "thresholds", cases[i]);
    }
}

static fc_status find_once(void *ctx, fc_err *err)
{
    (void)ctx;
    fc_find_config config;
    fc_find_result r;
    fc_concepts *concepts;
    fc_find_defaults(&config);
    config.rows = 100;
    FC_TRY(find(&r, &config, concepts_yaml, &concepts, err));
    fc_find_result_deinit(&r);
    fc_concepts_free(concepts);
    return FC_OK;
}

static void memory_that_runs_out_is_reported(void **state)
{
    (void)state;
    if (tokenizer == NULL) skip();
    plant();
    assert_true(fc_test_sweep_alloc(find_once, NULL, NULL) > 30);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(scores_are_those_of_their_definition),
        TEST(counts_do_not_depend_on_how_rows_come),
        TEST(extreme_activations_are_counted),
        TEST(given_thresholds_are_shares_of_the_maximum),
        TEST(planted_features_are_found),
        TEST(any_number_of_threads_finds_the_same),
        TEST(study_keeps_what_find_finds),
        TEST(bad_thresholds_are_refused),
        TEST(memory_that_runs_out_is_reported),
    };
    char model[FC_PATH_MAX];
    fc_par_set_threads(3); /* the backend's scratch is for as many as now */
    if (fc_backend_open(&be, NULL, NULL) != FC_OK) return 1;
    fc_source_file(model, "assets/example-model");
    if (fc_path_exists(model) && fc_tokenizer_load(&tokenizer, model, NULL) != FC_OK)
        return 1;
    sae = planted_sae(D);
    const int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    fc_sae_free(sae);
    fc_tokenizer_free(tokenizer);
    fc_backend_close(be);
    return n_failed;
}
