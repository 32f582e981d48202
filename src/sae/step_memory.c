/* step_memory.c - what a training step holds.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <float.h>
#include <inttypes.h>
#include <math.h>

#include "base/alloc.h"
#include "base/par.h"
#include "sae/arch_parts.h"
#include "sae/auxk.h"
#include "sae/step_internal.h"

static fc_status alloc_params(fc_step *s, fc_err *err)
{
    for (int id = 0; id < FC_SAE_TENSORS; id++) {
        if ((s->arch->tensors & ~s->arch->fixed & 1U << id) == 0) continue;
        const fc_sae_tensor t = fc_sae_tensor_of(s->sae, (fc_sae_tensor_id)id);
        fc_param *p = &s->param[id];
        *p = (fc_param){.name = t.name,
                        .rows = t.rows,
                        .cols = t.cols,
                        .n = t.rows * t.cols,
                        .w = t.data};
        s->n_params = id + 1;
        FC_TRY(fc_alloc(&p->m, p->n, sizeof *p->m, "first moments", err));
        FC_TRY(fc_alloc(&p->v, p->n, sizeof *p->v, "second moments", err));
        if (!fc_step_is_by_feature(id) || s->has_gradients)
            FC_TRY(fc_alloc(&p->g, p->n, sizeof *p->g, "gradients", err));
    }
    return FC_OK;
}

static fc_status alloc_workers(const fc_step *s, fc_err *err)
{
    const char *what = "gradients of a block";
    fc_step_scratch *t = s->scratch;
    const int64_t d_out = s->sae->d_out, widest = fc_max(s->sae->d_in, d_out);
    t->n_workers = fc_par_threads();
    FC_TRY(fc_alloc(&t->worker, t->n_workers, sizeof *t->worker, what, err));
    for (int i = 0; i < t->n_workers; i++) {
        fc_step_worker *w = &t->worker[i];
        FC_TRY(fc_alloc(&w->g, FC_STEP_WHOLE * widest, sizeof *w->g, what, err));
        FC_TRY(fc_alloc(&w->w, FC_STEP_WHOLE * d_out, sizeof *w->w, what, err));
        FC_TRY(fc_alloc(&w->f, FC_STEP_WHOLE * t->row, sizeof *w->f, what, err));
        FC_TRY(fc_alloc(&w->dz, FC_STEP_WHOLE * t->row, sizeof *w->dz, what, err));
        FC_TRY(fc_alloc(&w->begin, FC_STEP_WHOLE, sizeof *w->begin, what, err));
        if (s->aux.delta != NULL)
            FC_TRY(fc_alloc(&w->df_aux, FC_STEP_LISTS * t->row, sizeof *w->df_aux, what,
                            err));
    }
    return FC_OK;
}

static fc_status alloc_packed(const fc_step *s, fc_packed *to, int64_t k, int64_t n,
                              fc_err *err)
{
    *to = (fc_packed){.k = k, .n = n, .precision = s->precision};
    return fc_alloc(&to->data, fc_backend_packed_bytes(s->be, k, n, s->precision), 1,
                    "packed batch", err);
}

static fc_status alloc_scratch(fc_step *s, fc_err *err)
{
    const int64_t d_in = s->sae->d_in, d_out = s->sae->d_out, d_sae = s->sae->d_sae;
    const int64_t n = s->config.batch_size;
    fc_step_scratch *t = s->scratch;
    t->row = s->codes->row;
    /* a block of lists is cut at the ends of levels, but adds to b_dec as one */
    t->n_blocks = fc_ceil_div(d_sae, FC_STEP_WHOLE) + fc_ceil_div(d_sae, FC_STEP_LISTS);
    FC_TRY(alloc_workers(s, err));
    FC_TRY(fc_alloc(&t->column, fc_max(d_in, d_out), sizeof *t->column, "sums", err));
    FC_TRY(fc_alloc(&t->x_sum, d_in, sizeof *t->x_sum, "sums", err));
    FC_TRY(fc_alloc(&t->is_moved, d_sae, sizeof *t->is_moved, "moving features", err));
    if (s->sae->is_b_dec_subtracted)
        FC_TRY(fc_alloc(&t->into_b_dec, t->n_blocks * d_in, sizeof *t->into_b_dec,
                        "gradient of b_dec", err));
    if (s->arch->has_whole_rows) {
        FC_TRY(alloc_packed(s, &t->x_rows, n, d_in, err));
        FC_TRY(alloc_packed(s, &t->delta_rows, n, d_out, err));
        FC_TRY(alloc_packed(s, &t->delta_cols, d_out, n, err));
    }
    if (s->precision == FC_PRECISION_F32) return FC_OK;
    FC_TRY(fc_alloc(&t->w_dec, d_sae * d_out, sizeof *t->w_dec, "W_dec in bf16", err));
    return fc_alloc(&t->x, n * d_in, sizeof *t->x, "batch in bf16", err);
}

static fc_status alloc_term(const fc_step *s, fc_term *term, int n_levels, fc_err *err)
{
    const int64_t n = n_levels * s->config.batch_size * s->sae->d_out;
    term->n_levels = n_levels;
    FC_TRY(fc_alloc(&term->delta, n, sizeof *term->delta, "reconstructions", err));
    if (s->precision == FC_PRECISION_F32) return FC_OK;
    return fc_alloc(&term->rounded, n, sizeof *term->rounded, "delta in bf16", err);
}

