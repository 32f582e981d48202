/* test_stability.c - planted permutations of an SAE, and matchings against a plain Hungarian method.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/par.h"
#include "base/rng.h"
#include "study/stability.h"

static fc_backend *be;

static fc_sae *random_sae(int64_t d_sae, int64_t d, uint64_t seed)
{
    fc_sae *sae;
    fc_err err;
    fc_assert_ok(fc_sae_new(&sae, "standard", d, d, d_sae, &err), &err);
    for (int64_t i = 0; i < d_sae * d; i++) {
        sae->w_dec[i] = (float)fc_rng_normal(seed, FC_RNG_TEST, (uint64_t)i);
        sae->w_enc[i] = sae->w_dec[i];
    }
    return sae;
}

static fc_stability measured(const fc_sae *a, const fc_sae *b)
{
    fc_stability s;
    fc_err err;
    fc_assert_ok(fc_stability_measure(&s, a, NULL, b, NULL, be, &err), &err);
    return s;
}

static void a_permuted_and_stretched_copy_is_matched_whole(void **state)
{
    (void)state;
    enum { N = 300, D = 24 };
    uint32_t place[N];
    fc_sae *a = random_sae(N, D, 1), *b = random_sae(N, D, 2);
    fc_rng_permutation(5, FC_RNG_TEST, N, place);
    for (int64_t i = 0; i < N; i++)
        for (int64_t j = 0; j < D; j++) {
            const float own = a->w_dec[i * D + j], noise = b->w_dec[place[i] * D + j];
            b->w_dec[place[i] * D + j] = (own + 0.1f * noise) * (float)(1 + i % 5);
            b->w_enc[place[i] * D + j] = i % 3 == 0 ? noise : own; /* a third differ */
        }
    fc_stability s = measured(a, b);
    for (int64_t i = 0; i < N; i++) {
        assert_int_equal(s.partner[i], place[i]);
        assert_true(s.cosine[i] > 0.9f);
    }
    assert_true(s.is_exact && s.n_matched == N && s.n_a == N && s.n_b == N);
    assert_int_equal(s.n_same, N);
    assert_int_equal(s.n_same_of_both, N - N / 3);
    assert_true(fabs(s.mean_max_a - s.matched.mean) < 1e-6);
    assert_true(fabs(s.mean_max_b - s.matched.mean) < 1e-6);
    fc_stability_deinit(&s);
    fc_sae_free(a);
    fc_sae_free(b);
}

/* The Hungarian method on the whole table, as the textbooks have it: row by row, O(n^2 m). Lowest sum
 * of costs of n <= m rows. Rows and columns count from 1; column 0 holds the row that looks for one. */
enum { MOST = 400 };

typedef struct hungarian {
    const double *cost; /* [n, m] */
    int64_t n, m;
    double u[MOST + 1], v[MOST + 1], low[MOST + 1];
    int64_t row_of[MOST + 1], way[MOST + 1];
    bool is_used[MOST + 1];
} hungarian;

/* The column nearest to those that are used, and the potentials moved so far that it is reached. */
static int64_t next_column(hungarian *h, int64_t at)
{
    const int64_t row = h->row_of[at];
    int64_t next = 0;
    double step = (double)INFINITY;
    h->is_used[at] = true;
    for (int64_t j = 1; j <= h->m; j++) {
        if (h->is_used[j]) continue;
        const double c = h->cost[(row - 1) * h->m + j - 1] - h->u[row] - h->v[j];
        if (c < h->low[j]) {
            h->low[j] = c;
            h->way[j] = at;
        }
        if (h->low[j] < step) {
            step = h->low[j];
            next = j;
        }
    }
    for (int64_t j = 0; j <= h->m; j++) {
        if (!h->is_used[j]) {
            h->low[j] -= step;
            continue;
        }
        h->u[h->row_of[j]] += step;
        h->v[j] -= step;
    }
    return next;
}

