/* test_relu_rows.c - rows after the ReLU as lists and whole rows, against the definition.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit/tensor/kernels.h"

static const int64_t shapes[][2] = {{0, 5},  {5, 0},   {1, 1},   {3, 15},   {4, 16},
                                    {5, 17}, {2, 100}, {40, 64}, {112, 512}};

/* Shift of the normal numbers: share of entries above 0 */
static const float biases[] = {-9, -2.3f, -1.2f, 0, 9};

/* Everything one call reads and writes. */
typedef struct rows {
    int64_t n_rows, n, row; /* row: from row to row */
    guarded z, bias, index, value, max;
    int64_t *count;
    double *sum;
} rows;

static rows rows_new(int64_t n_rows, int64_t n, float bias)
{
    const int64_t row = fc_round_up(n, 16) + 16;
    rows x = {.n_rows = n_rows, .n = n, .row = row};
    fc_err err = {0};
    x.z = guarded_normal(n_rows * row, 1);
    x.bias = guarded_normal(n_rows, 2);
    for (int64_t r = 0; r < n_rows; r++) x.bias.at[r] = bias + 0.1f * x.bias.at[r];
    for (int64_t i = 0; i < x.z.n; i++) { /* unusual values, and noise behind the rows */
        if (i % 67 == 3) x.z.at[i] = NAN;
        if (i % 71 == 5) x.z.at[i] = -INFINITY;
        if (i % 73 == 7) x.z.at[i] = -x.bias.at[i / row];
        if (i % 79 == 9) x.z.at[i] = -0.0f;
        if (i % row >= n) x.z.at[i] = i % 2 == 0 ? 1e30f : INFINITY;
    }
    x.index = guarded_new(n_rows * row);
    x.value = guarded_new(n_rows * row);
    x.max = guarded_new(n_rows);
    fc_assert_ok(fc_alloc(&x.count, n_rows, sizeof *x.count, "counts", &err), &err);
    fc_assert_ok(fc_alloc(&x.sum, n_rows, sizeof *x.sum, "sums", &err), &err);
    return x;
}

static void rows_free(rows *x)
{
    guarded_free(x->z);
    guarded_free(x->bias);
    guarded_free(x->index);
    guarded_free(x->value);
    guarded_free(x->max);
    fc_free(x->count);
    fc_free(x->sum);
}

static int32_t *index_of(const rows *x)
{
    return (int32_t *)(void *)x->index.at;
}

static void run(fc_backend *be, const rows *x, int64_t n_list)
{
    const fc_feature_rows to = {.n_list = n_list,
                                .index = n_list >= 0 ? index_of(x) : NULL,
                                .value = x->value.at,
                                .index_row = x->row,
                                .value_row = x->row,
                                .count = x->count,
                                .sum = x->sum,
                                .max = x->max.at};
    be->ops->relu_rows(be, &to, x->z.at, x->row, x->bias.at, x->n_rows, x->n);
}

/* Sum in 16 lanes, as the contract spells it. */
static float sum_of(const float *f, int64_t n)
{
    float part[16] = {0};
    for (int64_t i = 0; i < n; i++) part[i % 16] += f[i];
    for (int half = 8; half > 0; half /= 2)
        for (int l = 0; l < half; l++) part[l] += part[l + half];
    return part[0];
}

static void check_row(const rows *x, int64_t r, int64_t n_list)
{
    float f[512], list[512], max = 0;
    int32_t index[512];
    int64_t count = 0;
    for (int64_t i = 0; i < x->n; i++) {
        const float sum = x->z.at[r * x->row + i] + x->bias.at[r];
        f[i] = sum > 0.0f ? sum : 0.0f;
        max = f[i] > max ? f[i] : max;
        if (!(f[i] > 0)) continue;
        index[count] = (int32_t)i;
        list[count++] = f[i];
    }
    const float *const value = x->value.at + r * x->row;
    assert_int_equal(x->count[r], count);
    assert_memory_equal(&x->max.at[r], &max, sizeof max);
    assert_true(x->sum[r] == (double)sum_of(f, x->n));
    if (count <= n_list) {
        assert_memory_equal(value, list, (size_t)count * sizeof *value);
        assert_memory_equal(index_of(x) + r * x->row, index,
                            (size_t)count * sizeof *index);
    } else {
        assert_memory_equal(value, f, (size_t)x->n * sizeof *value);
    }
    const int32_t untouched = (int32_t)0xa5a5a5a5;
    for (int64_t i = fc_round_up(x->n, 16); i < x->row && n_list >= 0; i++)
        assert_int_equal(index_of(x)[r * x->row + i], untouched);
    for (int64_t i = fc_round_up(x->n, 16); i < x->row; i++)
        assert_int_equal(((const int32_t *)(const void *)value)[i], untouched);
}

