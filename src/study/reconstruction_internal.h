/* reconstruction_internal.h - what an SAE loses, over all rows.
 *
 *   y = f W_dec                e = x - (y + b_dec)
 *   MSE = mean of e^2 over rows and dimensions
 *   FVU = sum of ||e||^2 / sum of ||x - mean||^2           explained variance = 1 - FVU
 *
 * The mean is that of the rows themselves.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_RECONSTRUCTION_INTERNAL_H
#define FC_STUDY_RECONSTRUCTION_INTERNAL_H

#include "study/moments_internal.h"

typedef struct fc_reconstruction {
    int64_t d;
    double *row;        /* [n_max] squared error of each row of a block */
    fc_moments moments; /* of the rows */
    double squared_error;
} fc_reconstruction;

/* Blocks of up to n_max rows. On failure it is {0}. */
fc_status fc_reconstruction_init(fc_reconstruction *r, int64_t d, int64_t n_max,
                                 fc_err *err);
void fc_reconstruction_deinit(fc_reconstruction *r);

/* The next rows of the store, x: [n, d] as the SAE sees them, y: [n, d] without bias; bias: [d].
 * Rows and columns are summed in order: blocks of any size and any number of threads give the same
 * bytes. */
void fc_reconstruction_add(fc_reconstruction *r, const float *x, const float *y,
                           const float *bias, int64_t n);

/* Over all rows so far. FVU is NaN when all rows are equal. */
double fc_reconstruction_mse(const fc_reconstruction *r);
double fc_reconstruction_fvu(const fc_reconstruction *r);

#endif
