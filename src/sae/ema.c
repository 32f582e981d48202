/* ema.c - the fading mean of weights.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/ema.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/par.h"

fc_status fc_ema_init(fc_ema *ema, const fc_step *step, fc_err *err)
{
    *ema = (fc_ema){0};
    if (!(step->config.ema_decay > 0.0)) return FC_OK;
    for (int i = 0; i < step->n_params; i++) {
        const fc_param *p = &step->param[i];
        if (p->n == 0) continue;
        const fc_status status =
            fc_alloc(&ema->w[i], p->n, sizeof *ema->w[i], "mean of weights", err);
        if (status == FC_OK) continue;
        fc_ema_deinit(ema);
        return status;
    }
    return FC_OK;
}

void fc_ema_deinit(fc_ema *ema)
{
    for (int i = 0; i < FC_SAE_TENSORS; i++) fc_free(ema->w[i]);
    *ema = (fc_ema){0};
}

typedef struct taking {
    float *mean;
    const float *w;
    float share;
} taking;

static void take(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const taking *t = ctx;
    for (int64_t i = begin; i < end; i++) t->mean[i] += t->share * (t->w[i] - t->mean[i]);
}

void fc_ema_update(fc_ema *ema, const fc_step *step)
{
    if (step->n_done % FC_EMA_STEPS != 0) return;
    const int64_t n_taken = step->n_done / FC_EMA_STEPS;
    const double fading = 1.0 - pow(step->config.ema_decay, FC_EMA_STEPS);
    for (int i = 0; i < step->n_params; i++) {
        taking t = {ema->w[i], step->param[i].w,
                    (float)fmax(fading, 1.0 / (double)n_taken)};
        if (t.mean != NULL) fc_par_for(step->param[i].n, 1 << 16, take, &t);
    }
}

void fc_ema_use(const fc_ema *ema, fc_step *step)
{
    if (step->n_done < FC_EMA_STEPS) return;
    for (int i = 0; i < step->n_params; i++) {
        const fc_param *p = &step->param[i];
        if (ema->w[i] != NULL) memcpy(p->w, ema->w[i], (size_t)p->n * sizeof *p->w);
    }
    const fc_param *w_dec = &step->param[FC_W_DEC];
    if (ema->w[FC_W_DEC] != NULL && step->config.unit_norm_decoder)
        step->be->ops->unit_rows(step->be, w_dec->w, NULL, w_dec->rows, w_dec->cols,
                                 1.0f);
    fc_step_weights_changed(step);
}
