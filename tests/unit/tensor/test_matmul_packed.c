/* test_matmul_packed.c - products with a packed right operand give the bytes of op matmul.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit/tensor/products.h"

typedef struct packed_case {
    int64_t m, n, k;
    layout a_layout, b_layout;
    fc_dtype a_dtype, b_dtype;
    bool accumulate;
} packed_case;

static const packed_case cases[] = {
    {0, 5, 3, ROWS, ROWS, FC_F32, FC_F32, false},
    {5, 0, 3, ROWS, ROWS, FC_F32, FC_F32, false},
    {5, 3, 0, ROWS, ROWS, FC_F32, FC_F32, false},
    {5, 3, 0, ROWS, ROWS, FC_F32, FC_F32, true},
    {1, 1, 1, ROWS, ROWS, FC_F32, FC_F32, false},
    {1, 1, 1, ROWS, ROWS, FC_BF16, FC_BF16, true},
    {1, 300, 77, ROWS, COLUMNS, FC_F32, FC_BF16, false},
    {3, 17, 5, ROWS, ROWS, FC_BF16, FC_F32, false},
    {7, 33, 31, COLUMNS, COLUMNS, FC_F32, FC_F32, true},
    {14, 32, 64, ROWS, ROWS, FC_BF16, FC_BF16, false},
    {15, 31, 65, STEPS, COLUMNS, FC_F16, FC_BF16, false},
    /* Rows that start at odd addresses, are an odd number of elements apart, or of odd length. */
    {29, 47, 383, ROWS_WIDE, ROWS_WIDE, FC_BF16, FC_BF16, true},
    {29, 47, 384, ROWS_WIDE, ROWS, FC_BF16, FC_F32, false},
    {29, 47, 385, ROWS_WIDE, ROWS, FC_F32, FC_BF16, false},
    {30, 64, 769, ROWS, ROWS, FC_BF16, FC_BF16, true},
    {30, 64, 1538, ROWS, STEPS, FC_BF16, FC_F16, false},
    {40, 70, 767, STEPS, ROWS, FC_BF16, FC_F16, false},
    {111, 65, 130, COLUMNS, ROWS, FC_F32, FC_F32, true},
    {112, 200, 1152, ROWS, COLUMNS, FC_F32, FC_F32, false},
    {120, 300, 1100, ROWS, COLUMNS, FC_BF16, FC_BF16, true},
    {230, 64, 1600, COLUMNS, COLUMNS, FC_F32, FC_BF16, false},
    {1030, 40, 33, ROWS, ROWS, FC_F32, FC_F32, false},
    /* Rows 4096 bytes apart. */
    {30, 40, 1024, ROWS, ROWS, FC_F32, FC_F32, false},
    {30, 40, 2048, ROWS, ROWS, FC_BF16, FC_F32, false},
};

enum { C_PAD = 3 }; /* elements between rows of C, which must stay as they are */

static guarded output(const packed_case *c)
{
    const guarded out = guarded_new(c->m * (c->n + C_PAD));
    for (int64_t i = 0; i < out.n; i++) out.at[i] = 0.5f;
    return out;
}

/* The packed operand ends where fc_backend_packed_bytes says; *owner guards both sides. */
static fc_packed pack(fc_backend *be, fc_mat b, fc_precision precision, guarded *owner)
{
    fc_packed packed = {.k = b.rows, .n = b.cols, .precision = precision};
    const int64_t n_bytes = fc_backend_packed_bytes(be, b.rows, b.cols, precision);
    assert_true(n_bytes % 4 == 0);
    *owner = guarded_new(n_bytes / 4);
    packed.data = owner->at;
    be->ops->pack(be, &packed, b);
    return packed;
}

/* Test matrices of 16 bits start at an odd address; this copy does not. */
static test_matrix aligned(test_matrix from, int64_t n_bytes)
{
    test_matrix to = from;
    fc_err err = {0};
    fc_assert_ok(fc_alloc(&to.memory, n_bytes, 1, "a matrix", &err), &err);
    memcpy(to.memory, from.mat.data, (size_t)n_bytes);
    to.mat.data = to.memory;
    fc_free(from.memory);
    return to;
}

static test_matrix left_operand(const packed_case *c, bool is_odd)
{
    const test_matrix a = make_matrix(c->m, c->k, c->a_layout, c->a_dtype, 1);
    const int64_t n = c->m * a.mat.row + c->k * a.mat.col + 1;
    return is_odd ? a : aligned(a, n * (int64_t)fc_dtype_size(c->a_dtype));
}

