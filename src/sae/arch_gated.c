/* arch_gated.c - one path decides whether a feature fires, another how much.
 *
 *   pi = W_enc xc^T + b_gate                gate
 *   m  = e^r_mag W_enc xc^T + b_mag         magnitude, by the same rows up to length
 *   f  = max(m, 0) where pi > 0
 *   total = mse(y) + lambda mean_t sum_i max(pi, 0) c_i + mse(max(pi, 0) W_dec + b_dec)
 *
 * The penalty shrinks the gate and leaves magnitudes alone; the second error keeps the gate honest. As
 * in SAELens its gradient flows into W_dec and b_dec too, and c_i is ||W_dec_i|| with l1_form
 * decoder_norm. Lists hold all entries with pi > 0: f, and pi as their second number. With df from
 * the first error and dg from the second:
 *
 *   dm = df where m > 0,   dpi = dg + lambda c_i / n,   dz = dpi + e^r_mag dm
 *   db_gate = sum dpi,     db_mag = sum dm,             dr_mag = sum dm (m - b_mag)
 *
 * Rajamanoharan et al. 2024, arXiv 2404.16014.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "sae/arch_parts.h"

/* Keeps f of every open gate, or of those above 0 alone. */
static void gate_row(const fc_feature_block *b, int64_t r)
{
    const int64_t i = b->first + r;
    const float scale = expf(b->sae->r_mag[i]), bias = b->sae->b_mag[i];
    int32_t *const index = b->to.index + r * b->to.index_row;
    float *const value = b->to.value + r * b->to.value_row;
    float *const gate = b->second != NULL ? b->second + r * b->to.value_row : NULL;
    double sum = 0.0;
    float max = 0.0f;
    int64_t n = 0, n_firing = 0;
    for (int64_t j = 0; j < b->to.count[r]; j++) {
        const int32_t t = index[j];
        const float m = scale * b->z[r * b->z_row + t] + bias, f = m > 0.0f ? m : 0.0f;
        if (gate != NULL) gate[n] = value[j];
        if (gate == NULL && !(f > 0.0f)) continue;
        index[n] = t;
        value[n++] = f;
        n_firing += f > 0.0f;
        sum += (double)f;
        max = f > max ? f : max;
    }
    b->to.count[r] = n;
    b->firing.count[r] = n_firing;
    b->firing.sum[r] = sum;
    b->firing.max[r] = max;
}

static void activate(const fc_feature_block *b)
{
    fc_feature_rows to = b->to;
    to.n_list = b->n;
    b->be->ops->relu_rows(b->be, &to, b->z, b->z_row, b->sae->b_enc + b->first, b->n_rows,
                          b->n);
    for (int64_t r = 0; r < b->n_rows; r++) {
        if (b->extra != NULL) b->extra[r] = b->to.sum[r]; /* of the gate */
        gate_row(b, r);
    }
}

static fc_status check(const fc_train_config *config, fc_err *err)
{
    (void)config;
    (void)err;
    return FC_OK;
}

static void loss(fc_step *s)
{
    const fc_ops *op = s->be->ops;
    const int64_t d = s->sae->d_out;
    fc_penalty_l1(s, s->codes->extra);
    op->spmm(s->be, s->aux.delta, d, fc_lists_second_by_row(&s->codes->lists),
             fc_step_w_dec(s), s->precision, false);
    s->losses.aux = op->mse_grad(s->be, s->aux.delta, s->sae->b_dec, fc_step_target(s),
                                 s->n, d, (float)(2.0 / s->denominator)) /
                    s->denominator;
    s->losses.total += s->losses.aux;
    s->aux.lists = &s->codes->lists;
}

static double backward(fc_step *s, fc_entries *e)
{
    const int64_t i = e->feature;
    const float scale = expf(s->sae->r_mag[i]), add = s->dz_add[i];
    const double b_mag = (double)s->sae->b_mag[i];
    double sum = 0.0, db_gate = 0.0, db_mag = 0.0, dr_mag = 0.0;
    for (int64_t j = 0; j < e->n; j++) {
        const float dm = e->value[j] > 0.0f ? e->dz[j] : 0.0f;
        const float dpi = e->df_aux[j] + add;
        e->dz[j] = dpi + scale * dm;
        sum += (double)e->dz[j];
        db_gate += (double)dpi;
        db_mag += (double)dm;
        dr_mag += (double)dm * ((double)e->value[j] - b_mag);
    }
    s->param[FC_B_MAG].g[i] = (float)db_mag;
    s->param[FC_R_MAG].g[i] = (float)dr_mag;
    e->db_enc = db_gate;
    return sum;
}

const fc_arch fc_arch_gated = {
    .name = "gated",
    .tensors = FC_HAS_FOUR | FC_HAS_GATE,
    .has_second = true,
    .has_extra = true,
    .inference = {activate, FC_SELECT_NONE},
    .training = {activate, FC_SELECT_NONE},
    .losses = 1U << FC_LOSS_AUX,
    .check = check,
    .loss = loss,
    .backward = backward,
};