static fc_status alloc_all(fc_step *s, fc_err *err)
{
    const int64_t d_sae = s->sae->d_sae;
    if (s->arch->training.selection != FC_SELECT_NONE && s->sae->k > (double)d_sae)
        return fc_fail(err, FC_USAGE, "k is %g, expected at most d_sae = %" PRId64,
                       s->sae->k, d_sae);
    FC_TRY(alloc_params(s, err));
    FC_TRY(
        fc_codes_new_training(&s->codes, s->sae, s->be, s->precision, &s->config, err));
    FC_TRY(alloc_term(s, &s->main, s->n_levels, err));
    if (s->arch->has_second) FC_TRY(alloc_term(s, &s->aux, 1, err));
    if (s->arch->has_auxk && s->config.aux_coefficient > 0.0) {
        FC_TRY(fc_auxk_new(&s->auxk, s, err));
        FC_TRY(alloc_term(s, &s->aux, fc_auxk_levels(s), err));
    }
    FC_TRY(fc_alloc(&s->dz_add, d_sae, sizeof *s->dz_add, "feature weights", err));
    FC_TRY(fc_alloc(&s->dz_all, d_sae, sizeof *s->dz_all, "feature weights", err));
    FC_TRY(fc_alloc(&s->w_dec_scale, d_sae, sizeof *s->norm, "feature weights", err));
    FC_TRY(fc_alloc(&s->norm, d_sae, sizeof *s->norm, "decoder norms", err));
    FC_TRY(fc_alloc(&s->row_weight, s->config.batch_size, sizeof *s->row_weight,
                    "row weights", err));
    FC_TRY(fc_alloc(&s->fired, d_sae, sizeof *s->fired, "last firings", err));
    FC_TRY(fc_alloc(&s->moved, d_sae, sizeof *s->moved, "last firings", err));
    FC_TRY(fc_alloc(&s->is_dead, d_sae, sizeof *s->is_dead, "dead features", err));
    FC_TRY(fc_alloc(&s->scratch, 1, sizeof *s->scratch, "training step", err));
    return alloc_scratch(s, err);
}

/* Smallest number of steps after which the largest float has become 0 by steps of beta1, if
 * what lies below FLT_MIN is 0, as op adam has it. One more for the roundings on the way. */
static int64_t rest_steps(double beta1)
{
    if (!(beta1 > 0.0)) return 1;
    return 2 + (int64_t)ceil(log((double)FLT_MIN / (double)FLT_MAX) / log(beta1) * 1.001);
}

fc_status fc_step_new(fc_step **created, const fc_train_config *config, fc_backend *be,
                      fc_sae *sae, bool has_gradients, fc_err *err)
{
    fc_step *s = NULL;
    FC_TRY(fc_alloc(&s, 1, sizeof *s, "training step", err));
    s->arch = fc_arch_at(config->arch);
    s->config = *config;
    s->be = be;
    s->precision =
        config->precision == FC_BF16_PRECISION ? FC_PRECISION_BF16 : FC_PRECISION_F32;
    s->sae = sae;
    sae->k = config->k;
    sae->is_rescaled = s->arch->has_auxk && config->rescale_by_decoder_norm;
    s->has_gradients = has_gradients || config->grad_clip_norm > 0.0;
    s->aux.is_second = s->arch->has_second;
    s->has_norms =
        s->arch->needs_norms || sae->is_rescaled || config->l1_form == FC_L1_DECODER_NORM;
    s->n_levels = 1;
    s->level_end[0] = sae->d_sae;
    if (s->arch->has_levels)
        s->n_levels =
            fc_matryoshka_levels(config->matryoshka_widths, sae->d_sae, s->level_end);
    const fc_status status = alloc_all(s, err);
    if (status != FC_OK) {
        fc_step_free(s);
        return status;
    }
    s->scratch->rest_steps = rest_steps(config->adam_beta1);
    s->codes->is_dead = s->is_dead;
    if (s->arch->has_band) s->codes->lists.front = s->codes->firing.count;
    if (sae->is_rescaled) s->codes->norm = s->norm;
    *created = s;
    return FC_OK;
}

static void free_scratch(fc_step_scratch *t)
{
    if (t == NULL) return;
    for (int i = 0; t->worker != NULL && i < t->n_workers; i++) {
        fc_step_worker *w = &t->worker[i];
        void *const of_worker[] = {w->g, w->w, w->f, w->dz, w->df_aux, w->begin};
        for (size_t k = 0; k < FC_LEN(of_worker); k++) fc_free(of_worker[k]);
    }
    void *const arrays[] = {
        t->worker, t->column,      t->x_sum,           t->into_b_dec,      t->w_dec,
        t->x,      t->x_rows.data, t->delta_rows.data, t->delta_cols.data, t->is_moved,
        t};
    for (size_t i = 0; i < FC_LEN(arrays); i++) fc_free(arrays[i]);
}

void fc_step_free(fc_step *s)
{
    if (s == NULL) return;
    for (int i = 0; i < s->n_params; i++) {
        fc_free(s->param[i].g);
        fc_free(s->param[i].m);
        fc_free(s->param[i].v);
    }
    fc_codes_free(s->codes);
    fc_auxk_free(s->auxk);
    free_scratch(s->scratch);
    void *const arrays[] = {s->main.delta,
                            s->main.rounded,
                            s->aux.delta,
                            s->aux.rounded,
                            s->dz_add,
                            s->dz_all,
                            s->norm,
                            s->w_dec_scale,
                            s->row_weight,
                            s->fired,
                            s->moved,
                            s->is_dead,
                            s};
    for (size_t i = 0; i < FC_LEN(arrays); i++) fc_free(arrays[i]);
}
