/* tokenizer.h - Gemma's byte-fallback BPE from tokenizer.json, exact, with byte offsets.
 *
 * Added tokens are found first, in the raw text, leftmost and longest. Then every space becomes
 * U+2581, each character is one symbol or its UTF-8 bytes, and the adjacent pair of lowest rank is
 * merged, leftmost on ties, until none is left: a heap over a linked list, O(n log n).
 * Where the merge table allows it (checked at load), text is cut before each U+2581 and the
 * pieces are looked up in a cache; the result is the same.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TEXT_TOKENIZER_H
#define FC_TEXT_TOKENIZER_H

#include <stdbool.h>

#include "base/err.h"
#include "base/strbuf.h"

typedef struct fc_tokenizer fc_tokenizer;

/* Growing arrays; set to {0} to begin, reuse freely. */
typedef struct fc_tokens {
    int32_t *id;
    int64_t *begin, *end; /* bytes [begin, end) of the source text; bos: [0, 0) */
    int64_t n, capacity;
} fc_tokens;
void fc_tokens_free(fc_tokens *tokens);

typedef struct fc_encode_options {
    bool no_bos;           /* do not begin with <bos> */
    bool specials_as_text; /* "<bos>" written in the text is text, not the token */
} fc_encode_options;

/* path: tokenizer.json, or a folder that holds it, or a model's name in the cache of the Hugging
 * Face hub (formats/hub_cache.h). Refuses what is not Gemma's kind of BPE. */
fc_status fc_tokenizer_load(fc_tokenizer **tokenizer, const char *path, fc_err *err);
void fc_tokenizer_free(fc_tokenizer *tokenizer);

int64_t fc_tokenizer_vocab(const fc_tokenizer *tokenizer); /* largest id + 1 */
int32_t fc_tokenizer_bos(const fc_tokenizer *tokenizer);
bool fc_tokenizer_is_special(const fc_tokenizer *tokenizer, int32_t id);

/* Piece as the vocabulary has it ("▁the", "<0x0A>"); NULL for an id without a piece. Borrowed. */
const char *fc_tokenizer_piece(const fc_tokenizer *tokenizer, int32_t id);

/* Encodes n_bytes of text into tokens (cleared first). Invalid UTF-8: each maximal invalid
 * subsequence counts as U+FFFD, offsets as in the source. Thread-safe when each caller has its own
 * `encoder` (scratch memory and word cache). */
typedef struct fc_encoder fc_encoder;
fc_status fc_encoder_new(fc_encoder **encoder, const fc_tokenizer *tokenizer,
                         fc_err *err);
void fc_encoder_free(fc_encoder *encoder);
fc_status fc_encode(fc_encoder *encoder, const char *text, int64_t n_bytes,
                    fc_encode_options options, fc_tokens *tokens, fc_err *err);

/* Appends the text of ids as Hugging Face decodes it (byte runs joined, invalid runs as U+FFFD). */
fc_status fc_decode(const fc_tokenizer *tokenizer, const int32_t *id, int64_t n,
                    bool skip_special, fc_strbuf *text, fc_err *err);

/* Raw bytes that one token stands for: U+2581 as a space, byte pieces as their byte, specials as
 * written. For showing tokens in context, where bytes of neighbours join to characters. */
fc_status fc_token_bytes(const fc_tokenizer *tokenizer, int32_t id, fc_strbuf *bytes,
                         fc_err *err);

#endif