static double lowest_sum(const double *cost, int64_t n, int64_t m)
{
    hungarian *h = calloc(1, sizeof *h);
    double total = 0.0;
    assert_non_null(h);
    assert_true(m <= MOST);
    h->cost = cost;
    h->n = n;
    h->m = m;
    for (int64_t i = 1; i <= n; i++) {
        int64_t at = 0;
        h->row_of[0] = i;
        for (int64_t j = 0; j <= m; j++) {
            h->low[j] = (double)INFINITY;
            h->is_used[j] = false;
        }
        do at = next_column(h, at);
        while (h->row_of[at] != 0);
        for (; at != 0; at = h->way[at]) h->row_of[at] = h->row_of[h->way[at]];
    }
    for (int64_t j = 1; j <= m; j++)
        if (h->row_of[j] != 0) total += cost[(h->row_of[j] - 1) * m + j - 1];
    free(h);
    return total;
}

static double cosine_of(const float *a, const float *b, int64_t d)
{
    double ab = 0.0, aa = 0.0, bb = 0.0;
    for (int64_t j = 0; j < d; j++) {
        ab += (double)a[j] * (double)b[j];
        aa += (double)a[j] * (double)a[j];
        bb += (double)b[j] * (double)b[j];
    }
    return ab / sqrt(aa * bb);
}

static void unrelated_saes_are_matched_as_well_as_the_hungarian_method(void **state)
{
    (void)state;
    const struct {
        int64_t n_a, n_b, d;
    } shapes[] = {{1, 1, 3},     {2, 5, 4},      {60, 60, 2},  {70, 45, 6},
                  {200, 200, 3}, {300, 300, 40}, {150, 260, 9}};
    for (size_t k = 0; k < FC_LEN(shapes); k++) {
        const int64_t n_a = shapes[k].n_a, n_b = shapes[k].n_b, d = shapes[k].d;
        const int64_t n = fc_min(n_a, n_b), m = fc_max(n_a, n_b);
        fc_sae *a = random_sae(n_a, d, 10 + k), *b = random_sae(n_b, d, 20 + k);
        const fc_sae *small = n_a <= n_b ? a : b, *large = n_a <= n_b ? b : a;
        double *cost = malloc((size_t)(n * m) * sizeof *cost), best_a = 0.0;
        assert_non_null(cost);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < m; j++)
                cost[i * m + j] =
                    -cosine_of(small->w_dec + i * d, large->w_dec + j * d, d);
        for (int64_t i = 0; i < n_a; i++) {
            double best = -1.0;
            for (int64_t j = 0; j < n_b; j++)
                best = fmax(best, cosine_of(a->w_dec + i * d, b->w_dec + j * d, d));
            best_a += best / (double)n_a;
        }
        fc_stability s = measured(a, b);
        assert_true(s.is_exact && s.n_matched == n);
        assert_true(fabs(s.matched.mean * (double)n + lowest_sum(cost, n, m)) <
                    2e-6 * (double)n);
        assert_true(s.mean_bound >= s.matched.mean - 1e-6);
        assert_true(fabs(s.mean_max_a - best_a) < 1e-6);
        fc_stability_deinit(&s);
        fc_sae_free(a);
        fc_sae_free(b);
        free(cost);
    }
}

/* Hundreds of copies of one row: the nearest of all are the same few. */
static void copies_of_one_row_find_columns_all_the_same(void **state)
{
    (void)state;
    enum { N = 400, D = 8 };
    fc_sae *a = random_sae(N, D, 3), *b = random_sae(N, D, 4);
    for (int64_t i = 0; i < N; i++) memcpy(a->w_dec + i * D, a->w_dec, D * sizeof(float));
    for (int64_t i = 0; i < 200; i++)
        memcpy(b->w_dec + i * D, b->w_dec, D * sizeof(float));
    fc_stability s = measured(a, b);
    assert_true(s.is_exact && s.n_matched == N);
    double sum = 0.0; /* all rows are equal, so every complete matching is the best */
    for (int64_t j = 0; j < N; j++) sum += cosine_of(a->w_dec, b->w_dec + j * D, D);
    assert_true(fabs(s.matched.mean - sum / N) < 1e-6);
    fc_stability_deinit(&s);
    fc_sae_free(a);
    fc_sae_free(b);
}

