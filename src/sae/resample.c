/* resample.c - dead features become what the SAE lacks most.
 *
 *   rows x of the batch are drawn with chances that grow with their squared error, each once
 *   W_dec_i = y / ||y||,  W_enc_i = 0.2 a x / ||x||,  b_enc_i = 0        a: mean ||W_enc|| of the living
 *
 * and their Adam moments begin anew. There may be fewer rows than dead features; the rest has to wait.
 * dictionary_learning's form of Bricken et al. 2023. x is the encoder's input, and y the target.
 *
 * A draw without replacement: the rows with the smallest keys -log(u) / error, u uniform
 * (Efraimidis and Spirakis 2006), u by (seed, step, row).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/resample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

static double length_of(const float *x, int64_t n)
{
    double sum = 0.0;
    for (int64_t j = 0; j < n; j++) sum += (double)x[j] * (double)x[j];
    return sqrt(sum);
}

static int by_key(const void *a, const void *b)
{
    const fc_resample_draw *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* Rows in the order in which they are drawn. The error is read off delta, up to a factor. */
static void draw_rows(const fc_step *s, fc_resample_draw *draw)
{
    const int64_t d = s->sae->d_out;
    const float *const delta =
        s->main.delta + (s->main.n_levels - 1) * s->config.batch_size * d;
    const uint64_t first = (uint64_t)s->n_done * (uint64_t)s->config.batch_size;
    for (int64_t t = 0; t < s->n; t++) {
        const double error = length_of(delta + t * d, d);
        const double u = 1.0 - fc_rng_uniform((uint64_t)s->config.seed, FC_RNG_RESAMPLE,
                                              first + (uint64_t)t); /* (0, 1] */
        draw[t].row = t;
        draw[t].key = error > 0.0 ? -log(u) / (error * error) : (double)INFINITY;
    }
    qsort(draw, (size_t)s->n, sizeof *draw, by_key);
}

static bool is_silent(const fc_step *s, int64_t i)
{
    return s->n_done - s->fired[i] > s->config.resample_every / 2;
}

static double mean_length(const fc_step *s)
{
    double sum = 0.0;
    int64_t n = 0;
    for (int64_t i = 0; i < s->sae->d_sae; i++) {
        if (is_silent(s, i)) continue;
        sum += length_of(s->sae->w_enc + i * s->sae->d_in, s->sae->d_in);
        n++;
    }
    return n > 0 ? sum / (double)n : 1.0;
}

static void copy_scaled(float *to, const float *from, int64_t n, double length)
{
    const double own = length_of(from, n);
    for (int64_t j = 0; j < n; j++)
        to[j] = own > 0.0 ? (float)((double)from[j] * length / own) : 0.0f;
}

/* Moments of feature i in parameter p, a row or an element. */
static void forget(const fc_param *p, int64_t i)
{
    const int64_t n = p->rows > 1 ? p->cols : 1;
    memset(p->m + i * n, 0, (size_t)n * sizeof *p->m);
    memset(p->v + i * n, 0, (size_t)n * sizeof *p->v);
}

static void restart(fc_step *s, int64_t i, int64_t t, double length)
{
    static const fc_sae_tensor_id per_feature[] = {FC_W_ENC,     FC_W_DEC, FC_B_ENC,
                                                   FC_THRESHOLD, FC_R_MAG, FC_B_MAG};
    fc_sae *sae = s->sae;
    const int64_t d_in = sae->d_in, d_out = sae->d_out;
    copy_scaled(sae->w_enc + i * d_in, s->codes->input + t * d_in, d_in, length);
    copy_scaled(sae->w_dec + i * d_out, fc_step_target(s) + t * d_out, d_out, 1.0);
    sae->b_enc[i] = 0.0f;
    if (s->param[FC_THRESHOLD].n > 0)
        sae->threshold[i] = (float)s->config.jumprelu_threshold;
    if (s->param[FC_B_MAG].n > 0) sae->r_mag[i] = sae->b_mag[i] = 0.0f;
    for (size_t k = 0; k < FC_LEN(per_feature); k++)
        if (s->param[per_feature[k]].n > 0) forget(&s->param[per_feature[k]], i);
    s->fired[i] = s->n_done;
    s->moved[i] = 0;
}

int64_t fc_resample(fc_step *s, fc_resample_draw *draw)
{
    const int64_t every = s->config.resample_every;
    int64_t n_new = 0;
    if (every == 0 || s->n_done % every != 0) return 0;
    const double length = 0.2 * mean_length(s);
    draw_rows(s, draw);
    for (int64_t i = 0; i < s->sae->d_sae && n_new < s->n; i++)
        if (is_silent(s, i)) restart(s, i, draw[n_new++].row, length);
    if (n_new > 0) fc_step_weights_changed(s);
    return n_new;
}
