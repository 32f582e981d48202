/* token_facts.c - looks around a row of the store, within its document.
 *
 *   "... on  15  March  1997 ,"     pieces: on _ 1 5 March _ 1 9 9 7 ,
 *                                   at the third 9: before March, after a comma, tens of a year
 *
 * Numbers are pieces of one digit, so what a digit means is a matter of its place in the run, and
 * its neighbours are those of the whole run. Words may be split: then classes of whole words do
 * not hold of a piece, and the word beside is that beside the whole.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/token_facts_internal.h"

#include <string.h>

enum { REACH_BACK = 32, REACH_AHEAD = 16, WINDOW = REACH_BACK + 1 + REACH_AHEAD };
enum { EARLY_TOKENS = 8 };

const char *const fc_stand_text[FC_N_STANDS] = {
#define TEXT(name, text) text,
    FC_DIGIT_SLOTS(TEXT) FC_WORD_PARTS(TEXT) FC_PLACES(TEXT)
#undef TEXT
};

#define STAND(name) (UINT64_C(1) << FC_##name)

static const fc_token_kind no_kind = {.text = ""};

/* Tokens first .. end-1 of the document, `at` is the row. */
typedef struct view {
    const fc_token_kind *kind[WINDOW];
    int32_t token[WINDOW];
    int n, at;
    bool has_beginning; /* of the document: it reaches back that far */
} view;

static void look(view *v, const fc_store *store, const fc_token_kinds *kinds, int64_t row,
                 int32_t doc)
{
    int64_t first = row, end = row + 1;
    const int64_t n_rows = fc_store_rows(store);
    while (first > 0 && row - first < REACH_BACK &&
           fc_store_row(store, first - 1).doc_id == doc)
        first--;
    while (end < n_rows && end - row <= REACH_AHEAD &&
           fc_store_row(store, end).doc_id == doc)
        end++;
    v->n = (int)(end - first);
    v->at = (int)(row - first);
    v->has_beginning = row - first < REACH_BACK;
    FC_CHECK(v->at >= 0 && v->at < v->n && v->n <= WINDOW);
    for (int i = 0; i < v->n; i++) {
        const int32_t token = fc_store_row(store, first + i).token_id;
        v->token[i] = token;
        v->kind[i] = token >= 0 && token < kinds->n ? &kinds->kind[token] : &no_kind;
    }
}

static bool is_digit(const view *v, int i)
{
    return i >= 0 && i < v->n && (v->kind[i]->classes & FC_CLASS_BIT(DIGIT)) != 0;
}

static bool is_inside(const view *v, int i)
{
    return i >= 0 && i < v->n && v->kind[i]->is_inside;
}

static bool is_word_piece(const view *v, int i)
{
    return i >= 0 && i < v->n && (v->kind[i]->is_inside || v->kind[i]->is_word_start);
}

/* The first and the last piece of the word or number that i is a part of. */
static int begin_of(const view *v, int i)
{
    if (is_digit(v, i))
        while (is_digit(v, i - 1)) i--;
    else
        while (is_inside(v, i) && is_word_piece(v, i - 1)) i--;
    return i;
}

static int end_of(const view *v, int i)
{
    if (is_digit(v, i))
        while (is_digit(v, i + 1)) i++;
    else if (is_word_piece(v, i))
        while (is_inside(v, i + 1)) i++;
    return i;
}

/* i, or one further where it is only the space of a number. -1 outside. */
static int skip_space(const view *v, int i, int step)
{
    if (i >= 0 && i < v->n && v->kind[i]->is_bare_space) i += step;
    return i >= 0 && i < v->n ? i : -1;
}

/* Classes of the word, number or sign from begin to end, as those beside it see it. */
static uint64_t classes_of(const view *v, int begin, int end)
{
    uint64_t classes = v->kind[end]->classes;
    if (is_digit(v, begin)) {
        const int n = end - begin + 1;
        const char *first = v->kind[begin]->text;
        classes = FC_CLASS_BIT(NUMBER);
        if (n <= 2) classes |= FC_CLASS_BIT(SHORT_NUMBER);
        if (n == 4 && (first[0] == '1' || first[0] == '2')) classes |= FC_CLASS_BIT(YEAR);
    } else if (begin != end) {
        const uint64_t shape = FC_CLASS_BIT(CAPITALISED) | FC_CLASS_BIT(LOWER);
        const uint64_t endings = FC_CLASS_BIT(ING) | FC_CLASS_BIT(ED) | FC_CLASS_BIT(LY) |
                                 FC_CLASS_BIT(TION) | FC_CLASS_BIT(PLURAL);
        classes = (classes & endings) | (v->kind[begin]->classes & shape);
        if (v->kind[begin]->is_capital) classes |= FC_CLASS_BIT(CAPITALISED);
    }
    return classes;
}

/* --- digits ----------------------------------------------------------------------------- */

static bool is_month(const view *v, int i)
{
    return i >= 0 && (v->kind[i]->classes & FC_CLASS_BIT(MONTH)) != 0;
}

/* What joins the run to digits before it, or NULL. */
static const fc_token_kind *joint_before(const view *v, int begin)
{
    const int i = skip_space(v, begin - 1, -1);
    if (i < 1 || !v->kind[i]->is_number_mark || !is_digit(v, i - 1)) return NULL;
    return v->kind[i];
}

