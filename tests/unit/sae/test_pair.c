/* test_pair.c - transcoders' data: two stores side by side, or two hooks of a stream.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "stream_bench.h"

#include "sae/arch.h"

static const char both_hooks[] =
    "model.layers.0.self_attn.o_proj:input,model.layers.1.mlp.down_proj";

typedef struct stores {
    char in[FC_PATH_MAX], target[FC_PATH_MAX];
} stores;

static void collect_both(bench *b, stores *s, const char *name)
{
    char dir[FC_PATH_MAX];
    fc_err err;
    snprintf(b->config.hook, sizeof b->config.hook, "%s", both_hooks);
    b->config.precision = FC_F32_PRECISION;
    fc_test_path(dir, b->folders->a, name);
    fc_assert_ok(collect(b, dir, &err), &err);
    fc_test_path(s->in, dir, stream_target);
    fc_test_path(s->target, dir, stream_hook);
}

static fc_train_config transcoder_config(void)
{
    fc_train_config config = stream_train_config();
    for (int row = 0; strcmp(fc_arch_at(config.arch)->name, "skip_transcoder") != 0;)
        config.arch = ++row;
    return config;
}

/* Row r of the batch is row batch.row[r] of each store, normalised by that store's moments. */
static void check_batch(const fc_fed_batch *batch, const fc_store *const store[2],
                        const fc_normaliser *const norm[2])
{
    const float *const given[2] = {batch->x, batch->y};
    float x[1024];
    for (int64_t r = 0; r < batch->n; r++)
        for (int i = 0; i < 2; i++) {
            const int64_t d = fc_store_info_of(store[i])->d;
            assert_true(d <= (int64_t)FC_LEN(x));
            fc_store_read(store[i], batch->row[r], 1, x);
            fc_normalise(norm[i], x, x, NULL, 1);
            assert_memory_equal(given[i] + r * d, x, (size_t)d * sizeof *x);
        }
}

static void batches_hold_the_same_rows_of_both_stores(void **state)
{
    bench *const b = *state;
    static stores s;
    fc_store *in = NULL, *target = NULL;
    fc_err err;
    collect_both(b, &s, "acts");
    fc_assert_ok(fc_store_open(&in, s.in, true, false, &err), &err);
    fc_assert_ok(fc_store_open(&target, s.target, true, false, &err), &err);
    const int64_t buffer_rows[] = {0, 1, 100, 1000000};
    for (size_t i = 0; i < FC_LEN(buffer_rows); i++) {
        fc_feed *feed = NULL;
        fc_normaliser x = {0}, y = {0};
        const fc_feed_norm norm = {FC_NORM_CENTER_UNIT, buffer_rows[i], b->folders->b};
        const fc_feed_order order = {.batch_size = 64,
                                     .seed = 3,
                                     .n_left = 40,
                                     .index = 2,
                                     .buffer_rows = buffer_rows[i]};
        fc_assert_ok(fc_feed_of_store(&feed, s.in, s.target, &err), &err);
        assert_true(feed->info.has_target);
        assert_string_equal(feed->info.target_hook, stream_hook);
        fc_assert_ok(feed->ops->normalisers(feed, &norm, &x, &y, &err), &err);
        assert_int_equal(y.kind, FC_NORM_CENTER_SCALE);
        fc_assert_ok(feed->ops->begin(feed, &order, &x, &y, &err), &err);
        for (int k = 0; k < 40; k++) {
            fc_fed_batch batch;
            fc_assert_ok(feed->ops->next(feed, &batch, &err), &err);
            check_batch(&batch, (const fc_store *const[2]){in, target},
                        (const fc_normaliser *const[2]){&x, &y});
        }
        fc_feed_close(feed);
        fc_normaliser_deinit(&x);
        fc_normaliser_deinit(&y);
    }
    fc_store_close(in);
    fc_store_close(target);
}

