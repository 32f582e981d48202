/* logistic_internal.h - logistic regression with an L2 penalty, to its minimum.
 *
 *   sum over t of c_t log(1 + exp(-s_t (x_t . w + b))) + l2/2 |w|^2      s_t = 1 where y_t, else -1
 *   c_t = positive_weight where y_t, negative_weight where not
 *
 * The bias is not penalised. With c_t = n / (2 n_of_its_class) and l2 = 1 it is scikit-learn's
 * LogisticRegression(class_weight="balanced"); with c_t = 1/n times n_negative/n_positive for positives,
 * PyTorch's BCEWithLogitsLoss(pos_weight) with a weight decay of l2.
 *
 * The problem is convex and l2 > 0, so w and b are unique: no learning rate, no seed. (With one class
 * alone b runs away; the search ends at a large one.)
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_LOGISTIC_INTERNAL_H
#define FC_STUDY_LOGISTIC_INTERNAL_H

#include <stdbool.h>

#include "base/err.h"

typedef struct fc_logistic {
    int64_t n, d;
    const float *x; /* [n, d] finite; columns best near mean 0 and of one size */
    const bool *y;  /* [n] */
    double positive_weight, negative_weight, l2;
} fc_logistic;

/* Classes count the same whatever their sizes: total is the sum of all c_t. An empty class weighs 0. */
void fc_logistic_balance(fc_logistic *problem, double total);

/* Memory for one solve at a time. On failure *scratch is {0}. */
typedef struct fc_logistic_scratch {
    double *margin, *dim; /* [n], [7 (d + 1)] */
    float *row, *vector;  /* [n], [2 d] */
} fc_logistic_scratch;
fc_status fc_logistic_scratch_init(fc_logistic_scratch *scratch, int64_t n, int64_t d,
                                   fc_err *err);
void fc_logistic_scratch_deinit(fc_logistic_scratch *scratch);

/* w: [d], *b written, until the gradient is 1e-6 of what it is at 0 (or 100 Newton steps are done). Runs
 * on the calling thread. Returns the gradient's norm. */
double fc_logistic_solve(const fc_logistic *problem, fc_logistic_scratch *scratch,
                         double *w, double *b);

/* x . w + b for a row of floats. */
double fc_logistic_score(const float *x, const double *w, double b, int64_t d);

#endif
