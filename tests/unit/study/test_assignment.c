/* test_assignment.c - assignments against trying all, against dense Hungarian, and their proof.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/rng.h"
#include "study/assignment_internal.h"

enum { MOST = 60 };

typedef struct table {
    int64_t n_rows, n_cols;
    float score[MOST * MOST]; /* NaN: not listed */
    int64_t begin[MOST + 1];
    fc_pair pair[MOST * MOST];
} table;

static fc_pairs pairs_of(table *t)
{
    int64_t n = 0;
    for (int64_t i = 0; i < t->n_rows; i++) {
        t->begin[i] = n;
        for (int64_t j = 0; j < t->n_cols; j++)
            if (!isnan(t->score[i * t->n_cols + j]))
                t->pair[n++] = (fc_pair){(int32_t)j, t->score[i * t->n_cols + j]};
    }
    t->begin[t->n_rows] = n;
    return (fc_pairs){t->n_rows, t->n_cols, t->begin, t->pair};
}

/* Every row has a column of its own or none, and u and v prove that no other way is better. */
static void assert_proven(const fc_assignment *a, const table *t, double alone)
{
    bool is_taken[MOST] = {false};
    double reached = 0.0, proven = 0.0;
    int64_t n_alone = 0;
    for (int64_t i = 0; i < t->n_rows; i++) {
        const int32_t j = a->col[i];
        n_alone += j < 0;
        reached += j < 0 ? alone : (double)t->score[i * t->n_cols + j];
        if (j < 0) continue;
        assert_true(j < t->n_cols && !is_taken[j]);
        is_taken[j] = true;
    }
    for (int64_t i = 0; i < t->n_rows; i++) {
        assert_true(a->u[i] >= alone - 1e-9);
        proven += a->u[i];
        for (int64_t j = 0; j < t->n_cols; j++)
            if (!isnan(t->score[i * t->n_cols + j]))
                assert_true(a->u[i] + a->v[j] >=
                            (double)t->score[i * t->n_cols + j] - 1e-9);
    }
    for (int64_t j = 0; j < t->n_cols; j++) {
        assert_true(a->v[j] >= 0.0);
        proven += a->v[j];
    }
    assert_true(fabs(reached - proven) < 1e-7 && fabs(reached - a->total) < 1e-7);
    assert_int_equal(a->n_alone, n_alone);
}

/* The best of all ways, by trying them. */
static double try_all(const table *t, int64_t row, uint32_t taken, double alone)
{
    if (row == t->n_rows) return 0.0;
    double best = alone + try_all(t, row + 1, taken, alone);
    for (int64_t j = 0; j < t->n_cols; j++) {
        const float score = t->score[row * t->n_cols + j];
        if (isnan(score) || (taken >> j & 1) != 0) continue;
        best = fmax(best,
                    (double)score + try_all(t, row + 1, taken | UINT32_C(1) << j, alone));
    }
    return best;
}

static void small_tables_agree_with_trying_all(void **state)
{
    (void)state;
    table *t = malloc(sizeof *t);
    fc_err err;
    assert_non_null(t);
    for (uint64_t seed = 0; seed < 400; seed++) {
        t->n_rows = (int64_t)(seed % 6);
        t->n_cols = (int64_t)(seed / 6 % 7);
        for (int64_t e = 0; e < t->n_rows * t->n_cols; e++) {
            const double r = fc_rng_uniform(seed, FC_RNG_TEST, (uint64_t)e);
            t->score[e] = r < 0.3 ? NAN /* few values, so there are ties */
                                  : (float)(floor(r * 7.0) / 4.0 - 0.7);
        }
        const double alone = seed % 3 == 0 ? -5.0 : 0.1;
        const fc_pairs pairs = pairs_of(t);
        fc_assignment a;
        fc_assert_ok(fc_assignment_solve(&a, &pairs, alone, &err), &err);
        assert_proven(&a, t, alone);
        assert_true(fabs(a.total - try_all(t, 0, 0, alone)) < 1e-6);
        fc_assignment_deinit(&a);
    }
    free(t);
}

