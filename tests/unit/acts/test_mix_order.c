/* test_mix_order.c - the order of a mixing buffer: every row once an epoch, from any draw on, and how
 * well it mixes, against what theory says and against a full permutation.
 *
 * The statistics are printed; docs/SPEED.md quotes them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "acts/mix_order.h"
#include "base/alloc.h"
#include "base/rng.h"

enum { SEED = 5 };

static fc_mix_order begin(int64_t n_rows, int64_t piece_rows, int64_t capacity,
                          int64_t epoch)
{
    fc_mix_order order;
    fc_err err;
    fc_assert_ok(
        fc_mix_order_init(&order, SEED, n_rows, piece_rows, capacity, epoch, &err), &err);
    return order;
}

static const struct shape {
    int64_t n_rows, piece_rows, capacity;
} shapes[] = {{203, 10, 40}, {203, 10, 203}, {203, 203, 1}, {203, 1, 7}, {203, 500, 202},
              {200, 10, 10}, {1, 1, 1},      {2, 1, 1},     {2, 1, 2},   {203, 7, 1}};

static void every_row_comes_once_an_epoch(void **state)
{
    (void)state;
    for (size_t i = 0; i < FC_LEN(shapes); i++) {
        const struct shape *const s = &shapes[i];
        fc_mix_order order = begin(s->n_rows, s->piece_rows, s->capacity, 0);
        for (int64_t epoch = 0; epoch < 4; epoch++) {
            int n_seen[256] = {0};
            for (int64_t k = 0; k < s->n_rows; k++)
                n_seen[fc_mix_order_draw(&order).row]++;
            for (int64_t row = 0; row < s->n_rows; row++)
                assert_int_equal(n_seen[row], 1);
        }
        fc_mix_order_deinit(&order);
    }
}

/* What a place holds is what was put there last: the data can be kept by place alone. */
static void a_place_holds_the_row_that_came_in_last(void **state)
{
    (void)state;
    for (size_t i = 0; i < FC_LEN(shapes); i++) {
        const struct shape *const s = &shapes[i];
        fc_mix_order order = begin(s->n_rows, s->piece_rows, s->capacity, 3);
        uint32_t holds[256];
        for (int64_t k = 0; k < s->capacity; k++)
            holds[order.now[k].place] = order.now[k].row;
        for (int64_t k = 0; k < 3 * s->n_rows; k++) {
            const fc_drawn drawn = fc_mix_order_draw(&order);
            assert_true(drawn.place < s->capacity);
            assert_int_equal(drawn.row, holds[drawn.place]);
            holds[drawn.place] = drawn.next_row;
        }
        fc_mix_order_deinit(&order);
    }
}

static void an_epoch_begun_alone_is_the_one_of_a_longer_run(void **state)
{
    (void)state;
    for (size_t i = 0; i < FC_LEN(shapes); i++) {
        const struct shape *const s = &shapes[i];
        fc_mix_order run = begin(s->n_rows, s->piece_rows, s->capacity, 0);
        for (int64_t epoch = 0; epoch < 3; epoch++) {
            fc_mix_order alone = begin(s->n_rows, s->piece_rows, s->capacity, epoch);
            for (int64_t k = 0; k < s->n_rows; k++) {
                const fc_drawn a = fc_mix_order_draw(&run), b = fc_mix_order_draw(&alone);
                assert_int_equal(a.row, b.row);
                assert_int_equal(a.next_row, b.next_row);
            }
            fc_mix_order_deinit(&alone);
        }
        fc_mix_order_deinit(&run);
    }
}

static void rows_come_in_piece_by_piece(void **state)
{
    (void)state;
    enum { N = 203, PIECE = 10, CAPACITY = 40 };
    fc_mix_order order = begin(N, PIECE, CAPACITY, 0);
    for (int64_t k = CAPACITY; k < 3 * N; k++) {
        const int64_t ahead = fc_mix_order_ahead(&order, 1);
        const bool is_piece_over = order.row == order.piece_end;
        const int64_t row = fc_mix_order_draw(&order).next_row;
        if (row % PIECE != 0) assert_false(is_piece_over);
        if (is_piece_over) assert_int_equal(row % PIECE, 0);
        if (is_piece_over && ahead >= 0) assert_int_equal(row, ahead);
    }
    fc_mix_order_deinit(&order);
}

