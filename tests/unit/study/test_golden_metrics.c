/* test_golden_metrics.c - a study's numbers against those that float64 formulas gave for an SAE
 * with planted silent and dead features (fixtures/sae/metrics).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "planted.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "model/model.h"
#include "study/features_db.h"
#include "study/study.h"

static const double tolerance = 2e-5;

static char dir[FC_PATH_MAX], acts[FC_PATH_MAX], db_path[FC_PATH_MAX];

static void assert_near(double found, double expected, const char *name)
{
    if (!(fabs(found - expected) <= tolerance * fabs(expected)))
        fail_msg("%s is %.9g, expected %.9g", name, found, expected);
}

/* The rows of the fixture as a store, 100 to a document. */
static void make_store(void)
{
    char path[FC_PATH_MAX];
    fc_safetensors *file;
    const fc_tensor *x;
    fc_err err;
    fc_row *rows;
    fc_fixture(path, "sae/metrics/data.safetensors");
    fc_assert_ok(fc_safetensors_open(&file, path, &err), &err);
    fc_assert_ok(fc_safetensors_need(file, "x", FC_F32, 2, (int64_t[]){-1, -1}, &x, &err),
                 &err);
    float *values;
    fc_assert_ok(fc_tensor_to_f32(x, &values, &err), &err);
    fc_assert_ok(fc_alloc(&rows, x->shape[0], sizeof *rows, "rows", &err), &err);
    for (int64_t t = 0; t < x->shape[0]; t++)
        rows[t] = (fc_row){(int32_t)(t % 7), (int32_t)(t / 100), (int32_t)(t % 100 + 1)};
    const planted_rows planted = {x->shape[0], x->shape[1], values, rows};
    planted_store(acts, &planted);
    fc_free(values);
    fc_free(rows);
    fc_safetensors_close(file);
}

static void check_run(const fc_features_db *db)
{
    static const struct {
        const char *ours, *theirs;
    } pairs[] = {{"mse", "mse_mean_over_d"},
                 {"fvu", "fvu"},
                 {"explained_variance", "explained_variance"},
                 {"l0", "l0"},
                 {"n_dead", "dead_features_max_activation_at_most_1e-6"},
                 {"n_rows", "n_tokens"},
                 {"d_in", "d_in"}};
    char path[FC_PATH_MAX];
    json_t *root;
    fc_err err;
    fc_fixture(path, "sae/metrics/expected.json");
    fc_assert_ok(fc_json_load(&root, path, &err), &err);
    const json_t *correct = json_object_get(root, "correct");
    for (size_t i = 0; i < FC_LEN(pairs); i++) {
        double expected = (double)NAN;
        fc_assert_ok(fc_json_f64(correct, pairs[i].theirs, &expected, path, &err), &err);
        assert_near(fc_features_run_number(db, pairs[i].ours), expected, pairs[i].ours);
    }
    json_decref(root);
}

static double value_of(const fc_safetensors *file, const char *name, int64_t i)
{
    const fc_tensor *tensor = fc_safetensors_find(file, name);
    double value;
    assert_non_null(tensor);
    assert_int_equal(tensor->dtype, FC_F64);
    memcpy(&value, (const char *)tensor->data + i * (int64_t)sizeof value, sizeof value);
    return value;
}

static void check_features(const fc_features_db *db)
{
    char path[FC_PATH_MAX];
    fc_safetensors *file;
    int64_t n;
    fc_err err;
    const fc_feature *feature = fc_features_all(db, &n);
    fc_fixture(path, "sae/metrics/expected_features.safetensors");
    fc_assert_ok(fc_safetensors_open(&file, path, &err), &err);
    for (int64_t i = 0; i < n; i++) {
        assert_near(feature[i].frequency, value_of(file, "feature_density", i),
                    "frequency");
        assert_near(feature[i].max, value_of(file, "max_activation", i), "max");
        if (feature[i].n_active > 0)
            assert_near(feature[i].mean_active,
                        value_of(file, "mean_activation_when_active", i), "mean");
        assert_int_equal(feature[i].is_dead, i < 4);
    }
    fc_safetensors_close(file);
}

static void numbers_agree_with_float64_formulas(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    fc_study_config config;
    fc_study_result result;
    fc_features_db *db;
    fc_backend *be;
    fc_store *store;
    fc_sae *sae;
    fc_err err;
    make_store();
    fc_fixture(path, "sae/metrics/sae");
    fc_assert_ok(fc_sae_load(&sae, path, &err), &err);
    fc_assert_ok(fc_backend_open(&be, NULL, &err), &err);
    fc_assert_ok(fc_store_open(&store, acts, true, false, &err), &err);
    fc_study_defaults(&config);
    config.precision = FC_F32_PRECISION;
    fc_assert_ok(fc_study(&config, sae, store, NULL, be, db_path, &result, &err), &err);
    fc_assert_ok(fc_features_open(&db, db_path, &err), &err);
    check_run(db);
    check_features(db);
    fc_features_close(db);
    fc_store_close(store);
    fc_backend_close(be);
    fc_sae_free(sae);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_agree_with_float64_formulas)};
    if (!fc_fixture_exists("sae/metrics/expected.json")) return 0;
    fc_test_dir_make(dir);
    fc_test_path(acts, dir, "acts");
    fc_test_path(db_path, dir, "features.db");
    const int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    fc_test_dir_remove(dir);
    return n_failed;
}
