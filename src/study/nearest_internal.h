/* nearest_internal.h - the K rows of one matrix that point most like each row of another.
 *
 * All pairs, because a product of this size takes a second and an index would be more code than it
 * saves. Float32: rounding operands to bf16 would move cosines in the third digit, and the order of
 * near rows with them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_NEAREST_INTERNAL_H
#define FC_STUDY_NEAREST_INTERNAL_H

#include <stdbool.h>

#include "tensor/backend.h"

typedef struct fc_near {
    double score; /* a_i . b_j, plus bias_j where there is one */
    int32_t row;  /* j */
} fc_near;

typedef struct fc_nearest {
    int64_t n, k;
    fc_near *list;  /* [n, k] score descending, equal: lower j first */
    int32_t *count; /* [n] of the list: k, or all that there are */
} fc_nearest;

/* a: [n_a, d], b: [n_b, d], for cosines of unit length; bias: [n_b], or NULL. */
typedef struct fc_near_rows {
    const float *a, *b;
    int64_t n_a, n_b, d;
    const double *bias;
    bool is_same;    /* a is b: a row is not near itself */
    const char *job; /* for progress and for the sentence when interrupted: "study" */
} fc_near_rows;

/* Memory: 16 bytes for each of n_a * k and a tile of 2 MB. FC_CANCELLED after Ctrl-C. The same for any
 * number of threads. On failure *nearest is {0}. */
fc_status fc_nearest_find(fc_nearest *nearest, const fc_near_rows *rows, int64_t k,
                          fc_backend *be, fc_err *err);
void fc_nearest_deinit(fc_nearest *nearest);

/* The rows of w [n, d] that are marked (is_marked NULL: all) and have a direction, at unit length and in
 * order. A row whose length is not finite has no direction. On failure *rows is {0}. */
typedef struct fc_unit_rows {
    float *unit; /* [n, d] */
    int32_t *id; /* [n] which rows they were */
    int64_t n;
} fc_unit_rows;
fc_status fc_unit_rows_of(fc_unit_rows *rows, const float *w, const bool *is_marked,
                          int64_t n, int64_t d, fc_backend *be, fc_err *err);
void fc_unit_rows_deinit(fc_unit_rows *rows);

#endif
