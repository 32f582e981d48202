/* mix_buffer.c - copies rows into the places that mix_order.c names, and out of them.
 *
 *   [ asked for ... READ_AHEAD pieces | comes in | in the buffer, its pages dropped ]
 *
 * The mapping is read in the order of the stream, so the disk sees whole pieces, several at a time;
 * a row is copied twice (mapping -> place -> batch), which costs less than one access to a disk.
 *
 * The rows held at the start are read in the order of the store. For a new run they are the first
 * pieces of the stream; where a run goes on, the remains of older pieces too.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "acts/mix_buffer.h"

#include <stdlib.h>
#include <string.h>

#include "acts/mix_order.h"
#include "base/alloc.h"

enum { READ_AHEAD = 4, FAULT_BYTES = 64 << 10 };

struct fc_mix_buffer {
    const fc_store *store;
    fc_mix_order order;
    int64_t d;
    fc_dtype dtype;
    size_t row_bytes;
    uint8_t *x; /* [capacity, d] as stored, by place */

    fc_held
        *load; /* [capacity] what is held at the start, by row; NULL once it is there */
    int64_t n_loaded, n_asked; /* of these */
    int64_t n_ahead;           /* pieces asked for and not loaded */
};

static uint8_t *at_place(const fc_mix_buffer *buffer, uint32_t place)
{
    return buffer->x + (size_t)place * buffer->row_bytes;
}

/* --- pieces ------------------------------------------------------------------------------- */

static int64_t begin_of_piece(const fc_mix_buffer *buffer, int64_t row)
{
    return row - row % buffer->order.piece_rows;
}

static int64_t end_of_piece(const fc_mix_buffer *buffer, int64_t row)
{
    return fc_min(begin_of_piece(buffer, row) + buffer->order.piece_rows,
                  buffer->order.n_rows);
}

static void expect_piece(const fc_mix_buffer *buffer, int64_t row)
{
    const int64_t begin = begin_of_piece(buffer, row);
    fc_store_expect(buffer->store, begin, end_of_piece(buffer, row) - begin);
}

/* With its borders: a fault brings in pages around it, also of neighbours that are long done. */
static void drop_piece(const fc_mix_buffer *buffer, int64_t row)
{
    const int64_t border = FAULT_BYTES / (int64_t)buffer->row_bytes + 1;
    const int64_t begin = fc_max(begin_of_piece(buffer, row) - border, 0);
    const int64_t end = fc_min(end_of_piece(buffer, row) + border, buffer->order.n_rows);
    fc_store_drop(buffer->store, begin, end - begin);
}

/* Asks for pieces of the stream: `from` to `to` after the current one. */
static void expect_ahead(const fc_mix_buffer *buffer, int64_t from, int64_t to)
{
    for (int64_t ahead = from; ahead <= to; ahead++) {
        const int64_t row = fc_mix_order_ahead(&buffer->order, ahead);
        if (row >= 0) expect_piece(buffer, row);
    }
}

/* --- the start ---------------------------------------------------------------------------- */

static int by_row(const void *a, const void *b)
{
    const fc_held *const x = a, *const y = b;
    return (x->row > y->row) - (x->row < y->row);
}

/* The first of load[] from i on that is not in the piece of load[i]. */
static int64_t next_piece(const fc_mix_buffer *buffer, int64_t i)
{
    const int64_t end = end_of_piece(buffer, buffer->load[i].row);
    while (i < buffer->order.capacity && buffer->load[i].row < end) i++;
    return i;
}