/* --- statistics --------------------------------------------------------------------------- */

enum { N_ROWS = 600000, PIECE_ROWS = 910, SIZE = 512 }; /* 2 MiB of 1,152 bf16 */

typedef struct mixing {
    double correlation; /* of a row's place in the store and in the epoch */
    double distance;    /* of neighbours in the store, mean, in rows of the epoch */
    double near;        /* share of neighbours at most B ln 2 apart */
    double same_batch;  /* share of neighbours in one batch */
    double pairs;       /* in a batch, of rows from one piece */
    double distinct;    /* pieces that a batch has rows of */
    double spread;      /* last less first row of a piece in the epoch, of all rows */
} mixing;

static void of_neighbours(mixing *m, const uint32_t *at, double near)
{
    for (int64_t row = 0; row + 1 < N_ROWS; row++) {
        const double distance = fabs((double)at[row] - (double)at[row + 1]);
        m->distance += distance / (N_ROWS - 1);
        m->near += (distance <= near) / (N_ROWS - 1.0);
        m->same_batch += (at[row] / SIZE == at[row + 1] / SIZE) / (N_ROWS - 1.0);
    }
}

static void of_batches(mixing *m, const uint32_t *order)
{
    const double n_batches = (double)N_ROWS / SIZE;
    static int
        n_seen[N_ROWS / PIECE_ROWS + 1]; /* NOLINT: scratch, too large for a stack */
    for (int64_t begin = 0; begin < N_ROWS; begin += SIZE) {
        memset(n_seen, 0, sizeof n_seen);
        for (int64_t i = begin; i < fc_min(begin + SIZE, N_ROWS); i++) {
            int *const n = &n_seen[order[i] / PIECE_ROWS];
            m->distinct += (*n == 0) / n_batches;
            m->pairs += *n / n_batches;
            ++*n;
        }
    }
}

static void of_pieces(mixing *m, const uint32_t *at)
{
    const double n_pieces = (double)N_ROWS / PIECE_ROWS;
    for (int64_t begin = 0; begin < N_ROWS; begin += PIECE_ROWS) {
        uint32_t first = UINT32_MAX, last = 0;
        for (int64_t row = begin; row < fc_min(begin + PIECE_ROWS, N_ROWS); row++) {
            first = at[row] < first ? at[row] : first;
            last = at[row] > last ? at[row] : last;
        }
        m->spread += (double)(last - first) / N_ROWS / n_pieces;
    }
}

static double correlation(const uint32_t *at)
{
    const double mean = (N_ROWS - 1) / 2.0;
    double product = 0, square = 0;
    for (int64_t row = 0; row < N_ROWS; row++) {
        product += ((double)row - mean) * ((double)at[row] - mean);
        square += ((double)row - mean) * ((double)row - mean);
    }
    return product / square;
}

/* capacity 0: a full permutation. */
static mixing measure(int64_t capacity, double near)
{
    uint32_t *const order = calloc(N_ROWS, sizeof *order);
    uint32_t *const at = calloc(N_ROWS, sizeof *at);
    assert_true(order != NULL && at != NULL);
    if (capacity == 0) {
        fc_rng_permutation(SEED, FC_RNG_EPOCH, N_ROWS, order);
    } else {
        fc_mix_order mix = begin(N_ROWS, PIECE_ROWS, capacity, 0);
        for (int64_t i = 0; i < N_ROWS; i++) order[i] = fc_mix_order_draw(&mix).row;
        fc_mix_order_deinit(&mix);
    }
    for (int64_t i = 0; i < N_ROWS; i++) at[order[i]] = (uint32_t)i;
    mixing m = {.correlation = correlation(at)};
    of_neighbours(&m, at, near);
    of_batches(&m, order);
    of_pieces(&m, at);
    free(order);
    free(at);
    print_message(
        "  B/N %.3f: correlation %+.4f, neighbours %.3f N apart and %.2e of them in "
        "one batch; a batch has rows of %.0f pieces and %.1f pairs of one; a piece "
        "spreads over %.2f of the epoch\n",
        (double)capacity / N_ROWS, m.correlation, m.distance / N_ROWS, m.same_batch,
        m.distinct, m.pairs, m.spread);
    return m;
}

