/* test_offline.c - density and concepts in numbers, and the evaluations without text put together.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "planted.h"

#include <math.h>
#include <stdlib.h>

#include "base/cancel.h"
#include "base/par.h"
#include "base/rng.h"
#include "formats/json.h"
#include "study/offline.h"
#include "study/study.h"

static fc_backend *be;

/* --- density and concepts ------------------------------------------------------------------ */

static void frequencies_are_counted_by_their_logarithm(void **state)
{
    (void)state;
    const fc_feature feature[] = {
        {.frequency = 0.0, .is_dead = true},
        {.frequency = 0.0},
        {.frequency = 1e-12},
        {.frequency = 0.01},
        {.frequency = 0.011},
        {.frequency = 0.1},
        {.frequency = 0.5, .is_dead = true},
        {.frequency = 1.0},
    };
    const fc_density d = fc_density_of(feature, 8, 1000);
    int64_t n = 0;
    for (int k = 0; k < FC_DENSITY_BINS; k++) n += d.bin[k];
    assert_true(d.n_features == 8 && d.n_rows == 1000 && d.n_silent == 2 &&
                d.n_dead == 2);
    assert_true(d.over_1 == 4.0 / 8 && d.over_10 == 2.0 / 8);
    assert_true(n == 6 && d.bin[0] == 1 && d.bin[FC_DENSITY_BINS - 1] == 1);
    assert_true(d.bin[24] == 2 && d.bin[28] == 1 && d.bin[30] == 1); /* .01, .1, .5 */
    assert_true(fc_density_border(24) == -2.0 && fc_density_border(28) == -1.0);
    const fc_density none = fc_density_of(NULL, 0, 0);
    assert_true(none.n_features == 0 && none.over_1 == 0.0);
}

static void concepts_without_rows_do_not_count_and_those_without_features_do(void **state)
{
    (void)state;
    const fc_concept_hit hit[] = {{.f1 = 0.8, .auc = 0.9}, {.f1 = 0.1, .auc = 0.2}};
    const fc_concept_row concept[] = {
        {.name = "a", .n_rows = 5, .hit = hit, .n_hits = 2},
        {.name = "b", .n_rows = 0, .hit = hit, .n_hits = 1},
        {.name = "c", .n_rows = 7},
    };
    const fc_concept_means m = fc_concept_means_of(concept, 3);
    assert_true(m.n == 2 && m.f1 == 0.4 && fabs(m.auc - 0.7) < 1e-12);
    assert_true(fc_concept_means_of(concept, 0).n == 0);
}

/* --- together --------------------------------------------------------------------------------- */

enum { D = 8, N = 400 };

/* Feature i fires on every (i + 1)-th row; the last never. */
static fc_features_db *studied(const char *dir, const fc_sae *sae)
{
    static float x[N * D];
    static fc_row rows[N];
    char acts[FC_PATH_MAX], path[FC_PATH_MAX];
    fc_store *store;
    fc_study_config config;
    fc_study_result result;
    fc_features_db *db;
    fc_err err;
    for (int64_t t = 0; t < N; t++) {
        rows[t] = (fc_row){.token_id = 1, .doc_id = 0, .position = (int32_t)t + 1};
        for (int64_t i = 0; i < D; i++)
            x[t * D + i] = i < D - 1 && t % (i + 1) == 0 ? 1.0f : -1.0f;
    }
    const planted_rows planted = {N, D, x, rows};
    fc_test_path(acts, dir, "acts");
    fc_test_path(path, dir, "features.db");
    planted_store(acts, &planted);
    fc_assert_ok(fc_store_open(&store, acts, false, false, &err), &err);
    fc_study_defaults(&config);
    fc_assert_ok(fc_study(&config, sae, store, NULL, be, path, &result, &err), &err);
    fc_store_close(store);
    fc_assert_ok(fc_features_open(&db, path, &err), &err);
    return db;
}

static const json_t *at(const json_t *object, const char *section, const char *key)
{
    const json_t *value = json_object_get(json_object_get(object, section), key);
    assert_non_null(value);
    return value;
}

static void what_study_found_decides_which_features_are_looked_at(void **state)
{
    (void)state;
    char dir[FC_PATH_MAX];
    fc_offline o;
    json_t *object;
    fc_err err;
    fc_test_dir_make(dir);
    fc_sae *sae = planted_sae(D);
    fc_features_db *db = studied(dir, sae);
    const fc_offline_config config = {.has_geometry = true};
    const fc_offline_source source = {
        .sae = sae, .study = db, .against = sae, .against_name = "itself"};
    fc_assert_ok(fc_offline_measure(&config, &source, be, &o, &err), &err);
    assert_true(o.is_of_live && o.has_geometry && o.has_density && o.has_stability);
    assert_true(!o.has_absorption && !o.has_meta);
    assert_int_equal(o.geometry.n_features, D - 1);
    assert_int_equal(o.geometry.decoder_rank, D - 1);
    assert_true(o.density.n_silent == 1 && o.density.n_rows == N && o.concepts.n == 0);
    assert_true(o.density.over_10 == 7.0 / 8);
    assert_true(o.stability.n_matched == 7 && o.stability.n_same == 7); /* all of b */
    fc_assert_ok(fc_offline_json(&o, &source, &object, &err), &err);
    assert_string_equal(json_string_value(json_object_get(object, "features_looked_at")),
                        "live");
    assert_true(json_integer_value(at(object, "density", "never_active")) == 1);
    assert_true(json_array_size(at(object, "concepts", "best")) == 0);
    assert_true(json_real_value(at(object, "geometry", "decoder_effective_rank")) > 6.99);
    assert_true(json_real_value(at(object, "stability", "mean_matched_cosine")) > 0.999);
    assert_true(json_is_true(at(object, "stability", "is_exact")));
    assert_null(json_object_get(object, "absorption"));
    json_decref(object);
    fc_offline_deinit(&o);
    fc_sae *other = planted_sae(D + 1);
    const fc_offline_source wrong = {.sae = other, .study = db};
    fc_assert_fails(fc_offline_measure(&config, &wrong, be, &o, &err), &err, FC_MISMATCH,
                    "8 features", "9");
    fc_sae_free(other);
    fc_features_close(db);
    fc_sae_free(sae);
    fc_test_dir_remove(dir);
}

