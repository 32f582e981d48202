/* test_harvest_hooks.c - several hooks in one forward pass: each store is what collecting its hook
 * alone gives, whatever happens on the way, and their rows are the same tokens.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "harvest_bench.h"

#include "base/alloc.h"
#include "base/par.h"

enum { N_HOOKS = 3, NAME_BYTES = 96 };

/* Not in the order of computation, of different widths, one by another spelling. */
static const char *const hooks[N_HOOKS] = {"model.layers.1.mlp.down_proj",
                                           "model.layers.0.mlp.gate_proj",
                                           "model.layers.0.self_attn.o_proj:input"};
static const char several[] = "model.layers.1.mlp.down_proj,layers.0.mlp.gate_proj,"
                              "model.layers.0.self_attn.o_proj:input";

static void set_hook(bench *b, const char *hook)
{
    snprintf(b->config.hook, sizeof b->config.hook, "%s", hook);
}

static void assert_same_folder(const char *a, const char *b)
{
    fc_names names = {0};
    fc_err err;
    fc_assert_ok(fc_dir_list(&names, a, &err), &err);
    assert_true(names.n >= 4);
    assert_int_equal(names.n, fc_test_count_entries(b));
    for (int64_t i = 0; i < names.n; i++) {
        char path_a[FC_PATH_MAX], path_b[FC_PATH_MAX];
        fc_test_path(path_a, a, names.name[i]);
        fc_test_path(path_b, b, names.name[i]);
        fc_test_assert_files_equal(path_a, path_b);
    }
    fc_names_free(&names);
}

/* Each hook collected alone, into folder a. */
static void collect_alone(bench *b)
{
    fc_err err;
    for (int i = 0; i < N_HOOKS; i++) {
        char dir[FC_PATH_MAX];
        fc_test_path(dir, b->folders->a, hooks[i]);
        set_hook(b, hooks[i]);
        fc_assert_ok(collect(b, dir, &err), &err);
    }
    set_hook(b, several);
}

static void assert_as_alone(bench *b)
{
    assert_int_equal(fc_test_count_entries(b->folders->b), N_HOOKS);
    for (int i = 0; i < N_HOOKS; i++) {
        char alone[FC_PATH_MAX], together[FC_PATH_MAX];
        fc_test_path(alone, b->folders->a, hooks[i]);
        fc_test_path(together, b->folders->b, hooks[i]);
        assert_same_folder(alone, together);
    }
}

static void each_store_is_what_collecting_its_hook_alone_gives(void **state)
{
    bench *const b = *state;
    fc_err err;
    for (int precision = FC_F32_PRECISION; precision <= FC_BF16_PRECISION; precision++) {
        b->config.precision = precision;
        b->config.tokens = 420;
        collect_alone(b);
        fc_assert_ok(collect(b, b->folders->b, &err), &err);
        assert_int_equal(b->result.n_hooks, N_HOOKS);
        assert_string_equal(b->result.hook[1], hooks[1]);
        assert_as_alone(b);
        fake_empty(b->folders->a);
        fake_empty(b->folders->b);
    }
}

static void threads_and_batches_change_no_byte(void **state)
{
    bench *const b = *state;
    fc_err err;
    collect_alone(b);
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        const char *const paths[] = {b->text};
        fc_backend *be = NULL;
        fc_par_set_threads(n_threads);
        fc_assert_ok(fc_backend_open(&be, NULL, &err), &err);
        b->config.batch_tokens = 40 * n_threads;
        fc_assert_ok(
            fc_collect(&b->config, paths, 1, be, b->folders->b, &b->result, &err), &err);
        fc_backend_close(be);
        assert_as_alone(b);
        fake_empty(b->folders->b);
    }
    fc_par_set_threads(0);
}

static void open_hook(fc_store **store, const bench *b, int i)
{
    char dir[FC_PATH_MAX];
    fc_err err;
    fc_test_path(dir, b->folders->b, hooks[i]);
    fc_assert_ok(fc_store_open(store, dir, true, false, &err), &err);
}

static const char *rows_hash(const fc_store *store)
{
    return json_string_value(json_object_get(fc_store_meta(store), "rows_xxh3"));
}

static void row_tables_have_one_digest_whatever_the_shards(void **state)
{
    bench *const b = *state;
    fc_store *store[2] = {NULL, NULL};
    char computed[FC_HASH_HEX];
    fc_err err;
    set_hook(b, several);
    fc_assert_ok(collect(b, b->folders->b, &err), &err);
    for (int i = 0; i < 2; i++) open_hook(&store[i], b, i);
    assert_non_null(rows_hash(store[0]));
    assert_string_equal(rows_hash(store[0]), rows_hash(store[1]));
    for (int64_t row = 0; row < fc_store_rows(store[0]); row++) {
        const fc_row one = fc_store_row(store[0], row), two = fc_store_row(store[1], row);
        assert_memory_equal(&one, &two, sizeof one);
    }
    fc_store_close(store[1]);

    set_hook(b, hooks[0]); /* other shards, the same tokens; then one token fewer */
    b->config.shard_rows = 77;
    fc_assert_ok(collect(b, b->folders->a, &err), &err);
    fc_assert_ok(fc_store_open(&store[1], b->folders->a, true, false, &err), &err);
    assert_string_equal(rows_hash(store[0]), rows_hash(store[1]));
    fc_assert_ok(fc_store_rows_hash(store[1], computed, &err), &err);
    assert_string_equal(computed, rows_hash(store[1]));
    fc_store_close(store[1]);
    fake_empty(b->folders->a);
    b->config.tokens = fc_store_rows(store[0]) - 1;
    fc_assert_ok(collect(b, b->folders->a, &err), &err);
    fc_assert_ok(fc_store_open(&store[1], b->folders->a, true, false, &err), &err);
    assert_string_not_equal(rows_hash(store[0]), rows_hash(store[1]));
    fc_store_close(store[0]);
    fc_store_close(store[1]);
}

