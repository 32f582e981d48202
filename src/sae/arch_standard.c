/* arch_standard.c - ReLU features with an L1 penalty, and its gradient in closed form.
 *
 *   xc = x - b_dec (or x)                          [n, d]
 *   f  = relu(W_enc xc^T + b_enc)                  [F, n]
 *   y  = f^T W_dec + b_dec                         [n, d]
 *   total = mse(y, x) + lambda sum_i c_i sum_t f_it / n
 *
 *   delta = d total / d y = 2 (y - x) / n          (over n d for the mean over dimensions)
 *   dW_dec = f delta         db_dec = sum_t delta - (sum_t dz) W_enc
 *   dz = f > 0 ? W_dec delta^T + lambda c_i / n : 0
 *   dW_enc = dz xc           db_enc = sum_t dz
 *
 * c_i weights a feature: 1 (l1_form sum), 1 / F (mean), or ||W_dec_i|| (decoder_norm), whose own
 * gradient adds lambda (sum_t f_it / n) W_dec_i / ||W_dec_i|| to dW_dec_i. The second part of
 * db_dec is there when b_dec is subtracted from the input.
 *
 * Everything is feature-major: rows of f and of both weights belong to a feature, so what a
 * feature sums over tokens is a sum over a row, and all five products read rows.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/arch.h"

#include <stddef.h>

static fc_status check(const fc_train_config *config, fc_err *err)
{
    (void)config;
    (void)err;
    return FC_OK;
}

static void activate(const fc_sae *sae, fc_backend *be, float *z, fc_firing firing,
                     int64_t n)
{
    be->ops->bias_relu(be, z, sae->b_enc, firing.count, firing.sum, firing.max,
                       sae->d_sae, n);
}

/* c_i of the penalty, as a double. */
static double l1_weight(const fc_step *s, int64_t i)
{
    if (s->config.l1_form == FC_L1_DECODER_NORM) return (double)s->norm[i];
    return s->config.l1_form == FC_L1_MEAN ? 1.0 / (double)s->sae->d_sae : 1.0;
}

/* row[i] = lambda c_i / n, the penalty's share of df; and the loss without lambda. */
static double l1_forward(fc_step *s)
{
    const fc_param *w_dec = &s->param[FC_W_DEC];
    if (s->config.l1_form == FC_L1_DECODER_NORM)
        s->be->ops->row_norms(s->be, s->norm, w_dec->w, w_dec->rows, w_dec->cols);
    double l1 = 0.0;
    for (int64_t i = 0; i < s->sae->d_sae; i++) {
        const double c = l1_weight(s, i);
        l1 += c * s->firing.sum[i];
        s->row[i] = (float)(s->l1_coefficient * c / (double)s->n);
    }
    return l1 / (double)s->n;
}

/* The gradient that decoder_norm sends into the norms: dW_dec_i += row_i W_dec_i. */
static void l1_into_norms(fc_step *s)
{
    const fc_param *w_dec = &s->param[FC_W_DEC];
    for (int64_t i = 0; i < s->sae->d_sae; i++) {
        const double norm = (double)s->norm[i];
        const double mean = s->firing.sum[i] / (double)s->n;
        s->row[i] = norm > 0.0 ? (float)(s->l1_coefficient * mean / norm) : 0.0f;
    }
    s->be->ops->add_scaled_rows(s->be, w_dec->g, s->row, w_dec->w, w_dec->rows,
                                w_dec->cols);
}

static double l0_of(const fc_step *s)
{
    int64_t n_active = 0;
    for (int64_t i = 0; i < s->sae->d_sae; i++) n_active += s->firing.count[i];
    return (double)n_active / (double)s->n;
}

/* y becomes delta; the gradients of the decoder matrix and of the features. */
static void decoder_backward(fc_step *s)
{
    const fc_ops *op = s->be->ops;
    const int64_t n = s->n, d = s->sae->d_in, d_sae = s->sae->d_sae;
    const fc_mat f = fc_mat_of(s->f, FC_F32, d_sae, n);
    const fc_mat delta = fc_mat_of(s->y, FC_F32, n, d);
    const fc_mat w_dec = fc_mat_of(s->param[FC_W_DEC].w, FC_F32, d_sae, d);
    op->matmul(s->be, s->param[FC_W_DEC].g, d, f, delta, s->precision, false);
    op->matmul(s->be, s->df, n, w_dec, fc_mat_transposed(delta), s->precision, false);
}

/* From df and delta: encoder matrix and both biases. df becomes dz. */
static void encoder_backward(fc_step *s, const float *input)
{
    const fc_ops *op = s->be->ops;
    const int64_t n = s->n, d = s->sae->d_in, d_sae = s->sae->d_sae;
    fc_param *p = s->param;
    op->relu_grad(s->be, s->df, s->f, s->row, p[FC_B_ENC].g, d_sae, n);
    const fc_mat dz = fc_mat_of(s->df, FC_F32, d_sae, n);
    op->matmul(s->be, p[FC_W_ENC].g, d, dz, fc_mat_of(input, FC_F32, n, d), s->precision,
               false);

    op->col_sum(s->be, s->column, s->y, n, d);
    float *const db_dec = p[FC_B_DEC].g;
    if (s->sae->is_b_dec_subtracted) {
        const fc_mat db_enc = fc_mat_of(p[FC_B_ENC].g, FC_F32, 1, d_sae);
        const fc_mat w_enc = fc_mat_of(p[FC_W_ENC].w, FC_F32, d_sae, d);
        op->matmul(s->be, db_dec, d, db_enc, w_enc, FC_PRECISION_F32, false);
        for (int64_t j = 0; j < d; j++) s->column[j] -= (double)db_dec[j];
    }
    for (int64_t j = 0; j < d; j++) db_dec[j] = (float)s->column[j];
}

static void step(fc_step *s)
{
    const int64_t n = s->n, d = s->sae->d_in;
    const float *input =
        fc_arch_encode(s->sae, s->be, s->precision, s->x, n, s->xc, s->f);
    activate(s->sae, s->be, s->f, s->firing, n);
    fc_arch_decode(s->sae, s->be, s->precision, s->f, n, s->y);

    const double denominator =
        (double)n * (s->config.mse_form == FC_MSE_MEAN ? (double)d : 1.0);
    const double sq = s->be->ops->mse_grad(s->be, s->y, s->sae->b_dec, s->x, n, d,
                                           (float)(2.0 / denominator));
    s->losses.mse = sq / denominator;
    s->losses.l1 = l1_forward(s);
    s->losses.l0 = l0_of(s);
    s->losses.total = s->losses.mse + s->l1_coefficient * s->losses.l1;

    decoder_backward(s);
    encoder_backward(s, input);
    if (s->config.l1_form == FC_L1_DECODER_NORM) l1_into_norms(s);
}

static const fc_param_kind params[] = {
    [FC_W_ENC] = {"W_enc", offsetof(fc_sae, w_enc), FC_AXIS_SAE, FC_AXIS_IN},
    [FC_W_DEC] = {"W_dec", offsetof(fc_sae, w_dec), FC_AXIS_SAE, FC_AXIS_IN},
    [FC_B_ENC] = {"b_enc", offsetof(fc_sae, b_enc), FC_AXIS_ONE, FC_AXIS_SAE},
    [FC_B_DEC] = {"b_dec", offsetof(fc_sae, b_dec), FC_AXIS_ONE, FC_AXIS_IN},
};

const fc_arch fc_arch_standard = {
    .name = "standard",
    .params = params,
    .n_params = (int)FC_LEN(params),
    .check = check,
    .activate = activate,
    .step = step,
};
