/* attention.c - causal softmax attention on ragged sequences, by blocks.
 *
 *   z_a = sum over visible b of softmax_b(scale q_a . k_b) v_b
 *   b is visible to a when b <= a and, with a window W, b > a - W
 *
 * A task is some tokens of one sequence and the query heads that share a key head: up to 112
 * rows (token, head). It goes once over the visible keys, 128 at a time, at fixed borders:
 *
 *   S = Q K^T            [rows, 128]   the register kernel of the precision
 *   P = exp(S - max)                   with the largest score so far; earlier sums are rescaled
 *   Z = Z c + P V        [rows, d]     the same kernel
 *
 * and divides by the sum of P at the end. So the softmax is exact, memory is a block for each
 * thread however long the sequence is, and a key block is packed once for all its heads. After
 * FlashAttention-2 (Dao 2023, arXiv 2307.08691). A block that a row cannot see leaves it as it
 * was, so how tokens are dealt out to tasks does not show.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/par.h"
#include "tensor/cpu/cpu_internal.h"

enum { KEYS = 128 }; /* keys in a block */

typedef struct attend_job {
    const fc_cpu *cpu;
    const fc_gemm *gemm;
    bool is_rounded; /* operands of products */
    float *z;
    const float *q, *k, *v;
    fc_ragged seqs;
    fc_attention shape;
    int64_t heads_per_task, tokens_per_task; /* their product is the rows of a task */
    int64_t n_head_tasks;                    /* tasks for the heads of one token block */
} attend_job;

/* The rows of one task that belong to one sequence. */
typedef struct segment {
    int64_t first_token;   /* of the sequence, in the arrays */
    int64_t begin, end;    /* positions in the sequence */
    int64_t kv_head, head; /* key head, first query head */
    int64_t n_heads;       /* query heads */
} segment;

static const float *row_of(const attend_job *job, const segment *s, int64_t row)
{
    const int64_t token = s->first_token + s->begin + row / s->n_heads;
    const int64_t head = s->head + row % s->n_heads;
    return job->q + (token * job->shape.n_heads + head) * job->shape.d_head;
}

/* Elements of a row that make one block of depth. */
static int64_t block_depth(const fc_gemm *gemm)
{
    return FC_GEMM_UNITS * gemm->k_per_unit;
}

/* n adjacent float32 as units; what is left of the last unit is zero. */
static void to_units(const fc_gemm *gemm, float *to, const float *from, int64_t n)
{
    gemm->run(to, from, FC_F32, n);
    if (n % gemm->k_per_unit != 0) memset((unsigned char *)to + n * 2, 0, 2);
}

/* [blocks of depth][n_rows][FC_GEMM_UNITS] */
static void pack_queries(const attend_job *job, const segment *s, int64_t n_rows,
                         float *to)
{
    const int64_t d = job->shape.d_head, depth = block_depth(job->gemm);
    for (int64_t j = 0; j < d; j += depth, to += n_rows * FC_GEMM_UNITS)
        for (int64_t r = 0; r < n_rows; r++)
            to_units(job->gemm, to + r * FC_GEMM_UNITS, row_of(job, s, r) + j,
                     fc_min(depth, d - j));
}

/* scores[rows, n_keys] of the keys first .. first+n_keys-1. */
static void score_keys(const attend_job *job, const segment *s, fc_scratch x,
                       int64_t n_rows, int64_t first, int64_t n_keys)
{
    const fc_gemm *const gemm = job->gemm;
    const int64_t d = job->shape.d_head, row = job->shape.n_kv_heads * d;
    const float *const keys = job->k + (s->first_token + first) * row + s->kv_head * d;
    const fc_gemm_operand from = {(const unsigned char *)keys, FC_F32, row * 4, 4};
    fc_gemm_part part = {.c = x.a,
                         .c_row = FC_GEMM_UNITS,
                         .a = x.attention,
                         .a_row = FC_GEMM_UNITS,
                         .b = x.b,
                         .m = n_rows,
                         .n = n_keys};
    const float *queries = x.attention;
    for (int64_t j = 0; j < d; j += block_depth(gemm), queries += n_rows * FC_GEMM_UNITS)
    {
        const int64_t n = fc_min(block_depth(gemm), d - j);
        fc_gemm_pack_b(gemm, x.b, &from, 0, n_keys, j, n, x.lines);
        part.a = queries;
        part.n_units = fc_ceil_div(n, gemm->k_per_unit);
        part.accumulate = j > 0;
        fc_gemm_block(gemm, &part);
    }
}

/* p[rows, n_keys] as operands of the products, each row in its place. */
static void round_weights(const fc_gemm *gemm, fc_scratch x, int64_t n_rows,
                          int64_t n_keys)
{
    const size_t n_bytes = (size_t)fc_ceil_div(n_keys, gemm->k_per_unit) * sizeof *x.a;
    for (int64_t r = 0; r < n_rows; r++) {
        float *const p = x.a + r * FC_GEMM_UNITS;
        to_units(gemm, x.lines, p, n_keys);
        memcpy(p, x.lines, n_bytes);
    }
}

