/* tokenizer.c - questions to a loaded tokenizer, and decoding.
 *
 *     text = join(piece(id) with U+2581 as ' ', runs of byte pieces as the bytes they spell)
 *
 * A run of byte pieces that is not valid UTF-8 becomes one U+FFFD for each of its bytes, the valid
 * ones too: so decode Hugging Face tokenizers. Special tokens are dropped before runs are joined.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "text/tokenizer_internal.h"
#include "text/utf8.h"

void fc_tokenizer_free(fc_tokenizer *tokenizer)
{
    if (!tokenizer) return;
    fc_vocab_deinit(&tokenizer->vocab);
    fc_merges_deinit(&tokenizer->merges);
    fc_trie_deinit(&tokenizer->added);
    fc_free(tokenizer);
}

int64_t fc_tokenizer_vocab(const fc_tokenizer *tokenizer)
{
    return tokenizer->vocab.n;
}

int32_t fc_tokenizer_bos(const fc_tokenizer *tokenizer)
{
    return tokenizer->bos;
}

static const fc_piece *piece_of(const fc_tokenizer *tokenizer, int32_t id)
{
    static const fc_piece none = {0};
    return id >= 0 && id < tokenizer->vocab.n ? &tokenizer->vocab.piece[id] : &none;
}

bool fc_tokenizer_is_special(const fc_tokenizer *tokenizer, int32_t id)
{
    return piece_of(tokenizer, id)->is_special;
}

const char *fc_tokenizer_piece(const fc_tokenizer *tokenizer, int32_t id)
{
    return piece_of(tokenizer, id)->text;
}

/* --- decoding ----------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

/* The byte that "<0xNN>" spells, or -1. */
static int byte_of(const fc_piece *piece)
{
    if (piece->n_bytes != 6 || memcmp(piece->text, "<0x", 3) != 0 ||
        piece->text[5] != '>')
        return -1;
    const int high = hex_digit(piece->text[3]);
    const int low = hex_digit(piece->text[4]);
    return high < 0 || low < 0 ? -1 : 16 * high + low;
}

/* The piece with each U+2581 as a space. */
static fc_status add_spaced(const fc_piece *piece, fc_strbuf *text, fc_err *err)
{
    const char *run = piece->text;
    const char *end = piece->text + piece->n_bytes;
    for (const char *at = run; at < end; at++) {
        if (!fc_is_mark(at, end - at)) continue;
        FC_TRY(fc_strbuf_add(text, run, at - run, err));
        FC_TRY(fc_strbuf_add(text, " ", 1, err));
        at += FC_MARK_BYTES - 1;
        run = at + 1;
    }
    return fc_strbuf_add(text, run, end - run, err);
}

/* The bytes text[run, n) come from byte pieces. */
static fc_status close_run(fc_strbuf *text, int64_t run, fc_err *err)
{
    const int64_t n = text->n - run;
    if (n == 0 || fc_utf8_check(text->data + run, n) == n) return FC_OK;
    text->n = run;
    for (int64_t i = 0; i < n; i++) FC_TRY(fc_strbuf_add(text, "\xEF\xBF\xBD", 3, err));
    return FC_OK;
}

fc_status fc_decode(const fc_tokenizer *tokenizer, const int32_t *id, int64_t n,
                    bool skip_special, fc_strbuf *text, fc_err *err)
{
    int64_t run =
        text->n; /* where the bytes in hand begin; text->n when there are none */
    for (int64_t i = 0; i < n; i++) {
        const fc_piece *piece = piece_of(tokenizer, id[i]);
        if (!piece->text || (skip_special && piece->is_special)) continue;
        const int byte = byte_of(piece);
        if (byte >= 0) {
            const char one = (char)byte;
            FC_TRY(fc_strbuf_add(text, &one, 1, err));
            continue;
        }
        FC_TRY(close_run(text, run, err));
        FC_TRY(add_spaced(piece, text, err));
        run = text->n;
    }
    return close_run(text, run, err);
}

fc_status fc_token_bytes(const fc_tokenizer *tokenizer, int32_t id, fc_strbuf *bytes,
                         fc_err *err)
{
    const fc_piece *piece = piece_of(tokenizer, id);
    if (!piece->text) return FC_OK;
    const int byte = byte_of(piece);
    if (byte < 0) return add_spaced(piece, bytes, err);
    const char one = (char)byte;
    return fc_strbuf_add(bytes, &one, 1, err);
}
