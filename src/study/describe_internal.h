/* describe_internal.h - one line on what a feature fires on.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_DESCRIBE_INTERNAL_H
#define FC_STUDY_DESCRIBE_INTERNAL_H

#include "study/hit_sample_internal.h"
#include "study/predicate_internal.h"

/* One or two predicates that hold together. */
typedef struct fc_finding {
    int n; /* 0: nothing explains half */
    fc_predicate predicate[2];
    double share; /* of the weight it explains */
    double base;  /* of the corpus on which it holds */
    double score;
    bool is_word_split; /* the pieces that it names begin words that go on */
} fc_finding;

/* Activations with the facts of their rows. */
typedef struct fc_evidence {
    int64_t n;
    const fc_weighed *hit; /* [n] */
    const fc_facts *facts; /* [n] */
    double total;          /* of the weights */
} fc_evidence;

/* One or two findings, the second on what the first does not explain. */
typedef struct fc_cover {
    int n; /* 0: they explain too little */
    fc_finding part[2];
    double share; /* of the weight that they explain together */
    double base;  /* of the corpus on which one of them holds, at most */
    double score; /* to compare with that of a single finding */
} fc_cover;

/* The best predicate or pair of predicates that explains at least half of the weight. Any number
 * of threads. From a handful of activations only pieces are found: everything else that they
 * share may be chance. */
fc_finding fc_find_description(const fc_corpus_facts *corpus,
                               const fc_evidence *evidence);

/* The same of strong activations: at least two fifths, and not of what is common in the corpus. */
fc_finding fc_find_in_strong(const fc_corpus_facts *corpus, const fc_evidence *evidence);

/* The best two, each at least 15 % of the weight; none from a handful. n is at most FC_SAMPLE_MASS. */
fc_cover fc_find_cover(const fc_corpus_facts *corpus, const fc_evidence *evidence);

/* Share of the weight on rows where all predicates of the finding hold. */
double fc_finding_share(const fc_finding *finding, const fc_evidence *evidence);

/* Writes the finding in words, e.g. "months before a number"; n >= 1. (phrase.c) */
void fc_finding_phrase(const fc_finding *finding, const fc_token_kinds *kinds, char *text,
                       int64_t n_bytes);

#endif
