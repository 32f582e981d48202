/* test_harvest_resume.c - collecting that is stopped, killed or swept by faults goes on to the bytes
 * of a run that never was, and computes no row twice.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "harvest_bench.h"

#include <inttypes.h>

#include "base/alloc.h"

/* Collects into folder b, with Ctrl-C at batch `n`. */
static fc_status collect_and_stop(bench *b, int n, fc_err *err)
{
    stopper s = {.n_left = n + 1}; /* the first call is the beginning */
    fc_log_set_sink((fc_log_sink){.progress = stop_after_some, .ctx = &s});
    const fc_status status = collect(b, b->folders->b, err);
    fc_log_set_sink((fc_log_sink){0});
    fc_cancel_set(false);
    return status;
}

/* Stops at batch `n` again and again, in small shards and in one that is never full. A stop falls
 * between whole sequences, so none is computed twice. */
static void stopping_at_any_batch_changes_no_byte_and_computes_none_again(void **state)
{
    bench *const b = *state;
    const int64_t shard_rows[] = {40, 1000};
    fc_err err;
    b->config.tokens = 500;
    for (size_t i = 0; i < FC_LEN(shard_rows); i++) {
        b->config.shard_rows = shard_rows[i];
        fc_assert_ok(collect(b, b->folders->a, &err), &err);
        const int64_t n_whole = b->result.n_tokens_run;
        for (int n = 1; n <= 4; n++) {
            fc_status status = FC_CANCELLED;
            int n_stops = -1;
            int64_t n_run = 0;
            for (; status == FC_CANCELLED && n_stops < 50; n_stops++) {
                status = collect_and_stop(b, n, &err);
                n_run += b->result.n_tokens_run;
            }
            fc_assert_ok(status, &err);
            assert_true(n_stops >= 1);
            assert_int_equal(n_run, n_whole);
            fake_assert_same(b->folders);
            fake_empty(b->folders->b);
        }
        fake_empty(b->folders->a);
    }
}

static void stopping_says_how_much_is_safe(void **state)
{
    bench *const b = *state;
    char safe[64];
    fc_err err, again;
    b->config.tokens = 500;
    fc_assert_fails(collect_and_stop(b, 2, &err), &err, FC_CANCELLED, "of 500",
                    "safe on disk", "the same command goes on");
    const int64_t n_safe = strtoll(err.text + strlen("stopped with "), NULL, 10);
    assert_in_range(n_safe, 100, 200); /* two batches of up to 100 tokens, in one shard */
    fc_assert_fails(collect_and_stop(b, 1, &again), &again, FC_CANCELLED, "safe");
    snprintf(safe, sizeof safe, "stopped with %" PRId64, n_safe);
    assert_null(strstr(again.text, safe)); /* it went on */
}

/* After every batch, and never: neither is seen in the result. */
static void checkpoints_change_no_byte(void **state)
{
    bench *const b = *state;
    const fc_every every[] = {{.steps = 1}, {.steps = 130}, {.seconds = 1e-9}};
    fc_err err;
    b->config.checkpoint_every = (fc_every){.seconds = 1e9};
    fc_assert_ok(collect(b, b->folders->a, &err), &err);
    for (size_t i = 0; i < FC_LEN(every); i++) {
        b->config.checkpoint_every = every[i];
        fc_assert_ok(collect(b, b->folders->b, &err), &err);
        fake_assert_same(b->folders);
        fake_empty(b->folders->b);
    }
}

static void stored_rows_are_not_computed_again(void **state)
{
    bench *const b = *state;
    fc_err err;
    b->config.tokens = 500;
    fc_assert_ok(collect(b, b->folders->a, &err), &err);
    const int64_t n_whole = b->result.n_tokens_run;
    fc_assert_ok(collect(b, b->folders->a, &err), &err);
    assert_int_equal(b->result.n_tokens_run, 0);
    assert_int_equal(b->result.n_rows, 500);
    fc_test_path(b->folders->path_a, b->folders->a,
                 "shard-00003.safetensors"); /* rows 450.. */
    fc_assert_ok(fc_file_remove(b->folders->path_a, &err), &err);
    fc_assert_ok(collect(b, b->folders->a, &err), &err);
    assert_in_range(b->result.n_tokens_run, 50, 50 + 2 * b->config.batch_tokens);
    assert_true(b->result.n_tokens_run < n_whole / 2);
    fc_assert_ok(collect(b, b->folders->b, &err), &err);
    fake_assert_same(b->folders);
}

static fc_status collect_into_b(void *ctx, fc_err *err)
{
    bench *const b = ctx;
    return collect(b, b->folders->b, err);
}

static void goes_on(void *ctx)
{
    bench *const b = ctx;
    fc_err err;
    fc_write_fail_at(0);
    fc_alloc_fail_at(0);
    fc_assert_ok(collect(b, b->folders->b, &err), &err);
    fake_assert_same(b->folders);
    fake_empty(b->folders->b);
}

static void every_failed_write_is_reported_and_collecting_goes_on(void **state)
{
    bench *const b = *state;
    fc_err err;
    b->config.tokens = 250;
    b->config.checkpoint_every = (fc_every){.steps = 60};
    fc_assert_ok(collect(b, b->folders->a, &err), &err);
    assert_in_range(fc_test_sweep_write(collect_into_b, goes_on, b), 12, 100);
}

/* The tokenizer's own thousands have their own sweep: here a sample, closer at both ends. */
static void failed_allocations_are_reported_and_leave_no_half_store(void **state)
{
    bench *const b = *state;
    fc_err err;
    b->config.tokens = 250;
    b->config.checkpoint_every = (fc_every){.steps = 60};
    const int64_t n_before = fc_alloc_count();
    fc_assert_ok(collect(b, b->folders->a, &err), &err);
    const int64_t n = fc_alloc_count() - n_before;
    for (int64_t i = 1; i <= n; i += i < 20 || i > n - 60 ? 5 : n / 12 + 1) {
        fc_alloc_fail_at(i);
        const fc_status status = collect(b, b->folders->b, &err);
        fc_alloc_fail_at(0);
        assert_int_equal(status, FC_NOMEM);
        goes_on(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_MODEL(stopping_at_any_batch_changes_no_byte_and_computes_none_again),
        WITH_MODEL(stopping_says_how_much_is_safe),
        WITH_MODEL(checkpoints_change_no_byte),
        WITH_MODEL(stored_rows_are_not_computed_again),
        WITH_MODEL(every_failed_write_is_reported_and_collecting_goes_on),
        WITH_MODEL(failed_allocations_are_reported_and_leave_no_half_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
