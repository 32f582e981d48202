/* strongest_internal.h - the k strongest activations of every feature, few from one document.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_STRONGEST_INTERNAL_H
#define FC_STUDY_STRONGEST_INTERNAL_H

#include "base/err.h"
#include "study/hits_internal.h"

typedef struct fc_strongest {
    int64_t k, per_document; /* per_document 0: no limit */
    fc_peak *peak; /* [n_features, k] value descending, equal values: row ascending */
    int32_t *n;    /* [n_features] how many of the k are there */
    float *
        least; /* [n_features] only what is above it can enter: 0, or the k-th of a full list */
} fc_strongest;

/* Takes n_features * (k * 12 + 8) bytes. On failure *strongest is {0}. */
fc_status fc_strongest_init(fc_strongest *strongest, int64_t n_features, int64_t k,
                            int64_t per_document, fc_err *err);
void fc_strongest_deinit(fc_strongest *strongest);

void fc_strongest_add(fc_strongest *strongest, const fc_hits *hits,
                      const fc_block *block);

#endif
