/* absorption_internal.h - one word judged.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_ABSORPTION_INTERNAL_H
#define FC_STUDY_ABSORPTION_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

/* The features that fire on it, ascending, each with f_i |W_dec_i|. */
typedef struct fc_word_features {
    int64_t n;
    const int32_t *feature;
    const float *value;
} fc_word_features;

typedef struct fc_word_judgement {
    bool is_full;
    double fraction;
} fc_word_judgement;

/* cosine: [d_sae] of decoder rows with the probe; a: the activation's own projection on it. */
fc_word_judgement fc_judge_word(const fc_word_features *word, const float *cosine,
                                const int32_t *main_feature, int64_t n_main, double a);

#endif
