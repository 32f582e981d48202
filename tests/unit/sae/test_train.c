/* test_train.c - the training loop: what a run folder holds, stopping, resuming, faults.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/log.h"
#include "base/par.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "formats/tfevents.h"
#include "sae_testing.h"

typedef struct world {
    char dir[FC_PATH_MAX], store[FC_PATH_MAX], whole[FC_PATH_MAX];
    fc_backend *be;
    fc_train_result result; /* of the run `whole` */
} world;

static void run_path(char *path, const world *w, const char *name)
{
    fc_test_path(path, w->dir, name);
}

static fc_status train(const world *w, const char *run, const fc_train_config *config,
                       bool is_resume, fc_train_result *result, fc_err *err)
{
    return fc_train(config, w->store, w->be, run, is_resume, result, err);
}

static int make_world(void **state)
{
    static world w;
    fc_err err = {0};
    const fc_train_config config = test_config();
    fc_test_dir_make(w.dir);
    fc_test_path(w.store, w.dir, "acts");
    fc_test_path(w.whole, w.dir, "whole");
    fc_assert_ok(fc_backend_open(&w.be, NULL, &err), &err);
    fc_assert_ok(make_test_store(w.store, 1.0, &err), &err);
    fc_assert_ok(train(&w, w.whole, &config, false, &w.result, &err), &err);
    *state = &w;
    return 0;
}

static int remove_world(void **state)
{
    world *w = *state;
    fc_backend_close(w->be);
    fc_test_dir_remove(w->dir);
    return 0;
}

/* --- comparing runs ----------------------------------------------------------------------- */

static void assert_same_file(const char *a, const char *b, const char *name)
{
    char path_a[FC_PATH_MAX], path_b[FC_PATH_MAX];
    fc_test_path(path_a, a, name);
    fc_test_path(path_b, b, name);
    fc_test_assert_files_equal(path_a, path_b);
}

enum { MAX_VALUES = 4096 };

typedef struct values { /* what TensorBoard shows: the last value of each tag and step */
    struct value {
        char tag[32];
        int64_t step;
        double value;
    } at[MAX_VALUES];
    int n;
} values;

static fc_status take_value(void *ctx, const char *tag, int64_t step, double value,
                            fc_err *err)
{
    values *v = ctx;
    (void)err;
    int i = 0;
    while (i < v->n && (v->at[i].step != step || strcmp(v->at[i].tag, tag) != 0)) i++;
    assert_true(i < MAX_VALUES);
    snprintf(v->at[i].tag, sizeof v->at[i].tag, "%s", tag);
    v->at[i].step = step;
    v->at[i].value = value;
    if (i == v->n) v->n++;
    return FC_OK;
}

static int by_step_and_tag(const void *a, const void *b)
{
    const struct value *x = a, *y = b;
    if (x->step != y->step) return x->step < y->step ? -1 : 1;
    return strcmp(x->tag, y->tag);
}

static values *read_values(const char *run)
{
    fc_err err = {0};
    values *v = calloc(1, sizeof *v);
    assert_non_null(v);
    fc_assert_ok(fc_tfevents_read(run, take_value, v, &err), &err);
    qsort(v->at, (size_t)v->n, sizeof v->at[0], by_step_and_tag);
    return v;
}

static void assert_same_run(const char *a, const char *b)
{
    assert_same_file(a, b, "metrics.csv");
    assert_same_file(a, b, "sae/sae_weights.safetensors");
    assert_same_file(a, b, "sae/cfg.json");
    assert_same_file(a, b, "sae/normalization.safetensors");
    values *va = read_values(a), *vb = read_values(b);
    assert_int_equal(va->n, vb->n);
    assert_true(va->n >= 6 * 17);
    for (int i = 0; i < va->n; i++) {
        assert_string_equal(va->at[i].tag, vb->at[i].tag);
        assert_int_equal(va->at[i].step, vb->at[i].step);
        assert_true(va->at[i].value == vb->at[i].value);
    }
    free(va);
    free(vb);
}

