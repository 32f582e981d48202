/* test_rates.c - features fire as often as was asked.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/macros.h"
#include "base/par.h"
#include "bench/rates.h"
#include "sae/init.h"

static void rates_have_their_mean_their_cap_and_their_dead(void **state)
{
    (void)state;
    enum { N = 1000 };
    static const struct {
        int64_t n_dead;
        double mean;
    } cases[] = {{0, 0.01}, {0, 0.12}, {700, 0.466}, {N, 0.5}, {N - 1, 0.25}, {0, 0.0}};
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        const fc_rates rates = {
            .n = N, .n_dead = cases[i].n_dead, .mean = cases[i].mean, .seed = 3};
        double rate[N], sum = 0.0;
        int64_t n_dead = 0;
        fc_err err;
        fc_assert_ok(fc_rates_draw(rate, &rates, &err), &err);
        for (int k = 0; k < N; k++) {
            assert_true(rate[k] >= 0.0 && rate[k] <= 0.9);
            n_dead += rate[k] == 0.0;
            sum += rate[k];
        }
        const int64_t n_alive = N - cases[i].n_dead;
        assert_true(n_dead >= cases[i].n_dead);
        assert_true(fabs(sum - cases[i].mean * (double)n_alive) < 1e-6 * N);
    }
}

static fc_backend *open_backend(void)
{
    fc_backend *be;
    fc_err err;
    fc_assert_ok(fc_backend_open(&be, NULL, &err), &err);
    return be;
}

static fc_sae *random_sae(fc_backend *be, int64_t d, int64_t d_sae)
{
    fc_train_config config;
    fc_sae *sae;
    fc_err err;
    fc_train_defaults(&config);
    fc_assert_ok(fc_sae_new(&sae, "standard", d, d, d_sae, &err), &err);
    fc_sae_init_weights(sae, &config, be);
    return sae;
}

/* The number of rows on which z + b > 0, in double. */
static int64_t times_above(const fc_sae *sae, const float *x, int64_t n, int64_t feature)
{
    int64_t n_above = 0;
    const float *const w = sae->w_enc + feature * sae->d_in;
    for (int64_t t = 0; t < n; t++) {
        double z = (double)sae->b_enc[feature];
        for (int64_t j = 0; j < sae->d_in; j++)
            z += (double)w[j] * (double)x[t * sae->d_in + j];
        n_above += z > 0.0;
    }
    return n_above;
}

static void thresholds_let_pass_what_was_asked(void **state)
{
    (void)state;
    enum { D = 24, F = 6, N = 500 };
    static const double rate[F] = {0.0, 0.1, 1.0, 0.5, 0.002, 0.9};
    static const int64_t expected[F] = {0, 50, 500, 250, 1, 450};
    fc_err err;
    fc_backend *const be = open_backend();
    fc_sae *const sae = random_sae(be, D, F);
    float *x;
    fc_assert_ok(fc_alloc(&x, N * D, sizeof *x, "rows", &err), &err);
    fc_unit_rows(x, be, N, D, 5);
    fc_assert_ok(fc_rates_set(sae, be, x, N, rate, 7, &err), &err);
    for (int i = 0; i < F; i++) assert_int_equal(times_above(sae, x, N, i), expected[i]);
    fc_free(x);
    fc_sae_free(sae);
    fc_backend_close(be);
}

static void any_number_of_threads_gives_the_same_biases(void **state)
{
    (void)state;
    enum { D = 16, F = 600, N = 64 };
    static double rate[F];
    const fc_rates rates = {.n = F, .n_dead = 100, .mean = 0.2, .seed = 1};
    float first[F];
    fc_err err;
    fc_assert_ok(fc_rates_draw(rate, &rates, &err), &err);
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        fc_par_set_threads(n_threads);
        fc_backend *const be = open_backend();
        fc_sae *const sae = random_sae(be, D, F);
        float *x;
        fc_assert_ok(fc_alloc(&x, N * D, sizeof *x, "rows", &err), &err);
        fc_unit_rows(x, be, N, D, 5);
        fc_assert_ok(fc_rates_set(sae, be, x, N, rate, 7, &err), &err);
        if (n_threads == 1) memcpy(first, sae->b_enc, sizeof first);
        assert_memory_equal(first, sae->b_enc, sizeof first);
        fc_free(x);
        fc_sae_free(sae);
        fc_backend_close(be);
    }
    fc_par_set_threads(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_have_their_mean_their_cap_and_their_dead),
        cmocka_unit_test(thresholds_let_pass_what_was_asked),
        cmocka_unit_test(any_number_of_threads_gives_the_same_biases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
