/* rowops_select.c - the two passes over pre-activations of an exact selection.
 *
 *   bias_max      z += bias_row, and the largest key of each column
 *   kth_bound     a lower bound of the k-th largest of each column
 *   reach_row     the columns in which the key of a row reaches the bound
 *
 * with key = scale_row z. Rows are features and columns rows of the batch, so both run along rows
 * of z, and what belongs to a column is a vector. A key is formed by one multiplication in both, so
 * an entry compares the same each time.
 *
 * Compiled once for each instruction set (FC_ISA).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tensor/cpu/rowops_internal.h"

static void bias_max(fc_backend *be, float *z, int64_t z_row, const float *bias,
                     const float *scale, float *max, int64_t n_rows, int64_t n)
{
    (void)be;
    for (int64_t i = 0; i < n; i++) max[i] = -HUGE_VALF;
    for (int64_t r = 0; r < n_rows; r++) {
        float *const x = z + r * z_row;
        const float b = bias != NULL ? bias[r] : 0.0f,
                    s = scale != NULL ? scale[r] : 1.0f;
        FC_EACH
        for (int64_t i = 0; i < n; i++) {
            const float sum = x[i] + b, key = sum * s;
            x[i] = sum;
            max[i] = key > max[i] ? key : max[i];
        }
    }
}

/* --- bounds ------------------------------------------------------------------------------- */

enum {
    BISECTIONS = 16,
    COLUMNS = 16 /* looked at together */
};

/* count[l] = how many of column l are >= at least[l]. */
static void count_reaching(int32_t count[COLUMNS], const float *x, int64_t x_row,
                           int64_t n_rows, const float least[COLUMNS])
{
    int32_t n[COLUMNS] = {0};
    for (int64_t r = 0; r < n_rows; r++)
        for (int l = 0; l < COLUMNS; l++) n[l] += x[r * x_row + l] >= least[l];
    memcpy(count, n, sizeof n);
}

typedef struct bound_job {
    float *bound;
    const float *x;
    int64_t x_row, n_rows, k;
} bound_job;

/* Halves the interval between the smallest and the largest. Its lower end is always reached by k
 * entries or more, so it is a bound however far it goes. */
static void bound_columns(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const bound_job *const job = ctx;
    float low[COLUMNS], high[COLUMNS], middle[COLUMNS];
    int32_t count[COLUMNS];
    const float *const x = job->x + begin;
    for (int l = 0; l < COLUMNS; l++) {
        low[l] = HUGE_VALF;
        high[l] = -HUGE_VALF;
    }
    for (int64_t r = 0; r < job->n_rows; r++)
        for (int l = 0; l < COLUMNS; l++) {
            const float v = x[r * job->x_row + l];
            low[l] = v < low[l] && v > -HUGE_VALF ? v : low[l];
            high[l] = v > high[l] ? v : high[l];
        }
    count_reaching(count, x, job->x_row, job->n_rows, low);
    for (int l = 0; l < COLUMNS; l++) low[l] = count[l] >= job->k ? low[l] : -HUGE_VALF;
    for (int step = 0; step < BISECTIONS; step++) {
        for (int l = 0; l < COLUMNS; l++) middle[l] = low[l] + 0.5f * (high[l] - low[l]);
        count_reaching(count, x, job->x_row, job->n_rows, middle);
        for (int l = 0; l < COLUMNS; l++) {
            const bool is_low = count[l] >= job->k;
            low[l] = is_low ? middle[l] : low[l];
            high[l] = is_low ? high[l] : middle[l];
        }
    }
    memcpy(job->bound + begin, low, (size_t)(end - begin) * sizeof *low);
}

static void kth_bound(fc_backend *be, float *bound, const float *x, int64_t x_row,
                      int64_t n_rows, int64_t n, int64_t k)
{
    (void)be;
    if (k > n_rows) {
        for (int64_t i = 0; i < n; i++) bound[i] = -HUGE_VALF;
        return;
    }
    bound_job job = {.bound = bound, .x = x, .x_row = x_row, .n_rows = n_rows, .k = k};
    fc_par_for(n, COLUMNS, bound_columns, &job);
}

/* --- candidates -------------------------------------------------------------------------------- */

#if defined(__AVX512F__)

static inline uint32_t reach_16(const float *x, float s, const float *bound)
{
    const __m512 key = _mm512_mul_ps(_mm512_loadu_ps(x), _mm512_set1_ps(s));
    return _mm512_cmp_ps_mask(key, _mm512_loadu_ps(bound), _CMP_GE_OQ);
}

#elif defined(__AVX2__)

static inline uint32_t reach_16(const float *x, float s, const float *bound)
{
    uint32_t bits = 0;
    for (int h = 0; h < 16; h += 8) {
        const __m256 key = _mm256_mul_ps(_mm256_loadu_ps(x + h), _mm256_set1_ps(s));
        const __m256 mask = _mm256_cmp_ps(key, _mm256_loadu_ps(bound + h), _CMP_GE_OQ);
        bits |= (uint32_t)_mm256_movemask_ps(mask) << h;
    }
    return bits;
}

#else

static inline uint32_t reach_16(const float *x, float s, const float *bound)
{
    uint32_t bits = 0;
    for (int l = 0; l < 16; l++) bits |= (uint32_t)(x[l] * s >= bound[l]) << l;
    return bits;
}

#endif

/* Few entries are kept, so they are taken out one by one. */
static int64_t reach_row(fc_backend *be, int32_t *index, const float *z, float scale,
                         const float *bound, int64_t n)
{
    int64_t count = 0;
    (void)be;
    for (int64_t i = 0; i < n; i += 16) {
        const float *at = z + i, *least = bound + i;
        float rest[16], rest_bound[16];
        if (i + 16 > n) { /* NaN reaches nothing */
            fc_lanes_rest(rest, at, n - i, NAN);
            fc_lanes_rest(rest_bound, least, n - i, 0.0f);
            at = rest;
            least = rest_bound;
        }
        for (uint32_t on = reach_16(at, scale, least); on != 0; on &= on - 1)
            index[count++] = (int32_t)(i + __builtin_ctz(on));
    }
    return count;
}

void FC_ROWOPS(select)(fc_cpu *cpu)
{
    cpu->ops.bias_max = bias_max;
    cpu->ops.kth_bound = kth_bound;
    cpu->ops.reach_row = reach_row;
}