static void a_planted_permutation_is_found(void **state)
{
    (void)state;
    table *t = malloc(sizeof *t);
    uint32_t permutation[MOST];
    fc_err err;
    fc_assignment a;
    assert_non_null(t);
    t->n_rows = t->n_cols = MOST;
    fc_rng_permutation(3, FC_RNG_TEST, MOST, permutation);
    for (int64_t e = 0; e < MOST * MOST; e++)
        t->score[e] = (float)fc_rng_uniform(3, FC_RNG_TEST, (uint64_t)e) * 0.5f;
    for (int64_t i = 0; i < MOST; i++) t->score[i * MOST + permutation[i]] = 0.9f;
    const fc_pairs pairs = pairs_of(t);
    fc_assert_ok(fc_assignment_solve(&a, &pairs, -1.0, &err), &err);
    assert_proven(&a, t, -1.0);
    for (int64_t i = 0; i < MOST; i++) assert_int_equal(a.col[i], permutation[i]);
    fc_assignment_deinit(&a);
    free(t);
}

/* All want the same column first: a greedy choice loses. 1 for the k-th row and column, falling. */
static void rivals_for_one_column_make_way_for_each_other(void **state)
{
    (void)state;
    table *t = malloc(sizeof *t);
    fc_err err;
    fc_assignment a;
    assert_non_null(t);
    t->n_rows = t->n_cols = MOST;
    for (int64_t i = 0; i < MOST; i++)
        for (int64_t j = 0; j < MOST; j++)
            t->score[i * MOST + j] = (float)((double)(i + 1) * (double)(j + 1) / 4096.0);
    const fc_pairs pairs = pairs_of(t);
    fc_assert_ok(fc_assignment_solve(&a, &pairs, -1.0, &err), &err);
    assert_proven(&a, t, -1.0);
    for (int64_t i = 0; i < MOST; i++) assert_int_equal(a.col[i], i);
    fc_assignment_deinit(&a);
    free(t);
}

static void large_tables_carry_their_proof(void **state)
{
    (void)state;
    table *t = malloc(sizeof *t);
    fc_err err;
    assert_non_null(t);
    for (uint64_t seed = 0; seed < 12; seed++) {
        t->n_rows = 30 + (int64_t)seed;
        t->n_cols = 60 - 2 * (int64_t)seed; /* more columns, then more rows */
        for (int64_t e = 0; e < t->n_rows * t->n_cols; e++)
            t->score[e] = (float)fc_rng_normal(seed, FC_RNG_TEST, (uint64_t)e);
        const fc_pairs pairs = pairs_of(t);
        fc_assignment a;
        fc_assert_ok(fc_assignment_solve(&a, &pairs, -9.0, &err), &err);
        assert_proven(&a, t, -9.0);
        assert_int_equal(a.n_alone, fc_max(t->n_rows - t->n_cols, 0));
        fc_assignment_deinit(&a);
    }
    free(t);
}

static fc_status scenario(void *ctx, fc_err *err)
{
    fc_pairs pairs = pairs_of(ctx);
    fc_assignment a;
    FC_TRY(fc_assignment_solve(&a, &pairs, 0.0, err));
    fc_assignment_deinit(&a);
    return FC_OK;
}

static void faults_and_interruptions_are_reported(void **state)
{
    (void)state;
    table *t = calloc(1, sizeof *t);
    fc_err err;
    assert_non_null(t);
    t->n_rows = t->n_cols = 3;
    assert_true(fc_test_sweep_alloc(scenario, NULL, t) == 5);
    fc_cancel_set(true);
    fc_assert_fails(scenario(t, &err), &err, FC_CANCELLED, "assignment");
    fc_cancel_set(false);
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_tables_agree_with_trying_all),
        cmocka_unit_test(a_planted_permutation_is_found),
        cmocka_unit_test(rivals_for_one_column_make_way_for_each_other),
        cmocka_unit_test(large_tables_carry_their_proof),
        cmocka_unit_test(faults_and_interruptions_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
