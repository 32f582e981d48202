/* quantiles.h - a distribution in nine numbers.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_QUANTILES_H
#define FC_STUDY_QUANTILES_H

#include <stdint.h>

/* Quantile p of n sorted values lies at place p (n - 1), between neighbours in proportion, as numpy
 * and PyTorch have it. n 0: all numbers are 0. */
typedef struct fc_quantiles {
    int64_t n;
    double mean, min, p05, p25, median, p75, p95, max;
} fc_quantiles;

/* Sorts value [n] in place; none may be NaN. The mean is summed in the order given. */
fc_quantiles fc_quantiles_of(double *value, int64_t n);

#endif
