/* concept.h - concepts: rules over tokens and what surrounds them, from a YAML file, and the features
 * that follow them best.
 *
 *   tens digit of a year:                 one section for each concept, up to 64 of them
 *     rule: a digit with two before it    what people read; without it the conditions themselves
 *     class: digit
 *     digits-before: 2
 *     digits-after: 1
 *
 * Every other key is a condition and all of them must hold; a list of values gives alternatives. With
 * "not-" before it a condition must not hold.
 *
 *   piece, piece-1, piece+2    the text of the token, of one before, of one after: " of" with its space
 *   class, class-1, ..         kinds of a piece by its text alone: digit, capitalised, month, ..
 *   text, text-1, ..           POSIX extended regular expression in the text of the token
 *   text-before, text-after    the same in up to 16 tokens before or after it ("$", "^": next to it)
 *   context                    the same in those before it, "«", the token, "»" and those after it
 *   is                         kinds of the token as a whole word: not of a piece of a longer one
 *   before, after              kinds of the word beside the word (number, sign) it is a part of
 *   stand                      where it stands: year-3, day, whole, end, sentence, heading, brackets, ..
 *   digits-before, -after      digits right before and after it: 2, 1..3, 4..
 *   position                   in its sequence, from 1
 *   document-position          in its document, from 1; up to 4096
 *
 * `across-documents: yes` at the top of the file lets pieces, classes, texts and digits look over the
 * borders of documents; otherwise nothing is there. Kinds and stands are those of descriptions
 * (token_class_internal.h, token_facts_internal.h), in lower case, "-" for "_".
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_CONCEPT_H
#define FC_STUDY_CONCEPT_H

#include "acts/store.h"
#include "base/fields.h"
#include "sae/sae.h"
#include "study/features_db.h"
#include "study/study.h"

enum { FC_MOST_CONCEPTS = 64 };

/* fc_concepts is declared in study.h. A bad rule fails with the file, its line and what was expected. */
fc_status fc_concepts_load(fc_concepts **concepts, const char *path, fc_err *err);
fc_status fc_concepts_parse(fc_concepts **concepts, const char *text, size_t n_bytes,
                            const char *name, fc_err *err);
fc_status fc_concepts_built_in(fc_concepts **concepts,
                               fc_err *err); /* src/study/concepts/english.yaml */
void fc_concepts_free(fc_concepts *concepts);

int64_t fc_concepts_n(const fc_concepts *concepts);
const char *fc_concepts_name(const fc_concepts *concepts, int64_t i); /* borrowed */
const char *fc_concepts_rule(const fc_concepts *concepts, int64_t i);

typedef struct fc_find_config {
    int64_t rows; /* the first so many of the store; 0 = all */
    int64_t top;  /* features listed for each concept */
    char thresholds
        [FC_FIELD_TEXT_MAX]; /* "0, 0.1, .5" of a feature's maximum; "" = every border */
    int precision;           /* fc_precision_choice */
} fc_find_config;

void fc_find_defaults(fc_find_config *config);
const fc_field *fc_find_fields(int64_t *n);

typedef struct fc_find_result {
    int64_t n_rows;
    double seconds;
    int64_t n;               /* concepts, in order of the file */
    fc_concept_row *concept; /* [n], names borrowed from the concepts */
    fc_concept_hit *hit;     /* [n, top], what the rows of concept point to */
} fc_find_result;

/* One pass over the store; writes nothing. source: the tokenizer and the concepts must be there.
 * The same result for any number of threads. On failure *result is {0}. */
fc_status fc_find(const fc_find_config *config, const fc_sae *sae, fc_store *store,
                  const fc_study_source *source, fc_backend *be, fc_find_result *result,
                  fc_err *err);
void fc_find_result_deinit(fc_find_result *result);

#endif
