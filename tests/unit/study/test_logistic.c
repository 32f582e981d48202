/* test_logistic.c - probes against scikit-learn's, against minima known by hand, and their conditions.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "formats/json.h"
#include "study/l1_logistic_internal.h"
#include "study/logistic_internal.h"

enum { MOST_N = 400, MOST_D = 30 };

typedef struct data {
    int64_t n, d;
    float x[MOST_N * MOST_D];
    bool y[MOST_N];
} data;

static double l2_fit(const fc_logistic *problem, double *w, double *b)
{
    fc_logistic_scratch scratch;
    fc_err err;
    fc_assert_ok(fc_logistic_scratch_init(&scratch, problem->n, problem->d, &err), &err);
    const double norm = fc_logistic_solve(problem, &scratch, w, b);
    fc_logistic_scratch_deinit(&scratch);
    return norm;
}

static double l1_fit(const data *in, double positive, double negative, double l1,
                     double *w, double *b)
{
    fc_l1_scratch scratch;
    fc_err err;
    int64_t begin[MOST_D + 1], n = 0;
    int32_t *row = malloc(sizeof(int32_t) * MOST_N * MOST_D);
    float *value = malloc(sizeof(float) * MOST_N * MOST_D);
    assert_non_null(row);
    assert_non_null(value);
    for (int64_t j = 0; j < in->d; j++) {
        begin[j] = n;
        for (int64_t t = 0; t < in->n; t++)
            if (in->x[t * in->d + j] != 0.0f) {
                row[n] = (int32_t)t;
                value[n++] = in->x[t * in->d + j];
            }
    }
    begin[in->d] = n;
    const fc_l1_logistic problem = {
        {in->n, in->d, begin, row, value}, in->y, positive, negative, l1, 1e-3};
    fc_assert_ok(fc_l1_scratch_init(&scratch, in->n, in->d, &err), &err);
    const double worst = fc_l1_logistic_solve(&problem, &scratch, w, b);
    fc_l1_scratch_deinit(&scratch);
    free(row);
    free(value);
    return worst;
}

static void read_case(const json_t *from, data *in)
{
    in->n = json_integer_value(json_object_get(from, "n"));
    in->d = json_integer_value(json_object_get(from, "d"));
    assert_true(in->n <= MOST_N && in->d <= MOST_D);
    for (int64_t e = 0; e < in->n * in->d; e++)
        in->x[e] = (float)json_number_value(
            json_array_get(json_object_get(from, "x"), (size_t)e));
    for (int64_t t = 0; t < in->n; t++)
        in->y[t] = json_is_true(json_array_get(json_object_get(from, "y"), (size_t)t));
}

static void assert_fit(const json_t *expected, const double *w, double b, int64_t d,
                       double tolerance)
{
    const json_t *list = json_object_get(expected, "w");
    assert_true(fabs(b - json_number_value(json_object_get(expected, "b"))) < tolerance);
    for (int64_t j = 0; j < d; j++)
        assert_true(fabs(w[j] - json_number_value(json_array_get(list, (size_t)j))) <
                    tolerance);
}

static void probes_are_those_of_scikit_learn(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    json_t *root, *one;
    size_t i;
    fc_err err;
    data *in = malloc(sizeof *in);
    assert_non_null(in);
    fc_fixture(path, "probes/logistic.json");
    fc_assert_ok(fc_json_load(&root, path, &err), &err);
    assert_true(json_array_size(root) == 4);
    json_array_foreach(root, i, one)
    {
        double w[MOST_D], b;
        read_case(one, in);
        fc_logistic problem = {.n = in->n, .d = in->d, .x = in->x, .y = in->y, .l2 = 1.0};
        fc_logistic_balance(&problem, (double)in->n);
        l2_fit(&problem, w, &b);
        assert_fit(json_object_get(one, "l2"), w, b, in->d, 2e-5);
        l1_fit(in, problem.positive_weight, problem.negative_weight, 1.0, w, &b);
        assert_fit(json_object_get(one, "l1"), w, b, in->d, 5e-3);
    }
    json_decref(root);
    free(in);
}

/* Two equal points of either class at x and -x: b = 0, and w solves w l2 = 2 c x / (1 + exp(w x)). */
static void a_probe_of_two_points_is_known_by_hand(void **state)
{
    (void)state;
    const float x[] = {2, -2};
    const bool y[] = {true, false};
    double w, b, low = 0.0, high = 9.0;
    const fc_logistic problem = {2, 1, x, y, 1.5, 1.5, 0.25};
    l2_fit(&problem, &w, &b);
    for (int i = 0; i < 60; i++) {
        const double mid = (low + high) / 2;
        if (0.25 * mid < 6.0 / (1.0 + exp(2.0 * mid)))
            low = mid;
        else
            high = mid;
    }
    assert_true(fabs(w - low) < 1e-6 && fabs(b) < 1e-9);
}

