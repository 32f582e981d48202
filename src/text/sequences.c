/* sequences.c - documents to token sequences that a model runs on.
 *
 *     LINE ...   <bos> d0 d0 d0 | <bos> d1 d1      one document a sequence
 *     PACKED     <bos> d0 d0 d0 d1 d1 | <bos> d1 d2
 *
 * A document is tokenized whole and then cut, so that the cut never changes a token.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "text/sequences.h"

#include <inttypes.h>

#include "base/alloc.h"

struct fc_sequences {
    fc_corpus *corpus;
    fc_encoder *encoder;
    int32_t bos;
    int64_t max_length;
    bool is_packed, is_truncated;
    fc_document_fn *on_document;
    void *on_document_ctx;

    fc_tokens tokens; /* of the document in hand */
    int64_t at;       /* the next of them */
    int32_t doc_id;

    int32_t *id, *document, *offset; /* [capacity] the sequence in hand */
    int64_t n, capacity;
};

fc_status fc_sequences_new(fc_sequences **sequences, fc_corpus *corpus,
                           const fc_tokenizer *tokenizer, int64_t max_length,
                           fc_split split, fc_overflow overflow, fc_err *err)
{
    fc_sequences *made = NULL;
    if (max_length < 2)
        return fc_fail(err, FC_USAGE,
                       "the maximum length is %" PRId64
                       ", expected at least 2 (<bos> and a token)",
                       max_length);
    FC_TRY(fc_alloc(&made, 1, sizeof *made, "sequences", err));
    made->corpus = corpus;
    made->bos = fc_tokenizer_bos(tokenizer);
    made->max_length = max_length;
    made->is_packed = split == FC_SPLIT_PACKED;
    made->is_truncated = !made->is_packed && overflow == FC_OVERFLOW_TRUNCATE;
    const fc_status status = fc_encoder_new(&made->encoder, tokenizer, err);
    if (status != FC_OK) {
        fc_sequences_free(made);
        return status;
    }
    *sequences = made;
    return FC_OK;
}

void fc_sequences_free(fc_sequences *sequences)
{
    if (!sequences) return;
    fc_encoder_free(sequences->encoder);
    fc_tokens_free(&sequences->tokens);
    fc_free(sequences->id);
    fc_free(sequences->document);
    fc_free(sequences->offset);
    fc_free(sequences);
}

void fc_sequences_on_document(fc_sequences *sequences, fc_document_fn *fn, void *ctx)
{
    sequences->on_document = fn;
    sequences->on_document_ctx = ctx;
}

/* Tokenizes the next document that gives tokens. */
static fc_status next_document(fc_sequences *s, bool *is_end, fc_err *err)
{
    fc_document document;
    s->at = 0;
    s->tokens.n = 0;
    while (s->tokens.n == 0) {
        FC_TRY(fc_corpus_next(s->corpus, &document, is_end, err));
        if (*is_end) return FC_OK;
        if (document.id > INT32_MAX)
            return fc_fail(err, FC_USAGE, "the corpus has more than %d documents",
                           INT32_MAX);
        const fc_encode_options options = {.no_bos = true};
        if (fc_encode(s->encoder, document.text, document.n_bytes, options, &s->tokens,
                      err))
            return fc_fail_in(err, "%s: line %" PRId64, document.source, document.line);
    }
    if (s->is_truncated) s->tokens.n = fc_min(s->tokens.n, s->max_length - 1);
    s->doc_id = (int32_t)document.id;
    if (!s->on_document) return FC_OK;
    return s->on_document(s->on_document_ctx, &document, s->tokens.n, err);
}

static fc_status reserve(fc_sequences *s, int64_t n, fc_err *err)
{
    if (n <= s->capacity) return FC_OK;
    int64_t ids = s->capacity;
    int64_t documents = s->capacity;
    int64_t offsets = s->capacity;
    FC_TRY(fc_grow(&s->id, &ids, n, sizeof *s->id, "a sequence", err));
    FC_TRY(fc_grow(&s->document, &documents, n, sizeof *s->document, "a sequence", err));
    FC_TRY(fc_grow(&s->offset, &offsets, n, sizeof *s->offset, "a sequence", err));
    s->capacity = fc_min(ids, fc_min(documents, offsets));
    return FC_OK;
}

static void append(fc_sequences *s, int32_t id, int32_t offset)
{
    s->id[s->n] = id;
    s->document[s->n] = s->doc_id;
    s->offset[s->n] = offset;
    s->n++;
}

/* Moves tokens of the document in hand into the sequence, as many as fit. */
static fc_status take(fc_sequences *s, fc_err *err)
{
    const int64_t n_bos = s->n == 0;
    const int64_t room = s->max_length - s->n - n_bos;
    const int64_t n = fc_min(s->tokens.n - s->at, room);
    FC_TRY(reserve(s, s->n + n_bos + n, err));
    if (n_bos) append(s, s->bos, -1);
    for (const int64_t end = s->at + n; s->at < end; s->at++)
        append(s, s->tokens.id[s->at], (int32_t)s->at);
    return FC_OK;
}

fc_status fc_sequences_next(fc_sequences *sequences, fc_sequence *sequence, bool *is_end,
                            fc_err *err)
{
    fc_sequences *s = sequences;
    s->n = 0;
    *is_end = false;
    do {
        if (s->at == s->tokens.n) FC_TRY(next_document(s, is_end, err));
        if (*is_end) break;
        FC_TRY(take(s, err));
    } while (s->is_packed && s->n < s->max_length);
    *is_end = s->n == 0;
    *sequence =
        (fc_sequence){.id = s->id, .doc_id = s->document, .offset = s->offset, .n = s->n};
    return FC_OK;
}
