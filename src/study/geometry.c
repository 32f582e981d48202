/* geometry.c - rows at unit length, their products and their singular values.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/geometry.h"

#include <inttypes.h>
#include <math.h>

#include "base/alloc.h"
#include "base/par.h"
#include "study/nearest_internal.h"
#include "study/singular_values_internal.h"

enum { GRAIN = 64 };

/* Lengths of both rows of a feature and their product, in double. */
typedef struct lengths {
    const fc_sae *sae;
    double *encoder, *decoder, *product; /* [d_sae] each */
} lengths;

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0.0;
    for (int64_t j = 0; j < n; j++) sum += (double)a[j] * (double)b[j];
    return sum;
}

static void measure_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const lengths *l = ctx;
    const int64_t d_in = l->sae->d_in, d_out = l->sae->d_out;
    for (int64_t i = begin; i < end; i++) {
        const float *enc = l->sae->w_enc + i * d_in, *dec = l->sae->w_dec + i * d_out;
        l->encoder[i] = sqrt(dot(enc, enc, d_in));
        l->decoder[i] = sqrt(dot(dec, dec, d_out));
        l->product[i] = d_in == d_out ? dot(enc, dec, d_in) : 0.0;
    }
}

/* The three distributions that features have alone. Values of the features looked at move to the front. */
static fc_status take_lengths(fc_geometry *g, lengths *l, const bool *is_live,
                              fc_err *err)
{
    int64_t n = 0, n_cosines = 0;
    fc_par_for(l->sae->d_sae, GRAIN, measure_rows, l);
    for (int64_t i = 0; i < l->sae->d_sae; i++) {
        const double enc = l->encoder[i], dec = l->decoder[i];
        if (is_live != NULL && !is_live[i]) continue;
        if (!isfinite(enc) || !isfinite(dec))
            return fc_fail(err, FC_FORMAT,
                           "the SAE's feature %" PRId64
                           " has a weight that is not finite, expected finite weights",
                           i);
        l->encoder[n] = enc;
        l->decoder[n++] = dec;
        if (enc > 0.0 && dec > 0.0 && l->sae->d_in == l->sae->d_out)
            l->product[n_cosines++] = l->product[i] / (enc * dec);
    }
    g->n_features = n;
    g->encoder_norm = fc_quantiles_of(l->encoder, n);
    g->decoder_norm = fc_quantiles_of(l->decoder, n);
    g->encoder_decoder_cosine = fc_quantiles_of(l->product, n_cosines);
    return FC_OK;
}

static fc_status take_nearest(fc_quantiles *quantiles, const float *unit, int64_t n,
                              int64_t d, fc_backend *be, fc_err *err)
{
    const fc_near_rows rows = {
        .a = unit, .b = unit, .n_a = n, .n_b = n, .d = d, .is_same = true, .job = "eval"};
    fc_nearest nearest;
    double *cosine = NULL;
    int64_t n_found = 0;
    fc_status status;
    FC_TRY(fc_nearest_find(&nearest, &rows, 1, be, err));
    FC_TRY_GOTO(fc_alloc(&cosine, n, sizeof *cosine, "cosines", err));
    for (int64_t i = 0; i < n; i++)
        if (nearest.count[i] > 0) cosine[n_found++] = nearest.list[i].score;
    *quantiles = fc_quantiles_of(cosine, n_found);
done:
    fc_nearest_deinit(&nearest);
    fc_free(cosine);
    return status;
}

static fc_status take_ranks(fc_geometry *g, const float *unit, int64_t n, int64_t d,
                            fc_err *err)
{
    const int64_t k = fc_min(n, d);
    double *sigma = NULL, sum = 0.0, squares = 0.0, fourths = 0.0, entropy = 0.0;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&sigma, k, sizeof *sigma, "singular values", err));
    FC_TRY_GOTO(fc_singular_values(unit, n, d, sigma, err));
    for (int64_t i = 0; i < k; i++) {
        const double square = sigma[i] * sigma[i];
        sum += sigma[i];
        squares += square;
        fourths += square * square;
        g->decoder_rank += sigma[i] > 1e-6 * sigma[0];
    }
    for (int64_t i = 0; i < k; i++)
        if (sigma[i] > 0.0) entropy -= sigma[i] / sum * log(sigma[i] / sum);
    if (k > 0 && sum > 0.0) {
        g->decoder_effective_rank = exp(entropy);
        g->decoder_participation = squares * squares / fourths;
    }
done:
    fc_free(sigma);
    return status;
}

/* What needs a matrix of unit rows: of the encoder neighbours alone, of the decoder ranks too. */
static fc_status take_directions(fc_geometry *g, const float *w, const fc_sae *sae,
                                 const bool *is_live, fc_backend *be, fc_err *err)
{
    const bool is_decoder = w == sae->w_dec;
    const int64_t d = is_decoder ? sae->d_out : sae->d_in;
    fc_unit_rows rows;
    fc_status status;
    FC_TRY(fc_unit_rows_of(&rows, w, is_live, sae->d_sae, d, be, err));
    FC_TRY_GOTO(take_nearest(is_decoder ? &g->decoder_nearest : &g->encoder_nearest,
                             rows.unit, rows.n, d, be, err));
    if (is_decoder) FC_TRY_GOTO(take_ranks(g, rows.unit, rows.n, d, err));
done:
    fc_unit_rows_deinit(&rows);
    return status;
}

fc_status fc_geometry_measure(fc_geometry *geometry, const fc_sae *sae,
                              const bool *is_live, fc_backend *be, fc_err *err)
{
    const int64_t n = sae->d_sae;
    fc_geometry g = {0};
    lengths l = {.sae = sae};
    fc_status status;
    *geometry = g;
    FC_TRY_GOTO(fc_alloc(&l.encoder, n, sizeof *l.encoder, "lengths of rows", err));
    FC_TRY_GOTO(fc_alloc(&l.decoder, n, sizeof *l.decoder, "lengths of rows", err));
    FC_TRY_GOTO(fc_alloc(&l.product, n, sizeof *l.product, "lengths of rows", err));
    FC_TRY_GOTO(take_lengths(&g, &l, is_live, err));
    FC_TRY_GOTO(take_directions(&g, sae->w_dec, sae, is_live, be, err));
    FC_TRY_GOTO(take_directions(&g, sae->w_enc, sae, is_live, be, err));
    *geometry = g;
done:
    fc_free(l.encoder);
    fc_free(l.decoder);
    fc_free(l.product);
    return status;
}
