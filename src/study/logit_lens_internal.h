/* logit_lens_internal.h - which tokens a feature's direction makes more or less likely, read
 * directly from the unembedding.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_LOGIT_LENS_INTERNAL_H
#define FC_STUDY_LOGIT_LENS_INTERNAL_H

#include <stdbool.h>

#include "model/model.h"
#include "sae/sae.h"
#include "text/tokenizer.h"

enum { FC_LOGITS = 10 };

typedef struct fc_logit {
    float score;
    int32_t token;
} fc_logit;

typedef struct fc_logit_lens {
    char note[512]; /* what the scores are, or why there are none */
    int32_t
        *rank; /* [d_sae] row of a live feature below; -1: not live; NULL: no scores */
    fc_logit *raised,
        *lowered; /* [n_live, FC_LOGITS] most extreme first, equal: lower id */
    int32_t *n_raised, *n_lowered; /* [n_live] those above 0, those below 0 */
} fc_logit_lens;

/* What is read. model and tokenizer may be NULL; then note says so. scale: [d_sae] what each
 * feature's unit of activation amounts to at its maximum, in the model's units. */
typedef struct fc_logit_lens_job {
    const fc_sae *sae;
    const char *hook; /* where the activations came from */
    const fc_model *model;
    const fc_tokenizer
        *tokenizer;      /* only its ordinary tokens are listed; NULL: all ids */
    const bool *is_live; /* [d_sae] */
    const float *scale;  /* [d_sae] */
    fc_backend *be;
    fc_precision precision;
} fc_logit_lens_job;

/* FC_CANCELLED after Ctrl-C. A site or model without such a reading is no failure: there are no
 * scores then. On failure *lens is {0}. */
fc_status fc_logit_lens_find(fc_logit_lens *lens, const fc_logit_lens_job *job,
                             fc_err *err);
void fc_logit_lens_deinit(fc_logit_lens *lens);

#endif
