/* linear.c - packs the matrices of a model, one after the other, and multiplies by them.
 *
 * Packed operands of bf16 products take as much memory as the weights in the file, so what is
 * packed takes the place of the mapped pages. Those come back when somebody reads them, as the
 * embedding does with a tied head, row by row.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "model/linear.h"

#include <stddef.h>
#include <string.h>

#include "base/alloc.h"

/* Where a layer's matrix lies in the table of the model, and in that of a runner. */
typedef struct member {
    size_t weight, linear;
} member;

#define MEMBER(name)                                                      \
    {                                                                     \
        offsetof(fc_layer_weights, name), offsetof(fc_linear_layer, name) \
    }
static const member members[] = {MEMBER(q),    MEMBER(k),  MEMBER(v),   MEMBER(o),
                                 MEMBER(gate), MEMBER(up), MEMBER(down)};
#undef MEMBER

static fc_linear *linear_at(fc_linear_layer *layer, size_t offset)
{
    return (fc_linear *)(void *)((char *)layer + offset);
}

static fc_mat weight_at(const fc_layer_weights *layer, size_t offset)
{
    fc_mat weight;
    memcpy(&weight, (const char *)layer + offset, sizeof weight);
    return weight;
}

static fc_status make_ready(const fc_linears *linears, fc_linear *linear, fc_mat weight,
                            fc_err *err)
{
    linear->weight = weight;
    if (linears->precision == FC_PRECISION_F32) return FC_OK;
    fc_packed packed = {
        .k = weight.cols, .n = weight.rows, .precision = linears->precision};
    const int64_t n_bytes =
        fc_backend_packed_bytes(linears->be, packed.k, packed.n, packed.precision);
    FC_TRY(fc_alloc(&packed.data, n_bytes, 1, "packed weights", err));
    linears->be->ops->pack(linears->be, &packed, fc_mat_transposed(weight));
    fc_weight_files_release(&linears->model->files, weight.data);
    linear->packed = packed;
    return FC_OK;
}

fc_status fc_linears_init(fc_linears *linears, const fc_model *model, fc_backend *be,
                          fc_precision precision, fc_err *err)
{
    *linears = (fc_linears){.model = model, .be = be, .precision = precision};
    return fc_alloc(&linears->layer, model->config.n_layers, sizeof *linears->layer,
                    "the table of matrices", err);
}

void fc_linears_deinit(fc_linears *linears)
{
    if (linears->layer == NULL) return;
    for (int64_t i = 0; i < linears->model->config.n_layers; i++)
        for (size_t m = 0; m < FC_LEN(members); m++)
            fc_free(linear_at(&linears->layer[i], members[m].linear)->packed.data);
    fc_free(linears->head.packed.data);
    fc_free(linears->layer);
    *linears = (fc_linears){0};
}

static fc_status make_layer_ready(fc_linears *linears, int64_t i, fc_err *err)
{
    const fc_layer_weights *const weights = &linears->model->weights.layer[i];
    for (size_t m = 0; m < FC_LEN(members); m++) {
        fc_linear *const linear = linear_at(&linears->layer[i], members[m].linear);
        if (linear->packed.data != NULL) continue; /* since a call that failed later on */
        FC_TRY(make_ready(linears, linear, weight_at(weights, members[m].weight), err));
    }
    return FC_OK;
}

fc_status fc_linears_need(fc_linears *linears, int64_t n_layers, bool needs_head,
                          fc_err *err)
{
    for (; linears->n_ready < n_layers; linears->n_ready++)
        FC_TRY(make_layer_ready(linears, linears->n_ready, err));
    if (!needs_head || linears->is_head_ready) return FC_OK;
    FC_TRY(make_ready(linears, &linears->head, linears->model->weights.head, err));
    linears->is_head_ready = true;
    return FC_OK;
}

void fc_linear_apply(const fc_linears *linears, float *c, fc_mat a,
                     const fc_linear *linear)
{
    fc_backend *const be = linears->be;
    const int64_t n_out = linear->weight.rows;
    if (linear->packed.data != NULL)
        be->ops->matmul_packed(be, c, n_out, a, &linear->packed, false);
    else
        be->ops->matmul(be, c, n_out, a, fc_mat_transposed(linear->weight),
                        linears->precision, false);
}
