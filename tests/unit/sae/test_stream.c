/* test_stream.c - training without a store: the same bytes as with one where the order is the same,
 * for any number of threads, and however often it was stopped.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "stream_bench.h"

#include <unistd.h>

#include "base/alloc.h"
#include "base/par.h"

static void run_path(char *path, const bench *b, const char *name)
{
    fc_test_path(path, b->folders->b, name);
}

static void one_window_of_the_whole_text_gives_the_bytes_of_a_store(void **state)
{
    bench *const b = *state;
    char store[FC_PATH_MAX], run_store[FC_PATH_MAX], run_stream[FC_PATH_MAX];
    fc_train_config config = stream_train_config();
    fc_train_result from_store, from_stream;
    fc_err err;
    fc_test_path(store, b->folders->a, "acts");
    run_path(run_store, b, "store");
    run_path(run_stream, b, "stream");
    b->config.precision = FC_F32_PRECISION;
    fc_assert_ok(collect(b, store, &err), &err);
    config.shuffle = FC_SHUFFLE_FULL;
    fc_assert_ok(fc_train(&config, store, b->be, run_store, false, &from_store, &err),
                 &err);
    config.shuffle = FC_SHUFFLE_AUTO;
    config.mix_buffer_rows = 1000000;
    fc_assert_ok(train_stream(b, &config, run_stream, false, &from_stream, &err), &err);
    assert_same_weights(run_store, run_stream);
    assert_int_equal(from_store.steps, from_stream.steps);
    assert_true(from_store.mse == from_stream.mse);
}

/* --- the same bytes ----------------------------------------------------------------------- */

static void threads_and_batches_of_the_model_change_no_byte(void **state)
{
    bench *const b = *state;
    char whole[FC_PATH_MAX], run[FC_PATH_MAX];
    const fc_train_config config = stream_train_config();
    fc_train_result result;
    fc_err err;
    run_path(whole, b, "whole");
    run_path(run, b, "run");
    fc_assert_ok(train_stream(b, &config, whole, false, &result, &err), &err);
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        fc_par_set_threads(n_threads);
        b->config.batch_tokens = 30 + 200 * (n_threads - 1);
        fc_assert_ok(train_stream(b, &config, run, false, &result, &err), &err);
        assert_same_weights(whole, run);
        fc_test_dir_remove(run);
    }
    fc_par_set_threads(0);
}

typedef struct stopping {
    double at; /* step of training at which to stop; < 0: at the first window */
} stopping;

static void stop_at(void *ctx, const fc_progress *progress, int is_end)
{
    const stopping *const s = ctx;
    const bool is_train = strcmp(progress->job, "train") == 0;
    if (is_end) return;
    if (s->at < 0 && !is_train) fc_cancel_set(true);
    if (s->at >= 0 && is_train && progress->done == s->at) fc_cancel_set(true);
}

static fc_status train_and_stop(const bench *b, const fc_train_config *config,
                                const char *run, double at, fc_err *err)
{
    stopping s = {at};
    fc_train_result result;
    fc_log_set_sink((fc_log_sink){.progress = stop_at, .ctx = &s});
    const fc_status status = train_stream(b, config, run, true, &result, err);
    fc_log_set_sink((fc_log_sink){0});
    fc_cancel_set(false);
    return status;
}

static void stopping_anywhere_and_going_on_changes_no_byte(void **state)
{
    bench *const b = *state;
    char whole[FC_PATH_MAX], run[FC_PATH_MAX];
    fc_train_config config = stream_train_config();
    fc_train_result result;
    fc_err err;
    run_path(whole, b, "whole");
    run_path(run, b, "run");
    for (int drop_last = 0; drop_last < 2; drop_last++) {
        config.drop_last = drop_last == 1;
        fc_assert_ok(train_stream(b, &config, whole, false, &result, &err), &err);
        const int64_t n_steps = result.steps;
        assert_true(n_steps >= 16);
        fc_assert_fails(train_and_stop(b, &config, run, -1, &err), &err, FC_CANCELLED,
                        "stopped");
        for (int64_t at = 1; at < n_steps - 1; at += 3)
            fc_assert_fails(train_and_stop(b, &config, run, (double)at, &err), &err,
                            FC_CANCELLED, "with a checkpoint in", "--resume");
        fc_assert_ok(train_stream(b, &config, run, true, &result, &err), &err);
        assert_same_weights(whole, run);
        fc_test_dir_remove(run);
        fc_test_dir_remove(whole);
    }
}

/* Of a killed process the checkpoints are left, and perhaps no moments. */
static void missing_or_damaged_moments_are_found_again(void **state)
{
    bench *const b = *state;
    char whole[FC_PATH_MAX], run[FC_PATH_MAX], path[FC_PATH_MAX];
    const fc_train_config config = stream_train_config();
    fc_train_result result;
    fc_err err;
    run_path(whole, b, "whole");
    run_path(run, b, "run");
    fc_assert_ok(train_stream(b, &config, whole, false, &result, &err), &err);
    fc_assert_fails(train_and_stop(b, &config, run, 4, &err), &err, FC_CANCELLED, "at");
    fc_test_path(path, run, "stream.safetensors");
    fc_assert_ok(fc_file_remove(path, &err), &err);
    fc_assert_fails(train_and_stop(b, &config, run, 9, &err), &err, FC_CANCELLED, "at");
    size_t n;
    char *const bytes = fc_test_read(path, &n);
    bytes[n - 1] = (char)(bytes[n - 1] ^ 1);
    fc_test_write(path, bytes, n);
    free(bytes);
    fc_assert_fails(train_and_stop(b, &config, run, 14, &err), &err, FC_CANCELLED, "at");
    fc_test_write(path, "torn", 4);
    fc_assert_ok(train_stream(b, &config, run, true, &result, &err), &err);
    assert_same_weights(whole, run);
}

