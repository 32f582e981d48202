/* token_mass_internal.h - on which tokens a feature spends its activation.
 *
 * A table of every feature and token would be d_sae times the vocabulary. Each feature keeps up
 * to 128 tokens instead. A feature that fires on no more different tokens than that is counted
 * exactly. When hits bring more, an amount that 64 sums at least reach is taken off every sum, and
 * the tokens that fall to 0 are dropped (Misra and Gries 1982, for weights); then
 *
 *   found sum <= true sum <= found sum + error,   error <= activation of the feature / 64
 *
 * because each round takes its amount off 64 tokens. So a token that carries more than 1/64 of a
 * feature's activation is never missed.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_TOKEN_MASS_INTERNAL_H
#define FC_STUDY_TOKEN_MASS_INTERNAL_H

#include "study/hits_internal.h"
#include "study/token_ranks_internal.h"

enum { FC_TOKENS_KEPT = 128, FC_TOKENS_SURE = 64 };

typedef struct fc_token_sum {
    double sum; /* > 0 */
    int32_t token;
    uint32_t n; /* times the feature fired there since the token is kept */
} fc_token_sum;

typedef struct fc_token_table {
    fc_token_sum kept[FC_TOKENS_KEPT]; /* in no order; token is the rank */
    int64_t n;
    double error; /* what a sum may lack */
} fc_token_table;

typedef struct fc_token_mass {
    fc_token_table *table; /* [n_features] */
    fc_token_ranks ranks;
    int n_workers;
    int64_t n_places;
    fc_token_sum *place; /* [n_workers, n_places] by rank; all zero between calls */
} fc_token_mass;

/* For as many workers as there are now. Takes n_features * 2 KB. On failure *mass is {0}. */
fc_status fc_token_mass_init(fc_token_mass *mass, int64_t n_features, fc_err *err);
void fc_token_mass_deinit(fc_token_mass *mass);

/* Ranks of the next n rows' tokens: for block.rank, before their hits are added. By one thread. */
fc_status fc_token_mass_rank(fc_token_mass *mass, const int32_t *token, int64_t n,
                             int32_t *rank, fc_err *err);

/* Best with some hundred hits at a time. Which tokens are dropped depends on how hits are grouped. */
void fc_token_mass_add(fc_token_mass *mass, const fc_hits *hits, const fc_block *block,
                       int worker);

/* The tokens of largest sum, at most n_max <= FC_TOKENS_KEPT, largest first (equal: lower id).
 * Returns how many. */
int64_t fc_token_mass_top(const fc_token_mass *mass, int64_t feature, int64_t n_max,
                          fc_token_sum *tokens);

#endif
