/* concept_match.c - which concepts hold of a row.
 *
 *   fits[o][id]   set of concepts whose conditions on the token at offset o hold of `id`
 *   candidates  = AND over o of fits[o][token at row + o]
 *
 * Conditions on single tokens are answered for the whole vocabulary beforehand, so most rows cost a
 * few look-ups, and only candidates meet the conditions that look around. Their facts (those of
 * descriptions) and texts are made once for a row, when first asked for.
 *
 * The C library locks an expression while it is used, so two threads may share it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "study/concept_internal.h"

enum { TEXT_BYTES = 1024, TOKEN_BYTES = 256 };

/* --- the vocabulary --------------------------------------------------------------------- */

static fc_status copy_bytes(fc_concept_matcher *m, const fc_tokenizer *tokenizer,
                            fc_err *err)
{
    fc_strbuf all = {0};
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&m->begin, m->n_vocab + 1, sizeof *m->begin, "tokens", err));
    for (int64_t id = 0; id < m->n_vocab; id++) {
        if (fc_tokenizer_piece(tokenizer, (int32_t)id) != NULL)
            FC_TRY_GOTO(fc_token_bytes(tokenizer, (int32_t)id, &all, err));
        m->begin[id + 1] = all.n;
    }
    FC_TRY_GOTO(fc_alloc(&m->bytes, all.n, 1, "texts of tokens", err));
    memcpy(m->bytes, fc_strbuf_text(&all), (size_t)all.n);
    for (int64_t i = 0; i < all.n; i++) /* where expressions would end */
        if (m->bytes[i] == '\0') m->bytes[i] = ' ';
done:
    fc_strbuf_free(&all);
    return status;
}

static bool matches(const fc_condition *c, const char *text)
{
    for (int64_t k = 0; k < c->n; k++)
        if (regexec(&c->regex[k], text, 0, NULL, 0) == 0) return true;
    return false;
}

static bool is_piece(const fc_condition *c, const char *bytes, int64_t n)
{
    for (int64_t k = 0; k < c->n; k++)
        if (strncmp(c->text[k], bytes, (size_t)n) == 0 && c->text[k][n] == '\0')
            return true;
    return false;
}

static bool holds_of_token(const fc_concept_matcher *m, const fc_condition *c, int64_t id)
{
    const char *bytes = m->bytes + m->begin[id];
    const int64_t n = m->begin[id + 1] - m->begin[id];
    if (c->kind == FC_IF_CLASS) return (m->kinds->kind[id].classes & c->bits) != 0;
    if (c->kind == FC_IF_PIECE) return n > 0 && is_piece(c, bytes, n);
    char text[TOKEN_BYTES];
    const size_t n_text = (size_t)fc_min(n, TOKEN_BYTES - 1);
    memcpy(text, bytes, n_text);
    text[n_text] = '\0';
    return n > 0 && matches(c, text);
}

/* --- tables ----------------------------------------------------------------------------- */

static bool is_of_token(const fc_condition *c)
{
    return c->kind <= FC_IF_TEXT;
}

static int offset_index(fc_concept_matcher *m, int offset)
{
    for (int i = 0; i < m->n_offsets; i++)
        if (m->offset[i] == offset) return i;
    m->offset[m->n_offsets] = offset;
    return m->n_offsets++;
}

static void fill_table(fc_concept_matcher *m, const fc_condition *c)
{
    uint64_t *fits = m->fits + offset_index(m, c->offset) * (m->n_vocab + 1);
    const uint64_t bit = UINT64_C(1) << c->concept;
    for (int64_t id = 0; id < m->n_vocab; id++)
        if (holds_of_token(m, c, id) == c->is_negated) fits[id] &= ~bit;
    if (!c->is_negated) fits[m->n_vocab] &= ~bit;
}

