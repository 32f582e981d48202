/* assignment_internal.h - the best way to give every row of a table a column of its own.
 *
 *   maximise  sum over rows of score(row, its column), a row without one counting as `alone`
 *
 * Exact over the pairs that are listed, however few: u and v prove it. For every listed pair
 * u_i + v_j >= score_ij, and u_i >= alone, v_j >= 0, so no assignment can reach more than sum u + sum v,
 * which is what this one reaches. Pairs that are not listed can be tried against the same u and v.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_ASSIGNMENT_INTERNAL_H
#define FC_STUDY_ASSIGNMENT_INTERNAL_H

#include "base/err.h"

typedef struct fc_pair {
    int32_t col;
    float score; /* finite */
} fc_pair;

typedef struct fc_pairs {
    int64_t n_rows, n_cols;
    int64_t *
        begin; /* [n_rows + 1] the pairs of row i are pair[begin[i]] .. pair[begin[i+1] - 1] */
    fc_pair *pair; /* a column at most once in a row */
} fc_pairs;

typedef struct fc_assignment {
    int64_t n_rows, n_cols;
    int32_t *col; /* [n_rows]; -1: alone */
    double *u;    /* [n_rows] */
    double *v;    /* [n_cols] */
    int64_t n_alone;
    double total; /* of the scores, alone ones included */
} fc_assignment;

/* Of equal assignments, which one is found depends on the order of the pairs alone. FC_CANCELLED after
 * Ctrl-C. On failure *assignment is {0}. */
fc_status fc_assignment_solve(fc_assignment *assignment, const fc_pairs *pairs,
                              double alone, fc_err *err);
void fc_assignment_deinit(fc_assignment *assignment);

#endif
