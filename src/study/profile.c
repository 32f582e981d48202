/* profile.c - shares of a feature's activation by neighbour, position, case and digit slot.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/profile_internal.h"

#include <stdio.h>

static const double least_share = 0.02;

const char *const fc_profile_kind_name[FC_N_PROFILE_KINDS] = {"before", "after",
                                                              "position", "case", "slot"};

static const char *const position_text[] = {
    "1", "2 to 3", "4 to 7", "8 to 15", "16 to 31", "32 to 63", "64 to 127", "128 on"};
enum { N_POSITIONS = FC_LEN(position_text) };

typedef enum letter_case {
    CASE_LOWER,
    CASE_CAPITALISED,
    CASE_CAPITALS,
    CASE_INSIDE,
    CASE_DIGIT,
    CASE_SPACE,
    CASE_SIGN,
    CASE_OTHER,
    N_CASES
} letter_case;
static const char *const case_text[N_CASES] = {"lower case",    "capitalised", "capitals",
                                               "inside a word", "digit",       "space",
                                               "sign",          "other"};

enum { N_SLOT_TEXTS = FC_N_SLOTS };

/* --- one row ---------------------------------------------------------------------------- */

static int32_t position_of(const fc_facts *facts)
{
    int32_t bin = 0;
    for (int32_t p = facts->position; p > 1 && bin < N_POSITIONS - 1; p /= 2) bin++;
    return bin;
}

static int32_t case_of(const fc_facts *facts, const fc_token_kinds *kinds)
{
    if (facts->token < 0 || facts->token >= kinds->n) return CASE_OTHER;
    const fc_token_kind *kind = &kinds->kind[facts->token];
    const uint64_t classes = kind->classes;
    if (kind->is_inside) return CASE_INSIDE;
    if (kind->is_bare_space) return CASE_SPACE;
    if (classes & FC_CLASS_BIT(DIGIT)) return CASE_DIGIT;
    if (classes & (FC_CLASS_BIT(ALL_CAPITALS) | FC_CLASS_BIT(LETTER)))
        return CASE_CAPITALS;
    if (classes & FC_CLASS_BIT(CAPITALISED)) return CASE_CAPITALISED;
    if (classes & FC_CLASS_BIT(LOWER)) return CASE_LOWER;
    return classes & FC_CLASS_BIT(PUNCTUATION) ? CASE_SIGN : CASE_OTHER;
}

/* --- shares ----------------------------------------------------------------------------- */

/* Takes the heaviest of n values, up to n_most; a weight that was taken becomes 0. */
static void take_heaviest(fc_profile *profile, fc_profile_kind kind, double *weight,
                          const int32_t *value, int64_t n, int64_t n_most, double total)
{
    for (int64_t k = 0; k < n_most; k++) {
        int64_t best = -1;
        for (int64_t i = 0; i < n; i++)
            if (weight[i] > 0.0 && (best < 0 || weight[i] > weight[best])) best = i;
        if (best < 0 || weight[best] < least_share * total) break;
        FC_ASSERT(profile->n < FC_PROFILE_LINES);
        profile->entry[profile->n++] = (fc_profile_entry){
            kind, value != NULL ? value[best] : (int32_t)best, weight[best] / total};
        weight[best] = 0.0;
    }
}

/* Ids before or after, in a table with linear probing; the sample is small. */
static void find_tokens(fc_profile *profile, fc_profile_kind kind,
                        const fc_evidence *evidence)
{
    enum { SLOTS = 2 * FC_SAMPLE_MASS };
    double weight[SLOTS] = {0};
    int32_t id[SLOTS] = {0};
    for (int64_t i = 0; i < evidence->n; i++) {
        const fc_facts *f = &evidence->facts[i];
        const int32_t token = kind == FC_PROFILE_BEFORE ? f->before : f->after;
        if (token < 0) continue;
        uint32_t at = (uint32_t)token * UINT32_C(2654435761) % SLOTS;
        while (weight[at] > 0.0 && id[at] != token) at = (at + 1) % SLOTS;
        id[at] = token;
        weight[at] += evidence->hit[i].weight;
    }
    take_heaviest(profile, kind, weight, id, SLOTS, FC_PROFILE_TOKENS, evidence->total);
}

void fc_profile_find(fc_profile *profile, const fc_evidence *evidence,
                     const fc_token_kinds *kinds)
{
    double position[N_POSITIONS] = {0}, letters[N_CASES] = {0}, slot[N_SLOT_TEXTS] = {0};
    profile->n = 0;
    if (!(evidence->total > 0.0)) return;
    for (int64_t i = 0; i < evidence->n; i++) {
        const fc_facts *facts = &evidence->facts[i];
        const double weight = evidence->hit[i].weight;
        position[position_of(facts)] += weight;
        letters[case_of(facts, kinds)] += weight;
        for (int k = 0; k < FC_N_SLOTS; k++)
            if (facts->bits[FC_FACT_STAND] >> k & 1) slot[k] += weight;
    }
    const double total = evidence->total;
    find_tokens(profile, FC_PROFILE_BEFORE, evidence);
    find_tokens(profile, FC_PROFILE_AFTER, evidence);
    take_heaviest(profile, FC_PROFILE_POSITION, position, NULL, N_POSITIONS, 8, total);
    take_heaviest(profile, FC_PROFILE_CASE, letters, NULL, N_CASES, 8, total);
    take_heaviest(profile, FC_PROFILE_SLOT, slot, NULL, N_SLOT_TEXTS, 10, total);
}

void fc_profile_show(const fc_profile_entry *entry, const fc_token_kinds *kinds,
                     char *text, int64_t n_bytes)
{
    const char *named = NULL;
    switch (entry->kind) {
    case FC_PROFILE_BEFORE:
    case FC_PROFILE_AFTER: fc_token_show(kinds, entry->value, text, n_bytes); return;
    case FC_PROFILE_POSITION: named = position_text[entry->value]; break;
    case FC_PROFILE_CASE: named = case_text[entry->value]; break;
    case FC_PROFILE_SLOT: named = fc_stand_text[entry->value]; break;
    case FC_N_PROFILE_KINDS: break;
    }
    snprintf(text, (size_t)n_bytes, "%s", named != NULL ? named : "");
}