/* --- a sink that acts at a step ----------------------------------------------------------- */

typedef struct watcher {
    double cancel_at;   /* Ctrl-C after this step; < 0: never */
    int64_t allocs[2];  /* fc_alloc_count after steps 3 and 100 */
    char warning[2048]; /* the last */
    int n_warnings;
} watcher;

static void watch_progress(void *ctx, const fc_progress *p, int is_end)
{
    watcher *w = ctx;
    if (is_end || strcmp(p->job, "train") != 0) return;
    if (p->done == 3.0) w->allocs[0] = fc_alloc_count();
    if (p->done == 100.0) w->allocs[1] = fc_alloc_count();
    if (p->done == w->cancel_at) fc_cancel_set(true);
}

static void watch_message(void *ctx, fc_log_level level, const char *text)
{
    watcher *w = ctx;
    if (level != FC_LOG_WARN) return;
    snprintf(w->warning, sizeof w->warning, "%s", text);
    w->n_warnings++;
}

static void watch(watcher *w)
{
    *w = (watcher){.cancel_at = -1.0};
    fc_log_set_sink((fc_log_sink){watch_message, watch_progress, w});
}

static void unwatch(void)
{
    fc_log_set_sink((fc_log_sink){0});
    fc_cancel_set(false);
}

/* --- tests -------------------------------------------------------------------------------- */

static void a_run_folder_holds_what_was_promised(void **state)
{
    const world *w = *state;
    static const char *const names[] = {"recipe.json",
                                        "metrics.csv",
                                        "sae/cfg.json",
                                        "sae/sae_weights.safetensors",
                                        "checkpoints/step-00000120.safetensors",
                                        "checkpoints/step-00000125.safetensors"};
    char path[FC_PATH_MAX];
    for (size_t i = 0; i < FC_LEN(names); i++) {
        fc_test_path(path, w->whole, names[i]);
        if (!fc_path_exists(path)) fail_msg("%s is missing", names[i]);
    }
    fc_test_path(path, w->whole, "checkpoints");
    assert_int_equal(fc_test_count_entries(path), 2);
    assert_int_equal(w->result.steps, TEST_STEPS);
    fc_err err = {0};
    fc_sae *sae = NULL;
    fc_test_path(path, w->whole, "sae");
    fc_assert_ok(fc_sae_load(&sae, path, &err), &err);
    assert_int_equal(sae->d_sae, TEST_F);
    assert_int_equal(sae->normaliser.kind, FC_NORM_CENTER_UNIT);
    assert_string_equal(sae->hook, "model.layers.1.mlp.down_proj");
    assert_int_equal(sae->context_size, 32);
    fc_sae_free(sae);
}

/* Value in line `line` (0: the first after the header), column `column` of metrics.csv. */
static double metric(const char *text, int line, int column)
{
    for (int i = 0; i <= line; i++) text = strchr(text, '\n') + 1;
    for (int i = 0; i < column; i++) text = strchr(text, ',') + 1;
    return strtod(text, NULL);
}

static void the_log_has_a_line_every_seven_steps_and_at_the_end(void **state)
{
    const world *w = *state;
    char path[FC_PATH_MAX];
    fc_test_path(path, w->whole, "metrics.csv");
    char *text = fc_test_read(path, NULL);
    assert_memory_equal(text, "step,epoch,total,mse,l1,l0,dead,lr\n", 35);
    for (int i = 0; i < 17; i++) assert_true(metric(text, i, 0) == 7.0 * (i + 1));
    assert_true(metric(text, 17, 0) == TEST_STEPS);
    assert_true(metric(text, 17, 1) == TEST_EPOCHS);
    assert_true(metric(text, 17, 3) < 0.5 * metric(text, 0, 3)); /* it learns */
    const double total = metric(text, 4, 3) + 1e-3 * metric(text, 4, 4);
    assert_true(fabs(metric(text, 4, 2) - total) < 1e-7);
    assert_true(metric(text, 17, 7) == 0.5 * 3e-3);
    assert_true(metric(text, 17, 6) == (double)w->result.n_dead);
    free(text);
}

