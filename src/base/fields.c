/* fields.c - text to the members of a config struct and back, driven by a table of rows.
 *
 * Numbers are read strictly, digit by digit: a library that silently turns "1e3x" into 1000, or
 * reads a comma by locale, would change an experiment without a word. Every refusal names the
 * range, so that the next try is right.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/fields.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RANGE_TEXT = 96, NUMBER_TEXT = 32 };

/* --- numbers ---------------------------------------------------------------------------- */

/* A decimal number in its parts: digits * 10^exponent. */
typedef struct decimal {
    bool is_negative, is_exact; /* digits did not fit into 63 bits: not exact */
    int64_t digits;
    int64_t exponent;
    const char *end; /* first character that does not belong to it */
} decimal;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void add_digit(decimal *d, char c)
{
    const int64_t digit = c - '0';
    if (d->digits > (INT64_MAX - digit) / 10)
        d->is_exact = false;
    else
        d->digits = d->digits * 10 + digit;
}

static bool read_exponent(decimal *d, const char *text)
{
    const bool is_negative = *text == '-';
    int64_t value = 0;
    if (*text == '-' || *text == '+') text++;
    if (!is_digit(*text)) return false;
    for (; is_digit(*text); text++) value = fc_min(value * 10 + (*text - '0'), 1000000);
    d->exponent += is_negative ? -value : value;
    d->end = text;
    return true;
}

/* [+-] digits [. digits] [e [+-] digits], at least one digit before the exponent. */
static bool read_decimal(decimal *d, const char *text)
{
    *d = (decimal){.is_negative = *text == '-', .is_exact = true};
    if (*text == '-' || *text == '+') text++;
    int64_t n_digits = 0;
    for (; is_digit(*text); text++, n_digits++) add_digit(d, *text);
    if (*text == '.')
        for (text++; is_digit(*text); text++, n_digits++) {
            add_digit(d, *text);
            d->exponent--;
        }
    d->end = text;
    if (n_digits == 0) return false;
    return *text == 'e' || *text == 'E' ? read_exponent(d, text + 1) : true;
}

/* digits * 10^exponent as a whole number; false when it is none or does not fit. */
static bool whole_number(decimal d, int64_t *value)
{
    if (!d.is_exact) return false;
    for (; d.exponent < 0 && d.digits % 10 == 0 && d.digits != 0; d.exponent++)
        d.digits /= 10;
    if (d.exponent < 0 && d.digits != 0) return false;
    for (; d.exponent > 0 && d.digits != 0; d.exponent--) {
        if (d.digits > INT64_MAX / 10) return false;
        d.digits *= 10;
    }
    *value = d.is_negative ? -d.digits : d.digits;
    return true;
}

/* A whole number with an optional k, M or G (powers of 1000). */
static bool read_count(const char *text, int64_t *value)
{
    static const char suffixes[] = "kMG";
    decimal d;
    if (!read_decimal(&d, text)) return false;
    if (*d.end != '\0') {
        const char *suffix = strchr(suffixes, *d.end);
        if (suffix == NULL || d.end[1] != '\0') return false;
        d.exponent += 3 * (suffix - suffixes + 1);
    }
    return whole_number(d, value);
}

static bool read_number(const char *text, double *value)
{
    decimal d;
    char *end;
    if (!read_decimal(&d, text) || *d.end != '\0') return false;
    *value = strtod(text, &end);
    return *end == '\0' && isfinite(*value);
}

/* The shortest of 15 to 17 digits that reads back as the same double. */
static void print_number(char out[NUMBER_TEXT], double value)
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, NUMBER_TEXT, "%.*g", digits, value);
        if (strtod(out, NULL) == value) return;
    }
}

