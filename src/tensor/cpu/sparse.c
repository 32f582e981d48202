/* sparse.c - products of a sparse and a dense matrix, walked panel by panel.
 *
 *   spmm    c_i (+)= sum over (j, v) of v b_j       [n_rows, n]
 *   sddmm   out_ij = u_i . v_j at the entries       one float for each
 *
 * Panels of 384 columns are the outer loop, rows of lists the inner one: the part of the dense
 * matrix that all rows draw on is then small enough for L2, and the sums of one row stay in
 * registers for its whole list.
 *
 * Very short lists do not meet. They are worked on row by row in all panels.
 *
 * Where even a panel of b is too large and lists are long enough to meet in its rows, spmm takes the
 * panel in blocks of rows: many lists draw on a block while it is in L2, each as far as it goes.
 * Sums are put down and taken up again exactly, so blocks do not show in float32. How many lists
 * share a block shows in no result and may follow the number of threads.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tensor/cpu/sparse_internal.h"

#include "base/par.h"
#include "tensor/cpu/cpu_internal.h"

enum {
    SPMM_ROWS = 16,          /* of one chunk, which is one panel wide */
    SPMM_ROWS_BLOCKED = 64,  /* the same where b comes in blocks: at least, and */
    SPMM_ROWS_MOST = 256,    /* at most, by the number of threads */
    CHUNKS_PER_THREAD = 3,   /* as many as leave none of them idle for long */
    SDDMM_ROWS = 64,         /* of one chunk, which is all panels wide */
    NEAR_BYTES = 800 << 10,  /* of a panel that stays in L2 */
    BLOCK_BYTES = 600 << 10, /* of a block of rows that many lists draw on */
    LIST_AHEAD = 8,          /* rows of the next list */
    SHORT_ENTRIES = 12,      /* of a list, on average */
    BLOCKED_ABOVE = 6        /* entries in a hundred: from there on blocks are faster */
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

static int64_t panel_row_bytes(const fc_mat *m)
{
    return fc_min(FC_SPARSE_COLS, m->cols) * (m->dtype == FC_F32 ? 4 : 2);
}

/* Columns col .. of m, from its row `row` on. */
static fc_sparse_panel panel_of(const fc_mat *m, int64_t row, int64_t col)
{
    FC_ASSERT(m->col == 1 && (m->dtype == FC_F32 || m->dtype == FC_BF16));
    const int64_t size = m->dtype == FC_F32 ? 4 : 2;
    const fc_sparse_panel panel = {.data = (const unsigned char *)m->data +
                                           (row * m->row + col) * size,
                                   .row_bytes = m->row * size,
                                   .n_cols = fc_min(FC_SPARSE_COLS, m->cols - col),
                                   .dtype = m->dtype,
                                   .is_far = m->rows * panel_row_bytes(m) > NEAR_BYTES};
    return panel;
}

/* The whole width of m as one panel, to ask for; kernels do not take so much. */
static fc_sparse_panel row_of(const fc_mat *m, int64_t row)
{
    fc_sparse_panel panel = panel_of(m, row, 0);
    panel.n_cols = m->cols;
    return panel;
}

static int64_t entries_of(const fc_sparse *a)
{
    int64_t n = 0;
    for (int64_t r = 0; r < a->n_rows; r++) n += a->count[r];
    return n;
}

/* Whether lists are so short that they hardly ever meet in a row of b: then panels gain nothing, and
 * whole rows are read at the speed of a stream. By the data alone: the same for any threads. */
static bool is_short(const fc_sparse *a, const fc_mat *b)
{
    return entries_of(a) <= SHORT_ENTRIES * a->n_rows && b->cols > FC_SPARSE_COLS;
}

/* Asks for the first rows that a list will draw on. A list is over before its own first rows could
 * be asked for in time, so this is done while the one before it is worked on. */
