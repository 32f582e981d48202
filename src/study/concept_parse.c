/* concept_parse.c - concepts.yaml to conditions.
 *
 * The file has the shape of a recipe, sections of "key: value" or "key: [value, ...]", so recipe_yaml.h
 * reads it and names the line of every value. A key is one condition, its values are alternatives:
 * each key is looked up in one table, each kind of condition takes its values by one function.
 *
 * Expressions are POSIX extended ones (regcomp): the C library has them, and they know no more of
 * the text than its bytes, the same in every language setting, since Facet never sets one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "formats/recipe_yaml.h"
#include "study/concept_internal.h"
#include "study/concept_texts.h"

enum { NAME_MAX_BYTES = 200, PATTERN_MAX_BYTES = 500 };

typedef struct parser {
    fc_concepts *c;
    const char *file;
    fc_strbuf rule; /* of the running concept in the words of its conditions */
    bool has_rule;
} parser;

/* --- names ------------------------------------------------------------------------------ */

static const char *const class_name[] = {
#define NAME(name, several, one) #name,
    FC_TOKEN_CLASSES(NAME)
#undef NAME
};

static const char *const stand_name[] = {
#define NAME(name, text) #name,
    FC_DIGIT_SLOTS(NAME) FC_WORD_PARTS(NAME) FC_PLACES(NAME)
#undef NAME
};

static void to_upper(char *to, size_t size, const char *from)
{
    size_t n = 0;
    for (; from[n] != '\0' && n + 1 < size; n++)
        to[n] = from[n] == '-' ? '_' : (char)toupper((unsigned char)from[n]);
    to[n] = '\0';
}

static void to_lower(char *to, size_t size, const char *from)
{
    size_t n = 0;
    for (; from[n] != '\0' && n + 1 < size; n++)
        to[n] = from[n] == '_' ? '-' : (char)tolower((unsigned char)from[n]);
    to[n] = '\0';
}

/* Adds the bit of a name of the table to *bits. */
static fc_status take_bit(uint64_t *bits, const char *const *names, int64_t n,
                          const char *value, const char *where, fc_err *err)
{
    char name[64], near_name[64];
    to_upper(name, sizeof name, value);
    for (int64_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0) {
            *bits |= UINT64_C(1) << i;
            return FC_OK;
        }
    const char *nearest = fc_nearest_name(name, names, n);
    to_lower(near_name, sizeof near_name, nearest != NULL ? nearest : names[0]);
    return fc_fail(err, FC_FORMAT, "%s: unknown kind '%.64s', %s '%s'", where, value,
                   nearest != NULL ? "did you mean" : "expected a name such as",
                   near_name);
}

/* --- values ----------------------------------------------------------------------------- */

static fc_status take_piece(parser *p, fc_condition *c, const char *value,
                            const char *where, fc_err *err)
{
    char *copy;
    if (value[0] == '\0')
        return fc_fail(err, FC_FORMAT, "%s: an empty text, expected that of a token",
                       where);
    FC_TRY(fc_arena_strdup(&p->c->texts, &copy, value, (int64_t)strlen(value), err));
    FC_TRY(fc_grow(&c->text, &c->capacity, c->n + 1, sizeof *c->text, "pieces", err));
    c->text[c->n++] = copy;
    return FC_OK;
}

static fc_status take_pattern(parser *p, fc_condition *c, const char *value,
                              const char *where, fc_err *err)
{
    (void)p;
    if (value[0] == '\0' || strlen(value) > PATTERN_MAX_BYTES)
        return fc_fail(err, FC_FORMAT, "%s: an expression of %zu bytes, expected 1 .. %d",
                       where, strlen(value), PATTERN_MAX_BYTES);
    FC_TRY(
        fc_grow(&c->regex, &c->capacity, c->n + 1, sizeof *c->regex, "expressions", err));
    const int fault = regcomp(&c->regex[c->n], value, REG_EXTENDED | REG_NOSUB);
    if (fault != 0) {
        char why[128];
        (void)regerror(fault, &c->regex[c->n], why, sizeof why);
        return fc_fail(err, fault == REG_ESPACE ? FC_NOMEM : FC_FORMAT,
                       "%s: '%.64s' is no extended regular expression: %s", where, value,
                       why);
    }
    c->n++;
    return FC_OK;
}

