/* test_rowops.c - every row operation at every shape: ref against a double oracle, the other
 * instruction sets and numbers of threads against ref byte by byte.
 *
 * An operation is one row of a table: how to call it, and what it means in double.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit/tensor/kernels.h"

/* The arrays an operation may read and write. m: [n, d], r: [n or d, whichever it needs]. */
enum { N_MATRICES = 4, N_ROWS = 3 };

typedef struct arrays {
    int64_t n, d;
    guarded m[N_MATRICES], r[N_ROWS];
    double *total; /* [n + d + 1] */
} arrays;

typedef struct operation {
    const char *name;
    void (*run)(fc_backend *be, const arrays *x);
    void (*oracle)(const arrays *x);
    double tolerance; /* largest error by the largest value */
} operation;

static const int64_t shapes[][2] = {{0, 5},   {5, 0},     {1, 1},    {3, 15},
                                    {4, 16},  {5, 17},    {2, 1000}, {37, 515},
                                    {70, 64}, {300, 100}, {2, 40000}};

static arrays arrays_new(int64_t n, int64_t d)
{
    arrays x = {.n = n, .d = d};
    fc_err err = {0};
    for (int i = 0; i < N_MATRICES; i++) x.m[i] = guarded_normal(n * d, 1 + (uint64_t)i);
    for (int i = 0; i < N_ROWS; i++) x.r[i] = guarded_normal(n + d, 10 + (uint64_t)i);
    for (int64_t i = 0; i < n * d; i++)
        x.m[2].at[i] *= x.m[2].at[i]; /* one that is >= 0 */
    fc_assert_ok(fc_alloc(&x.total, n + d + 1, sizeof *x.total, "totals", &err), &err);
    return x;
}

static void arrays_free(arrays *x)
{
    for (int i = 0; i < N_MATRICES; i++) guarded_free(x->m[i]);
    for (int i = 0; i < N_ROWS; i++) guarded_free(x->r[i]);
    fc_free(x->total);
}

static bool arrays_equal(const arrays *x, const arrays *y)
{
    bool equal =
        memcmp(x->total, y->total, (size_t)(x->n + x->d + 1) * sizeof *x->total) == 0;
    for (int i = 0; i < N_MATRICES; i++)
        equal = equal && memcmp(x->m[i].at, y->m[i].at, (size_t)(x->n * x->d) * 4) == 0;
    for (int i = 0; i < N_ROWS; i++)
        equal = equal && memcmp(x->r[i].at, y->r[i].at, (size_t)(x->n + x->d) * 4) == 0;
    return equal;
}

static void assert_arrays_close(const arrays *x, const arrays *want, const operation *op)
{
    const double limit = op->tolerance;
    for (int64_t i = 0; i < x->n + x->d + 1; i++)
        assert_true(fabs(x->total[i] - want->total[i]) <=
                    limit * (1 + fabs(want->total[i])));
    for (int i = 0; i < N_MATRICES; i++)
        fc_test_assert_close(x->m[i].at, want->m[i].at, x->m[i].n, limit, limit, op->name,
                             __FILE__, __LINE__);
    for (int i = 0; i < N_ROWS; i++)
        fc_test_assert_close(x->r[i].at, want->r[i].at, x->r[i].n, limit, limit, op->name,
                             __FILE__, __LINE__);
}

/* --- the operations ----------------------------------------------------------------------- */

