/* rowops_elem.c - operations on single elements, and the loss over a row of logits.
 *
 *   gelu_mul       y = 0.5 g (1 + tanh(sqrt(2/pi) (g + 0.044715 g^3))) u
 *   softcap        x = c tanh(x / c)
 *   cross_entropy  nll = log sum exp(x) - x[target]
 *   kl_divergence  with a, b less their largest: sum e^a (a - b) / sum e^a
 *                  + log sum e^b - log sum e^a
 *   adam           Kingma and Ba 2015, in the order of roundings of torch.optim.Adam
 *
 * Compiled once for each instruction set (FC_ISA).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <float.h>

#include "tensor/cpu/matmul_runs_internal.h"
#include "tensor/cpu/rowops_internal.h"

typedef struct gelu_job {
    void *y;
    fc_dtype y_dtype;
    const float *gate, *up;
} gelu_job;

static void gelu_run(float *y, const float *gate, const float *up, int64_t n)
{
    FC_EACH
    for (int64_t i = 0; i < n; i++) y[i] = fc_gelu_tanh(gate[i]) * up[i];
}

/* As bf16 by pieces that stay in L1. */
static void gelu_mul_part(int64_t begin, int64_t end, int worker, void *ctx)
{
    enum { PIECE = 1024 };
    (void)worker;
    const gelu_job *const job = ctx;
    const float *const gate = job->gate, *const up = job->up;
    if (job->y_dtype == FC_F32) {
        gelu_run((float *)job->y + begin, gate + begin, up + begin, end - begin);
        return;
    }
    _Alignas(64) float piece[PIECE];
    for (int64_t i = begin; i < end; i += PIECE) {
        const int64_t n = fc_min(PIECE, end - i);
        gelu_run(piece, gate + i, up + i, n);
        fc_run_to_bf16((unsigned char *)job->y + i * 2, piece, n);
    }
}

static void gelu_mul(fc_backend *be, void *y, fc_dtype y_dtype, const float *gate,
                     const float *up, int64_t n)
{
    (void)be;
    FC_ASSERT(y_dtype == FC_F32 || y_dtype == FC_BF16);
    gelu_job job = {y, y_dtype, gate, up};
    fc_par_for(n, FC_CHUNK, gelu_mul_part, &job);
}

typedef struct elem_job {
    float *x;
    float s;
} elem_job;

static void softcap_part(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const elem_job *const job = ctx;
    float *const x = job->x;
    const float c = job->s;
    FC_EACH
    for (int64_t i = begin; i < end; i++) x[i] = c * fc_tanh(x[i] / c);
}

static void softcap(fc_backend *be, float *x, int64_t n, float c)
{
    (void)be;
    elem_job job = {x, c};
    fc_par_for(n, FC_CHUNK, softcap_part, &job);
}

static void scale_part(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const elem_job *const job = ctx;
    float *const x = job->x;
    const float s = job->s;
    FC_EACH
    for (int64_t i = begin; i < end; i++) x[i] *= s;
}

static void scale(fc_backend *be, float *x, int64_t n, float s)
{
    (void)be;
    elem_job job = {x, s};
    fc_par_for(n, FC_CHUNK, scale_part, &job);
}

typedef struct loss_job {
    float *nll;
    const float *logits;
    const int32_t *target;
    int64_t n_vocab;
} loss_job;

/* Sum of e^(x - shift) over a row, by pieces that stay in L1. */
static float sum_exp(const float *x, int64_t n, float shift)
{
    float piece[256];
    fc_lanes lanes;
    fc_lanes_set(&lanes, 0.0f);
    for (int64_t i = 0; i < n; i += 256) {
        const int64_t n_piece = fc_min(256, n - i), n_full = n_piece / 16 * 16;
        for (int64_t j = 0; j < n_piece; j++) piece[j] = fc_exp(x[i + j] - shift);
        for (int64_t j = 0; j < n_full; j += 16) fc_lanes_sum(&lanes, piece + j);
        if (n_full < n_piece) {
            float rest[16];
            fc_lanes_rest(rest, piece + n_full, n_piece - n_full, 0.0f);
            fc_lanes_sum(&lanes, rest);
        }
    }
    return fc_lanes_fold(&lanes);
}

static void cross_entropy_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const loss_job *const job = ctx;
    for (int64_t t = begin; t < end; t++) {
        const float *const x = job->logits + t * job->n_vocab;
        const float largest = fc_row_max(x, job->n_vocab, -INFINITY);
        const double sum = (double)sum_exp(x, job->n_vocab, largest);
        job->nll[t] = (float)(log(sum) + ((double)largest - (double)x[job->target[t]]));
    }
}

static void cross_entropy(fc_backend *be, float *nll, const float *logits,
                          const int32_t *target, int64_t n, int64_t n_vocab)
{
    (void)be;
    loss_job job = {nll, logits, target, n_vocab};
    fc_par_for(n, fc_rows_per_chunk(n_vocab), cross_entropy_rows, &job);
}

typedef struct kl_job {
    float *kl;
    const float *a, *b;
    int64_t n_vocab;
} kl_job;

