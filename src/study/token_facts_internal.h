/* token_facts_internal.h - what holds of one row of the store: its token, those beside it, where
 * it stands. Predicates of descriptions are bits of these facts.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_TOKEN_FACTS_INTERNAL_H
#define FC_STUDY_TOKEN_FACTS_INTERNAL_H

#include "acts/store.h"
#include "study/token_class_internal.h"

/* Where a digit stands in its number. X(name, of several) */
#define FC_DIGIT_SLOTS(X)                                \
    X(YEAR_1, "first digit of a year")                   \
    X(YEAR_2, "second digit of a year")                  \
    X(YEAR_3, "tens digit of a year")                    \
    X(YEAR_4, "units digit of a year")                   \
    X(YEAR, "digits of a year")                          \
    X(DAY_1, "first digit of a day of the month")        \
    X(DAY_2, "second digit of a day of the month")       \
    X(DAY, "digits of a day of the month")               \
    X(GROUP, "digits after a thousands comma")           \
    X(DECIMAL, "digits after a decimal point")           \
    X(ONE, "one-digit numbers")                          \
    X(TWO_1, "tens digit of a two-digit number")         \
    X(TWO_2, "units digit of a two-digit number")        \
    X(THREE, "digits of a three-digit number")           \
    X(LONG, "digits of a number of five digits or more") \
    X(FIRST, "first digit of a number")                  \
    X(LAST, "last digit of a number")

/* What part of a word a token is. */
#define FC_WORD_PARTS(X)                          \
    X(WHOLE, "whole words")                       \
    X(BEGIN, "first pieces of split words")       \
    X(INSIDE, "later pieces of words")            \
    X(END, "last pieces of split words")          \
    X(NAME, "capitalised words and their pieces") \
    X(NAME_REST, "later pieces of capitalised words")

/* Where in the text it stands. */
#define FC_PLACES(X)                          \
    X(TEXT, "at the beginning of a text")     \
    X(EARLY, "near the beginning of a text")  \
    X(SENTENCE, "at the start of a sentence") \
    X(HEADING, "in a heading")                \
    X(BRACKETS, "in brackets")

enum {
#define SLOT(name, text)  FC_SLOT_##name,
#define PART(name, text)  FC_PART_##name,
#define PLACE(name, text) FC_PLACE_##name,
    FC_DIGIT_SLOTS(SLOT) FC_WORD_PARTS(PART) FC_PLACES(PLACE)
#undef SLOT
#undef PART
#undef PLACE
        FC_N_STANDS,
    FC_N_SLOTS = FC_PART_WHOLE,
    FC_N_SLOTS_AND_PARTS = FC_PLACE_TEXT
};

extern const char *const fc_stand_text[FC_N_STANDS];

/* Groups of bits. BEFORE and AFTER speak of the word (number, sign) beside the one that the token is
 * a part of; a space before a number is passed over. */
typedef enum fc_fact_group {
    FC_FACT_TOKEN,  /* classes of the token itself */
    FC_FACT_BEFORE, /* classes */
    FC_FACT_AFTER,  /* classes */
    FC_FACT_STAND,  /* slots, parts, places */
    FC_N_FACT_GROUPS
} fc_fact_group;

typedef struct fc_facts {
    int32_t token; /* id */
    int32_t before,
        after; /* ids of the tokens beside it (for digits: beside the number); -1 none */
    uint64_t bits[FC_N_FACT_GROUPS];
    int32_t position;
} fc_facts;

void fc_facts_of(fc_facts *facts, const fc_store *store, const fc_token_kinds *kinds,
                 int64_t row);

#endif
