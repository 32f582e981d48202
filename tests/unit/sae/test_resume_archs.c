/* test_resume_archs.c - runs of every architecture, stopped and resumed: thresholds, means of
 * weights, dead features and fresh starts go on as if nothing had happened.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "run_testing.h"

#include "sae/arch.h"

typedef struct variant {
    const char *arch;
    double ema_decay;
    int64_t resample_every;
    double grad_clip_norm;
    int b_dec_init;
} variant;

static const variant variants[] = {
    {"standard", 0.99, 30, 0.0, FC_B_DEC_MEDIAN},
    {"topk", 0.99, 20, 0.0, FC_B_DEC_MEAN},
    {"batchtopk", 0.0, 0, 0.0, FC_B_DEC_ZERO},
    {"matryoshka_batchtopk", 0.9, 0, 1.0, FC_B_DEC_MEDIAN},
    {"jumprelu", 0.0, 15, 1.0, FC_B_DEC_ZERO},
    {"gated", 0.99, 25, 0.0, FC_B_DEC_ZERO},
};

static fc_train_config config_of(const variant *v)
{
    fc_train_config c = test_config();
    c.arch = 0;
    while (strcmp(fc_arch_at(c.arch)->name, v->arch) != 0) c.arch++;
    c.lr = 1e-3;
    c.k = 3;
    c.init = FC_INIT_TIED_UNIT;
    c.aux_coefficient = 0.1;
    c.dead_feature_window = 5;
    c.l0_coefficient = 1e-3;
    c.pre_act_coefficient = 1e-3;
    c.jumprelu_bandwidth = 0.2;
    c.jumprelu_threshold = 0.2;
    c.apply_b_dec_to_input = true;
    c.ema_decay = v->ema_decay;
    c.resample_every = v->resample_every;
    c.grad_clip_norm = v->grad_clip_norm;
    c.b_dec_init = v->b_dec_init;
    return c;
}

static void every_architecture_goes_on_as_if_it_had_not_stopped(void **state)
{
    const world *w = *state;
    for (size_t i = 0; i < FC_LEN(variants); i++) {
        const fc_train_config config = config_of(&variants[i]);
        char whole[FC_PATH_MAX], parts[FC_PATH_MAX], name[64];
        fc_train_result result;
        fc_err err = {0};
        watcher seen;
        snprintf(name, sizeof name, "whole-%s", variants[i].arch);
        run_path(whole, w, name);
        snprintf(name, sizeof name, "parts-%s", variants[i].arch);
        run_path(parts, w, name);
        fc_assert_ok(train(w, whole, &config, false, &result, &err), &err);
        watch(&seen);
        static const int stops[] = {9, 10, 61};
        for (size_t k = 0; k < FC_LEN(stops); k++) {
            fc_cancel_set(false);
            seen.cancel_at = stops[k] - 1;
            fc_assert_fails(train(w, parts, &config, k > 0, &result, &err), &err,
                            FC_CANCELLED, "--resume");
        }
        fc_cancel_set(false);
        seen.cancel_at = -1.0;
        fc_assert_ok(train(w, parts, &config, true, &result, &err), &err);
        unwatch();
        assert_same_run(whole, parts);
    }
}

static void losses_have_their_columns(void **state)
{
    const world *w = *state;
    static const struct {
        const char *arch, *header;
    } cases[] = {
        {"standard", "step,epoch,total,mse,l1,l0,dead,lr\n"},
        {"batchtopk", "step,epoch,total,mse,l1,l0,dead,lr,aux\n"},
        {"matryoshka_batchtopk", "step,epoch,total,mse,l1,l0,dead,lr,aux,inner\n"},
        {"jumprelu", "step,epoch,total,mse,l1,l0,dead,lr,l0_loss,pre_act\n"},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        char run[FC_PATH_MAX], path[FC_PATH_MAX], name[64];
        snprintf(name, sizeof name, "whole-%s", cases[i].arch);
        run_path(run, w, name);
        fc_test_path(path, run, "metrics.csv");
        char *text = fc_test_read(path, NULL);
        assert_int_equal(strncmp(text, cases[i].header, strlen(cases[i].header)), 0);
        free(text);
    }
}

static void a_trained_sae_of_each_architecture_loads(void **state)
{
    const world *w = *state;
    for (size_t i = 0; i < FC_LEN(variants); i++) {
        char run[FC_PATH_MAX], path[FC_PATH_MAX], name[64];
        fc_err err = {0};
        fc_sae *sae = NULL;
        snprintf(name, sizeof name, "whole-%s", variants[i].arch);
        run_path(run, w, name);
        fc_test_path(path, run, "sae");
        fc_assert_ok(fc_sae_load(&sae, path, &err), &err);
        assert_int_equal(sae->d_sae, TEST_F);
        fc_sae_free(sae);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_architecture_goes_on_as_if_it_had_not_stopped),
        cmocka_unit_test(losses_have_their_columns),
        cmocka_unit_test(a_trained_sae_of_each_architecture_loads),
    };
    return cmocka_run_group_tests(tests, make_world, remove_world);
}