static void tensorboard_shows_the_numbers_of_metrics_csv(void **state)
{
    const world *w = *state;
    static const struct {
        const char *tag;
        int column;
    } tags[] = {{"loss/total", 2},  {"loss/mse", 3},      {"loss/l1", 4},
                {"sparsity/l0", 5}, {"sparsity/dead", 6}, {"lr", 7}};
    char path[FC_PATH_MAX];
    fc_test_path(path, w->whole, "metrics.csv");
    char *text = fc_test_read(path, NULL);
    values *v = read_values(w->whole);
    int n_seen = 0;
    for (int i = 0; i < v->n; i++)
        for (size_t k = 0; k < FC_LEN(tags); k++) {
            if (strcmp(v->at[i].tag, tags[k].tag) != 0) continue;
            const int line =
                v->at[i].step == TEST_STEPS ? 17 : (int)(v->at[i].step / 7 - 1);
            const double expected = metric(text, line, tags[k].column);
            assert_true(fabs(v->at[i].value - expected) <= 1e-6 * fabs(expected));
            n_seen++;
        }
    assert_int_equal(n_seen, 6 * 18);
    free(v);
    free(text);
}

static void the_steady_state_allocates_nothing(void **state)
{
    const world *w = *state;
    fc_err err = {0};
    fc_train_config config = test_config();
    fc_train_result result;
    char run[FC_PATH_MAX];
    watcher seen;
    config.checkpoint_every = (fc_every){.seconds = 3600};
    config.log_every = (fc_every){.steps = 2};
    config.histogram_every = (fc_every){.steps = 2};
    run_path(run, w, "steady");
    watch(&seen);
    fc_assert_ok(train(w, run, &config, false, &result, &err), &err);
    unwatch();
    assert_true(seen.allocs[0] > 0);
    assert_int_equal(seen.allocs[0], seen.allocs[1]);
}

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

static void a_loss_that_is_not_finite_ends_the_run(void **state)
{
    const world *w = *state;
    fc_err err = {0};
    fc_train_config config = test_config();
    fc_train_result result;
    char store[FC_PATH_MAX], run[FC_PATH_MAX];
    run_path(store, w, "huge-acts");
    run_path(run, w, "huge");
    fc_assert_ok(make_test_store(store, 1e25, &err), &err);
    config.normalization = FC_NORM_NONE;
    fc_assert_fails(fc_train(&config, store, w->be, run, false, &result, &err), &err,
                    FC_MISMATCH, "training diverged", "step 0");
}

static void every_option_that_changes_the_loop_runs(void **state)
{
    const world *w = *state;
    static const struct {
        const char *name;
        int64_t n_steps;
        fc_train_config change; /* members that are not 0 are taken */
    } cases[] = {
        {"drop-last", 24 * 5, {.drop_last = true}},
        {"max-steps", 30, {.max_steps = 30}},
        {"unit-norm", TEST_STEPS, {.unit_norm_decoder = true, .init = FC_INIT_TIED_UNIT}},
        {"saelens",
         TEST_STEPS,
         {.init = FC_INIT_SAELENS,
          .l1_form = FC_L1_DECODER_NORM,
          .mse_form = FC_MSE_SUM,
          .grad_clip_norm = 1.0,
          .l1_warm_up_steps = 20,
          .normalization = FC_NORM_CENTER_SCALE}},
        {"bf16", TEST_STEPS, {.precision = FC_BF16_PRECISION}},
        {"large-batch", 5, {.batch_size = 100000}},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_err err = {0};
        fc_train_config c = test_config();
        const fc_train_config *d = &cases[i].change;
        fc_train_result result;
        char run[FC_PATH_MAX];
        c.drop_last = d->drop_last;
        c.max_steps = d->max_steps;
        c.unit_norm_decoder = d->unit_norm_decoder;
        c.init = d->init;
        c.l1_form = d->l1_form;
        c.mse_form = d->mse_form;
        c.grad_clip_norm = d->grad_clip_norm;
        c.l1_warm_up_steps = d->l1_warm_up_steps;
        c.precision = d->precision;
        if (d->normalization != 0) c.normalization = d->normalization;
        if (d->batch_size != 0) c.batch_size = d->batch_size;
        run_path(run, w, cases[i].name);
        fc_assert_ok(train(w, run, &c, false, &result, &err), &err);
        assert_int_equal(result.steps, cases[i].n_steps);
        assert_true(isfinite(result.total) && result.l0 >= 0.0 && result.l0 <= TEST_F);
    }
}