/* "from 0 to 10", "of at least 1", "of at most 5" or "": ends beyond 2^53 are no limits. */
static void print_range(char out[RANGE_TEXT], const fc_field *field)
{
    const double far = 0x1p53;
    char low[NUMBER_TEXT], high[NUMBER_TEXT];
    print_number(low, field->min);
    print_number(high, field->max);
    if (field->min > -far && field->max < far)
        snprintf(out, RANGE_TEXT, " from %s to %s", low, high);
    else if (field->min > -far)
        snprintf(out, RANGE_TEXT, " of at least %s", low);
    else if (field->max < far)
        snprintf(out, RANGE_TEXT, " of at most %s", high);
    else
        out[0] = '\0';
}

/* --- names ------------------------------------------------------------------------------ */

static char same_dash(char c)
{
    return (char)(c == '_' ? '-' : c);
}

static bool is_same_name(const char *a, const char *b)
{
    while (*a != '\0' && same_dash(*a) == same_dash(*b)) {
        a++;
        b++;
    }
    return *a == '\0' && *b == '\0';
}

const fc_field *fc_fields_find(const fc_field *fields, int64_t n, const char *name)
{
    for (int64_t i = 0; i < n; i++)
        if (is_same_name(fields[i].name, name)) return &fields[i];
    return NULL;
}

enum { NAME_MAX_LENGTH = 63 };

/* Changes, insertions, removals and swaps of neighbours that turn a into b. */
static int64_t edit_distance(const char *a, int64_t n_a, const char *b, int64_t n_b)
{
    int64_t rows[3][NAME_MAX_LENGTH + 1];
    for (int64_t j = 0; j <= n_b; j++) rows[0][j] = j;
    for (int64_t i = 1; i <= n_a; i++) {
        int64_t *row = rows[i % 3];
        const int64_t *above = rows[(i + 2) % 3], *above_2 = rows[(i + 1) % 3];
        row[0] = i;
        for (int64_t j = 1; j <= n_b; j++) {
            const char c = same_dash(a[i - 1]), d = same_dash(b[j - 1]);
            row[j] = fc_min(fc_min(above[j], row[j - 1]) + 1, above[j - 1] + (c != d));
            if (i > 1 && j > 1 && c == same_dash(b[j - 2]) && same_dash(a[i - 2]) == d)
                row[j] = fc_min(row[j], above_2[j - 2] + 1);
        }
    }
    return rows[n_a % 3][n_b];
}

const char *fc_nearest_name(const char *name, const char *const *candidates, int64_t n)
{
    const char *nearest = NULL;
    int64_t nearest_distance = INT64_MAX;
    const int64_t n_name = (int64_t)strlen(name);
    if (n_name > NAME_MAX_LENGTH) return NULL;
    for (int64_t i = 0; i < n; i++) {
        const int64_t n_candidate = (int64_t)strlen(candidates[i]);
        if (n_candidate > NAME_MAX_LENGTH) continue;
        const int64_t distance = edit_distance(name, n_name, candidates[i], n_candidate);
        if (distance * 3 > fc_max(n_name, n_candidate) || distance >= nearest_distance)
            continue;
        nearest = candidates[i];
        nearest_distance = distance;
    }
    return nearest;
}

/* --- setting ---------------------------------------------------------------------------- */

static fc_status set_i64(const fc_field *field, int64_t *member, const char *text,
                         const char *where, fc_err *err)
{
    char range[RANGE_TEXT];
    int64_t value = 0;
    if (read_count(text, &value) && (double)value >= field->min &&
        (double)value <= field->max)
    {
        *member = value;
        return FC_OK;
    }
    print_range(range, field);
    return fc_fail(err, FC_USAGE, "%s is '%s', expected a whole number%s", where, text,
                   range);
}

static fc_status set_f64(const fc_field *field, double *member, const char *text,
                         const char *where, fc_err *err)
{
    char range[RANGE_TEXT];
    double value = 0;
    if (read_number(text, &value) && value >= field->min && value <= field->max) {
        *member = value;
        return FC_OK;
    }
    print_range(range, field);
    return fc_fail(err, FC_USAGE, "%s is '%s', expected a number%s", where, text, range);
}

