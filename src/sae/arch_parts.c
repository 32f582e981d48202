/* arch_parts.c - pieces that several architectures are made of.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/arch_parts.h"

#include <math.h>
#include <string.h>

#include "base/par.h"

/* --- features ----------------------------------------------------------------------------- */

void fc_activate_relu(const fc_feature_block *b)
{
    b->be->ops->relu_rows(b->be, &b->to, b->z, b->z_row, b->sae->b_enc + b->first,
                          b->n_rows, b->n);
    memcpy(b->firing.count, b->to.count, (size_t)b->n_rows * sizeof *b->to.count);
}

void fc_list_above(const fc_feature_block *b, const float *floor)
{
    float bias[FC_BLOCK_ROWS];
    fc_feature_rows to = b->to;
    to.n_list = b->n;
    FC_ASSERT(b->n_rows <= FC_BLOCK_ROWS);
    for (int64_t r = 0; r < b->n_rows; r++) {
        const float own = b->sae->b_enc[b->first + r];
        const float margin = 1e-6f * (fabsf(own) + fabsf(floor[r]));
        bias[r] = own - floor[r] + margin;
    }
    b->be->ops->relu_rows(b->be, &to, b->z, b->z_row, bias, b->n_rows, b->n);
}

void fc_activate_threshold(const fc_feature_block *b)
{
    float floor[FC_BLOCK_ROWS];
    for (int64_t r = 0; r < b->n_rows; r++)
        floor[r] = fmaxf(b->sae->threshold[b->first + r], 0.0f);
    fc_list_above(b, floor);
    for (int64_t r = 0; r < b->n_rows; r++) {
        int32_t *const index = b->to.index + r * b->to.index_row;
        float *const value = b->to.value + r * b->to.value_row;
        double sum = 0.0;
        float max = 0.0f;
        int64_t n = 0;
        for (int64_t j = 0; j < b->to.count[r]; j++) {
            const float z = fc_block_z(b, r, index[j]);
            if (!(z > floor[r])) continue;
            index[n] = index[j];
            value[n++] = z;
            sum += (double)z;
            max = z > max ? z : max;
        }
        b->to.count[r] = b->firing.count[r] = n;
        b->firing.sum[r] = sum;
        b->firing.max[r] = max;
    }
}

/* --- L1 ----------------------------------------------------------------------------------- */

/* c_i */
static double l1_weight(const fc_step *s, int64_t i)
{
    if (s->config.l1_form == FC_L1_DECODER_NORM) return (double)s->norm[i];
    return s->config.l1_form == FC_L1_MEAN ? 1.0 / (double)s->sae->d_sae : 1.0;
}

void fc_penalty_l1(fc_step *s, const double *sums)
{
    const bool is_by_norm = s->config.l1_form == FC_L1_DECODER_NORM;
    const double lambda = s->l1_coefficient, n = (double)s->n;
    double l1 = 0.0;
    for (int64_t i = 0; i < s->sae->d_sae; i++) {
        const double c = l1_weight(s, i);
        l1 += c * sums[i];
        s->dz_add[i] = (float)(lambda * c / n);
        if (is_by_norm)
            s->w_dec_scale[i] = c > 0.0 ? (float)(lambda * sums[i] / n / c) : 0.0f;
    }
    s->has_w_dec_scale = is_by_norm;
    s->losses.l1 = l1 / n;
    s->losses.total += lambda * s->losses.l1;
}

void fc_loss_l1(fc_step *s)
{
    fc_penalty_l1(s, s->codes->firing.sum);
}

double fc_backward_plain(fc_step *s, fc_entries *e)
{
    const float add = s->dz_add[e->feature];
    double sum = 0.0;
    for (int64_t j = 0; j < e->n; j++) {
        e->dz[j] += add;
        sum += (double)e->dz[j];
    }
    return sum;
}

double fc_backward_kept(fc_step *s, fc_entries *e)
{
    double sum = 0.0;
    (void)s;
    for (int64_t j = 0; j < e->n; j++) sum += (double)e->dz[j];
    return sum;
}

fc_status fc_check_transcoder(const fc_train_config *config, fc_err *err)
{
    if (!config->apply_b_dec_to_input) return FC_OK;
    return fc_fail(err, FC_USAGE,
                   "apply-b-dec-to-input is on, expected off for a transcoder: its b_dec "
                   "belongs to another activation than its input");
}
