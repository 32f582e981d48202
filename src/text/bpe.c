/* bpe.c - byte-pair merging of one piece of text, in O(n log n).
 *
 *     text -> symbols (a character that is a piece, else its UTF-8 bytes as byte pieces)
 *     repeat: of all adjacent pairs in the merge table take the one of lowest rank, leftmost on
 *             ties, and join it
 *
 * Symbols are a doubly linked list in an array; a heap of rank << 32 | place gives the next pair.
 * Entries that a merge made stale stay in the heap and are known by their rank: it names the pair,
 * and a symbol remembers the rank of the pair it begins now. Rescanning for the best pair, as
 * simple implementations do, would be quadratic in a long word.
 *
 * Offsets travel with the symbols. A character that was split into bytes gives its whole range to
 * each of them, so a merge of byte pieces covers the characters that it touches.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "text/tokenizer_internal.h"
#include "text/utf8.h"

enum { NONE = -1 };

struct fc_symbol {
    int32_t id;
    int32_t prev, next; /* NONE at the ends */
    int32_t begin, end; /* bytes of the text, from its beginning */
    int32_t rank,
        result; /* of the pair (this, next); rank NONE: it does not merge, or is gone */
};

void fc_bpe_deinit(fc_bpe *bpe)
{
    fc_free(bpe->symbol);
    fc_free(bpe->heap);
    *bpe = (fc_bpe){0};
}

void fc_tokens_free(fc_tokens *tokens)
{
    fc_free(tokens->id);
    fc_free(tokens->begin);
    fc_free(tokens->end);
    *tokens = (fc_tokens){0};
}

fc_status fc_tokens_reserve(fc_tokens *tokens, int64_t n_more, fc_err *err)
{
    const int64_t n = tokens->n + n_more;
    if (n <= tokens->capacity) return FC_OK;
    int64_t ids = tokens->capacity;
    int64_t begins = tokens->capacity;
    int64_t ends = tokens->capacity;
    FC_TRY(fc_grow(&tokens->id, &ids, n, sizeof *tokens->id, "token ids", err));
    FC_TRY(
        fc_grow(&tokens->begin, &begins, n, sizeof *tokens->begin, "token offsets", err));
    FC_TRY(fc_grow(&tokens->end, &ends, n, sizeof *tokens->end, "token offsets", err));
    tokens->capacity = fc_min(ids, fc_min(begins, ends));
    return FC_OK;
}

/* --- the heap ----------------------------------------------------------------------------- */

static void heap_push(fc_bpe *bpe, uint64_t entry)
{
    int64_t at = bpe->n_heap++;
    for (; at > 0 && bpe->heap[(at - 1) / 2] > entry; at = (at - 1) / 2)
        bpe->heap[at] = bpe->heap[(at - 1) / 2];
    bpe->heap[at] = entry;
}

static uint64_t heap_pop(fc_bpe *bpe)
{
    const uint64_t top = bpe->heap[0];
    const uint64_t last = bpe->heap[--bpe->n_heap];
    int64_t at = 0;
    for (int64_t child = 1; child < bpe->n_heap; child = 2 * at + 1) {
        if (child + 1 < bpe->n_heap && bpe->heap[child + 1] < bpe->heap[child]) child++;
        if (bpe->heap[child] >= last) break;
        bpe->heap[at] = bpe->heap[child];
        at = child;
    }
    bpe->heap[at] = last;
    return top;
}

/* --- symbols ------------------------------------------------------------------------------ */

static int32_t char_id(const fc_tokenizer *tokenizer, uint32_t code)
{
    if (code == ' ') code = FC_MARK;
    if (code < FC_DIRECT_CHARS) return tokenizer->char_id[code];
    char bytes[FC_UTF8_MAX_BYTES];
    return fc_vocab_find(&tokenizer->vocab, bytes, fc_utf8_put(code, bytes));
}

