/* absorption_codes_internal.h - the features of some rows as columns and as rows.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_ABSORPTION_CODES_INTERNAL_H
#define FC_STUDY_ABSORPTION_CODES_INTERNAL_H

#include "sae/sae.h"
#include "study/l1_logistic_internal.h"

/* f_i |W_dec_i| scale on each row, where it is above 0. */
typedef struct fc_word_codes {
    int64_t n, d_sae;
    int64_t *begin; /* [d_sae + 1] by feature, rows ascending */
    int32_t *row;
    float *value;
    int64_t *row_begin; /* [n + 1] the same by row, features ascending */
    int32_t *feature;
    float *row_value;
} fc_word_codes;

static inline fc_columns fc_word_columns(const fc_word_codes *codes)
{
    return (fc_columns){codes->n, codes->d_sae, codes->begin, codes->row, codes->value};
}

/* x: [n, d_in] as the SAE reads it. On failure *codes is {0}. */
fc_status fc_word_codes_make(fc_word_codes *codes, const fc_sae *sae, const float *x,
                             int64_t n, double scale, fc_precision precision,
                             fc_backend *be, fc_err *err);
void fc_word_codes_deinit(fc_word_codes *codes);

#endif
