/* token_class_internal.h - what kinds of token there are, and which kinds each one of a vocabulary
 * is.
 *
 * The table is the vocabulary of descriptions: every row is a noun that one may use for the token a
 * feature fires on, or for one beside it. Words are English: on other languages shapes (digits,
 * capitals, punctuation) still hold.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_TOKEN_CLASS_INTERNAL_H
#define FC_STUDY_TOKEN_CLASS_INTERNAL_H

#include <stdbool.h>

#include "base/arena.h"
#include "text/tokenizer.h"

/* X(name, of several, of one): by word lists first, then by shape. */
#define FC_TOKEN_CLASSES(X)                                                    \
    X(MONTH, "months", "a month")                                              \
    X(WEEKDAY, "days of the week", "a day of the week")                        \
    X(SEASON, "seasons", "a season")                                           \
    X(TIME_UNIT, "units of time", "a unit of time")                            \
    X(LENGTH, "units of length", "a unit of length")                           \
    X(UNIT, "units of measure", "a unit of measure")                           \
    X(ORDINAL_END, "endings of ordinal numbers", "an ordinal ending")          \
    X(ORDINAL, "ordinal words", "an ordinal word")                             \
    X(NUMBER_WORD, "number words", "a number word")                            \
    X(ARTICLE, "articles", "an article")                                       \
    X(DEMONSTRATIVE, "demonstratives", "a demonstrative")                      \
    X(SUBJECT_PRONOUN, "subject pronouns", "a subject pronoun")                \
    X(OBJECT_PRONOUN, "object pronouns", "an object pronoun")                  \
    X(POSSESSIVE, "possessive pronouns", "a possessive pronoun")               \
    X(PREPOSITION, "prepositions", "a preposition")                            \
    X(CONJUNCTION, "conjunctions", "a conjunction")                            \
    X(QUESTION_WORD, "wh-words", "a wh-word")                                  \
    X(BE, "forms of `be`", "a form of `be`")                                   \
    X(HAVE, "forms of `have`", "a form of `have`")                             \
    X(MODAL, "modal verbs", "a modal verb")                                    \
    X(NEGATION, "negations", "a negation")                                     \
    X(QUANTIFIER, "quantifiers", "a quantifier")                               \
    X(COMPARATIVE, "words of comparison", "a word of comparison")              \
    X(SPEECH, "verbs of saying", "a verb of saying")                           \
    X(ADVERB, "common adverbs", "a common adverb")                             \
    X(KINSHIP, "words for relatives", "a word for a relative")                 \
    X(PERSON, "words for people", "a word for people")                         \
    X(TITLE, "titles and offices", "a title or office")                        \
    X(FIRST_NAME, "first names", "a first name")                               \
    X(DIRECTION, "directions", "a direction")                                  \
    X(NATIONALITY, "adjectives of nationality", "an adjective of nationality") \
    X(COUNTRY, "names of countries", "the name of a country")                  \
    X(PLACE, "words for places", "a word for a place")                         \
    X(ORGANISATION, "words for organisations", "a word for an organisation")   \
    X(SPORT, "words of sport", "a word of sport")                              \
    X(MUSIC, "words of music and film", "a word of music or film")             \
    X(WAR, "words of war", "a word of war")                                    \
    X(POLITICS, "words of politics", "a word of politics")                     \
    X(EDUCATION, "words of education", "a word of education")                  \
    X(RELIGION, "words of religion", "a word of religion")                     \
    X(COLOUR, "colours", "a colour")                                           \
    X(ING, "words in -ing", "a word in -ing")                                  \
    X(ED, "words in -ed", "a word in -ed")                                     \
    X(LY, "adverbs in -ly", "an adverb in -ly")                                \
    X(TION, "nouns in -tion", "a noun in -tion")                               \
    X(PLURAL, "words in -s", "a word in -s")                                   \
    X(DIGIT, "digits", "a digit")                                              \
    X(NUMBER_SPACE, "the space before a number", "the space before a number")  \
    X(NUMERIC, "digits and the spaces before numbers", "a digit")              \
    X(INNER_CAPITALS, "capitals inside a word", "a capital inside a word")     \
    X(OPENING, "opening brackets", "an opening bracket")                       \
    X(CLOSING, "closing brackets", "a closing bracket")                        \
    X(DASH, "dashes and hyphens", "a dash")                                    \
    X(SENTENCE_END, "ends of sentences", "the end of a sentence")              \
    X(PUNCTUATION, "punctuation", "punctuation")                               \
    X(FOREIGN, "characters beyond ASCII", "a character beyond ASCII")          \
    X(BYTE, "bytes of rare characters", "a byte of a rare character")          \
    X(LETTER, "single capital letters", "a single capital letter")             \
    X(ALL_CAPITALS, "words in capitals", "a word in capitals")                 \
    X(CAPITALISED, "capitalised words", "a capitalised word")                  \
    X(LOWER, "words in lower case", "a word in lower case")                    \
    X(SHORT_NUMBER, "short numbers", "a short number")                         \
    X(YEAR, "years", "a year")                                                 \
    X(NUMBER, "numbers", "a number")

typedef enum fc_token_class {
#define NAME(name, several, one) FC_CLASS_##name,
    FC_TOKEN_CLASSES(NAME)
#undef NAME
        FC_N_CLASSES
} fc_token_class;

_Static_assert(FC_N_CLASSES <= 64, "classes are bits of a word");

#define FC_CLASS_BIT(name) (UINT64_C(1) << FC_CLASS_##name)

/* Kinds that need the whole word: a word list, an ending, or a class of short words. */
#define FC_CLASS_OF_WORDS ((UINT64_C(1) << FC_CLASS_DIGIT) - 1)

extern const char *const fc_class_several[FC_N_CLASSES];
extern const char *const fc_class_one[FC_N_CLASSES];

typedef struct fc_token_kind {
    uint64_t classes;
    bool is_word_start; /* begins with a space and a letter */
    bool is_inside;     /* letters that go on a word */
    bool is_bare_space; /* nothing but a space */
    bool is_capital;    /* first letter is a capital */
    bool
        is_number_mark; /* joins parts of a number: "@,@", "@.@", or "," and "." without space */
    bool is_decimal_mark; /* the second and fourth of them */
    const char *text;     /* as shown: no leading space, `...ing` inside a word */
} fc_token_kind;

typedef struct fc_token_kinds {
    fc_token_kind *kind; /* [n] */
    int64_t n;           /* 0 without a tokenizer */
    fc_arena texts;
} fc_token_kinds;

/* On failure *kinds is {0}. tokenizer may be NULL: then tokens have no kinds. */
fc_status fc_token_kinds_init(fc_token_kinds *kinds, const fc_tokenizer *tokenizer,
                              fc_err *err);
void fc_token_kinds_deinit(fc_token_kinds *kinds);

/* A token as it is shown, valid UTF-8 without control characters; "token 7" when unknown. Short of
 * a buffer of n_bytes it is cut. */
void fc_token_show(const fc_token_kinds *kinds, int32_t token, char *text,
                   int64_t n_bytes);

/* The classes of a word in lower case, from the lists (word_lists.c); is_capital: as written. */
uint64_t fc_word_classes(const char *word, bool is_capital);

#endif
