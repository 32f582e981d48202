/* token_ranks_internal.h - numbers tokens in the order in which they come, so that what is kept of
 * each token can be an array: ids may be anything, ranks are 0 .. n-1, and tokens that are seen often
 * are seen early and lie together.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_TOKEN_RANKS_INTERNAL_H
#define FC_STUDY_TOKEN_RANKS_INTERNAL_H

#include "base/err.h"

typedef struct fc_token_ranks {
    int64_t n;
    int32_t *token; /* [n] of each rank */
    int64_t capacity;
    int32_t *slot; /* [1 << slot_bits] hash table of 1 + rank, 0 = unused */
    int slot_bits;
} fc_token_ranks;

/* {0} is ready for use and empty. Ranks of n tokens, new ones if need be. */
fc_status fc_token_ranks_find(fc_token_ranks *ranks, const int32_t *token, int64_t n,
                              int32_t *rank, fc_err *err);
void fc_token_ranks_deinit(fc_token_ranks *ranks);

#endif
