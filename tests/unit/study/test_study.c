/* test_study.c - the whole study on a planted SAE, where every number is known, and on a random
 * one against the definitions.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "planted.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/par.h"
#include "base/rng.h"
#include "model/model.h"
#include "sae/codes.h"
#include "study/features_db.h"
#include "study/study.h"

static char dir[FC_PATH_MAX], acts[FC_PATH_MAX], db_path[FC_PATH_MAX];
static fc_backend *be;

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

static fc_study_config config_of(int64_t contexts, int64_t per_document)
{
    fc_study_config config;
    fc_study_defaults(&config);
    config.contexts = contexts;
    config.per_document = per_document;
    config.precision = FC_F32_PRECISION;
    return config;
}

static fc_status study(const fc_study_config *config, const fc_sae *sae,
                       const fc_tokenizer *tokenizer, fc_study_result *result,
                       fc_err *err)
{
    fc_store *store;
    const fc_study_source source = {.tokenizer = tokenizer};
    FC_TRY(fc_store_open(&store, acts, false, false, err));
    const fc_status status =
        fc_study(config, sae, store, &source, be, db_path, result, err);
    fc_store_close(store);
    return status;
}

/* --- planted ---------------------------------------------------------------------------- */

enum { ROWS = 12, D = 4 };

/* Feature 0: ties and documents. 1: fires everywhere. 2: weak. 3: never, its input is negative. */
static const float planted_x[ROWS * D] = {
    1, 1,  0,     -1, /* doc 0 */
    5, 2,  0,     -1, /*       */
    5, 3,  1e-7f, -1, /*       */
    4, 4,  0,     -1, /*       */
    0, 5,  0,     -1, /* doc 2 */
    5, 6,  0,     -1, /*       */
    0, 7,  0,     -1, /* doc 3 */
    2, 8,  0,     -1, /*       */
    3, 9,  5e-7f, -1, /*       */
    0, 10, 0,     -1, /*       */
    0, 11, 0,     -1, /* doc 7 */
    0, 12, 0,     -1, /*       */
};

static const fc_row planted_row[ROWS] = {
    {10, 0, 1}, {11, 0, 2}, {11, 0, 3}, {12, 0, 4}, {10, 2, 1}, {11, 2, 2},
    {13, 3, 1}, {14, 3, 2}, {12, 3, 3}, {10, 3, 4}, {10, 7, 1}, {11, 7, 2},
};

static fc_features_db *study_planted(const fc_study_config *config,
                                     fc_study_result *result)
{
    fc_err err;
    fc_features_db *db;
    const planted_rows planted = {ROWS, D, planted_x, planted_row};
    planted_store(acts, &planted);
    fc_sae *sae = planted_sae(D);
    fc_assert_ok(study(config, sae, NULL, result, &err), &err);
    fc_sae_free(sae);
    fc_assert_ok(fc_features_open(&db, db_path, &err), &err);
    return db;
}

static void planted_statistics_are_found(void **state)
{
    (void)state;
    const fc_study_config config = config_of(4, 1);
    fc_study_result result;
    fc_features_db *db = study_planted(&config, &result);
    int64_t n;
    const fc_feature *f = fc_features_all(db, &n);
    assert_int_equal(n, D);
    const struct {
        double max, sum;
        int64_t n_active;
        bool is_dead;
    } expected[D] = {
        {5, 25, 7, false}, {12, 78, 12, false}, {5e-7, 6e-7, 2, true}, {0, 0, 0, true}};
    for (int64_t i = 0; i < D; i++) {
        const double n_active = (double)expected[i].n_active;
        assert_true(fabs(f[i].max - expected[i].max) <= 1e-6 * expected[i].max);
        assert_true(fabs(f[i].mean_active - expected[i].sum / fmax(1.0, n_active)) <=
                    1e-6 * expected[i].sum);
        assert_int_equal(f[i].n_active, expected[i].n_active);
        assert_true(f[i].frequency == n_active / ROWS);
        assert_int_equal(f[i].is_dead, expected[i].is_dead);
    }
    const int64_t l0[D + 1] = {0, 5, 5, 2, 0};
    assert_memory_equal(fc_features_l0_histogram(db), l0, sizeof l0);
    assert_int_equal(result.n_dead, 2);
    assert_true(fabs(result.l0 - 21.0 / 12.0) < 1e-12);
    /* only the inputs of feature 3 are lost: 1 in each row */
    assert_true(fabs(result.mse - 1.0 / D) < 1e-12);
    assert_true(fc_features_run_number(db, "mse") == result.mse);
    assert_true(fc_features_run_number(db, "n_rows") == ROWS);
    assert_true(fc_features_run_number(db, "n_docs") == 4);
    assert_string_equal(fc_features_run(db, "hook"), "model.layers.0.mlp.down_proj");
    fc_features_close(db);
}

