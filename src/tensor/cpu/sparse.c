/* sparse.c - products of a sparse and a dense matrix, walked panel by panel.
 *
 *   spmm    c_i (+)= sum over (j, v) of v b_j       [n_rows, n]
 *   sddmm   out_ij = u_i . v_j at the entries       one float for each
 *
 * Panels of 384 columns are the outer loop, rows of lists the inner one: the part of the dense
 * matrix that all rows draw on is then small enough for L2, and the sums of one row stay in
 * registers for its whole list.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tensor/cpu/sparse_internal.h"

#include "base/par.h"
#include "tensor/cpu/cpu_internal.h"

enum {
    SPMM_ROWS = 16,        /* of one chunk, which is one panel wide */
    SDDMM_ROWS = 64,       /* of one chunk, which is all panels wide */
    NEAR_BYTES = 800 << 10 /* of a panel that stays in L2 */
};

static const fc_sparse_kernels *kernels_of(const fc_backend *be, fc_precision precision)
{
    const fc_cpu *const cpu = be->state;
    return cpu->sparse[precision];
}

static fc_sparse_list list_of(const fc_sparse *a, int64_t row)
{
    const int64_t begin = a->begin[row];
    const fc_sparse_list list = {.index = a->index + begin,
                                 .value = a->value != NULL ? a->value + begin : NULL,
                                 .count = a->count[row]};
    return list;
}

/* Columns col .. of m, from its row `row` on. */
static fc_sparse_panel panel_of(const fc_mat *m, int64_t row, int64_t col)
{
    FC_ASSERT(m->col == 1 && (m->dtype == FC_F32 || m->dtype == FC_BF16));
    const int64_t size = m->dtype == FC_F32 ? 4 : 2;
    const fc_sparse_panel panel = {
        .data = (const unsigned char *)m->data + (row * m->row + col) * size,
        .row_bytes = m->row * size,
        .n_cols = fc_min(FC_SPARSE_COLS, m->cols - col),
        .dtype = m->dtype,
        .is_far = m->rows * fc_min(FC_SPARSE_COLS, m->cols) * size > NEAR_BYTES};
    return panel;
}

typedef struct spmm_job {
    const fc_sparse_kernels *kernels;
    float *c;
    int64_t c_row, n_row_blocks;
    fc_sparse a;
    fc_mat b;
    bool accumulate;
} spmm_job;

static void spmm_block(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const spmm_job *const job = ctx;
    for (int64_t block = begin; block < end; block++) {
        const int64_t col = block / job->n_row_blocks * FC_SPARSE_COLS;
        const int64_t row = block % job->n_row_blocks * SPMM_ROWS;
        const fc_sparse_panel b = panel_of(&job->b, 0, col);
        for (int64_t r = row; r < fc_min(row + SPMM_ROWS, job->a.n_rows); r++)
            job->kernels->gather(job->c + r * job->c_row + col, list_of(&job->a, r), &b,
                                 job->accumulate);
    }
}

void fc_cpu_spmm(fc_backend *be, float *c, int64_t c_row, fc_sparse a, fc_mat b,
                 fc_precision precision, bool accumulate)
{
    spmm_job job = {.kernels = kernels_of(be, precision),
                    .c = c,
                    .c_row = c_row,
                    .n_row_blocks = fc_ceil_div(a.n_rows, SPMM_ROWS),
                    .a = a,
                    .b = b,
                    .accumulate = accumulate};
    fc_par_for(job.n_row_blocks * fc_ceil_div(b.cols, FC_SPARSE_COLS), 1, spmm_block,
               &job);
}

typedef struct sddmm_job {
    const fc_sparse_kernels *kernels;
    float *out;
    fc_sparse pattern;
    fc_mat u, v;
} sddmm_job;

static void sddmm_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const sddmm_job *const job = ctx;
    for (int64_t col = 0; col == 0 || col < job->v.cols; col += FC_SPARSE_COLS) {
        const fc_sparse_panel v = panel_of(&job->v, 0, col);
        for (int64_t r = begin; r < end; r++) {
            const fc_sparse_panel u = panel_of(&job->u, r, col);
            job->kernels->dots(job->out + job->pattern.begin[r],
                               list_of(&job->pattern, r), &u, &v, col > 0);
        }
    }
}

void fc_cpu_sddmm(fc_backend *be, float *out, fc_sparse pattern, fc_mat u, fc_mat v,
                  fc_precision precision)
{
    FC_ASSERT(u.cols == v.cols);
    sddmm_job job = {.kernels = kernels_of(be, precision),
                     .out = out,
                     .pattern = pattern,
                     .u = u,
                     .v = v};
    fc_par_for(pattern.n_rows, SDDMM_ROWS, sddmm_rows, &job);
}
