/* vocab.c - pieces by id and ids by piece.
 *
 * The hash holds ids alone (4 bytes a slot); the text to compare with is the piece's own.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "base/alloc.h"
#include "text/tokenizer_internal.h"

enum { FIRST_SLOTS = 1024, SHOWN_BYTES = 64 };

static fc_status make_slots(int32_t **slot, int64_t n_slots, fc_err *err)
{
    FC_TRY(fc_alloc(slot, n_slots, sizeof **slot, "vocabulary index", err));
    for (int64_t i = 0; i < n_slots; i++) (*slot)[i] = -1;
    return FC_OK;
}

fc_status fc_vocab_init(fc_vocab *vocab, int64_t bytes_capacity, fc_err *err)
{
    *vocab = (fc_vocab){.n_slots = FIRST_SLOTS, .bytes_capacity = bytes_capacity};
    FC_TRY(make_slots(&vocab->slot, vocab->n_slots, err));
    return fc_alloc(&vocab->bytes, bytes_capacity, 1, "vocabulary text", err);
}

void fc_vocab_deinit(fc_vocab *vocab)
{
    fc_free(vocab->piece);
    fc_free(vocab->slot);
    fc_free(vocab->bytes);
    *vocab = (fc_vocab){0};
}

/* The slot that holds the text, or the empty one where it belongs. */
static int64_t find_slot(const fc_vocab *vocab, const char *text, int64_t n)
{
    int64_t at = (int64_t)(fc_text_hash(text, n) & (uint64_t)(vocab->n_slots - 1));
    for (; vocab->slot[at] >= 0; at = (at + 1) & (vocab->n_slots - 1)) {
        const fc_piece *piece = &vocab->piece[vocab->slot[at]];
        if (piece->n_bytes == n && memcmp(piece->text, text, (size_t)n) == 0) break;
    }
    return at;
}

int32_t fc_vocab_find(const fc_vocab *vocab, const char *text, int64_t n)
{
    return vocab->slot[find_slot(vocab, text, n)];
}

static fc_status double_slots(fc_vocab *vocab, fc_err *err)
{
    int32_t *slot = NULL;
    FC_TRY(make_slots(&slot, 2 * vocab->n_slots, err));
    fc_free(vocab->slot);
    vocab->slot = slot;
    vocab->n_slots *= 2;
    for (int64_t id = 0; id < vocab->n; id++) {
        const fc_piece *piece = &vocab->piece[id];
        if (piece->text)
            slot[find_slot(vocab, piece->text, piece->n_bytes)] = (int32_t)id;
    }
    return FC_OK;
}

/* Pieces up to and with `id` exist, the new ones empty. */
static fc_status extend(fc_vocab *vocab, int32_t id, fc_err *err)
{
    if (id >= FC_ID_LIMIT)
        return fc_fail(err, FC_FORMAT,
                       "id %" PRId32 " is too large, expected less than %d", id,
                       FC_ID_LIMIT);
    if (id < vocab->n) return FC_OK;
    FC_TRY(fc_grow(&vocab->piece, &vocab->capacity, id + 1, sizeof *vocab->piece,
                   "vocabulary", err));
    for (; vocab->n <= id; vocab->n++) vocab->piece[vocab->n] = (fc_piece){0};
    return FC_OK;
}

fc_status fc_vocab_add(fc_vocab *vocab, const char *text, int64_t n, int32_t id,
                       fc_err *err)
{
    const int shown = (int)fc_min(n, SHOWN_BYTES);
    FC_TRY(extend(vocab, id, err));
    if (vocab->piece[id].text)
        return fc_fail(err, FC_FORMAT, "'%.*s' and '%.*s' both have id %" PRId32,
                       (int)fc_min(vocab->piece[id].n_bytes, SHOWN_BYTES),
                       vocab->piece[id].text, shown, text, id);
    if (fc_vocab_find(vocab, text, n) >= 0)
        return fc_fail(err, FC_FORMAT,
                       "'%.*s' occurs twice, with ids %" PRId32 " and %" PRId32, shown,
                       text, fc_vocab_find(vocab, text, n), id);
    if (2 * (vocab->n_used + 1) > vocab->n_slots) FC_TRY(double_slots(vocab, err));
    FC_CHECK(vocab->n_bytes + n + 1 <= vocab->bytes_capacity);
    char *copy = vocab->bytes + vocab->n_bytes;
    memcpy(copy, text, (size_t)n);
    vocab->n_bytes += n + 1;
    vocab->slot[find_slot(vocab, text, n)] = id;
    vocab->piece[id] = (fc_piece){.text = copy, .n_bytes = (int32_t)n};
    vocab->n_used++;
    return FC_OK;
}
