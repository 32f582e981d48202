/* normaliser.h - what raw activations go through before an SAE sees them, and the way back.
 *
 *   none           x' = x
 *   center_unit    x' = (x - mean) / ||x - mean||     a row equal to the mean becomes 0
 *   center_scale   x' = (x - mean) / norm             one norm for all rows: the mean of
 *                                                     ||x - mean|| over the store, / sqrt(d)
 *   back           x  = x' * norm + mean              norm: what the row was divided by
 *
 * center_unit is the seed experiment's: it forgets how long a row was, so the way back needs the
 * norms of the way in. center_scale keeps lengths and can be folded into weights exactly.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_ACTS_NORMALISER_H
#define FC_ACTS_NORMALISER_H

#include "acts/store.h"

typedef enum fc_norm_kind {
    FC_NORM_NONE,
    FC_NORM_CENTER_UNIT,
    FC_NORM_CENTER_SCALE
} fc_norm_kind;
#define FC_NORM_CHOICES "none|center_unit|center_scale"

typedef struct fc_normaliser { /* {.d = d} is a ready `none` */
    fc_norm_kind kind;
    int64_t d;
    float *mean; /* [d], owned; NULL for none */
    float norm;  /* center_scale: the divisor, > 0 */
} fc_normaliser;

/* From values: mean [d] is copied (ignored for none), norm is used by center_scale only and must
 * be finite and > 0 there. On failure *normaliser is {0}. */
fc_status fc_normaliser_init(fc_normaliser *normaliser, fc_norm_kind kind, int64_t d,
                             const float *mean, float norm, fc_err *err);
/* From the statistics of a complete store. */
fc_status fc_normaliser_of_store(fc_normaliser *normaliser, fc_norm_kind kind,
                                 const fc_store *store, fc_err *err);
void fc_normaliser_deinit(fc_normaliser *normaliser); /* back to {0} */

/* x' from x, and the norm of each row (1 for none).
 *   y: [n, d] f32 written; x: [n, d] f32 read, y == x is allowed; norm: [n] written, or NULL
 * x - mean and the division in float32; the sum of squares in double, lane j % 8 in ascending j,
 * lanes folded 8 -> 4 -> 2 -> 1. Rows are independent: any number of callers and any batch give
 * the same bytes. Runs on the calling thread. */
void fc_normalise(const fc_normaliser *normaliser, float *y, const float *x, float *norm,
                  int64_t n);

/* The way back, in place: y[i] = y[i] * norm[i] + mean. */
void fc_denormalise(const fc_normaliser *normaliser, float *y, const float *norm,
                    int64_t n);

#endif
