/* highlights.c - choose features to show first.
 *
 *   score = purity * c (1 - t) * log10(n_active) * (max / largest max)^(1/4)
 *
 * purity is the share of activation that the feature's description explains, c the share on those
 * of its ten main tokens that are words, parts of words or digits, and t that of the first alone. A
 * feature on one token is plain, one on everything is vague, and commas say little; in between lie
 * the families ("months before a day number") that make people look. The fourth root lets strength
 * break ties without ruling the choice. Features that share most of their tokens count as one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/highlights.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

enum { MIN_ACTIVE = 20, N_NAMED = 3, MOST_TOKENS = 10 };
static const double max_frequency = 0.05, same_family = 0.5;

typedef struct candidate {
    fc_highlight highlight;
    int32_t token[MOST_TOKENS];
    double share[MOST_TOKENS];
    int64_t n;
} candidate;

/* A token as people read it: a leading space stays, what does not print becomes a dot. */
static void add_token(char *text, size_t size, const fc_token_share *token, bool is_first)
{
    const size_t n = strlen(text);
    if (n + 8 >= size) return;
    int k = snprintf(text + n, size - n, "%s'", is_first ? "" : ", ");
    size_t at = n + (size_t)k;
    for (int64_t i = 0; i < token->n_bytes && at + 3 < size; i++) {
        const unsigned char c = (unsigned char)token->bytes[i];
        text[at++] = c < 0x20 || c == 0x7f ? '.' : (char)c;
    }
    text[at++] = '\'';
    text[at] = 0;
}

/* Two letters or more, a digit, or a character beyond ASCII. */
static bool is_telling(const fc_token_share *token)
{
    int64_t n_letters = 0;
    for (int64_t i = 0; i < token->n_bytes; i++) {
        const unsigned char c = (unsigned char)token->bytes[i];
        if ((c >= '0' && c <= '9') || c >= 0x80) return true;
        n_letters += (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    }
    return n_letters >= 2;
}

/* What it is about; of a feature without a description its tokens. */
static void describe(candidate *c, const fc_feature *feature, const fc_token_share *token,
                     int64_t n)
{
    char *text = c->highlight.text;
    const size_t size = sizeof c->highlight.text;
    double share = feature->purity;
    if (feature->description[0] != 0) {
        snprintf(text, size - 64, "%s: ", feature->description);
    } else {
        share = 0;
        for (int64_t i = 0; i < n && i < N_NAMED; i++) {
            add_token(text, size - 64, &token[i], i == 0);
            share += token[i].share;
        }
        snprintf(text + strlen(text), 3, ": ");
    }
    const size_t used = strlen(text);
    snprintf(text + used, size - used, "%.0f %% of its activation, on %.2g %% of tokens",
             100 * share, 100 * feature->frequency);
}

static fc_status consider(fc_features_db *db, const fc_feature *feature,
                          double max_of_all, candidate *c, fc_err *err)
{
    const fc_token_share *token;
    int64_t n;
    double telling = 0;
    *c = (candidate){.highlight.feature = feature->id};
    if (feature->is_dead || feature->n_active < MIN_ACTIVE ||
        feature->frequency > max_frequency)
        return FC_OK;
    FC_TRY(fc_features_tokens(db, feature->id, &token, &n, err));
    if (n == 0) return FC_OK;
    for (int64_t i = 0; i < n && i < MOST_TOKENS; i++) {
        c->token[i] = token[i].token_id;
        c->share[i] = token[i].share;
        c->n++;
        if (is_telling(&token[i])) telling += token[i].share;
    }
    const double purity = feature->description[0] != 0 ? feature->purity : 1.0;
    c->highlight.score = purity * telling * (1 - fmin(1, token[0].share)) *
                         log10((double)feature->n_active) *
                         pow(feature->max / max_of_all, 0.25);
    describe(c, feature, token, n);
    return FC_OK;
}

/* Whether the tokens of one carry most of the other. */
static bool is_same_family(const candidate *a, const candidate *b)
{
    double common = 0, all = 0;
    for (int64_t i = 0; i < a->n; i++) {
        all += a->share[i];
        for (int64_t k = 0; k < b->n; k++)
            if (a->token[i] == b->token[k]) common += a->share[i];
    }
    return common > same_family * all;
}

/* Keeps the best, one of each family, in descending order of score. */
static void insert(candidate *best, int64_t n_wanted, int64_t *n, const candidate *c)
{
    for (int64_t i = 0; i < *n; i++)
        if (is_same_family(c, &best[i]) && best[i].highlight.score >= c->highlight.score)
            return;
    for (int64_t i = *n - 1; i >= 0; i--) {
        if (!is_same_family(&best[i], c)) continue;
        memmove(&best[i], &best[i + 1], (size_t)(*n - i - 1) * sizeof *best);
        (*n)--;
    }
    int64_t at = *n;
    while (at > 0 && best[at - 1].highlight.score < c->highlight.score) at--;
    if (at >= n_wanted) return;
    if (*n == n_wanted) (*n)--;
    memmove(&best[at + 1], &best[at], (size_t)(*n - at) * sizeof *best);
    best[at] = *c;
    (*n)++;
}

fc_status fc_highlights(fc_features_db *db, fc_highlight *highlights, int64_t n_wanted,
                        int64_t *n, fc_err *err)
{
    int64_t n_features;
    double max_of_all = 0;
    candidate *best = NULL, c;
    const fc_feature *feature = fc_features_all(db, &n_features);
    *n = 0;
    for (int64_t i = 0; i < n_features; i++)
        max_of_all = fmax(max_of_all, feature[i].max);
    if (max_of_all <= 0 || n_wanted <= 0) return FC_OK;
    FC_TRY(fc_alloc(&best, n_wanted + 1, sizeof *best, "highlights", err));
    fc_status status = FC_OK;
    for (int64_t i = 0; i < n_features && status == FC_OK; i++) {
        status = consider(db, &feature[i], max_of_all, &c, err);
        if (status == FC_OK && c.highlight.score > 0) insert(best, n_wanted, n, &c);
    }
    for (int64_t i = 0; i < *n; i++) highlights[i] = best[i].highlight;
    fc_free(best);
    return status;
}
