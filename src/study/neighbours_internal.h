/* neighbours_internal.h - which features' decoder rows point the same way.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_NEIGHBOURS_INTERNAL_H
#define FC_STUDY_NEIGHBOURS_INTERNAL_H

#include <stdbool.h>

#include "study/features_db.h"
#include "tensor/backend.h"

enum { FC_NEIGHBOURS = 8 };

typedef struct fc_neighbours {
    int32_t *rank; /* [d_sae] row of a live feature in list and count; -1: not live */
    fc_neighbour
        *list;      /* [n_live, FC_NEIGHBOURS] cosine descending, equal: lower id first */
    int32_t *count; /* [n_live] */
} fc_neighbours;

/* w_dec: [d_sae, d]; is_live: [d_sae]. A row of zeros points nowhere and is nobody's neighbour.
 * FC_CANCELLED after Ctrl-C. On failure *neighbours is {0}. */
fc_status fc_neighbours_find(fc_neighbours *neighbours, const float *w_dec,
                             const bool *is_live, int64_t d_sae, int64_t d,
                             fc_backend *be, fc_err *err);
void fc_neighbours_deinit(fc_neighbours *neighbours);

/* Neighbours of one feature, [*n]; none when it is not live. */
const fc_neighbour *fc_neighbours_of(const fc_neighbours *neighbours, int64_t feature,
                                     int64_t *n);

#endif
