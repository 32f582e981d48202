/* store_stats.c - mean.safetensors: the moments of all rows as stored, exact in their order.
 *
 *   first pass    mean = sum x / n,              mean_norm = sum ||x|| / n
 *   second pass   variance = sum (x - mean)^2 / n, mean_centred_norm = sum ||x - mean|| / n
 *
 * All in double. Rows are summed in ascending order within blocks of 256, blocks in order, so
 * the bytes depend on the rows alone: not on threads, shards, or interruptions. Two passes over
 * the files when collecting ends, rather than sums kept while it runs: they cost seconds where
 * the forward passes took hours, the second needs the mean anyway, and there is no state
 * that a resumed run could get wrong.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "acts/store_internal.h"
#include "base/alloc.h"
#include "base/par.h"

enum { BLOCK_ROWS = 256, GROUP_BLOCKS = 64, LANES = 8 };

typedef struct moments { /* of one pass */
    const fc_store *store;
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
        fc_store_read(m->store, first, n, rows);
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

typedef struct results {
    double *mean, *variance, *zero; /* [d] */
    float *mean_f32;                /* [d] */
    double norm, centred_norm;
} results;

static fc_status save(const results *r, int64_t d, const char *dir, fc_err *err)
{
    char path[FC_PATH_MAX];
    FC_TRY(fc_path_join(path, dir, FC_STORE_MEAN, err));
    const fc_tensor tensors[] = {
        {.name = "mean", .dtype = FC_F32, .rank = 1, .shape = {d}, .data = r->mean_f32},
        {.name = "mean_f64", .dtype = FC_F64, .rank = 1, .shape = {d}, .data = r->mean},
        {.name = "variance_f64",
         .dtype = FC_F64,
         .rank = 1,
         .shape = {d},
         .data = r->variance},
        {.name = "mean_norm", .dtype = FC_F64, .rank = 0, .data = &r->norm},
        {.name = "mean_centred_norm",
         .dtype = FC_F64,
         .rank = 0,
         .data = &r->centred_norm},
    };
    return fc_safetensors_save(path, tensors, (int64_t)FC_LEN(tensors), err);
}

static fc_status allocate(moments *m, results *r, fc_err *err)
{
    const size_t row = (size_t)m->d * sizeof(double);
    const int64_t n_scratch = (int64_t)fc_par_threads() * BLOCK_ROWS;
    FC_TRY(fc_alloc(&m->rows, n_scratch, (size_t)m->d * sizeof *m->rows, "rows", err));
    FC_TRY(fc_alloc(&m->sum, GROUP_BLOCKS, row, "sums of rows", err));
    FC_TRY(fc_alloc(&m->norm, GROUP_BLOCKS, sizeof *m->norm, "sums of norms", err));
    FC_TRY(fc_alloc(&r->zero, 1, row, "sums of rows", err));
    FC_TRY(fc_alloc(&r->mean, 1, row, "the mean activation", err));
    FC_TRY(fc_alloc(&r->variance, 1, row, "variances", err));
    return fc_alloc(&r->mean_f32, m->d, sizeof *r->mean_f32, "the mean activation", err);
}

fc_status fc_store_stats_write(const char *dir, char rows_hash[FC_HASH_HEX], fc_err *err)
{
    fc_store *store = NULL;
    moments m = {0};
    results r = {0};
    fc_status status;
    FC_TRY_GOTO(fc_store_open(&store, dir, false, true, err));
    m.store = store;
    m.d = fc_store_info_of(store)->d;
    m.n_rows = fc_store_rows(store);
    FC_TRY_GOTO(allocate(&m, &r, err));
    run_pass(&m, 1, r.zero, r.mean, &r.norm);
    run_pass(&m, 2, r.mean, r.variance, &r.centred_norm);
    for (int64_t j = 0; j < m.d; j++) r.mean_f32[j] = (float)r.mean[j];
    FC_TRY_GOTO(save(&r, m.d, dir, err));
    status = fc_store_rows_hash(store, rows_hash, err);
done:
    fc_store_close(store);
    fc_free(m.rows);
    fc_free(m.sum);
    fc_free(m.norm);
    fc_free(r.zero);
    fc_free(r.mean);
    fc_free(r.variance);
    fc_free(r.mean_f32);
    return status;
}

/* --- reading ------------------------------------------------------------------------------ */

static fc_status read_scalar(const fc_safetensors *file, const char *name, double *value,
                             fc_err *err)
{
    const fc_tensor *tensor = NULL;
    FC_TRY(fc_safetensors_need(file, name, FC_F64, 0, NULL, &tensor, err));
    memcpy(value, tensor->data, sizeof *value);
    return FC_OK;
}

static fc_status read_stats(fc_store_stats *stats, const fc_safetensors *file, int64_t d,
                            fc_err *err)
{
    const fc_tensor *mean = NULL;
    FC_TRY(fc_safetensors_need(file, "mean", FC_F32, 1, &d, &mean, err));
    FC_TRY(read_scalar(file, "mean_norm", &stats->mean_norm, err));
    FC_TRY(read_scalar(file, "mean_centred_norm", &stats->mean_centred_norm, err));
    return fc_tensor_to_f32(mean, &stats->mean, err);
}

fc_status fc_store_stats_load(fc_store_stats *stats, const char *dir, int64_t d,
                              fc_err *err)
{
    char path[FC_PATH_MAX];
    fc_safetensors *file = NULL;
    fc_store_stats made = {0};
    FC_TRY(fc_path_join(path, dir, FC_STORE_MEAN, err));
    FC_TRY(fc_safetensors_open(&file, path, err));
    const fc_status status = read_stats(&made, file, d, err);
    fc_safetensors_close(file);
    FC_TRY(status);
    *stats = made;
    return FC_OK;
}

void fc_store_stats_deinit(fc_store_stats *stats)
{
    fc_free(stats->mean);
    *stats = (fc_store_stats){0};
}
