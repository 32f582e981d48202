/* test_token_mass.c - shares of tokens against exact sums, and the bound beyond 128 tokens.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "hits_feed.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "study/token_mass_internal.h"

enum { N = 20000, VOCAB = 4000 };

static float value[N];
static int32_t token[N];

static void add(void *statistic, const fc_hits *hits, const fc_block *block)
{
    fc_err err;
    fc_assert_ok(fc_token_mass_rank(statistic, block->token, block->n, block->rank, &err),
                 &err);
    fc_token_mass_add(statistic, hits, block, 0);
}

/* Tokens follow Zipf's law over the first `vocab` ids. */
static void make_stream(uint64_t seed, int64_t vocab)
{
    for (int64_t t = 0; t < N; t++) {
        const double u = fc_rng_uniform(seed, FC_RNG_TEST, (uint64_t)t);
        token[t] = (int32_t)fc_min(vocab - 1, (int64_t)pow((double)(vocab + 1), u) - 1);
        value[t] = (float)fc_rng_uniform(seed + 1, FC_RNG_TEST, (uint64_t)t);
    }
}

typedef struct truth {
    double sum[VOCAB], total;
    int64_t n[VOCAB];
} truth;

static void sum_exactly(truth *exact)
{
    memset(exact, 0, sizeof *exact);
    for (int64_t t = 0; t < N; t++)
        if (value[t] > 0.0f) {
            exact->sum[token[t]] += (double)value[t];
            exact->n[token[t]]++;
            exact->total += (double)value[t];
        }
}

static void make(fc_token_mass *mass, int64_t block_rows)
{
    fc_err err;
    const feed stream = {N, value, token, token};
    fc_assert_ok(fc_token_mass_init(mass, 2, &err), &err);
    feed_rows(&stream, block_rows, 1, add, mass);
}

static void up_to_128_tokens_are_exact(void **state)
{
    (void)state;
    static truth exact;
    fc_token_mass mass;
    fc_token_sum top[FC_TOKENS_KEPT];
    make_stream(1, FC_TOKENS_KEPT);
    sum_exactly(&exact);
    make(&mass, 100);
    const int64_t n = fc_token_mass_top(&mass, 1, FC_TOKENS_KEPT, top);
    assert_int_equal(n, FC_TOKENS_KEPT);
    assert_true(mass.table[1].error == 0.0);
    for (int64_t i = 0; i < n; i++) {
        assert_true(top[i].sum == exact.sum[top[i].token]);
        assert_int_equal(top[i].n, exact.n[top[i].token]);
        if (i > 0) assert_true(top[i - 1].sum >= top[i].sum);
    }
    assert_int_equal(fc_token_mass_top(&mass, 0, 10, top), 0); /* another feature */
    fc_token_mass_deinit(&mass);
}

static void many_tokens_keep_the_promised_bound(void **state)
{
    (void)state;
    static truth exact;
    const int64_t vocabs[] = {129, 200, 1000, VOCAB};
    for (size_t v = 0; v < FC_LEN(vocabs); v++) {
        fc_token_mass mass;
        fc_token_sum top[FC_TOKENS_KEPT];
        static double found[VOCAB];
        memset(found, 0, sizeof found);
        make_stream(10 + v, vocabs[v]);
        sum_exactly(&exact);
        make(&mass, 512);
        const int64_t n = fc_token_mass_top(&mass, 1, FC_TOKENS_KEPT, top);
        assert_true(mass.table[1].error > 0.0);
        assert_true(mass.table[1].error <= exact.total / FC_TOKENS_SURE);
        for (int64_t i = 0; i < n; i++) {
            found[top[i].token] = top[i].sum;
            assert_true(top[i].n <= exact.n[top[i].token]);
        }
        for (int64_t i = 0; i < vocabs[v]; i++) {
            assert_true(found[i] <= exact.sum[i] + 1e-9);
            assert_true(exact.sum[i] <= found[i] + mass.table[1].error + 1e-9);
        }
        fc_token_mass_deinit(&mass);
    }
}

static void equal_sums_put_the_lower_id_first(void **state)
{
    (void)state;
    fc_token_mass mass;
    fc_token_sum top[3];
    memset(value, 0, sizeof value);
    const int32_t tokens[] = {9, 4, 7, 4, 9};
    const float values[] = {2, 1, 3, 1, 0};
    for (int i = 0; i < 5; i++) token[i] = tokens[i], value[i] = values[i];
    make(&mass, 10);
    assert_int_equal(fc_token_mass_top(&mass, 1, 3, top), 3);
    const int32_t expected[] = {7, 4, 9};
    for (int i = 0; i < 3; i++) assert_int_equal(top[i].token, expected[i]);
    assert_int_equal(top[1].n, 2);
    fc_token_mass_deinit(&mass);
}

