/* test_golden_seed.c - the training step against the baseline recipe in plain PyTorch.
 *
 * Walks sae/training/seed-*: every hyper-parameter comes from config.json, start weights and the
 * order of rows from start.safetensors, what must come out from trace.safetensors. Tolerances
 * are those of the fixtures' README.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit/sae/golden_run.h"

static fc_train_config config_of(const golden_run *r)
{
    fc_train_config c;
    fc_train_defaults(&c);
    c.d_sae = (int64_t)number(r, "d_sae");
    c.epochs = (int64_t)number(r, "epochs");
    c.batch_size = (int64_t)number(r, "batch_size");
    c.lr = number(r, "lr");
    c.lr_final_factor = number(r, "lr_final_factor");
    c.lr_warm_up_steps = (int64_t)number(r, "lr_warm_up_steps");
    c.l1_coefficient = number(r, "l1_coefficient");
    c.adam_beta1 = number(r, "adam_beta1");
    c.adam_beta2 = number(r, "adam_beta2");
    c.adam_eps = number(r, "adam_eps");
    c.grad_clip_norm = number(r, "grad_clip_norm");
    c.unit_norm_decoder = truth(r, "unit_norm_decoder");
    c.apply_b_dec_to_input = truth(r, "apply_b_dec_to_input");
    c.drop_last = truth(r, "drop_last");
    c.dead_threshold = number(r, "dead_threshold");
    const char *loss = json_string_value(json_object_get(r->json, "loss"));
    c.mse_form = strstr(loss, "mse_sum") ? FC_MSE_SUM : FC_MSE_MEAN;
    c.l1_form = strstr(loss, "l1_mean")  ? FC_L1_MEAN
                : strstr(loss, "l1_sum") ? FC_L1_SUM
                                         : FC_L1_DECODER_NORM;
    assert_non_null(strstr(loss, c.mse_form == FC_MSE_SUM ? "mse_sum" : "mse_mean"));
    if (c.l1_form == FC_L1_DECODER_NORM) assert_non_null(strstr(loss, "l1_decoder_norm"));
    return c;
}

static void open_run(golden_run *r, const char *name, fc_backend *be)
{
    golden_open(r, name, be);
    r->config = config_of(r);
    golden_begin(r);
}

static void train_step(golden_run *r, int64_t t, double loss_tolerance)
{
    fc_step *s = r->step;
    take_batch(r, t);
    s->l1_coefficient = fc_schedule_l1(&r->config, t);
    fc_step_forward(s);
    fc_step_gradients(s);
    if (t == 0) check_gradients(r, "step0.grad");
    const double norm = fc_step_clip(s);
    if (t == 0) check_gradients(r, "step0.grad_used");
    const double lr = fc_schedule_lr(&r->config, t, r->n_steps);
    near(r, lr, scalar_at(r->start, "lr", t), 1e-14, "lr", t);
    fc_step_apply(s, lr, t + 1);

    near(r, s->losses.total, scalar_at(r->trace, "total", t), loss_tolerance, "total", t);
    near(r, s->losses.mse, scalar_at(r->trace, "mse", t), loss_tolerance, "mse", t);
    near(r, s->losses.l1, scalar_at(r->trace, "l1", t), loss_tolerance, "l1", t);
    near(r, s->losses.l0, scalar_at(r->trace, "l0", t), 1e-6, "l0", t);
    near(r, norm, scalar_at(r->trace, "grad_norm", t), loss_tolerance, "grad_norm", t);
    near(r, s->losses.total, scalar_at(r->trace, "total_f64", t), loss_tolerance, "total",
         t);
    near(r, norm, scalar_at(r->trace, "grad_norm_f64", t), loss_tolerance, "grad_norm",
         t);
}

/* Maxima of all rows with the last weights, and the count of dead features. */
static void check_end(golden_run *r)
{
    fc_err err = {0};
    fc_codes *codes = NULL;
    fc_assert_ok(
        fc_codes_new(&codes, r->sae, r->be, FC_PRECISION_F32, r->n_rows, true, &err),
        &err);
    fc_codes_encode(codes, r->sae, r->be, r->x, r->n_rows);
    int64_t n_dead = 0;
    for (int64_t i = 0; i < r->d_sae; i++)
        n_dead += (double)codes->firing.max[i] <= r->config.dead_threshold;
    tensor_near(r, codes->firing.max, "end.max_activation", 1e-5);
    assert_int_equal(n_dead, (int64_t)number(r, "dead_features_at_end"));
    fc_codes_free(codes);
}