static void ask_for(const fc_sparse_panel *b, const fc_sparse_list *list)
{
    const int64_t n = fc_min(list->count, LIST_AHEAD);
    const int64_t n_bytes = b->n_cols * (b->dtype == FC_F32 ? 4 : 2);
    for (int64_t i = 0; i < n; i++) {
        const unsigned char *const row = b->data + list->index[i] * b->row_bytes;
        for (int64_t at = 0; at < n_bytes; at += 64) __builtin_prefetch(row + at);
    }
}

static void ask_for_row(const fc_sparse_panel *b, const fc_sparse *a, int64_t row)
{
    const fc_sparse_list list = list_of(a, row);
    ask_for(b, &list);
}

/* --- spmm --------------------------------------------------------------------------------- */

typedef struct spmm_job {
    const fc_sparse_kernels *kernels;
    float *c;
    int64_t c_row;
    fc_sparse a;
    fc_mat b;
    bool accumulate;
    int64_t n_rows;   /* of a chunk */
    int64_t n_chunks; /* of a panel */
    int64_t n_block;  /* rows of b in a block */
} spmm_job;

/* Takes the entries in columns below `end` off the front of a list. */
static fc_sparse_list take_below(fc_sparse_list *list, int64_t end)
{
    int64_t n = 0;
    for (int64_t n_left = list->count; n_left > 0;) {
        const int64_t half = n_left / 2;
        const bool is_below = list->index[n + half] < end;
        n += is_below ? half + 1 : 0;
        n_left = is_below ? n_left - half - 1 : half;
    }
    fc_sparse_list front = *list;
    front.count = n;
    list->index += n;
    list->value += n;
    list->count -= n;
    return front;
}

static void spmm_panel(const spmm_job *job, int64_t first, int64_t n_rows, int64_t col)
{
    const fc_sparse_panel b = panel_of(&job->b, 0, col);
    float *const c = job->c + first * job->c_row + col;
    fc_sparse_list left[SPMM_ROWS_MOST];
    for (int64_t r = 0; r < n_rows; r++) left[r] = list_of(&job->a, first + r);
    for (int64_t begin = 0; begin == 0 || begin < job->a.n_cols; begin += job->n_block)
        for (int64_t r = 0; r < n_rows; r++) {
            const bool is_last = begin + job->n_block >= job->a.n_cols;
            if (r + 1 < n_rows) ask_for(&b, &left[r + 1]);
            const fc_sparse_list list =
                is_last ? left[r] : take_below(&left[r], begin + job->n_block);
            if (list.count > 0 || begin == 0)
                job->kernels->gather(c + r * job->c_row, list, &b,
                                     job->accumulate || begin > 0);
        }
}

/* Chunks of one panel each. */
static void spmm_chunks(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const spmm_job *const job = ctx;
    for (int64_t i = begin; i < end; i++) {
        const int64_t first = i % job->n_chunks * job->n_rows;
        spmm_panel(job, first, fc_min(job->n_rows, job->a.n_rows - first),
                   i / job->n_chunks * FC_SPARSE_COLS);
    }
}

/* Rows begin .. end-1 one by one, in all panels. */
static void spmm_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const spmm_job *const job = ctx;
    const fc_sparse_panel all = row_of(&job->b, 0);
    for (int64_t r = begin; r < end; r++) {
        const fc_sparse_list list = list_of(&job->a, r);
        if (r + 1 < end) ask_for_row(&all, &job->a, r + 1);
        for (int64_t col = 0; col < job->b.cols; col += FC_SPARSE_COLS) {
            const fc_sparse_panel b = panel_of(&job->b, 0, col);
            job->kernels->gather(job->c + r * job->c_row + col, list, &b,
                                 job->accumulate);
        }
    }
}

/* A choice by the data alone, so that it is the same for any number of threads. */
static bool is_blocked(const fc_sparse *a, const fc_mat *b)
{
    if (a->n_cols * panel_row_bytes(b) <= NEAR_BYTES) return false;
    return entries_of(a) * 100 > BLOCKED_ABOVE * a->n_rows * a->n_cols;
}