fc_status fc_concept_matcher_init(fc_concept_matcher *matcher,
                                  const fc_concepts *concepts, const fc_store *store,
                                  const fc_tokenizer *tokenizer,
                                  const fc_token_kinds *kinds, fc_err *err)
{
    fc_concept_matcher m = {.concepts = concepts,
                            .store = store,
                            .kinds = kinds,
                            .n_vocab = fc_tokenizer_vocab(tokenizer)};
    fc_status status;
    (void)offset_index(&m, 0);
    for (int64_t i = 0; i < concepts->n_conditions; i++) {
        const fc_condition *c = &concepts->condition[i];
        if (is_of_token(c))
            (void)offset_index(&m, c->offset);
        else
        m.is_more |= UINT64_C(1) << c->concept;
    }
    const int64_t n = m.n_offsets * (m.n_vocab + 1);
    FC_TRY_GOTO(copy_bytes(&m, tokenizer, err));
    FC_TRY_GOTO(fc_alloc(&m.fits, n, sizeof *m.fits, "concepts of tokens", err));
    memset(m.fits, 0xff, (size_t)n * sizeof *m.fits);
    for (int64_t i = 0; i < concepts->n_conditions; i++)
        if (is_of_token(&concepts->condition[i])) fill_table(&m, &concepts->condition[i]);
done:
    if (status != FC_OK) fc_concept_matcher_deinit(&m);
    *matcher = m;
    return status;
}

void fc_concept_matcher_deinit(fc_concept_matcher *matcher)
{
    fc_free(matcher->fits);
    fc_free(matcher->bytes);
    fc_free(matcher->begin);
    *matcher = (fc_concept_matcher){0};
}

/* --- one row ---------------------------------------------------------------------------- */

typedef struct view {
    const fc_concept_matcher *m;
    int64_t row;
    fc_row own;
    bool has_facts, has_before, has_after, has_context;
    fc_facts facts;
    char before[TEXT_BYTES], after[TEXT_BYTES], context[3 * TEXT_BYTES];
} view;

/* Id of the token at an offset; n_vocab when none is there. */
static int64_t token_at(const view *v, int64_t offset)
{
    const int64_t n_vocab = v->m->n_vocab, row = v->row + offset;
    if (offset == 0) return v->own.token_id;
    if (row < 0 || row >= fc_store_rows(v->m->store)) return n_vocab;
    const fc_row there = fc_store_row(v->m->store, row);
    if (there.token_id < 0 || there.token_id >= n_vocab) return n_vocab;
    const bool is_beyond = there.doc_id != v->own.doc_id && !v->m->concepts->is_across;
    return is_beyond ? n_vocab : there.token_id;
}

static int64_t count_digits(const view *v, int step)
{
    int64_t n = 0;
    for (; n < FC_CONCEPT_DIGITS; n++) {
        const int64_t id = token_at(v, step * (n + 1));
        if (id == v->m->n_vocab || !(v->m->kinds->kind[id].classes & FC_CLASS_BIT(DIGIT)))
            break;
    }
    return n;
}

static int64_t document_position(const view *v)
{
    int64_t n = 1;
    while (n <= FC_CONCEPT_DOCUMENT && n <= v->row &&
           fc_store_row(v->m->store, v->row - n).doc_id == v->own.doc_id)
        n++;
    return n;
}

/* The text of the tokens from one offset to another, what is too long being cut at its far end. */
static void text_of(const view *v, int64_t first, int64_t last, char text[TEXT_BYTES])
{
    const bool is_before = last < 0;
    int64_t n = 0;
    for (int64_t k = first; k <= last; k++) {
        const int64_t id = token_at(v, k);
        if (id == v->m->n_vocab && is_before) n = 0;
        if (id == v->m->n_vocab && !is_before) break;
        if (id == v->m->n_vocab) continue;
        const char *bytes = v->m->bytes + v->m->begin[id];
        int64_t n_bytes = fc_min(v->m->begin[id + 1] - v->m->begin[id], TOKEN_BYTES);
        if (n + n_bytes >= TEXT_BYTES && !is_before) break;
        if (n + n_bytes >= TEXT_BYTES) { /* the far end goes */
            const int64_t kept = TEXT_BYTES / 2;
            memmove(text, text + n - kept, (size_t)kept);
            n = kept;
        }
        memcpy(text + n, bytes, (size_t)n_bytes);
        n += n_bytes;
    }
    text[n] = '\0';
}

