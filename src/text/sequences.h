/* sequences.h - documents to token sequences that a model runs on.
 *
 * Each sequence is <bos> and up to max_length - 1 tokens. LINE, PARAGRAPH, DOCUMENT: one sequence a
 * document; what is longer is cut on the right (--overflow truncate, as Hugging Face tokenizers do)
 * or continues in further sequences of the same document (split). PACKED: the tokens of all
 * documents in one stream, <bos> before each sequence, doc_id and position per token.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TEXT_SEQUENCES_H
#define FC_TEXT_SEQUENCES_H

#include "text/corpus.h"
#include "text/tokenizer.h"

typedef enum fc_overflow { FC_OVERFLOW_TRUNCATE, FC_OVERFLOW_SPLIT } fc_overflow;
#define FC_OVERFLOW_CHOICES "truncate|split"

typedef struct fc_sequence { /* borrowed until the next call */
    const int32_t *id;       /* [n], id[0] = bos */
    const int32_t
        *doc_id; /* [n] document of each token; that of the bos is the first token's */
    const int32_t
        *offset; /* [n] index of the token within its document, from 0; bos: -1 */
    int64_t n;
} fc_sequence;

typedef struct fc_sequences fc_sequences;

/* Borrows corpus and tokenizer until free. max_length counts the bos and is at least 2. */
fc_status fc_sequences_new(fc_sequences **sequences, fc_corpus *corpus,
                           const fc_tokenizer *tokenizer, int64_t max_length,
                           fc_split split, fc_overflow overflow, fc_err *err);
fc_status fc_sequences_next(fc_sequences *sequences, fc_sequence *sequence, bool *is_end,
                            fc_err *err);
void fc_sequences_free(fc_sequences *sequences);

/* Called once for every document that gives tokens, in order, before its first sequence is
 * returned. n_tokens: those that the sequences hold, so without what is cut off. */
typedef fc_status fc_document_fn(void *ctx, const fc_document *document, int64_t n_tokens,
                                 fc_err *err);
void fc_sequences_on_document(fc_sequences *sequences, fc_document_fn *fn, void *ctx);

#endif
