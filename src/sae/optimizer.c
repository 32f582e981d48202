/* optimizer.c - the update of one step, in the order that PyTorch training loops use:
 * project, clip, Adam, renormalise.
 *
 *   g_i -= (g_i . d_i) d_i                       d_i = W_dec_i, of unit length
 *   g   *= min(1, c / (||g|| + 1e-6))            over all parameters together
 *   w   -= Adam(g)                               backend.h, op adam
 *   d_i /= ||d_i||
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/optimizer.h"

#include <math.h>

double fc_optimizer_prepare(fc_step *step, bool is_norm_wanted)
{
    fc_backend *be = step->be;
    const fc_param *w_dec = &step->param[FC_W_DEC];
    if (step->config.unit_norm_decoder)
        be->ops->project_rows(be, w_dec->g, w_dec->w, w_dec->rows, w_dec->cols);

    const double clip = step->config.grad_clip_norm;
    if (!(clip > 0.0) && !is_norm_wanted) return 0.0;
    double sum = 0.0;
    for (int i = 0; i < step->n_params; i++)
        sum += be->ops->sum_sq(be, step->param[i].g, step->param[i].n);
    const double norm = sqrt(sum);
    const double factor = clip / (norm + 1e-6);
    if (clip > 0.0 && factor < 1.0)
        for (int i = 0; i < step->n_params; i++)
            be->ops->scale(be, step->param[i].g, step->param[i].n, (float)factor);
    return norm;
}

void fc_optimizer_apply(fc_step *step, double lr, int64_t k)
{
    const fc_train_config *c = &step->config;
    const fc_adam adam = {lr, c->adam_beta1, c->adam_beta2, c->adam_eps, k};
    for (int i = 0; i < step->n_params; i++) {
        const fc_param *p = &step->param[i];
        step->be->ops->adam(step->be, p->w, p->m, p->v, p->g, p->n, &adam);
    }
    const fc_param *w_dec = &step->param[FC_W_DEC];
    if (c->unit_norm_decoder)
        step->be->ops->unit_rows(step->be, w_dec->w, NULL, w_dec->rows, w_dec->cols,
                                 1.0f);
}
