/* study_examples_internal.h - the examples of some features, with the tokens around them and the
 * feature's activation on each.
 *
 *   shown    window/2 rows before the peak, window - window/2 after it, within its document
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_STUDY_EXAMPLES_INTERNAL_H
#define FC_STUDY_STUDY_EXAMPLES_INTERNAL_H

#include "study/study_pass_internal.h"

typedef struct fc_example {
    int64_t feature;
    int64_t kind, rank; /* kind 0: strongest; q: from quantile q; rank from 1 */
    fc_peak peak;
    int64_t first, n; /* rows shown */
} fc_example;

typedef struct fc_examples {
    const fc_study_job *job;
    int64_t width;      /* most tokens shown: window + 1 */
    int64_t n_features; /* most features at a time */
    int64_t n, capacity;
    fc_example *example; /* [n] by feature, kind, rank */
    float *activation;   /* [n, width] */
    int32_t *token;      /* [n, width] */
    int64_t *order;   /* [n] examples by row: the store is read once from front to back */
    float *rows;      /* a window and a row of weights for each worker */
    fc_bf16 *rounded; /* the same, for rounding */
    int64_t row_stride;
    const float *cut; /* of the pass */
    int32_t *index;   /* [list_row] for each worker, as value and z */
    float *value, *z;
    int64_t list_row;
} fc_examples;

/* As many features at a time as fit into about 64 MB. On failure *examples is {0}. */
fc_status fc_examples_init(fc_examples *examples, const fc_study_job *job, fc_err *err);
void fc_examples_deinit(fc_examples *examples);

/* Chooses and fills the examples of the features begin .. end-1, end - begin <= n_features. The
 * activation at the peak is the one that the pass found; the others are computed again and agree
 * with the pass to rounding. */
void fc_examples_fill(fc_examples *examples, const fc_study_pass *pass, int64_t begin,
                      int64_t end);

#endif
