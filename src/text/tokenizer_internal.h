/* tokenizer_internal.h - the tables behind fc_tokenizer, read-only once loaded.
 *
 *     vocab    id -> piece (array) and piece -> id (hash)      vocab.c
 *     merges   (left id, right id) -> (rank, result) (hash)    merges.c
 *     added    trie over the bytes of the added tokens         added_tokens.c
 *
 * Hashes are open-addressed with linear probing, at most half full. Gemma's tables (262,144 pieces,
 * half a million merges, 6,400 added tokens) take about 40 MB.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TEXT_TOKENIZER_INTERNAL_H
#define FC_TEXT_TOKENIZER_INTERNAL_H

#include <string.h>

#include "text/tokenizer.h"

enum {
    FC_ID_LIMIT = 1 << 22,     /* ids a file may use: 16 times Gemma's */
    FC_DIRECT_CHARS = 1 << 16, /* code points whose id is found without hashing */
    FC_MARK = 0x2581,          /* stands for a space in pieces */
    FC_MARK_BYTES = 3
};
#define FC_MARK_TEXT "\xE2\x96\x81"

/* --- vocab.c ---------------------------------------------------------------------------- */

typedef struct fc_piece {
    const char *text; /* NULL: no piece has this id */
    int32_t n_bytes;
    bool is_special;
} fc_piece;

typedef struct fc_vocab {
    fc_piece *piece; /* [n], by id */
    int64_t n, capacity;
    int32_t *slot; /* [n_slots] ids, -1 = empty */
    int64_t n_slots, n_used;
    char *bytes; /* [bytes_capacity] the pieces, each with a zero byte behind it */
    int64_t n_bytes, bytes_capacity;
} fc_vocab;

/* All pieces together, each with one byte more, take at most bytes_capacity. */
fc_status fc_vocab_init(fc_vocab *vocab, int64_t bytes_capacity, fc_err *err);
void fc_vocab_deinit(fc_vocab *vocab);

/* Copies the piece. Fails when its id or its text is already there; the sentence has no file. */
fc_status fc_vocab_add(fc_vocab *vocab, const char *text, int64_t n, int32_t id,
                       fc_err *err);
int32_t fc_vocab_find(const fc_vocab *vocab, const char *text, int64_t n); /* -1: none */

/* --- merges.c --------------------------------------------------------------------------- */

typedef struct fc_merge {
    int32_t left, right; /* left -1: empty slot */
    int32_t rank, result;
} fc_merge;

typedef struct fc_merges {
    fc_merge *slot; /* [n_slots] */
    int64_t n_slots, n_used;
} fc_merges;

fc_status fc_merges_init(fc_merges *merges, fc_err *err);
void fc_merges_deinit(fc_merges *merges);
/* A pair given twice keeps the later rank, as in Hugging Face tokenizers. */
fc_status fc_merges_add(fc_merges *merges, fc_merge merge, fc_err *err);
const fc_merge *fc_merges_find(const fc_merges *merges, int32_t left,
                               int32_t right); /* or NULL */

/* --- added_tokens.c --------------------------------------------------------------------- */

typedef struct fc_trie_node {
    int32_t child, sibling; /* 0: none (node 0 is the root) */
    int32_t id;             /* token that ends here, or -1 */
    uint8_t byte;
} fc_trie_node;

typedef struct fc_trie {
    fc_trie_node *node;
    int64_t n, capacity;
} fc_trie;

void fc_trie_deinit(fc_trie *trie);
fc_status fc_trie_add(fc_trie *trie, const char *text, int64_t n, int32_t id,
                      fc_err *err);
/* Longest token at the beginning of text: its bytes, 0 when there is none. */
int64_t fc_trie_match(const fc_trie *trie, const char *text, int64_t n, int32_t *id);

/* --- the tokenizer ---------------------------------------------------------------------- */

/* What a byte of text may begin; most begin nothing, and scanning runs over them. */
enum { FC_LEAD_SPACE = 1, FC_LEAD_MARK = 2, FC_LEAD_ADDED = 4 };

struct fc_tokenizer {
    fc_vocab vocab;
    fc_merges merges;
    fc_trie added;
    int32_t bos;
    int32_t byte_id[256];             /* of the piece <0xNN> */
    int32_t char_id[FC_DIRECT_CHARS]; /* of a piece of one character, or -1 */
    uint8_t lead[256];                /* FC_LEAD_* */
};

/* --- bpe.c ------------------------------------------------------------------------------ */

typedef struct fc_symbol fc_symbol;

typedef struct fc_bpe { /* scratch memory; {0} is ready */
    fc_symbol *symbol;
    int64_t n_symbols, symbols_capacity;
    uint64_t *heap;
    int64_t n_heap, heap_capacity;
} fc_bpe;

void fc_bpe_deinit(fc_bpe *bpe);

/* Appends the tokens of text[begin, end) to tokens. */
fc_status fc_bpe_encode(fc_bpe *bpe, const fc_tokenizer *tokenizer, const char *text,
                        int64_t begin, int64_t end, fc_tokens *tokens, fc_err *err);

/* Room for n_more tokens behind tokens->n. */
fc_status fc_tokens_reserve(fc_tokens *tokens, int64_t n_more, fc_err *err);

/* --- small helpers ---------------------------------------------------------------------- */

static inline bool fc_is_mark(const char *text, int64_t n)
{
    return n >= FC_MARK_BYTES && memcmp(text, FC_MARK_TEXT, FC_MARK_BYTES) == 0;
}

/* Multiply and fold, eight bytes a step. For tables in memory only: it differs by byte order. */
static inline uint64_t fc_text_hash(const char *text, int64_t n)
{
    const uint64_t factor = UINT64_C(0x9E3779B97F4A7C15);
    uint64_t hash = (uint64_t)n * factor;
    uint64_t word = 0;
    for (; n > 8; n -= 8, text += 8) {
        memcpy(&word, text, 8);
        hash = (hash ^ word) * factor;
        hash ^= hash >> 32;
    }
    if (n >= 4) {
        uint32_t low = 0;
        uint32_t high = 0;
        memcpy(&low, text, 4);
        memcpy(&high, text + n - 4, 4);
        word = (uint64_t)high << 32 | low;
    } else {
        word = 0;
        for (int64_t i = 0; i < n; i++) word = word << 8 | (uint8_t)text[i];
    }
    hash = (hash ^ word) * factor;
    return hash ^ hash >> 29;
}

#endif
