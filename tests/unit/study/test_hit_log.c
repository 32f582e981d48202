/* test_hit_log.c - hits come out as they went in, in batches.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "study/hit_log_internal.h"

enum { FEATURES = 3, N = 5000 };

/* What was handed on for each feature. */
typedef struct taken {
    int64_t n[FEATURES], n_calls;
    int32_t at[FEATURES][N];
    float value[FEATURES][N];
} taken;

static taken out;

static void take(const fc_hits *hits, void *ctx)
{
    taken *t = ctx;
    float max = 0.0f;
    assert_in_range(hits->n, 1, FC_LOG_HITS);
    for (int64_t j = 0; j < hits->n; j++) {
        const int64_t to = t->n[hits->feature]++;
        assert_in_range(to, 0, N - 1);
        t->at[hits->feature][to] = hits->at[j];
        t->value[hits->feature][to] = hits->value[j];
        if (hits->value[j] > max) max = hits->value[j];
    }
    assert_true(hits->max == max);
    t->n_calls++;
}

/* Adds n hits to a feature, on the rows from `first` on. */
static void add(fc_hit_log *log, int64_t feature, int64_t first, int64_t n)
{
    static int32_t at[N];
    static float value[N];
    for (int64_t j = 0; j < n; j++) {
        at[j] = (int32_t)j;
        value[j] = (float)((first + j) * 37 % 101 + 1);
    }
    const fc_hits hits = {feature, n, at, value, 101.0f};
    fc_hit_log_add(log, &hits, first, take, &out);
}

static void hits_keep_their_order_in_batches_of_any_size(void **state)
{
    (void)state;
    const int64_t sizes[] = {1, 7, FC_LOG_HITS - 1, FC_LOG_HITS, FC_LOG_HITS + 1, 1200};
    for (size_t s = 0; s < FC_LEN(sizes); s++) {
        fc_hit_log log;
        fc_err err;
        out = (taken){0};
        fc_assert_ok(fc_hit_log_init(&log, FEATURES, &err), &err);
        for (int64_t first = 0; first < N; first += sizes[s]) {
            add(&log, 1, first, fc_min(sizes[s], N - first));
            if (first == 0) add(&log, 2, 5, 1);
        }
        assert_int_equal(out.n_calls, N / FC_LOG_HITS); /* only what is full */
        for (int64_t i = 0; i < FEATURES; i++) fc_hit_log_flush(&log, i, take, &out);
        for (int64_t i = 0; i < FEATURES; i++) fc_hit_log_flush(&log, i, take, &out);
        assert_int_equal(out.n_calls, N / FC_LOG_HITS + 2);
        assert_int_equal(out.n[0], 0);
        assert_int_equal(out.n[1], N);
        assert_int_equal(out.n[2], 1);
        assert_int_equal(out.at[2][0], 5);
        for (int64_t t = 0; t < N; t++) {
            assert_int_equal(out.at[1][t], t);
            assert_true(out.value[1][t] == (float)(t * 37 % 101 + 1));
        }
        fc_hit_log_deinit(&log);
    }
}

static fc_status use(void *ctx, fc_err *err)
{
    (void)ctx;
    fc_hit_log log;
    FC_TRY(fc_hit_log_init(&log, 3, err));
    fc_hit_log_deinit(&log);
    return FC_OK;
}

static void memory_that_runs_out_is_reported(void **state)
{
    (void)state;
    assert_int_equal(fc_test_sweep_alloc(use, NULL, NULL), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hits_keep_their_order_in_batches_of_any_size),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
