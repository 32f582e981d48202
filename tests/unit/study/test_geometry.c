/* test_geometry.c - quantiles, singular values and angles against matrices whose answer is known.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/par.h"
#include "base/rng.h"
#include "study/geometry.h"
#include "study/singular_values_internal.h"

static fc_backend *be;

static void quantiles_lie_between_neighbours_in_proportion(void **state)
{
    (void)state;
    double value[] = {4, 1, 2, 3, 0}, one[] = {7}, two[] = {3, 1};
    const fc_quantiles q = fc_quantiles_of(value, 5);
    assert_true(q.n == 5 && q.mean == 2.0 && q.min == 0.0 && q.max == 4.0);
    assert_true(q.median == 2.0 && q.p25 == 1.0 && q.p75 == 3.0);
    assert_true(fabs(q.p05 - 0.2) < 1e-12 && fabs(q.p95 - 3.8) < 1e-12);
    const fc_quantiles of_one = fc_quantiles_of(one, 1), of_two = fc_quantiles_of(two, 2);
    assert_true(of_one.min == 7.0 && of_one.p05 == 7.0 && of_one.max == 7.0);
    assert_true(of_two.median == 2.0 && of_two.p25 == 1.5);
    assert_true(fc_quantiles_of(value, 0).max == 0.0);
}

static float *random_matrix(int64_t n, uint64_t seed)
{
    float *w = malloc((size_t)n * sizeof *w);
    assert_non_null(w);
    for (int64_t i = 0; i < n; i++)
        w[i] = (float)fc_rng_normal(seed, FC_RNG_TEST, (uint64_t)i);
    return w;
}

/* The plain way: rotations of Jacobi until no product of two columns is left. */
static void jacobi(double *a, int64_t k)
{
    for (int sweep = 0; sweep < 30; sweep++)
        for (int64_t p = 0; p < k; p++)
            for (int64_t q = p + 1; q < k; q++) {
                const double t =
                    0.5 * atan2(2.0 * a[p * k + q], a[q * k + q] - a[p * k + p]);
                const double c = cos(t), s = sin(t);
                for (int64_t i = 0; i < k; i++) {
                    const double x = a[i * k + p], y = a[i * k + q];
                    a[i * k + p] = c * x - s * y;
                    a[i * k + q] = s * x + c * y;
                }
                for (int64_t i = 0; i < k; i++) {
                    const double x = a[p * k + i], y = a[q * k + i];
                    a[p * k + i] = c * x - s * y;
                    a[q * k + i] = s * x + c * y;
                }
            }
}

