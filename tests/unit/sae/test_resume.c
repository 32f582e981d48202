/* test_resume.c - the same bytes whatever happens on the way: threads, Ctrl-C, faults; and runs
 * that may not go on.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "run_testing.h"

#include "base/par.h"

static void one_thread_and_three_give_the_same_bytes(void **state)
{
    const world *w = *state;
    fc_err err = {0};
    const fc_train_config config = test_config();
    fc_train_result result;
    for (int n = 1; n <= 3; n += 2) {
        char run[FC_PATH_MAX], name[32];
        snprintf(name, sizeof name, "threads-%d", n);
        run_path(run, w, name);
        fc_par_set_threads(n);
        fc_assert_ok(train(w, run, &config, false, &result, &err), &err);
        assert_same_run(w->whole, run);
    }
    fc_par_set_threads(0);
}

static void ctrl_c_saves_and_resume_ends_as_if_it_had_not_happened(void **state)
{
    const world *w = *state;
    static const int stops[] = {1, 7, 24, 25, 26, 99, 124};
    const fc_train_config config = test_config();
    char run[FC_PATH_MAX];
    fc_train_result result = {0};
    watcher seen;
    run_path(run, w, "stopped");
    watch(&seen);
    for (size_t i = 0; i < FC_LEN(stops); i++) {
        /* asked for while step n + 1 is computed: it stops after it */
        fc_err err = {0};
        seen.cancel_at = stops[i] - 1;
        fc_cancel_set(false);
        fc_assert_fails(train(w, run, &config, i > 0, &result, &err), &err, FC_CANCELLED,
                        "--resume");
        char name[64], path[FC_PATH_MAX];
        snprintf(name, sizeof name, "checkpoints/step-%08d.safetensors", stops[i]);
        fc_test_path(path, run, name);
        assert_true(fc_path_exists(path));
    }
    fc_err err = {0};
    seen.cancel_at = -1.0;
    fc_cancel_set(false);
    fc_assert_ok(train(w, run, &config, true, &result, &err), &err);
    unwatch();
    assert_same_run(w->whole, run);
    assert_true(result.mse == w->result.mse && result.l0 == w->result.l0);
    assert_int_equal(result.n_dead, w->result.n_dead);
}

static void resuming_a_finished_run_changes_nothing(void **state)
{
    const world *w = *state;
    fc_err err = {0};
    const fc_train_config config = test_config();
    fc_train_result result;
    char run[FC_PATH_MAX], path[FC_PATH_MAX];
    run_path(run, w, "finished");
    fc_assert_ok(train(w, run, &config, true, &result, &err),
                 &err); /* nothing there: it starts */
    assert_same_run(w->whole, run);
    fc_test_path(path, run, "sae");
    fc_test_dir_remove(path);
    fc_assert_ok(train(w, run, &config, true, &result, &err), &err);
    assert_same_run(w->whole, run);
    assert_int_equal(result.steps, TEST_STEPS);
    assert_true(result.total == w->result.total);
}

static void an_existing_run_is_not_overwritten(void **state)
{
    const world *w = *state;
    fc_err err = {0};
    const fc_train_config config = test_config();
    fc_train_result result;
    fc_assert_fails(train(w, w->whole, &config, false, &result, &err), &err, FC_USAGE,
                    "--resume");
}

static void a_run_goes_on_only_with_its_own_configuration(void **state)
{
    const world *w = *state;
    fc_err err = {0};
    fc_train_config config = test_config();
    fc_train_result result;
    config.lr = 1e-3;
    fc_assert_fails(train(w, w->whole, &config, true, &result, &err), &err, FC_MISMATCH,
                    "lr is", "0.003", "0.001");
    config = test_config();
    config.checkpoint_every = (fc_every){.seconds = 60};
    fc_assert_ok(train(w, w->whole, &config, true, &result, &err), &err);
}

