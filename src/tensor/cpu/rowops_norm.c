/* rowops_norm.c - the operations of a transformer block on rows: embedding, RMS norm, rotary
 * positions.
 *
 *   embed        y = E[id] s
 *   rmsnorm      y = x / sqrt(mean(x^2) + eps) (1 + w)           Zhang and Sennrich 2019
 *   rope         (x_j, x_j+h) turned by position * inv_freq_j     Su et al. 2021, NeoX layout
 *
 * Compiled once for each instruction set (FC_ISA).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tensor/cpu/matmul_runs_internal.h"
#include "tensor/cpu/rowops_internal.h"

typedef struct embed_job {
    float *y;
    fc_mat table;
    const int32_t *id;
    float scale;
} embed_job;

static void embed_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const embed_job *const job = ctx;
    const int64_t d = job->table.cols, size = (int64_t)fc_dtype_size(job->table.dtype);
    for (int64_t t = begin; t < end; t++) {
        float *const y = job->y + t * d;
        const unsigned char *const row =
            (const unsigned char *)job->table.data + job->id[t] * job->table.row * size;
        if (job->table.col == 1)
            fc_run_to_f32(y, row, job->table.dtype, d);
        else
            for (int64_t i = 0; i < d; i++)
                fc_run_to_f32(&y[i], row + i * job->table.col * size, job->table.dtype,
                              1);
        FC_EACH
        for (int64_t i = 0; i < d; i++) y[i] *= job->scale;
    }
}

static void embed(fc_backend *be, float *y, fc_mat table, const int32_t *id,
                  int64_t n_tokens, float scale)
{
    (void)be;
    embed_job job = {y, table, id, scale};
    fc_par_for(n_tokens, fc_rows_per_chunk(table.cols), embed_rows, &job);
}

typedef struct norm_job {
    float *y;
    const float *x, *w;
    int64_t d;
    float eps;
} norm_job;

static float inverse_rms(const float *x, int64_t d, float eps)
{
    return 1.0f / sqrtf(fc_row_dot(x, x, d) / (float)d + eps);
}

static void rmsnorm_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const norm_job *const job = ctx;
    const float *const w = job->w;
    for (int64_t r = begin; r < end; r++) {
        const float *const x = job->x + r * job->d;
        float *const y = job->y + r * job->d;
        const float inverse = inverse_rms(x, job->d, job->eps);
        FC_EACH
        for (int64_t i = 0; i < job->d; i++) y[i] = x[i] * inverse * (1.0f + w[i]);
    }
}

static void add_rmsnorm_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const norm_job *const job = ctx;
    const float *const w = job->w;
    for (int64_t r = begin; r < end; r++) {
        const float *const x = job->x + r * job->d;
        float *const y = job->y + r * job->d;
        const float inverse = inverse_rms(x, job->d, job->eps);
        FC_EACH
        for (int64_t i = 0; i < job->d; i++) y[i] += x[i] * inverse * (1.0f + w[i]);
    }
}

static void rmsnorm(fc_backend *be, float *y, const float *x, const float *w, int64_t n,
                    int64_t d, float eps)
{
    (void)be;
    norm_job job = {y, x, w, d, eps};
    fc_par_for(n, fc_rows_per_chunk(d), rmsnorm_rows, &job);
}

static void add_rmsnorm(fc_backend *be, float *x, const float *y, const float *w,
                        int64_t n, int64_t d, float eps)
{
    (void)be;
    norm_job job = {x, y, w, d, eps};
    fc_par_for(n, fc_rows_per_chunk(d), add_rmsnorm_rows, &job);
}

typedef struct rope_job {
    float *x;
    const int32_t *position;
    const float *inv_freq;
    int64_t n_heads, d;
} rope_job;

enum { ROPE_PAIRS = 256 }; /* pairs whose sines are kept at a time */

/* Sines and cosines of n pairs, once for all heads of the token. */
static void turns(float *restrict sine, float *restrict cosine, float position,
                  const float *restrict inv_freq, int64_t n)
{
    for (int64_t j = 0; j < n; j++)
        fc_sin_cos(position * inv_freq[j], &sine[j], &cosine[j]);
    if (fabsf(position) * fc_row_max(inv_freq, n, 0.0f) < FC_SIN_COS_LIMIT) return;
    for (int64_t j = 0; j < n; j++) {
        sine[j] = sinf(position * inv_freq[j]);
        cosine[j] = cosf(position * inv_freq[j]);
    }
}

/* n pairs (low[j], high[j]). */
static void turn(float *low, float *high, const float *sine, const float *cosine,
                 int64_t n)
{
    FC_EACH
    for (int64_t j = 0; j < n; j++) {
        const float a = low[j], b = high[j];
        low[j] = a * cosine[j] - b * sine[j];
        high[j] = b * cosine[j] + a * sine[j];
    }
}

static void rope_tokens(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const rope_job *const job = ctx;
    const int64_t half = job->d / 2;
    float sine[ROPE_PAIRS], cosine[ROPE_PAIRS];
    for (int64_t t = begin; t < end; t++) {
        for (int64_t j0 = 0; j0 < half; j0 += ROPE_PAIRS) {
            const int64_t n = fc_min(ROPE_PAIRS, half - j0);
            turns(sine, cosine, (float)job->position[t], job->inv_freq + j0, n);
            for (int64_t h = 0; h < job->n_heads; h++) {
                float *const low = job->x + (t * job->n_heads + h) * job->d + j0;
                turn(low, low + half, sine, cosine, n);
            }
        }
    }
}

static void rope(fc_backend *be, float *x, const int32_t *position, const float *inv_freq,
                 int64_t n_tokens, int64_t n_heads, int64_t d)
{
    (void)be;
    FC_ASSERT(d % 2 == 0);
    rope_job job = {x, position, inv_freq, n_heads, d};
    fc_par_for(n_tokens, fc_rows_per_chunk(n_heads * d), rope_tokens, &job);
}

void FC_ROWOPS(norm)(fc_cpu *cpu)
{
    cpu->ops.embed = embed;
    cpu->ops.rmsnorm = rmsnorm;
    cpu->ops.add_rmsnorm = add_rmsnorm;
    cpu->ops.rope = rope;
}