static const char *text_before(view *v)
{
    if (!v->has_before) text_of(v, -FC_CONCEPT_TEXT_TOKENS, -1, v->before);
    v->has_before = true;
    return v->before;
}

static const char *text_after(view *v)
{
    if (!v->has_after) text_of(v, 1, FC_CONCEPT_TEXT_TOKENS, v->after);
    v->has_after = true;
    return v->after;
}

static const char *context(view *v)
{
    if (!v->has_context) {
        const char *before = text_before(v), *after = text_after(v);
        const char *own = v->m->bytes + v->m->begin[v->own.token_id];
        const int64_t n = v->m->begin[v->own.token_id + 1] - v->m->begin[v->own.token_id];
        snprintf(v->context, sizeof v->context, "%s\xc2\xab%.*s\xc2\xbb%s", before,
                 (int)fc_min(n, TOKEN_BYTES), own, after);
    }
    v->has_context = true;
    return v->context;
}

static const fc_facts *facts_of(view *v)
{
    if (!v->has_facts) fc_facts_of(&v->facts, v->m->store, v->m->kinds, v->row);
    v->has_facts = true;
    return &v->facts;
}

static bool is_within(const fc_condition *c, int64_t value)
{
    for (int64_t k = 0; k < c->n; k++)
        if (value >= c->range[k].min && value <= c->range[k].max) return true;
    return false;
}

static bool holds(view *v, const fc_condition *c)
{
    switch (c->kind) {
    case FC_IF_DIGITS_BEFORE: return is_within(c, count_digits(v, -1));
    case FC_IF_DIGITS_AFTER: return is_within(c, count_digits(v, 1));
    case FC_IF_POSITION: return is_within(c, v->own.position);
    case FC_IF_DOCUMENT_POSITION: return is_within(c, document_position(v));
    case FC_IF_FACT: return (facts_of(v)->bits[c->group] & c->bits) != 0;
    case FC_IF_TEXT_BEFORE: return matches(c, text_before(v));
    case FC_IF_TEXT_AFTER: return matches(c, text_after(v));
    case FC_IF_CONTEXT: return matches(c, context(v));
    case FC_IF_PIECE:
    case FC_IF_CLASS:
    case FC_IF_TEXT:
    case FC_N_CONDITION_KINDS: break;
    }
    return !c->is_negated; /* answered by the tables */
}

static bool holds_all(view *v, const fc_concept *concept)
{
    const fc_condition *c = v->m->concepts->condition + concept->first;
    for (int64_t i = 0; i < concept->n; i++)
        if (holds(v, &c[i]) == c[i].is_negated) return false;
    return true;
}

uint64_t fc_concept_match(const fc_concept_matcher *matcher, int64_t row)
{
    const fc_concept_matcher *m = matcher;
    const int64_t n_concepts = m->concepts->n;
    uint64_t set = n_concepts == 64 ? UINT64_MAX : (UINT64_C(1) << n_concepts) - 1;
    view v; /* not zeroed: 5 KB of text */
    v.m = m;
    v.row = row;
    v.own = fc_store_row(m->store, row);
    v.has_facts = v.has_before = v.has_after = v.has_context = false;
    if (v.own.token_id < 0 || v.own.token_id >= m->n_vocab) return 0;
    for (int i = 0; i < m->n_offsets && set != 0; i++)
        set &= m->fits[i * (m->n_vocab + 1) + token_at(&v, m->offset[i])];
    for (uint64_t rest = set & m->is_more; rest != 0; rest &= rest - 1) {
        const int i = __builtin_ctzll(rest);
        if (!holds_all(&v, &m->concepts->concept[i])) set &= ~(UINT64_C(1) << i);
    }
    return set;
}
