/* arch_jumprelu.c - a threshold for each feature, trained through a straight-through estimator.
 *
 *   f = z where z > theta,   H = 1 where z > theta            theta >= 0, z = W_enc xc^T + b_enc
 *   total = mse + lambda S (+ c_pre mean_t sum over dead i of max(theta_i - z_it, 0) ||d_i||)
 *
 *   S = mean_t sum_i tanh(c f_it ||d_i||)                     penalty tanh
 *       mean_t L0_t,  L0_t = sum_i H_it                       step
 *       mean_t (2 / tau) (L0_t - tau)^2                       quadratic, tau = target_l0
 *
 * Steps have no derivative; in its place stands a rectangle of width epsilon, K = 1 where
 * |z - theta| < epsilon / 2:
 *
 *   d f / d theta = -(theta / epsilon) K,   d H / d theta = -(1 / epsilon) K,   d f / d z = H
 *
 * and with jumprelu_ste_to_input the negatives of both are gradients of z, too. So lists hold, behind
 * what fires, the entries with K = 1 that do not, with value 0: the decoder never sees them, and the
 * encoder only then. Features that fire less than that are below
 * theta on nearly all rows: the gradient of the pre-activation loss is one number dz_all for all
 * rows, taken back at the entries that fire.
 *
 * tanh and pre-activation loss: Anthropic, January 2025 update; step: Rajamanoharan et al. 2024,
 * arXiv 2407.14435; quadratic: Gemma Scope 2. theta is trained itself and clamped at 0 before each
 * step, as SAELens does since 6.50: under Adam its logarithm hardly moves.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/par.h"
#include "sae/arch_parts.h"

static bool is_in_band(float z, float theta, float width)
{
    const float u = (z - theta) / width;
    return u > -0.5f && u < 0.5f;
}

/* --- features ----------------------------------------------------------------------------- */

/* What fires moves to the front of the list; the others wait at the end of the row of values, which has
 * room for both. */
static void band_row(const fc_feature_block *b, int64_t r)
{
    const float theta = b->sae->threshold[b->first + r];
    const float width = (float)b->config->jumprelu_bandwidth;
    int32_t *const index = b->to.index + r * b->to.index_row;
    float *const value = b->to.value + r * b->to.value_row;
    float *const end = value + b->n;
    double sum = 0.0;
    float max = 0.0f;
    int64_t n_firing = 0, n_waiting = 0;
    for (int64_t j = 0; j < b->to.count[r]; j++) {
        const int32_t t = index[j];
        const float z = fc_block_z(b, r, t);
        if (z > theta) {
            index[n_firing] = t;
            value[n_firing++] = z;
            sum += (double)z;
            max = z > max ? z : max;
        } else if (is_in_band(z, theta, width)) {
            memcpy(end - ++n_waiting, &t, sizeof t);
        }
    }
    for (int64_t k = 0; k < n_waiting; k++)
        memcpy(index + n_firing + k, end - 1 - k, sizeof *index);
    memset(value + n_firing, 0, (size_t)n_waiting * sizeof *value);
    b->to.count[r] = n_firing + n_waiting;
    b->firing.count[r] = n_firing;
    b->firing.sum[r] = sum;
    b->firing.max[r] = max;
}

static double sum_below(const fc_feature_block *b, int64_t r)
{
    const float *const z = b->z + r * b->z_row;
    const float bias = b->sae->b_enc[b->first + r];
    const float theta = b->sae->threshold[b->first + r];
    double sum = 0.0;
    for (int64_t t = 0; t < b->n; t++) {
        const float below = theta - (z[t] + bias);
        sum += below > 0.0f ? (double)below : 0.0;
    }
    return sum;
}

void fc_activate_jumprelu(const fc_feature_block *b)
{
    float floor[FC_BLOCK_ROWS];
    const float half = 0.5f * (float)b->config->jumprelu_bandwidth;
    for (int64_t r = 0; r < b->n_rows; r++) {
        const float theta = b->sae->threshold[b->first + r];
        floor[r] = theta - half - 1e-6f * (theta + half);
    }
    fc_list_above(b, floor);
    for (int64_t r = 0; r < b->n_rows; r++) {
        b->extra[r] = 0.0;
        if (b->config->pre_act_coefficient > 0.0 && b->is_dead[r])
            b->extra[r] = sum_below(b, r);
        band_row(b, r);
    }
}

/* --- loss --------------------------------------------------------------------------------- */

void fc_begin_jumprelu(fc_step *s)
{
    float *const theta = s->sae->threshold;
    for (int64_t i = 0; i < s->sae->d_sae; i++) theta[i] = fmaxf(theta[i], 0.0f);
}

/* Sums over the entries of a feature, kept in dz_add and w_dec_scale: of tanh(c f ||d||), and of
 * f sech^2(c f ||d||). */
static void tanh_sums(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const fc_step *s = ctx;
    const fc_lists *l = &s->codes->lists;
    for (int64_t i = begin; i < end; i++) {
        const float *const f = l->value + l->begin[i];
        const double c = s->config.jumprelu_tanh_scale * (double)s->norm[i];
        double sum = 0.0, slopes = 0.0;
        for (int64_t j = 0; j < s->codes->firing.count[i]; j++) {
            const double value = (double)tanhf((float)(c * (double)f[j]));
            sum += value;
            slopes += (double)f[j] * (1.0 - value * value);
        }
        s->dz_add[i] = (float)sum;
        s->w_dec_scale[i] = (float)slopes;
    }
}