static uint64_t slot_of(const view *v, int begin, int end)
{
    const int n = end - begin + 1, at = v->at - begin;
    const int before = skip_space(v, begin - 1, -1), after = skip_space(v, end + 1, 1);
    const char first = v->kind[begin]->text[0];
    const fc_token_kind *joint = joint_before(v, begin);
    uint64_t bits = 0;
    if (at == 0) bits |= STAND(SLOT_FIRST);
    if (at == n - 1) bits |= STAND(SLOT_LAST);
    if (joint != NULL)
        return joint->is_decimal_mark ? bits | STAND(SLOT_DECIMAL)
                                      : bits | STAND(SLOT_GROUP);
    if (n == 4 && (first == '1' || first == '2'))
        bits |= STAND(SLOT_YEAR) | STAND(SLOT_YEAR_1) << at;
    if (n <= 2 && (is_month(v, before) || is_month(v, after)))
        bits |= STAND(SLOT_DAY) | STAND(SLOT_DAY_1) << at;
    if (n == 1) bits |= STAND(SLOT_ONE);
    if (n == 2) bits |= STAND(SLOT_TWO_1) << at;
    if (n == 3) bits |= STAND(SLOT_THREE);
    if (n >= 5) bits |= STAND(SLOT_LONG);
    return bits;
}

/* --- words and places ------------------------------------------------------------------- */

static uint64_t part_of(const view *v, int begin, int end)
{
    uint64_t bits = 0;
    if (!is_word_piece(v, v->at)) return 0;
    if (begin == end && !v->kind[begin]->is_inside) bits |= STAND(PART_WHOLE);
    if (v->at == begin && end > begin) bits |= STAND(PART_BEGIN);
    if (v->kind[v->at]->is_inside) bits |= STAND(PART_INSIDE);
    if (v->at == end && end > begin) bits |= STAND(PART_END);
    if (v->kind[begin]->is_capital) bits |= STAND(PART_NAME);
    if (v->kind[begin]->is_capital && v->at > begin) bits |= STAND(PART_NAME_REST);
    return bits;
}

static bool is_in_brackets(const view *v)
{
    for (int i = v->at - 1; i >= 0; i--) {
        if (v->kind[i]->classes & FC_CLASS_BIT(CLOSING)) return false;
        if (v->kind[i]->classes & FC_CLASS_BIT(OPENING)) return true;
    }
    return false;
}

static uint64_t place_of(const view *v, int before, int32_t position)
{
    uint64_t bits = 0;
    if (position == 1) bits |= STAND(PLACE_TEXT);
    if (position <= EARLY_TOKENS) bits |= STAND(PLACE_EARLY);
    if (position == 1 ||
        (before >= 0 && (v->kind[before]->classes & FC_CLASS_BIT(SENTENCE_END)) &&
         v->kind[v->at]->is_word_start))
        bits |= STAND(PLACE_SENTENCE);
    if (v->has_beginning && v->n > 0 && strcmp(v->kind[0]->text, "=") == 0)
        bits |= STAND(PLACE_HEADING);
    if (is_in_brackets(v)) bits |= STAND(PLACE_BRACKETS);
    return bits;
}

static uint64_t own_classes(const view *v, int begin, int end)
{
    const uint64_t of_neighbours =
        FC_CLASS_BIT(NUMBER) | FC_CLASS_BIT(SHORT_NUMBER) | FC_CLASS_BIT(YEAR);
    uint64_t classes = v->kind[v->at]->classes & ~of_neighbours;
    if (end > v->at && is_word_piece(v, v->at)) classes &= ~FC_CLASS_OF_WORDS;
    if (v->kind[v->at]->is_bare_space && is_digit(v, v->at + 1))
        classes |= FC_CLASS_BIT(NUMBER_SPACE) | FC_CLASS_BIT(NUMERIC);
    (void)begin;
    return classes;
}

void fc_facts_of(fc_facts *facts, const fc_store *store, const fc_token_kinds *kinds,
                 int64_t row)
{
    view v;
    const fc_row own = fc_store_row(store, row);
    look(&v, store, kinds, row, own.doc_id);
    const int begin = begin_of(&v, v.at), end = end_of(&v, v.at);
    const int before = skip_space(&v, begin - 1, -1), after = skip_space(&v, end + 1, 1);
    const bool is_number = is_digit(&v, v.at);
    const int beside_before = is_number ? before : skip_space(&v, v.at - 1, -1);
    const int beside_after = is_number ? after : skip_space(&v, v.at + 1, 1);
    *facts = (fc_facts){
        .token = own.token_id, .before = -1, .after = -1, .position = own.position};
    if (beside_before >= 0) facts->before = v.token[beside_before];
    if (beside_after >= 0) facts->after = v.token[beside_after];
    facts->bits[FC_FACT_TOKEN] = own_classes(&v, begin, end);
    if (before >= 0)
        facts->bits[FC_FACT_BEFORE] = classes_of(&v, begin_of(&v, before), before);
    if (after >= 0) facts->bits[FC_FACT_AFTER] = classes_of(&v, after, end_of(&v, after));
    facts->bits[FC_FACT_STAND] =
        part_of(&v, begin, end) | place_of(&v, before, own.position);
    if (is_number) facts->bits[FC_FACT_STAND] |= slot_of(&v, begin, end);
}
