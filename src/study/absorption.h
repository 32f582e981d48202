/* absorption.h - feature absorption on first letters: does a feature that seems to stand for a letter
 * fall silent where a more special feature has taken the letter over?
 *
 * Chanin et al. 2024 (arXiv 2409.14507), in the form of SAEBench 0.6 (evals/absorption), whose thresholds
 * and formulas these are:
 *
 *   words      tokens that are a space and letters; activations x at the word's token (first_letter.c)
 *   probe      for each letter a logistic regression on x, classes balanced, weight decay 1e-4;
 *              p its direction at unit length
 *   k-sparse   features with the largest positive weights of a logistic regression on all features with
 *              an L1 penalty of 0.01; on the first k of them, k = 1 .. 10, a balanced logistic
 *              regression (C = 1); its F1 on test words
 *   split      the first k features while each k raises the F1 by more than 0.03. k = 1 always counts.
 *              These are the letter's main features
 *   judged     test words of the letter that the probe finds
 *   a_i        f_i cos(W_dec_i, p), what feature i gives to the probe;  a = x . p all there is to give
 *   full       no main feature fires; the largest a_i is of a feature with a cosine of at least 0.025;
 *              and is at least 0.4 of a
 *   fraction   S: sum of the three largest a_i > 0 of others with a cosine of at least 0.1. M: sum of the
 *              main features' a_i. 0 when M >= a or S < 0.4 a; 1 when M <= 0; else, with
 *              S' = min(S, a - M), S' / (S' + M)
 *   rates      of a letter: over its judged words; of the SAE: the mean over letters that have any
 *
 * Where this differs from SAEBench: probes are minima, not ends of 50 epochs; probes and judgements use
 * the same activation (there: other examples are drawn for the second); every fifth word of each letter
 * is a test, so that rare letters have some; a cap on words; x is what the SAE reads, normalised, so the
 * shares of a are those of the SAE's own space. x and f are first scaled so that |x| has the mean square d
 * (as SAELens scales), because penalties would otherwise depend on units; f_i counts with |W_dec_i|.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_ABSORPTION_H
#define FC_STUDY_ABSORPTION_H

#include "model/model.h"
#include "sae/sae.h"
#include "text/tokenizer.h"

enum { FC_ABSORPTION_K = 10, FC_ABSORPTION_LETTERS = 26 };

typedef struct fc_absorption_config {
    int64_t words;    /* at most, of a large vocabulary; 0 = all */
    int64_t examples; /* in a prompt */
    int64_t seed;
    int precision; /* fc_precision_choice, of model and encoder */
} fc_absorption_config;
void fc_absorption_defaults(fc_absorption_config *config); /* 2000 words, 10 examples */

typedef struct fc_letter_absorption {
    int64_t n_train, n_test;          /* words of the letter */
    double probe_f1;                  /* on test words of all letters */
    int64_t n_k;                      /* features with a positive weight, at most 10 */
    int32_t feature[FC_ABSORPTION_K]; /* [n_k] largest weight first */
    double f1[FC_ABSORPTION_K];       /* [n_k] of the k-sparse probe for k = 1 .. */
    int64_t n_split;                  /* main features: the first so many */
    int64_t n_judged;                 /* words that the probe finds */
    int64_t n_full;                   /* of them fully absorbed */
    double full, fraction;            /* rates; 0 when none is judged */
} fc_letter_absorption;

typedef struct fc_absorption {
    int64_t n_vocabulary, n_words,
        n_test;        /* words there are, used, and of these for tests */
    int64_t n_letters; /* with judged words */
    fc_letter_absorption letter[FC_ABSORPTION_LETTERS]; /* a .. z */
    double full, fraction, n_split, probe_f1, f1_1;     /* means over those letters */
    double full_std, fraction_std, n_split_std; /* over letters, n - 1; 0 for one */
} fc_absorption;

/* Runs the model over the words and judges the SAE at its own hook (sae->hook). FC_MISMATCH for a
 * transcoder, whose decoder does not write what it reads, and for a model without that hook;
 * FC_CANCELLED after Ctrl-C. The same for any number of threads. On failure *result is {0}. */
fc_status fc_absorption_measure(const fc_absorption_config *config, const fc_sae *sae,
                                const fc_model *model, const fc_tokenizer *tokenizer,
                                fc_backend *be, fc_absorption *result, fc_err *err);

/* The same for activations that are there: x [n, d_in], normalised as the SAE reads it, training words
 * first, and letter [n] 0 .. 25. */
typedef struct fc_letter_rows {
    int64_t n, n_train;
    const float *x;
    const uint8_t *letter;
} fc_letter_rows;
fc_status fc_absorption_judge(const fc_letter_rows *rows, const fc_sae *sae,
                              fc_precision precision, fc_backend *be,
                              fc_absorption *result, fc_err *err);

#endif
