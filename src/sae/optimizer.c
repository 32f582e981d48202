/* optimizer.c - the update of one step, in the order that PyTorch training loops use:
 * project, clip, Adam, renormalise.
 *
 *   g_i -= (g_i . d_i) d_i                       d_i = W_dec_i, of unit length
 *   g   *= min(1, c / (||g|| + 1e-6))            over all parameters together
 *   w   -= Adam(g)                               backend.h, op adam
 *   d_i /= ||d_i||
 *
 * All but the clipping is done for a few rows at a time, while their gradient is in the cache.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/par.h"
#include "sae/step_internal.h"

fc_adam fc_step_adam(const fc_step *step, double lr, int64_t k)
{
    const fc_train_config *c = &step->config;
    return (fc_adam){lr, c->adam_beta1, c->adam_beta2, c->adam_eps, k};
}

/* --- rest --------------------------------------------------------------------------------- */

static bool is_at_rest(const fc_step *s, int64_t i, int64_t k)
{
    return !s->scratch->is_moved[i] &&
           (s->moved[i] == 0 || k - s->moved[i] > s->scratch->rest_steps);
}

/* A feature that moves again after a rest: its second moment fades by the steps it missed. */
static void wake(const fc_step *s, const fc_param *p, int64_t i, const fc_adam *adam)
{
    if (!s->scratch->is_moved[i] || s->moved[i] == 0) return;
    const int64_t n_missed = adam->step - 1 - s->moved[i] - s->scratch->rest_steps;
    if (n_missed <= 0) return;
    const float faded = (float)pow(adam->beta2, (double)n_missed);
    s->be->ops->scale(s->be, p->v + i * p->cols, p->cols, faded);
}

/* --- rows --------------------------------------------------------------------------------- */

static void update_run(fc_step *s, int param, int64_t first, int64_t n_rows, float *g,
                       const fc_row_update *update)
{
    const fc_ops *op = s->be->ops;
    const fc_param *p = &s->param[param];
    const int64_t at = first * p->cols, n = n_rows * p->cols;
    const bool is_unit = param == FC_W_DEC && s->config.unit_norm_decoder;
    for (int64_t i = first; i < first + n_rows; i++) wake(s, p, i, &update->adam);
    if (is_unit && !update->is_projected)
        op->project_rows(s->be, g, p->w + at, n_rows, p->cols);
    op->adam(s->be, p->w + at, p->m + at, p->v + at, g, n, &update->adam);
    if (is_unit) op->unit_rows(s->be, p->w + at, NULL, n_rows, p->cols, 1.0f);
    if (param == FC_W_DEC && s->has_norms)
        op->row_norms(s->be, s->norm + first, p->w + at, n_rows, p->cols);
    if (param == FC_W_DEC && s->scratch->w_dec != NULL)
        op->convert(s->be, s->scratch->w_dec + at, FC_BF16, p->w + at, FC_F32, n);
}

void fc_optimizer_rows(fc_step *s, int param, int64_t first, int64_t n_rows, float *g,
                       const fc_row_update *update)
{
    const int64_t k = update->adam.step, cols = s->param[param].cols;
    for (int64_t r = 0, end; r < n_rows; r = end) {
        const bool rests = is_at_rest(s, first + r, k);
        for (end = r + 1; end < n_rows && is_at_rest(s, first + end, k) == rests;) end++;
        if (!rests) update_run(s, param, first + r, end - r, g + r * cols, update);
    }
}

/* --- gradients in memory ------------------------------------------------------------------ */

double fc_step_clip(fc_step *step)
{
    const fc_ops *op = step->be->ops;
    const fc_param *w_dec = &step->param[FC_W_DEC];
    FC_CHECK(step->has_gradients);
    if (step->config.unit_norm_decoder)
        op->project_rows(step->be, w_dec->g, w_dec->w, w_dec->rows, w_dec->cols);
    double sum = 0.0;
    for (int i = 0; i < step->n_params; i++) /* n is 0 where there is no such parameter */
        sum += op->sum_sq(step->be, step->param[i].g, step->param[i].n);
    const double norm = sqrt(sum), clip = step->config.grad_clip_norm;
    const double factor = clip / (norm + 1e-6);
    if (clip > 0.0 && factor < 1.0)
        for (int i = 0; i < step->n_params; i++)
            op->scale(step->be, step->param[i].g, step->param[i].n, (float)factor);
    return norm;
}

typedef struct application {
    fc_step *s;
    fc_row_update update;
} application;

static void apply_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const application *a = ctx;
    for (int i = 0; i < a->s->n_params; i++) {
        const fc_param *p = &a->s->param[i];
        if (fc_step_is_by_feature(i))
            fc_optimizer_rows(a->s, i, begin, end - begin, p->g + begin * p->cols,
                              &a->update);
    }
}

void fc_step_apply_vectors(fc_step *s, const fc_adam *adam)
{
    for (int i = 0; i < s->n_params; i++) {
        const fc_param *p = &s->param[i];
        if (!fc_step_is_by_feature(i))
            s->be->ops->adam(s->be, p->w, p->m, p->v, p->g, p->n, adam);
    }
    for (int64_t i = 0; i < s->sae->d_sae; i++) {
        if (s->codes->firing.count[i] > 0) s->fired[i] = adam->step;
        if (s->scratch->is_moved[i]) s->moved[i] = adam->step;
    }
    s->n_done = adam->step;
}

void fc_step_apply(fc_step *step, double lr, int64_t k)
{
    application a = {step, {.adam = fc_step_adam(step, lr, k), .is_projected = true}};
    FC_CHECK(step->has_gradients);
    FC_ASSERT(k == step->n_done + 1);
    fc_par_for(step->sae->d_sae, FC_STEP_LISTS, apply_rows, &a);
    fc_step_apply_vectors(step, &a.update.adam);
}