static double tanh_loss(fc_step *s)
{
    const double c = s->config.jumprelu_tanh_scale, n = (double)s->n;
    double loss = 0.0;
    fc_par_for(s->sae->d_sae, 64, tanh_sums, s);
    for (int64_t i = 0; i < s->sae->d_sae; i++) {
        const double norm = (double)s->norm[i], slopes = (double)s->w_dec_scale[i];
        loss += (double)s->dz_add[i];
        s->w_dec_scale[i] =
            norm > 0.0 ? (float)(s->l0_coefficient * c * slopes / n / norm) : 0.0f;
    }
    s->has_w_dec_scale = true;
    return s->l0_coefficient * loss / n;
}

/* row_weight: the gradient of the loss in one entry of H of that row. */
static double count_loss(fc_step *s)
{
    const bool is_quadratic = s->config.l0_penalty == FC_L0_QUADRATIC;
    const double lambda = s->l0_coefficient, tau = s->config.target_l0, n = (double)s->n;
    const fc_lists *l = &s->codes->lists;
    double loss = 0.0;
    for (int64_t t = 0; t < s->n; t++) {
        const double l0 = (double)l->token_count[t], over = l0 - tau;
        loss += is_quadratic ? 2.0 / tau * over * over : l0;
        s->row_weight[t] =
            (float)(is_quadratic ? lambda * 4.0 / tau * over / n : lambda / n);
    }
    return lambda * loss / n;
}

/* Dead features are drawn towards firing. */
static double pre_act_loss(fc_step *s)
{
    const double c = s->config.pre_act_coefficient, n = (double)s->n;
    double loss = 0.0;
    for (int64_t i = 0; i < s->sae->d_sae; i++) {
        const double norm = (double)s->norm[i], below = s->codes->extra[i];
        s->dz_all[i] = s->is_dead[i] ? (float)(-c * norm / n) : 0.0f;
        if (!s->is_dead[i] || !(norm > 0.0)) continue;
        loss += c * below * norm / n;
        s->w_dec_scale[i] += (float)(c * below / n / norm);
    }
    return loss;
}

void fc_loss_jumprelu(fc_step *s)
{
    const bool is_tanh = s->config.l0_penalty == FC_L0_TANH;
    s->losses.l0_loss = is_tanh ? tanh_loss(s) : count_loss(s);
    s->has_dz_all = s->config.pre_act_coefficient > 0.0 && s->n_dead > 0;
    if (s->has_dz_all) {
        if (!is_tanh)
            memset(s->w_dec_scale, 0, (size_t)s->sae->d_sae * sizeof *s->w_dec_scale);
        s->losses.pre_act = pre_act_loss(s);
    }
    s->has_w_dec_scale = is_tanh || s->has_dz_all;
    s->losses.total += s->losses.l0_loss + s->losses.pre_act;
}

/* --- gradients ---------------------------------------------------------------------------- */

double fc_backward_jumprelu(fc_step *s, fc_entries *e)
{
    const fc_train_config *const config = &s->config;
    const float theta = s->sae->threshold[e->feature], back = -s->dz_all[e->feature];
    const float width = (float)config->jumprelu_bandwidth;
    const bool is_tanh = config->l0_penalty == FC_L0_TANH,
               to_z = config->jumprelu_ste_to_input;
    const double scale = config->jumprelu_tanh_scale * (double)s->norm[e->feature];
    const double weight = s->l0_coefficient * scale / (double)s->n;
    double sum = 0.0, dtheta = 0.0;
    int64_t n_firing = 0;
    for (int64_t j = 0; j < e->n; j++) {
        const bool fires = e->value[j] > 0.0f;
        double df = (double)e->dz[j], through = 0.0;
        if (is_tanh) {
            const double value = (double)tanhf((float)(scale * (double)e->value[j]));
            df += weight * (1.0 - value * value);
        }
        if (!fires || is_in_band(e->value[j], theta, width)) {
            through = (double)(theta / width) * df;
            if (!is_tanh) through += (double)s->row_weight[e->index[j]] / (double)width;
            dtheta -= through;
        }
        double dz = to_z ? through : 0.0;
        if (fires) dz += df + (s->has_dz_all ? (double)back : 0.0);
        n_firing += fires;
        e->dz[j] = (float)dz;
        sum += dz;
    }
    if (s->has_dz_all) dtheta += (double)back * (double)(s->n - n_firing);
    s->param[FC_THRESHOLD].g[e->feature] = (float)dtheta;
    return sum;
}

fc_status fc_check_jumprelu(const fc_train_config *config, fc_err *err)
{
    if (!(config->jumprelu_bandwidth > 0.0))
        return fc_fail(err, FC_USAGE, "jumprelu-bandwidth is %g, expected more than 0",
                       config->jumprelu_bandwidth);
    if (config->l0_penalty == FC_L0_QUADRATIC && !(config->target_l0 > 0.0))
        return fc_fail(err, FC_USAGE,
                       "target-l0 is %g, expected more than 0 for l0-penalty quadratic",
                       config->target_l0);
    return FC_OK;
}

const fc_arch fc_arch_jumprelu = {
    .name = "jumprelu",
    .tensors = FC_HAS_FOUR | FC_HAS_THRESHOLD,
    .has_band = true,
    .has_extra = true,
    .needs_norms = true,
    .inference = {fc_activate_threshold, FC_SELECT_NONE},
    .training = {fc_activate_jumprelu, FC_SELECT_NONE},
    .losses = 1U << FC_LOSS_L0_LOSS | 1U << FC_LOSS_PRE_ACT,
    .check = fc_check_jumprelu,
    .begin = fc_begin_jumprelu,
    .loss = fc_loss_jumprelu,
    .backward = fc_backward_jumprelu,
};
