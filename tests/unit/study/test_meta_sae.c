/* test_meta_sae.c - decoders with and without structure in common.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/par.h"
#include "base/rng.h"
#include "model/model.h"
#include "study/meta_sae.h"

static fc_backend *be;

/* Rows that are mixtures of two of `n_parts` directions; n_parts 0: directions of their own. */
static fc_sae *sae_of(int64_t d_sae, int64_t d, int64_t n_parts)
{
    fc_sae *sae;
    fc_err err;
    fc_assert_ok(fc_sae_new(&sae, "standard", d, d, d_sae, &err), &err);
    for (int64_t i = 0; i < d_sae; i++) {
        const uint64_t draw = fc_rng_u64(2, FC_RNG_TEST, (uint64_t)i);
        for (int64_t part = 0; part < 2; part++) {
            const uint64_t of = n_parts == 0
                                    ? (uint64_t)i
                                    : draw / (part == 0 ? 1 : 1000) % (uint64_t)n_parts;
            for (int64_t j = 0; j < d; j++)
                sae->w_dec[i * d + j] +=
                    (float)fc_rng_normal(3, FC_RNG_TEST, of * (uint64_t)d + (uint64_t)j);
        }
    }
    return sae;
}

static fc_meta_sae measured(const fc_sae *sae, const bool *is_live, int64_t steps)
{
    fc_meta_config config;
    fc_meta_sae result;
    fc_err err;
    fc_meta_defaults(&config);
    assert_int_equal(config.steps, 1500);
    config.steps = steps;
    config.precision = FC_F32_PRECISION;
    fc_assert_ok(fc_meta_sae_measure(&config, sae, is_live, be, &result, &err), &err);
    return result;
}

static void rows_made_of_few_parts_are_explained_and_others_are_not(void **state)
{
    (void)state;
    enum { N = 240, D = 40 };
    fc_sae *mixed = sae_of(N, D, 24), *own = sae_of(N, D, 0);
    const fc_meta_sae of_mixed = measured(mixed, NULL, 1500);
    const fc_meta_sae of_own = measured(own, NULL, 1500);
    assert_true(of_mixed.n_rows == N && of_mixed.n_features == N / 4);
    assert_true(of_mixed.explained > 0.85);
    assert_true(of_own.explained < of_mixed.explained - 0.2);
    assert_true(fabs(of_mixed.l0 - 4.0) < 0.2 && of_mixed.n_used > 20);
    /* mse and explained say the same: unit rows with a small mean vary by nearly 1 each */
    const double total = of_mixed.mse * D / (1.0 - of_mixed.explained);
    assert_true(total > 0.9 && total <= 1.0);
    fc_sae_free(mixed);
    fc_sae_free(own);
}

static void few_equal_and_dead_rows_are_answered(void **state)
{
    (void)state;
    fc_sae *sae = sae_of(9, 6, 0);
    const bool is_live[9] = {false, true}, is_dead[9] = {false};
    fc_meta_sae one = measured(sae, is_live, 3), none = measured(sae, is_dead, 3);
    assert_true(one.n_rows == 1 && one.n_features == 4 && one.explained == 0.0);
    assert_true(none.n_rows == 0 && none.n_features == 0 && none.explained == 0.0);
    for (int64_t i = 1; i < 9; i++) memcpy(sae->w_dec + i * 6, sae->w_dec, 24);
    const fc_meta_sae equal = measured(sae, NULL, 3);
    assert_true(equal.n_rows == 9 && equal.explained == 0.0 && isfinite(equal.mse));
    memset(sae->w_dec, 0, 9 * 6 * sizeof(float));
    assert_int_equal(measured(sae, NULL, 3).n_rows, 0);
    fc_sae_free(sae);
}

static void any_number_of_threads_gives_the_same_numbers(void **state)
{
    (void)state;
    fc_sae *sae = sae_of(1100, 20, 50);
    fc_meta_sae r[2];
    fc_backend *before = be;
    memset(r, 0, sizeof r);
    for (int t = 0; t < 2; t++) {
        fc_par_set_threads(t == 0 ? 1 : 3);
        assert_int_equal(fc_backend_open(&be, NULL, NULL), FC_OK);
        r[t] = measured(sae, NULL, 20);
        fc_backend_close(be);
    }
    be = before;
    assert_memory_equal(&r[0], &r[1], sizeof r[0]);
    assert_true(r[0].n_rows == 1100);
    fc_sae_free(sae);
}

static fc_status scenario(void *ctx, fc_err *err)
{
    const fc_meta_config config = {.steps = 20, .precision = FC_F32_PRECISION};
    fc_meta_sae result;
    return fc_meta_sae_measure(&config, ctx, NULL, be, &result, err);
}

static void faults_and_interruptions_are_reported(void **state)
{
    (void)state;
    fc_sae *sae = sae_of(8, 2, 0);
    fc_err err;
    assert_true(fc_test_sweep_alloc(scenario, NULL, sae) >= 20);
    fc_cancel_set(true);
    fc_assert_fails(scenario(sae, &err), &err, FC_CANCELLED, "meta-SAE");
    fc_cancel_set(false);
    fc_sae_free(sae);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_made_of_few_parts_are_explained_and_others_are_not),
        cmocka_unit_test(few_equal_and_dead_rows_are_answered),
        cmocka_unit_test(any_number_of_threads_gives_the_same_numbers),
        cmocka_unit_test(faults_and_interruptions_are_reported),
    };
    fc_par_set_threads(3);
    if (fc_backend_open(&be, NULL, NULL) != FC_OK) return 1;
    const int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    fc_backend_close(be);
    return n_failed;
}
