/* test_matmul.c - the matrix product on every instruction set, against ref and a double sum.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit/tensor/products.h"

typedef struct product_case {
    int64_t m, n, k;
    layout a_layout, b_layout;
    fc_dtype a_dtype, b_dtype;
    bool accumulate;
} product_case;

static const product_case cases[] = {
    {0, 5, 3, ROWS, ROWS, FC_F32, FC_F32, false},
    {5, 0, 3, ROWS, ROWS, FC_F32, FC_F32, false},
    {5, 3, 0, ROWS, ROWS, FC_F32, FC_F32, false},
    {5, 3, 0, ROWS, ROWS, FC_F32, FC_F32, true},
    {1, 1, 1, ROWS, ROWS, FC_F32, FC_F32, false},
    {1, 1, 1, COLUMNS, STEPS, FC_BF16, FC_F16, true},
    {1, 100, 77, ROWS, COLUMNS, FC_F32, FC_BF16, false},
    {3, 17, 5, ROWS, ROWS, FC_F32, FC_F32, false},
    {7, 33, 31, ROWS, COLUMNS, FC_F32, FC_F32, true},
    {14, 32, 64, COLUMNS, ROWS, FC_F32, FC_F32, false},
    {15, 31, 65, COLUMNS, COLUMNS, FC_F32, FC_BF16, false},
    {29, 47, 383, ROWS_WIDE, ROWS_WIDE, FC_BF16, FC_BF16, true},
    {29, 47, 384, ROWS, ROWS, FC_F16, FC_F32, false},
    {29, 47, 385, ROWS, COLUMNS, FC_F32, FC_BF16, false},
    {29, 47, 385, STEPS, STEPS, FC_F32, FC_F32, true},
    {40, 70, 767, STEPS, ROWS, FC_BF16, FC_F16, false},
    {40, 70, 769, COLUMNS, STEPS, FC_F32, FC_BF16, false},
    {111, 65, 130, COLUMNS, ROWS, FC_F32, FC_F32, true},
    {113, 390, 90, ROWS, COLUMNS, FC_F32, FC_BF16, false},
    {230, 64, 130, COLUMNS, COLUMNS, FC_BF16, FC_F32, false},
    {1030, 40, 33, ROWS, ROWS, FC_F32, FC_F32, false},
    {33, 800, 70, ROWS, ROWS, FC_F32, FC_BF16, true},
    /* Several stages: of k with few rows, of rows and k, of columns. */
    {200, 70, 1600, ROWS, COLUMNS, FC_F32, FC_BF16, false},
    {1030, 70, 400, COLUMNS, ROWS, FC_F32, FC_F32, true},
    {230, 1560, 390, ROWS, COLUMNS, FC_BF16, FC_F32, false},
};

static float element(fc_mat m, int64_t i, int64_t j, fc_precision precision)
{
    float x;
    fc_to_f32(&x,
              (const unsigned char *)m.data +
                  (i * m.row + j * m.col) * (int64_t)fc_dtype_size(m.dtype),
              m.dtype, 1);
    return precision == FC_PRECISION_BF16 ? fc_bf16_to_f32(fc_bf16_from_f32(x)) : x;
}

static void check_element(float got, float before, const product_case *c, fc_mat a,
                          fc_mat b, int64_t at, fc_precision precision)
{
    const int64_t i = at / c->n, j = at % c->n;
    double sum = (double)before, size = fabs((double)before);
    for (int64_t k = 0; k < c->k; k++) {
        const double x = (double)element(a, i, k, precision);
        const double y = (double)element(b, k, j, precision);
        sum += x * y;
        size += fabs(x * y);
    }
    if (!(fabs((double)got - sum) <= 1e-6 * size))
        fail_msg("element (%d, %d) is %.9g, expected %.9g", (int)i, (int)j, (double)got,
                 sum);
}

enum { C_PAD = 3 }; /* elements between rows of C, which must stay as they are */

/* |c - sum a b| <= 1e-6 (|c before| + sum |a||b|), for every element of a small product and
 * a prime step apart in a large one. */
static void check_against_double(const float *out, const product_case *c, fc_mat a,
                                 fc_mat b, fc_precision precision)
{
    const int64_t step = c->m * c->n * c->k > 4000000 ? 97 : 1;
    for (int64_t at = 0; at < c->m * c->n; at += step)
        check_element(out[at / c->n * (c->n + C_PAD) + at % c->n],
                      c->accumulate ? 0.5f : 0.0f, c, a, b, at, precision);
}

static guarded product(fc_backend *be, const product_case *c, fc_mat a, fc_mat b,
                       fc_precision precision)
{
    const int64_t c_row = c->n + C_PAD;
    const guarded out = guarded_new(c->m * c_row);
    for (int64_t i = 0; i < out.n; i++) out.at[i] = 0.5f;
    be->ops->matmul(be, out.at, c_row, a, b, precision, c->accumulate);
    for (int64_t i = 0; i < c->m; i++)
        for (int64_t j = c->n; j < c_row; j++) assert_true(out.at[i * c_row + j] == 0.5f);
    return out;
}

