/* l1_logistic_internal.h - logistic regression on sparse columns with an L1 penalty: which few features
 * tell whether y holds.
 *
 *   sum over t of c_t log(1 + exp(-s_t (sum over j of x_tj w_j + b))) + l1 |w|_1
 *
 * c and s as in logistic_internal.h; the bias is not penalised.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_L1_LOGISTIC_INTERNAL_H
#define FC_STUDY_L1_LOGISTIC_INTERNAL_H

#include <stdbool.h>

#include "base/err.h"

/* Column j has the entries begin[j] .. begin[j + 1] - 1; rows of a column ascend, values are finite. */
typedef struct fc_columns {
    int64_t n_rows, n_cols;
    const int64_t *begin; /* [n_cols + 1] */
    const int32_t *row;
    const float *value;
} fc_columns;

typedef struct fc_l1_logistic {
    fc_columns x;
    const bool *y; /* [n_rows] */
    double positive_weight, negative_weight, l1;
    double
        tolerance; /* share of l1 by which conditions may be violated: 1e-2 to rank features */
} fc_l1_logistic;

typedef struct fc_l1_scratch {
    double *margin, *residue, *radius; /* [n_rows], [n_rows], [n_cols + 1] */
    int32_t *active;                   /* [n_cols] */
} fc_l1_scratch;
fc_status fc_l1_scratch_init(fc_l1_scratch *scratch, int64_t n_rows, int64_t n_cols,
                             fc_err *err); /* on failure *scratch is {0} */
void fc_l1_scratch_deinit(fc_l1_scratch *scratch);

/* w: [n_cols], *b written, until no coordinate's condition for the minimum is violated by more than the
 * tolerance (or 50 rounds are done). Runs on the calling thread. Returns the largest violation seen in the
 * last sweep over all. */
double fc_l1_logistic_solve(const fc_l1_logistic *problem, fc_l1_scratch *scratch,
                            double *w, double *b);

#endif