/* Sums that are all equal, or spread over 300 orders of magnitude, are cut back too. */
static void odd_sums_keep_the_bound(void **state)
{
    (void)state;
    static truth exact;
    for (int kind = 0; kind < 2; kind++) {
        fc_token_mass mass;
        fc_token_sum top[FC_TOKENS_KEPT];
        for (int64_t t = 0; t < N; t++) {
            token[t] = (int32_t)(t % VOCAB);
            value[t] =
                kind == 0 ? 1.0f : (float)pow(10.0, (double)(t * 7919 % 75) - 40.0);
        }
        sum_exactly(&exact);
        make(&mass, 512);
        const int64_t n = fc_token_mass_top(&mass, 1, FC_TOKENS_KEPT, top);
        assert_in_range(n, 1, FC_TOKENS_KEPT);
        assert_true(mass.table[1].error <= exact.total / FC_TOKENS_SURE);
        for (int64_t i = 0; i < n; i++) {
            const double sum = exact.sum[top[i].token];
            assert_true(top[i].sum <= sum * (1.0 + 1e-12));
            assert_true(sum <= (top[i].sum + mass.table[1].error) * (1.0 + 1e-12));
        }
        fc_token_mass_deinit(&mass);
    }
}

static void ids_may_be_anything(void **state)
{
    (void)state;
    fc_token_mass mass;
    fc_token_sum top[3];
    memset(value, 0, sizeof value);
    const int32_t tokens[] = {INT32_MIN, -1, INT32_MAX};
    for (int i = 0; i < 3; i++) token[i] = tokens[i], value[i] = (float)(3 - i);
    make(&mass, 10);
    assert_int_equal(fc_token_mass_top(&mass, 1, 3, top), 3);
    for (int i = 0; i < 3; i++) assert_int_equal(top[i].token, tokens[i]);
    fc_token_mass_deinit(&mass);
}

static void batches_of_any_size_count_exactly(void **state)
{
    (void)state;
    fc_token_mass a, b;
    make_stream(5, FC_TOKENS_KEPT);
    make(&a, 1);
    make(&b, 512);
    assert_memory_equal(a.table, b.table, 2 * sizeof *a.table);
    fc_token_mass_deinit(&a);
    fc_token_mass_deinit(&b);
}

/* One hit at a time: each new token of a full table is a round of its own. */
static void single_hits_keep_the_bound(void **state)
{
    (void)state;
    static truth exact;
    fc_token_mass mass;
    fc_token_sum top[FC_TOKENS_KEPT];
    make_stream(6, VOCAB);
    sum_exactly(&exact);
    make(&mass, 1);
    const int64_t n = fc_token_mass_top(&mass, 1, FC_TOKENS_KEPT, top);
    assert_true(mass.table[1].error <= exact.total / FC_TOKENS_SURE);
    for (int64_t i = 0; i < n; i++) {
        const double sum = exact.sum[top[i].token];
        assert_true(top[i].sum <= sum + 1e-9);
        assert_true(sum <= top[i].sum + mass.table[1].error + 1e-9);
    }
    fc_token_mass_deinit(&mass);
}

static fc_status use(void *ctx, fc_err *err)
{
    (void)ctx;
    fc_token_mass mass;
    int32_t rank[3];
    FC_TRY(fc_token_mass_init(&mass, 3, err));
    const fc_status status =
        fc_token_mass_rank(&mass, (int32_t[]){7, 8, 7}, 3, rank, err);
    fc_token_mass_deinit(&mass);
    return status;
}

static void memory_that_runs_out_is_reported(void **state)
{
    (void)state;
    assert_int_equal(fc_test_sweep_alloc(use, NULL, NULL), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(up_to_128_tokens_are_exact),
        cmocka_unit_test(many_tokens_keep_the_promised_bound),
        cmocka_unit_test(equal_sums_put_the_lower_id_first),
        cmocka_unit_test(odd_sums_keep_the_bound),
        cmocka_unit_test(ids_may_be_anything),
        cmocka_unit_test(batches_of_any_size_count_exactly),
        cmocka_unit_test(single_hits_keep_the_bound),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
