/* meta_sae.c - the training step of sae/ on a matrix in memory.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/meta_sae.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/log.h"
#include "base/rng.h"
#include "sae/init.h"
#include "sae/step.h"
#include "study/nearest_internal.h"

enum { K = 4, ROWS_A_FEATURE = 4, BATCH = 1024, STEPS_A_QUESTION = 16 };

#define LEARNING_RATE 5e-4

void fc_meta_defaults(fc_meta_config *config)
{
    *config = (fc_meta_config){.steps = 1500, .precision = FC_AUTO_PRECISION};
}

typedef struct meta {
    const fc_meta_config *config;
    fc_unit_rows rows;
    int64_t d;
    float *batch; /* [BATCH, d] */
    fc_sae *sae;
    fc_step *step;
} meta;

static fc_status train_config(const fc_meta_config *config, int64_t n_features,
                              fc_train_config *train, fc_err *err)
{
    int64_t n_fields;
    const fc_field *fields = fc_train_fields(&n_fields);
    fc_train_defaults(train);
    FC_TRY(fc_field_set(fc_fields_find(fields, n_fields, "arch"), train, "batchtopk",
                        "arch", err));
    train->d_sae = n_features;
    train->batch_size = BATCH;
    train->lr = LEARNING_RATE;
    train->k = K;
    train->mse_form = FC_MSE_SUM;
    train->init = FC_INIT_SAELENS;
    train->apply_b_dec_to_input = true;
    train->rescale_by_decoder_norm = true;
    train->aux_coefficient = 1.0;
    train->grad_clip_norm = 1.0;
    train->normalization = FC_NORM_NONE;
    train->precision = config->precision;
    train->seed = config->seed;
    return FC_OK;
}

static fc_status prepare(meta *m, fc_backend *be, fc_err *err)
{
    const int64_t n_features = fc_max(fc_ceil_div(m->rows.n, ROWS_A_FEATURE), K);
    fc_train_config train;
    size_t row_bytes;
    FC_TRY(train_config(m->config, n_features, &train, err));
    FC_TRY(fc_bytes(m->d, sizeof *m->batch, &row_bytes, err));
    FC_TRY(fc_alloc(&m->batch, BATCH, row_bytes, "a batch of decoder rows", err));
    FC_TRY(fc_sae_new(&m->sae, "batchtopk", m->d, m->d, n_features, err));
    m->sae->is_b_dec_subtracted = true;
    m->sae->k = K;
    m->sae->is_rescaled = true;
    fc_sae_init_weights(m->sae, &train, be);
    return fc_step_new(&m->step, &train, be, m->sae, false, err);
}

static fc_status train(meta *m, fc_err *err)
{
    fc_progress progress =
        fc_progress_begin("eval", "steps of the meta-SAE", 0.0, (double)m->config->steps);
    fc_status status = FC_OK;
    m->step->x = m->batch;
    m->step->n = BATCH;
    for (int64_t k = 1; k <= m->config->steps && status == FC_OK; k++) {
        for (int64_t i = 0; i < BATCH; i++) {
            const uint64_t drawn = fc_rng_u64((uint64_t)m->config->seed, FC_RNG_EVAL,
                                              (uint64_t)(k * BATCH + i));
            memcpy(m->batch + i * m->d,
                   m->rows.unit + (int64_t)(drawn % (uint64_t)m->rows.n) * m->d,
                   (size_t)m->d * sizeof *m->batch);
        }
        fc_step_forward(m->step);
        fc_step_update(m->step, LEARNING_RATE, k);
        fc_progress_set(&progress, (double)k);
        if (k % STEPS_A_QUESTION == 0 && fc_cancel_requested())
            status = fc_fail(err, FC_CANCELLED, "eval was interrupted at the meta-SAE");
    }
    fc_progress_end(&progress);
    return status;
}

/* sum |row - mean row|^2 */
static fc_status variation(const meta *m, double *sum, fc_err *err)
{
    double *mean = NULL;
    FC_TRY(fc_alloc(&mean, m->d, sizeof *mean, "a mean row", err));
    for (int64_t i = 0; i < m->rows.n; i++)
        for (int64_t j = 0; j < m->d; j++)
            mean[j] += (double)m->rows.unit[i * m->d + j] / (double)m->rows.n;
    *sum = 0.0;
    for (int64_t i = 0; i < m->rows.n; i++)
        for (int64_t j = 0; j < m->d; j++) {
            const double away = (double)m->rows.unit[i * m->d + j] - mean[j];
            *sum += away * away;
        }
    fc_free(mean);
    return FC_OK;
}

static fc_status judge(meta *m, fc_meta_sae *result, fc_err *err)
{
    double total, residual = 0.0;
    bool *is_used = NULL;
    FC_TRY(variation(m, &total, err));
    FC_TRY(fc_alloc(&is_used, m->sae->d_sae, sizeof *is_used, "features", err));
    for (int64_t first = 0; first < m->rows.n; first += BATCH) {
        m->step->x = m->rows.unit + first * m->d;
        m->step->n = fc_min(BATCH, m->rows.n - first);
        fc_step_forward(m->step);
        residual += m->step->losses.mse * (double)m->step->n;
        result->l0 += m->step->losses.l0 * (double)m->step->n / (double)m->rows.n;
        for (int64_t i = 0; i < m->sae->d_sae; i++)
            is_used[i] = is_used[i] || m->step->codes->firing.count[i] > 0;
    }
    for (int64_t i = 0; i < m->sae->d_sae; i++) result->n_used += is_used[i];
    result->mse = residual / ((double)m->rows.n * (double)m->d);
    /* Rows that are all the same differ by rounding at most. */
    if (total > 1e-9 * (double)m->rows.n) result->explained = 1.0 - residual / total;
    fc_free(is_used);
    return FC_OK;
}

fc_status fc_meta_sae_measure(const fc_meta_config *config, const fc_sae *sae,
                              const bool *is_live, fc_backend *be, fc_meta_sae *result,
                              fc_err *err)
{
    meta m = {.config = config, .d = sae->d_out};
    fc_meta_sae found = {0};
    fc_status status;
    *result = found;
    FC_TRY_GOTO(fc_unit_rows_of(&m.rows, sae->w_dec, is_live, sae->d_sae, m.d, be, err));
    if (m.rows.n == 0) goto done;
    FC_TRY_GOTO(prepare(&m, be, err));
    FC_TRY_GOTO(train(&m, err));
    FC_TRY_GOTO(judge(&m, &found, err));
    found.n_rows = m.rows.n;
    found.n_features = m.sae->d_sae;
    *result = found;
done:
    fc_step_free(m.step);
    fc_sae_free(m.sae);
    fc_unit_rows_deinit(&m.rows);
    fc_free(m.batch);
    return status;
}
