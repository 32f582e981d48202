/* test_sparse.c - sparse products at every shape: ref against a double oracle, the other
 * instruction sets against ref, byte by byte in float32 and within a tolerance in bf16.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit/tensor/kernels.h"

typedef struct shape {
    int64_t n_rows, n_cols, n; /* of the sparse matrix, and of the dense one */
    double density;
} shape;

static const shape shapes[] = {
    {0, 5, 5, 0.5},      {5, 0, 5, 0.5},       {5, 5, 0, 0.5},     {1, 1, 1, 1},
    {3, 7, 15, 0.5},     {4, 9, 16, 0.4},      {7, 20, 33, 0.3},   {2, 40, 383, 0.1},
    {5, 40, 384, 0.2},   {3, 30, 385, 0.5},    {70, 50, 97, 0.1},  {9, 100, 1152, 0.05},
    {130, 64, 400, 0.3}, {17, 300, 800, 1},    {3, 10, 100, 0},    {33, 2500, 417, 0.15},
    {20, 5000, 48, 0.2}, {66, 2200, 192, 0.1}, {90, 700, 200, 0.1}};

/* Rows of `pattern`, with unused entries between them, and two dense operands of each type. */
typedef struct operands {
    shape s;
    fc_sparse a;
    int64_t *begin, *count, n_entries;
    int32_t *index;
    float *value;
    fc_mat b[2], u[2]; /* F32, BF16: [n_cols, n], [n_rows, n] with gaps between rows */
} operands;

enum { GAP = 3, ROW_GAP = 5 };

static void *new_array(int64_t n, size_t size)
{
    void *made = NULL;
    fc_err err = {0};
    fc_assert_ok(fc_alloc(&made, n, size, "a test array", &err), &err);
    return made;
}

/* Both types of a matrix; gaps between rows are NaN. */
static void dense_new(fc_mat m[2], int64_t rows, int64_t cols, uint64_t stream)
{
    const int64_t row = cols + ROW_GAP, n = rows * row;
    float *const f32 = new_array(n, sizeof *f32);
    uint16_t *const bf16 = new_array(n, sizeof *bf16);
    fill_normal(f32, n, stream);
    for (int64_t i = 0; i < n; i++)
        if (i % row >= cols) f32[i] = NAN;
    fc_from_f32(bf16, FC_BF16, f32, n);
    m[0] = (fc_mat){f32, FC_F32, rows, cols, row, 1};
    m[1] = (fc_mat){bf16, FC_BF16, rows, cols, row, 1};
}

static void fill_lists(operands *x)
{
    int64_t at = 0;
    for (int64_t r = 0; r < x->s.n_rows; r++) {
        const bool is_empty = r % 5 == 4;
        x->begin[r] = at;
        for (int64_t j = 0; j < x->s.n_cols; j++) {
            const uint64_t which = (uint64_t)(r * x->s.n_cols + j);
            if (is_empty || fc_rng_uniform(7, FC_RNG_TEST, which) >= x->s.density)
                continue;
            x->index[at] = (int32_t)j;
            x->value[at++] = (float)fc_rng_normal(8, FC_RNG_TEST, which);
        }
        x->count[r] = at - x->begin[r];
        for (int i = 0; i < GAP; i++, at++) { /* nobody may look at these */
            x->index[at] = INT32_MAX;
            x->value[at] = NAN;
        }
    }
    x->n_entries = at;
}

static operands operands_new(shape s)
{
    operands x = {.s = s};
    const int64_t most = s.n_rows * (s.n_cols + GAP);
    x.begin = new_array(s.n_rows, sizeof *x.begin);
    x.count = new_array(s.n_rows, sizeof *x.count);
    x.index = new_array(most, sizeof *x.index);
    x.value = new_array(most, sizeof *x.value);
    fill_lists(&x);
    x.a = (fc_sparse){s.n_rows, s.n_cols, x.begin, x.count, x.index, x.value};
    dense_new(x.b, s.n_cols, s.n, 1);
    dense_new(x.u, s.n_rows, s.n, 2);
    return x;
}

static void free_const(const void *p)
{
    void *plain;
    memcpy(&plain, &p, sizeof plain);
    fc_free(plain);
}

static void operands_free(operands *x)
{
    fc_free(x->begin);
    fc_free(x->count);
    fc_free(x->index);
    fc_free(x->value);
    for (int i = 0; i < 2; i++) free_const(x->b[i].data);
    for (int i = 0; i < 2; i++) free_const(x->u[i].data);
}

static double element(const fc_mat *m, int64_t i, int64_t j, bool is_rounded)
{
    float x;
    const int64_t at = i * m->row + j;
    if (m->dtype == FC_F32)
        x = ((const float *)m->data)[at];
    else
        fc_to_f32(&x, (const uint16_t *)m->data + at, FC_BF16, 1);
    return (double)(is_rounded ? fc_bf16_to_f32(fc_bf16_from_f32(x)) : x);
}

