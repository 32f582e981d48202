/* core_metrics.c - sums over rows, batches and features, from which every measure follows.
 *
 *   row t       ||x||^2, ||y||^2, x.y, ||e||^2, ||x - mean of the batch||^2, in 8 lanes of double
 *   column j    moments of x and of e, over the batch and over all (moments_internal.h)
 *   feature i   rows and prompts on which it fires, sum, maximum
 *
 * Rows and features are worked on in parallel; what is summed over them is summed in order.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/core_metrics.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/par.h"
#include "study/moments_internal.h"
#include "study/nearest_internal.h"

enum { LANES = 8, ROW_GRAIN = 16, FEATURE_GRAIN = 64 };

/* Squares and products of one row; the same summed over rows. */
typedef struct row_sums {
    double in_sq, out_sq, dot, error_sq, centred_sq;
} row_sums;

typedef struct token_sums {
    double in, out, ratio, cosine, error, in_sq, out_sq, dot, error_sq, legacy;
} token_sums;

struct fc_core_metrics {
    int64_t d, d_sae, n_batches, n_rows;
    fc_moments x, e, batch_x, batch_e;
    float *error;                     /* [n_max, d] */
    float *mean;                      /* [d] of the batch */
    row_sums *row;                    /* [n_max] */
    token_sums sum;                   /* over all rows */
    double sum_active, sum_value;     /* of features, over all rows */
    double batch_active, batch_value; /* and over the batch */
    double mse_twice, batch_in_sq, batch_error_sq;
    double by_batch[FC_CORE_N]; /* sums over batches of FC_CORE_BATCH_* */
    fc_core_feature *feature;   /* [d_sae] */
    int64_t *last_prompt;       /* [d_sae] in which it fired; -1 */
};

/* ---- memory ---- */

fc_status fc_core_metrics_new(fc_core_metrics **created, const fc_sae *sae, int64_t n_max,
                              fc_err *err)
{
    fc_core_metrics *c = NULL;
    const int64_t d = sae->d_out;
    fc_status status;
    size_t row_bytes;
    FC_TRY(fc_bytes(d, sizeof(float), &row_bytes, err));
    FC_TRY(fc_alloc(&c, 1, sizeof *c, "measures", err));
    c->d = d;
    c->d_sae = sae->d_sae;
    FC_TRY_GOTO(fc_moments_init(&c->x, d, err));
    FC_TRY_GOTO(fc_moments_init(&c->e, d, err));
    FC_TRY_GOTO(fc_moments_init(&c->batch_x, d, err));
    FC_TRY_GOTO(fc_moments_init(&c->batch_e, d, err));
    FC_TRY_GOTO(fc_alloc(&c->error, n_max, row_bytes, "errors of rows", err));
    FC_TRY_GOTO(fc_alloc(&c->mean, d, sizeof *c->mean, "mean of a batch", err));
    FC_TRY_GOTO(fc_alloc(&c->row, n_max, sizeof *c->row, "sums of rows", err));
    FC_TRY_GOTO(fc_alloc(&c->feature, c->d_sae, sizeof *c->feature, "features", err));
    FC_TRY_GOTO(fc_alloc(&c->last_prompt, c->d_sae, sizeof *c->last_prompt,
                         "prompts of features", err));
    for (int64_t i = 0; i < c->d_sae; i++) {
        c->last_prompt[i] = -1;
        c->feature[i].max_encoder_id = c->feature[i].max_decoder_id = -1;
    }
done:
    if (status == FC_OK)
        *created = c;
    else
        fc_core_metrics_free(c);
    return status;
}

void fc_core_metrics_free(fc_core_metrics *c)
{
    if (c == NULL) return;
    fc_moments_deinit(&c->x);
    fc_moments_deinit(&c->e);
    fc_moments_deinit(&c->batch_x);
    fc_moments_deinit(&c->batch_e);
    fc_free(c->error);
    fc_free(c->mean);
    fc_free(c->row);
    fc_free(c->feature);
    fc_free(c->last_prompt);
    fc_free(c);
}

int64_t fc_core_metrics_rows(const fc_core_metrics *core)
{
    return core->n_rows;
}

const fc_core_feature *fc_core_metrics_of(const fc_core_metrics *core)
{
    return core->feature;
}

/* ---- features ---- */

