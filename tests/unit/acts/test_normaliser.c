/* test_normaliser.c - the formulas, the way back, and the arithmetic of the seed experiment.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fake_store.h"

#include <math.h>
#include <string.h>

#include "acts/normaliser.h"
#include "base/alloc.h"
#include "formats/safetensors.h"

enum { N = 37, D = 29 };

static void make_rows(float *x, float *mean)
{
    for (int64_t i = 0; i < N * D; i++)
        x[i] = (float)fc_rng_normal(1, FC_RNG_TEST, (uint64_t)i) * (float)(1 + i % 5);
    for (int64_t j = 0; j < D; j++)
        mean[j] = (float)fc_rng_normal(2, FC_RNG_TEST, (uint64_t)j);
}

static void none_changes_nothing(void **state)
{
    (void)state;
    fc_normaliser normaliser = {.d = D}; /* ready without init */
    float x[N * D], y[N * D], mean[D];
    fc_row_norm norm[N];
    make_rows(x, mean);
    fc_normalise(&normaliser, y, x, norm, N);
    assert_memory_equal(y, x, sizeof y);
    for (int64_t i = 0; i < N; i++) assert_true(norm[i].scale == 1);
    fc_denormalise(&normaliser, y, norm, N);
    assert_memory_equal(y, x, sizeof y);
    fc_normaliser_deinit(&normaliser);
}

static void center_unit_gives_unit_rows_in_the_direction_of_the_centred_ones(void **state)
{
    (void)state;
    fc_err err;
    fc_normaliser normaliser;
    float x[N * D], y[N * D], mean[D];
    fc_row_norm norm[N];
    make_rows(x, mean);
    fc_assert_ok(fc_normaliser_init(&normaliser, FC_NORM_CENTER_UNIT, D, mean, 0, &err),
                 &err);
    fc_normalise(&normaliser, y, x, norm, N);
    for (int64_t i = 0; i < N; i++) {
        double square = 0, unit = 0;
        for (int64_t j = 0; j < D; j++) {
            const float c = x[i * D + j] - mean[j];
            square += (double)c * (double)c;
            unit += (double)y[i * D + j] * (double)y[i * D + j];
            const float expected = c / norm[i].scale;
            assert_memory_equal(&y[i * D + j], &expected, sizeof expected);
        }
        assert_true(fabs((double)norm[i].scale - sqrt(square)) <= 6e-8 * sqrt(square));
        assert_true(fabs(unit - 1) < 1e-6);
    }
    fc_normaliser_deinit(&normaliser);
}

static void center_scale_divides_all_rows_by_one_norm(void **state)
{
    (void)state;
    fc_err err;
    fc_normaliser normaliser;
    float x[N * D], y[N * D], mean[D];
    fc_row_norm norm[N];
    make_rows(x, mean);
    fc_assert_ok(
        fc_normaliser_init(&normaliser, FC_NORM_CENTER_SCALE, D, mean, 2.5f, &err), &err);
    fc_normalise(&normaliser, y, x, norm, N);
    for (int64_t i = 0; i < N * D; i++) assert_true(y[i] == (x[i] - mean[i % D]) / 2.5f);
    for (int64_t i = 0; i < N; i++) assert_true(norm[i].scale == 2.5f);
    fc_normaliser_deinit(&normaliser);
}

static void the_way_back_gives_the_rows(void **state)
{
    (void)state;
    const fc_norm_kind kinds[] = {FC_NORM_NONE, FC_NORM_CENTER_UNIT, FC_NORM_CENTER_SCALE,
                                  FC_NORM_CONSTANT};
    for (size_t k = 0; k < FC_LEN(kinds); k++) {
        fc_err err;
        fc_normaliser normaliser;
        float x[N * D], y[N * D], mean[D];
        fc_row_norm norm[N];
        make_rows(x, mean);
        fc_assert_ok(fc_normaliser_init(&normaliser, kinds[k], D, mean, 3, &err), &err);
        fc_normalise(&normaliser, y, x, norm, N);
        fc_denormalise(&normaliser, y, norm, N);
        fc_assert_close(y, x, N * D, 2e-7, 2e-7);
        fc_normaliser_deinit(&normaliser);
    }
}

static void normalising_in_place_in_parts_gives_the_same_bytes(void **state)
{
    (void)state;
    const fc_norm_kind kinds[] = {FC_NORM_NONE, FC_NORM_CENTER_UNIT, FC_NORM_CENTER_SCALE,
                                  FC_NORM_LAYER, FC_NORM_CONSTANT};
    for (size_t k = 0; k < FC_LEN(kinds); k++) {
        fc_err err;
        fc_normaliser normaliser;
        float x[N * D], y[N * D], mean[D];
        make_rows(x, mean);
        fc_assert_ok(fc_normaliser_init(&normaliser, kinds[k], D, mean, 3, &err), &err);
        fc_normalise(&normaliser, y, x, NULL, N);
        for (int64_t i = 0; i < N; i += 5)
            fc_normalise(&normaliser, x + i * D, x + i * D, NULL, fc_min(5, N - i));
        assert_memory_equal(x, y, sizeof x);
        fc_normaliser_deinit(&normaliser);
    }
}