static void the_example_model_gives_every_number(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    fc_model *model;
    fc_tokenizer *tokenizer;
    fc_sae *sae;
    fc_offline o;
    fc_offline_config config;
    json_t *object, *again;
    fc_err err;
    fc_source_file(path, "assets/example-model");
    fc_assert_ok(fc_model_load(&model, path, &err), &err);
    fc_assert_ok(fc_tokenizer_load(&tokenizer, path, &err), &err);
    fc_assert_ok(fc_sae_new(&sae, "standard", 256, 256, 40, &err), &err);
    (void)snprintf(sae->hook, sizeof sae->hook, "model.layers.0.mlp.down_proj");
    for (int64_t i = 0; i < 256 * 40; i++)
        sae->w_enc[i] = sae->w_dec[i] =
            (float)fc_rng_normal(1, FC_RNG_TEST, (uint64_t)i) / 16.0f;
    fc_offline_defaults(&config);
    assert_true(config.has_geometry && config.has_absorption && config.has_meta);
    config.absorption_words = 60;
    config.has_meta = false;
    const fc_offline_source source = {.sae = sae,
                                      .model = model,
                                      .tokenizer = tokenizer,
                                      .precision = FC_F32_PRECISION};
    fc_assert_ok(fc_offline_measure(&config, &source, be, &o, &err), &err);
    assert_true(o.has_absorption && !o.is_of_live && !o.has_stability && !o.has_density);
    fc_assert_ok(fc_offline_json(&o, &source, &object, &err), &err);
    assert_true(json_integer_value(at(object, "absorption", "words")) == 60);
    assert_true(json_array_size(at(object, "absorption", "letters")) == 26);
    const json_t *letter = json_array_get(at(object, "absorption", "letters"), 1);
    assert_string_equal(json_string_value(json_object_get(letter, "first_letter")), "b");
    assert_non_null(
        json_object_get(at(object, "absorption", "mean"), "mean_full_absorption_score"));
    fc_offline_deinit(&o);
    fc_assert_ok(fc_offline_measure(&config, &source, be, &o, &err), &err);
    fc_assert_ok(fc_offline_json(&o, &source, &again, &err), &err);
    assert_true(json_equal(object, again));
    fc_offline_deinit(&o);
    json_decref(object);
    json_decref(again);
    fc_sae_free(sae);
    fc_tokenizer_free(tokenizer);
    fc_model_close(model);
}

static void transcoders_go_without_absorption(void **state)
{
    (void)state;
    fc_sae *sae;
    fc_offline o;
    fc_err err;
    fc_offline_config config;
    fc_offline_defaults(&config);
    fc_assert_ok(fc_sae_new(&sae, "transcoder", 3, 2, 2, &err), &err);
    sae->w_dec[0] = sae->w_dec[3] = sae->w_enc[0] = 1.0f;
    config.has_meta = false;
    const fc_offline_source source = {.sae = sae};
    fc_assert_ok(fc_offline_measure(&config, &source, be, &o, &err), &err);
    assert_true(!o.has_absorption && o.has_geometry && o.geometry.decoder_rank == 2);
    assert_true(o.geometry.encoder_decoder_cosine.n == 0);
    fc_offline_deinit(&o);
    fc_sae_free(sae);
}

static fc_status scenario(void *ctx, fc_err *err)
{
    const fc_offline_config config = {.has_geometry = true};
    const fc_offline_source source = {.sae = ctx, .against = ctx, .against_name = "it"};
    fc_offline o;
    json_t *object = NULL;
    FC_TRY(fc_offline_measure(&config, &source, be, &o, err));
    const fc_status status = fc_offline_json(&o, &source, &object, err);
    json_decref(object);
    fc_offline_deinit(&o);
    return status;
}

static void faults_and_interruptions_are_reported(void **state)
{
    (void)state;
    fc_sae *sae = planted_sae(3);
    fc_err err;
    assert_true(fc_test_sweep_alloc(scenario, NULL, sae) >= 30);
    fc_cancel_set(true);
    fc_assert_fails(scenario(sae, &err), &err, FC_CANCELLED, "eval");
    fc_cancel_set(false);
    fc_sae_free(sae);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frequencies_are_counted_by_their_logarithm),
        cmocka_unit_test(
            concepts_without_rows_do_not_count_and_those_without_features_do),
        cmocka_unit_test(what_study_found_decides_which_features_are_looked_at),
        cmocka_unit_test(the_example_model_gives_every_number),
        cmocka_unit_test(transcoders_go_without_absorption),
        cmocka_unit_test(faults_and_interruptions_are_reported),
    };
    fc_par_set_threads(3);
    if (fc_backend_open(&be, NULL, NULL) != FC_OK) return 1;
    const int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    fc_backend_close(be);
    return n_failed;
}
