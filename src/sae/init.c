/* init.c - three protocols for start weights.
 *
 *   linear     what two torch.nn.Linear layers begin with, Linear(d, F) and Linear(F, d):
 *                W_enc, b_enc ~ U(-1/sqrt(d), 1/sqrt(d));  W_dec, b_dec ~ U(-1/sqrt(F), 1/sqrt(F))
 *   tied_unit  W_dec rows uniform on the unit sphere, W_enc = W_dec^T, biases 0
 *   saelens    W_dec Kaiming-uniform with rows scaled to norm 0.1, W_enc = W_dec^T, biases 0
 *
 * The seed experiment used linear. Its decoder starts with rows of norm sqrt(d / 3F), so nearly
 * every feature has to be pulled up by the data; many die on the way.
 * The draw of a weight depends on its place alone: W_enc, b_enc, W_dec, b_dec are numbered
 * through, feature-major.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/init.h"

#include <math.h>
#include <string.h>

#include "base/par.h"
#include "base/rng.h"

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
    const int64_t n = sae->d_in * sae->d_sae;
    const double enc_bound = 1.0 / sqrt((double)sae->d_in);
    const double dec_bound = 1.0 / sqrt((double)sae->d_sae);
    uint64_t first = 0;
    switch ((fc_init)config->init) {
    case FC_INIT_LINEAR:
        fill(sae->w_enc, n, seed, &first, enc_bound);
        fill(sae->b_enc, sae->d_sae, seed, &first, enc_bound);
        fill(sae->w_dec, n, seed, &first, dec_bound);
        fill(sae->b_dec, sae->d_in, seed, &first, dec_bound);
        break;
    case FC_INIT_TIED_UNIT:
    case FC_INIT_SAELENS: {
        const bool is_saelens = config->init == FC_INIT_SAELENS;
        fill(sae->w_dec, n, seed, &first, is_saelens ? enc_bound : 0.0);
        be->ops->unit_rows(be, sae->w_dec, NULL, sae->d_sae, sae->d_in,
                           is_saelens ? 0.1f : 1.0f);
        memcpy(sae->w_enc, sae->w_dec, (size_t)n * sizeof(float));
        break;
    }
    }
    if (config->unit_norm_decoder)
        be->ops->unit_rows(be, sae->w_dec, NULL, sae->d_sae, sae->d_in, 1.0f);
}