static void check_context(const fc_context *c, int64_t row, double value, int64_t first,
                          int64_t n, int64_t feature)
{
    assert_int_equal(c->row, row);
    assert_true(c->value == value);
    assert_int_equal(c->position, planted_row[row].position);
    assert_int_equal(c->n, n);
    assert_int_equal(c->peak, row - first);
    for (int64_t t = 0; t < n; t++) {
        assert_int_equal(c->token_id[t], planted_row[first + t].token_id);
        assert_true(c->activation[t] ==
                    fmaxf(0.0f, planted_x[(first + t) * D + feature]));
    }
}

static void contexts_end_at_their_document(void **state)
{
    (void)state;
    fc_study_config config = config_of(4, 1);
    config.quantiles = 0;
    fc_study_result result;
    fc_features_db *db = study_planted(&config, &result);
    const fc_context *c;
    int64_t n;
    fc_err err;
    fc_assert_ok(fc_features_contexts(db, 0, &c, &n, &err), &err);
    assert_int_equal(n, 3);              /* one for each document where it fires */
    check_context(&c[0], 1, 5, 0, 4, 0); /* the lower of two equal rows */
    check_context(&c[1], 5, 5, 4, 2, 0);
    check_context(&c[2], 8, 3, 6, 4, 0);
    assert_string_equal(c[2].title, "Title 3");
    fc_assert_ok(fc_features_contexts(db, 3, &c, &n, &err), &err);
    assert_int_equal(n, 0);
    fc_features_close(db);
}

static void the_window_is_half_before_and_half_after(void **state)
{
    (void)state;
    const struct {
        int64_t window, first, n;
    } cases[] = {{0, 1, 1}, {1, 1, 2}, {2, 0, 3}, {3, 0, 4}, {256, 0, 4}};
    const planted_rows planted = {ROWS, D, planted_x, planted_row};
    planted_store(acts, &planted);
    fc_sae *sae = planted_sae(D);
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_study_config config = config_of(1, 0);
        fc_study_result result;
        fc_features_db *db;
        const fc_context *c;
        int64_t n;
        fc_err err;
        config.window = cases[i].window;
        fc_assert_ok(study(&config, sae, NULL, &result, &err), &err);
        fc_assert_ok(fc_features_open(&db, db_path, &err), &err);
        fc_assert_ok(fc_features_contexts(db, 0, &c, &n, &err), &err);
        check_context(&c[0], 1, 5, cases[i].first, cases[i].n, 0);
        fc_features_close(db);
    }
    fc_sae_free(sae);
}

