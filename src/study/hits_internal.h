/* hits_internal.h - what the pass over a store hands to every statistic: a block of rows, and some
 * of those on which a feature fires.
 *
 * Blocks come in the order of the store and rows of hits ascend, from one call to the next too: each
 * statistic sees a feature's activations in row order, whatever the number of threads. Features are
 * independent: two threads may add to two features at once.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_HITS_INTERNAL_H
#define FC_STUDY_HITS_INTERNAL_H

#include <stdint.h>

/* A block of consecutive rows and where they come from. */
typedef struct fc_block {
    int64_t first, n;     /* rows first .. first+n-1 of the store */
    int32_t *token, *doc; /* [n] */
    uint32_t *draw;       /* [n] a random word for each row, by its number alone */
    int32_t *rank;        /* [n] of the token, see fc_token_ranks */
} fc_block;

/* Activations > 0 of one feature; n >= 1. */
typedef struct fc_hits {
    int64_t feature;
    int64_t n;
    const int32_t *at;  /* [n] rows within the block, ascending */
    const float *value; /* [n] > 0, not NaN */
    float max;          /* the largest of them */
} fc_hits;

/* One activation that is kept. */
typedef struct fc_peak {
    float value;
    uint32_t row; /* of the store */
    int32_t doc;
} fc_peak;

#endif
