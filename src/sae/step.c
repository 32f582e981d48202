/* step.c - the way forward of a training step.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/step.h"

#include <string.h>

#include "sae/step_internal.h"

/* --- operands ----------------------------------------------------------------------------- */

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

fc_mat fc_step_delta(const fc_step *s, const fc_term *term, int level)
{
    const int64_t at = level * s->config.batch_size * s->sae->d_out;
    return term->rounded != NULL
               ? fc_mat_of(term->rounded + at, FC_BF16, s->n, s->sae->d_out)
               : fc_mat_of(term->delta + at, FC_F32, s->n, s->sae->d_out);
}

/* --- forward ------------------------------------------------------------------------------ */

void fc_step_weights_changed(fc_step *step)
{
    step->scratch->is_w_dec_fresh = false;
}

/* What is kept beside W_dec while it is trained; fc_optimizer_rows keeps it up to date. */
static void refresh_w_dec(fc_step *s)
{
    const fc_param *p = &s->param[FC_W_DEC];
    if (s->scratch->is_w_dec_fresh) return;
    if (s->scratch->w_dec != NULL)
        s->be->ops->convert(s->be, s->scratch->w_dec, FC_BF16, p->w, FC_F32, p->n);
    if (s->has_norms) s->be->ops->row_norms(s->be, s->norm, p->w, p->rows, p->cols);
    s->scratch->is_w_dec_fresh = true;
}

static void find_dead(fc_step *s)
{
    s->n_dead = 0;
    for (int64_t i = 0; i < s->sae->d_sae; i++) {
        s->is_dead[i] = s->n_done - s->fired[i] > s->config.dead_feature_window;
        s->n_dead += s->is_dead[i];
    }
}

static double l0_of(const fc_step *s)
{
    int64_t n_active = 0;
    for (int64_t i = 0; i < s->sae->d_sae; i++) n_active += s->codes->firing.count[i];
    return (double)n_active / (double)s->n;
}

static void reconstruct(fc_step *s)
{
    fc_codes_decode(s->codes, s->be, fc_step_w_dec(s), s->main.delta);
    s->losses.mse =
        s->be->ops->mse_grad(s->be, s->main.delta, s->sae->b_dec, fc_step_target(s), s->n,
                             s->sae->d_out, (float)(2.0 / s->denominator)) /
        s->denominator;
    s->level_mse[0] = s->losses.mse;
}

void fc_step_forward(fc_step *s)
{
    const double d_out = (double)s->sae->d_out;
    s->denominator = (double)s->n * (s->config.mse_form == FC_MSE_MEAN ? d_out : 1.0);
    s->losses = (fc_losses){0};
    s->main.lists = &s->codes->lists;
    s->aux.lists = NULL;
    if (s->arch->begin != NULL) s->arch->begin(s);
    refresh_w_dec(s);
    find_dead(s);
    fc_codes_encode(s->codes, s->sae, s->be, s->x, s->n);
    s->losses.l0 = l0_of(s);
    if (s->arch->reconstruct != NULL)
        s->arch->reconstruct(s);
    else
        reconstruct(s);
    s->losses.total = s->losses.mse;
    s->arch->loss(s);
}

void fc_step_finish(fc_step *s)
{
    refresh_w_dec(s);
    if (s->arch->finish != NULL) s->arch->finish(s);
}