/* Rows far into a store, where what is remembered of rows has begun anew. */
static void rows_of_a_long_store_are_found(void **state)
{
    (void)state;
    enum { LONG = 40000, SPIKES = 6 };
    static float x[LONG * 2];
    static fc_row rows[LONG];
    static const int32_t spike[SPIKES] = {0, 16383, 16384, 32767, 32768, LONG - 1};
    const fc_study_config config = config_of(SPIKES, 0);
    fc_study_result result;
    fc_features_db *db;
    const fc_context *c;
    const fc_token_share *s;
    int64_t n;
    fc_err err;
    for (int32_t t = 0; t < LONG; t++) {
        rows[t] = (fc_row){.token_id = t, .doc_id = t / 3, .position = t % 3 + 1};
        x[2 * t + 1] = (float)(t % 997 + 1);
    }
    for (int i = 0; i < SPIKES; i++) x[2 * spike[i]] = (float)(i + 1);
    const planted_rows planted = {LONG, 2, x, rows};
    planted_store(acts, &planted);
    fc_sae *sae = planted_sae(2);
    fc_assert_ok(study(&config, sae, NULL, &result, &err), &err);
    fc_assert_ok(fc_features_open(&db, db_path, &err), &err);
    const fc_feature *f = fc_features_all(db, &n);
    assert_int_equal(f[0].n_active, SPIKES);
    assert_int_equal(f[1].n_active, LONG);
    fc_assert_ok(fc_features_contexts(db, 0, &c, &n, &err), &err);
    fc_assert_ok(fc_features_tokens(db, 0, &s, &n, &err), &err);
    assert_int_equal(n, SPIKES);
    for (int i = 0; i < SPIKES; i++) {
        const int32_t row = spike[SPIKES - 1 - i];
        assert_true(c[i].value == (double)(SPIKES - i));
        assert_int_equal(c[i].row, row);
        assert_int_equal(c[i].position, row % 3 + 1);
        assert_int_equal(c[i].token_id[c[i].peak], row);
        assert_int_equal(s[i].token_id, row);
    }
    fc_assert_ok(fc_features_contexts(db, 1, &c, &n, &err), &err);
    for (int i = 0; i < SPIKES; i++) assert_int_equal(c[i].row, 996 + 997 * i);
    fc_features_close(db);
    fc_sae_free(sae);
}

static void a_document_may_give_several(void **state)
{
    (void)state;
    fc_study_config config = config_of(4, 0);
    config.quantiles = 0;
    fc_study_result result;
    fc_features_db *db = study_planted(&config, &result);
    const int64_t rows[] = {1, 2, 5, 3};
    const fc_context *c;
    int64_t n;
    fc_err err;
    fc_assert_ok(fc_features_contexts(db, 0, &c, &n, &err), &err);
    assert_int_equal(n, 4);
    for (int64_t i = 0; i < n; i++) assert_int_equal(c[i].row, rows[i]);
    fc_features_close(db);
}

static void quantiles_hold_values_of_their_range(void **state)
{
    (void)state;
    fc_study_config config = config_of(1, 1);
    config.quantiles = 3;
    fc_study_result result;
    fc_features_db *db = study_planted(&config, &result);
    const fc_context *c;
    int64_t n, bins[FC_HISTOGRAM_BINS];
    fc_err err;
    /* feature 1 is 1 .. 12: ranges (0, 4], (4, 8], (8, 12] hold 4 values each */
    fc_assert_ok(fc_features_contexts(db, 1, &c, &n, &err), &err);
    assert_int_equal(n, 13);
    for (int64_t i = 0; i < 12; i++) {
        assert_int_equal(c[1 + i].quantile, 3 - i / 4);
        assert_true(c[1 + i].value == (double)(12 - i));
    }
    fc_assert_ok(fc_features_histogram(db, 1, bins, &err), &err);
    for (int64_t k = 0; k < FC_HISTOGRAM_BINS; k++) {
        int64_t expected = 0;
        for (int64_t v = 1; v <= 12; v++)
            expected +=
                v * FC_HISTOGRAM_BINS > k * 12 && v * FC_HISTOGRAM_BINS <= (k + 1) * 12;
        assert_int_equal(bins[k], expected);
    }
    fc_features_close(db);
}

static void shares_of_tokens_add_up(void **state)
{
    (void)state;
    const fc_study_config config = config_of(1, 1);
    fc_study_result result;
    fc_features_db *db = study_planted(&config, &result);
    const fc_token_share *s;
    int64_t n;
    fc_err err;
    fc_assert_ok(fc_features_tokens(db, 0, &s, &n, &err), &err);
    const struct {
        int32_t token;
        double share;
        int64_t n;
    } expected[] = {
        {11, 15.0 / 25, 3}, {12, 7.0 / 25, 2}, {14, 2.0 / 25, 1}, {10, 1.0 / 25, 1}};
    assert_int_equal(n, 4);
    for (int64_t i = 0; i < n; i++) {
        assert_int_equal(s[i].token_id, expected[i].token);
        assert_true(fabs(s[i].share - expected[i].share) < 1e-12);
        assert_int_equal(s[i].n, expected[i].n);
    }
    fc_features_close(db);
}

/* --- random ----------------------------------------------------------------------------- */

/* More rows than a block, not a multiple. */
enum { MANY_ROWS = 2100, MANY_D = 24, MANY_FEATURES = 1040 };

