/* singular_values_internal.h - the singular values of a matrix with many rows.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_SINGULAR_VALUES_INTERNAL_H
#define FC_STUDY_SINGULAR_VALUES_INTERNAL_H

#include "base/err.h"

/* w: [n, d], finite. Writes the min(n, d) largest to sigma, largest first; those of a matrix of rank r
 * are 0 from the r-th on to about 1e-8 of the largest. In double, the same for any number of threads.
 * Time n d min(n, d) + min(n, d)^3; memory 8 min(n, d)^2 bytes. */
fc_status fc_singular_values(const float *w, int64_t n, int64_t d, double *sigma,
                             fc_err *err);

/* The eigenvalues of a symmetric matrix a [k, k], which is overwritten: value [k], largest first. */
fc_status fc_symmetric_eigenvalues(double *a, int64_t k, double *value, fc_err *err);

#endif