static double value_of(const operands *x, int64_t at, bool is_rounded)
{
    const float v = x->value[at];
    return (double)(is_rounded ? fc_bf16_to_f32(fc_bf16_from_f32(v)) : v);
}

/* A result may be off by `limit` times the sum of magnitudes that went into it. */
static void assert_near(float got, double want, double magnitude, double limit)
{
    if (!(fabs((double)got - want) <= limit * magnitude + 1e-30))
        fail_msg("got %.9g, expected %.9g within %g of %g", (double)got, want, limit,
                 magnitude);
}

/* --- spmm --------------------------------------------------------------------------------- */

/* c: [n_rows, n] with gaps between rows. */
static guarded run_spmm(fc_backend *be, const operands *x, int b_type,
                        fc_precision precision, bool accumulate)
{
    const int64_t c_row = x->s.n + ROW_GAP;
    const guarded c = guarded_normal(x->s.n_rows * c_row, 3);
    be->ops->spmm(be, c.at, c_row, x->a, x->b[b_type], precision, accumulate);
    return c;
}

static void check_spmm(const operands *x, const guarded *c, int b_type,
                       fc_precision precision, bool accumulate)
{
    const bool is_rounded = precision == FC_PRECISION_BF16;
    const int64_t c_row = x->s.n + ROW_GAP;
    const guarded before = guarded_normal(c->n, 3);
    for (int64_t i = 0; i < c->n; i++) {
        const int64_t r = i / c_row, j = i % c_row;
        if (j >= x->s.n) { /* between rows */
            assert_memory_equal(&c->at[i], &before.at[i], sizeof(float));
            continue;
        }
        double want = accumulate ? (double)before.at[i] : 0, magnitude = fabs(want);
        for (int64_t e = x->begin[r]; e < x->begin[r] + x->count[r]; e++) {
            const double product = value_of(x, e, is_rounded) *
                                   element(&x->b[b_type], x->index[e], j, is_rounded);
            want += product;
            magnitude += fabs(product);
        }
        assert_near(c->at[i], want, magnitude, is_rounded ? 1e-5 : 2e-6);
    }
    guarded_free(before);
}

static void spmm_matches_its_definition(void **state)
{
    (void)state;
    fc_backend *be[N_ISAS];
    const int n_isas = open_backends(be);
    for (size_t i = 0; i < FC_LEN(shapes); i++) {
        operands x = operands_new(shapes[i]);
        for (int variant = 0; variant < 8; variant++) {
            const int b_type = variant & 1;
            const bool accumulate = (variant & 2) != 0;
            const fc_precision precision =
                (variant & 4) != 0 ? FC_PRECISION_BF16 : FC_PRECISION_F32;
            const guarded ref = run_spmm(be[0], &x, b_type, precision, accumulate);
            check_spmm(&x, &ref, b_type, precision, accumulate);
            for (int isa = 1; isa < n_isas; isa++) {
                const guarded c = run_spmm(be[isa], &x, b_type, precision, accumulate);
                if (precision == FC_PRECISION_F32)
                    assert_memory_equal(c.at, ref.at, (size_t)c.n * sizeof *c.at);
                else
                    check_spmm(&x, &c, b_type, precision, accumulate);
                guarded_free(c);
            }
            guarded_free(ref);
        }
        operands_free(&x);
    }
    close_backends(be, n_isas);
}

/* --- sddmm -------------------------------------------------------------------------------- */

static guarded run_sddmm(fc_backend *be, const operands *x, int u_type, int v_type,
                         fc_precision precision)
{
    const guarded out = guarded_normal(x->n_entries, 4);
    fc_sparse pattern = x->a;
    pattern.value = NULL;
    be->ops->sddmm(be, out.at, pattern, x->u[u_type], x->b[v_type], precision);
    return out;
}

static void check_sddmm(const operands *x, const guarded *out, int u_type, int v_type,
                        fc_precision precision)
{
    const bool is_rounded = precision == FC_PRECISION_BF16;
    const guarded before = guarded_normal(out->n, 4);
    for (int64_t r = 0; r < x->s.n_rows; r++) {
        const int64_t end = x->begin[r] + x->count[r];
        for (int64_t e = x->begin[r]; e < end; e++) {
            double want = 0, magnitude = 0;
            for (int64_t j = 0; j < x->s.n; j++) {
                const double product = element(&x->u[u_type], r, j, is_rounded) *
                                       element(&x->b[v_type], x->index[e], j, is_rounded);
                want += product;
                magnitude += fabs(product);
            }
            assert_near(out->at[e], want, magnitude, is_rounded ? 1e-5 : 1e-6);
        }
        assert_memory_equal(&out->at[end], &before.at[end], GAP * sizeof(float));
    }
    guarded_free(before);
}

