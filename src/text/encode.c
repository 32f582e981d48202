/* encode.c - text to tokens: added tokens, words, and a cache of words.
 *
 *     text ──added tokens (trie)──> segments ──cut before each space──> words ──cache or bpe──> ids
 *
 * One pass over the bytes. Most bytes begin nothing (a table of 256 says so) and are run over; at
 * the others it is asked whether an added token or a space begins. Cutting before a space is exact
 * where no merge joins text to a U+2581 behind it, which loading checks; if one does, nothing is
 * cut and a segment is one word.
 *
 * Text is never rewritten: a word is taken with its raw spaces, and merging reads ' ' as U+2581.
 * So offsets are those of the source and a word's tokens depend on its bytes alone: they are kept
 * in a table with one place for each hash, where the newer word replaces the older. English text
 * finds 19 of 20 words there; merging is paid for the rest.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "base/alloc.h"
#include "text/tokenizer_internal.h"

enum {
    TEXT_LIMIT =
        1 << 29, /* bytes of one text: its symbols must be countable in 31 bits */
    WORD_BYTES = 48,
    WORD_TOKENS = 12,
    N_WORDS = 1 << 15 /* 4 MiB */
};

typedef struct cached_word {   /* two lines of the cache */
    uint8_t n_bytes, n_tokens; /* n_bytes 0: empty */
    uint8_t begin[WORD_TOKENS], end[WORD_TOKENS];
    char text[WORD_BYTES];
    int32_t id[WORD_TOKENS];
} cached_word;

struct fc_encoder {
    const fc_tokenizer *tokenizer;
    fc_bpe bpe;
    cached_word *word; /* [N_WORDS] */
};

fc_status fc_encoder_new(fc_encoder **encoder, const fc_tokenizer *tokenizer, fc_err *err)
{
    fc_encoder *made = NULL;
    FC_TRY(fc_alloc(&made, 1, sizeof *made, "encoder", err));
    made->tokenizer = tokenizer;
    const fc_status status =
        fc_alloc(&made->word, N_WORDS, sizeof *made->word, "word cache", err);
    if (status != FC_OK) {
        fc_free(made);
        return status;
    }
    *encoder = made;
    return FC_OK;
}

void fc_encoder_free(fc_encoder *encoder)
{
    if (!encoder) return;
    fc_bpe_deinit(&encoder->bpe);
    fc_free(encoder->word);
    fc_free(encoder);
}

/* --- words -------------------------------------------------------------------------------- */

static void remember(cached_word *word, const char *text, int64_t n,
                     const fc_tokens *tokens, int64_t first, int64_t begin)
{
    if (tokens->n - first > WORD_TOKENS) return;
    word->n_bytes = (uint8_t)n;
    word->n_tokens = (uint8_t)(tokens->n - first);
    memcpy(word->text, text, (size_t)n);
    for (int i = 0; i < word->n_tokens; i++) {
        word->id[i] = tokens->id[first + i];
        word->begin[i] = (uint8_t)(tokens->begin[first + i] - begin);
        word->end[i] = (uint8_t)(tokens->end[first + i] - begin);
    }
}

static fc_status recall(const cached_word *word, int64_t begin, fc_tokens *tokens,
                        fc_err *err)
{
    FC_TRY(fc_tokens_reserve(tokens, word->n_tokens, err));
    for (int i = 0; i < word->n_tokens; i++) {
        tokens->id[tokens->n] = word->id[i];
        tokens->begin[tokens->n] = begin + word->begin[i];
        tokens->end[tokens->n] = begin + word->end[i];
        tokens->n++;
    }
    return FC_OK;
}

static fc_status encode_word(fc_encoder *encoder, const char *text, int64_t begin,
                             int64_t end, fc_tokens *tokens, fc_err *err)
{
    const int64_t n = end - begin;
    if (n == 0) return FC_OK;
    if (n > WORD_BYTES)
        return fc_bpe_encode(&encoder->bpe, encoder->tokenizer, text, begin, end, tokens,
                             err);
    cached_word *word = &encoder->word[fc_text_hash(text + begin, n) % N_WORDS];
    if (word->n_bytes == n && memcmp(word->text, text + begin, (size_t)n) == 0)
        return recall(word, begin, tokens, err);
    const int64_t first = tokens->n;
    FC_TRY(
        fc_bpe_encode(&encoder->bpe, encoder->tokenizer, text, begin, end, tokens, err));
    remember(word, text + begin, n, tokens, first, begin);
    return FC_OK;
}

/* --- text --------------------------------------------------------------------------------- */

static fc_status append(fc_tokens *tokens, int32_t id, int64_t begin, int64_t end,
                        fc_err *err)
{
    FC_TRY(fc_tokens_reserve(tokens, 1, err));
    tokens->id[tokens->n] = id;
    tokens->begin[tokens->n] = begin;
    tokens->end[tokens->n] = end;
    tokens->n++;
    return FC_OK;
}

static fc_status encode_text(fc_encoder *encoder, const char *text, int64_t n,
                             bool specials_as_text, fc_tokens *tokens, fc_err *err)
{
    const fc_tokenizer *tokenizer = encoder->tokenizer;
    int64_t word = 0;       /* where the word in hand begins */
    int64_t after_mark = 0; /* behind the last space: a run of spaces is not cut */
    int64_t no_token = 0;   /* before here no added token is looked for */
    for (int64_t at = 0; at < n;) {
        const uint8_t lead = tokenizer->lead[(uint8_t)text[at]];
        if (lead & FC_LEAD_ADDED && at >= no_token) {
            int32_t id = 0;
            const int64_t length =
                fc_trie_match(&tokenizer->added, text + at, n - at, &id);
            if (length > 0 && specials_as_text && fc_tokenizer_is_special(tokenizer, id))
            {
                no_token = at + length;
            } else if (length > 0) {
                FC_TRY(encode_word(encoder, text, word, at, tokens, err));
                FC_TRY(append(tokens, id, at, at + length, err));
                word = after_mark = at += length;
                continue;
            }
        }
        const int64_t mark = lead & FC_LEAD_SPACE ? 1
                             : lead & FC_LEAD_MARK && fc_is_mark(text + at, n - at)
                                 ? FC_MARK_BYTES
                                 : 0;
        if (mark && at != after_mark) {
            FC_TRY(encode_word(encoder, text, word, at, tokens, err));
            word = at;
        }
        at += mark ? mark : 1;
        if (mark) after_mark = at;
    }
    return encode_word(encoder, text, word, n, tokens, err);
}

fc_status fc_encode(fc_encoder *encoder, const char *text, int64_t n_bytes,
                    fc_encode_options options, fc_tokens *tokens, fc_err *err)
{
    tokens->n = 0;
    if (n_bytes > TEXT_LIMIT)
        return fc_fail(err, FC_USAGE,
                       "a text of %" PRId64 " bytes is too long to encode, expected at "
                       "most %d",
                       n_bytes, TEXT_LIMIT);
    if (!options.no_bos) FC_TRY(append(tokens, encoder->tokenizer->bos, 0, 0, err));
    return encode_text(encoder, text, n_bytes, options.specials_as_text, tokens, err);
}
