/* meaning_internal.h - what every live feature is about: description, profile, neighbours, logits.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_MEANING_INTERNAL_H
#define FC_STUDY_MEANING_INTERNAL_H

#include "study/logit_lens_internal.h"
#include "study/neighbours_internal.h"
#include "study/profile_internal.h"
#include "study/study_pass_internal.h"

enum { FC_DESCRIPTION_BYTES = 320 };

typedef struct fc_description {
    char text[FC_DESCRIPTION_BYTES]; /* "" when dead */
    double purity;
} fc_description;

typedef struct fc_meaning {
    bool *is_live;               /* [d_sae] */
    fc_description *description; /* [d_sae] */
    fc_profile *profile;         /* [d_sae] */
    fc_token_kinds kinds;
    fc_neighbours neighbours;
    fc_logit_lens lens;
} fc_meaning;

/* FC_CANCELLED after Ctrl-C. On failure *meaning is {0}. */
fc_status fc_meaning_find(fc_meaning *meaning, const fc_study_job *job,
                          const fc_study_pass *pass, fc_err *err);
void fc_meaning_deinit(fc_meaning *meaning);

#endif
