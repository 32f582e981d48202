/* linear.h - the weight matrices of a model in the form in which one runner multiplies by them.
 *
 *   F32   products read the weights where they lie in the mapped files
 *   BF16  each matrix is packed once, when the first run needs its layer, and its pages of the
 *         file are let go: at any time there is one copy, and one matrix more
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_MODEL_LINEAR_H
#define FC_MODEL_LINEAR_H

#include "model/model_internal.h"

typedef struct fc_linear {
    fc_mat weight;    /* [out, in], in the mapped file */
    fc_packed packed; /* [in, out]; data is NULL where products read `weight` */
} fc_linear;

typedef struct fc_linear_layer {
    fc_linear q, k, v, o, gate, up, down;
} fc_linear_layer;

typedef struct fc_linears {
    const fc_model *model;
    fc_backend *be;
    fc_precision precision;
    fc_linear_layer *layer; /* [n_layers], the first n_ready can be used */
    fc_linear head;
    int64_t n_ready;
    bool is_head_ready;
} fc_linears;

/* The model and the backend are borrowed. On failure nothing is left to release. */
fc_status fc_linears_init(fc_linears *linears, const fc_model *model, fc_backend *be,
                          fc_precision precision, fc_err *err);
void fc_linears_deinit(fc_linears *linears);

/* Makes the first n_layers layers ready, and the head if it is needed; those that are cost
 * nothing. In parallel. */
fc_status fc_linears_need(fc_linears *linears, int64_t n_layers, bool needs_head,
                          fc_err *err);

/* C = A W^T.  c: [a.rows, out], a: [a.rows, in], F32 or the type of the precision */
void fc_linear_apply(const fc_linears *linears, float *c, fc_mat a,
                     const fc_linear *linear);

#endif
