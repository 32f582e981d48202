/* test_reconstruction.c - decode and errors against sums in double, for features that fire rarely,
 * often and never.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/par.h"
#include "base/rng.h"
#include "study/reconstruction_internal.h"

typedef struct problem {
    int64_t n, d, f, n_blocks;
    float *x, *codes, *w, *bias,
        *scratch; /* x [n_blocks * n, d], codes [f, n] (the same) */
    int64_t *count;
    int32_t *at; /* [f, n] */
    float *value;
} problem;

static float normal(uint64_t stream, int64_t i)
{
    return (float)fc_rng_normal(11, FC_RNG_TEST + stream, (uint64_t)i);
}

/* Features fire on 0, 1/16, 1/8, 1/4 ... of the rows in turn. */
static void problem_make(problem *p, int64_t n, int64_t d, int64_t f, int64_t n_blocks)
{
    static const double shares[] = {0.0, 0.06, 0.125, 0.25, 1.0, 0.01};
    fc_err err;
    *p = (problem){.n = n, .d = d, .f = f, .n_blocks = n_blocks};
    fc_assert_ok(fc_alloc(&p->x, n_blocks * n * d, sizeof(float), "x", &err), &err);
    fc_assert_ok(fc_alloc(&p->codes, f * n, sizeof(float), "f", &err), &err);
    fc_assert_ok(fc_alloc(&p->scratch, f * n, sizeof(float), "f", &err), &err);
    fc_assert_ok(fc_alloc(&p->w, f * d, sizeof(float), "w", &err), &err);
    fc_assert_ok(fc_alloc(&p->bias, d, sizeof(float), "bias", &err), &err);
    fc_assert_ok(fc_alloc(&p->count, f, sizeof(int64_t), "count", &err), &err);
    fc_assert_ok(fc_alloc(&p->at, f * n, sizeof(int32_t), "at", &err), &err);
    fc_assert_ok(fc_alloc(&p->value, f * n, sizeof(float), "value", &err), &err);
    for (int64_t i = 0; i < n_blocks * n * d; i++) p->x[i] = normal(0, i) + 5.0f;
    for (int64_t i = 0; i < f * d; i++) p->w[i] = normal(1, i);
    for (int64_t j = 0; j < d; j++) p->bias[j] = normal(2, j);
    for (int64_t i = 0; i < f; i++)
        for (int64_t t = 0; t < n; t++) {
            const double u = fc_rng_uniform(3, FC_RNG_TEST, (uint64_t)(i * n + t));
            const bool fires = u < shares[i % (int64_t)FC_LEN(shares)];
            p->codes[i * n + t] = fires ? fabsf(normal(4, i * n + t)) : 0.0f;
            if (!(p->codes[i * n + t] > 0.0f)) continue;
            p->at[i * n + p->count[i]] = (int32_t)t;
            p->value[i * n + p->count[i]++] = p->codes[i * n + t];
        }
}

static void problem_free(problem *p)
{
    fc_free(p->x);
    fc_free(p->codes);
    fc_free(p->scratch);
    fc_free(p->w);
    fc_free(p->bias);
    fc_free(p->count);
    fc_free(p->at);
    fc_free(p->value);
}

/* The definitions, in double. */
static void expected(const problem *p, double *mse, double *fvu)
{
    const int64_t rows = p->n * p->n_blocks;
    double error = 0.0, total = 0.0;
    for (int64_t j = 0; j < p->d; j++) {
        double mean = 0.0;
        for (int64_t t = 0; t < rows; t++) mean += (double)p->x[t * p->d + j];
        mean /= (double)rows;
        for (int64_t t = 0; t < rows; t++) {
            double y = (double)p->bias[j];
            for (int64_t i = 0; i < p->f; i++)
                y += (double)p->codes[i * p->n + t % p->n] * (double)p->w[i * p->d + j];
            const double x = (double)p->x[t * p->d + j];
            error += (x - y) * (x - y);
            total += (x - mean) * (x - mean);
        }
    }
    *mse = error / (double)(rows * p->d);
    *fvu = error / total;
}

