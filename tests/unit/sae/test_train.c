/* test_train.c - the training loop: what a run folder holds, and every option.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "run_testing.h"

#include <math.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_folder_holds_what_was_promised),
        cmocka_unit_test(the_log_has_a_line_every_seven_steps_and_at_the_end),
        cmocka_unit_test(tensorboard_shows_the_numbers_of_metrics_csv),
        cmocka_unit_test(the_steady_state_allocates_nothing),
        cmocka_unit_test(a_loss_that_is_not_finite_ends_the_run),
        cmocka_unit_test(every_option_that_changes_the_loop_runs),
        cmocka_unit_test(bf16_products_train_nearly_as_well),
        cmocka_unit_test(configurations_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, make_world, remove_world);
}