/* By pieces that stay in L1; what fills up the last one has no weight. */
static float kl_of_row(const float *a, const float *b, int64_t n)
{
    enum { PIECE = 256 };
    const float max_a = fc_row_max(a, n, -INFINITY), max_b = fc_row_max(b, n, -INFINITY);
    float e[PIECE], f[PIECE], difference[PIECE];
    fc_lanes sum_a, sum_b, sum;
    fc_lanes_set(&sum_a, 0.0f);
    fc_lanes_set(&sum_b, 0.0f);
    fc_lanes_set(&sum, 0.0f);
    for (int64_t i = 0; i < n; i += PIECE) {
        const int64_t n_piece = fc_min(PIECE, n - i);
        for (int64_t j = 0; j < n_piece; j++) {
            const float x = a[i + j] - max_a, y = b[i + j] - max_b;
            e[j] = fc_exp(x);
            f[j] = fc_exp(y);
            difference[j] = x - y;
        }
        for (int64_t j = n_piece; j % 16 != 0; j++) e[j] = f[j] = difference[j] = 0.0f;
        for (int64_t j = 0; j < n_piece; j += 16) {
            fc_lanes_sum(&sum_a, e + j);
            fc_lanes_sum(&sum_b, f + j);
            fc_lanes_dot(&sum, e + j, difference + j);
        }
    }
    const double total_a = (double)fc_lanes_fold(&sum_a);
    const double total_b = (double)fc_lanes_fold(&sum_b);
    return (float)((double)fc_lanes_fold(&sum) / total_a + log(total_b) - log(total_a));
}

static void kl_divergence_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const kl_job *const job = ctx;
    for (int64_t t = begin; t < end; t++)
        job->kl[t] =
            kl_of_row(job->a + t * job->n_vocab, job->b + t * job->n_vocab, job->n_vocab);
}

static void kl_divergence(fc_backend *be, float *kl, const float *a, const float *b,
                          int64_t n, int64_t n_vocab)
{
    (void)be;
    kl_job job = {kl, a, b, n_vocab};
    fc_par_for(n, fc_rows_per_chunk(n_vocab), kl_divergence_rows, &job);
}

typedef struct adam_job {
    float *w, *m, *v;
    const float *g;
    float one_less_beta1, beta2, one_less_beta2, step_size, root_correction2, eps;
} adam_job;

static void adam_part(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const adam_job job = *(const adam_job *)ctx;
    float *restrict const w = job.w, *restrict const m = job.m, *restrict const v = job.v;
    const float *restrict const g = job.g;
    for (int64_t i = begin; i < end; i++) {
        const float m_new = fmaf(g[i] - m[i], job.one_less_beta1, m[i]);
        const float v_new = fmaf(job.one_less_beta2 * g[i], g[i], job.beta2 * v[i]);
        const float denominator = sqrtf(v_new) / job.root_correction2 + job.eps;
        m[i] = fabsf(m_new) < FLT_MIN ? 0.0f : m_new;
        v[i] = v_new;
        w[i] = w[i] - job.step_size * m_new / denominator;
    }
}

static void adam(fc_backend *be, float *w, float *m, float *v, const float *g, int64_t n,
                 const fc_adam *adam)
{
    (void)be;
    const double step = (double)adam->step;
    const double correction1 = 1.0 - pow(adam->beta1, step);
    const double correction2 = 1.0 - pow(adam->beta2, step);
    adam_job job = {
        .w = w,
        .m = m,
        .v = v,
        .g = g,
        .one_less_beta1 = (float)(1.0 - adam->beta1),
        .beta2 = (float)adam->beta2,
        .one_less_beta2 = (float)(1.0 - adam->beta2),
        .step_size = (float)(adam->lr / correction1),
        .root_correction2 = (float)sqrt(correction2),
        .eps = (float)adam->eps,
    };
    fc_par_for(n, FC_CHUNK, adam_part, &job);
}

typedef struct convert_job {
    unsigned char *y;
    const unsigned char *x;
    fc_dtype y_dtype, x_dtype;
} convert_job;

static void convert_part(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const convert_job *const job = ctx;
    const int64_t x_size = job->x_dtype == FC_F32 ? 4 : 2, n = end - begin;
    const unsigned char *const x = job->x + begin * x_size;
    if (job->y_dtype == FC_F32) {
        fc_run_to_f32((float *)(void *)job->y + begin, x, job->x_dtype, n);
    } else if (job->x_dtype == FC_BF16) {
        memcpy(job->y + begin * 2, x, (size_t)n * 2);
    } else {
        fc_run_to_bf16(job->y + begin * 2, x, n);
    }
}

static void convert(fc_backend *be, void *y, fc_dtype y_dtype, const void *x,
                    fc_dtype x_dtype, int64_t n)
{
    (void)be;
    FC_ASSERT(y_dtype == FC_F32 || y_dtype == FC_BF16);
    FC_ASSERT(x_dtype == FC_F32 || x_dtype == FC_BF16);
    convert_job job = {y, x, y_dtype, x_dtype};
    fc_par_for(n, FC_CHUNK, convert_part, &job);
}

void FC_ROWOPS(elem)(fc_cpu *cpu)
{
    cpu->ops.gelu_mul = gelu_mul;
    cpu->ops.softcap = softcap;
    cpu->ops.scale = scale;
    cpu->ops.cross_entropy = cross_entropy;
    cpu->ops.kl_divergence = kl_divergence;
    cpu->ops.adam = adam;
    cpu->ops.convert = convert;
}