static fc_status set_bool(bool *member, const char *text, const char *where, fc_err *err)
{
    static const char *const words[][2] = {{"false", "true"}, {"no", "yes"}, {"0", "1"}};
    for (size_t i = 0; i < FC_LEN(words); i++)
        for (int value = 0; value < 2; value++)
            if (strcmp(text, words[i][value]) == 0) {
                *member = value == 1;
                return FC_OK;
            }
    return fc_fail(err, FC_USAGE, "%s is '%s', expected true or false, yes or no, 1 or 0",
                   where, text);
}

static fc_status set_text(char *member, const char *text, const char *where, fc_err *err)
{
    const size_t n = strlen(text);
    if (n >= FC_FIELD_TEXT_MAX)
        return fc_fail(err, FC_USAGE,
                       "%s has %zu bytes ('%.32s...'), expected at most %d", where, n,
                       text, FC_FIELD_TEXT_MAX - 1);
    memcpy(member, text, n + 1);
    return FC_OK;
}

/* The i-th of "a|b|c" and its length; NULL past the last. */
static const char *choice_at(const char *choices, int i, int *length)
{
    for (; i > 0 && choices != NULL; i--) {
        choices = strchr(choices, '|');
        if (choices != NULL) choices++;
    }
    *length = choices != NULL ? (int)strcspn(choices, "|") : 0;
    return choices;
}

static fc_status refuse_choice(const fc_field *field, const char *text, const char *where,
                               fc_err *err)
{
    enum { MAX_CHOICES = 32 };
    char names[MAX_CHOICES][NAME_MAX_LENGTH + 1], all[512] = "";
    const char *pointers[MAX_CHOICES];
    int n = 0, n_all = 0, length;
    for (const char *c; n < MAX_CHOICES && (c = choice_at(field->choices, n, &length));
         n++) {
        snprintf(names[n], sizeof names[n], "%.*s", length, c);
        pointers[n] = names[n];
        n_all += snprintf(all + n_all, sizeof all - (size_t)n_all, "%s%s",
                          n > 0 ? ", " : "", names[n]);
        n_all = (int)fc_min(n_all, (int64_t)sizeof all - 1);
    }
    const char *nearest = fc_nearest_name(text, pointers, n);
    if (nearest == NULL)
        return fc_fail(err, FC_USAGE, "%s is '%s', expected one of %s", where, text, all);
    return fc_fail(err, FC_USAGE, "%s is '%s', expected one of %s; did you mean '%s'?",
                   where, text, all, nearest);
}

static fc_status set_choice(const fc_field *field, int *member, const char *text,
                            const char *where, fc_err *err)
{
    const size_t n = strlen(text);
    int length;
    const char *choice;
    for (int i = 0; (choice = choice_at(field->choices, i, &length)) != NULL; i++)
        if (n == (size_t)length && memcmp(choice, text, n) == 0) {
            *member = i;
            return FC_OK;
        }
    return refuse_choice(field, text, where, err);
}

typedef struct time_unit {
    char suffix;
    double seconds;
} time_unit;

/* Longest first: printing takes the first that divides. */
static const time_unit time_units[] = {{'h', 3600}, {'m', 60}, {'s', 1}};

static bool read_time(const char *text, double *seconds)
{
    decimal d;
    char *end;
    if (!read_decimal(&d, text) || d.is_negative || *d.end == '\0' || d.end[1] != '\0')
        return false;
    for (size_t i = 0; i < FC_LEN(time_units); i++) {
        if (*d.end != time_units[i].suffix) continue;
        *seconds = strtod(text, &end) * time_units[i].seconds;
        return end == d.end && isfinite(*seconds);
    }
    return false;
}