static void a_row_equal_to_the_mean_becomes_zero_and_comes_back(void **state)
{
    (void)state;
    fc_err err;
    fc_normaliser normaliser;
    float y[D], mean[D], x[N * D];
    fc_row_norm norm;
    make_rows(x, mean);
    fc_assert_ok(fc_normaliser_init(&normaliser, FC_NORM_CENTER_UNIT, D, mean, 0, &err),
                 &err);
    fc_normalise(&normaliser, y, mean, &norm, 1);
    for (int64_t j = 0; j < D; j++) assert_true(y[j] == 0);
    assert_true(norm.scale == 0);
    fc_denormalise(&normaliser, y, &norm, 1);
    assert_memory_equal(y, mean, sizeof mean);
    fc_normaliser_deinit(&normaliser);
}

static void rows_that_are_not_finite_stay_so(void **state)
{
    (void)state;
    fc_err err;
    fc_normaliser normaliser;
    const float mean[2] = {0, 0};
    const float x[4] = {NAN, 1, INFINITY, 1};
    float y[4];
    fc_assert_ok(fc_normaliser_init(&normaliser, FC_NORM_CENTER_UNIT, 2, mean, 0, &err),
                 &err);
    fc_normalise(&normaliser, y, x, NULL, 2);
    assert_true(isnan(y[0]) && isnan(y[1]) && isnan(y[2]) && y[3] == 0);
    fc_normaliser_deinit(&normaliser);
}

static void impossible_values_are_refused(void **state)
{
    (void)state;
    const float norms[] = {0, -1, NAN, INFINITY};
    const float mean[1] = {0};
    fc_err err;
    fc_normaliser normaliser;
    for (size_t i = 0; i < FC_LEN(norms); i++)
        fc_assert_fails(fc_normaliser_init(&normaliser, FC_NORM_CENTER_SCALE, 1, mean,
                                           norms[i], &err),
                        &err, FC_FORMAT, "norm is");
    fc_assert_fails(
        fc_normaliser_init(&normaliser, FC_NORM_CENTER_UNIT, 0, mean, 0, &err), &err,
        FC_FORMAT, "width 0");
    fc_alloc_fail_at(1);
    fc_assert_fails(
        fc_normaliser_init(&normaliser, FC_NORM_CENTER_UNIT, 1, mean, 0, &err), &err,
        FC_NOMEM, "mean");
    assert_null(normaliser.mean);
    fc_alloc_fail_at(0);
}

static void layer_and_constant_need_nothing_but_the_row(void **state)
{
    (void)state;
    fc_err err = {0};
    const float x[] = {1, 2, 3, 6, 5, 5, 5, 5, 0, 0, 0, 0};
    /* row 0: mean 3, variance 14/3 over d - 1; norm sqrt(50), sqrt(d) = 2 */
    const double std = sqrt(14.0 / 3.0), length = sqrt(50.0) / 2.0;
    float y[12];
    fc_row_norm norm[3];
    fc_normaliser layer, constant;
    fc_assert_ok(fc_normaliser_init(&layer, FC_NORM_LAYER, 4, NULL, 0, &err), &err);
    fc_assert_ok(fc_normaliser_init(&constant, FC_NORM_CONSTANT, 4, NULL, 0, &err), &err);
    assert_null(layer.mean);
    fc_normalise(&layer, y, x, norm, 3);
    assert_true(fabs((double)norm[0].scale - std) < 1e-6 && norm[0].shift == 3);
    for (int j = 0; j < 4; j++)
        assert_true(fabs((double)y[j] - ((double)x[j] - 3) / (std + 1e-5)) < 1e-6);
    for (int j = 4; j < 12; j++) assert_true(y[j] == 0);
    fc_denormalise(&layer, y, norm, 3);
    for (int j = 4; j < 12; j++)
        assert_true(y[j] == x[j]); /* what it was given exactly */
    fc_normalise(&constant, y, x, norm, 3);
    assert_true(fabs((double)norm[0].scale - length) < 1e-6 && norm[0].shift == 0);
    for (int j = 0; j < 4; j++)
        assert_true(fabs((double)y[j] - (double)x[j] / length) < 1e-6);
    for (int j = 8; j < 12; j++) assert_true(y[j] == 0);
    fc_denormalise(&constant, y, norm, 3);
    for (int j = 0; j < 12; j++) assert_true(fabs((double)(y[j] - x[j])) < 1e-5);
}