/* Lists that share a block: the more, the less often it is read from memory. */
static int64_t blocked_rows(const fc_sparse *a, const fc_mat *b)
{
    const int64_t n_panels = fc_ceil_div(b->cols, FC_SPARSE_COLS);
    const int64_t n_chunks = CHUNKS_PER_THREAD * (int64_t)fc_par_threads_here();
    const int64_t rows = fc_ceil_div(a->n_rows * n_panels, n_chunks);
    return fc_max(SPMM_ROWS_BLOCKED, fc_min(SPMM_ROWS_MOST, rows));
}

void fc_cpu_spmm(fc_backend *be, float *c, int64_t c_row, fc_sparse a, fc_mat b,
                 fc_precision precision, bool accumulate)
{
    spmm_job job = {.kernels = kernels_of(be, precision),
                    .c = c,
                    .c_row = c_row,
                    .a = a,
                    .b = b,
                    .accumulate = accumulate,
                    .n_rows = SPMM_ROWS,
                    .n_block = fc_max(a.n_cols, 1)};
    if (b.cols == 0) return;
    if (is_blocked(&a, &b)) {
        job.n_rows = blocked_rows(&a, &b);
        job.n_block = BLOCK_BYTES / panel_row_bytes(&b);
    }
    if (is_short(&a, &b)) {
        fc_par_for(a.n_rows, SPMM_ROWS, spmm_rows, &job);
        return;
    }
    job.n_chunks = fc_ceil_div(a.n_rows, job.n_rows);
    fc_par_for(job.n_chunks * fc_ceil_div(b.cols, FC_SPARSE_COLS), 1, spmm_chunks, &job);
}

/* --- sddmm -------------------------------------------------------------------------------- */

typedef struct sddmm_job {
    const fc_sparse_kernels *kernels;
    float *out;
    fc_sparse pattern;
    fc_mat u, v;
} sddmm_job;

/* The same for dots, which also draw on a row of u of their own. */
static void ask_for_dots(const sddmm_job *job, int64_t row, int64_t col,
                         const fc_sparse_panel *v)
{
    static const int32_t first = 0;
    const fc_sparse_panel u = panel_of(&job->u, row, col);
    const fc_sparse_list list = list_of(&job->pattern, row);
    const fc_sparse_list own = {.index = &first, .count = list.count > 0};
    ask_for(&u, &own);
    ask_for(v, &list);
}

static void sddmm_row(const sddmm_job *job, int64_t r, int64_t col)
{
    const fc_sparse_panel u = panel_of(&job->u, r, col), v = panel_of(&job->v, 0, col);
    const fc_sparse_list list = list_of(&job->pattern, r);
    if (list.count > 0)
        job->kernels->dots(job->out + job->pattern.begin[r], list, &u, &v, col > 0);
}

static void sddmm_panels(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const sddmm_job *const job = ctx;
    for (int64_t col = 0; col == 0 || col < job->v.cols; col += FC_SPARSE_COLS) {
        const fc_sparse_panel v = panel_of(&job->v, 0, col);
        for (int64_t r = begin; r < end; r++) {
            if (r + 1 < end) ask_for_dots(job, r + 1, col, &v);
            sddmm_row(job, r, col);
        }
    }
}

/* Rows one by one, in all panels: their own lie one after the other and come by themselves. */
static void sddmm_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const sddmm_job *const job = ctx;
    const fc_sparse_panel all = row_of(&job->v, 0);
    for (int64_t r = begin; r < end; r++) {
        if (r + 1 < end) ask_for_row(&all, &job->pattern, r + 1);
        for (int64_t col = 0; col < job->v.cols; col += FC_SPARSE_COLS)
            sddmm_row(job, r, col);
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
    fc_par_for(pattern.n_rows, SDDMM_ROWS,
               is_short(&pattern, &v) ? sddmm_rows : sddmm_panels, &job);
}
