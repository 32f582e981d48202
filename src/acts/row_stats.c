/* row_stats.c - the moments of rows, exact in their order.
 *
 *   first pass    mean = sum x / n,              mean_norm = sum ||x|| / n
 *   second pass   variance = sum (x - mean)^2 / n, mean_centred_norm = sum ||x - mean|| / n
 *
 * All in double. Rows are summed in ascending order within blocks of 256, blocks in order, so
 * the result depends on the rows alone: not on threads nor on where the rows lie.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "acts/row_stats.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/par.h"

enum { BLOCK_ROWS = 256, GROUP_BLOCKS = 64, LANES = 8 };

typedef struct moments { /* of one pass */
    fc_read_rows_fn *read;
    const void *ctx;
    int64_t d, n_rows;
    int power;            /* 1: sums of x - centre, 2: of its squares */
    const double *centre; /* [d] */
    int64_t begin;        /* first row of the group at work */
    float *rows;          /* [threads, BLOCK_ROWS, d] */
    double *sum;          /* [GROUP_BLOCKS, d] */
    double *norm;         /* [GROUP_BLOCKS] sums of ||x - centre|| */
} moments;

/* Adds one row to the block's sums; returns its norm, lane j % LANES in ascending j. */
static double add_row(double *restrict sum, const float *restrict x,
                      const double *restrict centre, int64_t d, int power)
{
    double lane[LANES] = {0};
    for (int64_t j = 0; j < d; j++) {
        const double v = (double)x[j] - centre[j];
        sum[j] += power == 1 ? v : v * v;
        lane[j % LANES] += v * v;
    }
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++) lane[l] += lane[l + half];
    return sqrt(lane[0]);
}

static void sum_blocks(int64_t begin, int64_t end, int worker, void *ctx)
{
    const moments *const m = ctx;
    float *const rows = m->rows + (int64_t)worker * BLOCK_ROWS * m->d;
    for (int64_t b = begin; b < end; b++) {
        const int64_t first = m->begin + b * BLOCK_ROWS;
        const int64_t n = fc_min(BLOCK_ROWS, m->n_rows - first);
        double *const sum = m->sum + b * m->d;
        memset(sum, 0, (size_t)m->d * sizeof *sum);
        m->norm[b] = 0;
        m->read(m->ctx, first, n, rows);
        for (int64_t i = 0; i < n; i++)
            m->norm[b] += add_row(sum, rows + i * m->d, m->centre, m->d, m->power);
    }
}

/* One pass: total [d] and *total_norm become means over all rows. */
static void run_pass(moments *m, int power, const double *centre, double *total,
                     double *total_norm)
{
    m->power = power;
    m->centre = centre;
    *total_norm = 0;
    for (m->begin = 0; m->begin < m->n_rows; m->begin += GROUP_BLOCKS * BLOCK_ROWS) {
        const int64_t n =
            fc_min(GROUP_BLOCKS, fc_ceil_div(m->n_rows - m->begin, (int64_t)BLOCK_ROWS));
        fc_par_for(n, 1, sum_blocks, m);
        for (int64_t b = 0; b < n; b++) {
            for (int64_t j = 0; j < m->d; j++) total[j] += m->sum[b * m->d + j];
            *total_norm += m->norm[b];
        }
    }
    for (int64_t j = 0; j < m->d; j++) total[j] /= (double)m->n_rows;
    *total_norm /= (double)m->n_rows;
}

static fc_status allocate(moments *m, double **zero, fc_row_stats *stats, fc_err *err)
{
    const size_t row = (size_t)m->d * sizeof(double);
    const int64_t n_scratch = (int64_t)fc_par_threads() * BLOCK_ROWS;
    FC_TRY(fc_alloc(&m->rows, n_scratch, (size_t)m->d * sizeof *m->rows, "rows", err));
    FC_TRY(fc_alloc(&m->sum, GROUP_BLOCKS, row, "sums of rows", err));
    FC_TRY(fc_alloc(&m->norm, GROUP_BLOCKS, sizeof *m->norm, "sums of norms", err));
    FC_TRY(fc_alloc(zero, 1, row, "sums of rows", err));
    FC_TRY(fc_alloc(&stats->mean_f64, 1, row, "the mean activation", err));
    FC_TRY(fc_alloc(&stats->variance_f64, 1, row, "variances", err));
    return fc_alloc(&stats->mean, m->d, sizeof *stats->mean, "the mean activation", err);
}

fc_status fc_row_stats_make(fc_row_stats *stats, fc_read_rows_fn *read, const void *ctx,
                            int64_t n_rows, int64_t d, fc_err *err)
{
    moments m = {.read = read, .ctx = ctx, .d = d, .n_rows = n_rows};
    fc_row_stats made = {0};
    double *zero = NULL;
    fc_status status;
    FC_TRY_GOTO(allocate(&m, &zero, &made, err));
    run_pass(&m, 1, zero, made.mean_f64, &made.mean_norm);
    run_pass(&m, 2, made.mean_f64, made.variance_f64, &made.mean_centred_norm);
    for (int64_t j = 0; j < d; j++) made.mean[j] = (float)made.mean_f64[j];
    *stats = made;
    made = (fc_row_stats){0};
done:
    fc_row_stats_deinit(&made);
    fc_free(m.rows);
    fc_free(m.sum);
    fc_free(m.norm);
    fc_free(zero);
    return status;
}

void fc_row_stats_deinit(fc_row_stats *stats)
{
    fc_free(stats->mean);
    fc_free(stats->mean_f64);
    fc_free(stats->variance_f64);
    *stats = (fc_row_stats){0};
}