/* "2", "1..3" or "4.."; most: the largest number that may be given. */
static bool read_range(const char *text, int64_t least, int64_t most, fc_range *range)
{
    char *end;
    if (!isdigit((unsigned char)text[0])) return false;
    range->min = range->max = strtoll(text, &end, 10);
    if (strncmp(end, "..", 2) == 0) {
        const char *from = end + 2;
        range->max = INT64_MAX;
        if (*from == '\0') return range->min >= least && range->min <= most;
        if (!isdigit((unsigned char)*from)) return false;
        range->max = strtoll(from, &end, 10);
    }
    return *end == '\0' && range->min >= least && range->min <= range->max &&
           range->max <= most;
}

static fc_status take_range(parser *p, fc_condition *c, const char *value,
                            const char *where, fc_err *err)
{
    (void)p;
    fc_range range;
    const bool is_digits =
        c->kind == FC_IF_DIGITS_BEFORE || c->kind == FC_IF_DIGITS_AFTER;
    const int64_t most = is_digits ? FC_CONCEPT_DIGITS - 1 : FC_CONCEPT_DOCUMENT;
    if (!read_range(value, is_digits ? 0 : 1, most, &range))
        return fc_fail(err, FC_FORMAT,
                       "%s: '%.64s', expected a number or a range such as 1..3 or 4.. "
                       "within %d .. %" PRId64,
                       where, value, is_digits ? 0 : 1, most);
    FC_TRY(fc_grow(&c->range, &c->capacity, c->n + 1, sizeof *c->range, "ranges", err));
    c->range[c->n++] = range;
    return FC_OK;
}

/* Kinds that only a word as a whole can be are not asked of a piece. */
static fc_status take_class(parser *p, fc_condition *c, const char *value,
                            const char *where, fc_err *err)
{
    (void)p;
    const uint64_t of_words =
        FC_CLASS_BIT(YEAR) | FC_CLASS_BIT(SHORT_NUMBER) | FC_CLASS_BIT(NUMBER_SPACE);
    uint64_t bits = 0;
    FC_TRY(take_bit(&bits, class_name, FC_N_CLASSES, value, where, err));
    if (bits & of_words)
        return fc_fail(err, FC_FORMAT,
                       "%s: no piece alone is '%s'; ask for it by is, before or after",
                       where, value);
    c->bits |= bits;
    return FC_OK;
}

static fc_status take_fact(parser *p, fc_condition *c, const char *value,
                           const char *where, fc_err *err)
{
    (void)p;
    if (c->group == FC_FACT_STAND)
        return take_bit(&c->bits, stand_name, FC_N_STANDS, value, where, err);
    return take_bit(&c->bits, class_name, FC_N_CLASSES, value, where, err);
}

/* --- keys ------------------------------------------------------------------------------- */

typedef struct key_row {
    const char *name;
    fc_condition_kind kind;
    fc_fact_group group;
    bool has_offset;
    fc_status (*take)(parser *p, fc_condition *c, const char *value, const char *where,
                      fc_err *err);
} key_row;

static const key_row keys[] = {
    {"piece", FC_IF_PIECE, FC_FACT_TOKEN, true, take_piece},
    {"class", FC_IF_CLASS, FC_FACT_TOKEN, true, take_class},
    {"text", FC_IF_TEXT, FC_FACT_TOKEN, true, take_pattern},
    {"text-before", FC_IF_TEXT_BEFORE, FC_FACT_TOKEN, false, take_pattern},
    {"text-after", FC_IF_TEXT_AFTER, FC_FACT_TOKEN, false, take_pattern},
    {"context", FC_IF_CONTEXT, FC_FACT_TOKEN, false, take_pattern},
    {"is", FC_IF_FACT, FC_FACT_TOKEN, false, take_fact},
    {"before", FC_IF_FACT, FC_FACT_BEFORE, false, take_fact},
    {"after", FC_IF_FACT, FC_FACT_AFTER, false, take_fact},
    {"stand", FC_IF_FACT, FC_FACT_STAND, false, take_fact},
    {"digits-before", FC_IF_DIGITS_BEFORE, FC_FACT_TOKEN, false, take_range},
    {"digits-after", FC_IF_DIGITS_AFTER, FC_FACT_TOKEN, false, take_range},
    {"position", FC_IF_POSITION, FC_FACT_TOKEN, false, take_range},
    {"document-position", FC_IF_DOCUMENT_POSITION, FC_FACT_TOKEN, false, take_range},
};

/* "-1", "+2" */
static bool read_offset(const char *text, int *offset)
{
    char *end;
    if ((text[0] != '-' && text[0] != '+') || !isdigit((unsigned char)text[1]))
        return false;
    const long n = strtol(text, &end, 10);
    *offset = (int)n;
    return *end == '\0' && n != 0 && n >= -FC_CONCEPT_REACH && n <= FC_CONCEPT_REACH;
}

