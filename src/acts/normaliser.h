/* normaliser.h - what raw activations go through before an SAE sees them, and the way back.
 *
 *   none           x' = x
 *   center_unit    x' = (x - mean) / ||x - mean||     a row equal to the mean becomes 0
 *   center_scale   x' = (x - mean) / norm             one norm for all rows: the mean of
 *                                                     ||x - mean|| over the store, / sqrt(d)
 *   layer          x' = (x - mean of x) / (std of x + 1e-5)     std: over d - 1
 *   constant       x' = x sqrt(d) / ||x||                       a row of zeros stays
 *   back           x  = x' * scale + mean + shift     what belongs to the row; see fc_row_norm
 *
 * The last two are other tools' (SAELens: layer_norm, constant_norm_rescale), for SAEs of theirs; they
 * need nothing but the row. center_unit is the seed experiment's: it forgets how long a row was, so the way back needs the
 * norms of the way in. center_scale keeps lengths and can be folded into weights exactly.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_ACTS_NORMALISER_H
#define FC_ACTS_NORMALISER_H

#include "acts/store.h"

typedef enum fc_norm_kind {
    FC_NORM_NONE,
    FC_NORM_CENTER_UNIT,
    FC_NORM_CENTER_SCALE,
    FC_NORM_LAYER,
    FC_NORM_CONSTANT
} fc_norm_kind;
#define FC_NORM_CHOICES "none|center_unit|center_scale" /* what can be trained with */

const char *fc_norm_name(fc_norm_kind kind);

typedef struct fc_normaliser { /* {.d = d} is a ready `none` */
    fc_norm_kind kind;
    int64_t d;
    float *mean; /* [d], owned; NULL unless the kind centres */
    float norm;  /* center_scale: the divisor, > 0 */
} fc_normaliser;

typedef struct fc_row_norm {
    float scale; /* what the row was divided by (layer: but for the 1e-5); none: 1 */
    float shift; /* layer: mean of the row; else 0 */
} fc_row_norm;

/* From values: mean [d] is copied (ignored by kinds that do not centre), norm is used by center_scale only and must
 * be finite and > 0 there. On failure *normaliser is {0}. */
fc_status fc_normaliser_init(fc_normaliser *normaliser, fc_norm_kind kind, int64_t d,
                             const float *mean, float norm, fc_err *err);
/* From the mean [d] of rows and the mean of ||x - mean||. */
fc_status fc_normaliser_of_moments(fc_normaliser *normaliser, fc_norm_kind kind,
                                   int64_t d, const float *mean, double mean_centred_norm,
                                   fc_err *err);
/* From those of a complete store. */
fc_status fc_normaliser_of_store(fc_normaliser *normaliser, fc_norm_kind kind,
                                 const fc_store *store, fc_err *err);
void fc_normaliser_deinit(fc_normaliser *normaliser); /* back to {0} */

/* x' from x, and the way back of each row.
 *   y: [n, d] f32 written; x: [n, d] f32 read, y == x is allowed; norm: [n] written, or NULL
 * x - mean and the division in float32; the sum of squares in double, lane j % 8 in ascending j,
 * lanes folded 8 -> 4 -> 2 -> 1. Rows are independent: any number of callers and any batch give
 * the same bytes. Runs on the calling thread. */
void fc_normalise(const fc_normaliser *normaliser, float *y, const float *x,
                  fc_row_norm *norm, int64_t n);

/* The way back, in place: y[i] = y[i] * norm[i].scale + mean + norm[i].shift. */
void fc_denormalise(const fc_normaliser *normaliser, float *y, const fc_row_norm *norm,
                    int64_t n);

#endif