static float *random_x;
static fc_row *random_row;

static void random_store(void)
{
    const planted_rows planted = {MANY_ROWS, MANY_D, random_x, random_row};
    for (int64_t i = 0; i < MANY_ROWS * MANY_D; i++)
        random_x[i] = (float)fc_rng_normal(1, FC_RNG_TEST, (uint64_t)i);
    for (int64_t t = 0; t < MANY_ROWS; t++)
        random_row[t] = (fc_row){.token_id = (int32_t)(t * t % 97),
                                 .doc_id = (int32_t)(t / 37),
                                 .position = (int32_t)(t % 37 + 1)};
    planted_store(acts, &planted);
}

/* From features that never fire to features that nearly always do. */
static fc_sae *random_sae(const char *arch)
{
    fc_sae *sae;
    fc_err err;
    fc_assert_ok(fc_sae_new(&sae, arch, MANY_D, MANY_D, MANY_FEATURES, &err), &err);
    sae->is_b_dec_subtracted = true;
    sae->k = 7;
    sae->is_rescaled = strcmp(arch, "topk") == 0;
    for (int64_t i = 0; i < MANY_FEATURES; i++) {
        if (sae->threshold != NULL) sae->threshold[i] = 0.1f * (float)(i % 5);
        if (sae->r_mag != NULL) sae->r_mag[i] = 0.1f * (float)(i % 3);
        if (sae->b_mag != NULL) sae->b_mag[i] = -0.2f * (float)(i % 4);
    }
    for (int64_t i = 0; i < MANY_FEATURES * MANY_D; i++) {
        sae->w_enc[i] = 0.2f * (float)fc_rng_normal(2, FC_RNG_TEST, (uint64_t)i);
        sae->w_dec[i] = 0.02f * (float)fc_rng_normal(3, FC_RNG_TEST, (uint64_t)i);
    }
    for (int64_t i = 0; i < MANY_FEATURES; i++)
        sae->b_enc[i] = (float)(i % 13) * -0.5f + 1.0f;
    for (int64_t j = 0; j < MANY_D; j++) sae->b_dec[j] = 0.1f * (float)j;
    return sae;
}

/* All activations at once, and what they amount to by definition. */
static float *encode_all(const fc_sae *sae, fc_precision precision, double *mse,
                         double *fvu)
{
    fc_err err;
    float *f = NULL;
    fc_codes *codes;
    double error = 0.0, total = 0.0, mean[MANY_D] = {0};
    fc_assert_ok(fc_alloc(&f, MANY_FEATURES, MANY_ROWS * sizeof *f, "f", &err), &err);
    fc_assert_ok(fc_codes_new(&codes, sae, be, precision, MANY_ROWS, true, &err), &err);
    fc_codes_encode(codes, sae, be, random_x, MANY_ROWS);
    for (int64_t i = 0; i < MANY_FEATURES; i++)
        memcpy(f + i * MANY_ROWS, codes->value + i * codes->row, MANY_ROWS * sizeof *f);
    fc_codes_free(codes);
    for (int64_t i = 0; i < MANY_ROWS * MANY_D; i++)
        mean[i % MANY_D] += (double)random_x[i];
    for (int64_t t = 0; t < MANY_ROWS; t++)
        for (int64_t j = 0; j < MANY_D; j++) {
            const double x = (double)random_x[t * MANY_D + j];
            double y = (double)sae->b_dec[j];
            for (int64_t i = 0; i < MANY_FEATURES; i++)
                y += (double)f[i * MANY_ROWS + t] * (double)sae->w_dec[i * MANY_D + j];
            error += (x - y) * (x - y);
            total += (x - mean[j] / MANY_ROWS) * (x - mean[j] / MANY_ROWS);
        }
    *mse = error / (MANY_ROWS * MANY_D);
    *fvu = error / total;
    return f;
}

