/* rates.c - thresholds by selection: the k-th largest pre-activation of each feature.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "bench/rates.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/par.h"
#include "base/rng.h"

/* Streams of FC_RNG_TEST's kind, far from those of training. */
enum { STREAM_RATE = 1 << 20, STREAM_DEAD, STREAM_ROUND, STREAM_ROWS };

enum { CHUNK = 512 }; /* features at a time */

/* --- rates -------------------------------------------------------------------------------- */

static double capped_mean(const double *weight, int64_t n, double scale)
{
    const double CAP = 0.9;
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) sum += fmin(CAP, scale * weight[i]);
    return n > 0 ? sum / (double)n : 0.0;
}

/* The scale at which the mean is the one wanted; it grows with the scale. */
static double find_scale(const double *weight, int64_t n, double mean)
{
    double low = 0.0, high = 1.0;
    while (capped_mean(weight, n, high) < mean && high < 1e12) high *= 2.0;
    for (int i = 0; i < 60; i++) {
        const double middle = 0.5 * (low + high);
        if (capped_mean(weight, n, middle) < mean)
            low = middle;
        else
            high = middle;
    }
    return high;
}

fc_status fc_rates_draw(double *rate, const fc_rates *r, fc_err *err)
{
    uint32_t *order = NULL;
    double *weight = NULL;
    const int64_t n_alive = r->n - r->n_dead;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&order, r->n, sizeof *order, "an order of features", err));
    FC_TRY_GOTO(fc_alloc(&weight, n_alive, sizeof *weight, "firing rates", err));
    for (int64_t i = 0; i < n_alive; i++)
        weight[i] = pow(10.0, 0.6 * fc_rng_normal(r->seed, STREAM_RATE, (uint64_t)i));
    const double scale = find_scale(weight, n_alive, r->mean);
    fc_rng_permutation(r->seed, STREAM_DEAD, r->n, order);
    for (int64_t i = 0; i < r->n; i++)
        rate[order[i]] = i < n_alive ? fmin(0.9, scale * weight[i]) : 0.0;
done:
    fc_free(weight);
    fc_free(order);
    return status;
}

/* --- rows --------------------------------------------------------------------------------- */

typedef struct draw {
    float *x;
    uint64_t seed;
} draw;

static void draw_chunk(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const draw *const d = ctx;
    for (int64_t i = begin; i < end; i++)
        d->x[i] = (float)fc_rng_normal(d->seed, STREAM_ROWS, (uint64_t)i);
}

void fc_unit_rows(float *x, fc_backend *be, int64_t n, int64_t d, uint64_t seed)
{
    draw ctx = {x, seed};
    fc_par_for(n * d, 4096, draw_chunk, &ctx);
    be->ops->unit_rows(be, x, NULL, n, d, 1.0f);
}

/* --- thresholds --------------------------------------------------------------------------- */

/* Orders z[n] so that z[k] is the k-th largest, larger ones before it. Hoare's selection. */
static void select_largest(float *z, int64_t n, int64_t k)
{
    int64_t low = 0, high = n - 1;
    while (low < high) {
        const float pivot = z[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (z[i] > pivot) i++;
            while (z[j] < pivot) j--;
            if (i > j) break;
            const float swap = z[i];
            z[i++] = z[j];
            z[j--] = swap;
        }
        if (k <= j)
            high = j;
        else if (k >= i)
            low = i;
        else
            return;
    }
}

static float largest_of(const float *z, int64_t begin, int64_t end)
{
    float largest = z[begin];
    for (int64_t i = begin + 1; i < end; i++) largest = z[i] > largest ? z[i] : largest;
    return largest;
}

/* Exceeded by k of the values of z[n]: halfway between two of them. */
static float threshold(float *z, int64_t n, int64_t k)
{
    if (k <= 0) { /* with room for rounding */
        const float largest = largest_of(z, 0, n);
        return largest + fabsf(largest);
    }
    select_largest(z, n, k - 1);
    const float inside = z[k - 1];
    if (k >= n) return inside - fabsf(inside);
    return 0.5f * inside + 0.5f * largest_of(z, k, n);
}

typedef struct thresholds {
    float *z; /* [CHUNK, n] */
    int64_t n, first;
    const double *rate;
    float *b_enc;
    uint64_t seed;
} thresholds;

static void set_thresholds(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const thresholds *const t = ctx;
    for (int64_t i = begin; i < end; i++) {
        const int64_t feature = t->first + i;
        const double wanted = t->rate[feature] * (double)t->n;
        const double up = fc_rng_uniform(t->seed, STREAM_ROUND, (uint64_t)feature);
        const int64_t k = (int64_t)(wanted + up);
        t->b_enc[feature] = -threshold(t->z + i * t->n, t->n, k);
    }
}

fc_status fc_rates_set(fc_sae *sae, fc_backend *be, const float *x, int64_t n,
                       const double *rate, uint64_t seed, fc_err *err)
{
    thresholds t = {.n = n, .rate = rate, .b_enc = sae->b_enc, .seed = seed};
    const fc_mat in = fc_mat_transposed(fc_mat_of(x, FC_F32, n, sae->d_in));
    FC_TRY(fc_alloc(&t.z, CHUNK * n, sizeof *t.z, "pre-activations", err));
    for (t.first = 0; t.first < sae->d_sae; t.first += CHUNK) {
        const int64_t n_features = fc_min(CHUNK, sae->d_sae - t.first);
        const fc_mat w =
            fc_mat_of(sae->w_enc + t.first * sae->d_in, FC_F32, n_features, sae->d_in);
        be->ops->matmul(be, t.z, n, w, in, FC_PRECISION_F32, false);
        fc_par_for(n_features, 8, set_thresholds, &t);
    }
    fc_free(t.z);
    return FC_OK;
}
