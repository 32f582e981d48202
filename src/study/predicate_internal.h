/* predicate_internal.h - what a description can say of a token, and how often it holds in the
 * corpus whatever the feature.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_PREDICATE_INTERNAL_H
#define FC_STUDY_PREDICATE_INTERNAL_H

#include "study/token_facts_internal.h"

enum { FC_PREDICATE_PIECES = 4 };
enum { FC_CORPUS_ROWS = 1 << 17 };
enum { FC_N_FACTS = 3 * FC_N_CLASSES + FC_N_STANDS };

/* Either a bit of the facts (n_pieces 0), or: the token (before it, after it) is one of some. */
typedef struct fc_predicate {
    fc_fact_group group; /* for pieces TOKEN, BEFORE or AFTER */
    int bit;
    int n_pieces;
    int32_t piece[FC_PREDICATE_PIECES];
} fc_predicate;

/* What it speaks of. A description joins predicates of different roles. */
typedef enum fc_role {
    FC_ROLE_WORD,
    FC_ROLE_SLOT,
    FC_ROLE_PART,
    FC_ROLE_BEFORE,
    FC_ROLE_AFTER,
    FC_ROLE_PLACE
} fc_role;

fc_role fc_predicate_role(const fc_predicate *predicate);
bool fc_predicate_holds(const fc_predicate *predicate, const fc_facts *facts);

/* Fact number 0 .. FC_N_FACTS-1 as a predicate. */
fc_predicate fc_predicate_of_fact(int fact);
/* The facts that hold, as their numbers; returns how many, at most FC_N_FACTS. */
int fc_facts_list(const fc_facts *facts, int list[FC_N_FACTS]);

/* Rows of the store, evenly spaced, up to FC_CORPUS_ROWS. */
typedef struct fc_corpus_facts {
    int64_t n, n_words;
    fc_facts *facts; /* [n] */
    uint64_t *set;   /* [FC_N_FACTS, n_words] rows where a fact holds */
    int64_t *count;  /* [FC_N_FACTS] */
    int32_t *
        order[3]; /* [n] rows by id of: the token, that before, that after; then by row */
} fc_corpus_facts;

/* Takes some 20 MB. On failure *corpus is {0}. */
fc_status fc_corpus_facts_init(fc_corpus_facts *corpus, const fc_store *store,
                               const fc_token_kinds *kinds, fc_err *err);
void fc_corpus_facts_deinit(fc_corpus_facts *corpus);

/* Share of the corpus on which one predicate holds, or both (b may be NULL); never 0: half a row
 * is added, since what was not seen may still exist. Any number of threads. */
double fc_corpus_share(const fc_corpus_facts *corpus, const fc_predicate *a,
                       const fc_predicate *b);

#endif
