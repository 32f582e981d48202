/* resample.h - a fresh start for dead features, from rows that are reconstructed badly.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_RESAMPLE_H
#define FC_SAE_RESAMPLE_H

#include "sae/step.h"

typedef struct fc_resample_draw {
    double key;
    int64_t row;
} fc_resample_draw;

/* After a step, on its batch: every resample_every steps, features that were silent for more than
 * half of them start anew. Returns how many. draw: scratch, [n] of the batch. */
int64_t fc_resample(fc_step *step, fc_resample_draw *draw);

#endif
