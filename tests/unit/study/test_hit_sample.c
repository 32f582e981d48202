/* test_hit_sample.c - samples of activations: complete when small, unbiased when large, the same
 * for any blocks.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "hits_feed.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "study/hit_sample_internal.h"

enum { MANY = 20000 };

static float value[MANY];
static int32_t zeros[MANY];

static void add(void *statistic, const fc_hits *hits, const fc_block *block)
{
    fc_hit_sample_add(statistic, hits, block);
}

/* Exponential activations on three rows of four. */
static feed random_stream(int64_t n, uint64_t seed)
{
    for (int64_t t = 0; t < n; t++) {
        const double u = fc_rng_uniform(seed, FC_RNG_TEST, (uint64_t)t);
        value[t] = t % 4 == 3 ? 0.0f : (float)-log(1.0 - u) + 1e-6f;
    }
    return (feed){n, value, zeros, zeros};
}

static void few_activations_are_all_kept_and_exact(void **state)
{
    (void)state;
    fc_hit_sample s;
    fc_err err;
    fc_weighed mass[FC_SAMPLE_MASS], strong[FC_SAMPLE_STRONG];
    const feed stream = random_stream(160, 1); /* 120 hits, fewer than either sample */
    fc_assert_ok(fc_hit_sample_init(&s, 3, 5, &err), &err);
    feed_rows(&stream, 64, 1, add, &s);
    assert_int_equal(fc_hit_sample_mass(&s, 0, mass), 0);
    assert_int_equal(fc_hit_sample_mass(&s, 2, mass), 0);
    assert_int_equal(fc_hit_sample_mass(&s, 1, mass), 120);
    assert_int_equal(fc_hit_sample_strong(&s, 1, strong), 120);
    int64_t i = 0;
    for (int64_t t = 0; t < 160; t++) {
        if (!(value[t] > 0.0f)) continue;
        assert_int_equal(mass[i].row, t);
        assert_true(mass[i].value == value[t] && strong[i].value == value[t]);
        assert_true(mass[i].weight == (double)value[t]);
        assert_true(strong[i].weight == (double)value[t]);
        i++;
    }
    fc_hit_sample_deinit(&s);
}

/* Half the rows hold a known share of the activation; estimates from many seeds surround it. */
static void shares_are_estimated_without_bias(void **state)
{
    (void)state;
    enum { SEEDS = 40 };
    const feed stream = random_stream(MANY, 2);
    double even = 0.0, all = 0.0, sum_of_shares = 0.0, sum_of_totals = 0.0;
    for (int64_t t = 0; t < MANY; t++) {
        all += (double)value[t];
        if (t % 2 == 0) even += (double)value[t];
    }
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        fc_hit_sample s;
        fc_err err;
        fc_weighed mass[FC_SAMPLE_MASS];
        double e = 0.0, a = 0.0;
        fc_assert_ok(fc_hit_sample_init(&s, 1, seed, &err), &err);
        feed_rows(&stream, FEED_MAX_BLOCK, 0, add, &s);
        const int64_t n = fc_hit_sample_mass(&s, 0, mass);
        assert_int_equal(n, FC_SAMPLE_MASS);
        for (int64_t i = 0; i < n; i++) {
            a += mass[i].weight;
            if (mass[i].row % 2 == 0) e += mass[i].weight;
        }
        assert_true(fabs(e / a - even / all) < 0.12); /* 5 sigma of one estimate */
        sum_of_shares += e / a;
        sum_of_totals += a;
        fc_hit_sample_deinit(&s);
    }
    assert_true(fabs(sum_of_shares / SEEDS - even / all) < 0.015);
    assert_true(fabs(sum_of_totals / SEEDS / all - 1.0) < 0.02);
}

static void the_strongest_are_always_in_the_strong_sample(void **state)
{
    (void)state;
    fc_hit_sample s;
    fc_err err;
    fc_weighed strong[FC_SAMPLE_STRONG];
    const feed stream = random_stream(MANY, 3);
    for (int64_t t = 0; t < 10; t++) value[t * 1999] = 100.0f + (float)t;
    fc_assert_ok(fc_hit_sample_init(&s, 1, 5, &err), &err);
    feed_rows(&stream, 500, 0, add, &s);
    const int64_t n = fc_hit_sample_strong(&s, 0, strong);
    int64_t n_found = 0;
    for (int64_t i = 0; i < n; i++) {
        if (strong[i].value < 100.0f) continue;
        assert_true(strong[i].weight == (double)strong[i].value);
        n_found++;
    }
    assert_int_equal(n_found, 10);
    fc_hit_sample_deinit(&s);
}

static void blocks_of_any_size_give_the_same_sample(void **state)
{
    (void)state;
    const feed stream = random_stream(5000, 4);
    fc_hit_sample s[2];
    fc_err err;
    for (int k = 0; k < 2; k++) {
        fc_assert_ok(fc_hit_sample_init(&s[k], 1, 5, &err), &err);
        feed_rows(&stream, k == 0 ? 512 : 37, 0, add, &s[k]);
    }
    assert_memory_equal(s[0].heaps, s[1].heaps, sizeof *s[0].heaps);
    for (int k = 0; k < 2; k++) fc_hit_sample_deinit(&s[k]);
}

static void extreme_values_are_kept(void **state)
{
    (void)state;
    fc_hit_sample s;
    fc_err err;
    fc_weighed mass[FC_SAMPLE_MASS], strong[FC_SAMPLE_STRONG];
    const float extreme[] = {1e-45f, 3e38f, 1.0f, 1e-30f};
    const feed stream = {4, extreme, zeros, zeros};
    fc_assert_ok(fc_hit_sample_init(&s, 1, 5, &err), &err);
    feed_rows(&stream, 4, 0, add, &s);
    assert_int_equal(fc_hit_sample_mass(&s, 0, mass), 4);
    assert_int_equal(fc_hit_sample_strong(&s, 0, strong), 4);
    for (int i = 0; i < 4; i++) assert_true(strong[i].weight == (double)extreme[i]);
    fc_hit_sample_deinit(&s);
}

static void memory_that_runs_out_is_reported(void **state)
{
    (void)state;
    fc_hit_sample s;
    fc_err err;
    fc_alloc_fail_at(1);
    fc_assert_fails(fc_hit_sample_init(&s, 3, 5, &err), &err, FC_NOMEM, "sampled");
    fc_alloc_fail_at(0);
    assert_null(s.heaps);
    fc_hit_sample_deinit(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_activations_are_all_kept_and_exact),
        cmocka_unit_test(shares_are_estimated_without_bias),
        cmocka_unit_test(the_strongest_are_always_in_the_strong_sample),
        cmocka_unit_test(blocks_of_any_size_give_the_same_sample),
        cmocka_unit_test(extreme_values_are_kept),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