static void bf16_products_train_nearly_as_well(void **state)
{
    const world *w = *state;
    fc_err err = {0};
    fc_train_config config = test_config();
    fc_train_result result;
    char run[FC_PATH_MAX];
    config.precision = FC_BF16_PRECISION;
    run_path(run, w, "bf16-again");
    fc_assert_ok(train(w, run, &config, false, &result, &err), &err);
    assert_true(fabs(result.mse - w->result.mse) < 0.1 * w->result.mse);
    assert_true(result.mse != w->result.mse);
}

static void configurations_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        size_t offset;
        double f64;
        int64_t i64;
    } cases[] = {
        {"lr", offsetof(fc_train_config, lr), -1.0, 0},
        {"lr", offsetof(fc_train_config, lr), (double)NAN, 0},
        {"batch-size", offsetof(fc_train_config, batch_size), 0, 0},
        {"epochs", offsetof(fc_train_config, epochs), 0, -3},
        {"adam-beta1", offsetof(fc_train_config, adam_beta1), 1.0, 0},
        {"d-sae", offsetof(fc_train_config, d_sae), 0, INT64_MAX},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_err err = {0};
        fc_train_config config = test_config();
        char *member = (char *)&config + cases[i].offset;
        if (cases[i].f64 != 0.0)
            memcpy(member, &cases[i].f64, sizeof cases[i].f64);
        else
            memcpy(member, &cases[i].i64, sizeof cases[i].i64);
        fc_assert_fails(fc_train_check(&config, &err), &err, FC_USAGE, cases[i].word);
    }
    fc_err err = {0};
    fc_train_config config = test_config();
    config.log_every = (fc_every){.seconds = 2};
    fc_assert_fails(fc_train_check(&config, &err), &err, FC_USAGE, "log-every", "clock");
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
        cmocka_unit_test(a_run_folder_holds_what_was_promised),
        cmocka_unit_test(the_log_has_a_line_every_seven_steps_and_at_the_end),
        cmocka_unit_test(tensorboard_shows_the_numbers_of_metrics_csv),
        cmocka_unit_test(the_steady_state_allocates_nothing),
        cmocka_unit_test(one_thread_and_three_give_the_same_bytes),
        cmocka_unit_test(ctrl_c_saves_and_resume_ends_as_if_it_had_not_happened),
        cmocka_unit_test(resuming_a_finished_run_changes_nothing),
        cmocka_unit_test(an_existing_run_is_not_overwritten),
        cmocka_unit_test(a_run_goes_on_only_with_its_own_configuration),
        cmocka_unit_test(a_run_goes_on_only_with_its_own_store),
        cmocka_unit_test(a_loss_that_is_not_finite_ends_the_run),
        cmocka_unit_test(every_option_that_changes_the_loop_runs),
        cmocka_unit_test(bf16_products_train_nearly_as_well),
        cmocka_unit_test(configurations_that_make_no_sense_are_refused),
        cmocka_unit_test(faults_leave_a_run_that_goes_on),
    };
    return cmocka_run_group_tests(tests, make_world, remove_world);
}