static void within(double x, double expected, double tolerance)
{
    if (fabs(x - expected) > tolerance * expected)
        fail_msg("%g, expected %g within %g of it", x, expected, tolerance);
}

static void rows_mix_as_a_buffer_of_their_number_can(void **state)
{
    (void)state;
    const double one_piece = SIZE * (double)SIZE * (PIECE_ROWS - 1);
    const mixing full = measure(0, 0);
    within(full.distance, N_ROWS / 3.0, 0.01);
    within(full.same_batch, SIZE / (double)N_ROWS, 0.25);
    within(full.pairs, one_piece / 2 / N_ROWS, 0.05);
    for (int64_t part = 40; part >= 5; part /= 2) {
        const double b = (double)N_ROWS / (double)part;
        const mixing m = measure(N_ROWS / part, b * log(2));
        assert_true(fabs(m.correlation) < 4 / sqrt(N_ROWS / (double)PIECE_ROWS));
        assert_true(m.distance > 0.97 * b * (1 - b / N_ROWS)); /* the epoch has an end */
        assert_true(m.distance < 1.03 * b);
        within(m.near, 0.5, 0.1);
        within(m.same_batch, SIZE / (2 * b), 0.25);
        within(m.pairs, one_piece / (4 * b), 0.15);
        assert_true(m.spread > 0.6 * fmin(1, 7 * b / N_ROWS));
    }
}

/* B = N: uniform over all rows, so the same as a permutation. */
static void a_buffer_of_all_rows_mixes_fully(void **state)
{
    (void)state;
    const mixing m = measure(N_ROWS, 0);
    assert_true(fabs(m.correlation) < 4 / sqrt(N_ROWS));
    within(m.distance, N_ROWS / 3.0, 0.01);
    within(m.same_batch, SIZE / (double)N_ROWS, 0.25);
    within(m.pairs, SIZE * (double)SIZE * (PIECE_ROWS - 1) / 2 / N_ROWS, 0.05);
}

/* Over many epochs a row is as often in each tenth: no part of the store is always early. */
static void every_row_is_as_often_early_as_late(void **state)
{
    (void)state;
    enum { N = 400, PIECE = 10, CAPACITY = 60, EPOCHS = 1000, PARTS = 10 };
    static int n_in[N][PARTS]; /* NOLINT: scratch, too large for a stack */
    fc_mix_order order = begin(N, PIECE, CAPACITY, 0);
    for (int64_t epoch = 0; epoch < EPOCHS; epoch++)
        for (int64_t i = 0; i < N; i++)
            n_in[fc_mix_order_draw(&order).row][i * PARTS / N]++;
    fc_mix_order_deinit(&order);
    double chi_square = 0; /* N rows with PARTS - 1 degrees of freedom each */
    for (int64_t row = 0; row < N; row++)
        for (int part = 0; part < PARTS; part++) {
            const double expected = (double)EPOCHS / PARTS,
                         over = n_in[row][part] - expected;
            chi_square += over * over / expected / (N * (PARTS - 1.0));
        }
    print_message("  chi-square over its degrees of freedom: %.3f\n", chi_square);
    assert_true(chi_square > 0.8 && chi_square < 1.3);
}

static fc_status make_and_draw(void *ctx, fc_err *err)
{
    fc_mix_order order;
    (void)ctx;
    FC_TRY(fc_mix_order_init(&order, SEED, 100, 10, 20, 0, err));
    const int64_t n = fc_alloc_count();
    for (int i = 0; i < 1000; i++) (void)fc_mix_order_draw(&order);
    assert_int_equal(fc_alloc_count(), n);
    fc_mix_order_deinit(&order);
    return FC_OK;
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    assert_int_equal(fc_test_sweep_alloc(make_and_draw, NULL, NULL), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_comes_once_an_epoch),
        cmocka_unit_test(a_place_holds_the_row_that_came_in_last),
        cmocka_unit_test(an_epoch_begun_alone_is_the_one_of_a_longer_run),
        cmocka_unit_test(rows_come_in_piece_by_piece),
        cmocka_unit_test(rows_mix_as_a_buffer_of_their_number_can),
        cmocka_unit_test(a_buffer_of_all_rows_mixes_fully),
        cmocka_unit_test(every_row_is_as_often_early_as_late),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