static void center_scale_of_a_store_gives_rows_of_mean_norm_root_d(void **state)
{
    fake_folders *const folders = *state;
    enum { ROWS = 150 };
    fc_err err;
    fc_store *store = NULL;
    fc_normaliser normaliser;
    float x[ROWS * FAKE_D];
    double sum = 0;
    fake_make(folders->a, FC_BF16, ROWS, 128);
    fc_assert_ok(fc_store_open(&store, folders->a, false, false, &err), &err);
    fc_assert_ok(fc_normaliser_of_store(&normaliser, FC_NORM_CENTER_SCALE, store, &err),
                 &err);
    fc_store_read(store, 0, ROWS, x);
    fc_normalise(&normaliser, x, x, NULL, ROWS);
    for (int64_t i = 0; i < ROWS; i++) {
        double square = 0;
        for (int64_t j = 0; j < FAKE_D; j++)
            square += (double)x[i * FAKE_D + j] * (double)x[i * FAKE_D + j];
        sum += sqrt(square) / ROWS;
    }
    assert_true(fabs(sum - sqrt((double)FAKE_D)) < 1e-5);
    fc_normaliser_deinit(&normaliser);
    fc_store_close(store);
}

static void an_unfinished_store_has_no_mean_to_normalise_by(void **state)
{
    fake_folders *const folders = *state;
    const fc_store_info info = fake_info(FC_BF16, 100, 50);
    fc_err err;
    fc_store *store = NULL;
    fc_normaliser normaliser;
    fc_assert_ok(fake_fill(folders->a, &info, 60, 5, false, &err), &err);
    fc_assert_ok(fc_store_open(&store, folders->a, false, true, &err), &err);
    fc_assert_fails(fc_normaliser_of_store(&normaliser, FC_NORM_CENTER_UNIT, store, &err),
                    &err, FC_MISMATCH, "unfinished");
    fc_assert_ok(fc_normaliser_of_store(&normaliser, FC_NORM_NONE, store, &err), &err);
    fc_normaliser_deinit(&normaliser);
    fc_store_close(store);
}

/* --- the seed experiment's own vectors ---------------------------------------------------- */

static float *load(const fc_safetensors *file, const char *name, int64_t *n, int64_t *d)
{
    fc_err err;
    float *values = NULL;
    const fc_tensor *const tensor = fc_safetensors_find(file, name);
    assert_non_null(tensor);
    fc_assert_ok(fc_tensor_to_f32(tensor, &values, &err), &err);
    *n = tensor->shape[0];
    *d = tensor->rank > 1 ? tensor->shape[1] : 1;
    return values;
}

static void seed_rows_come_out_as_in_the_experiment(void **state)
{
    (void)state;
    const char *const names[] = {"seed-sum-l1", "seed-mean-l1", "seed-clip", "seed-dead"};
    for (size_t i = 0; i < FC_LEN(names); i++) {
        char path[FC_PATH_MAX], name[128];
        fc_err err;
        fc_safetensors *file = NULL;
        fc_normaliser normaliser;
        int64_t n, d, n_mean, one;
        snprintf(name, sizeof name, "sae/training/%s/start.safetensors", names[i]);
        fc_fixture(path, name);
        fc_assert_ok(fc_safetensors_open(&file, path, &err), &err);
        float *const mean = load(file, "mean", &n_mean, &one);
        float *const x = load(file, "x", &n, &d);
        float *const raw = load(file, "x_raw", &n, &d);
        assert_int_equal(n_mean, d);
        fc_assert_ok(
            fc_normaliser_init(&normaliser, FC_NORM_CENTER_UNIT, d, mean, 0, &err), &err);
        fc_normalise(&normaliser, raw, raw, NULL, n);
        fc_assert_close(raw, x, n * d, 1.2e-7, 1e-7); /* one rounding of the norm apart */
        fc_normaliser_deinit(&normaliser);
        fc_free(mean);
        fc_free(x);
        fc_free(raw);
        fc_safetensors_close(file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layer_and_constant_need_nothing_but_the_row),
        cmocka_unit_test(none_changes_nothing),
        cmocka_unit_test(
            center_unit_gives_unit_rows_in_the_direction_of_the_centred_ones),
        cmocka_unit_test(center_scale_divides_all_rows_by_one_norm),
        cmocka_unit_test(the_way_back_gives_the_rows),
        cmocka_unit_test(normalising_in_place_in_parts_gives_the_same_bytes),
        cmocka_unit_test(a_row_equal_to_the_mean_becomes_zero_and_comes_back),
        cmocka_unit_test(rows_that_are_not_finite_stay_so),
        cmocka_unit_test(impossible_values_are_refused),
        cmocka_unit_test_setup_teardown(
            center_scale_of_a_store_gives_rows_of_mean_norm_root_d, fake_setup,
            fake_teardown),
        cmocka_unit_test_setup_teardown(an_unfinished_store_has_no_mean_to_normalise_by,
                                        fake_setup, fake_teardown),
        cmocka_unit_test(seed_rows_come_out_as_in_the_experiment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
