/* test_neighbours.c - nearest decoder rows, by hand and against all pairs in double.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/par.h"
#include "base/rng.h"
#include "study/neighbours_internal.h"

static fc_backend *be;

static void rows_of_the_plane_are_ordered_by_angle(void **state)
{
    (void)state;
    /* 0: east. 1: north, long. 2: 60 degrees. 3: like 0, other length. 4: dead. 5: zero. 6: west */
    const float w[] = {1, 0, 0, 9, 0.5f, 0.8660254f, 3, 0, 1, 0, 0, 0, -2, 0};
    const bool is_live[] = {true, true, true, true, false, true, true};
    const struct {
        int64_t feature, n, neighbour[4];
        double cosine[4];
    } cases[] = {
        {0, 4, {3, 2, 1, 6}, {1, 0.5, 0, -1}},
        {1, 4, {2, 0, 3, 6}, {0.8660254, 0, 0, 0}}, /* equal: the lower id first */
        {3, 4, {0, 2, 1, 6}, {1, 0.5, 0, -1}},
        {4, 0, {0}, {0}},
        {5, 0, {0}, {0}},
        {6, 4, {1, 2, 0, 3}, {0, -0.5, -1, -1}},
    };
    fc_neighbours found;
    fc_err err;
    fc_assert_ok(fc_neighbours_find(&found, w, is_live, 7, 2, be, &err), &err);
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        int64_t n;
        const fc_neighbour *list = fc_neighbours_of(&found, cases[i].feature, &n);
        assert_int_equal(n, cases[i].n);
        for (int64_t k = 0; k < n; k++) {
            assert_int_equal(list[k].feature, cases[i].neighbour[k]);
            assert_true(fabs(list[k].cosine - cases[i].cosine[k]) < 1e-6);
        }
    }
    fc_neighbours_deinit(&found);
}

/* More than a tile in both directions. */
enum { N = 1300, D = 19 };

static float *random_rows(void)
{
    float *w = malloc(N * D * sizeof *w);
    assert_non_null(w);
    for (int64_t i = 0; i < N * D; i++)
        w[i] = (float)fc_rng_normal(6, FC_RNG_TEST, (uint64_t)i);
    return w;
}

static double cosine_of(const float *a, const float *b)
{
    double ab = 0.0, aa = 0.0, bb = 0.0;
    for (int64_t j = 0; j < D; j++) {
        ab += (double)a[j] * (double)b[j];
        aa += (double)a[j] * (double)a[j];
        bb += (double)b[j] * (double)b[j];
    }
    return ab / sqrt(aa * bb);
}

static void many_rows_agree_with_all_pairs(void **state)
{
    (void)state;
    float *w = random_rows();
    bool is_live[N];
    fc_neighbours found;
    fc_err err;
    for (int64_t i = 0; i < N; i++) is_live[i] = i % 7 != 3;
    fc_assert_ok(fc_neighbours_find(&found, w, is_live, N, D, be, &err), &err);
    for (int64_t i = 0; i < N; i += 11) {
        int64_t n, n_nearer = 0;
        const fc_neighbour *list = fc_neighbours_of(&found, i, &n);
        assert_int_equal(n, is_live[i] ? FC_NEIGHBOURS : 0);
        if (n == 0) continue;
        for (int64_t k = 0; k < n; k++) {
            const int64_t other = list[k].feature;
            assert_true(other != i && is_live[other]);
            assert_true(fabs(list[k].cosine - cosine_of(w + i * D, w + other * D)) <
                        1e-5);
            if (k > 0) assert_true(list[k].cosine <= list[k - 1].cosine);
        }
        for (int64_t j = 0; j < N; j++)
            n_nearer += j != i && is_live[j] &&
                        cosine_of(w + i * D, w + j * D) > list[n - 1].cosine + 1e-5;
        assert_true(n_nearer < FC_NEIGHBOURS);
    }
    fc_neighbours_deinit(&found);
    free(w);
}

static void any_number_of_threads_finds_the_same(void **state)
{
    (void)state;
    float *w = random_rows();
    bool is_live[N];
    fc_neighbours found[2];
    fc_err err;
    for (int64_t i = 0; i < N; i++) is_live[i] = true;
    for (int t = 0; t < 2; t++) {
        fc_par_set_threads(t == 0 ? 1 : 3);
        fc_assert_ok(fc_neighbours_find(&found[t], w, is_live, N, D, be, &err), &err);
    }
    assert_memory_equal(found[0].list, found[1].list,
                        N * FC_NEIGHBOURS * sizeof *found[0].list);
    for (int t = 0; t < 2; t++) fc_neighbours_deinit(&found[t]);
    free(w);
}

static fc_status scenario(void *ctx, fc_err *err)
{
    const bool is_live[] = {true, true};
    fc_neighbours found;
    FC_TRY(fc_neighbours_find(&found, ctx, is_live, 2, 2, be, err));
    fc_neighbours_deinit(&found);
    return FC_OK;
}

static void faults_and_interruptions_are_reported(void **state)
{
    (void)state;
    float w[] = {1, 0, 0, 1};
    fc_err err;
    assert_true(fc_test_sweep_alloc(scenario, NULL, w) >= 6);
    fc_cancel_set(true);
    fc_assert_fails(scenario(w, &err), &err, FC_CANCELLED, "interrupted");
    fc_cancel_set(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_the_plane_are_ordered_by_angle),
        cmocka_unit_test(many_rows_agree_with_all_pairs),
        cmocka_unit_test(any_number_of_threads_finds_the_same),
        cmocka_unit_test(faults_and_interruptions_are_reported),
    };
    fc_par_set_threads(3);
    if (fc_backend_open(&be, NULL, NULL) != FC_OK) return 1;
    const int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    fc_backend_close(be);
    return n_failed;
}
