/* test_golden_archs.c - every architecture against SAELens' own training classes.
 *
 * Walks sae/training/ARCH: 24 steps each, with every loss by SAELens' name, l0, the mask of dead
 * features, gradients of the first step, weights, moments and the threshold of batchtopk.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit/sae/golden_run.h"

#include "base/par.h"

static int choice_of(const golden_run *r, const char *key, const char *const *names,
                     int n)
{
    const char *text = json_string_value(json_object_get(r->json, key));
    assert_non_null(text);
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], text) == 0) return i;
    fail_msg("%s: %s is '%s'", r->name, key, text);
    return 0;
}

static int arch_of(const golden_run *r)
{
    const char *name = json_string_value(json_object_get(r->json, "architecture"));
    for (int row = 0;; row++)
        if (strcmp(fc_arch_at(row)->name, name) == 0) return row;
}

static void set_jumprelu(const golden_run *r, fc_train_config *c)
{
    static const char *const penalties[] = {"tanh", "step", "quadratic"};
    c->jumprelu_bandwidth = number(r, "jumprelu_bandwidth");
    c->jumprelu_threshold = number(r, "jumprelu_init_threshold");
    c->l0_penalty = choice_of(r, "jumprelu_sparsity_loss_mode", penalties, 3);
    c->jumprelu_ste_to_input = truth(r, "jumprelu_ste_to_input");
    c->jumprelu_tanh_scale = number(r, "jumprelu_tanh_scale");
    c->l0_coefficient = number(r, "l0_coefficient");
    c->l0_warm_up_steps = (int64_t)number(r, "l0_warm_up_steps");
    c->target_l0 = number(r, "target_l0");
    c->pre_act_coefficient = number(r, "pre_act_loss_coefficient");
}

static void set_widths(const golden_run *r, fc_train_config *c)
{
    const json_t *widths = json_object_get(r->json, "matryoshka_widths");
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(widths); i++)
        n += (size_t)snprintf(c->matryoshka_widths + n, sizeof c->matryoshka_widths - n,
                              "%s%lld", i > 0 ? "," : "",
                              json_integer_value(json_array_get(widths, i)));
    c->matryoshka_aux = truth(r, "use_matryoshka_aux_loss");
}

static fc_train_config config_of(const golden_run *r)
{
    fc_train_config c;
    fc_train_defaults(&c);
    c.arch = arch_of(r);
    c.d_sae = r->d_sae;
    c.batch_size = (int64_t)number(r, "batch_size");
    c.lr = number(r, "lr");
    c.lr_warm_up_steps = (int64_t)number(r, "lr_warm_up_steps");
    c.lr_schedule = FC_LR_CONSTANT;
    c.l1_coefficient = number(r, "l1_coefficient");
    c.l1_warm_up_steps = (int64_t)number(r, "l1_warm_up_steps");
    c.l1_form = FC_L1_DECODER_NORM;
    c.mse_form = FC_MSE_SUM;
    c.adam_beta1 = number(r, "adam_beta1");
    c.adam_beta2 = number(r, "adam_beta2");
    c.adam_eps = number(r, "adam_eps");
    c.grad_clip_norm = number(r, "grad_clip_norm");
    c.apply_b_dec_to_input = truth(r, "apply_b_dec_to_input");
    c.precision = FC_F32_PRECISION;
    c.dead_feature_window = (int64_t)number(r, "dead_feature_window");
    if (json_object_get(r->json, "k") != NULL) {
        c.k = number(r, "k");
        c.rescale_by_decoder_norm = truth(r, "rescale_acts_by_decoder_norm");
        c.aux_coefficient = number(r, "aux_loss_coefficient");
    }
    if (json_object_get(r->json, "topk_threshold_lr") != NULL)
        c.topk_threshold_lr = number(r, "topk_threshold_lr");
    if (json_object_get(r->json, "matryoshka_widths") != NULL) set_widths(r, &c);
    if (json_object_get(r->json, "jumprelu_bandwidth") != NULL) set_jumprelu(r, &c);
    return c;
}

/* A loss that the trace may have under this name. Small ones are compared with the whole loss, to
 * which their rounding belongs. */
static void loss_near(golden_run *r, double found, const char *name, int64_t t)
{
    if (fc_safetensors_find(r->trace, name) == NULL) return;
    const double expected = scalar_at(r->trace, name, t);
    if (expected == 0.0)
        assert_true(found == 0.0);
    else
        near(r, found, expected, 1e-5, name, t);
}

static void check_losses(golden_run *r, int64_t t)
{
    const fc_step *s = r->step;
    const fc_losses *l = &s->losses;
    near(r, l->total, scalar_at(r->trace, "total", t), 1e-5, "total", t);
    loss_near(r, l->mse, "mse_loss", t);
    loss_near(r, s->l1_coefficient * l->l1, "l1_loss", t);
    loss_near(r, l->l0_loss, "l0_loss", t);
    loss_near(r, l->aux, "auxiliary_reconstruction_loss", t);
    loss_near(r, l->pre_act, "pre_act_loss", t);
    for (int level = 0; level < s->n_levels - 1; level++) {
        char name[64];
        snprintf(name, sizeof name, "inner_mse_loss_%d", (int)s->level_end[level]);
        near(r, s->level_mse[level], scalar_at(r->trace, name, t), 1e-5, name, t);
    }
    near(r, l->l0, scalar_at(r->trace, "l0", t), 1e-6, "l0", t);
}

