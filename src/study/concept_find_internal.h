/* concept_find_internal.h - concepts as part of a pass: rules meet rows, features are counted.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_CONCEPT_FIND_INTERNAL_H
#define FC_STUDY_CONCEPT_FIND_INTERNAL_H

#include "study/concept_stats_internal.h"

typedef struct fc_concept_search {
    bool is_on; /* false: nothing is looked for, the rest is {0} */
    fc_token_kinds kinds;
    fc_concept_matcher matcher;
    fc_concept_stats stats;
} fc_concept_search;

/* Off when concepts or tokenizer is NULL. On failure *search is {0}. */
fc_status fc_concept_search_init(fc_concept_search *search, const fc_concepts *concepts,
                                 const fc_tokenizer *tokenizer, const fc_store *store,
                                 int64_t d_sae, fc_err *err);
void fc_concept_search_deinit(fc_concept_search *search);

/* The best features of every concept: row [n_concepts], hit [n_concepts, most]. */
void fc_concept_search_best(const fc_concept_search *search,
                            const fc_thresholds *thresholds, fc_concept_row *row,
                            fc_concept_hit *hit, int64_t most);

#endif
