/* token_class.c - the kinds of each token of a vocabulary, by its text alone.
 *
 * A piece begins a word when a space comes first, and goes on one otherwise. Classes that speak of
 * words are given to any piece whose text fits; whether the piece is a whole word is a matter of
 * what follows it (token_facts.c). Months and the like must begin a word; endings may be a piece
 * of their own.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/token_class_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "text/utf8.h"

enum { TEXT_MAX = 48, ELLIPSIS_BYTES = 3 };

const char *const fc_class_several[FC_N_CLASSES] = {
#define SEVERAL(name, several, one) several,
    FC_TOKEN_CLASSES(SEVERAL)
#undef SEVERAL
};

const char *const fc_class_one[FC_N_CLASSES] = {
#define ONE(name, several, one) one,
    FC_TOKEN_CLASSES(ONE)
#undef ONE
};

/* --- shapes ----------------------------------------------------------------------------- */

static bool is_small(unsigned char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_capital(unsigned char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

typedef struct shape {
    int64_t n_letters, n_small, n_capital, n_digits, n_other, n_foreign;
} shape;

/* Characters beyond ASCII count as letters up to U+1FFF (Latin, Greek, Cyrillic, ..) and from
 * U+3040 on (kana, Han); between lie punctuation and signs. */
static shape shape_of(const char *text, int64_t n)
{
    shape s = {0};
    for (int64_t i = 0; i < n;) {
        uint32_t code;
        bool is_valid;
        i += fc_utf8_next(text + i, n - i, &code, &is_valid);
        const unsigned char c = code < 0x80 ? (unsigned char)code : 0;
        if (is_small(c))
            s.n_small++;
        else if (is_capital(c))
            s.n_capital++;
        else if (is_digit(c))
            s.n_digits++;
        else if (code >= 0xC0 && (code < 0x2000 || code >= 0x3040) && is_valid &&
                 code != FC_UTF8_REPLACEMENT)
            s.n_foreign++;
        else
            s.n_other++;
    }
    s.n_letters = s.n_small + s.n_capital + s.n_foreign;
    return s;
}

static bool ends_in(const char *text, const char *end)
{
    const size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

static bool is_one_of(const char *text, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(text, list[i]) == 0) return true;
    return false;
}

static uint64_t classes_of_signs(const char *text)
{
    static const char *const opening[] = {"(", "[", "{"},
                             *const closing[] = {")", "]", "}"},
                             *const dash[] = {"-",
                                              "@-@",
                                              "--",
                                              "\xe2\x80\x93",
                                              "\xe2\x80\x94",
                                              "\xe2\x88\x92"},
                             *const end[] = {".", "!", "?"};
    uint64_t classes = FC_CLASS_BIT(PUNCTUATION);
    if (is_one_of(text, opening, FC_LEN(opening))) classes |= FC_CLASS_BIT(OPENING);
    if (is_one_of(text, closing, FC_LEN(closing))) classes |= FC_CLASS_BIT(CLOSING);
    if (is_one_of(text, dash, FC_LEN(dash))) classes |= FC_CLASS_BIT(DASH);
    if (is_one_of(text, end, FC_LEN(end))) classes |= FC_CLASS_BIT(SENTENCE_END);
    if (strcmp(text, "%") == 0) classes |= FC_CLASS_BIT(UNIT);
    return classes;
}

static uint64_t classes_of_ending(const char *text)
{
    uint64_t classes = 0;
    if (ends_in(text, "ing")) classes |= FC_CLASS_BIT(ING);
    if (ends_in(text, "ed")) classes |= FC_CLASS_BIT(ED);
    if (ends_in(text, "ly")) classes |= FC_CLASS_BIT(LY);
    if (ends_in(text, "tion") || ends_in(text, "sion") || strcmp(text, "ion") == 0)
        classes |= FC_CLASS_BIT(TION);
    if (ends_in(text, "s") && !ends_in(text, "ss") && !ends_in(text, "us") &&
        !ends_in(text, "is"))
        classes |= FC_CLASS_BIT(PLURAL);
    return classes;
}

static uint64_t classes_of_letters(const char *text, const shape *s, bool is_start)
{
    char lower[TEXT_MAX];
    size_t n = 0;
    for (; text[n] != '\0' && n + 1 < sizeof lower; n++)
        lower[n] = is_capital((unsigned char)text[n]) ? (char)(text[n] + 32) : text[n];
    lower[n] = '\0';
    uint64_t classes = classes_of_ending(lower);
    if (is_start)
        classes |= fc_word_classes(lower, is_capital((unsigned char)text[0]));
    else
        classes |= fc_word_classes(lower, false) & FC_CLASS_BIT(ORDINAL_END);
    if (s->n_foreign > 0 && s->n_foreign == s->n_letters)
        classes |= FC_CLASS_BIT(FOREIGN);
    if (!is_start && s->n_capital == s->n_letters)
        classes |= FC_CLASS_BIT(INNER_CAPITALS);
    if (!is_start) return classes;
    if (s->n_capital == 1 && s->n_letters == 1) return classes | FC_CLASS_BIT(LETTER);
    if (s->n_capital > 1 && s->n_capital == s->n_letters)
        return classes | FC_CLASS_BIT(ALL_CAPITALS) | FC_CLASS_BIT(CAPITALISED);
    return classes | (is_capital((unsigned char)text[0]) ? FC_CLASS_BIT(CAPITALISED)
                                                         : FC_CLASS_BIT(LOWER));
}

/* --- one token -------------------------------------------------------------------------- */

static bool is_byte_piece(const char *piece)
{
    return piece != NULL && strlen(piece) == 6 && strncmp(piece, "<0x", 3) == 0;
}

/* What is shown: "...ing" inside a word, the name of a blank, U+FFFD for broken characters. */
static fc_status show(fc_token_kinds *kinds, fc_token_kind *kind, const char *text,
                      int64_t n, const char *piece, fc_err *err)
{
    char shown[2 * TEXT_MAX];
    size_t at = 0;
    if (is_byte_piece(piece) || n == 0 || text[0] == '\n' || text[0] == '\t') {
        const char *name = piece != NULL ? piece : "?";
        if (n > 0 && text[0] == '\n') name = "\\n";
        if (n > 0 && text[0] == '\t') name = "\\t";
        if (kind->is_bare_space) name = "\xe2\x90\xa3"; /* U+2423, open box */
        at = (size_t)snprintf(shown, sizeof shown, "%s", name);
    } else {
        if (kind->is_inside) {
            memcpy(shown, "\xe2\x80\xa6", ELLIPSIS_BYTES);
            at = ELLIPSIS_BYTES;
        }
        for (int64_t i = 0; i < n && at + FC_UTF8_MAX_BYTES < TEXT_MAX;) {
            uint32_t code;
            bool is_valid;
            i += fc_utf8_next(text + i, n - i, &code, &is_valid);
            at +=
                (size_t)fc_utf8_put(code < 0x20 || code == 0x7f ? ' ' : code, shown + at);
        }
    }
    char *copy;
    FC_TRY(fc_arena_strdup(&kinds->texts, &copy, shown, (int64_t)at, err));
    kind->text = copy;
    return FC_OK;
}

static fc_status classify(fc_token_kinds *kinds, fc_token_kind *kind, const char *bytes,
                          int64_t n, const char *piece, fc_err *err)
{
    const bool has_space = n > 0 && bytes[0] == ' ';
    const char *text = bytes + has_space;
    const int64_t n_text = n - has_space;
    const shape s = shape_of(text, n_text);
    kind->is_bare_space = has_space && n_text == 0;
    if (is_byte_piece(piece)) {
        kind->classes = FC_CLASS_BIT(BYTE) | FC_CLASS_BIT(FOREIGN);
    } else if (s.n_letters > 0 && s.n_digits == 0) {
        kind->is_word_start = has_space;
        kind->is_inside = !has_space;
        kind->is_capital = is_capital((unsigned char)text[0]);
        kind->classes = classes_of_letters(text, &s, has_space);
    } else if (s.n_digits > 0 && s.n_digits == n_text) {
        kind->classes =
            FC_CLASS_BIT(DIGIT) | FC_CLASS_BIT(NUMERIC) | FC_CLASS_BIT(NUMBER);
    } else if (s.n_other > 0) {
        static const char *const marks[] = {"@,@", "@.@"}, *const bare[] = {",", "."};
        kind->classes = classes_of_signs(text);
        kind->is_number_mark = is_one_of(text, marks, FC_LEN(marks)) ||
                               (!has_space && is_one_of(text, bare, FC_LEN(bare)));
        kind->is_decimal_mark = kind->is_number_mark && strchr(text, '.') != NULL;
    }
    return show(kinds, kind, text, n_text, piece, err);
}

fc_status fc_token_kinds_init(fc_token_kinds *kinds, const fc_tokenizer *tokenizer,
                              fc_err *err)
{
    *kinds = (fc_token_kinds){0};
    if (tokenizer == NULL) return FC_OK;
    fc_strbuf bytes = {0};
    fc_status status;
    const int64_t n = fc_tokenizer_vocab(tokenizer);
    FC_TRY_GOTO(fc_alloc(&kinds->kind, n, sizeof *kinds->kind, "kinds of tokens", err));
    kinds->n = n;
    for (int64_t id = 0; id < n; id++) {
        const char *piece = fc_tokenizer_piece(tokenizer, (int32_t)id);
        fc_strbuf_clear(&bytes);
        if (piece != NULL)
            FC_TRY_GOTO(fc_token_bytes(tokenizer, (int32_t)id, &bytes, err));
        FC_TRY_GOTO(classify(kinds, &kinds->kind[id], fc_strbuf_text(&bytes), bytes.n,
                             piece, err));
    }
done:
    fc_strbuf_free(&bytes);
    if (status != FC_OK) fc_token_kinds_deinit(kinds);
    return status;
}

void fc_token_kinds_deinit(fc_token_kinds *kinds)
{
    fc_free(kinds->kind);
    fc_arena_free(&kinds->texts);
    *kinds = (fc_token_kinds){0};
}

void fc_token_show(const fc_token_kinds *kinds, int32_t token, char *text,
                   int64_t n_bytes)
{
    if (token >= 0 && token < kinds->n)
        snprintf(text, (size_t)n_bytes, "%s", kinds->kind[token].text);
    else
        snprintf(text, (size_t)n_bytes, "token %" PRId32, token);
}
