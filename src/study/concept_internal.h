/* concept_internal.h - parsed rules, and the matcher that says which of them hold of a row.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_CONCEPT_INTERNAL_H
#define FC_STUDY_CONCEPT_INTERNAL_H

#include <regex.h>

#include "study/concept.h"
#include "study/token_facts_internal.h"

/* Tokens to either side that a condition may name or count, and that make up the text round it. */
enum { FC_CONCEPT_REACH = 8, FC_CONCEPT_TEXT_TOKENS = 16, FC_CONCEPT_DIGITS = 32 };
enum { FC_CONCEPT_OFFSETS = 2 * FC_CONCEPT_REACH + 1, FC_CONCEPT_DOCUMENT = 4096 };

/* Cheap ones first: in this order they are tried. The first three depend on one token alone. */
typedef enum fc_condition_kind {
    FC_IF_PIECE,
    FC_IF_CLASS,
    FC_IF_TEXT,
    FC_IF_DIGITS_BEFORE,
    FC_IF_DIGITS_AFTER,
    FC_IF_POSITION,
    FC_IF_DOCUMENT_POSITION,
    FC_IF_FACT,
    FC_IF_TEXT_BEFORE,
    FC_IF_TEXT_AFTER,
    FC_IF_CONTEXT,
    FC_N_CONDITION_KINDS
} fc_condition_kind;

typedef struct fc_range {
    int64_t min, max; /* both ends included */
} fc_range;

typedef struct fc_condition {
    fc_condition_kind kind;
    bool is_negated;
    int concept;
    int offset;          /* PIECE, CLASS, TEXT: of the token, 0 its own */
    fc_fact_group group; /* FACT */
    uint64_t bits;       /* CLASS, FACT: any of these */
    int64_t n;           /* of the alternatives below */
    int64_t capacity;
    const char **text; /* [n] PIECE */
    regex_t *regex;    /* [n] TEXT, TEXT_BEFORE, TEXT_AFTER, CONTEXT */
    fc_range *range;   /* [n] the others */
    const char *key;   /* as in the file, to add alternatives to */
} fc_condition;

typedef struct fc_concept {
    const char *name, *rule;
    int64_t first, n; /* its conditions, in order of kind */
} fc_concept;

struct fc_concepts {
    fc_concept concept[FC_MOST_CONCEPTS];
    int64_t n;
    fc_condition *condition; /* [n_conditions], those of a concept together */
    int64_t n_conditions, capacity;
    bool is_across;
    fc_arena texts;
};

/* What the tokens of a vocabulary mean to the rules. A set of concepts is the bits of a word. */
typedef struct fc_concept_matcher {
    const fc_concepts *concepts;
    const fc_store *store;
    const fc_token_kinds *kinds;
    int64_t n_vocab;
    int offset[FC_CONCEPT_OFFSETS]; /* those that rules name; 0 first */
    int n_offsets;
    uint64_t *fits;   /* [n_offsets, n_vocab + 1] concepts whose conditions on
                                         * the token there hold; last: when no token is there */
    uint64_t is_more; /* concepts with conditions of other kinds */
    char *bytes;      /* of all tokens, one after the other */
    int64_t *begin;   /* [n_vocab + 1] */
} fc_concept_matcher;

/* All borrowed. On failure *matcher is {0}. */
fc_status fc_concept_matcher_init(fc_concept_matcher *matcher,
                                  const fc_concepts *concepts, const fc_store *store,
                                  const fc_tokenizer *tokenizer,
                                  const fc_token_kinds *kinds, fc_err *err);
void fc_concept_matcher_deinit(fc_concept_matcher *matcher);

/* The concepts that hold of a row. Any number of threads; a token that the tokenizer lacks is none. */
uint64_t fc_concept_match(const fc_concept_matcher *matcher, int64_t row);

#endif
