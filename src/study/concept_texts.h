/* concept_texts.h - the concepts that are built into the program: src/study/concepts/NAME.yaml.
 *
 * The build turns the files into one C source (tools/embed_texts.cmake).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_CONCEPT_TEXTS_H
#define FC_STUDY_CONCEPT_TEXTS_H

/* Text of the file of that name, zero-terminated; NULL when there is none. */
const char *fc_concept_text(const char *name);

/* All names, "a, b, c". */
const char *fc_concept_names(void);

#endif
