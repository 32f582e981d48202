/* test_mixer_blocks.c - a mixer that mixes in blocks: the rows and the order of mix_order.h, every
 * row once an epoch, from any batch on, whatever the pace; and when it is wanted.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fake_store.h"

#include <string.h>
#include <time.h>

#include "acts/mix_order.h"
#include "acts/mixer.h"
#include "base/alloc.h"
#include "base/par.h"

enum { N_ROWS = 203, SEED = 11 };

typedef struct bench { /* a store, ready to be mixed */
    fake_folders *folders;
    fc_store *store;
    fc_normaliser normaliser;
} bench;

static int set_up_as(void **state, fc_dtype dtype)
{
    bench *const b = calloc(1, sizeof *b);
    void *folders = NULL;
    fc_err err;
    assert_non_null(b);
    assert_int_equal(fake_setup(&folders), 0);
    b->folders = folders;
    fake_make(b->folders->a, dtype, N_ROWS, 50);
    fc_assert_ok(fc_store_open(&b->store, b->folders->a, false, false, &err), &err);
    fc_assert_ok(
        fc_normaliser_of_store(&b->normaliser, FC_NORM_CENTER_UNIT, b->store, &err),
        &err);
    *state = b;
    return 0;
}

static int set_up(void **state)
{
    return set_up_as(state, FC_BF16);
}

static int set_up_f32(void **state)
{
    return set_up_as(state, FC_F32);
}

static int tear_down(void **state)
{
    bench *const b = *state;
    void *folders = b->folders;
    fc_normaliser_deinit(&b->normaliser);
    fc_store_close(b->store);
    free(b);
    return fake_teardown(&folders);
}

/* Pieces that end within shards and go over their ends; buffers of less than a batch, and of all. */
static const fc_mixer_config shapes[] = {
    {.batch_size = 16, .seed = SEED, .buffer_rows = 40, .piece_rows = 10},
    {.batch_size = 16,
     .seed = SEED,
     .buffer_rows = 40,
     .piece_rows = 7,
     .drop_last = true},
    {.batch_size = 16, .seed = SEED, .buffer_rows = 5, .piece_rows = 60},
    {.batch_size = 7, .seed = SEED, .buffer_rows = 203, .piece_rows = 9},
    {.batch_size = 100,
     .seed = SEED,
     .buffer_rows = 100000,
     .piece_rows = 3,
     .drop_last = true},
    {.batch_size = 1, .seed = SEED, .buffer_rows = 1, .piece_rows = 1},
    {.batch_size = 300, .seed = SEED, .buffer_rows = 40}, /* one piece */
};

static fc_mixer *start(const bench *b, const fc_mixer_config *config)
{
    fc_err err;
    fc_mixer *mixer = NULL;
    fc_assert_ok(fc_mixer_new(&mixer, b->store, &b->normaliser, config, &err), &err);
    return mixer;
}

/* The rows are those given, and the data is theirs. */
static void check_rows(const bench *b, const fc_mixed_batch *batch, const uint32_t *row)
{
    float x[FAKE_D];
    fc_row_norm norm;
    assert_memory_equal(batch->row, row, (size_t)batch->n * sizeof *row);
    for (int64_t i = 0; i < batch->n; i++) {
        fc_store_read(b->store, row[i], 1, x);
        fc_normalise(&b->normaliser, x, x, &norm, 1);
        assert_memory_equal(batch->x + i * FAKE_D, x, sizeof x);
        assert_memory_equal(batch->norm + i, &norm, sizeof norm);
    }
}

/* The order of an epoch, from mix_order.h. */
static void order_of(uint32_t *row, const fc_mixer_config *c, int64_t epoch)
{
    fc_mix_order order;
    fc_err err;
    const int64_t piece = c->piece_rows > 0 ? c->piece_rows : N_ROWS;
    const int64_t capacity = fc_min(c->buffer_rows, N_ROWS);
    fc_assert_ok(fc_mix_order_init(&order, c->seed, N_ROWS, piece, capacity, epoch, &err),
                 &err);
    for (int64_t i = 0; i < N_ROWS; i++) row[i] = fc_mix_order_draw(&order).row;
    fc_mix_order_deinit(&order);
}

/* Batches from one on, across epochs. */
static void check_batches(const bench *b, const fc_mixer_config *config, int64_t n)
{
    const int64_t size = fc_min(config->batch_size, N_ROWS);
    const int64_t n_batches =
        fc_mixer_batches(N_ROWS, config->batch_size, config->drop_last);
    uint32_t order[N_ROWS];
    int64_t epoch = config->epoch, index = config->index;
    fc_mixer *const mixer = start(b, config);
    order_of(order, config, epoch);
    for (int64_t k = 0; k < n; k++) {
        const fc_mixed_batch *const batch = fc_mixer_next(mixer);
        assert_int_equal(batch->epoch, epoch);
        assert_int_equal(batch->index, index);
        assert_int_equal(batch->n, fc_min(size, N_ROWS - index * size));
        check_rows(b, batch, order + index * size);
        if (++index < n_batches) continue;
        index = 0;
        order_of(order, config, ++epoch);
    }
    fc_mixer_free(mixer);
}

static int64_t batches_of(const fc_mixer_config *config)
{
    const int64_t size = fc_min(config->batch_size, N_ROWS);
    return fc_mixer_batches(N_ROWS, size, config->drop_last);
}

static void batches_hold_the_rows_of_the_order(void **state)
{
    for (size_t i = 0; i < FC_LEN(shapes); i++)
        check_batches(*state, &shapes[i], 3 * batches_of(&shapes[i]) + 1);
}

