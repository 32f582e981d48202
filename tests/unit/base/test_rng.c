/* test_rng.c - Philox against the published vectors, and simple properties of what is drawn.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "base/rng.h"

#include <math.h>
#include <stdlib.h>

/* kat_vectors of Random123 1.14.0, philox4x32-10: counter, key, result. */
static void philox_gives_the_published_numbers(void **state)
{
    (void)state;
    static const struct {
        uint64_t seed, stream, index;
        uint32_t expected[4];
    } cases[] = {
        {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX,
         UINT64_MAX,
         UINT64_MAX,
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x299f31d0a4093822,
         0x0370734413198a2e,
         0x85a308d3243f6a88,
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        uint32_t out[4];
        fc_rng_block(cases[i].seed, cases[i].stream, cases[i].index, out);
        assert_memory_equal(out, cases[i].expected, sizeof out);
    }
}

static void u64_is_the_first_two_words_low_first(void **state)
{
    (void)state;
    assert_true(fc_rng_u64(0, 0, 0) == 0xe169c58d6627e8d5);
}

static void streams_and_seeds_differ(void **state)
{
    (void)state;
    assert_true(fc_rng_u64(1, FC_RNG_WEIGHTS, 5) != fc_rng_u64(1, FC_RNG_EVAL, 5));
    assert_true(fc_rng_u64(1, FC_RNG_WEIGHTS, 5) != fc_rng_u64(2, FC_RNG_WEIGHTS, 5));
    assert_true(fc_rng_u64(1, FC_RNG_WEIGHTS, 5) == fc_rng_u64(1, FC_RNG_WEIGHTS, 5));
}

/* Mean and variance of n draws within five standard errors. */
static void uniform_and_normal_have_the_right_moments(void **state)
{
    (void)state;
    enum { N = 200000 };
    double sum = 0, sum_sq = 0, normal_sum = 0, normal_sq = 0;
    for (uint64_t i = 0; i < N; i++) {
        const double u = fc_rng_uniform(7, FC_RNG_TEST, i),
                     z = fc_rng_normal(8, FC_RNG_TEST, i);
        assert_true(u >= 0 && u < 1);
        assert_true(isfinite(z));
        sum += u;
        sum_sq += u * u;
        normal_sum += z;
        normal_sq += z * z;
    }
    assert_true(fabs(sum / N - 0.5) < 5 * sqrt(1.0 / 12 / N));
    assert_true(fabs(sum_sq / N - 1.0 / 3) < 5 * sqrt(4.0 / 45 / N));
    assert_true(fabs(normal_sum / N) < 5 * sqrt(1.0 / N));
    assert_true(fabs(normal_sq / N - 1) < 5 * sqrt(2.0 / N));
}

static void a_permutation_holds_each_number_once(void **state)
{
    (void)state;
    static const int64_t ns[] = {0, 1, 2, 3, 1000};
    for (size_t c = 0; c < FC_LEN(ns); c++) {
        const int64_t n = ns[c];
        uint32_t *out = calloc((size_t)n + 1, sizeof *out);
        bool *is_seen = calloc((size_t)n + 1, sizeof *is_seen);
        out[n] = 0xdead;
        fc_rng_permutation(3, FC_RNG_EPOCH, n, out);
        for (int64_t i = 0; i < n; i++) {
            assert_true(out[i] < n && !is_seen[out[i]]);
            is_seen[out[i]] = true;
        }
        assert_int_equal(out[n], 0xdead);
        free(is_seen);
        free(out);
    }
}

/* Each of the 6 orders of 3 comes up about equally often: chi-squared with 5 degrees of
 * freedom below its 99.99 % point. */
static void permutations_are_uniform(void **state)
{
    (void)state;
    enum { N = 12000, ORDERS = 6 };
    int64_t count[27] = {0};
    double chi = 0;
    for (uint64_t seed = 0; seed < N; seed++) {
        uint32_t p[3];
        fc_rng_permutation(seed, FC_RNG_TEST, 3, p);
        count[p[0] * 9 + p[1] * 3 + p[2]]++;
    }
    int n_orders = 0;
    for (int i = 0; i < 27; i++) {
        if (count[i] == 0) continue;
        const double d = (double)count[i] - (double)N / ORDERS;
        chi += d * d / ((double)N / ORDERS);
        n_orders++;
    }
    assert_int_equal(n_orders, ORDERS);
    assert_true(chi < 25.7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_published_numbers),
        cmocka_unit_test(u64_is_the_first_two_words_low_first),
        cmocka_unit_test(streams_and_seeds_differ),
        cmocka_unit_test(uniform_and_normal_have_the_right_moments),
        cmocka_unit_test(a_permutation_holds_each_number_once),
        cmocka_unit_test(permutations_are_uniform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
