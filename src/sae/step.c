/* step.c - memory of a training step, and its way forward.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/step.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/par.h"
#include "sae/step_internal.h"

/* --- memory ----------------------------------------------------------------------------- */

static fc_status alloc_params(fc_step *s, fc_err *err)
{
    for (int id = 0; id < FC_SAE_TENSORS; id++) {
        if ((s->arch->tensors & 1U << id) == 0) continue;
        const fc_sae_tensor t = fc_sae_tensor_of(s->sae, (fc_sae_tensor_id)id);
        fc_param *p = &s->param[s->n_params++];
        *p =
            (fc_param){t.name, t.rows, t.cols, t.rows * t.cols, t.data, NULL, NULL, NULL};
        FC_TRY(fc_alloc(&p->m, p->n, sizeof *p->m, "first moments", err));
        FC_TRY(fc_alloc(&p->v, p->n, sizeof *p->v, "second moments", err));
        if (p->rows == 1 || s->has_gradients)
            FC_TRY(fc_alloc(&p->g, p->n, sizeof *p->g, "gradients", err));
    }
    return FC_OK;
}

static fc_status alloc_workers(fc_step_scratch *s, int64_t d_in, fc_err *err)
{
    const char *what = "gradients of a block";
    s->n_workers = fc_par_threads();
    FC_TRY(fc_alloc(&s->worker, s->n_workers, sizeof *s->worker, what, err));
    for (int i = 0; i < s->n_workers; i++) {
        fc_step_worker *w = &s->worker[i];
        FC_TRY(fc_alloc(&w->g, FC_STEP_WHOLE * d_in, sizeof *w->g, what, err));
        FC_TRY(fc_alloc(&w->w, FC_STEP_WHOLE * d_in, sizeof *w->w, what, err));
        FC_TRY(fc_alloc(&w->f, FC_STEP_WHOLE * s->row, sizeof *w->f, what, err));
        FC_TRY(fc_alloc(&w->dz, FC_STEP_WHOLE * s->row, sizeof *w->dz, what, err));
        FC_TRY(fc_alloc(&w->begin, FC_STEP_WHOLE, sizeof *w->begin, what, err));
        FC_TRY(fc_alloc(&w->n, FC_STEP_WHOLE, sizeof *w->n, what, err));
    }
    return FC_OK;
}

static fc_status alloc_packed(const fc_step *s, fc_packed *to, int64_t k, int64_t n,
                              fc_err *err)
{
    *to = (fc_packed){.k = k, .n = n, .precision = s->precision};
    return fc_alloc(&to->data, fc_backend_packed_bytes(s->be, k, n, s->precision), 1,
                    "packed batch", err);
}

static fc_status alloc_scratch(fc_step *s, fc_err *err)
{
    const int64_t d_in = s->sae->d_in, d_sae = s->sae->d_sae;
    const int64_t n = s->config.batch_size;
    fc_step_scratch *t = s->scratch;
    t->row = s->codes->row;
    t->n_blocks = fc_ceil_div(d_sae, FC_STEP_WHOLE) + fc_ceil_div(d_sae, FC_STEP_LISTS);
    FC_TRY(alloc_workers(t, d_in, err));
    FC_TRY(fc_alloc(&t->column, d_in, sizeof *t->column, "column sums", err));
    if (s->sae->is_b_dec_subtracted)
        FC_TRY(fc_alloc(&t->into_b_dec, t->n_blocks * d_in, sizeof *t->into_b_dec,
                        "gradient of b_dec", err));
    FC_TRY(alloc_packed(s, &t->x_rows, n, d_in, err));
    FC_TRY(alloc_packed(s, &t->delta_rows, n, d_in, err));
    FC_TRY(alloc_packed(s, &t->delta_cols, d_in, n, err));
    if (s->precision == FC_PRECISION_F32) return FC_OK;
    FC_TRY(fc_alloc(&t->w_dec, d_sae * d_in, sizeof *t->w_dec, "W_dec in bf16", err));
    FC_TRY(fc_alloc(&t->x, n * d_in, sizeof *t->x, "batch in bf16", err));
    return fc_alloc(&t->delta, n * d_in, sizeof *t->delta, "delta in bf16", err);
}

static fc_status alloc_all(fc_step *s, fc_err *err)
{
    const int64_t d_in = s->sae->d_in, d_sae = s->sae->d_sae;
    const int64_t n = s->config.batch_size;
    FC_TRY(alloc_params(s, err));
    FC_TRY(fc_codes_new(&s->codes, s->sae, s->be, s->precision, n, false, err));
    FC_TRY(fc_alloc(&s->delta, n * d_in, sizeof *s->delta, "reconstructions", err));
    FC_TRY(fc_alloc(&s->dz_add, d_sae, sizeof *s->dz_add, "feature weights", err));
    FC_TRY(fc_alloc(&s->w_dec_scale, d_sae, sizeof *s->norm, "feature weights", err));
    FC_TRY(fc_alloc(&s->norm, d_sae, sizeof *s->norm, "decoder norms", err));
    FC_TRY(fc_alloc(&s->fired, d_sae, sizeof *s->fired, "last firings", err));
    FC_TRY(fc_alloc(&s->scratch, 1, sizeof *s->scratch, "training step", err));
    return alloc_scratch(s, err);
}

