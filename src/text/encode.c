/* encode.c - text to tokens: added tokens, words, and a cache of words.
 *
 *     text --added tokens (trie)--> segments --cut before each space--> words --cache or bpe--> ids
 *
 * One pass over the bytes. Most bytes begin nothing (a table of 256 says so) and are run over; at
 * the others it is asked whether an added token or a space begins. Cutting before a space is exact
 * where no merge joins text to a U+2581 behind it, which loading checks; if one does, nothing is
 * cut and a segment is one word.
 *
 * Text is never rewritten: a word is taken with its raw spaces, and merging reads ' ' as U+2581.
 * So offsets are those of the source and a word's tokens depend on its bytes alone. They are kept
 * in a table: a word has two places to be in, the later used one first, and takes that of the
 * other when it is new. In English text 19 of 20 words are found (with one place 9 of 10), and
 * merging, which costs as much as 20 of them, is paid for the rest.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "base/alloc.h"
#include "text/tokenizer_internal.h"

enum {
    TEXT_LIMIT =
        1 << 29, /* bytes of one text: its symbols must be countable in 31 bits */
    WORD_BYTES = 32,
    WORD_TOKENS = 5,
    N_SETS = 1 << 15 /* of two words: 4 MiB */
};

typedef struct cached_word { /* one line of the processor's cache */
    char text[WORD_BYTES];
    int32_t id[WORD_TOKENS];
    uint8_t begin[WORD_TOKENS], end[WORD_TOKENS]; /* in the word */
    uint8_t n_bytes, n_tokens;                    /* n_bytes 0: empty */
} cached_word;

struct fc_encoder {
    const fc_tokenizer *tokenizer;
    fc_bpe bpe;
    cached_word *words; /* [N_SETS][2] */
};

fc_status fc_encoder_new(fc_encoder **encoder, const fc_tokenizer *tokenizer, fc_err *err)
{
    fc_encoder *made = NULL;
    FC_TRY(fc_alloc(&made, 1, sizeof *made, "encoder", err));
    made->tokenizer = tokenizer;
    const fc_status status =
        fc_alloc(&made->words, 2 * N_SETS, sizeof *made->words, "word cache", err);
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
    fc_free(encoder->words);
    fc_free(encoder);
}

/* --- words -------------------------------------------------------------------------------- */

static bool holds(const cached_word *word, const char *text, int64_t n)
{
    return word->n_bytes == n && memcmp(word->text, text, (size_t)n) == 0;
}

/* Keeps what tokens has from `first` on. */
static void remember(cached_word *word, const char *text, int64_t n,
                     const fc_tokens *tokens, int64_t first, int64_t begin)
{
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
    cached_word *set = &encoder->words[2 * (fc_text_hash(text + begin, n) % N_SETS)];
    if (holds(&set[0], text + begin, n)) return recall(&set[0], begin, tokens, err);
    const cached_word first = set[0];
    const int64_t n_before = tokens->n;
    if (holds(&set[1], text + begin, n)) {
        set[0] = set[1];
        set[1] = first;
        return recall(&set[0], begin, tokens, err);
    }
    FC_TRY(
        fc_bpe_encode(&encoder->bpe, encoder->tokenizer, text, begin, end, tokens, err));
    if (tokens->n - n_before > WORD_TOKENS) return FC_OK;
    set[1] = first;
    remember(&set[0], text + begin, n, tokens, n_before, begin);
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

typedef struct text_walk {
    const char *text;
    int64_t n, at;
    int64_t word;       /* where the word in hand begins */
    int64_t after_mark; /* behind the last space: a run of spaces is not cut */
    int64_t no_token;   /* before here no added token is looked for */
    bool specials_as_text;
} text_walk;

/* If an added token begins here, appends the word before it and the token, and steps over it. */
static fc_status take_added(fc_encoder *encoder, text_walk *walk, bool *is_taken,
                            fc_tokens *tokens, fc_err *err)
{
    int32_t id = 0;
    const int64_t begin = walk->at;
    const int64_t n = fc_trie_match(&encoder->tokenizer->added, walk->text + begin,
                                    walk->n - begin, &id);
    *is_taken = false;
    if (n == 0) return FC_OK;
    if (walk->specials_as_text && fc_tokenizer_is_special(encoder->tokenizer, id)) {
        walk->no_token = begin + n; /* as Hugging Face: nor is one found inside it */
        return FC_OK;
    }
    FC_TRY(encode_word(encoder, walk->text, walk->word, begin, tokens, err));
    FC_TRY(append(tokens, id, begin, begin + n, err));
    *is_taken = true;
    walk->at = walk->word = walk->after_mark = begin + n;
    return FC_OK;
}

/* Bytes of the space or U+2581 that begins here, or 0. */
static int64_t mark_bytes(const text_walk *walk, uint8_t lead)
{
    if (lead & FC_LEAD_SPACE) return 1;
    const bool is_mark =
        lead & FC_LEAD_MARK && fc_is_mark(walk->text + walk->at, walk->n - walk->at);
    return is_mark ? FC_MARK_BYTES : 0;
}

static fc_status encode_text(fc_encoder *encoder, text_walk *walk, fc_tokens *tokens,
                             fc_err *err)
{
    const fc_tokenizer *tokenizer = encoder->tokenizer;
    while (walk->at < walk->n) {
        const uint8_t lead = tokenizer->lead[(uint8_t)walk->text[walk->at]];
        if (!lead) {
            walk->at++;
            continue;
        }
        if (lead & FC_LEAD_ADDED && walk->at >= walk->no_token) {
            bool is_taken = false;
            FC_TRY(take_added(encoder, walk, &is_taken, tokens, err));
            if (is_taken) continue;
        }
        const int64_t n_mark = mark_bytes(walk, lead);
        if (n_mark > 0 && walk->at != walk->after_mark) {
            FC_TRY(encode_word(encoder, walk->text, walk->word, walk->at, tokens, err));
            walk->word = walk->at;
        }
        walk->at += n_mark > 0 ? n_mark : 1;
        if (n_mark > 0) walk->after_mark = walk->at;
    }
    return encode_word(encoder, walk->text, walk->word, walk->n, tokens, err);
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
    text_walk walk = {
        .text = text, .n = n_bytes, .specials_as_text = options.specials_as_text};
    return encode_text(encoder, &walk, tokens, err);
}