typedef struct codes_in {
    fc_core_metrics *core;
    const fc_codes *codes;
    const int64_t *prompt;
} codes_in;

/* Prompts in which feature i fires, those already counted left out. */
static int64_t new_prompts(const codes_in *in, int64_t i)
{
    const fc_feature_codes f = fc_codes_of(in->codes, i);
    int64_t last = in->core->last_prompt[i], n_new = 0;
    for (int64_t j = 0; j < f.n; j++) {
        if (!(f.value[j] > 0.0f)) continue;
        const int64_t prompt = in->prompt[f.index == NULL ? j : f.index[j]];
        n_new += prompt != last;
        last = prompt;
    }
    in->core->last_prompt[i] = last;
    return n_new;
}

static void count_features(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const codes_in *in = ctx;
    const fc_firing *firing = &in->codes->firing;
    for (int64_t i = begin; i < end; i++) {
        fc_core_feature *f = &in->core->feature[i];
        if (firing->count[i] == 0) continue;
        f->n_active += firing->count[i];
        f->n_prompts += new_prompts(in, i);
        f->sum += firing->sum[i];
        f->max = fmaxf(f->max, firing->max[i]);
    }
}

void fc_core_metrics_features(fc_core_metrics *core, const fc_codes *codes,
                              const int64_t *prompt)
{
    codes_in in = {core, codes, prompt};
    fc_par_for(core->d_sae, FEATURE_GRAIN, count_features, &in);
    for (int64_t i = 0; i < core->d_sae; i++) {
        core->batch_active += (double)codes->firing.count[i];
        core->batch_value += codes->firing.sum[i];
    }
}

/* ---- rows ---- */

typedef struct rows_in {
    const fc_core_metrics *core;
    const float *x, *y;
} rows_in;

static row_sums sums_of(const float *x, const float *y, const float *mean, int64_t d)
{
    double lane[5][LANES] = {{0}};
    for (int64_t j = 0; j < d; j++) {
        const double a = (double)x[j], b = (double)y[j], c = a - (double)mean[j];
        const int64_t l = j % LANES;
        lane[0][l] += a * a;
        lane[1][l] += b * b;
        lane[2][l] += a * b;
        lane[3][l] += (a - b) * (a - b);
        lane[4][l] += c * c;
    }
    for (int64_t half = LANES / 2; half > 0; half /= 2)
        for (int64_t l = 0; l < half; l++)
            for (int k = 0; k < 5; k++) lane[k][l] += lane[k][l + half];
    return (row_sums){lane[0][0], lane[1][0], lane[2][0], lane[3][0], lane[4][0]};
}

static void sum_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const rows_in *in = ctx;
    const int64_t d = in->core->d;
    for (int64_t t = begin; t < end; t++) {
        const float *x = in->x + t * d, *y = in->y + t * d;
        float *error = in->core->error + t * d;
        for (int64_t j = 0; j < d; j++) error[j] = x[j] - y[j];
        in->core->row[t] = sums_of(x, y, in->core->mean, d);
    }
}

static token_sums fold_rows(const row_sums *row, int64_t n)
{
    token_sums s = {0};
    for (int64_t t = 0; t < n; t++) {
        const row_sums r = row[t];
        const double in = sqrt(r.in_sq), out = sqrt(r.out_sq);
        s.in += in;
        s.out += out;
        s.ratio += out / (in < 1e-4 ? 1.0 : in);
        s.cosine += in > 0.0 && out > 0.0 ? r.dot / (in * out) : 0.0;
        s.error += sqrt(r.error_sq);
        s.in_sq += r.in_sq;
        s.out_sq += r.out_sq;
        s.dot += r.dot;
        s.error_sq += r.error_sq;
        s.legacy += 1.0 - r.error_sq / r.centred_sq;
    }
    return s;
}

static void add_sums(token_sums *to, const token_sums *s)
{
    to->in += s->in;
    to->out += s->out;
    to->ratio += s->ratio;
    to->cosine += s->cosine;
    to->error += s->error;
    to->in_sq += s->in_sq;
    to->out_sq += s->out_sq;
    to->dot += s->dot;
    to->error_sq += s->error_sq;
    to->legacy += s->legacy;
}

