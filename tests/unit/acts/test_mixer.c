/* test_mixer.c - every row once an epoch, in the order of the permutation, from any place, whatever
 * the caller's pace.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fake_store.h"

#include <string.h>
#include <time.h>

#include "acts/mixer.h"
#include "base/alloc.h"

enum { N_ROWS = 203, SEED = 11 };

typedef struct bench { /* a store, ready to be mixed */
    fake_folders *folders;
    fc_store *store;
    fc_normaliser normaliser;
} bench;

static int set_up(void **state)
{
    bench *const b = calloc(1, sizeof *b);
    void *folders = NULL;
    fc_err err;
    assert_non_null(b);
    assert_int_equal(fake_setup(&folders), 0);
    b->folders = folders;
    fake_make(b->folders->a, FC_BF16, N_ROWS, 50);
    fc_assert_ok(fc_store_open(&b->store, b->folders->a, false, false, &err), &err);
    fc_assert_ok(
        fc_normaliser_of_store(&b->normaliser, FC_NORM_CENTER_UNIT, b->store, &err),
        &err);
    *state = b;
    return 0;
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

static fc_mixer *start(const bench *b, int64_t batch_size, bool drop_last, int64_t epoch,
                       int64_t index)
{
    fc_err err;
    fc_mixer *mixer = NULL;
    const fc_mixer_config config = {.batch_size = batch_size,
                                    .seed = SEED,
                                    .drop_last = drop_last,
                                    .epoch = epoch,
                                    .index = index};
    fc_assert_ok(fc_mixer_new(&mixer, b->store, &b->normaliser, &config, &err), &err);
    return mixer;
}

/* The batch holds what (seed, epoch, index) say, computed here without a mixer. */
static void check_batch(const bench *b, const fc_mixed_batch *batch, int64_t batch_size,
                        int64_t epoch, int64_t index)
{
    uint32_t order[N_ROWS];
    float x[FAKE_D];
    fc_row_norm norm;
    fc_rng_permutation(SEED, (uint64_t)(FC_RNG_EPOCH + epoch), N_ROWS, order);
    assert_int_equal(batch->epoch, epoch);
    assert_int_equal(batch->index, index);
    assert_int_equal(batch->n, fc_min(batch_size, N_ROWS - index * batch_size));
    for (int64_t i = 0; i < batch->n; i++) {
        const uint32_t row = order[index * batch_size + i];
        assert_int_equal(batch->row[i], row);
        fc_store_read(b->store, row, 1, x);
        fc_normalise(&b->normaliser, x, x, &norm, 1);
        assert_memory_equal(batch->x + i * FAKE_D, x, sizeof x);
        assert_memory_equal(batch->norm + i, &norm, sizeof norm);
    }
}

static void every_epoch_gives_every_row_once_in_another_order(void **state)
{
    const bench *const b = *state;
    fc_mixer *const mixer = start(b, 16, false, 0, 0);
    const int64_t n_batches = fc_mixer_batches(N_ROWS, 16, false);
    uint32_t first[2] = {0};
    assert_int_equal(n_batches, 13);
    for (int64_t epoch = 0; epoch < 3; epoch++) {
        int n_seen[N_ROWS] = {0};
        for (int64_t index = 0; index < n_batches; index++) {
            const fc_mixed_batch *const batch = fc_mixer_next(mixer);
            check_batch(b, batch, 16, epoch, index);
            for (int64_t i = 0; i < batch->n; i++) n_seen[batch->row[i]]++;
            if (index == 0 && epoch < 2)
                first[epoch] = batch->row[0] << 16 | batch->row[1];
        }
        for (int64_t i = 0; i < N_ROWS; i++) assert_int_equal(n_seen[i], 1);
    }
    assert_true(first[0] != first[1]);
    fc_mixer_free(mixer);
}

static void a_short_last_batch_is_kept_or_dropped(void **state)
{
    const bench *const b = *state;
    static const struct shape {
        int64_t size, n_kept, n_dropped;
    } shapes[] = {{1, 203, 203}, {7, 29, 29}, {100, 3, 2}, {203, 1, 1}, {202, 2, 1}};
    for (size_t i = 0; i < FC_LEN(shapes); i++) {
        const struct shape *const shape = &shapes[i];
        assert_int_equal(fc_mixer_batches(N_ROWS, shape->size, false), shape->n_kept);
        assert_int_equal(fc_mixer_batches(N_ROWS, shape->size, true), shape->n_dropped);
        for (int drop = 0; drop < 2; drop++) {
            const int64_t n = drop ? shape->n_dropped : shape->n_kept;
            fc_mixer *const mixer = start(b, shape->size, drop, 0, n - 1);
            check_batch(b, fc_mixer_next(mixer), shape->size, 0, n - 1);
            check_batch(b, fc_mixer_next(mixer), shape->size, 1, 0);
            fc_mixer_free(mixer);
        }
    }
}

static void a_batch_larger_than_the_store_is_the_whole_store(void **state)
{
    const bench *const b = *state;
    const int64_t sizes[] = {N_ROWS + 1, 100000, INT64_MAX};
    for (size_t i = 0; i < FC_LEN(sizes); i++) {
        fc_mixer *const mixer = start(b, sizes[i], false, 0, 0);
        for (int64_t epoch = 0; epoch < 2; epoch++)
            check_batch(b, fc_mixer_next(mixer), N_ROWS, epoch, 0);
        fc_mixer_free(mixer);
    }
}

static void training_can_begin_at_any_batch(void **state)
{
    const bench *const b = *state;
    for (int64_t epoch = 0; epoch < 3; epoch++)
        for (int64_t index = 0; index < 13; index += 4) {
            fc_mixer *const mixer = start(b, 16, false, epoch, index);
            for (int64_t k = 0; k < 5; k++) {
                const int64_t at = epoch * 13 + index + k;
                check_batch(b, fc_mixer_next(mixer), 16, at / 13, at % 13);
            }
            fc_mixer_free(mixer);
        }
}

/* The slot in the caller's hands stays as it is, however long the thread has been waiting. */
static void a_slow_caller_keeps_its_batch(void **state)
{
    const bench *const b = *state;
    fc_mixer *const mixer = start(b, 16, false, 0, 0);
    const struct timespec pause = {.tv_nsec = 2000000};
    for (int64_t k = 0; k < 8; k++) {
        const fc_mixed_batch *const batch = fc_mixer_next(mixer);
        nanosleep(&pause, NULL);
        check_batch(b, batch, 16, 0, k);
    }
    fc_mixer_free(mixer);
}

static void it_can_be_stopped_at_any_time(void **state)
{
    const bench *const b = *state;
    for (int n_taken = 0; n_taken < 30; n_taken++) {
        fc_mixer *const mixer = start(b, 16, false, 0, 0);
        for (int k = 0; k < n_taken; k++) assert_non_null(fc_mixer_next(mixer));
        fc_mixer_free(mixer);
    }
    fc_mixer_free(NULL);
}

static void the_steady_state_allocates_nothing(void **state)
{
    const bench *const b = *state;
    fc_mixer *const mixer = start(b, 16, false, 0, 0);
    for (int k = 0; k < 3; k++) assert_non_null(fc_mixer_next(mixer));
    const int64_t n = fc_alloc_count();
    for (int k = 0; k < 100; k++) assert_non_null(fc_mixer_next(mixer));
    assert_int_equal(fc_alloc_count(), n);
    fc_mixer_free(mixer);
}

static void impossible_settings_are_refused(void **state)
{
    const bench *const b = *state;
    static const struct bad {
        fc_mixer_config config;
        const char *word;
    } cases[] = {{{.batch_size = 0}, "batch size is 0"},
                 {{.batch_size = -5}, "batch size is -5"},
                 {{.batch_size = 204, .drop_last = true}, "no whole batch of 204"},
                 {{.batch_size = 16, .index = 13}, "has 13 batches"},
                 {{.batch_size = 16, .index = -1}, "batch -1"},
                 {{.batch_size = 16, .epoch = -1}, "epoch -1"},
                 {{.batch_size = 16, .drop_last = true, .index = 12}, "has 12 batches"},
                 {{.batch_size = 16, .buffer_rows = -1}, "buffer has -1 rows"},
                 {{.batch_size = 16, .buffer_rows = 9, .piece_rows = -2}, "read -2 at"}};
    fc_err err;
    fc_mixer *mixer = NULL;
    for (size_t i = 0; i < FC_LEN(cases); i++)
        fc_assert_fails(
            fc_mixer_new(&mixer, b->store, &b->normaliser, &cases[i].config, &err), &err,
            FC_USAGE, cases[i].word);
    const fc_mixer_config config = {.batch_size = 16};
    const fc_normaliser narrow = {.d = FAKE_D - 1};
    fc_assert_fails(fc_mixer_new(&mixer, b->store, &narrow, &config, &err), &err,
                    FC_MISMATCH, "width 19", "18");
    assert_null(mixer);
}

static fc_status mix_a_little(void *ctx, fc_err *err)
{
    const bench *const b = ctx;
    fc_mixer *mixer = NULL;
    const fc_mixer_config config = {.batch_size = 16};
    FC_TRY(fc_mixer_new(&mixer, b->store, &b->normaliser, &config, err));
    fc_mixer_next(mixer);
    fc_mixer_free(mixer);
    return FC_OK;
}

static void every_failed_allocation_is_reported(void **state)
{
    assert_int_equal(fc_test_sweep_alloc(mix_a_little, NULL, *state), 5);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(every_epoch_gives_every_row_once_in_another_order),
        WITH_STORE(a_short_last_batch_is_kept_or_dropped),
        WITH_STORE(a_batch_larger_than_the_store_is_the_whole_store),
        WITH_STORE(training_can_begin_at_any_batch),
        WITH_STORE(a_slow_caller_keeps_its_batch),
        WITH_STORE(it_can_be_stopped_at_any_time),
        WITH_STORE(the_steady_state_allocates_nothing),
        WITH_STORE(impossible_settings_are_refused),
        WITH_STORE(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
