/* first_letter_internal.h - words of a vocabulary, and what a model makes of them where it is asked for
 * their first letter.
 *
 * The prompt is SAEBench's (absorption/prompting.py, default configuration): ten examples and the word,
 *
 *    "\n the has the first letter: T\n river has the first letter: R ... \n moon"
 *
 * and the activation is that of the word's token. The prompt ends there: " has the first letter:" would
 * follow, but a token does not see what comes after it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_FIRST_LETTER_INTERNAL_H
#define FC_STUDY_FIRST_LETTER_INTERNAL_H

#include "model/model.h"
#include "text/tokenizer.h"

enum { FC_LETTERS = 26 };

/* Words in training order: the first n_train are for training, the others for tests. */
typedef struct fc_letter_words {
    int64_t n, n_train;
    int64_t n_vocabulary; /* words that there are */
    int32_t *token;       /* [n] */
    uint8_t *letter;      /* [n] 0 .. 25, of the first letter in lower case */
} fc_letter_words;

/* Tokens that are a space and letters a-z, A-Z: at most n_most of them, chosen and shuffled by the seed.
 * Of each letter's words every fifth is for tests (SAEBench: a fifth of all). On failure
 * *words is {0}. */
fc_status fc_letter_words_choose(fc_letter_words *words, const fc_tokenizer *tokenizer,
                                 int64_t n_most, int64_t seed, fc_err *err);
void fc_letter_words_deinit(fc_letter_words *words);

/* What the model is asked with. All borrowed. */
typedef struct fc_letter_prompts {
    const fc_model *model;
    const fc_tokenizer *tokenizer;
    const char *hook;
    int64_t d;        /* width that the hook must have */
    int64_t examples; /* before the word, other words of its kind (training or test) */
    int64_t seed;
    int precision; /* fc_precision_choice */
    fc_backend *be;
} fc_letter_prompts;

/* *x [words->n, d], the caller's to free. Words that are not one token in their prompt are taken out of
 * words first. FC_CANCELLED after Ctrl-C. On failure *x is NULL. */
fc_status fc_letter_activations(fc_letter_words *words, const fc_letter_prompts *prompts,
                                float **x, fc_err *err);

#endif
