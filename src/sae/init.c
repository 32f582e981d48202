/* init.c - three protocols for start weights.
 *
 *   linear     what two torch.nn.Linear layers begin with, Linear(d, F) and Linear(F, d):
 *                W_enc, b_enc ~ U(-1/sqrt(d), 1/sqrt(d));  W_dec, b_dec ~ U(-1/sqrt(F), 1/sqrt(F))
 *   tied_unit  W_dec rows uniform on the unit sphere, W_enc = W_dec^T, biases 0
 *   saelens    W_dec Kaiming-uniform with rows scaled to norm 0.1, W_enc = W_dec^T, biases 0
 *
 * A transcoder's two matrices lie in different spaces: its W_enc is drawn as its W_dec is, not tied.
 * Thresholds begin at jumprelu_threshold, gates and skip paths at 0.
 *
 * The seed experiment used linear. Its decoder starts with rows of norm sqrt(d / 3F), so nearly
 * every feature has to be pulled up by the data; many die on the way.
 * The draw of a weight depends on its place alone: W_enc, b_enc, W_dec, b_dec are numbered
 * through, feature-major.
 *
 * b_dec may then be moved to the middle of the data, the mean of the first batch or the point with
 * the smallest sum of distances, by Weiszfeld's iteration: m = sum_t w_t y_t / sum_t w_t with
 * w_t = 1 / ||y_t - m||, from the mean, until m moves by less than 1e-5.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/init.h"

#include <math.h>
#include <string.h>

#include "base/par.h"
#include "base/rng.h"
#include "sae/arch.h"

typedef struct draw {
    float *w;
    uint64_t seed, first; /* number of w[0] */
    double bound;         /* uniform in [-bound, bound); 0: standard normal */
} draw;

static void draw_chunk(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const draw *d = ctx;
    for (int64_t i = begin; i < end; i++) {
        const uint64_t index = d->first + (uint64_t)i;
        const double x =
            d->bound > 0.0
                ? d->bound * (2.0 * fc_rng_uniform(d->seed, FC_RNG_WEIGHTS, index) - 1.0)
                : fc_rng_normal(d->seed, FC_RNG_WEIGHTS, index);
        d->w[i] = (float)x;
    }
}

/* Fills w[n] and advances the count of draws. */
static void fill(float *w, int64_t n, uint64_t seed, uint64_t *first, double bound)
{
    draw d = {w, seed, *first, bound};
    fc_par_for(n, 4096, draw_chunk, &d);
    *first += (uint64_t)n;
}

void fc_sae_init_weights(fc_sae *sae, const fc_train_config *config, fc_backend *be)
{
    const uint64_t seed = (uint64_t)config->seed;
    const int64_t n = sae->d_in * sae->d_sae, n_dec = sae->d_out * sae->d_sae;
    const double enc_bound = 1.0 / sqrt((double)sae->d_in);
    const double dec_bound = 1.0 / sqrt((double)sae->d_sae);
    uint64_t first = 0;
    switch ((fc_init)config->init) {
    case FC_INIT_LINEAR:
        fill(sae->w_enc, n, seed, &first, enc_bound);
        fill(sae->b_enc, sae->d_sae, seed, &first, enc_bound);
        fill(sae->w_dec, n_dec, seed, &first, dec_bound);
        fill(sae->b_dec, sae->d_out, seed, &first, dec_bound);
        break;
    case FC_INIT_TIED_UNIT:
    case FC_INIT_SAELENS: {
        const bool is_saelens = config->init == FC_INIT_SAELENS;
        const float length = is_saelens ? 0.1f : 1.0f;
        fill(sae->w_dec, n_dec, seed, &first, is_saelens ? enc_bound : 0.0);
        be->ops->unit_rows(be, sae->w_dec, NULL, sae->d_sae, sae->d_out, length);
        if (fc_arch_at(config->arch)->is_transcoder) {
            fill(sae->w_enc, n, seed, &first, is_saelens ? enc_bound : 0.0);
            be->ops->unit_rows(be, sae->w_enc, NULL, sae->d_sae, sae->d_in, length);
        } else {
            memcpy(sae->w_enc, sae->w_dec, (size_t)n * sizeof(float));
        }
        break;
    }
    }
    if (config->unit_norm_decoder)
        be->ops->unit_rows(be, sae->w_dec, NULL, sae->d_sae, sae->d_out, 1.0f);
    for (int64_t i = 0; sae->threshold != NULL && i < sae->d_sae; i++)
        sae->threshold[i] = (float)config->jumprelu_threshold;
}

/* --- b_dec -------------------------------------------------------------------------------- */

enum { MEDIAN_STEPS = 100 };

/* next = the mean of y weighted by 1 / distance to m; m NULL: unweighted. */
static void weighted_mean(double *next, const double *m, const float *y, int64_t n,
                          int64_t d)
{
    double weights = 0.0;
    for (int64_t j = 0; j < d; j++) next[j] = 0.0;
    for (int64_t t = 0; t < n; t++) {
        const float *const row = y + t * d;
        double distance = 1.0, sum = 0.0;
        for (int64_t j = 0; m != NULL && j < d; j++) {
            const double apart = (double)row[j] - m[j];
            sum += apart * apart;
        }
        if (m != NULL) distance = fmax(sqrt(sum), 1e-12);
        for (int64_t j = 0; j < d; j++) next[j] += (double)row[j] / distance;
        weights += 1.0 / distance;
    }
    for (int64_t j = 0; j < d; j++) next[j] /= weights;
}

void fc_sae_init_b_dec(fc_sae *sae, const fc_train_config *config, const float *y,
                       int64_t n, double *scratch)
{
    const int64_t d = sae->d_out;
    double *m = scratch, *next = scratch + d, moved = 1.0;
    if (config->b_dec_init == FC_B_DEC_ZERO) return;
    weighted_mean(m, NULL, y, n, d);
    for (int k = 0;
         config->b_dec_init == FC_B_DEC_MEDIAN && k < MEDIAN_STEPS && moved >= 1e-5; k++)
    {
        double *const before = m;
        weighted_mean(next, m, y, n, d);
        moved = 0.0;
        for (int64_t j = 0; j < d; j++) moved += (next[j] - m[j]) * (next[j] - m[j]);
        moved = sqrt(moved);
        m = next;
        next = before;
    }
    for (int64_t j = 0; j < d; j++) sae->b_dec[j] = (float)m[j];
}