static void automatic_precision_is_settled_when_a_run_begins(void **state)
{
    const world *w = *state;
    fc_err err = {0};
    fc_train_config config = test_config();
    fc_train_result result;
    config.precision =
        FC_AUTO_PRECISION; /* the run was begun with f32: that is what it is */
    fc_assert_ok(train(w, w->whole, &config, true, &result, &err), &err);
    assert_true(result.mse == w->result.mse);
    config.precision = FC_BF16_PRECISION;
    fc_assert_fails(train(w, w->whole, &config, true, &result, &err), &err, FC_MISMATCH,
                    "precision is \"f32\"");
    char run[FC_PATH_MAX], path[FC_PATH_MAX];
    config.precision = FC_AUTO_PRECISION;
    config.max_steps = 3;
    run_path(run, w, "automatic");
    fc_assert_ok(train(w, run, &config, false, &result, &err), &err);
    fc_test_path(path, run, "recipe.json");
    char *text = fc_test_read(path, NULL);
    const char *word = fc_backend_prefers_bf16(w->be) ? "\"bf16\"" : "\"f32\"";
    assert_non_null(strstr(text, word));
    assert_null(strstr(text, "auto"));
    free(text);
}

static void a_run_goes_on_only_with_its_own_store(void **state)
{
    const world *w = *state;
    fc_err err = {0};
    const fc_train_config config = test_config();
    fc_train_result result;
    char other[FC_PATH_MAX];
    run_path(other, w, "other-acts");
    fc_assert_ok(make_test_store(other, 2.0, &err), &err);
    fc_assert_fails(fc_train(&config, other, w->be, w->whole, true, &result, &err), &err,
                    FC_MISMATCH, "mean_xxh3");
}

/* --- faults ------------------------------------------------------------------------------- */

typedef struct fault_run {
    const world *w;
    char run[FC_PATH_MAX];
} fault_run;

static fc_status resume_short_run(void *ctx, fc_err *err)
{
    const fault_run *f = ctx;
    fc_train_config config = test_config();
    fc_train_result result;
    config.max_steps = 12;
    config.checkpoint_every = (fc_every){.steps = 4};
    return train(f->w, f->run, &config, true, &result, err);
}

/* Every run that gets so far leaves a file of events, and listing these takes memory: without
 * this, a sweep would never reach its end. */
static void remove_events(void *ctx)
{
    const fault_run *f = ctx;
    fc_err err = {0};
    fc_names names;
    char path[FC_PATH_MAX];
    if (!fc_path_is_dir(f->run)) return;
    fc_assert_ok(fc_dir_list(&names, f->run, &err), &err);
    for (int64_t i = 0; i < names.n; i++) {
        fc_test_path(path, f->run, names.name[i]);
        if (strncmp(names.name[i], "events.", 7) == 0)
            fc_assert_ok(fc_file_remove(path, &err), &err);
    }
    fc_names_free(&names);
}

/* After every fault the run can go on; a run that went on so ends as one without faults. */
static void faults_leave_a_run_that_goes_on(void **state)
{
    const world *w = *state;
    fc_err err = {0};
    char sound[FC_PATH_MAX];
    static fault_run f;
    f.w = w;
    run_path(f.run, w, "sound");
    fc_assert_ok(resume_short_run(&f, &err), &err);
    run_path(sound, w, "sound");
    run_path(f.run, w, "alloc-faults");
    assert_true(fc_test_sweep_alloc(resume_short_run, remove_events, &f) > 30);
    assert_same_file(sound, f.run, "sae/sae_weights.safetensors");
    assert_same_file(sound, f.run, "metrics.csv");
    run_path(f.run, w, "write-faults");
    assert_true(fc_test_sweep_write(resume_short_run, remove_events, &f) > 10);
    assert_same_file(sound, f.run, "sae/sae_weights.safetensors");
    assert_same_file(sound, f.run, "metrics.csv");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_and_three_give_the_same_bytes),
        cmocka_unit_test(ctrl_c_saves_and_resume_ends_as_if_it_had_not_happened),
        cmocka_unit_test(resuming_a_finished_run_changes_nothing),
        cmocka_unit_test(an_existing_run_is_not_overwritten),
        cmocka_unit_test(a_run_goes_on_only_with_its_own_configuration),
        cmocka_unit_test(automatic_precision_is_settled_when_a_run_begins),
        cmocka_unit_test(a_run_goes_on_only_with_its_own_store),
        cmocka_unit_test(faults_leave_a_run_that_goes_on),
    };
    return cmocka_run_group_tests(tests, make_world, remove_world);
}