static void relu_rows_makes_lists_and_whole_rows_as_defined(void **state)
{
    (void)state;
    fc_backend *be[N_ISAS];
    const int n_isas = open_backends(be);
    for (int isa = 0; isa < n_isas; isa++)
        for (size_t s = 0; s < FC_LEN(shapes); s++)
            for (size_t b = 0; b < FC_LEN(biases); b++) {
                const int64_t n = shapes[s][1];
                const int64_t n_lists[] = {-1, 0, 1, n / 10, n / 2, n};
                for (size_t l = 0; l < FC_LEN(n_lists); l++) {
                    rows x = rows_new(shapes[s][0], n, biases[b]);
                    run(be[isa], &x, n_lists[l]);
                    for (int64_t r = 0; r < x.n_rows; r++) check_row(&x, r, n_lists[l]);
                    rows_free(&x);
                }
            }
    close_backends(be, n_isas);
}

static void sum_and_max_may_be_left_out(void **state)
{
    (void)state;
    fc_backend *be[N_ISAS];
    const int n_isas = open_backends(be);
    for (int isa = 0; isa < n_isas; isa++) {
        rows x = rows_new(7, 50, -1);
        const fc_feature_rows to = {.n_list = 10,
                                    .index = index_of(&x),
                                    .value = x.value.at,
                                    .index_row = x.row,
                                    .value_row = x.row,
                                    .count = x.count};
        run(be[isa], &x, 10);
        be[isa]->ops->relu_rows(be[isa], &to, x.z.at, x.row, x.bias.at, x.n_rows, x.n);
        for (int64_t r = 0; r < x.n_rows; r++) check_row(&x, r, 10);
        rows_free(&x);
    }
    close_backends(be, n_isas);
}

static void infinity_is_kept(void **state)
{
    (void)state;
    fc_backend *be[N_ISAS];
    const int n_isas = open_backends(be);
    for (int isa = 0; isa < n_isas; isa++) {
        rows x = rows_new(2, 40, -1);
        x.z.at[20] = INFINITY;
        run(be[isa], &x, 40);
        for (int64_t r = 0; r < x.n_rows; r++) check_row(&x, r, 40);
        assert_true(isinf(x.max.at[0]) && isinf(x.sum[0]));
        rows_free(&x);
    }
    close_backends(be, n_isas);
}

typedef struct nested_job {
    fc_backend *be;
    const rows *x;
} nested_job;

static void run_nested(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)begin, (void)end, (void)worker;
    const nested_job *const job = ctx;
    run(job->be, job->x, 60);
}

static void any_number_of_threads_and_a_call_from_a_chunk_give_the_same(void **state)
{
    (void)state;
    fc_backend *be = NULL;
    fc_err err = {0};
    fc_assert_ok(fc_backend_open(&be, NULL, &err), &err);
    for (int n_threads = 0; n_threads <= 3; n_threads++) { /* 0: from a chunk */
        rows x = rows_new(112, 512, -1.2f);
        nested_job job = {be, &x};
        if (n_threads == 0) {
            fc_par_for(1, 1, run_nested, &job);
        } else {
            fc_par_set_threads(n_threads);
            run(be, &x, 60);
        }
        for (int64_t r = 0; r < x.n_rows; r++) check_row(&x, r, 60);
        rows_free(&x);
    }
    fc_par_set_threads(0);
    fc_backend_close(be);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relu_rows_makes_lists_and_whole_rows_as_defined),
        cmocka_unit_test(sum_and_max_may_be_left_out),
        cmocka_unit_test(infinity_is_kept),
        cmocka_unit_test(any_number_of_threads_and_a_call_from_a_chunk_give_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