/* z[rows, d] += p[rows, n_keys] v */
static void add_values(const attend_job *job, const segment *s, fc_scratch x, float *z,
                       int64_t n_rows, int64_t first, int64_t n_keys)
{
    const fc_gemm *const gemm = job->gemm;
    const int64_t d = job->shape.d_head, row = job->shape.n_kv_heads * d;
    const float *const values = job->v + (s->first_token + first) * row + s->kv_head * d;
    const fc_gemm_operand from = {(const unsigned char *)values, FC_F32, 4, row * 4};
    fc_gemm_part part = {.c_row = d,
                         .a = x.a,
                         .a_row = FC_GEMM_UNITS,
                         .b = x.b,
                         .m = n_rows,
                         .n_units = fc_ceil_div(n_keys, gemm->k_per_unit),
                         .accumulate = true};
    if (job->is_rounded) round_weights(gemm, x, n_rows, n_keys);
    for (int64_t j = 0; j < d; j += FC_GEMM_COLS) {
        part.c = z + j;
        part.n = fc_min(FC_GEMM_COLS, d - j);
        fc_gemm_pack_b(gemm, x.b, &from, j, part.n, 0, n_keys, x.lines);
        fc_gemm_block(gemm, &part);
    }
}

static void attend_segment(const attend_job *job, const segment *s, fc_scratch x)
{
    const int64_t d = job->shape.d_head, n_rows = (s->end - s->begin) * s->n_heads;
    const int64_t window = job->shape.window;
    float *const z = x.attention + FC_SCRATCH_A;
    float max[FC_GEMM_ROWS], sum[FC_GEMM_ROWS];
    pack_queries(job, s, n_rows, x.attention);
    memset(z, 0, (size_t)(n_rows * d) * sizeof *z);
    for (int64_t r = 0; r < n_rows; r++) max[r] = -INFINITY, sum[r] = 0;

    const int64_t oldest = window > 0 ? fc_max(0, s->begin - window + 1) : 0;
    for (int64_t first = oldest / KEYS * KEYS; first < s->end; first += KEYS) {
        const int64_t n_keys = fc_min(KEYS, s->end - first);
        score_keys(job, s, x, n_rows, first, n_keys);
        fc_softmax_block block = {.scores = x.a,
                                  .z = z,
                                  .max = max,
                                  .sum = sum,
                                  .d = d,
                                  .n_rows = n_rows,
                                  .n_keys = n_keys,
                                  .scale = job->shape.scale,
                                  .rows_per_position = s->n_heads,
                                  .position = s->begin - first,
                                  .window = window};
        job->cpu->softmax(&block);
        add_values(job, s, x, z, n_rows, first, n_keys);
    }
    for (int64_t r = 0; r < n_rows; r++) {
        float *const out = job->z + (row_of(job, s, r) - job->q);
        for (int64_t i = 0; i < d; i++) out[i] = z[r * d + i] / sum[r];
    }
}

/* The sequence that holds the token: the last that begins at or before it and is not empty. */
static int64_t sequence_of(const fc_ragged *seqs, int64_t token)
{
    int64_t low = 0, high = seqs->n_seqs; /* begin[low] <= token < begin[high] */
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        if (seqs->begin[middle] <= token)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static void attend_tasks(int64_t begin, int64_t end, int worker, void *ctx)
{
    const attend_job *const job = ctx;
    const fc_scratch scratch = fc_cpu_scratch(job->cpu, worker);
    const fc_attention *const shape = &job->shape;
    const int64_t group = shape->n_heads / shape->n_kv_heads;
    const int64_t n_tokens = job->seqs.begin[job->seqs.n_seqs];
    for (int64_t task = begin; task < end; task++) {
        const int64_t head_task = task % (job->n_head_tasks * shape->n_kv_heads);
        const int64_t offset = head_task % job->n_head_tasks * job->heads_per_task;
        segment s = {.kv_head = head_task / job->n_head_tasks};
        s.head = s.kv_head * group + offset;
        s.n_heads = fc_min(job->heads_per_task, group - offset);
        const int64_t block = task / (job->n_head_tasks * shape->n_kv_heads);
        const int64_t t_end = fc_min((block + 1) * job->tokens_per_task, n_tokens);
        for (int64_t t = block * job->tokens_per_task; t < t_end;) {
            const int64_t seq = sequence_of(&job->seqs, t);
            s.first_token = job->seqs.begin[seq];
            s.begin = t - s.first_token;
            t = fc_min(t_end, job->seqs.begin[seq + 1]);
            s.end = t - s.first_token;
            attend_segment(job, &s, scratch);
        }
    }
}

void fc_cpu_attention(fc_backend *be, float *z, const float *q, const float *k,
                      const float *v, fc_ragged seqs, fc_attention shape,
                      fc_precision precision)
{
    if (seqs.n_seqs <= 0 || shape.n_heads <= 0 || shape.d_head <= 0) return;
    FC_ASSERT(shape.n_kv_heads > 0 && shape.n_heads % shape.n_kv_heads == 0);
    const int64_t n_rows = FC_GEMM_ROWS / fc_ceil_div(shape.d_head, FC_GEMM_UNITS);
    FC_CHECK(n_rows > 0);
    const int64_t group = shape.n_heads / shape.n_kv_heads;
    const fc_cpu *const cpu = be->state;
    attend_job job = {.cpu = cpu,
                      .gemm = cpu->gemm[precision],
                      .is_rounded = precision != FC_PRECISION_F32,
                      .z = z,
                      .q = q,
                      .k = k,
                      .v = v,
                      .seqs = seqs,
                      .shape = shape};
    job.heads_per_task = fc_min(group, n_rows);
    job.tokens_per_task = n_rows / job.heads_per_task;
    job.n_head_tasks = fc_ceil_div(group, job.heads_per_task);
    const int64_t n_blocks = fc_ceil_div(seqs.begin[seqs.n_seqs], job.tokens_per_task);
    fc_par_for(n_blocks * job.n_head_tasks * shape.n_kv_heads, 1, attend_tasks, &job);
}