static void single_and_dead_features_are_answered(void **state)
{
    (void)state;
    fc_sae *a = random_sae(3, 4, 5), *b = random_sae(2, 4, 6);
    fc_sae *wide = random_sae(2, 5, 7);
    const bool is_live[] = {false, true, false}, is_dead[] = {false, false};
    fc_stability s;
    fc_err err;
    fc_assert_ok(fc_stability_measure(&s, a, is_live, b, NULL, be, &err), &err);
    assert_true(s.n_matched == 1 && s.n_a == 1 && s.n_b == 2 && s.is_exact);
    assert_true(s.partner[0] == -1 && s.partner[1] >= 0 && s.partner[2] == -1);
    assert_true(fabs(s.matched.mean - s.mean_max_a) < 1e-6);
    fc_stability_deinit(&s);
    fc_assert_ok(fc_stability_measure(&s, a, NULL, b, is_dead, be, &err), &err);
    assert_true(s.n_matched == 0 && s.n_b == 0 && s.mean_max_a == 0.0 && s.is_exact);
    fc_stability_deinit(&s);
    memset(a->w_dec, 0, 4 * sizeof(float)); /* its first row points nowhere */
    s = measured(a, a);
    assert_true(s.n_matched == 2 && s.partner[0] == -1 && s.partner[1] == 1 &&
                s.partner[2] == 2);
    fc_stability_deinit(&s);
    fc_assert_fails(fc_stability_measure(&s, a, NULL, wide, NULL, be, &err), &err,
                    FC_MISMATCH, "4", "5");
    assert_null(s.partner);
    fc_sae_free(a);
    fc_sae_free(b);
    fc_sae_free(wide);
}

static void any_number_of_threads_finds_the_same(void **state)
{
    (void)state;
    enum { N = 700 };
    fc_sae *a = random_sae(N, 16, 8), *b = random_sae(N, 16, 9);
    fc_stability s[2];
    for (int t = 0; t < 2; t++) {
        fc_par_set_threads(t == 0 ? 1 : 3);
        s[t] = measured(a, b);
    }
    assert_memory_equal(s[0].partner, s[1].partner, N * sizeof(int32_t));
    assert_memory_equal(s[0].cosine, s[1].cosine, N * sizeof(float));
    assert_true(s[0].mean_bound == s[1].mean_bound);
    for (int t = 0; t < 2; t++) fc_stability_deinit(&s[t]);
    fc_sae_free(a);
    fc_sae_free(b);
}

static fc_status scenario(void *ctx, fc_err *err)
{
    fc_sae *const *saes = ctx;
    fc_stability s;
    FC_TRY(fc_stability_measure(&s, saes[0], NULL, saes[1], NULL, be, err));
    fc_stability_deinit(&s);
    return FC_OK;
}

static void faults_and_interruptions_are_reported(void **state)
{
    (void)state;
    fc_sae *saes[] = {random_sae(5, 2, 1), random_sae(4, 2, 2)};
    fc_err err;
    assert_true(fc_test_sweep_alloc(scenario, NULL, saes) >= 20);
    fc_cancel_set(true);
    fc_assert_fails(scenario(saes, &err), &err, FC_CANCELLED, "interrupted");
    fc_cancel_set(false);
    fc_sae_free(saes[0]);
    fc_sae_free(saes[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_permuted_and_stretched_copy_is_matched_whole),
        cmocka_unit_test(unrelated_saes_are_matched_as_well_as_the_hungarian_method),
        cmocka_unit_test(copies_of_one_row_find_columns_all_the_same),
        cmocka_unit_test(single_and_dead_features_are_answered),
        cmocka_unit_test(any_number_of_threads_finds_the_same),
        cmocka_unit_test(faults_and_interruptions_are_reported),
    };
    fc_par_set_threads(3);
    if (fc_backend_open(&be, NULL, NULL) != FC_OK) return 1;
    const int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    fc_backend_close(be);
    return n_failed;
}