static void a_stream_of_two_hooks_trains_as_their_stores_do(void **state)
{
    bench *const b = *state;
    static stores s;
    char from_stores[FC_PATH_MAX], from_stream[FC_PATH_MAX], sae_dir[FC_PATH_MAX];
    fc_train_config config = transcoder_config();
    fc_train_result result;
    fc_feed *feed = NULL;
    fc_sae *sae = NULL;
    fc_err err;
    collect_both(b, &s, "acts");
    fc_test_path(from_stores, b->folders->b, "stores");
    fc_test_path(from_stream, b->folders->b, "stream");
    config.shuffle = FC_SHUFFLE_FULL;
    fc_assert_ok(fc_feed_of_store(&feed, s.in, s.target, &err), &err);
    fc_assert_ok(fc_train_feed(&config, feed, b->be, from_stores, false, &result, &err),
                 &err);
    config.shuffle = FC_SHUFFLE_AUTO;
    config.mix_buffer_rows = 1000000;
    fc_assert_ok(train_stream(b, &config, from_stream, false, &result, &err), &err);
    assert_same_weights(from_stores, from_stream);

    fc_test_path(sae_dir, from_stream, "sae"); /* the target's scale is in its weights */
    fc_assert_ok(fc_sae_load(&sae, sae_dir, &err), &err);
    assert_string_equal(sae->target_hook, stream_hook);
    assert_int_equal(sae->normaliser.kind, FC_NORM_CENTER_UNIT);
    assert_int_equal(sae->target_normaliser.kind, FC_NORM_NONE);
    fc_sae_free(sae);
}

static void stores_that_do_not_belong_together_are_refused(void **state)
{
    bench *const b = *state;
    static stores s, short_one, other_text;
    fc_feed *feed = NULL;
    fc_err err;
    collect_both(b, &s, "acts");
    b->config.tokens = 300;
    collect_both(b, &short_one, "short");
    b->config.tokens = 0;
    b->config.max_length--; /* other sequences, other positions */
    b->config.overflow = FC_OVERFLOW_SPLIT;
    collect_both(b, &other_text, "split");
    fc_assert_fails(fc_feed_of_store(&feed, s.in, short_one.target, &err), &err,
                    FC_MISMATCH, "and 300 rows", "in one pass");
    fc_store *store = NULL;
    fc_assert_ok(fc_store_open(&store, other_text.in, false, false, &err), &err);
    const int64_t n = fc_store_rows(store);
    fc_store_close(store);
    b->config.tokens = n;
    b->config.max_length++;
    collect_both(b, &s, "as many");
    fc_assert_fails(fc_feed_of_store(&feed, s.in, other_text.target, &err), &err,
                    FC_MISMATCH, "row ", "in the other", "in one pass");
}

static void targets_are_for_transcoders_alone(void **state)
{
    bench *const b = *state;
    static stores s;
    char run[FC_PATH_MAX];
    fc_train_config config = stream_train_config();
    fc_train_result result;
    fc_feed *feed = NULL;
    fc_err err;
    collect_both(b, &s, "acts");
    fc_test_path(run, b->folders->b, "run");
    config.shuffle = FC_SHUFFLE_FULL;
    fc_assert_ok(fc_feed_of_store(&feed, s.in, s.target, &err), &err);
    fc_assert_fails(fc_train_feed(&config, feed, b->be, run, false, &result, &err), &err,
                    FC_USAGE, "arch is standard", "for transcoders");
    config.arch = transcoder_config().arch;
    fc_assert_fails(fc_train(&config, s.in, b->be, run, false, &result, &err), &err,
                    FC_USAGE, "arch is skip_transcoder", "no target", "--target");
    assert_false(fc_path_exists(run));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_MODEL(batches_hold_the_same_rows_of_both_stores),
        WITH_MODEL(a_stream_of_two_hooks_trains_as_their_stores_do),
        WITH_MODEL(stores_that_do_not_belong_together_are_refused),
        WITH_MODEL(targets_are_for_transcoders_alone),
    };
    fc_sync_skip(true);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