static void the_size_of_windows_changes_the_order(void **state)
{
    bench *const b = *state;
    fc_train_config config = stream_train_config();
    fc_train_result one, other;
    char run[FC_PATH_MAX];
    fc_err err;
    run_path(run, b, "one");
    config.max_steps = 15;
    fc_assert_ok(train_stream(b, &config, run, false, &one, &err), &err);
    run_path(run, b, "other");
    config.mix_buffer_rows = 300;
    fc_assert_ok(train_stream(b, &config, run, false, &other, &err), &err);
    assert_true(one.mse != other.mse);
    assert_int_equal(one.steps, 15);
    config.mix_buffer_rows = 200;
    fc_assert_fails(train_stream(b, &config, run, true, &other, &err), &err, FC_MISMATCH,
                    "mix_buffer_rows is 300", "200");
}

/* --- mistakes ----------------------------------------------------------------------------- */

static void mistakes_are_refused_in_a_sentence(void **state)
{
    bench *const b = *state;
    fc_train_config config = stream_train_config();
    fc_train_result result;
    char run[FC_PATH_MAX];
    fc_err err;
    run_path(run, b, "run");
    config.shuffle = FC_SHUFFLE_FULL;
    fc_assert_fails(train_stream(b, &config, run, false, &result, &err), &err, FC_USAGE,
                    "shuffle is full", "windows");
    config = stream_train_config();
    b->config.tokens = 100000;
    fc_assert_fails(train_stream(b, &config, run, false, &result, &err), &err,
                    FC_MISMATCH, "100000", "were asked for");
    b->config.tokens = 0;
    snprintf(b->text, sizeof b->text, "-");
    fc_assert_fails(train_stream(b, &config, run, false, &result, &err), &err, FC_USAGE,
                    "standard input");
    assert_false(fc_path_exists(run));
}

static void another_text_is_another_run(void **state)
{
    bench *const b = *state;
    const fc_train_config config = stream_train_config();
    fc_train_result result;
    char run[FC_PATH_MAX];
    fc_err err;
    run_path(run, b, "run");
    fc_assert_fails(train_and_stop(b, &config, run, 4, &err), &err, FC_CANCELLED, "at");
    write_text(b->text, N_LINES + 1);
    fc_assert_fails(train_stream(b, &config, run, true, &result, &err), &err, FC_MISMATCH,
                    "rows is");
}

/* --- faults ------------------------------------------------------------------------------- */

typedef struct sweep {
    const bench *bench;
    fc_train_config config;
    char whole[FC_PATH_MAX], run[FC_PATH_MAX];
    fc_train_result result;
} sweep;

static void begin_sweep(sweep *s, const bench *b)
{
    fc_err err;
    *s = (sweep){.bench = b, .config = stream_train_config()};
    s->config.checkpoint_every = (fc_every){.steps = 6};
    s->config.max_steps = 20;
    run_path(s->whole, b, "whole");
    run_path(s->run, b, "run");
    fc_assert_ok(train_stream(b, &s->config, s->whole, false, &s->result, &err), &err);
}

static fc_status train_swept(void *ctx, fc_err *err)
{
    sweep *const s = ctx;
    return train_stream(s->bench, &s->config, s->run, true, &s->result, err);
}

static void goes_on(void *ctx)
{
    sweep *const s = ctx;
    fc_err err;
    fc_write_fail_at(0);
    fc_alloc_fail_at(0);
    fc_assert_ok(train_swept(s, &err), &err);
    assert_same_weights(s->whole, s->run);
    fc_test_dir_remove(s->run);
}

static void every_failed_write_is_reported_and_training_goes_on(void **state)
{
    static sweep s;
    begin_sweep(&s, *state);
    assert_in_range(fc_test_sweep_write(train_swept, goes_on, &s), 10, 400);
}

static void failed_allocations_are_reported_and_training_goes_on(void **state)
{
    static sweep s;
    fc_err err;
    begin_sweep(&s, *state);
    const int64_t n_before = fc_alloc_count();
    fc_assert_ok(train_swept(&s, &err), &err);
    const int64_t n = fc_alloc_count() - n_before;
    fc_test_dir_remove(s.run);
    for (int64_t i = 1; i <= n - 40; i += i > n - 400 ? 11 : n / 8 + 1) {
        fc_alloc_fail_at(i);
        const fc_status status = train_swept(&s, &err);
        fc_alloc_fail_at(0);
        if (status != FC_OK) assert_int_equal(status, FC_NOMEM);
        goes_on(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_MODEL(one_window_of_the_whole_text_gives_the_bytes_of_a_store),
        WITH_MODEL(threads_and_batches_of_the_model_change_no_byte),
        WITH_MODEL(stopping_anywhere_and_going_on_changes_no_byte),
        WITH_MODEL(missing_or_damaged_moments_are_found_again),
        WITH_MODEL(the_size_of_windows_changes_the_order),
        WITH_MODEL(mistakes_are_refused_in_a_sentence),
        WITH_MODEL(another_text_is_another_run),
        WITH_MODEL(every_failed_write_is_reported_and_training_goes_on),
        WITH_MODEL(failed_allocations_are_reported_and_training_goes_on),
    };
    fc_sync_skip(true);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
