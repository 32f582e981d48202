/* density.h - how often features fire and how well they follow concepts, as study left it in
 * features.db, in a few numbers.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_DENSITY_H
#define FC_STUDY_DENSITY_H

#include "study/features_db.h"

enum { FC_DENSITY_BINS = 32 };

/* frequency: share of the rows studied on which a feature fires. */
typedef struct fc_density {
    int64_t n_features, n_rows;
    int64_t n_silent; /* that never fire */
    int64_t n_dead;   /* whose largest activation is at most the dead threshold */
    double over_1,
        over_10; /* share of features that fire on more than 1 %, 10 % of rows */
    int64_t bin
        [FC_DENSITY_BINS]; /* features by log10 of frequency: bin k holds -8 + k/4 and what is
                                     below -8 + (k + 1)/4; the first and the last also what is beyond;
                                     silent ones are in none */
} fc_density;
double fc_density_border(int k); /* -8 + k/4 */
fc_density fc_density_of(const fc_feature *feature, int64_t n, int64_t n_rows);

/* Concepts that hold on some row, each with its best feature (0 where none follows it at all). */
typedef struct fc_concept_means {
    int64_t n;
    double f1, auc; /* means; 0 for n 0 */
} fc_concept_means;
fc_concept_means fc_concept_means_of(const fc_concept_row *concept, int64_t n);

#endif
