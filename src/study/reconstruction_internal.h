/* reconstruction_internal.h - what an SAE loses, over all rows.
 *
 *   y = f W_dec + b_dec        e = x - y
 *   MSE = mean of e^2 over rows and dimensions
 *   FVU = sum of ||x - y||^2 / sum of ||x - mean||^2       explained variance = 1 - FVU
 *
 * The mean is that of the rows themselves. It is not known before the last row, so sums are taken
 * about the first row: sum ||x - mean||^2 = sum ||x - x_0||^2 - n ||mean - x_0||^2, in double.
 *
 * A block is begun, features are added to it in chunks, and it is ended.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_RECONSTRUCTION_INTERNAL_H
#define FC_STUDY_RECONSTRUCTION_INTERNAL_H

#include <stdbool.h>

#include "study/hits_internal.h"
#include "tensor/backend.h"

typedef struct fc_sparse_hit {
    int32_t row; /* of the block */
    float value;
} fc_sparse_hit;

typedef struct fc_reconstruction {
    int64_t d, n_max;
    float *y;       /* [n_max, d] what often firing features add up to */
    float *y_panel; /* [d / 64, n_max, 64] the same of the others, by panels of columns */
    float *w;       /* [n_features_max, d] decoder rows gathered for a dense product */
    fc_sparse_hit
        *hit;         /* those of a chunk's seldom firing features, one after the other */
    int64_t *begin;   /* [n_features_max + 1] where each feature's begin */
    double *row;      /* [n_max] squared error of each row */
    float *origin;    /* [d] the first row of all */
    double *sum, *sq; /* [d] of x - origin and its square */
    int64_t n_rows;
    double squared_error;
} fc_reconstruction;

/* Blocks of up to n_max rows, chunks of up to n_features_max. On failure it is {0}. */
fc_status fc_reconstruction_init(fc_reconstruction *r, int64_t d, int64_t n_max,
                                 int64_t n_features_max, fc_err *err);
void fc_reconstruction_deinit(fc_reconstruction *r);

void fc_reconstruction_begin(fc_reconstruction *r, int64_t n);

/* Adds f^T w for the features of the chunk, whose f is overwritten.
 *   w: [n_features, d] decoder rows */
void fc_reconstruction_add(fc_reconstruction *r, fc_backend *be, fc_precision precision,
                           const fc_chunk *chunk, const float *w);

/* x: [n, d] the rows of the block;  bias: [d]. */
void fc_reconstruction_end(fc_reconstruction *r, const float *x, const float *bias,
                           int64_t n);

/* Over all blocks so far. FVU is NaN when all rows are equal. */
double fc_reconstruction_mse(const fc_reconstruction *r);
double fc_reconstruction_fvu(const fc_reconstruction *r);

#endif