bool fc_mix_buffer_load(fc_mix_buffer *buffer)
{
    if (buffer->load == NULL) return false;
    const int64_t n = buffer->order.capacity;
    for (; buffer->n_asked < n && buffer->n_ahead < READ_AHEAD; buffer->n_ahead++) {
        expect_piece(buffer, buffer->load[buffer->n_asked].row);
        buffer->n_asked = next_piece(buffer, buffer->n_asked);
    }
    const uint32_t first = buffer->load[buffer->n_loaded].row;
    for (const int64_t end = next_piece(buffer, buffer->n_loaded); buffer->n_loaded < end;
         buffer->n_loaded++)
    {
        const fc_held *const held = &buffer->load[buffer->n_loaded];
        fc_store_copy(buffer->store, held->row, 1, at_place(buffer, held->place));
    }
    buffer->n_ahead--;
    drop_piece(buffer, first);
    if (buffer->n_loaded < n) return true;
    fc_free(buffer->load);
    buffer->load = NULL;
    expect_ahead(buffer, 0, READ_AHEAD);
    return false;
}

static fc_status list_what_is_held(fc_mix_buffer *buffer, fc_err *err)
{
    const fc_mix_order *const order = &buffer->order;
    FC_TRY(fc_alloc(&buffer->load, order->capacity, sizeof *buffer->load,
                    "rows to begin with", err));
    memcpy(buffer->load, order->now, (size_t)order->n_now * sizeof *order->now);
    memcpy(buffer->load + order->n_now, order->later,
           (size_t)order->n_later * sizeof *order->later);
    qsort(buffer->load, (size_t)order->capacity, sizeof *buffer->load, by_row);
    return FC_OK;
}

fc_status fc_mix_buffer_new(fc_mix_buffer **buffer, const fc_store *store,
                            const fc_mix_place *place, fc_err *err)
{
    const fc_store_info *const info = fc_store_info_of(store);
    fc_mix_buffer *made = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&made, 1, sizeof *made, "the mixing buffer", err));
    made->store = store;
    made->d = info->d;
    made->dtype = info->dtype;
    made->row_bytes = (size_t)info->d * fc_dtype_size(info->dtype);
    FC_TRY_GOTO(fc_mix_order_init(&made->order, place->seed, fc_store_rows(store),
                                  place->piece_rows, place->capacity, place->epoch, err));
    for (int64_t i = 0; i < place->n_drawn; i++) (void)fc_mix_order_draw(&made->order);
    FC_TRY_GOTO(list_what_is_held(made, err));
    FC_TRY_GOTO(
        fc_alloc(&made->x, place->capacity, made->row_bytes, "the mixing buffer", err));
    *buffer = made;
    made = NULL;
done:
    fc_mix_buffer_free(made);
    return status;
}

void fc_mix_buffer_free(fc_mix_buffer *buffer)
{
    if (buffer == NULL) return;
    fc_mix_order_deinit(&buffer->order);
    fc_free(buffer->load);
    fc_free(buffer->x);
    fc_free(buffer);
}

/* --- rows --------------------------------------------------------------------------------- */

static void take_in(const fc_mix_buffer *buffer, const fc_drawn *drawn)
{
    const int64_t row = drawn->next_row;
    if (row == begin_of_piece(buffer, row))
        expect_ahead(buffer, buffer->order.piece_at == 0 ? 0 : READ_AHEAD, READ_AHEAD);
    fc_store_copy(buffer->store, row, 1, at_place(buffer, drawn->place));
    if (row + 1 == end_of_piece(buffer, row)) drop_piece(buffer, row);
}

void fc_mix_buffer_draw(fc_mix_buffer *buffer, uint32_t *row, float *x, int64_t n)
{
    FC_ASSERT(buffer->load == NULL);
    for (int64_t i = 0; i < n; i++) {
        const fc_drawn drawn = fc_mix_order_draw(&buffer->order);
        const uint8_t *const from = at_place(buffer, drawn.place);
        row[i] = drawn.row;
        fc_to_f32(x + i * buffer->d, from, buffer->dtype, buffer->d);
        take_in(buffer, &drawn);
    }
}

void fc_mix_buffer_skip(fc_mix_buffer *buffer, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const fc_drawn drawn = fc_mix_order_draw(&buffer->order);
        take_in(buffer, &drawn);
    }
}
