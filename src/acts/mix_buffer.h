/* mix_buffer.h - the rows of a store through a mixing buffer: data for the order of mix_order.h.
 *
 * Rows lie in the buffer as they are stored. The store is read in pieces, each once an
 * epoch; those next in the stream are asked for ahead, and one that has come in whole leaves
 * the process. For one thread at a time.
 *
 *   memory: capacity rows as stored, and 24 bytes a row
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_ACTS_MIX_BUFFER_H
#define FC_ACTS_MIX_BUFFER_H

#include "acts/store.h"

typedef struct fc_mix_buffer fc_mix_buffer;

typedef struct fc_mix_place { /* how to mix, and where in the order to begin */
    uint64_t seed;
    int64_t piece_rows, capacity;
    int64_t epoch, n_drawn;
} fc_mix_place;

/* Goes to the n_drawn-th draw of an epoch, without data. The store is borrowed; 1 <= capacity <= its
 * rows, piece_rows >= 1. */
fc_status fc_mix_buffer_new(fc_mix_buffer **buffer, const fc_store *store,
                            const fc_mix_place *place, fc_err *err);
void fc_mix_buffer_free(fc_mix_buffer *buffer); /* accepts NULL */

/* Reads one piece of what the buffer holds before the first draw; false: all of it is there. To be
 * called until then. */
bool fc_mix_buffer_load(fc_mix_buffer *buffer);

/* The next n rows: their numbers row [n], widened to float32 x [n, d]. */
void fc_mix_buffer_draw(fc_mix_buffer *buffer, uint32_t *row, float *x, int64_t n);
/* Leaves n rows out. */
void fc_mix_buffer_skip(fc_mix_buffer *buffer, int64_t n);

#endif