static data *random_data(int64_t n, int64_t d, uint64_t seed)
{
    data *in = calloc(1, sizeof *in);
    assert_non_null(in);
    in->n = n;
    in->d = d;
    for (int64_t t = 0; t < n; t++) {
        double score = 0.0;
        for (int64_t j = 0; j < d; j++) {
            const double v = fc_rng_normal(seed, FC_RNG_TEST, (uint64_t)(t * d + j));
            in->x[t * d + j] = (float)(v > 0.5 ? v : 0.0);
            score += (j < 3 ? 1.0 : 0.0) * (double)in->x[t * d + j];
        }
        in->y[t] = score + fc_rng_normal(seed + 1, FC_RNG_TEST, (uint64_t)t) > 1.0;
    }
    return in;
}

/* At the minimum no column pulls by more than l1, and one with a weight by exactly that. */
static void sparse_probes_fulfil_the_conditions_of_the_minimum(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 6; seed++) {
        data *in = random_data(MOST_N, MOST_D, seed);
        double w[MOST_D], b;
        const double l1 = 0.02, c = 1.0 / MOST_N;
        assert_true(l1_fit(in, 2.0 * c, c, l1, w, &b) <= l1 / 1000);
        int64_t n_chosen = 0;
        for (int64_t j = 0; j < in->d; j++) {
            double g = 0.0;
            for (int64_t t = 0; t < in->n; t++) {
                double m = b;
                for (int64_t i = 0; i < in->d; i++)
                    m += w[i] * (double)in->x[t * in->d + i];
                const double p = 1.0 / (1.0 + exp(-m));
                g += (in->y[t] ? 2.0 * c * (p - 1.0) : c * p) *
                     (double)in->x[t * in->d + j];
            }
            n_chosen += w[j] != 0.0;
            if (w[j] == 0.0)
                assert_true(fabs(g) <= l1 * 1.002);
            else
                assert_true(fabs(g + (w[j] > 0.0 ? l1 : -l1)) <= l1 * 0.002);
        }
        assert_true(w[0] > 0.0 && w[1] > 0.0 && w[2] > 0.0 && n_chosen < in->d);
        free(in);
    }
}

/* A large penalty leaves no feature; the bias is then the log odds of the weights. */
static void a_large_penalty_leaves_the_bias_alone(void **state)
{
    (void)state;
    data *in = random_data(200, 10, 3);
    double w[MOST_D], b, positive = 0.0;
    for (int64_t t = 0; t < in->n; t++) positive += in->y[t];
    l1_fit(in, 1.0, 1.0, 200.0, w, &b);
    for (int64_t j = 0; j < in->d; j++) assert_true(w[j] == 0.0);
    assert_true(fabs(b - log(positive / (200.0 - positive))) < 1e-2);
    free(in);
}

static void one_class_no_columns_and_separable_rows_come_to_an_end(void **state)
{
    (void)state;
    const float x[] = {1, 2, 3, 4, 5, 6};
    const bool all[] = {true, true, true}, some[] = {false, true, true};
    double w[2] = {0}, b;
    fc_logistic problem = {3, 2, x, all, 0, 0, 1.0};
    fc_logistic_balance(&problem, 3.0);
    assert_true(problem.negative_weight == 0.0 && problem.positive_weight == 0.5);
    l2_fit(&problem, w, &b);
    assert_true(isfinite(w[0]) && isfinite(b) && b > 3.0);
    problem.d = 0;
    l2_fit(&problem, w, &b);
    assert_true(isfinite(b));
    fc_logistic separable = {3, 2, x, some, 1.0, 1.0, 1e-6};
    assert_true(l2_fit(&separable, w, &b) < 1e-4);
    for (int64_t t = 0; t < 3; t++)
        assert_true((fc_logistic_score(x + 2 * t, w, b, 2) > 0.0) == some[t]);
    fc_logistic none = {0, 2, x, some, 1.0, 1.0, 1.0};
    l2_fit(&none, w, &b);
    assert_true(w[0] == 0.0 && w[1] == 0.0 && b == 0.0);
    data *in = calloc(1, sizeof *in); /* columns without entries */
    assert_non_null(in);
    in->n = 5;
    in->d = 2;
    in->y[1] = true;
    l1_fit(in, 1.0, 1.0, 0.1, w, &b);
    assert_true(w[0] == 0.0 && w[1] == 0.0 && fabs(b - log(0.25)) < 1e-3);
    free(in);
}

static fc_status scenario(void *ctx, fc_err *err)
{
    (void)ctx;
    fc_logistic_scratch l2;
    fc_l1_scratch l1;
    FC_TRY(fc_logistic_scratch_init(&l2, 4, 2, err));
    const fc_status status = fc_l1_scratch_init(&l1, 4, 2, err);
    if (status == FC_OK) fc_l1_scratch_deinit(&l1);
    fc_logistic_scratch_deinit(&l2);
    return status;
}

static void faults_are_reported(void **state)
{
    (void)state;
    assert_true(fc_test_sweep_alloc(scenario, NULL, NULL) == 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(probes_are_those_of_scikit_learn),
        cmocka_unit_test(a_probe_of_two_points_is_known_by_hand),
        cmocka_unit_test(sparse_probes_fulfil_the_conditions_of_the_minimum),
        cmocka_unit_test(a_large_penalty_leaves_the_bias_alone),
        cmocka_unit_test(one_class_no_columns_and_separable_rows_come_to_an_end),
        cmocka_unit_test(faults_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
