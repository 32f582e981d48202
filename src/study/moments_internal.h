/* moments_internal.h - mean and variance of columns over rows that come in blocks.
 *
 *   variance = sum over columns of sum over rows of (x_tj - mean_j)^2
 *
 * The mean is not known before the last row, so sums are taken about the first row x_0: sum (x - mean)^2
 * = sum (x - x_0)^2 - n (mean - x_0)^2, in double. Without that, a mean that is large beside the
 * spread would cost the digits of the difference.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_MOMENTS_INTERNAL_H
#define FC_STUDY_MOMENTS_INTERNAL_H

#include "base/err.h"

typedef struct fc_moments {
    int64_t d, n_rows;
    float *origin;    /* [d] the first row of all */
    double *sum, *sq; /* [d] of x - origin and its square */
} fc_moments;

/* On failure it is {0}. */
fc_status fc_moments_init(fc_moments *m, int64_t d, fc_err *err);
void fc_moments_deinit(fc_moments *m);
void fc_moments_clear(fc_moments *m); /* back to no rows */

/* The next rows, x: [n, d]. Columns are summed in row order: blocks of any size and any number of
 * threads give the same bytes. */
void fc_moments_add(fc_moments *m, const float *x, int64_t n);

double fc_moments_mean(const fc_moments *m, int64_t column); /* NaN without rows */
double fc_moments_variance(const fc_moments *m);

#endif
