/* mix_order.c - a shuffle buffer that holds numbers of rows.
 *
 *   draw i of epoch e    j = u64(seed, EPOCH + e, 2^32 + i) mod n_now,  now[j] is given
 *   pieces of epoch e    fc_rng_permutation(seed, EPOCH + e): it takes numbers below 2^32
 *
 * A place is tied to its row, not to its index j: when the running epoch has no more rows to come
 * in, now[] shrinks by moving its last entry, and the data stays where it is. A row that came in
 * waits for a number of draws that is geometric with mean `capacity`. The same buffer, over
 * single rows in the store's own order, is what data loaders call shuffle(buffer_size).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "acts/mix_order.h"

#include "base/alloc.h"
#include "base/rng.h"

static const uint64_t FIRST_DRAW = (uint64_t)1 << 32;

static uint64_t stream_of(int64_t epoch)
{
    return (uint64_t)FC_RNG_EPOCH + (uint64_t)epoch;
}

static void enter_piece(fc_mix_order *order, int64_t at)
{
    order->piece_at = at;
    order->row = (int64_t)order->piece[at] * order->piece_rows;
    order->piece_end = fc_min(order->row + order->piece_rows, order->n_rows);
}

static void begin_stream(fc_mix_order *order, int64_t epoch)
{
    order->stream_epoch = epoch;
    fc_rng_permutation(order->seed, stream_of(epoch), order->n_pieces, order->piece);
    enter_piece(order, 0);
}

/* The stream goes on only when a row is asked for: until then stream_epoch is that of the last. */
static uint32_t next_of_stream(fc_mix_order *order)
{
    if (order->row == order->piece_end) {
        if (order->piece_at + 1 < order->n_pieces)
            enter_piece(order, order->piece_at + 1);
        else
            begin_stream(order, order->stream_epoch + 1);
    }
    return (uint32_t)order->row++;
}

static void swap_lists(fc_mix_order *order)
{
    fc_held *const emptied = order->now;
    order->now = order->later;
    order->n_now = order->n_later;
    order->later = emptied;
    order->n_later = 0;
    order->epoch++;
    order->n_drawn = 0;
}

fc_drawn fc_mix_order_draw(fc_mix_order *order)
{
    if (order->n_now == 0) swap_lists(order);
    const uint64_t number = FIRST_DRAW + (uint64_t)order->n_drawn++;
    const uint64_t random = fc_rng_u64(order->seed, stream_of(order->epoch), number);
    fc_held *const from = &order->now[random % (uint64_t)order->n_now];
    const fc_held given = *from;
    const fc_held next = {next_of_stream(order), given.place};
    if (order->stream_epoch == order->epoch) {
        *from = next;
    } else {
        *from = order->now[--order->n_now];
        order->later[order->n_later++] = next;
    }
    return (fc_drawn){given.row, given.place, next.row};
}

int64_t fc_mix_order_ahead(const fc_mix_order *order, int64_t ahead)
{
    const int64_t at = order->piece_at + ahead;
    return at < order->n_pieces ? (int64_t)order->piece[at] * order->piece_rows : -1;
}

fc_status fc_mix_order_init(fc_mix_order *order, uint64_t seed, int64_t n_rows,
                            int64_t piece_rows, int64_t capacity, int64_t epoch,
                            fc_err *err)
{
    FC_ASSERT(1 <= capacity && capacity <= n_rows && n_rows <= UINT32_MAX);
    FC_ASSERT(piece_rows >= 1);
    fc_mix_order made = {.seed = seed,
                         .n_rows = n_rows,
                         .piece_rows = piece_rows,
                         .n_pieces = fc_ceil_div(n_rows, piece_rows),
                         .capacity = capacity,
                         .epoch = epoch};
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&made.now, capacity, sizeof *made.now, "places of rows", err));
    FC_TRY_GOTO(
        fc_alloc(&made.later, capacity, sizeof *made.later, "places of rows", err));
    FC_TRY_GOTO(fc_alloc(&made.piece, made.n_pieces, sizeof *made.piece,
                         "the order of pieces", err));
    begin_stream(&made, epoch);
    for (; made.n_now < capacity; made.n_now++)
        made.now[made.n_now] = (fc_held){next_of_stream(&made), (uint32_t)made.n_now};
    *order = made;
    made = (fc_mix_order){0};
done:
    fc_mix_order_deinit(&made);
    return status;
}

void fc_mix_order_deinit(fc_mix_order *order)
{
    fc_free(order->now);
    fc_free(order->later);
    fc_free(order->piece);
    *order = (fc_mix_order){0};
}