static void check_examples(fc_features_db *db, int64_t i, const float *f,
                           double tolerance)
{
    const fc_context *c;
    int64_t n;
    fc_err err;
    fc_assert_ok(fc_features_contexts(db, i, &c, &n, &err), &err);
    double before = (double)INFINITY;
    for (int64_t k = 0; k < n; k++) {
        const fc_row row = random_row[c[k].row];
        assert_true(c[k].value == (double)f[c[k].row]);
        assert_int_equal(c[k].position, row.position);
        if (c[k].quantile == 0) assert_true(c[k].value <= before);
        before = c[k].value;
        for (int64_t t = 0; t < c[k].n; t++) {
            const int64_t at = c[k].row - c[k].peak + t;
            assert_int_equal(random_row[at].doc_id, row.doc_id);
            assert_int_equal(random_row[at].token_id, c[k].token_id[t]);
            assert_true(fabs((double)c[k].activation[t] - (double)f[at]) <= tolerance);
        }
        assert_true((double)c[k].activation[c[k].peak] == c[k].value);
    }
}

static void check_random(const char *arch, fc_precision_choice choice, double tolerance,
                         double mse_tolerance)
{
    const fc_precision precision =
        choice == FC_F32_PRECISION ? FC_PRECISION_F32 : FC_PRECISION_BF16;
    fc_study_config config = config_of(5, 2);
    fc_study_result result;
    fc_features_db *db;
    fc_err err;
    double mse, fvu, l0 = 0.0;
    int64_t n, n_silent = 0;
    config.precision = (int)choice;
    fc_sae *sae = random_sae(arch);
    float *all = encode_all(sae, precision, &mse, &fvu);
    fc_assert_ok(study(&config, sae, NULL, &result, &err), &err);
    fc_assert_ok(fc_features_open(&db, db_path, &err), &err);
    const fc_feature *feature = fc_features_all(db, &n);
    for (int64_t i = 0; i < MANY_FEATURES; i++) {
        const float *f = all + i * MANY_ROWS;
        double sum = 0.0, max = 0.0;
        int64_t n_active = 0, bins[FC_HISTOGRAM_BINS];
        for (int64_t t = 0; t < MANY_ROWS; t++) {
            n_active += f[t] > 0.0f;
            sum += (double)f[t];
            max = fmax(max, (double)f[t]);
        }
        l0 += (double)n_active / MANY_ROWS;
        n_silent += n_active == 0;
        assert_int_equal(feature[i].n_active, n_active);
        assert_true(feature[i].max == max);
        assert_true(fabs(feature[i].mean_active * (double)n_active - sum) <= 1e-6 * sum);
        fc_assert_ok(fc_features_histogram(db, i, bins, &err), &err);
        for (int64_t k = 0; k < FC_HISTOGRAM_BINS; k++) n_active -= bins[k];
        assert_int_equal(n_active, 0);
        check_examples(db, i, f, tolerance);
    }
    assert_true(n_silent > 10 && n_silent < MANY_FEATURES / 10 * 9);
    assert_true(fabs(result.l0 - l0) < 1e-9 * l0);
    assert_true(fabs(result.mse - mse) < mse_tolerance * mse);
    assert_true(fabs(result.fvu - fvu) < mse_tolerance * fvu);
    assert_true(result.explained_variance == 1.0 - result.fvu);
    fc_features_close(db);
    fc_free(all);
    fc_sae_free(sae);
}

static void random_features_agree_with_their_definitions(void **state)
{
    (void)state;
    random_store();
    check_random("standard", FC_F32_PRECISION, 2e-6, 1e-5);
    check_random("standard", FC_BF16_PRECISION, 2e-5, 1e-3);
}

static void features_of_every_architecture_agree_with_their_definitions(void **state)
{
    (void)state;
    static const char *const archs[] = {"topk", "batchtopk", "jumprelu", "gated",
                                        "matryoshka_batchtopk"};
    random_store();
    for (size_t i = 0; i < FC_LEN(archs); i++)
        check_random(archs[i], FC_F32_PRECISION, 2e-6, 1e-5);
}

static void any_number_of_threads_gives_the_same_bytes(void **state)
{
    (void)state;
    char other[FC_PATH_MAX];
    fc_study_result result;
    fc_err err;
    fc_test_path(other, dir, "one-thread.db");
    random_store();
    fc_sae *sae = random_sae("standard");
    const int choices[] = {FC_F32_PRECISION, FC_BF16_PRECISION};
    for (size_t p = 0; p < FC_LEN(choices); p++)
        for (int threads = 1; threads <= 3; threads++) {
            fc_study_config config = config_of(5, 1);
            config.precision = choices[p];
            fc_par_set_threads(threads);
            fc_assert_ok(study(&config, sae, NULL, &result, &err), &err);
            if (threads == 1)
                assert_int_equal(rename(db_path, other), 0);
            else
                fc_test_assert_files_equal(db_path, other);
        }
    fc_par_set_threads(0);
    fc_sae_free(sae);
}