static fc_status set_every(fc_every *member, const char *text, const char *where,
                           fc_err *err)
{
    fc_every every = {0};
    if ((read_count(text, &every.steps) && every.steps > 0) ||
        read_time(text, &every.seconds))
    {
        *member = every;
        return FC_OK;
    }
    return fc_fail(
        err, FC_USAGE,
        "%s is '%s', expected a time such as 2s, 5m or 1h, or a count of steps of at "
        "least 1",
        where, text);
}

fc_status fc_field_set(const fc_field *field, void *config, const char *text,
                       const char *where, fc_err *err)
{
    void *member = (char *)config + field->offset;
    switch (field->kind) {
    case FC_FIELD_I64: return set_i64(field, member, text, where, err);
    case FC_FIELD_F64: return set_f64(field, member, text, where, err);
    case FC_FIELD_BOOL: return set_bool(member, text, where, err);
    case FC_FIELD_TEXT:
    case FC_FIELD_TEXTS: return set_text(member, text, where, err);
    case FC_FIELD_CHOICE: return set_choice(field, member, text, where, err);
    case FC_FIELD_EVERY: return set_every(member, text, where, err);
    }
    fc_check_failed("the kind of the field is known", __FILE__, __LINE__);
}

fc_status fc_field_add(const fc_field *field, void *config, const char *text,
                       const char *where, fc_err *err)
{
    char *const member = (char *)config + field->offset;
    char all[2 * FC_FIELD_TEXT_MAX];
    FC_CHECK(field->kind == FC_FIELD_TEXTS);
    const int n =
        snprintf(all, sizeof all, "%s%s%s", member, member[0] != '\0' ? "," : "", text);
    if (n >= (int)sizeof all)
        return fc_fail(err, FC_USAGE,
                       "%s: all together have %d bytes, expected at most %d", where, n,
                       FC_FIELD_TEXT_MAX - 1);
    return set_text(member, all, where, err);
}

/* --- getting ---------------------------------------------------------------------------- */

static fc_status get_number(double value, const char *suffix, fc_strbuf *out, fc_err *err)
{
    char text[NUMBER_TEXT];
    print_number(text, value);
    return fc_strbuf_addf(out, err, "%s%s", text, suffix);
}

static fc_status get_every(const fc_every *every, fc_strbuf *out, fc_err *err)
{
    if (every->steps > 0) return fc_strbuf_addf(out, err, "%" PRId64, every->steps);
    for (size_t i = 0; i < FC_LEN(time_units); i++) {
        const char suffix[2] = {time_units[i].suffix, '\0'};
        const double n = every->seconds / time_units[i].seconds;
        if (n >= 1 && n == floor(n) && n * time_units[i].seconds == every->seconds)
            return get_number(n, suffix, out, err);
    }
    return get_number(every->seconds, "s", out, err);
}

fc_status fc_field_get(const fc_field *field, const void *config, fc_strbuf *out,
                       fc_err *err)
{
    const void *member = (const char *)config + field->offset;
    int length;
    switch (field->kind) {
    case FC_FIELD_I64:
        return fc_strbuf_addf(out, err, "%" PRId64, *(const int64_t *)member);
    case FC_FIELD_F64: return get_number(*(const double *)member, "", out, err);
    case FC_FIELD_BOOL:
        return fc_strbuf_addf(out, err, "%s", *(const bool *)member ? "true" : "false");
    case FC_FIELD_TEXT:
    case FC_FIELD_TEXTS: return fc_strbuf_addf(out, err, "%s", (const char *)member);
    case FC_FIELD_CHOICE: {
        const char *choice = choice_at(field->choices, *(const int *)member, &length);
        FC_CHECK(choice != NULL && *(const int *)member >= 0);
        return fc_strbuf_add(out, choice, length, err);
    }
    case FC_FIELD_EVERY: return get_every(member, out, err);
    }
    fc_check_failed("the kind of the field is known", __FILE__, __LINE__);
}
