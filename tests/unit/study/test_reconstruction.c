/* test_reconstruction.c - errors against sums in double.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/par.h"
#include "base/rng.h"
#include "study/reconstruction_internal.h"

typedef struct problem {
    int64_t n, d;
    float *x, *y, *bias; /* [n, d], [n, d], [d] */
} problem;

static float normal(uint64_t stream, int64_t i)
{
    return (float)fc_rng_normal(11, FC_RNG_TEST + stream, (uint64_t)i);
}

static void problem_make(problem *p, int64_t n, int64_t d)
{
    fc_err err;
    *p = (problem){.n = n, .d = d};
    fc_assert_ok(fc_alloc(&p->x, n * d, sizeof(float), "x", &err), &err);
    fc_assert_ok(fc_alloc(&p->y, n * d, sizeof(float), "y", &err), &err);
    fc_assert_ok(fc_alloc(&p->bias, d, sizeof(float), "bias", &err), &err);
    for (int64_t i = 0; i < n * d; i++) {
        p->x[i] = normal(0, i) + 5.0f;
        p->y[i] = p->x[i] + 0.1f * normal(1, i);
    }
    for (int64_t j = 0; j < d; j++) p->bias[j] = 0.1f * normal(2, j);
}

static void problem_free(problem *p)
{
    fc_free(p->x);
    fc_free(p->y);
    fc_free(p->bias);
}

/* The definitions, in double. */
static void expected(const problem *p, double *mse, double *fvu)
{
    double error = 0.0, total = 0.0;
    for (int64_t j = 0; j < p->d; j++) {
        double mean = 0.0;
        for (int64_t t = 0; t < p->n; t++) mean += (double)p->x[t * p->d + j];
        mean /= (double)p->n;
        for (int64_t t = 0; t < p->n; t++) {
            const double x = (double)p->x[t * p->d + j];
            const double e = x - (double)p->y[t * p->d + j] - (double)p->bias[j];
            error += e * e;
            total += (x - mean) * (x - mean);
        }
    }
    *mse = error / (double)(p->n * p->d);
    *fvu = error / total;
}

/* Runs the problem in blocks of `n_block` rows. */
static void run(const problem *p, int64_t n_block, double *mse, double *fvu)
{
    fc_reconstruction r;
    fc_err err;
    fc_assert_ok(fc_reconstruction_init(&r, p->d, n_block, &err), &err);
    for (int64_t t = 0; t < p->n; t += n_block)
        fc_reconstruction_add(&r, p->x + t * p->d, p->y + t * p->d, p->bias,
                              fc_min(n_block, p->n - t));
    *mse = fc_reconstruction_mse(&r);
    *fvu = fc_reconstruction_fvu(&r);
    fc_reconstruction_deinit(&r);
}

static void errors_agree_with_their_definitions(void **state)
{
    (void)state;
    const struct {
        int64_t n, d, n_block;
    } cases[] = {{2, 1, 1}, {3, 5, 2}, {64, 16, 64}, {65, 37, 7}, {130, 100, 48}};
    for (size_t c = 0; c < FC_LEN(cases); c++) {
        problem p;
        double mse, fvu, true_mse, true_fvu;
        problem_make(&p, cases[c].n, cases[c].d);
        expected(&p, &true_mse, &true_fvu);
        run(&p, cases[c].n_block, &mse, &fvu);
        assert_true(fabs(mse - true_mse) <= 1e-12 * true_mse);
        assert_true(fabs(fvu - true_fvu) <= 1e-12 * true_fvu);
        problem_free(&p);
    }
}

static void threads_and_blocks_give_the_same_bits(void **state)
{
    (void)state;
    problem p;
    double mse[3], fvu[3];
    const int64_t n_block[] = {200, 64, 33};
    problem_make(&p, 200, 70);
    for (int i = 0; i < 3; i++) {
        fc_par_set_threads(i + 1);
        run(&p, n_block[i], &mse[i], &fvu[i]);
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
    (void)state;
    fc_reconstruction r;
    fc_err err;
    const float x[] = {100000.0f, 100001.0f, 99999.0f, 100000.0f}, y[4] = {0};
    const float bias[] = {100000.0f};
    fc_assert_ok(fc_reconstruction_init(&r, 1, 4, &err), &err);
    fc_reconstruction_add(&r, x, y, bias, 4);
    assert_true(fc_reconstruction_mse(&r) == 0.5);
    assert_true(fc_reconstruction_fvu(&r) == 1.0);
    fc_reconstruction_deinit(&r);
}

static void equal_rows_have_no_fvu(void **state)
{
    (void)state;
    fc_reconstruction r;
    fc_err err;
    const float x[] = {2.0f, 2.0f}, y[] = {0.0f, 0.0f}, bias[] = {0.0f};
    fc_assert_ok(fc_reconstruction_init(&r, 1, 2, &err), &err);
    fc_reconstruction_add(&r, x, y, bias, 2);
    assert_true(fc_reconstruction_mse(&r) == 4.0);
    assert_true(isnan(fc_reconstruction_fvu(&r)));
    fc_reconstruction_deinit(&r);
}

static fc_status use(void *ctx, fc_err *err)
{
    (void)ctx;
    fc_reconstruction r;
    FC_TRY(fc_reconstruction_init(&r, 3, 4, err));
    fc_reconstruction_deinit(&r);
    return FC_OK;
}

static void memory_that_runs_out_is_reported(void **state)
{
    (void)state;
    assert_int_equal(fc_test_sweep_alloc(use, NULL, NULL), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_agree_with_their_definitions),
        cmocka_unit_test(threads_and_blocks_give_the_same_bits),
        cmocka_unit_test(a_far_mean_costs_no_digits),
        cmocka_unit_test(equal_rows_have_no_fvu),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
