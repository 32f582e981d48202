/* rowops_sae.c - rows of features and samples: the gradient of ReLU, the squared error, norms and
 * projections.
 *
 *   relu_grad    dz = f > 0 ? g + a_row : 0, with its row sums
 *   mse_grad     y = s (y + b - x), and the sum of (y + b - x)^2
 *   project      g -= (g . w) w, the part of a gradient along unit vectors
 *
 * A row of a batch fits in L1, so each row is gone over more than once where that keeps the
 * loops simple: memory sees one pass. Sums over rows are kept one for each row and folded in
 * row order afterwards, so the number of threads cannot show.
 *
 * Compiled once for each instruction set (FC_ISA).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tensor/cpu/rowops_internal.h"

/* One job for all: each operation fills what it needs. */
typedef struct row_job {
    float *y, *norm, *sum, *max;
    const float *x, *v;
    double *total;
    int64_t n, d;
    float scale;
} row_job;

static void sub_row_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const row_job *const job = ctx;
    const float *const v = job->v;
    for (int64_t r = begin; r < end; r++) {
        const float *const x = job->x + r * job->d;
        float *const y = job->y + r * job->d;
        FC_EACH
        for (int64_t i = 0; i < job->d; i++) y[i] = x[i] - v[i];
    }
}

static void sub_row(fc_backend *be, float *y, const float *x, const float *v, int64_t n,
                    int64_t d)
{
    (void)be;
    row_job job = {.y = y, .x = x, .v = v, .d = d};
    fc_par_for(n, fc_rows_per_chunk(d), sub_row_rows, &job);
}

static void unit_rows_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const row_job *const job = ctx;
    for (int64_t r = begin; r < end; r++) {
        float *const y = job->y + r * job->d;
        const float norm = sqrtf(fc_row_dot(y, y, job->d));
        if (job->norm != NULL) job->norm[r] = norm;
        if (norm == 0.0f) continue;
        const float factor = job->scale / norm;
        FC_EACH
        for (int64_t i = 0; i < job->d; i++) y[i] *= factor;
    }
}

static void unit_rows(fc_backend *be, float *x, float *norm, int64_t n, int64_t d,
                      float scale)
{
    (void)be;
    row_job job = {.y = x, .norm = norm, .d = d, .scale = scale};
    fc_par_for(n, fc_rows_per_chunk(d), unit_rows_rows, &job);
}

static void relu_grad_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const row_job *const job = ctx;
    for (int64_t r = begin; r < end; r++) {
        float *restrict const g = job->y + r * job->n;
        const float *restrict const f = job->x + r * job->n;
        const float add = job->v[r];
        for (int64_t i = 0; i < job->n; i++) {
            const float sum = g[i] + add;
            g[i] = f[i] > 0.0f ? sum : 0.0f;
        }
        job->sum[r] = fc_row_sum(g, job->n);
    }
}

static void relu_grad(fc_backend *be, float *g, const float *f, const float *add,
                      float *sum, int64_t n_rows, int64_t n)
{
    (void)be;
    row_job job = {.y = g, .x = f, .v = add, .sum = sum, .n = n};
    fc_par_for(n_rows, fc_rows_per_chunk(n), relu_grad_rows, &job);
}

static void mse_grad_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const row_job *const job = ctx;
    const float *restrict const b = job->v;
    for (int64_t r = begin; r < end; r++) {
        float *restrict const y = job->y + r * job->d;
        const float *restrict const x = job->x + r * job->d;
        for (int64_t i = 0; i < job->d; i++) y[i] = y[i] + b[i] - x[i];
        job->sum[r] = fc_row_dot(y, y, job->d);
        for (int64_t i = 0; i < job->d; i++) y[i] *= job->scale;
    }
}

/* Runs fn over 0..n-1, as many at a time as fit in scratch memory, each leaving one float in
 * job->sum, and adds those up in order. */
static double fold_in_order(fc_backend *be, int64_t n, int64_t grain, fc_par_fn *fn,
                            row_job *job)
{
    float *const sums = fc_cpu_scratch(be->state, 0).lines;
    const row_job whole = *job;
    double total = 0;
    for (int64_t begin = 0; begin < n; begin += FC_GEMM_LINES) {
        const int64_t n_part = fc_min(FC_GEMM_LINES, n - begin);
        job->y = whole.y != NULL ? whole.y + begin * whole.d : NULL;
        job->x = whole.x + begin * whole.d;
        job->n = whole.n - begin * whole.d;
        job->sum = sums;
        fc_par_for(n_part, grain, fn, job);
        for (int64_t r = 0; r < n_part; r++) total += (double)sums[r];
    }
    return total;
}

