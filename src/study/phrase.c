/* phrase.c - a finding in words.
 *
 *   [noun] [after ..] [before ..] [place]        "months before a number", "`,` after `However`"
 *
 * Each role has its place in the line; where no predicate speaks of the token itself the noun is
 * "tokens". Tokens stand in backquotes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "study/describe_internal.h"

typedef struct line {
    char *text;
    size_t size, n;
} line;

FC_PRINTF(2, 3) static void add(line *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(l->text + l->n, l->size - l->n, format, args);
    va_end(args);
    if (n > 0) l->n = (size_t)fc_min((int64_t)l->n + n, (int64_t)l->size - 1);
}

static void add_pieces(line *l, const fc_predicate *predicate, const char *rest,
                       const fc_token_kinds *kinds)
{
    char text[96];
    const int n = predicate->n_pieces;
    for (int i = 0; i < n; i++) {
        fc_token_show(kinds, predicate->piece[i], text, sizeof text);
        const char *joint = i == 0 ? "" : i == n - 1 ? " or " : ", ";
        const bool is_plain = predicate->piece[i] >= kinds->n;
        add(l, is_plain ? "%s%s%s" : "%s`%s%s`", joint, text, rest);
    }
}

/* What a single piece is called beyond its text. */
static const char *name_of_piece(const char *text)
{
    static const struct {
        const char *text, *name;
    } names[] = {
        {"'s", "the genitive "},       {"=", "the heading mark "},
        {"@-@", "the hyphen "},        {"@,@", "the thousands comma "},
        {"@.@", "the decimal point "}, {"\xe2\x90\xa3", "the space "},
    };
    for (size_t i = 0; i < FC_LEN(names); i++)
        if (strcmp(text, names[i].text) == 0) return names[i].name;
    return "";
}

static void add_word(line *l, const fc_predicate *word, const char *rest,
                     const fc_token_kinds *kinds)
{
    char text[96];
    if (word->n_pieces == 0) {
        add(l, "%s", fc_class_several[word->bit]);
        return;
    }
    if (word->n_pieces == 1) {
        fc_token_show(kinds, word->piece[0], text, sizeof text);
        if (strcmp(text, "\xe2\x90\xa3") == 0) { /* U+2423, alone */
            add(l, "the space");
            return;
        }
        add(l, "%s", name_of_piece(text));
    }
    add_pieces(l, word, rest, kinds);
}

/* What part of a word a token is: before a kind of word, and behind pieces. */
static const struct {
    const char *before, *behind;
} parts[] = {
    [FC_PART_WHOLE] = {"whole ", ", as a word"},
    [FC_PART_BEGIN] = {"first pieces of ", " at the start of a word"},
    [FC_PART_INSIDE] = {"later pieces of ", " within a word"},
    [FC_PART_END] = {"last pieces of ", " at the end of a word"},
    [FC_PART_NAME] = {"", " in capitalised words"},
    [FC_PART_NAME_REST] = {"later pieces of capitalised words, ",
                           " within a capitalised word"},
};

static bool begins_with(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

/* "the tens digit of a year", "digits of a year"; behind a digit: "`3` as the tens digit of a year",
 * "`3` in a year", "`3` after a decimal point". */
static void add_slot(line *l, int slot, bool has_word)
{
    const char *text = fc_stand_text[slot];
    const bool is_several = slot == FC_SLOT_ONE || begins_with(text, "digits ");
    if (!has_word)
        add(l, "%s%s", is_several ? "" : "the ", text);
    else if (begins_with(text, "digits of "))
        add(l, " in %s", text + strlen("digits of "));
    else if (begins_with(text, "digits "))
        add(l, " %s", text + strlen("digits "));
    else
        add(l, " as %s%s", is_several ? "" : "the ",
            is_several ? "a number of one digit" : text);
}

static bool is_class(const fc_predicate *predicate, fc_token_class class)
{
    return predicate != NULL && predicate->n_pieces == 0 &&
           predicate->group != FC_FACT_STAND && predicate->bit == (int)class;
}

/* word: what the neighbour stands beside, or NULL. */
static void add_neighbour(line *l, const char *where, const fc_predicate *predicate,
                          const fc_predicate *word, const fc_token_kinds *kinds)
{
    add(l, " %s ", where);
    if (predicate->n_pieces > 0)
        add_pieces(l, predicate, "", kinds);
    else if (is_class(word, FC_CLASS_MONTH) && is_class(predicate, FC_CLASS_SHORT_NUMBER))
        add(l, "a day number");
    else
        add(l, "%s", fc_class_one[predicate->bit]);
}

/* "last pieces of words in -ed", "`l` at the start of a word". part may be NULL. */
static void add_part_of_word(line *l, const fc_predicate *word, const fc_predicate *part,
                             bool is_word_split, const fc_token_kinds *kinds)
{
    const bool is_kind = word->n_pieces == 0;
    if (part != NULL && is_kind) add(l, "%s", parts[part->bit].before);
    add_word(l, word, is_word_split ? "\xe2\x80\xa6" : "", kinds);
    if (part != NULL && (!is_kind || part->bit == FC_PART_NAME))
        add(l, "%s", parts[part->bit].behind);
}

void fc_finding_phrase(const fc_finding *finding, const fc_token_kinds *kinds, char *text,
                       int64_t n_bytes)
{
    enum { N_ROLES = FC_ROLE_PLACE + 1 };
    const fc_predicate *of[N_ROLES] = {NULL};
    line l = {text, (size_t)n_bytes, 0};
    text[0] = '\0';
    for (int i = 0; i < finding->n; i++)
        of[fc_predicate_role(&finding->predicate[i])] = &finding->predicate[i];
    const fc_predicate *word = of[FC_ROLE_WORD], *slot = of[FC_ROLE_SLOT],
                       *part = of[FC_ROLE_PART];
    if (of[FC_ROLE_AFTER] != NULL && is_class(word, FC_CLASS_NUMBER_SPACE))
        add(&l, "the space");
    else if (word != NULL)
        add_part_of_word(&l, word, part, finding->is_word_split, kinds);
    else if (part != NULL)
        add(&l, "%s", fc_stand_text[part->bit]);
    if (slot != NULL) add_slot(&l, slot->bit, word != NULL);
    if (l.n == 0) add(&l, "tokens");
    if (of[FC_ROLE_BEFORE] != NULL)
        add_neighbour(&l, "after", of[FC_ROLE_BEFORE], word, kinds);
    if (of[FC_ROLE_AFTER] != NULL)
        add_neighbour(&l, "before", of[FC_ROLE_AFTER], word, kinds);
    if (of[FC_ROLE_PLACE] != NULL) add(&l, " %s", fc_stand_text[of[FC_ROLE_PLACE]->bit]);
}