static void run_variant(const char *name, const char *cpu)
{
    fc_err err = {0};
    fc_backend *be = NULL;
    golden_run r;
    fc_assert_ok(fc_backend_open(&be, cpu, &err), &err);
    open_run(&r, name, be);
    /* the L1 of seed-dead nearly vanishes, so its relative deviation is larger */
    const double loss_tolerance = strcmp(name, "seed-dead") == 0 ? 1e-4 : 1e-5;
    for (int64_t t = 0; t < r.n_steps; t++) {
        train_step(&r, t, loss_tolerance);
        if (t == 0) check_state(&r, "after1", 5e-6);
        if (t == 1) check_state(&r, "after2", 5e-6);
        if (t == 9) check_state(&r, "after10", 5e-6);
    }
    check_state(&r, "end", 1e-5);
    check_end(&r);
    print_message("%-24s %s: at most %.2f of a tolerance\n", name, be->ops->name,
                  r.worst);
    golden_close(&r);
    fc_backend_close(be);
}

static void every_seed_variant_trains_as_in_pytorch(void **state)
{
    (void)state;
    fc_err err = {0};
    char dir[FC_PATH_MAX];
    fc_names names;
    fc_fixture(dir, "sae/training");
    fc_assert_ok(fc_dir_list(&names, dir, &err), &err);
    int64_t n = 0;
    for (int64_t i = 0; i < names.n; i++) {
        if (strncmp(names.name[i], "seed-", 5) != 0) continue;
        run_variant(names.name[i], "ref");
        run_variant(names.name[i], NULL);
        n++;
    }
    assert_int_equal(n, 9);
    fc_names_free(&names);
}

static void the_learning_rate_follows_the_table(void **state)
{
    (void)state;
    fc_err err = {0};
    char path[FC_PATH_MAX];
    json_t *root = NULL;
    fc_fixture(path, "sae/training/schedules.json");
    fc_assert_ok(fc_json_load(&root, path, &err), &err);
    const json_t *tables = json_object_get(root, "facet");
    assert_int_equal(json_array_size(tables), 5);
    for (size_t i = 0; i < json_array_size(tables); i++) {
        const json_t *table = json_array_get(tables, i),
                     *factor = json_object_get(table, "factor");
        fc_train_config c;
        fc_train_defaults(&c);
        c.lr = 1.0;
        c.lr_warm_up_steps = json_integer_value(json_object_get(table, "warm_up_steps"));
        c.lr_final_factor = json_number_value(json_object_get(table, "final_factor"));
        const int64_t n = json_integer_value(json_object_get(table, "steps"));
        assert_int_equal(json_array_size(factor), n);
        for (int64_t t = 0; t < n; t++) {
            const double expected = json_number_value(json_array_get(factor, (size_t)t));
            assert_true(fabs(fc_schedule_lr(&c, t, n) - expected) <= 1e-14);
        }
    }
    json_decref(root);
}

static void the_l1_coefficient_warms_up_from_zero(void **state)
{
    (void)state;
    fc_err err = {0};
    char path[FC_PATH_MAX];
    json_t *root = NULL;
    fc_fixture(path, "sae/training/schedules.json");
    fc_assert_ok(fc_json_load(&root, path, &err), &err);
    const json_t *tables = json_object_get(root, "saelens_coefficient");
    assert_true(json_array_size(tables) > 0);
    for (size_t i = 0; i < json_array_size(tables); i++) {
        const json_t *table = json_array_get(tables, i);
        const json_t *value = json_object_get(table, "value_per_step");
        fc_train_config c;
        fc_train_defaults(&c);
        c.l1_coefficient = json_number_value(json_object_get(table, "final_value"));
        c.l1_warm_up_steps = json_integer_value(json_object_get(table, "warm_up_steps"));
        for (size_t t = 0; t < json_array_size(value); t++)
            assert_true(fabs(fc_schedule_l1(&c, (int64_t)t) -
                             json_number_value(json_array_get(value, t))) <= 1e-14);
    }
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_seed_variant_trains_as_in_pytorch),
        cmocka_unit_test(the_learning_rate_follows_the_table),
        cmocka_unit_test(the_l1_coefficient_warms_up_from_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