static double mse_grad(fc_backend *be, float *y, const float *b, const float *x,
                       int64_t n, int64_t d, float scale)
{
    row_job job = {.y = y, .v = b, .x = x, .d = d, .scale = scale};
    return fold_in_order(be, n, fc_rows_per_chunk(d), mse_grad_rows, &job);
}

enum { SUM_SQ_PIECE = 4096 };

static void sum_sq_pieces(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const row_job *const job = ctx;
    for (int64_t r = begin; r < end; r++) {
        const float *const x = job->x + r * SUM_SQ_PIECE;
        job->sum[r] = fc_row_dot(x, x, fc_min(SUM_SQ_PIECE, job->n - r * SUM_SQ_PIECE));
    }
}

static double sum_sq(fc_backend *be, const float *x, int64_t n)
{
    row_job job = {.x = x, .n = n, .d = SUM_SQ_PIECE};
    return fold_in_order(be, fc_ceil_div(n, SUM_SQ_PIECE), 4, sum_sq_pieces, &job);
}

enum { COL_SUM_ROWS = 256, COL_SUM_COLS = 64 };

/* All rows of a few columns. */
static void col_sum_cols(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const row_job *const job = ctx;
    const int64_t n_cols = end - begin;
    double total[COL_SUM_COLS] = {0};
    for (int64_t r0 = 0; r0 < job->n; r0 += COL_SUM_ROWS) {
        double block[COL_SUM_COLS] = {0};
        for (int64_t r = r0; r < fc_min(r0 + COL_SUM_ROWS, job->n); r++) {
            const float *const x = job->x + r * job->d + begin;
            for (int64_t j = 0; j < n_cols; j++) block[j] += (double)x[j];
        }
        for (int64_t j = 0; j < n_cols; j++) total[j] += block[j];
    }
    memcpy(job->total + begin, total, (size_t)n_cols * sizeof *total);
}

static void col_sum(fc_backend *be, double *out, const float *x, int64_t n, int64_t d)
{
    (void)be;
    row_job job = {.total = out, .x = x, .n = n, .d = d};
    fc_par_for(d, COL_SUM_COLS, col_sum_cols, &job);
}

static void row_norms_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const row_job *const job = ctx;
    for (int64_t r = begin; r < end; r++) {
        const float *const x = job->x + r * job->d;
        job->norm[r] = sqrtf(fc_row_dot(x, x, job->d));
    }
}

static void row_norms(fc_backend *be, float *norm, const float *x, int64_t n, int64_t d)
{
    (void)be;
    row_job job = {.norm = norm, .x = x, .d = d};
    fc_par_for(n, fc_rows_per_chunk(d), row_norms_rows, &job);
}

static void project_rows_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const row_job *const job = ctx;
    for (int64_t r = begin; r < end; r++) {
        float *restrict const g = job->y + r * job->d;
        const float *restrict const w = job->x + r * job->d;
        const float along = fc_row_dot(g, w, job->d);
        for (int64_t i = 0; i < job->d; i++) g[i] = fmaf(-along, w[i], g[i]);
    }
}

static void project_rows(fc_backend *be, float *g, const float *w, int64_t n, int64_t d)
{
    (void)be;
    row_job job = {.y = g, .x = w, .d = d};
    fc_par_for(n, fc_rows_per_chunk(d), project_rows_rows, &job);
}

static void add_scaled_rows_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const row_job *const job = ctx;
    for (int64_t r = begin; r < end; r++) {
        float *restrict const y = job->y + r * job->d;
        const float *restrict const x = job->x + r * job->d;
        const float s = job->v[r];
        for (int64_t i = 0; i < job->d; i++) y[i] = fmaf(s, x[i], y[i]);
    }
}

static void add_scaled_rows(fc_backend *be, float *y, const float *s, const float *x,
                            int64_t n, int64_t d)
{
    (void)be;
    row_job job = {.y = y, .v = s, .x = x, .d = d};
    fc_par_for(n, fc_rows_per_chunk(d), add_scaled_rows_rows, &job);
}

void FC_ROWOPS(sae)(fc_cpu *cpu)
{
    cpu->ops.sub_row = sub_row;
    cpu->ops.unit_rows = unit_rows;
    cpu->ops.relu_grad = relu_grad;
    cpu->ops.mse_grad = mse_grad;
    cpu->ops.sum_sq = sum_sq;
    cpu->ops.col_sum = col_sum;
    cpu->ops.row_norms = row_norms;
    cpu->ops.project_rows = project_rows;
    cpu->ops.add_scaled_rows = add_scaled_rows;
}
