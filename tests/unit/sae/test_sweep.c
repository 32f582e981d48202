/* test_sweep.c - runs side by side: each gives what it gives alone, wherever all of them were stopped.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "stream_bench.h"

#include "base/alloc.h"
#include "base/par.h"
#include "sae/sweep.h"

enum { N_RUNS = 4 };

static const char both_hooks[] =
    "model.layers.1.mlp.down_proj,model.layers.0.self_attn.o_proj:input";

typedef struct planned {
    fc_train_config config[N_RUNS];
    int hook[N_RUNS];
    char alone[N_RUNS][FC_PATH_MAX], together[N_RUNS][FC_PATH_MAX];
    int64_t n_ended;
} planned;

/* Of other sizes, seeds, numbers of epochs and steps, on either hook. */
static void plan(planned *p, const bench *b)
{
    for (int i = 0; i < N_RUNS; i++) {
        char name[32];
        fc_train_config *const config = &p->config[i];
        *config = stream_train_config();
        config->d_sae = 64 + 16 * i;
        config->seed = i / 2;
        config->batch_size = i == 1 ? 48 : 64;
        config->epochs = i == 2 ? 3 : 2;
        config->max_steps = i == 3 ? 9 : 0;
        config->drop_last = i == 1;
        p->hook[i] = i % 2;
        snprintf(name, sizeof name, "alone-%d", i);
        fc_test_path(p->alone[i], b->folders->a, name);
        snprintf(name, sizeof name, "together-%d", i);
        fc_test_path(p->together[i], b->folders->b, name);
    }
}

static fc_status count_end(void *ctx, int64_t i, fc_err *err)
{
    planned *const p = ctx;
    (void)i;
    (void)err;
    p->n_ended++;
    return FC_OK;
}

static fc_status open_feeds(fc_sweep_run *runs, const planned *p, int n,
                            fc_windows *windows, fc_err *err)
{
    for (int i = 0; i < n; i++) {
        runs[i] = (fc_sweep_run){.dir = p->together[i], .config = &p->config[i]};
        FC_TRY(fc_feed_of_windows(&runs[i].feed, windows, p->hook[i], -1, false, err));
    }
    return FC_OK;
}

/* The first n runs side by side. */
static fc_status sweep(bench *b, planned *p, fc_sweep_run *runs, int n, fc_err *err)
{
    const char *const paths[] = {b->text};
    const fc_harvest_text text = {&b->config, paths, 1};
    fc_windows *windows = NULL;
    fc_backend *be[2] = {NULL, NULL};
    fc_status status;
    snprintf(b->config.hook, sizeof b->config.hook, "%s", both_hooks);
    memset(runs, 0, (size_t)n * sizeof *runs);
    FC_TRY_GOTO(fc_backend_open(&be[0], NULL, err));
    FC_TRY_GOTO(fc_backend_open(&be[1], NULL, err));
    FC_TRY_GOTO(open_windows(&windows, &text, be[0], err));
    FC_TRY_GOTO(open_feeds(runs, p, n, windows, err));
    status = fc_sweep_train(runs, n, windows, be[1], count_end, p, err);
done:
    for (int i = 0; i < n; i++) fc_feed_close(runs[i].feed);
    fc_windows_close(windows);
    fc_backend_close(be[0]);
    fc_backend_close(be[1]);
    return status;
}

static void train_alone(bench *b, const planned *p)
{
    static const char *const names[] = {stream_hook, stream_target};
    fc_train_result result;
    fc_err err;
    for (int i = 0; i < N_RUNS; i++) {
        snprintf(b->config.hook, sizeof b->config.hook, "%s", names[p->hook[i]]);
        fc_assert_ok(train_stream(b, &p->config[i], p->alone[i], false, &result, &err),
                     &err);
    }
}

static void assert_as_alone(const planned *p, int n)
{
    for (int i = 0; i < n; i++) assert_same_weights(p->alone[i], p->together[i]);
}

static void every_run_gives_what_it_gives_alone(void **state)
{
    bench *const b = *state;
    static planned p;
    static fc_sweep_run runs[N_RUNS];
    fc_err err;
    plan(&p, b);
    train_alone(b, &p);
    for (int n_threads = 1; n_threads <= 3; n_threads += 2) {
        fc_par_set_threads(n_threads);
        p.n_ended = 0;
        fc_assert_ok(sweep(b, &p, runs, N_RUNS, &err), &err);
        assert_int_equal(p.n_ended, N_RUNS);
        assert_as_alone(&p, N_RUNS);
        assert_int_equal(runs[3].result.steps, 9);
        fake_empty(b->folders->b);
    }
    fc_par_set_threads(0);
}

/* --- stopping ----------------------------------------------------------------------------- */

/* After so many steps of all runs together. */
static void stop_at(void *ctx, const fc_progress *progress, int is_end)
{
    const int *const after = ctx;
    if (is_end || strcmp(progress->job, "sweep") != 0) return;
    if (progress->done >= progress->begin_done + *after) fc_cancel_set(true);
}

static fc_status sweep_and_stop(bench *b, planned *p, fc_sweep_run *runs, int after,
                                fc_err *err)
{
    fc_log_set_sink((fc_log_sink){.progress = stop_at, .ctx = &after});
    const fc_status status = sweep(b, p, runs, N_RUNS, err);
    fc_log_set_sink((fc_log_sink){0});
    fc_cancel_set(false);
    return status;
}

