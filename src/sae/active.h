/* active.h - the features of a batch that fired at all, moved together.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_ACTIVE_H
#define FC_SAE_ACTIVE_H

#include "base/macros.h"

/* id[0 .. n-1] = rows with count > 0, ascending; returns n.  count, id: [n_rows] */
int64_t fc_active_rows(int64_t *id, const int64_t *count, int64_t n_rows);

/* to[k] = from[id[k]] for k < n.  from: [any, n_cols]; to: [n, n_cols], may be from. id ascends. */
void fc_active_pack(float *to, const float *from, const int64_t *id, int64_t n,
                    int64_t n_cols);

/* The way back, in place: row k goes to row id[k], all other rows become 0.
 *   x: [n_rows, n_cols], rows 0 .. n-1 are read */
void fc_active_unpack(float *x, const int64_t *id, int64_t n, int64_t n_rows,
                      int64_t n_cols);

#endif
