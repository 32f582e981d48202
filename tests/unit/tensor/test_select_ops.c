/* test_select_ops.c - bias_max, kth_bound and reach_row against their definitions, on every
 * instruction set.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit/tensor/kernels.h"

static const int64_t shapes[][2] = {{0, 5},  {1, 1},   {3, 15},   {7, 16},
                                    {5, 17}, {40, 64}, {112, 512}};

static void spoil(guarded z)
{
    for (int64_t i = 0; i < z.n; i++) {
        if (i % 67 == 3) z.at[i] = NAN;
        if (i % 71 == 5) z.at[i] = -INFINITY;
        if (i % 73 == 7) z.at[i] = 0.0f;
    }
}

static void check_bias_max(fc_backend *be, int64_t n_rows, int64_t n, bool is_scaled)
{
    const int64_t row = fc_round_up(n, 16);
    const guarded z = guarded_normal(n_rows * row, 1), bias = guarded_normal(n_rows, 2);
    const guarded before = guarded_normal(n_rows * row, 1), max = guarded_new(n);
    const guarded scale = guarded_normal(n_rows, 3);
    spoil(z);
    spoil(before);
    be->ops->bias_max(be, z.at, row, bias.at, is_scaled ? scale.at : NULL, max.at, n_rows,
                      n);
    for (int64_t t = 0; t < n; t++) {
        float expected = -INFINITY;
        for (int64_t r = 0; r < n_rows; r++) {
            const float sum = before.at[r * row + t] + bias.at[r];
            const float key = sum * (is_scaled ? scale.at[r] : 1.0f);
            if (key > expected) expected = key;
            if (!isnan(sum)) assert_true(z.at[r * row + t] == sum);
        }
        assert_true(max.at[t] == expected);
    }
    guarded_free(z);
    guarded_free(bias);
    guarded_free(before);
    guarded_free(max);
    guarded_free(scale);
}

static void bias_max_adds_and_takes_the_largest_of_each_column(void **state)
{
    (void)state;
    fc_backend *be[N_ISAS];
    const int n_isas = open_backends(be);
    for (int isa = 0; isa < n_isas; isa++)
        for (size_t s = 0; s < FC_LEN(shapes); s++) {
            check_bias_max(be[isa], shapes[s][0], shapes[s][1], false);
            check_bias_max(be[isa], shapes[s][0], shapes[s][1], true);
        }
    close_backends(be, n_isas);
}

/* How many of column t reach x. */
static int64_t n_reaching(guarded z, int64_t row, int64_t n_rows, int64_t t, float x)
{
    int64_t n = 0;
    for (int64_t r = 0; r < n_rows; r++) n += z.at[r * row + t] >= x;
    return n;
}

static void kth_bound_is_below_the_kth_largest_and_near_it(void **state)
{
    (void)state;
    fc_backend *be[N_ISAS];
    const int n_isas = open_backends(be);
    float first[64];
    for (int isa = 0; isa < n_isas; isa++)
        for (size_t s = 0; s < FC_LEN(shapes); s++) {
            const int64_t n_rows = shapes[s][0], n = shapes[s][1];
            const int64_t row = fc_round_up(n, 16);
            const guarded x = guarded_normal(n_rows * row, 4), bound = guarded_new(n);
            for (int64_t k = 1; k <= n_rows + 1; k += 1 + n_rows / 4) {
                be[isa]->ops->kth_bound(be[isa], bound.at, x.at, row, n_rows, n, k);
                for (int64_t t = 0; t < n; t++) {
                    if (k > n_rows) {
                        assert_true(bound.at[t] == -INFINITY);
                        continue;
                    }
                    assert_true(n_reaching(x, row, n_rows, t, bound.at[t]) >= k);
                    assert_true(n_reaching(x, row, n_rows, t, bound.at[t] + 1e-3f) <= k);
                }
                if (n_rows == 40 && k == 1 && isa == 0)
                    memcpy(first, bound.at, sizeof first);
                if (n_rows == 40 && k == 1)
                    assert_memory_equal(first, bound.at, sizeof first);
            }
            guarded_free(x);
            guarded_free(bound);
        }
    close_backends(be, n_isas);
}

static void kth_bound_survives_infinities(void **state)
{
    (void)state;
    fc_backend *be[N_ISAS];
    const int n_isas = open_backends(be);
    for (int isa = 0; isa < n_isas; isa++) {
        const guarded x = guarded_normal(20 * 16, 5), bound = guarded_new(3);
        for (int64_t r = 0; r < 15; r++) x.at[r * 16] = -INFINITY; /* 5 are left */
        x.at[1] = INFINITY;
        for (int64_t r = 0; r < 20; r++) x.at[r * 16 + 2] = 7.0f;
        be[isa]->ops->kth_bound(be[isa], bound.at, x.at, 16, 20, 3, 6);
        assert_true(bound.at[0] == -INFINITY);
        assert_true(n_reaching(x, 16, 20, 1, bound.at[1]) >= 6);
        assert_true(bound.at[2] == 7.0f);
        guarded_free(x);
        guarded_free(bound);
    }
    close_backends(be, n_isas);
}

static void reach_row_lists_the_columns_that_reach_their_bound(void **state)
{
    (void)state;
    fc_backend *be[N_ISAS];
    const int n_isas = open_backends(be);
    for (int isa = 0; isa < n_isas; isa++)
        for (int64_t n = 0; n < 70; n++) {
            const guarded z = guarded_normal(n, 6), bound = guarded_normal(n, 7);
            const guarded index = guarded_new(n);
            spoil(z);
            if (n > 7) bound.at[7] = 0.0f; /* equal to z */
            int32_t *const found = (int32_t *)(void *)index.at;
            const int64_t count =
                be[isa]->ops->reach_row(be[isa], found, z.at, 2.0f, bound.at, n);
            int64_t expected = 0;
            for (int64_t t = 0; t < n; t++)
                if (z.at[t] * 2.0f >= bound.at[t]) assert_int_equal(found[expected++], t);
            assert_int_equal(count, expected);
            guarded_free(z);
            guarded_free(bound);
            guarded_free(index);
        }
    close_backends(be, n_isas);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bias_max_adds_and_takes_the_largest_of_each_column),
        cmocka_unit_test(kth_bound_is_below_the_kth_largest_and_near_it),
        cmocka_unit_test(kth_bound_survives_infinities),
        cmocka_unit_test(reach_row_lists_the_columns_that_reach_their_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
