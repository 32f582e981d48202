/* profile_internal.h - what surrounds a feature's activation, as shares of it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_PROFILE_INTERNAL_H
#define FC_STUDY_PROFILE_INTERNAL_H

#include "study/describe_internal.h"

enum { FC_PROFILE_TOKENS = 8, FC_PROFILE_LINES = 2 * FC_PROFILE_TOKENS + 8 + 8 + 10 };

typedef enum fc_profile_kind {
    FC_PROFILE_BEFORE,
    FC_PROFILE_AFTER,
    FC_PROFILE_POSITION,
    FC_PROFILE_CASE,
    FC_PROFILE_SLOT,
    FC_N_PROFILE_KINDS
} fc_profile_kind;

extern const char *const fc_profile_kind_name[FC_N_PROFILE_KINDS];

typedef struct fc_profile_entry {
    fc_profile_kind kind;
    int32_t value; /* a token's id, or the number of a text of the kind */
    double share;
} fc_profile_entry;

typedef struct fc_profile {
    int32_t n;
    fc_profile_entry entry[FC_PROFILE_LINES]; /* by kind, then largest first */
} fc_profile;

/* Shares of at least 2 %. Tokens before and after are those of fc_facts. */
void fc_profile_find(fc_profile *profile, const fc_evidence *evidence,
                     const fc_token_kinds *kinds);

void fc_profile_show(const fc_profile_entry *entry, const fc_token_kinds *kinds,
                     char *text, int64_t n_bytes);

#endif