static void each_case(fc_precision precision)
{
    fc_backend *be[N_ISAS];
    const int n_be = open_backends(be);
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        const product_case *const c = &cases[i];
        const test_matrix a = make_matrix(c->m, c->k, c->a_layout, c->a_dtype, 1);
        const test_matrix b = make_matrix(c->k, c->n, c->b_layout, c->b_dtype, 2);
        guarded want = {0};
        for (int isa = 0; isa < n_be; isa++) {
            const guarded got = product(be[isa], c, a.mat, b.mat, precision);
            check_against_double(got.at, c, a.mat, b.mat, precision);
            if (isa == 0) {
                want = got;
                continue;
            }
            if (precision == FC_PRECISION_F32 &&
                memcmp(got.at, want.at, (size_t)want.n * sizeof *want.at) != 0)
                fail_msg("case %d: %s differs from ref", (int)i, be[isa]->ops->name);
            guarded_free(got);
        }
        guarded_free(want);
        fc_free(a.memory);
        fc_free(b.memory);
    }
    close_backends(be, n_be);
}

static void float32_products_are_exact_on_every_instruction_set(void **state)
{
    (void)state;
    each_case(FC_PRECISION_F32);
}

static void bf16_products_agree_within_tolerance(void **state)
{
    (void)state;
    each_case(FC_PRECISION_BF16);
}

static void any_number_of_threads_gives_the_same_bytes(void **state)
{
    (void)state;
    const product_case c = {300, 500, 800, ROWS, COLUMNS, FC_F32, FC_BF16, false};
    const test_matrix a = make_matrix(c.m, c.k, c.a_layout, c.a_dtype, 1);
    const test_matrix b = make_matrix(c.k, c.n, c.b_layout, c.b_dtype, 2);
    for (int precision = 0; precision < 2; precision++) {
        guarded one = {0};
        for (int n_threads = 1; n_threads <= 3; n_threads++) {
            fc_par_set_threads(n_threads);
            fc_backend *be = NULL;
            fc_err err = {0};
            fc_assert_ok(fc_backend_open(&be, NULL, &err), &err);
            const guarded out = product(be, &c, a.mat, b.mat, (fc_precision)precision);
            if (n_threads == 1) {
                one = out;
            } else {
                assert_memory_equal(out.at, one.at, (size_t)one.n * sizeof *one.at);
                guarded_free(out);
            }
            fc_backend_close(be);
        }
        guarded_free(one);
    }
    fc_par_set_threads(0);
    fc_free(a.memory);
    fc_free(b.memory);
}

static void infinity_and_nan_pass_through(void **state)
{
    (void)state;
    fc_backend *be[N_ISAS];
    const int n_be = open_backends(be);
    const float a[] = {INFINITY, -1.0f, 0.0f}, b[] = {1.0f, 2.0f, NAN};
    for (int isa = 0; isa < n_be; isa++) {
        float c[4] = {0};
        be[isa]->ops->matmul(be[isa], &c[0], 1, fc_mat_of(a, FC_F32, 1, 1),
                             fc_mat_of(b, FC_F32, 1, 1), FC_PRECISION_F32, false);
        be[isa]->ops->matmul(be[isa], &c[1], 1, fc_mat_of(a, FC_F32, 1, 2),
                             fc_mat_of(b, FC_F32, 2, 1), FC_PRECISION_F32, false);
        be[isa]->ops->matmul(be[isa], &c[2], 1, fc_mat_of(a + 1, FC_F32, 1, 2),
                             fc_mat_of(b + 1, FC_F32, 2, 1), FC_PRECISION_F32, false);
        assert_true(isinf(c[0]) && isinf(c[1]) && isnan(c[2]));
    }
    close_backends(be, n_be);
}

static void a_product_allocates_nothing(void **state)
{
    (void)state;
    fc_backend *be = NULL;
    fc_err err = {0};
    fc_assert_ok(fc_backend_open(&be, NULL, &err), &err);
    const test_matrix a = make_matrix(200, 300, ROWS, FC_F32, 1);
    const test_matrix b = make_matrix(300, 200, COLUMNS, FC_BF16, 2);
    const guarded out = guarded_new(200 * 200);
    const int64_t before = fc_alloc_count();
    for (int precision = 0; precision < 2; precision++)
        be->ops->matmul(be, out.at, 200, a.mat, b.mat, (fc_precision)precision, false);
    assert_int_equal(fc_alloc_count(), before);
    guarded_free(out);
    fc_free(a.memory);
    fc_free(b.memory);
    fc_backend_close(be);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(float32_products_are_exact_on_every_instruction_set),
        cmocka_unit_test(bf16_products_agree_within_tolerance),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bytes),
        cmocka_unit_test(infinity_and_nan_pass_through),
        cmocka_unit_test(a_product_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