static void compare(fc_backend *be, const packed_case *c, int number,
                    fc_precision precision, bool is_odd)
{
    const test_matrix a = left_operand(c, is_odd);
    const test_matrix b = make_matrix(c->k, c->n, c->b_layout, c->b_dtype, 2);
    const guarded want = output(c), got = output(c);
    guarded owner;
    const fc_packed packed = pack(be, b.mat, precision, &owner);
    be->ops->matmul(be, want.at, c->n + C_PAD, a.mat, b.mat, precision, c->accumulate);
    be->ops->matmul_packed(be, got.at, c->n + C_PAD, a.mat, &packed, c->accumulate);
    if (want.n > 0 && memcmp(got.at, want.at, (size_t)want.n * sizeof *want.at) != 0)
        fail_msg("case %d, precision %d: matmul_packed of %s differs from matmul", number,
                 (int)precision, be->ops->name);
    guarded_free(owner);
    guarded_free(got);
    guarded_free(want);
    fc_free(a.memory);
    fc_free(b.memory);
}

static void packed_products_are_those_of_matmul(void **state)
{
    (void)state;
    fc_backend *be[N_ISAS];
    const int n_be = open_backends(be);
    for (int isa = 0; isa < n_be; isa++)
        for (int i = 0; i < (int)FC_LEN(cases); i++)
            for (int precision = 0; precision < 2; precision++)
                for (int is_odd = 0; is_odd < (cases[i].a_dtype == FC_F32 ? 1 : 2);
                     is_odd++)
                    compare(be[isa], &cases[i], i, (fc_precision)precision, is_odd != 0);
    close_backends(be, n_be);
}

/* --- inside a parallel loop ------------------------------------------------------------- */

static const packed_case LARGE = {300, 500, 1201, ROWS, COLUMNS, FC_F32, FC_BF16, false};

typedef struct nested_job {
    fc_backend *be;
    fc_packed packed;
    fc_mat a;
    float *out;
} nested_job;

static void multiply_some_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    const nested_job *const job = ctx;
    (void)worker;
    fc_mat rows = job->a;
    rows.data = (const float *)job->a.data + begin * job->a.row;
    rows.rows = end - begin;
    job->be->ops->matmul_packed(job->be, job->out + begin * job->packed.n, job->packed.n,
                                rows, &job->packed, false);
}

static void a_call_from_inside_a_loop_gives_the_same_bytes(void **state)
{
    (void)state;
    const test_matrix a = make_matrix(LARGE.m, LARGE.k, LARGE.a_layout, LARGE.a_dtype, 1);
    const test_matrix b = make_matrix(LARGE.k, LARGE.n, LARGE.b_layout, LARGE.b_dtype, 2);
    const guarded out = guarded_new(LARGE.m * LARGE.n), nested = guarded_new(out.n);
    for (int precision = 0; precision < 2; precision++) {
        for (int n_threads = 1; n_threads <= 3; n_threads++) {
            fc_par_set_threads(n_threads);
            nested_job job = {.a = a.mat, .out = nested.at};
            fc_err err = {0};
            guarded owner;
            fc_assert_ok(fc_backend_open(&job.be, NULL, &err), &err);
            job.packed = pack(job.be, b.mat, (fc_precision)precision, &owner);
            if (n_threads == 1)
                job.be->ops->matmul_packed(job.be, out.at, LARGE.n, a.mat, &job.packed,
                                           false);
            memset(nested.at, 0, (size_t)nested.n * sizeof *nested.at);
            fc_par_for(LARGE.m, 37, multiply_some_rows, &job);
            assert_memory_equal(nested.at, out.at, (size_t)out.n * sizeof *out.at);
            memset(nested.at, 0, (size_t)nested.n * sizeof *nested.at);
            job.be->ops->matmul_packed(job.be, nested.at, LARGE.n, a.mat, &job.packed,
                                       false);
            assert_memory_equal(nested.at, out.at, (size_t)out.n * sizeof *out.at);
            guarded_free(owner);
            fc_backend_close(job.be);
        }
    }
    fc_par_set_threads(0);
    guarded_free(out);
    guarded_free(nested);
    fc_free(a.memory);
    fc_free(b.memory);
}

static void packing_and_multiplying_allocate_nothing(void **state)
{
    (void)state;
    fc_backend *be = NULL;
    fc_err err = {0};
    fc_assert_ok(fc_backend_open(&be, NULL, &err), &err);
    const test_matrix a = make_matrix(200, 300, COLUMNS, FC_F16, 1);
    const test_matrix b = make_matrix(300, 200, COLUMNS, FC_BF16, 2);
    const guarded out = guarded_new(200 * 200);
    for (int precision = 0; precision < 2; precision++) {
        guarded owner;
        const fc_packed packed = pack(be, b.mat, (fc_precision)precision, &owner);
        const int64_t before = fc_alloc_count();
        be->ops->pack(be, &packed, b.mat);
        be->ops->matmul_packed(be, out.at, 200, a.mat, &packed, false);
        assert_int_equal(fc_alloc_count(), before);
        guarded_free(owner);
    }
    guarded_free(out);
    fc_free(a.memory);
    fc_free(b.memory);
    fc_backend_close(be);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_products_are_those_of_matmul),
        cmocka_unit_test(a_call_from_inside_a_loop_gives_the_same_bytes),
        cmocka_unit_test(packing_and_multiplying_allocate_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