static void another_seed_draws_other_examples(void **state)
{
    (void)state;
    fc_study_result result;
    fc_err err;
    int64_t rows[2][64] = {{0}}, n = 0;
    random_store();
    fc_sae *sae = random_sae("standard");
    for (int s = 0; s < 2; s++) {
        fc_study_config config = config_of(5, 1);
        fc_features_db *db;
        const fc_context *c;
        config.seed = s;
        fc_assert_ok(study(&config, sae, NULL, &result, &err), &err);
        fc_assert_ok(fc_features_open(&db, db_path, &err), &err);
        fc_assert_ok(fc_features_contexts(db, 0, &c, &n, &err), &err);
        assert_in_range(n, 20, 64);
        for (int64_t k = 0; k < n; k++) rows[s][k] = c[k].row;
        fc_features_close(db);
    }
    assert_memory_equal(rows[0], rows[1],
                        5 * sizeof(int64_t)); /* the strongest are the same */
    assert_memory_not_equal(rows[0], rows[1], sizeof rows[0]);
    fc_sae_free(sae);
}

static void later_blocks_allocate_nothing(void **state)
{
    (void)state;
    int64_t n_allocations[2];
    const int64_t n_rows[] = {1100, MANY_ROWS};
    fc_sae *sae = planted_sae(MANY_D);
    random_store();
    for (int64_t t = 0; t < MANY_ROWS; t++) random_row[t].doc_id = 0;
    for (int i = 0; i < 2; i++) {
        const planted_rows planted = {n_rows[i], MANY_D, random_x, random_row};
        fc_study_config config = config_of(5, 1);
        fc_study_result result;
        fc_err err;
        fc_store *store;
        fc_test_dir_remove(acts);
        planted_store(acts, &planted);
        fc_assert_ok(fc_store_open(&store, acts, false, false, &err), &err);
        fc_doc doc;
        fc_assert_ok(fc_store_doc(store, 0, &doc, &err), &err);
        const int64_t before = fc_alloc_count();
        fc_assert_ok(fc_study(&config, sae, store, NULL, be, db_path, &result, &err),
                     &err);
        n_allocations[i] = fc_alloc_count() - before;
        fc_store_close(store);
    }
    assert_int_equal(n_allocations[0], n_allocations[1]);
    fc_sae_free(sae);
}

/* --- text ------------------------------------------------------------------------------- */

static void tokens_are_shown_as_text(void **state)
{
    (void)state;
    char model[FC_PATH_MAX];
    fc_tokenizer *tokenizer;
    fc_encoder *encoder;
    fc_tokens tokens = {0};
    fc_study_result result;
    fc_features_db *db;
    fc_err err;
    const fc_study_config config = config_of(1, 1);
    const char text[] = " the month of May";
    fc_source_file(model, "assets/example-model");
    if (!fc_path_exists(model)) skip();
    fc_assert_ok(fc_tokenizer_load(&tokenizer, model, &err), &err);
    fc_assert_ok(fc_encoder_new(&encoder, tokenizer, &err), &err);
    fc_assert_ok(fc_encode(encoder, text, sizeof text - 1,
                           (fc_encode_options){.no_bos = true}, &tokens, &err),
                 &err);
    assert_in_range(tokens.n, 2, 16);
    float x[16 * 2] = {0};
    fc_row rows[16];
    for (int64_t t = 0; t < tokens.n; t++)
        rows[t] = (fc_row){tokens.id[t], 0, (int32_t)t + 1};
    x[2] = 1.0f; /* feature 0 fires on the second token */
    const planted_rows planted = {tokens.n, 2, x, rows};
    planted_store(acts, &planted);
    fc_sae *sae = planted_sae(2);
    fc_assert_ok(study(&config, sae, tokenizer, &result, &err), &err);
    fc_assert_ok(fc_features_open(&db, db_path, &err), &err);
    const fc_context *c;
    int64_t n;
    fc_assert_ok(fc_features_contexts(db, 0, &c, &n, &err), &err);
    char shown[64] = "";
    for (int64_t t = 0; t < c[0].n; t++)
        strncat(shown, c[0].bytes[t], sizeof shown - strlen(shown) - 1);
    assert_memory_equal(shown, text, strlen(shown));
    assert_int_equal(c[0].peak, 1);
    fc_features_close(db);
    fc_sae_free(sae);
    fc_tokens_free(&tokens);
    fc_encoder_free(encoder);
    fc_tokenizer_free(tokenizer);
}

