/* test_train_setup.c - what a run begins with: options, recipes, schedules, start weights.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/par.h"
#include "formats/recipe_yaml.h"
#include "sae/init.h"
#include "sae/recipes.h"
#include "sae/schedule.h"

/* --- recipes ------------------------------------------------------------------------------ */

static fc_status set_field(void *config, const char *section, const char *key,
                           const char *value, const char *where, fc_err *err)
{
    int64_t n;
    const fc_field *fields = fc_train_fields(&n);
    assert_string_equal(section, "train");
    const fc_field *field = fc_fields_find(fields, n, key);
    if (field == NULL) return fc_fail(err, FC_USAGE, "%s: no such option", where);
    return fc_field_set(field, config, value, where, err);
}

static void the_recipe_seed_is_what_the_defaults_are(void **state)
{
    (void)state;
    fc_err err = {0};
    fc_train_config defaults, config;
    const char *text = fc_recipe_text("seed");
    assert_non_null(text);
    fc_train_defaults(&defaults);
    memset(&config, 0xff,
           sizeof config); /* a member that the recipe leaves out would show */
    config.seed = defaults.seed;
    config.d_sae = defaults.d_sae;
    config.max_steps = defaults.max_steps;
    config.drop_last = defaults.drop_last;
    config.precision = defaults.precision;
    config.shuffle = defaults.shuffle;
    config.mix_buffer_rows = defaults.mix_buffer_rows;
    config.l1_warm_up_steps = defaults.l1_warm_up_steps;
    config.lr_decay_share = defaults.lr_decay_share;
    config.ema_decay = defaults.ema_decay;
    config.b_dec_init = defaults.b_dec_init;
    const size_t others = offsetof(fc_train_config, k); /* other architectures' options */
    memcpy((char *)&config + others, (char *)&defaults + others,
           offsetof(fc_train_config, resample_every) - others + sizeof(int64_t));
    config.log_every = defaults.log_every;
    config.histogram_every = defaults.histogram_every;
    config.checkpoint_every = defaults.checkpoint_every;
    fc_assert_ok(fc_recipe_parse(text, strlen(text), "seed", set_field, &config, &err),
                 &err);
    int64_t n;
    const fc_field *fields = fc_train_fields(&n);
    for (int64_t i = 0; i < n; i++) {
        fc_strbuf a = {0}, b = {0};
        fc_assert_ok(fc_field_get(&fields[i], &config, &a, &err), &err);
        fc_assert_ok(fc_field_get(&fields[i], &defaults, &b, &err), &err);
        if (strcmp(fc_strbuf_text(&a), fc_strbuf_text(&b)) != 0)
            fail_msg("%s is %s in the recipe, %s by default", fields[i].name,
                     fc_strbuf_text(&a), fc_strbuf_text(&b));
        fc_strbuf_free(&a);
        fc_strbuf_free(&b);
    }
}

static void the_names_list_every_recipe_and_no_other_is_found(void **state)
{
    (void)state;
    assert_non_null(strstr(fc_recipe_names(), "seed"));
    assert_null(fc_recipe_text("see"));
    assert_null(fc_recipe_text(""));
}

static void the_defaults_are_sound(void **state)
{
    (void)state;
    fc_err err = {0};
    fc_train_config config;
    fc_train_defaults(&config);
    fc_assert_ok(fc_train_check(&config, &err), &err);
}

/* --- schedules ---------------------------------------------------------------------------- */

static void linear_and_constant_rates_end_where_they_should(void **state)
{
    (void)state;
    fc_train_config c;
    fc_train_defaults(&c);
    c.lr = 2.0;
    c.lr_final_factor = 0.25;
    c.lr_warm_up_steps = 4;
    c.lr_schedule = FC_LR_LINEAR;
    assert_true(fc_schedule_lr(&c, 0, 12) == 0.5);
    assert_true(fc_schedule_lr(&c, 3, 12) == 2.0);
    assert_true(fabs(fc_schedule_lr(&c, 7, 12) - 1.25) < 1e-12);
    assert_true(fabs(fc_schedule_lr(&c, 11, 12) - 0.5) < 1e-12);
    c.lr_schedule = FC_LR_CONSTANT;
    assert_true(fc_schedule_lr(&c, 11, 12) == 2.0);
}

/* --- start weights ------------------------------------------------------------------------ */

enum { D_IN = 64, D_SAE = 300 };

typedef struct moments {
    double min, max, mean, variance;
} moments;

static moments moments_of(const float *w, int64_t n)
{
    moments m = {.min = (double)w[0], .max = (double)w[0]};
    for (int64_t i = 0; i < n; i++) {
        m.min = fmin(m.min, (double)w[i]);
        m.max = fmax(m.max, (double)w[i]);
        m.mean += (double)w[i] / (double)n;
    }
    for (int64_t i = 0; i < n; i++)
        m.variance += ((double)w[i] - m.mean) * ((double)w[i] - m.mean) / (double)n;
    return m;
}