/* The row that a key names, and its offset; NULL when there is none. */
static const key_row *find_key(const char *name, int *offset)
{
    *offset = 0;
    for (size_t i = 0; i < FC_LEN(keys); i++)
        if (strcmp(keys[i].name, name) == 0) return &keys[i];
    for (size_t i = 0; i < FC_LEN(keys); i++) {
        const size_t n = strlen(keys[i].name);
        if (keys[i].has_offset && strncmp(keys[i].name, name, n) == 0 &&
            read_offset(name + n, offset))
            return &keys[i];
    }
    return NULL;
}

static fc_status unknown_key(const char *key, const char *where, fc_err *err)
{
    const char *names[FC_LEN(keys)];
    for (size_t i = 0; i < FC_LEN(keys); i++) names[i] = keys[i].name;
    const char *nearest = fc_nearest_name(key, names, FC_LEN(keys));
    return fc_fail(err, FC_FORMAT, "%s: no such condition, %s %s%s", where,
                   nearest != NULL ? "did you mean"
                                   : "expected rule, piece, class, text, is, stand,",
                   nearest != NULL ? nearest : "..",
                   nearest != NULL
                       ? "? piece, class and text may look up to 8 tokens back or ahead "
                         "(piece-1, class+2)"
                       : "");
}

/* --- concepts --------------------------------------------------------------------------- */

/* What the conditions say, for a concept without a rule in words. */
static fc_status say(parser *p, const char *key, const char *value, fc_err *err)
{
    const fc_concept *concept = &p->c->concept[p->c->n - 1];
    const fc_condition *last = &p->c->condition[p->c->n_conditions - 1];
    const bool is_more =
        last->n + (last->bits != 0) > 1 || (last->bits & (last->bits - 1)) != 0;
    const char *between = is_more ? ", " : concept->n > 1 ? "; " : "";
    FC_TRY(fc_strbuf_addf(&p->rule, err, "%s%s%s", between, is_more ? "" : key,
                          is_more ? "" : " "));
    return fc_strbuf_addf(&p->rule, err, "'%s'", value);
}

static void sort_conditions(fc_concepts *c, const fc_concept *concept)
{
    fc_condition *list = c->condition + concept->first;
    for (int64_t i = 1; i < concept->n; i++) {
        const fc_condition moved = list[i];
        int64_t at = i;
        for (; at > 0 && list[at - 1].kind > moved.kind; at--) list[at] = list[at - 1];
        list[at] = moved;
    }
}

static fc_status end_concept(parser *p, fc_err *err)
{
    if (p->c->n == 0) return FC_OK;
    fc_concept *concept = &p->c->concept[p->c->n - 1];
    if (concept->n == 0)
        return fc_fail(err, FC_FORMAT,
                       "%s: concept '%s' has no condition, expected piece, class, text, "
                       "is, stand, ..",
                       p->file, concept->name);
    sort_conditions(p->c, concept);
    if (!p->has_rule) {
        char *copy;
        FC_TRY(fc_arena_strdup(&p->c->texts, &copy, fc_strbuf_text(&p->rule), p->rule.n,
                               err));
        concept->rule = copy;
    }
    return FC_OK;
}

static fc_status begin_concept(parser *p, const char *name, const char *where,
                               fc_err *err)
{
    char *copy;
    FC_TRY(end_concept(p, err));
    if (p->c->n == FC_MOST_CONCEPTS)
        return fc_fail(err, FC_FORMAT, "%s: '%.64s' is one concept more than %d", where,
                       name, FC_MOST_CONCEPTS);
    if (strlen(name) > NAME_MAX_BYTES)
        return fc_fail(err, FC_FORMAT,
                       "%s: the name of the concept has more than %d bytes", where,
                       NAME_MAX_BYTES);
    FC_TRY(fc_arena_strdup(&p->c->texts, &copy, name, (int64_t)strlen(name), err));
    p->c->concept[p->c->n++] =
        (fc_concept){.name = copy, .rule = "", .first = p->c->n_conditions};
    fc_strbuf_clear(&p->rule);
    p->has_rule = false;
    return FC_OK;
}

static fc_status begin_condition(parser *p, const key_row *row, const char *key,
                                 int offset, fc_err *err)
{
    fc_concepts *c = p->c;
    char *copy;
    FC_TRY(fc_arena_strdup(&c->texts, &copy, key, (int64_t)strlen(key), err));
    FC_TRY(fc_grow(&c->condition, &c->capacity, c->n_conditions + 1, sizeof *c->condition,
                   "conditions", err));
    c->condition[c->n_conditions++] =
        (fc_condition){.kind = row->kind,
                       .is_negated = strncmp(key, "not-", 4) == 0,
                       .concept = (int)c->n - 1,
                       .offset = offset,
                       .group = row->group,
                       .key = copy};
    c->concept[c->n - 1].n++;
    return FC_OK;
}