/* --- refusals --------------------------------------------------------------------------- */

/* Overwrites a number in the store's shard: stores refuse to be written with what is not finite,
 * but a file may hold anything. */
static void replace_in_shard(float from, float to)
{
    char path[FC_PATH_MAX];
    size_t n_bytes, at = 0;
    fc_test_path(path, acts, "shard-00000.safetensors");
    char *bytes = fc_test_read(path, &n_bytes);
    uint8_t wanted[sizeof from];
    memcpy(wanted, &from, sizeof from);
    while (at + sizeof from <= n_bytes && memcmp(bytes + at, wanted, sizeof from) != 0)
        at++;
    assert_true(at + sizeof from <= n_bytes);
    memcpy(bytes + at, &to, sizeof to);
    fc_test_write(path, bytes, n_bytes);
    free(bytes);
}

static void rows_that_are_not_finite_are_refused(void **state)
{
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY}, marker = 1234.5f;
    float x[ROWS * D];
    memcpy(x, planted_x, sizeof x);
    x[7 * D + 3] = marker;
    const planted_rows planted = {ROWS, D, x, planted_row};
    fc_sae *sae = planted_sae(D);
    for (size_t i = 0; i < FC_LEN(bad); i++) {
        const fc_study_config config = config_of(4, 1);
        fc_study_result result;
        fc_err err;
        planted_store(acts, &planted);
        replace_in_shard(marker, bad[i]);
        fc_assert_fails(study(&config, sae, NULL, &result, &err), &err, FC_FORMAT,
                        "row 7", "finite");
        assert_false(fc_path_exists(db_path));
        fc_test_dir_remove(acts);
    }
    fc_sae_free(sae);
}

static void activations_that_overflow_are_refused(void **state)
{
    (void)state;
    const fc_study_config config = config_of(4, 1);
    const planted_rows planted = {ROWS, D, planted_x, planted_row};
    fc_study_result result;
    fc_err err;
    planted_store(acts, &planted);
    fc_sae *sae = planted_sae(D);
    sae->w_enc[D + 1] = 3e38f;
    fc_assert_fails(study(&config, sae, NULL, &result, &err), &err, FC_FORMAT,
                    "feature 1", "infinite");
    fc_sae_free(sae);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    const planted_rows planted = {ROWS, D, planted_x, planted_row};
    fc_study_result result;
    fc_err err;
    planted_store(acts, &planted);
    fc_sae *sae = planted_sae(D + 1);
    fc_study_config config = config_of(4, 1);
    fc_assert_fails(study(&config, sae, NULL, &result, &err), &err, FC_MISMATCH, "4",
                    "5");
    fc_sae_free(sae);
    sae = planted_sae(D);
    snprintf(sae->arch, sizeof sae->arch, "groupmax");
    fc_assert_fails(study(&config, sae, NULL, &result, &err), &err, FC_MISMATCH,
                    "groupmax", "reconstructs");
    snprintf(sae->arch, sizeof sae->arch, "transcoder");
    fc_assert_fails(study(&config, sae, NULL, &result, &err), &err, FC_MISMATCH,
                    "transcoder", "reconstructs");
    snprintf(sae->arch, sizeof sae->arch, "standard");
    const struct {
        size_t offset;
        int64_t value;
        const char *name;
    } cases[] = {{offsetof(fc_study_config, contexts), 0, "contexts"},
                 {offsetof(fc_study_config, contexts), INT64_MAX, "contexts"},
                 {offsetof(fc_study_config, per_document), -1, "per-document"},
                 {offsetof(fc_study_config, window), -1, "window"},
                 {offsetof(fc_study_config, window), 257, "window"},
                 {offsetof(fc_study_config, quantiles), 21, "quantiles"},
                 {offsetof(fc_study_config, per_quantile), 33, "per-quantile"}};
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        config = config_of(4, 1);
        memcpy((char *)&config + cases[i].offset, &cases[i].value, sizeof(int64_t));
        fc_assert_fails(study(&config, sae, NULL, &result, &err), &err, FC_USAGE,
                        cases[i].name);
    }
    config = config_of(4, 1);
    config.dead_threshold = (double)NAN;
    fc_assert_fails(study(&config, sae, NULL, &result, &err), &err, FC_USAGE, "dead");
    assert_false(fc_path_exists(db_path));
    fc_sae_free(sae);
}

