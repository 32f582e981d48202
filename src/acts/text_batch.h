/* text_batch.h - text as batches for the model: opening it, and whole sequences packed one after the
 * other with where each token comes from.
 *
 * A batch takes sequences while one of the greatest length would still fit, so no sequence is
 * ever carried over and the batch's memory is fixed.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_ACTS_TEXT_BATCH_H
#define FC_ACTS_TEXT_BATCH_H

#include "acts/store.h"
#include "text/sequences.h"

/* What a run reads, and how it is cut; everything is borrowed. */
typedef struct fc_text_source {
    fc_corpus_config corpus;
    const fc_tokenizer *tokenizer;
    int64_t max_length;
    fc_overflow overflow;
} fc_text_source;

/* On failure both stay as they were; else free the sequences first, then close the corpus. */
fc_status fc_text_open(const fc_text_source *source, fc_corpus **corpus,
                       fc_sequences **sequences, fc_err *err);

/* Whole sequences, one after the other, with where each token comes from. */
typedef struct fc_text_batch {
    int32_t *id;    /* [n] */
    fc_row *row;    /* [n] */
    int64_t *begin; /* [n_seqs + 1] */
    int64_t n, n_seqs;
    int64_t first_row; /* row of the first sequence's first token after <bos> */
    int64_t n_max, max_length;
} fc_text_batch;

/* For up to n_max >= max_length tokens. */
fc_status fc_text_batch_init(fc_text_batch *batch, int64_t n_max, int64_t max_length,
                             fc_err *err);
void fc_text_batch_deinit(fc_text_batch *batch);
void fc_text_batch_clear(fc_text_batch *batch);
bool fc_text_batch_has_room(const fc_text_batch *batch); /* for the longest sequence */
void fc_text_batch_add(fc_text_batch *batch, const fc_sequence *sequence);

#endif
