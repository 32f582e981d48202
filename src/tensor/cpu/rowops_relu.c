/* rowops_relu.c - rows of features after the ReLU: the few entries above 0 as a list, or the
 * whole row where they are many.
 *
 *   f = max(z + b_row, 0)      [n_rows, n], with count, sum and largest of each row
 *
 * Two passes over a row, which is in L1: one that only counts, sums and compares, and one that
 * writes what the count has decided on.
 *
 * Compiled once for each instruction set (FC_ISA).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tensor/cpu/rowops_internal.h"

typedef struct relu_job {
    const fc_feature_rows *to;
    const float *z, *bias;
    int64_t z_row, n;
} relu_job;

static inline float relu(float x)
{
    return x > 0.0f ? x : 0.0f;
}

typedef struct row_summary {
    int64_t count;
    float sum, max;
} row_summary;

static row_summary summary_of(const float *z, float bias, int64_t n)
{
    row_summary s = {0, 0, 0};
    fc_lanes sum;
    fc_lanes_set(&sum, 0.0f);
    for (int64_t i = 0; i < n; i += 16) {
        float f[16];
        for (int64_t l = 0; l < 16; l++) f[l] = i + l < n ? relu(z[i + l] + bias) : 0.0f;
        fc_lanes_sum(&sum, f);
        for (int64_t l = 0; l < 16; l++) {
            s.count += f[l] > 0.0f;
            s.max = f[l] > s.max ? f[l] : s.max;
        }
    }
    s.sum = fc_lanes_fold(&sum);
    return s;
}

/* Every entry is written behind the last; only those above 0 move the end. */
static void write_list(int32_t *index, float *value, const float *z, float bias,
                       int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        const float f = relu(z[i] + bias);
        index[count] = (int32_t)i;
        value[count] = f;
        count += f > 0.0f;
    }
}

static void write_whole(float *restrict value, const float *restrict z, float bias,
                        int64_t n)
{
    for (int64_t i = 0; i < n; i++) value[i] = relu(z[i] + bias);
}

static void relu_rows_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const relu_job *const job = ctx;
    const fc_feature_rows *const to = job->to;
    for (int64_t r = begin; r < end; r++) {
        const float *const z = job->z + r * job->z_row;
        float *const value = to->value + r * to->value_row;
        const row_summary s = summary_of(z, job->bias[r], job->n);
        to->count[r] = s.count;
        if (to->sum != NULL) to->sum[r] = (double)s.sum;
        if (to->max != NULL) to->max[r] = s.max;
        if (s.count <= to->n_list)
            write_list(to->index + r * to->index_row, value, z, job->bias[r], job->n);
        else
            write_whole(value, z, job->bias[r], job->n);
    }
}

static void relu_rows(fc_backend *be, const fc_feature_rows *to, const float *z,
                      int64_t z_row, const float *bias, int64_t n_rows, int64_t n)
{
    (void)be;
    relu_job job = {.to = to, .z = z, .bias = bias, .z_row = z_row, .n = n};
    fc_par_for(n_rows, fc_rows_per_chunk(n), relu_rows_rows, &job);
}

void FC_ROWOPS(relu)(fc_cpu *cpu)
{
    cpu->ops.relu_rows = relu_rows;
}
