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
 * feature sums over tokens is a sum over a row, and all five products read rows. A feature that
 * is silent on the whole batch has rows of zeros in f and in all gradients: when many are, the
 * rows of the others are moved together after the first product, and apart at the end. Sums over
 * features then meet the blocks of the product elsewhere: y may differ in its last bits from
 * that of a step on all rows.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/arch.h"

#include <stddef.h>

#include "sae/active.h"

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

/* Decides which rows of f the step goes on with, and returns the rows of W_dec that belong to
 * them. The gradient of W_enc, which comes last, lends its memory. */
static const float *pack(fc_step *s)
{
    const int64_t d_sae = s->sae->d_sae, d = s->sae->d_in;
    const int64_t n_active = fc_active_rows(s->active, s->firing.count, d_sae);
    const bool is_packed =
        n_active <= d_sae - d_sae / 8; /* less than that is not worth it */
    s->n_active = is_packed ? n_active : d_sae;
    if (!is_packed) return s->param[FC_W_DEC].w;
    fc_active_pack(s->f, s->f, s->active, n_active, s->n);
    fc_active_pack(s->param[FC_W_ENC].g, s->param[FC_W_DEC].w, s->active, n_active, d);
    return s->param[FC_W_ENC].g;
}

/* Gradients that were computed for the active rows alone get their place. */
static void unpack(fc_step *s)
{
    static const int of_features[] = {FC_W_ENC, FC_W_DEC, FC_B_ENC};
    const int64_t d_sae = s->sae->d_sae;
    if (s->n_active == d_sae) return;
    for (size_t i = 0; i < FC_LEN(of_features); i++) {
        const fc_param *p = &s->param[of_features[i]];
        fc_active_unpack(p->g, s->active, s->n_active, d_sae, p->n / d_sae);
    }
}

static void reconstruct(fc_step *s, const float *w_dec)
{
    const fc_mat f = fc_mat_of(s->f, FC_F32, s->n_active, s->n);
    const fc_mat w = fc_mat_of(w_dec, FC_F32, s->n_active, s->sae->d_in);
    s->be->ops->matmul(s->be, s->y, s->sae->d_in, fc_mat_transposed(f), w, s->precision,
                       false);
}

/* y is delta; the gradients of the decoder matrix and of the features. */
static void decoder_backward(fc_step *s, const float *w_dec)
{
    const fc_ops *op = s->be->ops;
    const int64_t n = s->n, d = s->sae->d_in, n_active = s->n_active;
    const fc_mat f = fc_mat_of(s->f, FC_F32, n_active, n);
    const fc_mat delta = fc_mat_of(s->y, FC_F32, n, d);
    const fc_mat w = fc_mat_of(w_dec, FC_F32, n_active, d);
    op->matmul(s->be, s->param[FC_W_DEC].g, d, f, delta, s->precision, false);
    op->matmul(s->be, s->df, n, w, fc_mat_transposed(delta), s->precision, false);
}

/* From df: encoder matrix and bias. df becomes dz. */
static void encoder_backward(fc_step *s, const float *input)
{
    const fc_ops *op = s->be->ops;
    const int64_t n = s->n, d = s->sae->d_in, n_active = s->n_active;
    if (n_active < s->sae->d_sae) fc_active_pack(s->row, s->row, s->active, n_active, 1);
    op->relu_grad(s->be, s->df, s->f, s->row, s->param[FC_B_ENC].g, n_active, n);
    const fc_mat dz = fc_mat_of(s->df, FC_F32, n_active, n);
    const fc_mat in = fc_mat_of(input, FC_F32, n, d);
    op->matmul(s->be, s->param[FC_W_ENC].g, d, dz, in, s->precision, false);
}

/* From delta and db_enc; needs the latter unpacked. */
static void output_bias_backward(fc_step *s)
{
    const fc_ops *op = s->be->ops;
    const int64_t d = s->sae->d_in, d_sae = s->sae->d_sae;
    float *const db_dec = s->param[FC_B_DEC].g;
    op->col_sum(s->be, s->column, s->y, s->n, d);
    if (s->sae->is_b_dec_subtracted) {
        const fc_mat db_enc = fc_mat_of(s->param[FC_B_ENC].g, FC_F32, 1, d_sae);
        const fc_mat w_enc = fc_mat_of(s->param[FC_W_ENC].w, FC_F32, d_sae, d);
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
    const float *w_dec = pack(s);
    reconstruct(s, w_dec);

    const double denominator =
        (double)n * (s->config.mse_form == FC_MSE_MEAN ? (double)d : 1.0);
    const double sq = s->be->ops->mse_grad(s->be, s->y, s->sae->b_dec, s->x, n, d,
                                           (float)(2.0 / denominator));
    s->losses.mse = sq / denominator;
    s->losses.l1 = l1_forward(s);
    s->losses.l0 = l0_of(s);
    s->losses.total = s->losses.mse + s->l1_coefficient * s->losses.l1;

    decoder_backward(s, w_dec);
    encoder_backward(s, input);
    unpack(s);
    output_bias_backward(s);
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
