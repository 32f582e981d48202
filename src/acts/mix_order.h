/* mix_order.h - which row comes next when a store is shuffled through a buffer: numbers, no data.
 *
 *   store     [ piece 0 | piece 1 | ... ]   piece_rows rows each, the last may be short
 *   stream    the pieces of epoch 0 in random order, then those of epoch 1 in another, ...
 *   places    0 .. capacity-1, each holds one row: first the stream's first `capacity` rows
 *   draw      a row of the running epoch, uniform over the places that hold one; the stream's
 *             next row takes its place
 *
 * So capacity rows are held at any time. Rows of the next epoch come in while the last of the
 * running one are drawn, and are not drawn before it has ended: every row once an epoch, and
 * reading never pauses. Everything follows from (seed, epoch, draw): going on at a draw is drawing
 * up to it and leaving the data out, some 20 ns a row.
 *
 *   memory: 16 bytes a place and 4 a piece
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_ACTS_MIX_ORDER_H
#define FC_ACTS_MIX_ORDER_H

#include <stdbool.h>

#include "base/err.h"

typedef struct fc_held { /* a row and the place that holds it */
    uint32_t row, place;
} fc_held;

typedef struct fc_drawn {
    uint32_t row, place; /* the row to give, and where it is */
    uint32_t next_row;   /* the row that takes the place */
} fc_drawn;

typedef struct fc_mix_order {
    uint64_t seed;
    int64_t n_rows, piece_rows, n_pieces;
    int64_t capacity;
    int64_t epoch, n_drawn; /* of the running epoch */
    fc_held *now, *later;   /* [capacity] rows of the running epoch, and of the next */
    int64_t n_now, n_later; /* their sum is the capacity */
    int64_t stream_epoch;   /* whose pieces come in */
    uint32_t *piece;        /* [n_pieces] their order in that epoch */
    int64_t piece_at;       /* piece[piece_at] comes in */
    int64_t row, piece_end; /* next row of it, and the row behind it */
} fc_mix_order;

/* Begins an epoch. 1 <= capacity <= n_rows <= UINT32_MAX, piece_rows >= 1. */
fc_status fc_mix_order_init(fc_mix_order *order, uint64_t seed, int64_t n_rows,
                            int64_t piece_rows, int64_t capacity, int64_t epoch,
                            fc_err *err);
void fc_mix_order_deinit(fc_mix_order *order);

/* The next row; after the last of an epoch the first of the next. */
fc_drawn fc_mix_order_draw(fc_mix_order *order);

/* First row of the piece that comes in `ahead` pieces after the current one; -1: not in this epoch. */
int64_t fc_mix_order_ahead(const fc_mix_order *order, int64_t ahead);

#endif