/* Smallest number of steps after which the largest float has become 0 by steps of beta1, if
 * what lies below FLT_MIN is 0, as op adam has it. One more for the roundings on the way. */
static int64_t rest_steps(double beta1)
{
    if (!(beta1 > 0.0)) return 1;
    return 2 + (int64_t)ceil(log((double)FLT_MIN / (double)FLT_MAX) / log(beta1) * 1.001);
}

fc_status fc_step_new(fc_step **created, const fc_train_config *config, fc_backend *be,
                      fc_sae *sae, bool has_gradients, fc_err *err)
{
    fc_step *s = NULL;
    FC_TRY(fc_alloc(&s, 1, sizeof *s, "training step", err));
    s->arch = fc_arch_at(config->arch);
    s->config = *config;
    s->be = be;
    s->precision =
        config->precision == FC_BF16_PRECISION ? FC_PRECISION_BF16 : FC_PRECISION_F32;
    s->sae = sae;
    s->has_gradients = has_gradients || config->grad_clip_norm > 0.0;
    const fc_status status = alloc_all(s, err);
    if (status != FC_OK) {
        fc_step_free(s);
        return status;
    }
    s->scratch->rest_steps = rest_steps(config->adam_beta1);
    *created = s;
    return FC_OK;
}

static void free_scratch(fc_step_scratch *t)
{
    if (t == NULL) return;
    for (int i = 0; t->worker != NULL && i < t->n_workers; i++) {
        fc_step_worker *w = &t->worker[i];
        void *const of_worker[] = {w->g, w->w, w->f, w->dz, w->begin, w->n};
        for (size_t k = 0; k < FC_LEN(of_worker); k++) fc_free(of_worker[k]);
    }
    void *const arrays[] = {
        t->worker, t->column,      t->into_b_dec,      t->w_dec,           t->x,
        t->delta,  t->x_rows.data, t->delta_rows.data, t->delta_cols.data, t};
    for (size_t i = 0; i < FC_LEN(arrays); i++) fc_free(arrays[i]);
}

void fc_step_free(fc_step *s)
{
    if (s == NULL) return;
    for (int i = 0; i < s->n_params; i++) {
        fc_free(s->param[i].g);
        fc_free(s->param[i].m);
        fc_free(s->param[i].v);
    }
    fc_codes_free(s->codes);
    free_scratch(s->scratch);
    void *const arrays[] = {s->delta, s->dz_add, s->w_dec_scale, s->norm, s->fired, s};
    for (size_t i = 0; i < FC_LEN(arrays); i++) fc_free(arrays[i]);
}

/* --- forward ---------------------------------------------------------------------------- */

void fc_step_weights_changed(fc_step *step)
{
    step->scratch->is_w_dec_fresh = false;
}

fc_mat fc_step_w_dec(const fc_step *s)
{
    const fc_param *p = &s->param[FC_W_DEC];
    const uint16_t *rounded = s->scratch->w_dec;
    return rounded != NULL ? fc_mat_of(rounded, FC_BF16, p->rows, p->cols)
                           : fc_mat_of(p->w, FC_F32, p->rows, p->cols);
}

fc_mat fc_step_x(const fc_step *s)
{
    const uint16_t *rounded = s->scratch->x;
    return rounded != NULL ? fc_mat_of(rounded, FC_BF16, s->n, s->sae->d_in)
                           : fc_mat_of(s->codes->input, FC_F32, s->n, s->sae->d_in);
}

fc_mat fc_step_delta(const fc_step *s)
{
    const uint16_t *rounded = s->scratch->delta;
    return rounded != NULL ? fc_mat_of(rounded, FC_BF16, s->n, s->sae->d_in)
                           : fc_mat_of(s->delta, FC_F32, s->n, s->sae->d_in);
}

static double l0_of(const fc_step *s)
{
    int64_t n_active = 0;
    for (int64_t i = 0; i < s->sae->d_sae; i++) n_active += s->codes->firing.count[i];
    return (double)n_active / (double)s->n;
}

void fc_step_forward(fc_step *s)
{
    const fc_ops *op = s->be->ops;
    fc_step_scratch *t = s->scratch;
    const int64_t n = s->n, d = s->sae->d_in;
    if (t->w_dec != NULL && !t->is_w_dec_fresh)
        op->convert(s->be, t->w_dec, FC_BF16, s->sae->w_dec, FC_F32,
                    s->param[FC_W_DEC].n);
    t->is_w_dec_fresh = true;
    fc_codes_encode(s->codes, s->sae, s->be, s->x, n);
    fc_codes_decode(s->codes, s->be, fc_step_w_dec(s), s->delta);

    const double denominator =
        (double)n * (s->config.mse_form == FC_MSE_MEAN ? (double)d : 1.0);
    s->losses.mse = op->mse_grad(s->be, s->delta, s->sae->b_dec, s->x, n, d,
                                 (float)(2.0 / denominator)) /
                    denominator;
    s->losses.l0 = l0_of(s);
    s->arch->penalty(s);
}