static double dot_of(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

static double gelu_of(double x)
{
    return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
}

static void run_rmsnorm(fc_backend *be, const arrays *x)
{
    be->ops->rmsnorm(be, x->m[0].at, x->m[1].at, x->r[0].at, x->n, x->d, 1e-6f);
}

static void run_rmsnorm_in_place(fc_backend *be, const arrays *x)
{
    be->ops->rmsnorm(be, x->m[1].at, x->m[1].at, x->r[0].at, x->n, x->d, 1e-6f);
}

static void norm_of(const arrays *x, float *y, double kept)
{
    for (int64_t r = 0; r < x->n; r++) {
        const float *const in = x->m[1].at + r * x->d;
        const double rms = sqrt(dot_of(in, in, x->d) / (double)x->d + 1e-6);
        for (int64_t i = 0; i < x->d; i++) {
            const double value = (double)in[i] / rms * (1 + (double)x->r[0].at[i]);
            y[r * x->d + i] = (float)(kept * (double)y[r * x->d + i] + value);
        }
    }
}

static void oracle_rmsnorm(const arrays *x)
{
    norm_of(x, x->m[0].at, 0);
}

static void oracle_rmsnorm_in_place(const arrays *x)
{
    norm_of(x, x->m[1].at, 0);
}

static void run_add_rmsnorm(fc_backend *be, const arrays *x)
{
    be->ops->add_rmsnorm(be, x->m[0].at, x->m[1].at, x->r[0].at, x->n, x->d, 1e-6f);
}

static void oracle_add_rmsnorm(const arrays *x)
{
    norm_of(x, x->m[0].at, 1);
}

static void run_gelu_mul(fc_backend *be, const arrays *x)
{
    const int64_t n = x->n * x->d;
    be->ops->gelu_mul(be, x->m[0].at, FC_F32, x->m[1].at, x->m[2].at, n);
    be->ops->gelu_mul(be, x->m[3].at, FC_F32, x->m[3].at, x->m[2].at, n);
}

static void oracle_gelu_mul(const arrays *x)
{
    for (int64_t i = 0; i < x->n * x->d; i++) {
        x->m[0].at[i] = (float)(gelu_of((double)x->m[1].at[i]) * (double)x->m[2].at[i]);
        x->m[3].at[i] = (float)(gelu_of((double)x->m[3].at[i]) * (double)x->m[2].at[i]);
    }
}

static void run_softcap(fc_backend *be, const arrays *x)
{
    be->ops->softcap(be, x->m[0].at, x->n * x->d, 1.5f);
}

static void oracle_softcap(const arrays *x)
{
    for (int64_t i = 0; i < x->n * x->d; i++)
        x->m[0].at[i] = (float)(1.5 * tanh((double)x->m[0].at[i] / 1.5));
}

static void run_scale(fc_backend *be, const arrays *x)
{
    be->ops->scale(be, x->m[0].at, x->n * x->d, 0.3f);
}

static void oracle_scale(const arrays *x)
{
    for (int64_t i = 0; i < x->n * x->d; i++)
        x->m[0].at[i] = (float)((double)x->m[0].at[i] * (double)0.3f);
}

static void run_sub_row(fc_backend *be, const arrays *x)
{
    be->ops->sub_row(be, x->m[0].at, x->m[1].at, x->r[0].at, x->n, x->d);
    be->ops->sub_row(be, x->m[3].at, x->m[3].at, x->r[0].at, x->n, x->d);
}

static void oracle_sub_row(const arrays *x)
{
    for (int64_t i = 0; i < x->n * x->d; i++) {
        x->m[0].at[i] = x->m[1].at[i] - x->r[0].at[i % x->d];
        x->m[3].at[i] = x->m[3].at[i] - x->r[0].at[i % x->d];
    }
}

static void run_unit_rows(fc_backend *be, const arrays *x)
{
    if (x->n > 2) memset(x->m[0].at + 2 * x->d, 0, (size_t)x->d * sizeof(float));
    be->ops->unit_rows(be, x->m[0].at, x->r[0].at, x->n, x->d, 0.7f);
    be->ops->unit_rows(be, x->m[1].at, NULL, x->n, x->d, 1.0f);
}

static void oracle_unit_rows(const arrays *x)
{
    if (x->n > 2) memset(x->m[0].at + 2 * x->d, 0, (size_t)x->d * sizeof(float));
    for (int64_t r = 0; r < x->n; r++) {
        float *const a = x->m[0].at + r * x->d, *const b = x->m[1].at + r * x->d;
        const double norm_a = sqrt(dot_of(a, a, x->d)), norm_b = sqrt(dot_of(b, b, x->d));
        x->r[0].at[r] = (float)norm_a;
        for (int64_t i = 0; i < x->d; i++) {
            if (norm_a > 0) a[i] = (float)((double)a[i] * 0.7 / norm_a);
            b[i] = (float)((double)b[i] / norm_b);
        }
    }
}

static void run_relu_grad(fc_backend *be, const arrays *x)
{
    be->ops->relu_grad(be, x->m[0].at, x->m[1].at, x->r[0].at, x->r[1].at, x->n, x->d);
}

static void oracle_relu_grad(const arrays *x)
{
    for (int64_t r = 0; r < x->n; r++) {
        double sum = 0;
        for (int64_t i = r * x->d; i < (r + 1) * x->d; i++) {
            x->m[0].at[i] = x->m[1].at[i] > 0 ? x->m[0].at[i] + x->r[0].at[r] : 0;
            sum += (double)x->m[0].at[i];
        }
        x->r[1].at[r] = (float)sum;
    }
}

static void run_mse_grad(fc_backend *be, const arrays *x)
{
    x->total[0] =
        be->ops->mse_grad(be, x->m[0].at, x->r[0].at, x->m[1].at, x->n, x->d, 0.25f);
}

static void oracle_mse_grad(const arrays *x)
{
    for (int64_t i = 0; i < x->n * x->d; i++) {
        const double y = (double)x->m[0].at[i] + (double)x->r[0].at[i % x->d];
        const double error = y - (double)x->m[1].at[i];
        x->total[0] += error * error;
        x->m[0].at[i] = (float)(0.25 * error);
    }
}

static void run_col_sum(fc_backend *be, const arrays *x)
{
    be->ops->col_sum(be, x->total, x->m[0].at, x->n, x->d);
}

static void oracle_col_sum(const arrays *x)
{
    for (int64_t i = 0; i < x->n * x->d; i++) x->total[i % x->d] += (double)x->m[0].at[i];
}

static void run_sum_sq(fc_backend *be, const arrays *x)
{
    x->total[0] = be->ops->sum_sq(be, x->m[0].at, x->n * x->d);
}

static void oracle_sum_sq(const arrays *x)
{
    x->total[0] = dot_of(x->m[0].at, x->m[0].at, x->n * x->d);
}

static void run_row_norms(fc_backend *be, const arrays *x)
{
    be->ops->row_norms(be, x->r[0].at, x->m[0].at, x->n, x->d);
}

static void oracle_row_norms(const arrays *x)
{
    for (int64_t r = 0; r < x->n; r++)
        x->r[0].at[r] =
            (float)sqrt(dot_of(x->m[0].at + r * x->d, x->m[0].at + r * x->d, x->d));
}

static void run_project_rows(fc_backend *be, const arrays *x)
{
    be->ops->unit_rows(be, x->m[1].at, NULL, x->n, x->d, 1.0f);
    be->ops->project_rows(be, x->m[0].at, x->m[1].at, x->n, x->d);
}

static void oracle_project_rows(const arrays *x)
{
    for (int64_t r = 0; r < x->n; r++) {
        float *const g = x->m[0].at + r * x->d, *const w = x->m[1].at + r * x->d;
        const double norm = sqrt(dot_of(w, w, x->d)), along = dot_of(g, w, x->d) / norm;
        for (int64_t i = 0; i < x->d; i++) {
            w[i] = (float)((double)w[i] / norm);
            g[i] = (float)((double)g[i] - along * (double)w[i]);
        }
    }
}

static void run_add_scaled_rows(fc_backend *be, const arrays *x)
{
    be->ops->add_scaled_rows(be, x->m[0].at, x->r[0].at, x->m[1].at, x->n, x->d);
}

static void oracle_add_scaled_rows(const arrays *x)
{
    for (int64_t i = 0; i < x->n * x->d; i++)
        x->m[0].at[i] = (float)((double)x->m[0].at[i] +
                                (double)x->r[0].at[i / x->d] * (double)x->m[1].at[i]);
}

static const fc_adam adam_scalars = {
    .lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .step = 3};

static void run_adam(fc_backend *be, const arrays *x)
{
    be->ops->adam(be, x->m[0].at, x->m[1].at, x->m[2].at, x->m[3].at, x->n * x->d,
                  &adam_scalars);
}

static void oracle_adam(const arrays *x)
{
    const double b1 = 0.9, b2 = 0.999;
    for (int64_t i = 0; i < x->n * x->d; i++) {
        const double g = (double)x->m[3].at[i];
        const double m = b1 * (double)x->m[1].at[i] + (1 - b1) * g;
        const double v = b2 * (double)x->m[2].at[i] + (1 - b2) * g * g;
        const double root = sqrt(v / (1 - b2 * b2 * b2)) + 1e-8;
        x->m[0].at[i] =
            (float)((double)x->m[0].at[i] - 0.01 * m / (1 - b1 * b1 * b1) / root);
        x->m[1].at[i] = (float)m;
        x->m[2].at[i] = (float)v;
    }
}

static const operation operations[] = {
    {"rmsnorm", run_rmsnorm, oracle_rmsnorm, 1e-6},
    {"rmsnorm in place", run_rmsnorm_in_place, oracle_rmsnorm_in_place, 1e-6},
    {"add_rmsnorm", run_add_rmsnorm, oracle_add_rmsnorm, 1e-6},
    {"gelu_mul", run_gelu_mul, oracle_gelu_mul, 5e-7},
    {"softcap", run_softcap, oracle_softcap, 3e-7},
    {"scale", run_scale, oracle_scale, 1e-7},
    {"sub_row", run_sub_row, oracle_sub_row, 1e-7},
    {"unit_rows", run_unit_rows, oracle_unit_rows, 1e-6},
    {"relu_grad", run_relu_grad, oracle_relu_grad, 1e-5},
    {"mse_grad", run_mse_grad, oracle_mse_grad, 1e-5},
    {"col_sum", run_col_sum, oracle_col_sum, 1e-12},
    {"sum_sq", run_sum_sq, oracle_sum_sq, 1e-6},
    {"row_norms", run_row_norms, oracle_row_norms, 1e-6},
    {"project_rows", run_project_rows, oracle_project_rows, 1e-6},
    {"add_scaled_rows", run_add_scaled_rows, oracle_add_scaled_rows, 1e-7},
    {"adam", run_adam, oracle_adam, 5e-7},
};

/* --- the tests ---------------------------------------------------------------------------- */

static arrays result_of(const operation *op, fc_backend *be, int64_t n, int64_t d)
{
    arrays x = arrays_new(n, d);
    op->run(be, &x);
    return x;
}

static void ref_is_the_definition_in_double(void **state)
{
    (void)state;
    fc_backend *be = NULL;
    fc_err err = {0};
    fc_assert_ok(fc_backend_open(&be, "ref", &err), &err);
    for (size_t o = 0; o < FC_LEN(operations); o++) {
        for (size_t s = 0; s < FC_LEN(shapes); s++) {
            arrays got = result_of(&operations[o], be, shapes[s][0], shapes[s][1]);
            arrays want = arrays_new(shapes[s][0], shapes[s][1]);
            operations[o].oracle(&want);
            assert_arrays_close(&got, &want, &operations[o]);
            arrays_free(&got);
            arrays_free(&want);
        }
    }
    fc_backend_close(be);
}

/* The operation at the shape gives the same bytes with every instruction set. */
static void compare_isas(const operation *op, fc_backend *be[N_ISAS], int n_be,
                         const int64_t *shape)
{
    arrays want = result_of(op, be[0], shape[0], shape[1]);
    for (int isa = 1; isa < n_be; isa++) {
        arrays got = result_of(op, be[isa], shape[0], shape[1]);
        if (!arrays_equal(&got, &want))
            fail_msg("%s, shape %d x %d: %s differs from ref", op->name, (int)shape[0],
                     (int)shape[1], be[isa]->ops->name);
        arrays_free(&got);
    }
    arrays_free(&want);
}

static void every_instruction_set_gives_the_bytes_of_ref(void **state)
{
    (void)state;
    fc_backend *be[N_ISAS];
    const int n_be = open_backends(be);
    for (size_t o = 0; o < FC_LEN(operations); o++)
        for (size_t s = 0; s < FC_LEN(shapes); s++)
            compare_isas(&operations[o], be, n_be, shapes[s]);
    close_backends(be, n_be);
}

static void any_number_of_threads_gives_the_same_bytes(void **state)
{
    (void)state;
    for (size_t o = 0; o < FC_LEN(operations); o++) {
        arrays one = {0};
        for (int n_threads = 1; n_threads <= 3; n_threads++) {
            fc_par_set_threads(n_threads);
            fc_backend *be = NULL;
            fc_err err = {0};
            fc_assert_ok(fc_backend_open(&be, NULL, &err), &err);
            arrays x = result_of(&operations[o], be, 301, 250);
            if (n_threads == 1) {
                one = x;
            } else {
                if (!arrays_equal(&x, &one))
                    fail_msg("%s differs with %d threads", operations[o].name, n_threads);
                arrays_free(&x);
            }
            fc_backend_close(be);
        }
        arrays_free(&one);
    }
    fc_par_set_threads(0);
}

static void adam_brings_a_moment_without_a_gradient_to_rest(void **state)
{
    (void)state;
    enum { N = 37, STEPS = 900 }; /* 0.9^900 is 1e-41 */
    fc_backend *be[N_ISAS];
    const int n_isas = open_backends(be);
    for (int isa = 0; isa < n_isas; isa++) {
        guarded w = guarded_normal(N, 1), m = guarded_normal(N, 2), v = guarded_new(N),
                g = guarded_new(N), before = guarded_new(N);
        memset(g.at, 0, N * sizeof *g.at);
        for (int64_t i = 0; i < N; i++) v.at[i] = 1;
        for (int64_t step = 1; step <= STEPS; step++) {
            const fc_adam adam = {
                .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .step = step};
            be[isa]->ops->adam(be[isa], w.at, m.at, v.at, g.at, N, &adam);
            for (int64_t i = 0; i < N; i++)
                assert_true(m.at[i] == 0 || fabsf(m.at[i]) >= 0x1p-126f);
            if (step == STEPS - 1) memcpy(before.at, w.at, N * sizeof *w.at);
        }
        for (int64_t i = 0; i < N; i++) assert_true(m.at[i] == 0);
        assert_memory_equal(before.at, w.at, N * sizeof *w.at);
        guarded_free(w);
        guarded_free(m);
        guarded_free(v);
        guarded_free(g);
        guarded_free(before);
    }
    close_backends(be, n_isas);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adam_brings_a_moment_without_a_gradient_to_rest),
        cmocka_unit_test(ref_is_the_definition_in_double),
        cmocka_unit_test(every_instruction_set_gives_the_bytes_of_ref),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