static void training_can_begin_at_any_batch(void **state)
{
    for (size_t i = 0; i < FC_LEN(shapes); i++)
        for (int64_t epoch = 0; epoch < 2; epoch++)
            for (int64_t index = 0; index < batches_of(&shapes[i]); index += 3) {
                fc_mixer_config config = shapes[i];
                config.epoch = epoch;
                config.index = index;
                check_batches(*state, &config, 5);
            }
}

static void every_epoch_gives_every_row_once_in_another_order(void **state)
{
    const bench *const b = *state;
    fc_mixer *const mixer = start(b, &shapes[0]);
    uint32_t first[3];
    for (int64_t epoch = 0; epoch < 3; epoch++) {
        int n_seen[N_ROWS] = {0};
        for (int64_t index = 0; index < 13; index++) {
            const fc_mixed_batch *const batch = fc_mixer_next(mixer);
            for (int64_t i = 0; i < batch->n; i++) n_seen[batch->row[i]]++;
            if (index == 0) first[epoch] = batch->row[0] << 16 | batch->row[1];
        }
        for (int64_t i = 0; i < N_ROWS; i++) assert_int_equal(n_seen[i], 1);
    }
    assert_true(first[0] != first[1] && first[1] != first[2]);
    fc_mixer_free(mixer);
}

static void another_seed_gives_another_order(void **state)
{
    const bench *const b = *state;
    fc_mixer_config config = shapes[0];
    fc_mixer *const a = start(b, &config);
    config.seed++;
    fc_mixer *const other = start(b, &config);
    assert_memory_not_equal(fc_mixer_next(a)->row, fc_mixer_next(other)->row,
                            16 * sizeof(uint32_t));
    fc_mixer_free(a);
    fc_mixer_free(other);
}

static void the_number_of_threads_does_not_matter(void **state)
{
    for (int n_threads = 1; n_threads <= 4; n_threads++) {
        fc_par_set_threads(n_threads);
        check_batches(*state, &shapes[0], 30);
    }
    fc_par_set_threads(0);
}

static void a_slow_caller_keeps_its_batch(void **state)
{
    const bench *const b = *state;
    fc_mixer *const mixer = start(b, &shapes[0]);
    const struct timespec pause = {.tv_nsec = 2000000};
    uint32_t order[N_ROWS];
    order_of(order, &shapes[0], 0);
    for (int64_t k = 0; k < 8; k++) {
        const fc_mixed_batch *const batch = fc_mixer_next(mixer);
        nanosleep(&pause, NULL);
        check_rows(b, batch, order + k * 16);
    }
    fc_mixer_free(mixer);
}

static void it_can_be_stopped_at_any_time(void **state)
{
    const bench *const b = *state;
    for (int n_taken = 0; n_taken < 30; n_taken++) {
        fc_mixer *const mixer = start(b, &shapes[0]);
        for (int k = 0; k < n_taken; k++) assert_non_null(fc_mixer_next(mixer));
        fc_mixer_free(mixer);
    }
}

static void the_steady_state_allocates_nothing(void **state)
{
    const bench *const b = *state;
    for (size_t i = 0; i < FC_LEN(shapes); i++) {
        fc_mixer *const mixer = start(b, &shapes[i]);
        for (int k = 0; k < 3; k++) assert_non_null(fc_mixer_next(mixer));
        const int64_t n = fc_alloc_count();
        for (int k = 0; k < 500; k++) assert_non_null(fc_mixer_next(mixer));
        assert_int_equal(fc_alloc_count(), n);
        fc_mixer_free(mixer);
    }
}

static void stores_of_half_the_memory_are_mixed_in_blocks(void **state)
{
    const bench *const b = *state;
    const int64_t row = FAKE_D * 2, store = N_ROWS * row;
    assert_false(fc_mixer_wants_blocks(b->store, INT64_MAX));
    assert_false(fc_mixer_wants_blocks(b->store, 2 * store + 2));
    assert_true(fc_mixer_wants_blocks(b->store, 2 * store));
    assert_true(fc_mixer_wants_blocks(b->store, store));
    assert_int_equal(fc_mixer_buffer_rows(b->store, 400 * row), 100);
    assert_int_equal(fc_mixer_buffer_rows(b->store, 0), 1);
    assert_int_equal(fc_mixer_buffer_rows(b->store, INT64_MAX),
                     FC_MIX_BUFFER_BYTES / row);
}

static fc_status mix_a_little(void *ctx, fc_err *err)
{
    const bench *const b = ctx;
    fc_mixer *mixer = NULL;
    FC_TRY(fc_mixer_new(&mixer, b->store, &b->normaliser, &shapes[0], err));
    fc_mixer_next(mixer);
    fc_mixer_free(mixer);
    return FC_OK;
}

static void every_failed_allocation_is_reported(void **state)
{
    assert_int_equal(fc_test_sweep_alloc(mix_a_little, NULL, *state), 10);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define WITH_F32(test)   cmocka_unit_test_setup_teardown(test, set_up_f32, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(batches_hold_the_rows_of_the_order),
        WITH_F32(batches_hold_the_rows_of_the_order),
        WITH_STORE(training_can_begin_at_any_batch),
        WITH_STORE(every_epoch_gives_every_row_once_in_another_order),
        WITH_STORE(another_seed_gives_another_order),
        WITH_STORE(the_number_of_threads_does_not_matter),
        WITH_STORE(a_slow_caller_keeps_its_batch),
        WITH_STORE(it_can_be_stopped_at_any_time),
        WITH_STORE(the_steady_state_allocates_nothing),
        WITH_STORE(stores_of_half_the_memory_are_mixed_in_blocks),
        WITH_STORE(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