static void sddmm_matches_its_definition(void **state)
{
    (void)state;
    fc_backend *be[N_ISAS];
    const int n_isas = open_backends(be);
    for (size_t i = 0; i < FC_LEN(shapes); i++) {
        operands x = operands_new(shapes[i]);
        for (int variant = 0; variant < 8; variant++) {
            const int u_type = variant & 1, v_type = variant >> 1 & 1;
            const fc_precision precision =
                (variant & 4) != 0 ? FC_PRECISION_BF16 : FC_PRECISION_F32;
            const guarded ref = run_sddmm(be[0], &x, u_type, v_type, precision);
            check_sddmm(&x, &ref, u_type, v_type, precision);
            for (int isa = 1; isa < n_isas; isa++) {
                const guarded out = run_sddmm(be[isa], &x, u_type, v_type, precision);
                if (precision == FC_PRECISION_F32)
                    assert_memory_equal(out.at, ref.at, (size_t)out.n * sizeof *out.at);
                else
                    check_sddmm(&x, &out, u_type, v_type, precision);
                guarded_free(out);
            }
            guarded_free(ref);
        }
        operands_free(&x);
    }
    close_backends(be, n_isas);
}

/* --- both --------------------------------------------------------------------------------- */

static void rows_that_no_list_names_do_not_matter(void **state)
{
    (void)state;
    fc_backend *be[N_ISAS];
    const int n_isas = open_backends(be);
    operands x = operands_new((shape){6, 41, 400, 0.3});
    for (int64_t at = 0; at < x.n_entries; at++) /* odd columns only: the rest is NaN */
        if (x.index[at] != INT32_MAX) x.index[at] |= 1;
    for (int64_t r = 0; r < x.s.n_rows; r++) { /* no repeats, and nothing past the end */
        int64_t n = 0;
        for (int64_t e = x.begin[r]; e < x.begin[r] + x.count[r]; e++)
            if (x.index[e] < x.s.n_cols &&
                (n == 0 || x.index[x.begin[r] + n - 1] < x.index[e]))
                x.index[x.begin[r] + n++] = x.index[e];
        x.count[r] = n;
    }
    for (int64_t j = 0; j < x.s.n_cols; j += 2)
        for (int64_t i = 0; i < x.s.n; i++) {
            ((float *)(uintptr_t)x.b[0].data)[j * x.b[0].row + i] = NAN;
            ((uint16_t *)(uintptr_t)x.b[1].data)[j * x.b[1].row + i] = 0x7f80; /* inf */
        }
    for (int isa = 0; isa < n_isas; isa++)
        for (int variant = 0; variant < 4; variant++) {
            const int type = variant & 1;
            const fc_precision precision =
                (variant & 2) != 0 ? FC_PRECISION_BF16 : FC_PRECISION_F32;
            const guarded c = run_spmm(be[isa], &x, type, precision, false);
            check_spmm(&x, &c, type, precision, false);
            guarded_free(c);
            const guarded out = run_sddmm(be[isa], &x, type, type, precision);
            check_sddmm(&x, &out, type, type, precision);
            guarded_free(out);
        }
    operands_free(&x);
    close_backends(be, n_isas);
}

typedef struct nested_job {
    fc_backend *be;
    const operands *x;
    fc_precision precision;
    guarded c, out;
} nested_job;

static void run_nested(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)begin, (void)end, (void)worker;
    nested_job *const job = ctx;
    job->c = run_spmm(job->be, job->x, 1, job->precision, true);
    job->out = run_sddmm(job->be, job->x, 0, 1, job->precision);
}

static void
any_number_of_threads_and_a_call_from_a_chunk_give_the_same_bytes(void **state)
{
    (void)state;
    fc_par_set_threads(
        3); /* before opening: a backend serves as many as there are then */
    fc_backend *be[N_ISAS];
    const int n_isas = open_backends(be);
    for (size_t i = 0; i < FC_LEN(shapes); i++) {
        operands x = operands_new(shapes[i]);
        for (int variant = 0; variant < 2 * n_isas; variant++) {
            nested_job job = {.be = be[variant / 2],
                              .x = &x,
                              .precision = (variant & 1) != 0 ? FC_PRECISION_BF16
                                                              : FC_PRECISION_F32};
            fc_par_for(1, 1, run_nested, &job);
            for (int n_threads = 1; n_threads <= 3; n_threads++) {
                nested_job outer = job;
                fc_par_set_threads(n_threads);
                run_nested(0, 1, 0, &outer);
                assert_memory_equal(outer.c.at, job.c.at, (size_t)job.c.n * 4);
                assert_memory_equal(outer.out.at, job.out.at, (size_t)job.out.n * 4);
                guarded_free(outer.c);
                guarded_free(outer.out);
            }
            guarded_free(job.c);
            guarded_free(job.out);
        }
        operands_free(&x);
    }
    close_backends(be, n_isas);
    fc_par_set_threads(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spmm_matches_its_definition),
        cmocka_unit_test(sddmm_matches_its_definition),
        cmocka_unit_test(rows_that_no_list_names_do_not_matter),
        cmocka_unit_test(
            any_number_of_threads_and_a_call_from_a_chunk_give_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