/* Runs the problem with the features in chunks of `chunk`. */
static void run(const problem *p, fc_backend *be, int64_t chunk, double *mse, double *fvu)
{
    fc_reconstruction r;
    fc_err err;
    fc_assert_ok(fc_reconstruction_init(&r, p->d, p->n, chunk, &err), &err);
    for (int64_t b = 0; b < p->n_blocks; b++) {
        fc_reconstruction_begin(&r, p->n);
        memcpy(p->scratch, p->codes, (size_t)(p->f * p->n) * sizeof(float));
        for (int64_t i = 0; i < p->f; i += chunk) {
            const fc_chunk part = {.n_features = fc_min(chunk, p->f - i),
                                   .n = p->n,
                                   .f = p->scratch + i * p->n,
                                   .count = p->count + i,
                                   .at = p->at + i * p->n,
                                   .value = p->value + i * p->n,
                                   .stride = p->n};
            fc_reconstruction_add(&r, be, FC_PRECISION_F32, &part, p->w + i * p->d);
        }
        fc_reconstruction_end(&r, p->x + b * p->n * p->d, p->bias, p->n);
    }
    *mse = fc_reconstruction_mse(&r);
    *fvu = fc_reconstruction_fvu(&r);
    fc_reconstruction_deinit(&r);
}

static void errors_agree_with_their_definitions(void **state)
{
    const struct {
        int64_t n, d, f, n_blocks, chunk;
    } cases[] = {{1, 1, 1, 2, 1},
                 {3, 5, 7, 2, 4},
                 {64, 16, 30, 1, 30},
                 {65, 37, 50, 3, 7},
                 {130, 100, 96, 2, 32}};
    for (size_t c = 0; c < FC_LEN(cases); c++) {
        problem p;
        double mse, fvu, true_mse, true_fvu;
        problem_make(&p, cases[c].n, cases[c].d, cases[c].f, cases[c].n_blocks);
        expected(&p, &true_mse, &true_fvu);
        run(&p, *state, cases[c].chunk, &mse, &fvu);
        assert_true(fabs(mse - true_mse) <= 1e-5 * true_mse);
        assert_true(fabs(fvu - true_fvu) <= 1e-5 * true_fvu);
        problem_free(&p);
    }
}

static void any_number_of_threads_gives_the_same_bits(void **state)
{
    problem p;
    double mse[3], fvu[3];
    problem_make(&p, 200, 70, 48, 2);
    for (int i = 0; i < 3; i++) {
        fc_par_set_threads(i + 1);
        run(&p, *state, 16, &mse[i], &fvu[i]);
    }
    fc_par_set_threads(0);
    for (int i = 1; i < 3; i++) {
        assert_memory_equal(&mse[i], &mse[0], sizeof mse[0]);
        assert_memory_equal(&fvu[i], &fvu[0], sizeof fvu[0]);
    }
    problem_free(&p);
}

static void a_far_mean_costs_no_digits(void **state)
{
    fc_reconstruction r;
    fc_err err;
    const float x[] = {100000.0f, 100001.0f, 99999.0f, 100000.0f};
    const float bias[] = {100000.0f};
    (void)state;
    fc_assert_ok(fc_reconstruction_init(&r, 1, 4, 1, &err), &err);
    fc_reconstruction_begin(&r, 4);
    fc_reconstruction_end(&r, x, bias, 4);
    assert_true(fc_reconstruction_mse(&r) == 0.5);
    assert_true(fc_reconstruction_fvu(&r) == 1.0);
    fc_reconstruction_deinit(&r);
}

static void equal_rows_have_no_fvu(void **state)
{
    fc_reconstruction r;
    fc_err err;
    const float x[] = {2.0f, 2.0f}, bias[] = {0.0f};
    (void)state;
    fc_assert_ok(fc_reconstruction_init(&r, 1, 2, 1, &err), &err);
    fc_reconstruction_begin(&r, 2);
    fc_reconstruction_end(&r, x, bias, 2);
    assert_true(fc_reconstruction_mse(&r) == 4.0);
    assert_true(isnan(fc_reconstruction_fvu(&r)));
    fc_reconstruction_deinit(&r);
}

static fc_status use(void *ctx, fc_err *err)
{
    (void)ctx;
    fc_reconstruction r;
    FC_TRY(fc_reconstruction_init(&r, 3, 4, 1, err));
    fc_reconstruction_deinit(&r);
    return FC_OK;
}

static void memory_that_runs_out_is_reported(void **state)
{
    (void)state;
    assert_int_equal(fc_test_sweep_alloc(use, NULL, NULL), 9);
}

static int open_backend(void **state)
{
    fc_backend *be;
    fc_par_set_threads(3); /* the backend's scratch is for as many as now */
    if (fc_backend_open(&be, NULL, NULL) != FC_OK) return -1;
    *state = be;
    return 0;
}

static int close_backend(void **state)
{
    fc_backend_close(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_agree_with_their_definitions),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(a_far_mean_costs_no_digits),
        cmocka_unit_test(equal_rows_have_no_fvu),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };
    return cmocka_run_group_tests(tests, open_backend, close_backend);
}