static fc_status take_top(parser *p, const char *key, const char *value,
                          const char *where, fc_err *err)
{
    static const fc_field field = {
        "across-documents", FC_FIELD_BOOL, 0, 0, 0, NULL, NULL, NULL};
    char name[64];
    to_lower(name, sizeof name, key);
    if (strcmp(name, field.name) != 0)
        return fc_fail(err, FC_FORMAT,
                       "%s: expected across-documents or a section for each concept",
                       where);
    return fc_field_set(&field, &p->c->is_across, value, where, err);
}

static fc_status take_rule(parser *p, const char *value, fc_err *err)
{
    char *copy;
    FC_TRY(fc_arena_strdup(&p->c->texts, &copy, value, (int64_t)strlen(value), err));
    p->c->concept[p->c->n - 1].rule = copy;
    p->has_rule = true;
    return FC_OK;
}

/* One value of the file. */
static fc_status take(void *ctx, const char *section, const char *key, const char *value,
                      const char *where, fc_err *err)
{
    parser *p = ctx;
    fc_concepts *c = p->c;
    char name[64];
    int offset;
    if (section[0] == '\0') return take_top(p, key, value, where, err);
    if (c->n == 0 || strcmp(c->concept[c->n - 1].name, section) != 0)
        FC_TRY(begin_concept(p, section, where, err));
    to_lower(name, sizeof name, key);
    if (strcmp(name, "rule") == 0) return take_rule(p, value, err);
    const key_row *row =
        find_key(strncmp(name, "not-", 4) == 0 ? name + 4 : name, &offset);
    if (row == NULL) return unknown_key(name, where, err);
    const fc_concept *concept = &c->concept[c->n - 1];
    if (concept->n == 0 || strcmp(c->condition[c->n_conditions - 1].key, name) != 0)
        FC_TRY(begin_condition(p, row, name, offset, err));
    FC_TRY(row->take(p, &c->condition[c->n_conditions - 1], value, where, err));
    return say(p, name, value, err);
}

/* --- files ------------------------------------------------------------------------------ */

fc_status fc_concepts_parse(fc_concepts **concepts, const char *text, size_t n_bytes,
                            const char *name, fc_err *err)
{
    parser p = {.file = name};
    fc_status status;
    *concepts = NULL;
    FC_TRY_GOTO(fc_alloc(&p.c, 1, sizeof *p.c, "concepts", err));
    FC_TRY_GOTO(fc_recipe_parse(text, n_bytes, name, take, &p, err));
    FC_TRY_GOTO(end_concept(&p, err));
    if (p.c->n == 0)
        status = fc_fail(err, FC_FORMAT, "%s: there is no concept in it", name);
done:
    fc_strbuf_free(&p.rule);
    if (status != FC_OK) {
        fc_concepts_free(p.c);
        return status;
    }
    *concepts = p.c;
    return FC_OK;
}

fc_status fc_concepts_load(fc_concepts **concepts, const char *path, fc_err *err)
{
    fc_map map = {0};
    *concepts = NULL;
    FC_TRY(fc_map_open(&map, path, err));
    const fc_status status =
        fc_concepts_parse(concepts, (const char *)map.data, map.n_bytes, path, err);
    fc_map_close(&map);
    return status;
}

fc_status fc_concepts_built_in(fc_concepts **concepts, fc_err *err)
{
    const char *text = fc_concept_text("english");
    FC_CHECK(text != NULL);
    return fc_concepts_parse(concepts, text, strlen(text), "the built-in concepts", err);
}

void fc_concepts_free(fc_concepts *concepts)
{
    if (concepts == NULL) return;
    for (int64_t i = 0; i < concepts->n_conditions; i++) {
        fc_condition *c = &concepts->condition[i];
        for (int64_t k = 0; c->regex != NULL && k < c->n; k++) regfree(&c->regex[k]);
        fc_free(c->regex);
        fc_free(c->text);
        fc_free(c->range);
    }
    fc_free(concepts->condition);
    fc_arena_free(&concepts->texts);
    fc_free(concepts);
}

int64_t fc_concepts_n(const fc_concepts *concepts)
{
    return concepts->n;
}

const char *fc_concepts_name(const fc_concepts *concepts, int64_t i)
{
    return concepts->concept[i].name;
}

const char *fc_concepts_rule(const fc_concepts *concepts, int64_t i)
{
    return concepts->concept[i].rule;
}
