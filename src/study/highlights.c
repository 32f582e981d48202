/* highlights.c - choose features to show first.
 *
 *   score = c (1 - c / 2) * log10(n_active) * (max / largest max)^(1/4)
 *
 * with c the share of activation on those of a feature's three main tokens that are words, parts of
 * words or digits: a feature on one token alone is plain, one on everything is mixed, and commas say
 * little; in between lie the families ("months") that make people look. The fourth root lets
 * strength break ties without ruling the choice.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/highlights.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

enum { MIN_ACTIVE = 20, N_TOKENS = 3 };
static const double max_frequency = 0.05;

typedef struct candidate {
    fc_highlight highlight;
    int32_t first_token;
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

static void describe(candidate *c, const fc_feature *feature, const fc_token_share *token,
                     int64_t n, double share)
{
    char *text = c->highlight.text;
    const size_t size = sizeof c->highlight.text;
    snprintf(text, size, "%.0f %% of its activation on ", 100 * share);
    for (int64_t i = 0; i < n && i < N_TOKENS; i++)
        add_token(text, size - 40, &token[i], i == 0);
    const size_t used = strlen(text);
    snprintf(text + used, size - used, "; fires on %.2g %% of tokens",
             100 * feature->frequency);
}

static fc_status consider(fc_features_db *db, const fc_feature *feature,
                          double max_of_all, candidate *c, fc_err *err)
{
    const fc_token_share *token;
    int64_t n;
    double share = 0, telling = 0;
    *c = (candidate){.highlight.feature = feature->id};
    if (feature->is_dead || feature->n_active < MIN_ACTIVE ||
        feature->frequency > max_frequency)
        return FC_OK;
    FC_TRY(fc_features_tokens(db, feature->id, &token, &n, err));
    if (n == 0) return FC_OK;
    for (int64_t i = 0; i < n && i < N_TOKENS; i++) {
        share += token[i].share;
        if (is_telling(&token[i])) telling += token[i].share;
    }
    c->first_token = token[0].token_id;
    c->highlight.score = telling * (1 - telling / 2) * log10((double)feature->n_active) *
                         pow(feature->max / max_of_all, 0.25);
    describe(c, feature, token, n, share);
    return FC_OK;
}

/* Keeps the best, one for each first token, in descending order of score. */
static void insert(candidate *best, int64_t n_wanted, int64_t *n, const candidate *c)
{
    for (int64_t i = 0; i < *n; i++) {
        if (best[i].first_token != c->first_token) continue;
        if (best[i].highlight.score >= c->highlight.score) return;
        memmove(&best[i], &best[i + 1], (size_t)(*n - i - 1) * sizeof *best);
        (*n)--;
        break;
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