/* Uniform on [-bound, bound]: variance bound^2 / 3, and the ends are nearly reached. */
static void assert_uniform(const float *w, int64_t n, double bound)
{
    const moments m = moments_of(w, n);
    const double slack = 5.0 / sqrt((double)n); /* five standard deviations, roughly */
    assert_true(m.min >= -bound && m.max <= bound);
    assert_true(m.max > bound * (1.0 - 0.5 * slack - 20.0 / (double)n));
    assert_true(fabs(m.mean) < bound * slack);
    assert_true(fabs(m.variance - bound * bound / 3.0) < bound * bound / 3.0 * slack);
}

static fc_sae *start(fc_init init, int64_t seed, bool is_unit, fc_backend *be)
{
    fc_err err = {0};
    fc_sae *sae = NULL;
    fc_train_config config;
    fc_train_defaults(&config);
    config.init = (int)init;
    config.seed = seed;
    config.unit_norm_decoder = is_unit;
    fc_assert_ok(fc_sae_new(&sae, "standard", D_IN, D_IN, D_SAE, &err), &err);
    fc_sae_init_weights(sae, &config, be);
    return sae;
}

static double row_norm(const float *w, int64_t i)
{
    double sum = 0.0;
    for (int j = 0; j < D_IN; j++)
        sum += (double)w[i * D_IN + j] * (double)w[i * D_IN + j];
    return sqrt(sum);
}

static void linear_weights_are_those_of_two_linear_layers(void **state)
{
    fc_backend *be = *state;
    fc_sae *sae = start(FC_INIT_LINEAR, 1, false, be);
    assert_uniform(sae->w_enc, D_IN * D_SAE, 1.0 / sqrt(D_IN));
    assert_uniform(sae->b_enc, D_SAE, 1.0 / sqrt(D_IN));
    assert_uniform(sae->w_dec, D_IN * D_SAE, 1.0 / sqrt(D_SAE));
    assert_uniform(sae->b_dec, D_IN, 1.0 / sqrt(D_SAE));
    fc_sae_free(sae);
}

static void tied_weights_have_rows_of_the_norm_they_promise(void **state)
{
    fc_backend *be = *state;
    static const struct {
        fc_init init;
        double norm;
    } cases[] = {{FC_INIT_TIED_UNIT, 1.0}, {FC_INIT_SAELENS, 0.1}};
    for (size_t k = 0; k < FC_LEN(cases); k++) {
        fc_sae *sae = start(cases[k].init, 1, false, be);
        assert_memory_equal(sae->w_enc, sae->w_dec, D_IN * D_SAE * sizeof(float));
        for (int i = 0; i < D_SAE; i++) {
            assert_true(fabs(row_norm(sae->w_dec, i) - cases[k].norm) <
                        1e-6 * cases[k].norm);
            assert_true(sae->b_enc[i] == 0.0f);
        }
        for (int j = 0; j < D_IN; j++) assert_true(sae->b_dec[j] == 0.0f);
        fc_sae_free(sae);
    }
}

static void a_unit_norm_decoder_starts_with_unit_rows(void **state)
{
    fc_backend *be = *state;
    fc_sae *sae = start(FC_INIT_LINEAR, 1, true, be);
    for (int i = 0; i < D_SAE; i++)
        assert_true(fabs(row_norm(sae->w_dec, i) - 1.0) < 1e-6);
    fc_sae_free(sae);
}

static void start_weights_depend_on_the_seed_and_not_on_threads(void **state)
{
    fc_backend *be = *state;
    fc_sae *a = start(FC_INIT_LINEAR, 1, false, be);
    fc_par_set_threads(3);
    fc_sae *b = start(FC_INIT_LINEAR, 1, false, be),
           *c = start(FC_INIT_LINEAR, 2, false, be);
    fc_par_set_threads(0);
    assert_memory_equal(a->w_enc, b->w_enc, D_IN * D_SAE * sizeof(float));
    assert_memory_equal(a->w_dec, b->w_dec, D_IN * D_SAE * sizeof(float));
    assert_memory_not_equal(a->w_enc, c->w_enc, D_IN * D_SAE * sizeof(float));
    assert_memory_not_equal(a->w_enc, a->w_dec, D_IN * D_SAE * sizeof(float));
    fc_sae_free(a);
    fc_sae_free(b);
    fc_sae_free(c);
}

static int open_backend(void **state)
{
    fc_err err = {0};
    fc_backend *be = NULL;
    fc_par_set_threads(3); /* a backend serves as many as at its opening */
    fc_assert_ok(fc_backend_open(&be, NULL, &err), &err);
    fc_par_set_threads(0);
    *state = be;
    return 0;
}

static int close_backend(void **state)
{
    fc_backend_close(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_recipe_seed_is_what_the_defaults_are),
        cmocka_unit_test(the_names_list_every_recipe_and_no_other_is_found),
        cmocka_unit_test(the_defaults_are_sound),
        cmocka_unit_test(linear_and_constant_rates_end_where_they_should),
        cmocka_unit_test(linear_weights_are_those_of_two_linear_layers),
        cmocka_unit_test(tied_weights_have_rows_of_the_norm_they_promise),
        cmocka_unit_test(a_unit_norm_decoder_starts_with_unit_rows),
        cmocka_unit_test(start_weights_depend_on_the_seed_and_not_on_threads),
    };
    return cmocka_run_group_tests(tests, open_backend, close_backend);
}
