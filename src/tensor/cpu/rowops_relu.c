/* rowops_relu.c - rows of features after the ReLU: the few entries above 0 as a list, or the
 * whole row where they are many.
 *
 *   f = max(z + b_row, 0)      [n_rows, n], with count, sum and largest of each row
 *
 * A row turns out to be a list or whole when it is counted, so its list is written first; if there
 * were too many, the whole row replaces it, read from L1. Compressing into memory is microcoded on
 * some machines, ten times as slow as compressing into a register and storing all of it.
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

/* --- 16 entries --------------------------------------------------------------------------- */

#if defined(__AVX512F__)

/* f = max(z + bias, 0) and a bit for each entry above 0. */
static inline uint32_t relu_16(fc_lanes *f, const float *z, float bias)
{
    const __m512 x = _mm512_add_ps(_mm512_loadu_ps(z), _mm512_set1_ps(bias));
    const __mmask16 is_on = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GT_OQ);
    f->all = _mm512_maskz_mov_ps(is_on, x);
    return is_on;
}

static inline void add_16(fc_lanes *sum, const fc_lanes *f)
{
    sum->all = _mm512_add_ps(sum->all, f->all);
}

static inline void max_16(fc_lanes *max, const fc_lanes *f)
{
    max->all = _mm512_max_ps(f->all, max->all);
}

/* Entries that are on, as a list of `begin` + lane. Whole vectors are written: what follows the
 * list is overwritten by the next 16, or is never read. */
static inline void append_16(int32_t *index, float *value, const fc_lanes *f,
                             uint32_t is_on, int64_t begin)
{
    const __m512i lane =
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i at = _mm512_add_epi32(lane, _mm512_set1_epi32((int)begin));
    _mm512_storeu_si512(index, _mm512_maskz_compress_epi32((__mmask16)is_on, at));
    _mm512_storeu_ps(value, _mm512_maskz_compress_ps((__mmask16)is_on, f->all));
}

#else

#    if defined(__AVX2__)

static inline __m256 relu_8(const float *z, float bias, uint32_t *is_on)
{
    const __m256 x = _mm256_add_ps(_mm256_loadu_ps(z), _mm256_set1_ps(bias));
    const __m256 mask = _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_GT_OQ);
    *is_on = (uint32_t)_mm256_movemask_ps(mask);
    return _mm256_and_ps(mask, x);
}

static inline uint32_t relu_16(fc_lanes *f, const float *z, float bias)
{
    uint32_t low, high;
    f->low = relu_8(z, bias, &low);
    f->high = relu_8(z + 8, bias, &high);
    return low | high << 8;
}

static inline void add_16(fc_lanes *sum, const fc_lanes *f)
{
    sum->low = _mm256_add_ps(sum->low, f->low);
    sum->high = _mm256_add_ps(sum->high, f->high);
}

static inline void max_16(fc_lanes *max, const fc_lanes *f)
{
    max->low = _mm256_max_ps(f->low, max->low);
    max->high = _mm256_max_ps(f->high, max->high);
}

#    else

static inline uint32_t relu_16(fc_lanes *f, const float *z, float bias)
{
    uint32_t is_on = 0;
    for (int l = 0; l < 16; l++) {
        const float x = z[l] + bias;
        f->at[l] = x > 0.0f ? x : 0.0f;
        is_on |= (uint32_t)(x > 0.0f) << l;
    }
    return is_on;
}

static inline void add_16(fc_lanes *sum, const fc_lanes *f)
{
    for (int l = 0; l < 16; l++) sum->at[l] += f->at[l];
}

static inline void max_16(fc_lanes *max, const fc_lanes *f)
{
    for (int l = 0; l < 16; l++)
        max->at[l] = f->at[l] > max->at[l] ? f->at[l] : max->at[l];
}

#    endif

static inline void append_16(int32_t *index, float *value, const fc_lanes *f,
                             uint32_t is_on, int64_t begin)
{
    float entry[16];
    fc_lanes_store(entry, f);
    for (; is_on != 0; is_on &= is_on - 1) {
        const int l = __builtin_ctz(is_on);
        *index++ = (int32_t)(begin + l);
        *value++ = entry[l];
    }
}

#endif

/* --- rows --------------------------------------------------------------------------------- */

typedef struct row_summary {
    int64_t count;
    float sum, max;
} row_summary;

/* The list of a row and its summary; index NULL: only the latter. Most vectors have nothing above 0
 * and cost a comparison. */
static row_summary list_row(int32_t *index, float *value, const float *z, float bias,
                            int64_t n)
{
    row_summary s = {0, 0, 0};
    fc_lanes sum, max, f;
    fc_lanes_set(&sum, 0.0f);
    fc_lanes_set(&max, 0.0f);
    for (int64_t i = 0; i < n; i += 16) {
        const float *at = z + i;
        float rest[16];
        if (i + 16 > n) {
            fc_lanes_rest(rest, at, n - i, -HUGE_VALF);
            at = rest;
        }
        const uint32_t is_on = relu_16(&f, at, bias);
        if (is_on == 0) continue;
        add_16(&sum, &f);
        max_16(&max, &f);
        if (index != NULL) append_16(index + s.count, value + s.count, &f, is_on, i);
        s.count += __builtin_popcount(is_on);
    }
    float part[16];
    fc_lanes_store(part, &max);
    for (int l = 0; l < 16; l++) s.max = part[l] > s.max ? part[l] : s.max;
    s.sum = fc_lanes_fold(&sum);
    return s;
}

static void write_whole(float *restrict value, const float *restrict z, float bias,
                        int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const float x = z[i] + bias;
        value[i] = x > 0.0f ? x : 0.0f;
    }
}

static void relu_rows_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const relu_job *const job = ctx;
    const fc_feature_rows *const to = job->to;
    for (int64_t r = begin; r < end; r++) {
        const float *const z = job->z + r * job->z_row;
        float *const value = to->value + r * to->value_row;
        int32_t *const index = to->n_list >= 0 ? to->index + r * to->index_row : NULL;
        const row_summary s = list_row(index, value, z, job->bias[r], job->n);
        to->count[r] = s.count;
        if (to->sum != NULL) to->sum[r] = (double)s.sum;
        if (to->max != NULL) to->max[r] = s.max;
        if (s.count > to->n_list) write_whole(value, z, job->bias[r], job->n);
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