static void an_interrupted_study_leaves_no_file(void **state)
{
    (void)state;
    const planted_rows planted = {ROWS, D, planted_x, planted_row};
    const fc_study_config config = config_of(4, 1);
    fc_study_result result;
    fc_err err;
    planted_store(acts, &planted);
    fc_sae *sae = planted_sae(D);
    fc_cancel_set(true);
    fc_assert_fails(study(&config, sae, NULL, &result, &err), &err, FC_CANCELLED,
                    "interrupted");
    fc_cancel_set(false);
    assert_int_equal(fc_test_count_entries(dir), 1); /* the store */
    fc_sae_free(sae);
}

static fc_status sweep_study(void *ctx, fc_err *err)
{
    const fc_study_config config = config_of(4, 1);
    fc_study_result result;
    return study(&config, ctx, NULL, &result, err);
}

static void nothing_is_left(void *ctx)
{
    (void)ctx;
    assert_int_equal(fc_test_count_entries(dir), 1);
}

static void memory_that_runs_out_is_reported(void **state)
{
    (void)state;
    const planted_rows planted = {ROWS, D, planted_x, planted_row};
    planted_store(acts, &planted);
    fc_sae *sae = planted_sae(D);
    assert_true(fc_test_sweep_alloc(sweep_study, nothing_is_left, sae) > 20);
    fc_sae_free(sae);
}

static void the_table_describes_every_option(void **state)
{
    (void)state;
    int64_t n;
    fc_err err;
    fc_study_config config, copy;
    const fc_field *fields = fc_study_fields(&n);
    fc_study_defaults(&config);
    assert_int_equal(n, 9);
    for (int64_t i = 0; i < n; i++) {
        fc_strbuf text = {0};
        copy = config;
        fc_assert_ok(fc_field_get(&fields[i], &config, &text, &err), &err);
        fc_assert_ok(fc_field_set(&fields[i], &copy, fc_strbuf_text(&text), "test", &err),
                     &err);
        assert_memory_equal(&copy, &config, sizeof copy);
        fc_strbuf_free(&text);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(planted_statistics_are_found),
        TEST(contexts_end_at_their_document),
        TEST(the_window_is_half_before_and_half_after),
        TEST(rows_of_a_long_store_are_found),
        TEST(a_document_may_give_several),
        TEST(quantiles_hold_values_of_their_range),
        TEST(shares_of_tokens_add_up),
        TEST(random_features_agree_with_their_definitions),
        TEST(features_of_every_architecture_agree_with_their_definitions),
        TEST(any_number_of_threads_gives_the_same_bytes),
        TEST(another_seed_draws_other_examples),
        TEST(later_blocks_allocate_nothing),
        TEST(tokens_are_shown_as_text),
        TEST(rows_that_are_not_finite_are_refused),
        TEST(activations_that_overflow_are_refused),
        TEST(what_does_not_fit_is_refused),
        TEST(an_interrupted_study_leaves_no_file),
        TEST(memory_that_runs_out_is_reported),
        TEST(the_table_describes_every_option),
    };
    fc_par_set_threads(3); /* the backend's scratch is for as many as now */
    random_x = calloc(MANY_ROWS * MANY_D, sizeof *random_x);
    random_row = calloc(MANY_ROWS, sizeof *random_row);
    if (random_x == NULL || random_row == NULL ||
        fc_backend_open(&be, NULL, NULL) != FC_OK)
        return 1;
    const int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    fc_backend_close(be);
    free(random_x);
    free(random_row);
    return n_failed;
}
