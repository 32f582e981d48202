/* test_token_ranks.c - every token keeps its rank, whatever its id, while the table grows.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdlib.h>

#include "study/token_ranks_internal.h"

enum { N = 50000 };

/* Ids that lie close, far apart, and share the upper or the lower bits. */
static int32_t id_of(int kind, int64_t i)
{
    switch (kind) {
    case 0: return (int32_t)i;
    case 1: return (int32_t)(UINT32_C(2654435761) * (uint32_t)i);
    case 2: return (int32_t)((uint32_t)i << 16);
    default: return INT32_MAX - (int32_t)i;
    }
}

static void ranks_count_tokens_in_the_order_they_come(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        static int32_t token[2 * N], rank[2 * N];
        fc_token_ranks ranks = {0};
        fc_err err;
        for (int64_t i = 0; i < 2 * N; i++) token[i] = id_of(kind, i / 2);
        for (int64_t i = 0; i < 2 * N; i += 1000)
            fc_assert_ok(fc_token_ranks_find(&ranks, token + i, 1000, rank + i, &err),
                         &err);
        for (int64_t i = 0; i < 2 * N; i++)
            assert_int_equal(ranks.token[rank[i]], token[i]);
        assert_int_equal(ranks.n, N);
        for (int64_t i = 0; i < N; i++) assert_int_equal(rank[2 * i], i);
        fc_token_ranks_deinit(&ranks);
    }
}

static void no_id_is_special(void **state)
{
    (void)state;
    const int32_t token[] = {INT32_MIN, 0, -1, INT32_MAX, 0, INT32_MIN, -1};
    const int32_t expected[] = {0, 1, 2, 3, 1, 0, 2};
    int32_t rank[FC_LEN(token)];
    fc_token_ranks ranks = {0};
    fc_err err;
    fc_assert_ok(fc_token_ranks_find(&ranks, token, FC_LEN(token), rank, &err), &err);
    assert_memory_equal(rank, expected, sizeof rank);
    fc_token_ranks_deinit(&ranks);
}

/* Enough tokens for both arrays to grow. */
static fc_status use(void *ctx, fc_err *err)
{
    (void)ctx;
    static int32_t token[5000], rank[5000];
    fc_token_ranks ranks = {0};
    for (int32_t i = 0; i < 5000; i++) token[i] = i;
    const fc_status status = fc_token_ranks_find(&ranks, token, 5000, rank, err);
    fc_token_ranks_deinit(&ranks);
    return status;
}

static void memory_that_runs_out_is_reported(void **state)
{
    (void)state;
    assert_true(fc_test_sweep_alloc(use, NULL, NULL) > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_count_tokens_in_the_order_they_come),
        cmocka_unit_test(no_id_is_special),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
