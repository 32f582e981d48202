/* arch_standard.c - ReLU features with an L1 penalty.
 *
 *   f = relu(W_enc xc^T + b_enc)                                  [d_sae, n]
 *   total = mse(y, x) + lambda sum_i c_i sum_t f_it / n
 *
 * c_i weights a feature: 1 (l1_form sum), 1 / d_sae (mean), or ||W_dec_i|| (decoder_norm).
 * In the gradients:
 *   dz_it  += lambda c_i / n                          where the feature fires
 *   dW_dec_i += lambda (sum_t f_it / n) W_dec_i / ||W_dec_i||       decoder_norm only
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/arch.h"
#include "sae/step.h"

static fc_status check(const fc_train_config *config, fc_err *err)
{
    (void)config;
    (void)err;
    return FC_OK;
}

/* Eight parameters, as the type has it. NOLINTNEXTLINE(readability-function-size) */
static void activate(const fc_sae *sae, fc_backend *be, const fc_feature_rows *to,
                     const float *z, int64_t z_row, int64_t first, int64_t n_rows,
                     int64_t n)
{
    be->ops->relu_rows(be, to, z, z_row, sae->b_enc + first, n_rows, n);
}

/* c_i, as a double. */
static double l1_weight(const fc_step *s, int64_t i)
{
    if (s->config.l1_form == FC_L1_DECODER_NORM) return (double)s->norm[i];
    return s->config.l1_form == FC_L1_MEAN ? 1.0 / (double)s->sae->d_sae : 1.0;
}

static void penalty(fc_step *s)
{
    const fc_param *w_dec = &s->param[FC_W_DEC];
    const bool is_by_norm = s->config.l1_form == FC_L1_DECODER_NORM;
    const double lambda = s->l1_coefficient, n = (double)s->n;
    if (is_by_norm)
        s->be->ops->row_norms(s->be, s->norm, w_dec->w, w_dec->rows, w_dec->cols);
    double l1 = 0.0;
    for (int64_t i = 0; i < s->sae->d_sae; i++) {
        const double c = l1_weight(s, i), sum = s->codes->firing.sum[i];
        l1 += c * sum;
        s->dz_add[i] = (float)(lambda * c / n);
        if (is_by_norm)
            s->w_dec_scale[i] = c > 0.0 ? (float)(lambda * sum / n / c) : 0.0f;
    }
    s->has_w_dec_scale = is_by_norm;
    s->losses.l1 = l1 / n;
    s->losses.total = s->losses.mse + lambda * s->losses.l1;
}

const fc_arch fc_arch_standard = {
    .name = "standard",
    .tensors = FC_HAS_FOUR,
    .check = check,
    .activate = activate,
    .penalty = penalty,
};