static void stopping_at_any_batch_changes_no_byte(void **state)
{
    bench *const b = *state;
    fc_err err;
    b->config.tokens = 500;
    collect_alone(b);
    for (int n = 1; n <= 4; n++) {
        fc_status status = FC_CANCELLED;
        int n_stops = -1;
        for (; status == FC_CANCELLED && n_stops < 50; n_stops++) {
            stopper s = {.n_left = n + 1};
            fc_log_set_sink((fc_log_sink){.progress = stop_after_some, .ctx = &s});
            status = collect(b, b->folders->b, &err);
            fc_log_set_sink((fc_log_sink){0});
            fc_cancel_set(false);
        }
        fc_assert_ok(status, &err);
        assert_true(n_stops >= 1);
        assert_as_alone(b);
        fake_empty(b->folders->b);
    }
}

/* As kill -9 leaves them: one store further than another; one without any row. */
static void stores_that_are_at_different_rows_go_on_together(void **state)
{
    bench *const b = *state;
    fc_err err;
    char path[FC_PATH_MAX], dir[FC_PATH_MAX];
    collect_alone(b);
    fc_assert_ok(collect(b, b->folders->b, &err), &err);
    const int64_t n_whole = b->result.n_tokens_run;
    fc_test_path(dir, b->folders->b, hooks[1]);
    fc_test_path(path, dir, "shard-00002.safetensors");
    fc_assert_ok(fc_file_remove(path, &err), &err);
    fc_test_path(dir, b->folders->b, hooks[2]);
    fc_test_path(path, dir, "shard-00003.safetensors");
    fc_assert_ok(fc_file_remove(path, &err), &err);
    fc_assert_ok(collect(b, b->folders->b, &err), &err);
    assert_true(b->result.n_tokens_run < n_whole - 250); /* begins at row 300 */
    assert_as_alone(b);
    fc_test_dir_remove(dir);
    fc_assert_ok(collect(b, b->folders->b, &err), &err); /* a hook that joins later */
    assert_as_alone(b);
    fc_assert_ok(collect(b, b->folders->b, &err), &err);
    assert_int_equal(b->result.n_tokens_run, 0);
}

static void mistakes_are_refused_in_a_sentence(void **state)
{
    bench *const b = *state;
    fc_store *store = NULL;
    fc_err err;
    set_hook(b, "model.layers.1.mlp.down_proj,model.layers.1.mlp");
    fc_assert_fails(collect(b, b->folders->a, &err), &err, FC_USAGE,
                    "model.layers.1.mlp.down_proj is given twice");
    set_hook(b, "model.layers.1.mlp.down_proj,,model.layers.0.mlp");
    fc_assert_fails(collect(b, b->folders->a, &err), &err, FC_USAGE, "hook");
    assert_int_equal(fc_test_count_entries(b->folders->a), 0);
    set_hook(b, several);
    fc_assert_ok(collect(b, b->folders->a, &err), &err);
    fc_assert_fails(fc_store_open(&store, b->folders->a, false, false, &err), &err,
                    FC_USAGE, "stores of several hooks", hooks[0], "name one");
    b->config.max_length--;
    fc_assert_fails(collect(b, b->folders->a, &err), &err, FC_MISMATCH, "max_length");
}

/* --- faults ------------------------------------------------------------------------------- */

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
    assert_as_alone(b);
    fake_empty(b->folders->b);
}

static void every_failed_write_is_reported_and_collecting_goes_on(void **state)
{
    bench *const b = *state;
    b->config.tokens = 250;
    b->config.checkpoint_every = (fc_every){.steps = 90};
    collect_alone(b);
    assert_in_range(fc_test_sweep_write(collect_into_b, goes_on, b), 24, 200);
}

static void failed_allocations_are_reported_and_collecting_goes_on(void **state)
{
    bench *const b = *state;
    fc_err err;
    b->config.tokens = 250;
    collect_alone(b);
    const int64_t n_before = fc_alloc_count();
    fc_assert_ok(collect(b, b->folders->b, &err), &err);
    const int64_t n = fc_alloc_count() - n_before;
    fake_empty(b->folders->b);
    for (int64_t i = 1; i <= n; i += i > n - 120 ? 7 : n / 8 + 1) {
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
        WITH_MODEL(each_store_is_what_collecting_its_hook_alone_gives),
        WITH_MODEL(threads_and_batches_change_no_byte),
        WITH_MODEL(row_tables_have_one_digest_whatever_the_shards),
        WITH_MODEL(stopping_at_any_batch_changes_no_byte),
        WITH_MODEL(stores_that_are_at_different_rows_go_on_together),
        WITH_MODEL(mistakes_are_refused_in_a_sentence),
        WITH_MODEL(every_failed_write_is_reported_and_collecting_goes_on),
        WITH_MODEL(failed_allocations_are_reported_and_collecting_goes_on),
    };
    fc_sync_skip(true);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
