/* test_shuffle.c - runs whose rows are mixed in blocks: when that is chosen, and that they go on to
 * the same bytes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "run_testing.h"

#include <math.h>

#include "base/par.h"
#include "sae/run_recipe.h"

/* Settles the order of a run in run_dir on a machine with so much memory. */
static fc_train_config settled(const world *w, const char *run, fc_train_config config,
                               int64_t memory_bytes)
{
    fc_err err = {0};
    fc_feed *feed = NULL;
    fc_assert_ok(fc_feed_of_store(&feed, w->store, NULL, &err), &err);
    fc_assert_ok(fc_run_settle(run, w->be, feed, memory_bytes, &config, &err), &err);
    fc_feed_close(feed);
    return config;
}

static void automatic_shuffling_follows_the_memory_when_a_run_begins(void **state)
{
    enum { STORE = TEST_ROWS * TEST_D * 4, ROW = TEST_D * 4 };
    const world *w = *state;
    char run[FC_PATH_MAX];
    fc_train_config config = test_config(), got;
    fc_train_result result;
    fc_err err = {0};
    run_path(run, w, "shuffled");
    got = settled(w, run, config, 2 * STORE + 2);
    assert_int_equal(got.shuffle, FC_SHUFFLE_FULL);
    assert_int_equal(got.mix_buffer_rows, 0);
    got = settled(w, run, config, STORE);
    assert_int_equal(got.shuffle, FC_SHUFFLE_BLOCKS);
    assert_int_equal(got.mix_buffer_rows, STORE / 4 / ROW);
    config.shuffle = FC_SHUFFLE_BLOCKS; /* asked for where it is not needed */
    assert_int_equal(settled(w, run, config, INT64_MAX).mix_buffer_rows, TEST_ROWS);
    config.mix_buffer_rows = 77;
    assert_int_equal(settled(w, run, config, STORE).mix_buffer_rows, 77);
    fc_assert_ok(train(w, run, &config, false, &result, &err), &err);

    config.shuffle =
        FC_SHUFFLE_AUTO; /* and now the run is there: other memory, same order */
    config.mix_buffer_rows = 0;
    got = settled(w, run, config, INT64_MAX);
    assert_int_equal(got.shuffle, FC_SHUFFLE_BLOCKS);
    assert_int_equal(got.mix_buffer_rows, 77);
    fc_assert_ok(train(w, run, &config, true, &result, &err), &err);
    config.shuffle = FC_SHUFFLE_FULL;
    fc_assert_fails(train(w, run, &config, true, &result, &err), &err, FC_MISMATCH,
                    "shuffle is \"blocks\"", "\"full\"");
    config.shuffle = FC_SHUFFLE_BLOCKS;
    config.mix_buffer_rows = 78;
    fc_assert_fails(train(w, run, &config, true, &result, &err), &err, FC_MISMATCH,
                    "mix_buffer_rows is 77", "78");
}

/* Stops a run after `step`. */
static void train_until(const world *w, const char *run, const fc_train_config *config,
                        int step)
{
    watcher seen;
    fc_train_result result;
    fc_err err = {0};
    watch(&seen);
    seen.cancel_at = step - 1;
    fc_assert_fails(train(w, run, config, true, &result, &err), &err, FC_CANCELLED,
                    "--resume");
    unwatch();
}

/* Stopped within epochs and at their ends; rows left out for drop_last come in and go too. */
static void a_run_in_blocks_goes_on_to_the_same_bytes(void **state)
{
    const world *w = *state;
    static const int stops[] = {1, 7, 24, 25, 48, 50, 99};
    char whole[FC_PATH_MAX], parts[FC_PATH_MAX];
    fc_train_result result;
    fc_err err = {0};
    for (int drop_last = 0; drop_last < 2; drop_last++) {
        fc_train_config config = test_config();
        config.shuffle = FC_SHUFFLE_BLOCKS;
        config.mix_buffer_rows = 100;
        config.drop_last = drop_last;
        run_path(whole, w, drop_last ? "blocks-dropped" : "blocks");
        run_path(parts, w, drop_last ? "parts-dropped" : "parts");
        fc_par_set_threads(3);
        fc_assert_ok(train(w, whole, &config, false, &result, &err), &err);
        fc_par_set_threads(1);
        for (size_t i = 0; i < FC_LEN(stops); i++)
            train_until(w, parts, &config, stops[i]);
        fc_assert_ok(train(w, parts, &config, true, &result, &err), &err);
        fc_par_set_threads(0);
        assert_same_run(whole, parts);
    }
}

/* As good as a full permutation: a buffer of a fifth of the rows ends at much the same loss. */
static void blocks_train_as_well_as_a_permutation(void **state)
{
    const world *w = *state;
    char run[FC_PATH_MAX];
    fc_train_config config = test_config();
    fc_train_result result;
    fc_err err = {0};
    run_path(run, w, "as-well");
    config.shuffle = FC_SHUFFLE_BLOCKS;
    config.mix_buffer_rows = 100;
    fc_assert_ok(train(w, run, &config, false, &result, &err), &err);
    assert_true(result.total != w->result.total);
    assert_true(fabs(result.total - w->result.total) < 0.05 * w->result.total);
}

/* From step 3 on; over the ends of epochs. */
static void the_steady_state_allocates_nothing(void **state)
{
    const world *w = *state;
    char run[FC_PATH_MAX];
    watcher seen;
    fc_train_config config = test_config();
    fc_train_result result;
    fc_err err = {0};
    run_path(run, w, "steady");
    config.shuffle = FC_SHUFFLE_BLOCKS;
    config.mix_buffer_rows = 100;
    config.log_every = config.histogram_every = (fc_every){.steps = 1000};
    config.checkpoint_every = (fc_every){.seconds = 1e6};
    watch(&seen);
    fc_assert_ok(train(w, run, &config, false, &result, &err), &err);
    unwatch();
    assert_int_equal(seen.allocs[0], seen.allocs[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(automatic_shuffling_follows_the_memory_when_a_run_begins),
        cmocka_unit_test(a_run_in_blocks_goes_on_to_the_same_bytes),
        cmocka_unit_test(blocks_train_as_well_as_a_permutation),
        cmocka_unit_test(the_steady_state_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, make_world, remove_world);
}