static void stopping_anywhere_and_going_on_changes_no_byte(void **state)
{
    bench *const b = *state;
    static planned p;
    static fc_sweep_run runs[N_RUNS];
    const int after[] = {1, 4, 11, 23};
    fc_err err;
    plan(&p, b);
    train_alone(b, &p);
    for (size_t k = 0; k < FC_LEN(after); k++) {
        fc_status status = FC_CANCELLED;
        int n_stops = -1;
        for (; status == FC_CANCELLED && n_stops < 200; n_stops++)
            status = sweep_and_stop(b, &p, runs, after[k], &err);
        fc_assert_ok(status, &err);
        assert_true(n_stops >= 1);
        assert_as_alone(&p, N_RUNS);
        fake_empty(b->folders->b);
    }
}

/* As kill -9 leaves them: one run has no checkpoint, one is at its end, another run comes new. */
static void runs_at_different_places_go_on_together(void **state)
{
    bench *const b = *state;
    static planned p;
    static fc_sweep_run runs[N_RUNS];
    fc_err err;
    plan(&p, b);
    train_alone(b, &p);
    fc_assert_ok(sweep(b, &p, runs, 1, &err), &err); /* run 0 is at its end */
    assert_int_equal(sweep_and_stop(b, &p, runs, 40, &err), FC_CANCELLED);
    char path[FC_PATH_MAX];
    fc_test_path(path, p.together[1], "checkpoints");
    fc_test_dir_remove(path);
    fc_assert_ok(sweep(b, &p, runs, N_RUNS, &err), &err);
    assert_as_alone(&p, N_RUNS);
}

/* --- failures ----------------------------------------------------------------------------- */

static void a_run_that_diverges_ends_alone(void **state)
{
    bench *const b = *state;
    static planned p;
    static fc_sweep_run runs[N_RUNS];
    fc_err err;
    plan(&p, b);
    train_alone(b, &p);
    p.config[2].lr = 10;
    p.config[2].adam_eps = 0;
    p.config[2].l1_coefficient = 1e6;
    p.config[2].normalization = FC_NORM_NONE;
    p.config[2].mse_form = FC_MSE_SUM;
    p.config[2].epochs = 60;
    const fc_status status = sweep(b, &p, runs, N_RUNS, &err);
    fc_assert_ok(status, &err);
    assert_same_weights(p.alone[0], p.together[0]);
    assert_same_weights(p.alone[3], p.together[3]);
    if (runs[2].failure != FC_OK) {
        assert_int_equal(runs[2].failure, FC_MISMATCH);
        assert_non_null(strstr(runs[2].why.text, "diverged"));
    }
}

static void runs_must_agree_on_windows(void **state)
{
    bench *const b = *state;
    static planned p;
    static fc_sweep_run runs[N_RUNS];
    fc_err err;
    plan(&p, b);
    p.config[1].mix_buffer_rows = 100;
    fc_assert_fails(sweep(b, &p, runs, N_RUNS, &err), &err, FC_MISMATCH,
                    "windows of 100 rows", "200");
}

typedef struct swept {
    bench *bench;
    planned plan;
    fc_sweep_run runs[N_RUNS];
} swept;

static fc_status sweep_two(void *ctx, fc_err *err)
{
    swept *const s = ctx;
    return sweep(s->bench, &s->plan, s->runs, 2, err);
}

static void goes_on(void *ctx)
{
    swept *const s = ctx;
    fc_err err;
    fc_write_fail_at(0);
    fc_alloc_fail_at(0);
    fc_assert_ok(sweep_two(s, &err), &err);
    assert_as_alone(&s->plan, 2);
    fake_empty(s->bench->folders->b);
}

static void failed_writes_and_allocations_are_reported_and_the_sweep_goes_on(void **state)
{
    static swept s;
    fc_err err;
    s.bench = *state;
    plan(&s.plan, s.bench);
    train_alone(s.bench, &s.plan);
    for (int64_t i = 1; i < 60; i += 7) {
        fc_write_fail_at(i);
        const fc_status status = sweep_two(&s, &err);
        fc_write_fail_at(0);
        if (status != FC_OK) assert_int_equal(status, FC_IO);
        goes_on(&s);
    }
    const int64_t n_before = fc_alloc_count();
    fc_assert_ok(sweep_two(&s, &err), &err);
    const int64_t n = fc_alloc_count() - n_before;
    fake_empty(s.bench->folders->b);
    for (int64_t i = 1; i <= n - 20; i += i > n - 300 ? 13 : n / 5 + 1) {
        fc_alloc_fail_at(i);
        const fc_status status = sweep_two(&s, &err);
        fc_alloc_fail_at(0);
        if (status != FC_OK) assert_int_equal(status, FC_NOMEM);
        goes_on(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_MODEL(every_run_gives_what_it_gives_alone),
        WITH_MODEL(stopping_anywhere_and_going_on_changes_no_byte),
        WITH_MODEL(runs_at_different_places_go_on_together),
        WITH_MODEL(a_run_that_diverges_ends_alone),
        WITH_MODEL(runs_must_agree_on_windows),
        WITH_MODEL(failed_writes_and_allocations_are_reported_and_the_sweep_goes_on),
    };
    fc_sync_skip(true);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
