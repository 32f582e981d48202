/* arch.c - the table of architectures, and the memory of a training step.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/arch.h"

#include <string.h>

#include "base/alloc.h"

static const fc_arch *const archs[] = {&fc_arch_standard};

const fc_arch *fc_arch_at(int row)
{
    FC_CHECK(row >= 0 && row < (int)FC_LEN(archs));
    return archs[row];
}

const fc_arch *fc_arch_find(const char *name)
{
    for (size_t i = 0; i < FC_LEN(archs); i++)
        if (strcmp(archs[i]->name, name) == 0) return archs[i];
    return NULL;
}

const float *fc_arch_encode(const fc_sae *sae, fc_backend *be, fc_precision precision,
                            const float *x, int64_t n, float *xc, float *z)
{
    if (sae->is_b_dec_subtracted) be->ops->sub_row(be, xc, x, sae->b_dec, n, sae->d_in);
    const float *input = sae->is_b_dec_subtracted ? xc : x;
    const fc_mat w_enc = fc_mat_of(sae->w_enc, FC_F32, sae->d_sae, sae->d_in);
    const fc_mat in = fc_mat_of(input, FC_F32, n, sae->d_in);
    be->ops->matmul(be, z, n, w_enc, fc_mat_transposed(in), precision, false);
    return input;
}

void fc_arch_decode(const fc_sae *sae, fc_backend *be, fc_precision precision,
                    const float *f, int64_t n, float *y)
{
    const fc_mat codes = fc_mat_of(f, FC_F32, sae->d_sae, n);
    const fc_mat w_dec = fc_mat_of(sae->w_dec, FC_F32, sae->d_sae, sae->d_in);
    be->ops->matmul(be, y, sae->d_in, fc_mat_transposed(codes), w_dec, precision, false);
}

static int64_t axis_size(fc_axis axis, const fc_sae *sae)
{
    switch (axis) {
    case FC_AXIS_ONE: return 1;
    case FC_AXIS_IN: return sae->d_in;
    case FC_AXIS_SAE: return sae->d_sae;
    }
    return 0;
}

static fc_status new_params(fc_step *step, fc_err *err)
{
    step->n_params = step->arch->n_params;
    for (int i = 0; i < step->n_params; i++) {
        const fc_param_kind *kind = &step->arch->params[i];
        fc_param *p = &step->param[i];
        p->name = kind->name;
        p->rows = axis_size(kind->rows, step->sae);
        p->cols = axis_size(kind->cols, step->sae);
        p->n = p->rows * p->cols;
        memcpy(&p->w, (const char *)step->sae + kind->offset, sizeof p->w);
        FC_TRY(fc_alloc(&p->g, p->n, sizeof *p->g, "gradients", err));
        FC_TRY(fc_alloc(&p->m, p->n, sizeof *p->m, "first moments", err));
        FC_TRY(fc_alloc(&p->v, p->n, sizeof *p->v, "second moments", err));
    }
    return FC_OK;
}

static fc_status new_scratch(fc_step *s, fc_err *err)
{
    const int64_t d_in = s->sae->d_in, d_sae = s->sae->d_sae;
    FC_TRY(fc_alloc(&s->xc, s->n_max * d_in, sizeof(float), "centred batch", err));
    FC_TRY(fc_alloc(&s->y, s->n_max * d_in, sizeof(float), "reconstructions", err));
    FC_TRY(fc_alloc(&s->f, s->n_max * d_sae, sizeof(float), "features", err));
    FC_TRY(fc_alloc(&s->df, s->n_max * d_sae, sizeof(float), "feature gradients", err));
    FC_TRY(fc_alloc(&s->row, d_sae, sizeof(float), "feature weights", err));
    FC_TRY(fc_alloc(&s->norm, d_sae, sizeof(float), "decoder norms", err));
    FC_TRY(fc_alloc(&s->active, d_sae, sizeof(int64_t), "active features", err));
    FC_TRY(fc_alloc(&s->column, d_in, sizeof(double), "column sums", err));
    FC_TRY(fc_alloc(&s->firing.count, d_sae, sizeof(int64_t), "feature counts", err));
    FC_TRY(fc_alloc(&s->firing.sum, d_sae, sizeof(double), "feature sums", err));
    return fc_alloc(&s->firing.max, d_sae, sizeof(float), "feature maxima", err);
}

fc_status fc_step_new(fc_step **created, const fc_train_config *config, fc_backend *be,
                      fc_sae *sae, fc_err *err)
{
    fc_step *step = NULL;
    FC_TRY(fc_alloc(&step, 1, sizeof *step, "training step", err));
    step->arch = fc_arch_at(config->arch);
    step->config = *config;
    step->be = be;
    step->precision =
        config->precision == FC_BF16_PRECISION ? FC_PRECISION_BF16 : FC_PRECISION_F32;
    step->sae = sae;
    step->n_max = config->batch_size;
    fc_status status = new_params(step, err);
    if (status == FC_OK) status = new_scratch(step, err);
    if (status != FC_OK) {
        fc_step_free(step);
        return status;
    }
    *created = step;
    return FC_OK;
}

void fc_step_free(fc_step *step)
{
    if (step == NULL) return;
    for (int i = 0; i < step->n_params; i++) {
        fc_free(step->param[i].g);
        fc_free(step->param[i].m);
        fc_free(step->param[i].v);
    }
    void *const scratch[] = {step->xc,         step->y,         step->f,
                             step->df,         step->row,       step->norm,
                             step->active,     step->column,    step->firing.count,
                             step->firing.sum, step->firing.max};
    for (size_t i = 0; i < FC_LEN(scratch); i++) fc_free(scratch[i]);
    fc_free(step);
}