/* What tools average over batches. */
static void add_batch(fc_core_metrics *c, const token_sums *s, double n)
{
    double *const by = c->by_batch;
    c->mse_twice += s->error_sq / n;
    c->batch_in_sq += s->in_sq / n;
    c->batch_error_sq += s->error_sq / n;
    by[FC_CORE_BATCH_BIAS] += s->out_sq / s->dot;
    by[FC_CORE_BATCH_L0] += c->batch_active / n;
    by[FC_CORE_BATCH_L1] += c->batch_value / n;
    by[FC_CORE_BATCH_RATIO] += s->ratio / n;
    by[FC_CORE_BATCH_COSINE] += s->cosine / n;
    by[FC_CORE_BATCH_ERROR] += s->error / n;
    by[FC_CORE_BATCH_CENTRED] +=
        1.0 - fc_moments_variance(&c->batch_e) / fc_moments_variance(&c->batch_x);
    c->sum_active += c->batch_active;
    c->sum_value += c->batch_value;
    c->batch_active = c->batch_value = 0.0;
    c->n_batches++;
}

void fc_core_metrics_batch(fc_core_metrics *c, const float *x, const float *y, int64_t n)
{
    if (n == 0) return;
    fc_moments_clear(&c->batch_x);
    fc_moments_clear(&c->batch_e);
    fc_moments_add(&c->batch_x, x, n);
    fc_moments_add(&c->x, x, n);
    for (int64_t j = 0; j < c->d; j++)
        c->mean[j] = (float)fc_moments_mean(&c->batch_x, j);
    rows_in in = {c, x, y};
    fc_par_for(n, ROW_GRAIN, sum_rows, &in);
    fc_moments_add(&c->batch_e, c->error, n);
    fc_moments_add(&c->e, c->error, n);
    const token_sums s = fold_rows(c->row, n);
    add_sums(&c->sum, &s);
    add_batch(c, &s, (double)n);
    c->n_rows += n;
}

/* ---- weights ---- */

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0.0;
    for (int64_t j = 0; j < n; j++) sum += (double)a[j] * (double)b[j];
    return sum;
}

typedef struct weights_in {
    fc_core_metrics *core;
    const fc_sae *sae;
} weights_in;

static void measure_weights(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const weights_in *in = ctx;
    const fc_sae *sae = in->sae;
    for (int64_t i = begin; i < end; i++) {
        fc_core_feature *f = &in->core->feature[i];
        const float *enc = sae->w_enc + i * sae->d_in, *dec = sae->w_dec + i * sae->d_out;
        const double e = sqrt(dot(enc, enc, sae->d_in)),
                     d = sqrt(dot(dec, dec, sae->d_out));
        const bool has_cosine = sae->d_in == sae->d_out && e > 0.0 && d > 0.0;
        f->encoder_norm = (float)e;
        f->decoder_norm = (float)d;
        f->encoder_bias = sae->b_enc[i];
        f->encoder_decoder_cosine =
            has_cosine ? dot(enc, dec, sae->d_in) / (e * d) : (double)NAN;
        f->max_encoder_cosine = f->max_decoder_cosine = (double)NAN;
    }
}

/* Of each row with a direction the nearest other one. */
static fc_status find_nearest(const float *w, int64_t n, int64_t d, fc_backend *be,
                              fc_nearest *nearest, fc_unit_rows *units, fc_err *err)
{
    FC_TRY(fc_unit_rows_of(units, w, NULL, n, d, be, err));
    const fc_near_rows rows = {.a = units->unit,
                               .b = units->unit,
                               .n_a = units->n,
                               .n_b = units->n,
                               .d = d,
                               .is_same = true,
                               .job = "eval"};
    return fc_nearest_find(nearest, &rows, 1, be, err);
}

