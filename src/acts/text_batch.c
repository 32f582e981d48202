/* text_batch.c - opens a text and packs its sequences.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "acts/text_batch.h"

#include <string.h>

#include "base/alloc.h"

fc_status fc_text_open(const fc_text_source *source, fc_corpus **corpus,
                       fc_sequences **sequences, fc_err *err)
{
    fc_corpus *opened = NULL;
    FC_TRY(fc_corpus_open(&opened, &source->corpus, err));
    const fc_status status =
        fc_sequences_new(sequences, opened, source->tokenizer, source->max_length,
                         source->corpus.split, source->overflow, err);
    if (status != FC_OK) {
        fc_corpus_close(opened);
        return status;
    }
    *corpus = opened;
    return FC_OK;
}

fc_status fc_text_batch_init(fc_text_batch *batch, int64_t n_max, int64_t max_length,
                             fc_err *err)
{
    fc_text_batch made = {.n_max = n_max, .max_length = max_length};
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&made.id, n_max, sizeof *made.id, "token ids of a batch", err));
    FC_TRY_GOTO(fc_alloc(&made.row, n_max, sizeof *made.row, "rows of a batch", err));
    FC_TRY_GOTO(fc_alloc(&made.begin, n_max + 1, sizeof *made.begin,
                         "sequences of a batch", err));
    *batch = made;
    made = (fc_text_batch){0};
done:
    fc_text_batch_deinit(&made);
    return status;
}

void fc_text_batch_deinit(fc_text_batch *batch)
{
    fc_free(batch->id);
    fc_free(batch->row);
    fc_free(batch->begin);
    *batch = (fc_text_batch){0};
}

void fc_text_batch_clear(fc_text_batch *batch)
{
    batch->n = batch->n_seqs = 0;
}

bool fc_text_batch_has_room(const fc_text_batch *batch)
{
    return batch->n + batch->max_length <= batch->n_max;
}

void fc_text_batch_add(fc_text_batch *batch, const fc_sequence *sequence)
{
    FC_CHECK(sequence->n >= 1 && sequence->n <= batch->max_length);
    memcpy(batch->id + batch->n, sequence->id, (size_t)sequence->n * sizeof *batch->id);
    for (int64_t i = 0; i < sequence->n; i++)
        batch->row[batch->n + i] = (fc_row){.token_id = sequence->id[i],
                                            .doc_id = sequence->doc_id[i],
                                            .position = (int32_t)i};
    batch->n += sequence->n;
    batch->begin[++batch->n_seqs] = batch->n;
}