static void check_dead(const golden_run *r, int64_t t)
{
    const fc_tensor *mask = find(r->trace, "dead_mask");
    const uint8_t *expected = (const uint8_t *)mask->data + t * r->d_sae;
    for (int64_t i = 0; i < r->d_sae; i++)
        if ((r->step->is_dead[i] != 0) != (expected[i] != 0))
            fail_msg("%s, step %" PRId64 ": feature %" PRId64
                     " is %s, expected the other",
                     r->name, t, i, r->step->is_dead[i] ? "dead" : "alive");
}

/* SAELens' features: in units of ||W_dec_i|| when rows compete by that. */
static void check_features(golden_run *r)
{
    const fc_step *s = r->step;
    const fc_lists *l = &s->codes->lists;
    float *f = calloc((size_t)(s->n * r->d_sae), sizeof *f);
    assert_non_null(f);
    for (int64_t i = 0; i < r->d_sae; i++) {
        const float norm = s->codes->norm != NULL ? s->codes->norm[i] : 1.0f;
        if (fc_codes_is_whole(s->codes, i))
            for (int64_t t = 0; t < s->n; t++)
                f[t * r->d_sae + i] = s->codes->value[i * s->codes->row + t];
        for (int64_t j = l->begin[i]; j < l->begin[i] + l->count[i]; j++)
            f[l->index[j] * r->d_sae + i] = l->value[j] * norm;
    }
    tensor_near(r, f, "step0.features", 1e-5);
    free(f);
}

static void train_step(golden_run *r, int64_t t)
{
    fc_step *s = r->step;
    take_batch(r, t);
    s->l1_coefficient = fc_schedule_l1(&r->config, t);
    s->l0_coefficient = fc_schedule_l0(&r->config, t);
    fc_step_forward(s);
    check_losses(r, t);
    check_dead(r, t);
    fc_step_gradients(s);
    if (t == 0) check_features(r);
    if (t == 0) check_gradients(r, "step0.grad");
    const double lr = fc_schedule_lr(&r->config, t, r->n_steps);
    near(r, lr, scalar_at(r->trace, "lr", t), 1e-14, "lr", t);
    near(r, fc_step_clip(s), scalar_at(r->trace, "grad_norm", t), 1e-5, "grad_norm", t);
    fc_step_apply(s, lr, t + 1);
    if (fc_safetensors_find(r->trace, "topk_threshold") != NULL)
        near(r, s->topk_threshold, scalar_at(r->trace, "topk_threshold", t), 1e-5,
             "topk_threshold", t);
}

static void run_arch(const char *name, const char *cpu)
{
    fc_err err = {0};
    fc_backend *be = NULL;
    golden_run r;
    fc_assert_ok(fc_backend_open(&be, cpu, &err), &err);
    golden_open(&r, name, be);
    r.config = config_of(&r);
    fc_assert_ok(fc_train_check(&r.config, &err), &err);
    golden_begin(&r);
    for (int64_t t = 0; t < r.n_steps; t++) {
        train_step(&r, t);
        if (t == 0) check_state(&r, "after1", 5e-6);
    }
    check_state(&r, "end", 1e-5);
    print_message("%-24s %s: at most %.2f of a tolerance\n", name, be->ops->name,
                  r.worst);
    golden_close(&r);
    fc_backend_close(be);
}

static const char *const archs[] = {
    "standard",
    "standard-no-input-bias",
    "transcoder",
    "skip_transcoder",
    "topk",
    "topk-no-rescale",
    "batchtopk",
    "matryoshka",
    "jumprelu-step",
    "jumprelu-quadratic",
    "jumprelu-tanh",
    "gated",
    "matryoshka-level-aux",
};

static const char *const levels[] = {"ref", "avx2", "avx512", "amx"};

static void every_architecture_trains_as_in_saelens(void **state)
{
    const char *const cpu = *state;
    for (size_t i = 0; i < FC_LEN(archs); i++) run_arch(archs[i], cpu);
}

/* All instruction sets that the machine has, and one with more threads than cores. */
int main(void)
{
    int n_failed = 0;
    for (size_t i = 0; i < FC_LEN(levels); i++) {
        fc_err err = {0};
        fc_backend *be = NULL;
        if (fc_backend_open(&be, levels[i], &err) != FC_OK) continue;
        fc_backend_close(be);
        fc_par_set_threads(i == 0 ? 1 : 2 * (int)i + 1);
        const struct CMUnitTest tests[] = {
            cmocka_unit_test_prestate(every_architecture_trains_as_in_saelens,
                                      (void *)(uintptr_t)levels[i]),
        };
        n_failed += cmocka_run_group_tests_name(levels[i], tests, NULL, NULL);
    }
    return n_failed;
}