fc_status fc_core_metrics_weights(fc_core_metrics *core, const fc_sae *sae,
                                  fc_backend *be, fc_err *err)
{
    fc_nearest enc = {0}, dec = {0};
    fc_unit_rows enc_rows = {0}, dec_rows = {0};
    weights_in in = {core, sae};
    fc_status status;
    fc_par_for(core->d_sae, FEATURE_GRAIN, measure_weights, &in);
    FC_TRY_GOTO(
        find_nearest(sae->w_enc, sae->d_sae, sae->d_in, be, &enc, &enc_rows, err));
    FC_TRY_GOTO(
        find_nearest(sae->w_dec, sae->d_sae, sae->d_out, be, &dec, &dec_rows, err));
    for (int64_t i = 0; i < enc.n; i++) {
        if (enc.count[i] == 0) continue;
        core->feature[enc_rows.id[i]].max_encoder_cosine = enc.list[i].score;
        core->feature[enc_rows.id[i]].max_encoder_id = enc_rows.id[enc.list[i].row];
    }
    for (int64_t i = 0; i < dec.n; i++) {
        if (dec.count[i] == 0) continue;
        core->feature[dec_rows.id[i]].max_decoder_cosine = dec.list[i].score;
        core->feature[dec_rows.id[i]].max_decoder_id = dec_rows.id[dec.list[i].row];
    }
done:
    fc_nearest_deinit(&enc);
    fc_nearest_deinit(&dec);
    fc_unit_rows_deinit(&enc_rows);
    fc_unit_rows_deinit(&dec_rows);
    return status;
}

/* ---- numbers ---- */

static void set_features(const fc_core_metrics *c, double *number)
{
    double over_1 = 0, over_10 = 0, mass_1 = 0, mass_10 = 0, mass = 0, silent = 0,
           dead = 0;
    double max_enc = 0, max_dec = 0;
    const double n = (double)c->d_sae, n_rows = (double)c->n_rows;
    for (int64_t i = 0; i < c->d_sae; i++) {
        const fc_core_feature *f = &c->feature[i];
        const double frequency = (double)f->n_active / n_rows;
        mass += frequency;
        over_1 += frequency > 0.01;
        over_10 += frequency > 0.1;
        mass_1 += frequency > 0.01 ? frequency : 0.0;
        mass_10 += frequency > 0.1 ? frequency : 0.0;
        silent += f->n_active == 0;
        dead += (double)f->max <= 1e-6;
        max_enc += f->max_encoder_cosine;
        max_dec += f->max_decoder_cosine;
    }
    number[FC_CORE_FREQ_1] = over_1 / n;
    number[FC_CORE_FREQ_10] = over_10 / n;
    number[FC_CORE_MASS_1] = mass_1 / mass;
    number[FC_CORE_MASS_10] = mass_10 / mass;
    number[FC_CORE_ALIVE] = 1.0 - silent / n;
    number[FC_CORE_SILENT] = silent;
    number[FC_CORE_DEAD] = dead;
    number[FC_CORE_MAX_ENCODER] = max_enc / n;
    number[FC_CORE_MAX_DECODER] = max_dec / n;
}

void fc_core_metrics_numbers(const fc_core_metrics *c, double number[FC_CORE_N])
{
    const token_sums *s = &c->sum;
    const double n = (double)c->n_rows, n_batches = (double)c->n_batches,
                 d = (double)c->d;
    const double variance = fc_moments_variance(&c->x);
    const double mean_sq = c->batch_in_sq / n_batches;
    for (int i = 0; i < FC_CORE_N; i++) number[i] = c->by_batch[i] / n_batches;
    number[FC_CORE_L2_NORM_IN] = s->in / n;
    number[FC_CORE_L2_NORM_OUT] = s->out / n;
    number[FC_CORE_L2_RATIO] = s->ratio / n;
    number[FC_CORE_BIAS] = s->out_sq / s->dot;
    number[FC_CORE_L0] = c->sum_active / n;
    number[FC_CORE_L1] = c->sum_value / n;
    number[FC_CORE_COSINE] = s->cosine / n;
    number[FC_CORE_MSE_SUM] = s->error_sq / n;
    number[FC_CORE_MSE_MEAN] = s->error_sq / n / d;
    number[FC_CORE_FVU] = variance > 0.0 ? s->error_sq / variance : (double)NAN;
    number[FC_CORE_EXPLAINED] = 1.0 - number[FC_CORE_FVU];
    number[FC_CORE_CENTRED] = 1.0 - fc_moments_variance(&c->e) / variance;
    number[FC_CORE_LEGACY] = s->legacy / n;
    number[FC_CORE_MSE_TWICE] = c->mse_twice / n;
    number[FC_CORE_SLIP] =
        1.0 - c->batch_error_sq / n_batches / (mean_sq - mean_sq / d * (mean_sq / d));
    set_features(c, number);
}
