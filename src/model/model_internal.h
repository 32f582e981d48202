/* model_internal.h - what a loaded model holds.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_MODEL_MODEL_INTERNAL_H
#define FC_MODEL_MODEL_INTERNAL_H

#include "model/model.h"
#include "model/weights.h"

struct fc_model {
    fc_gemma_config config;
    char *dir;
    char fingerprint[FC_HASH_HEX];
    fc_weight_files files; /* keeps the files mapped */
    fc_weights weights;
    const float *inv_freq_full, *inv_freq_sliding; /* [d_head / 2] */
    fc_arena arena;                                /* gains, tables */
};

#endif