static fc_status make_symbols(fc_bpe *bpe, const fc_tokenizer *tokenizer,
                              const char *text, int64_t n, fc_err *err)
{
    bpe->n_symbols = 0;
    for (int64_t at = 0; at < n;) {
        uint32_t code = 0;
        bool is_valid = false;
        const int length = fc_utf8_next(text + at, n - at, &code, &is_valid);
        if (bpe->n_symbols + FC_UTF8_MAX_BYTES > bpe->symbols_capacity)
            FC_TRY(fc_grow(&bpe->symbol, &bpe->symbols_capacity,
                           bpe->n_symbols + FC_UTF8_MAX_BYTES, sizeof *bpe->symbol,
                           "symbols of a word", err));
        char bytes[FC_UTF8_MAX_BYTES];
        const int32_t whole = char_id(tokenizer, code);
        const int n_pieces = whole >= 0 ? 1 : fc_utf8_put(code, bytes);
        for (int i = 0; i < n_pieces; i++, bpe->n_symbols++) {
            bpe->symbol[bpe->n_symbols] = (fc_symbol){
                .id = whole >= 0 ? whole : tokenizer->byte_id[(uint8_t)bytes[i]],
                .prev = (int32_t)bpe->n_symbols - 1,
                .next = (int32_t)bpe->n_symbols + 1,
                .begin = (int32_t)at,
                .end = (int32_t)at + length,
            };
        }
        at += length;
    }
    bpe->symbol[bpe->n_symbols - 1].next = NONE;
    return FC_OK;
}

/* Looks up the pair that begins at `at` and queues it if it merges. */
static void queue_pair(fc_bpe *bpe, const fc_merges *merges, int32_t at)
{
    fc_symbol *symbol = &bpe->symbol[at];
    symbol->rank = NONE;
    if (symbol->next == NONE) return;
    const fc_merge *merge =
        fc_merges_find(merges, symbol->id, bpe->symbol[symbol->next].id);
    if (!merge) return;
    symbol->rank = merge->rank;
    symbol->result = merge->result;
    heap_push(bpe, (uint64_t)merge->rank << 32 | (uint32_t)at);
}

static void merge_all(fc_bpe *bpe, const fc_merges *merges)
{
    bpe->n_heap = 0;
    for (int32_t at = 0; at < bpe->n_symbols; at++) queue_pair(bpe, merges, at);
    while (bpe->n_heap > 0) {
        const uint64_t entry = heap_pop(bpe);
        const int32_t at = (int32_t)(entry & UINT32_MAX);
        fc_symbol *symbol = &bpe->symbol[at];
        if (symbol->rank != (int32_t)(entry >> 32)) continue;
        fc_symbol *right = &bpe->symbol[symbol->next];
        right->rank = NONE;
        symbol->id = symbol->result;
        symbol->end = right->end;
        symbol->next = right->next;
        if (symbol->next != NONE) bpe->symbol[symbol->next].prev = at;
        queue_pair(bpe, merges, at);
        if (symbol->prev != NONE) queue_pair(bpe, merges, symbol->prev);
    }
}

fc_status fc_bpe_encode(fc_bpe *bpe, const fc_tokenizer *tokenizer, const char *text,
                        int64_t begin, int64_t end, fc_tokens *tokens, fc_err *err)
{
    if (begin == end) return FC_OK;
    FC_TRY(make_symbols(bpe, tokenizer, text + begin, end - begin, err));
    /* n - 1 pairs at first; each of at most n - 1 merges takes one and adds at most two. */
    FC_TRY(fc_grow(&bpe->heap, &bpe->heap_capacity, 2 * bpe->n_symbols, sizeof *bpe->heap,
                   "merge queue", err));
    merge_all(bpe, &tokenizer->merges);
    FC_TRY(fc_tokens_reserve(tokens, bpe->n_symbols, err));
    for (int32_t at = 0; at != NONE; at = bpe->symbol[at].next) {
        const fc_symbol *symbol = &bpe->symbol[at];
        tokens->id[tokens->n] = symbol->id;
        tokens->begin[tokens->n] = begin + symbol->begin;
        tokens->end[tokens->n] = begin + symbol->end;
        tokens->n++;
    }
    return FC_OK;
}