static int falling(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

static void plain_singular_values(const float *w, int64_t n, int64_t d, double *sigma)
{
    double *a = calloc((size_t)(d * d), sizeof *a);
    assert_non_null(a);
    for (int64_t t = 0; t < n; t++)
        for (int64_t i = 0; i < d; i++)
            for (int64_t j = 0; j < d; j++)
                a[i * d + j] += (double)w[t * d + i] * (double)w[t * d + j];
    jacobi(a, d);
    for (int64_t i = 0; i < d; i++) sigma[i] = sqrt(fmax(a[i * d + i], 0.0));
    qsort(sigma, (size_t)d, sizeof *sigma, falling);
    free(a);
}

static void singular_values_agree_with_rotations(void **state)
{
    (void)state;
    const struct {
        int64_t n, d;
    } shapes[] = {{1, 1}, {2, 2}, {1, 5},   {5, 1},    {3, 3},
                  {7, 4}, {4, 7}, {40, 33}, {300, 65}, {19, 70}};
    for (size_t s = 0; s < FC_LEN(shapes); s++) {
        const int64_t n = shapes[s].n, d = shapes[s].d, k = fc_min(n, d);
        float *w = random_matrix(n * d, s);
        double sigma[80], plain[80];
        fc_err err;
        fc_assert_ok(fc_singular_values(w, n, d, sigma, &err), &err);
        plain_singular_values(w, n, d, plain);
        for (int64_t i = 0; i < k; i++)
            assert_true(fabs(sigma[i] - plain[i]) < 1e-7 * plain[0]);
        free(w);
    }
}

static void special_matrices_have_their_values(void **state)
{
    (void)state;
    const float zero[6] = {0}, diagonal[] = {0, 3, 0, -2, 0, 0, 0, 0, 5};
    const float equal[] = {2, 2, 2, 2, 2, 2};
    double sigma[3];
    fc_err err;
    fc_assert_ok(fc_singular_values(zero, 3, 2, sigma, &err), &err);
    assert_true(sigma[0] == 0.0 && sigma[1] == 0.0);
    fc_assert_ok(fc_singular_values(diagonal, 3, 3, sigma, &err), &err);
    assert_true(fabs(sigma[0] - 5) < 1e-12 && fabs(sigma[1] - 3) < 1e-12 &&
                fabs(sigma[2] - 2) < 1e-12);
    fc_assert_ok(fc_singular_values(equal, 3, 2, sigma, &err), &err);
    assert_true(fabs(sigma[0] - sqrt(24.0)) < 1e-12 && sigma[1] < 1e-7);
    fc_assert_ok(fc_singular_values(zero, 0, 2, sigma, &err), &err);
    fc_assert_ok(fc_singular_values(zero, 2, 0, sigma, &err), &err);
}

static fc_sae *sae_of(int64_t d_sae, int64_t d, const float *w_enc, const float *w_dec)
{
    fc_sae *sae;
    fc_err err;
    const size_t bytes = (size_t)(d_sae * d) * sizeof *w_enc;
    fc_assert_ok(fc_sae_new(&sae, "standard", d, d, d_sae, &err), &err);
    if (bytes > 0) memcpy(sae->w_enc, w_enc, bytes);
    if (bytes > 0) memcpy(sae->w_dec, w_dec, bytes);
    return sae;
}

static void three_features_of_the_plane(void **state)
{
    (void)state;
    const float enc[] = {2, 0, 0, 1, 3, 4}, dec[] = {1, 0, 1, 1, -3, -4};
    fc_sae *sae = sae_of(3, 2, enc, dec);
    fc_geometry g;
    fc_err err;
    fc_assert_ok(fc_geometry_measure(&g, sae, NULL, be, &err), &err);
    assert_int_equal(g.n_features, 3);
    assert_true(g.encoder_norm.min == 1 && g.encoder_norm.median == 2 &&
                g.encoder_norm.max == 5);
    assert_true(g.decoder_norm.min == 1 && g.decoder_norm.max == 5);
    assert_true(fabs(g.encoder_decoder_cosine.max - 1) < 1e-12 &&
                fabs(g.encoder_decoder_cosine.median - sqrt(0.5)) < 1e-12 &&
                fabs(g.encoder_decoder_cosine.min + 1) < 1e-12);
    assert_true(fabs(g.decoder_nearest.max - sqrt(0.5)) < 1e-6 &&
                fabs(g.decoder_nearest.min + 0.6) < 1e-6);
    assert_true(fabs(g.encoder_nearest.max - 0.8) < 1e-6 &&
                fabs(g.encoder_nearest.min - 0.6) < 1e-6);
    const bool is_live[] = {true, false, true};
    fc_assert_ok(fc_geometry_measure(&g, sae, is_live, be, &err), &err);
    assert_int_equal(g.n_features, 2);
    assert_true(fabs(g.decoder_nearest.max + 0.6) < 1e-6);
    fc_sae_free(sae);
}

static void ranks_count_the_dimensions_that_rows_fill(void **state)
{
    (void)state;
    enum { N = 90, D = 40, R = 5 };
    float *w = calloc(N * D, sizeof *w);
    fc_geometry g;
    fc_err err;
    assert_non_null(w);
    for (int64_t i = 0; i < N; i++) w[i * D + i % R] = 1.0f + (float)i; /* 18 rows each */
    fc_sae *sae = sae_of(N, D, w, w);
    fc_assert_ok(fc_geometry_measure(&g, sae, NULL, be, &err), &err);
    assert_int_equal(g.decoder_rank, R);
    assert_true(fabs(g.decoder_effective_rank - R) < 1e-6);
    assert_true(fabs(g.decoder_participation - R) < 1e-9);
    assert_true(fabs(g.decoder_nearest.min - 1) < 1e-6);
    fc_sae_free(sae);
    /* 27 rows one way and 63 another: sigma^2 = 27, 63 */
    memset(w, 0, N * D * sizeof *w);
    for (int64_t i = 0; i < N; i++) w[i * D + (i < 27 ? 3 : 17)] = -2.0f;
    sae = sae_of(N, D, w, w);
    fc_assert_ok(fc_geometry_measure(&g, sae, NULL, be, &err), &err);
    const double p = sqrt(27.0) / (sqrt(27.0) + sqrt(63.0));
    assert_true(fabs(g.decoder_participation - 8100.0 / (729 + 3969)) < 1e-9);
    assert_true(fabs(g.decoder_effective_rank - exp(-p * log(p) - (1 - p) * log(1 - p))) <
                1e-6);
    fc_sae_free(sae);
    free(w);
}

static void empty_dead_and_broken_saes_are_answered(void **state)
{
    (void)state;
    float zero[4] = {0}, row[] = {3, 4, 0, 0};
    fc_geometry g;
    fc_err err;
    fc_sae *sae = sae_of(2, 2, row, row); /* the second feature points nowhere */
    fc_assert_ok(fc_geometry_measure(&g, sae, NULL, be, &err), &err);
    assert_true(g.n_features == 2 && g.decoder_nearest.n == 0 && g.decoder_rank == 1);
    assert_true(g.encoder_decoder_cosine.n == 1 && g.decoder_norm.min == 0.0);
    assert_true(fabs(g.decoder_effective_rank - 1) < 1e-9);
    const bool is_live[] = {false, false};
    fc_assert_ok(fc_geometry_measure(&g, sae, is_live, be, &err), &err);
    assert_true(g.n_features == 0 && g.decoder_norm.n == 0 && g.decoder_rank == 0);
    sae->w_dec[3] = (float)NAN;
    fc_assert_fails(fc_geometry_measure(&g, sae, NULL, be, &err), &err, FC_FORMAT,
                    "feature 1", "not finite");
    fc_sae_free(sae);
    sae = sae_of(2, 2, zero, zero);
    fc_assert_ok(fc_geometry_measure(&g, sae, NULL, be, &err), &err);
    assert_true(g.decoder_rank == 0 && g.decoder_effective_rank == 0.0);
    fc_sae_free(sae);
    sae = sae_of(1, 2, row, row);
    fc_assert_ok(fc_geometry_measure(&g, sae, NULL, be, &err), &err);
    assert_true(g.decoder_nearest.n == 0 && g.decoder_rank == 1);
    fc_sae_free(sae);
}

static void any_number_of_threads_gives_the_same_numbers(void **state)
{
    (void)state;
    enum { N = 700, D = 97 };
    float *w = random_matrix(N * D, 8);
    fc_sae *sae = sae_of(N, D, w, w);
    fc_geometry g[2];
    fc_err err;
    memset(g, 0, sizeof g);
    for (int t = 0; t < 2; t++) {
        fc_par_set_threads(t == 0 ? 1 : 3);
        fc_assert_ok(fc_geometry_measure(&g[t], sae, NULL, be, &err), &err);
    }
    assert_memory_equal(&g[0], &g[1], sizeof g[0]);
    assert_true(g[0].decoder_rank == D && g[0].decoder_effective_rank > 90.0);
    fc_sae_free(sae);
    free(w);
}

static fc_status scenario(void *ctx, fc_err *err)
{
    fc_geometry g;
    return fc_geometry_measure(&g, ctx, NULL, be, err);
}

static void faults_and_interruptions_are_reported(void **state)
{
    (void)state;
    const float w[] = {1, 0, 0, 1};
    fc_sae *sae = sae_of(2, 2, w, w);
    fc_err err;
    assert_true(fc_test_sweep_alloc(scenario, NULL, sae) >= 12);
    fc_cancel_set(true);
    fc_assert_fails(scenario(sae, &err), &err, FC_CANCELLED, "eval", "interrupted");
    fc_cancel_set(false);
    fc_sae_free(sae);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_lie_between_neighbours_in_proportion),
        cmocka_unit_test(singular_values_agree_with_rotations),
        cmocka_unit_test(special_matrices_have_their_values),
        cmocka_unit_test(three_features_of_the_plane),
        cmocka_unit_test(ranks_count_the_dimensions_that_rows_fill),
        cmocka_unit_test(empty_dead_and_broken_saes_are_answered),
        cmocka_unit_test(any_number_of_threads_gives_the_same_numbers),
        cmocka_unit_test(faults_and_interruptions_are_reported),
    };
    fc_par_set_threads(3);
    if (fc_backend_open(&be, NULL, NULL) != FC_OK) return 1;
    const int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    fc_backend_close(be);
    return n_failed;
}
