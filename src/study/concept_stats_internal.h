/* concept_stats_internal.h - how well each feature follows each concept, counted in one pass.
 *
 * For every feature a histogram of its activations, and for every concept one of those on rows where
 * the concept holds: FC_CONCEPT_BINS bins, eight to an octave and equally wide within it, down from
 * the bin of the largest activation; what is smaller is in the lowest bin. From these follow, for each
 * border of a bin as threshold, precision, recall and F1, and the AUC.
 *
 * Memory: (n_concepts + 1) * 256 bytes and 1.2 KB for each feature: 108 MB for 40 concepts and 9,216
 * features, 164 MB for 64 concepts.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_CONCEPT_STATS_INTERNAL_H
#define FC_STUDY_CONCEPT_STATS_INTERNAL_H

#include "study/concept_internal.h"
#include "study/strongest_internal.h"

enum { FC_CONCEPT_BINS = 64, FC_CONCEPT_STRONGEST = 100, FC_CONCEPT_HITS = 5 };
enum { FC_MOST_THRESHOLDS = 32 };

typedef struct fc_concept_stats {
    int64_t n_features, n_concepts;
    int64_t n_rows;                       /* seen so far */
    int64_t n_positive[FC_MOST_CONCEPTS]; /* rows on which each holds */
    uint32_t *top; /* [n_features] number of the largest bin; 0: it never fired */
    float *max;    /* [n_features] largest activation */
    uint32_t
        *count; /* [n_features, n_concepts + 1, BINS] of each concept, then of all rows */
    fc_strongest strongest; /* 100 of each feature */
} fc_concept_stats;

/* On failure *stats is {0}. */
fc_status fc_concept_stats_init(fc_concept_stats *stats, int64_t n_features,
                                int64_t n_concepts, fc_err *err);
void fc_concept_stats_deinit(fc_concept_stats *stats);

/* Rows of the store by their sets of concepts, each once, in any pieces. */
void fc_concept_stats_rows(fc_concept_stats *stats, const uint64_t *set, int64_t n);
/* Activations of one feature; set: [block->n] the concepts of the block's rows. */
void fc_concept_stats_add(fc_concept_stats *stats, const fc_hits *hits,
                          const fc_block *block, const uint64_t *set);

/* Thresholds to choose from, as shares of a feature's maximum; each is moved to the nearest border of
 * a bin. n 0: all borders. */
typedef struct fc_thresholds {
    double share[FC_MOST_THRESHOLDS];
    int64_t n;
} fc_thresholds;

/* The best features of a concept by F1 into hit[most], equal ones: the lower feature first; returns
 * how many there are. precision_100 is left open. */
int64_t fc_concept_stats_best(const fc_concept_stats *stats, int64_t concept,
                              const fc_thresholds *thresholds, fc_concept_hit *hit,
                              int64_t most);

/* Share of the feature's 100 strongest rows on which the concept holds. */
double fc_concept_stats_precision(const fc_concept_stats *stats,
                                  const fc_concept_matcher *matcher, int64_t concept,
                                  int64_t feature);

#endif
