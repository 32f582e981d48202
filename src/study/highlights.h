/* highlights.h - which few features are worth showing first, and one sentence why.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_HIGHLIGHTS_H
#define FC_STUDY_HIGHLIGHTS_H

#include "study/features_db.h"

typedef struct fc_highlight {
    int64_t feature;
    double score;
    char text
        [384]; /* "months before a number: 96 % of its activation, on 0.3 % of tokens" */
} fc_highlight;

/* Writes the n_wanted best, best first; *n may be smaller when fewer features are alive. A feature is
 * interesting when its description explains it, a few different tokens carry most of its activation,
 * and it is neither rare (fewer than 20 rows) nor common (over 5 % of rows). Of features that fire
 * on the same tokens the best is taken. */
fc_status fc_highlights(fc_features_db *db, fc_highlight *highlights, int64_t n_wanted,
                        int64_t *n, fc_err *err);

#endif
