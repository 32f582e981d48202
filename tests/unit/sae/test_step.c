/* test_step.c - gradients of one step against central differences, and silent features.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/par.h"
#include "base/rng.h"
#include "sae/step.h"

enum { D = 12, F = 40, N = 7, MAX_THREADS = 4 };

typedef struct rig { /* one SAE, one batch */
    fc_train_config config;
    fc_sae *sae;
    fc_step *step;
    float x[N * D];
} rig;

static void fill(float *w, int64_t n, uint64_t first, double scale)
{
    for (int64_t i = 0; i < n; i++)
        w[i] = (float)(scale * fc_rng_normal(11, FC_RNG_TEST, first + (uint64_t)i));
}

/* Feature i has the weights numbered id[i]; id NULL: i. */
static void make_rig(rig *r, fc_backend *be, int64_t d_sae, const int64_t *id,
                     const fc_train_config *config)
{
    fc_err err = {0};
    r->config = *config;
    r->config.batch_size = N;
    fc_assert_ok(fc_sae_new(&r->sae, "standard", D, D, d_sae, &err), &err);
    snprintf(r->sae->arch, sizeof r->sae->arch, "standard");
    r->sae->is_b_dec_subtracted = config->apply_b_dec_to_input;
    for (int64_t i = 0; i < d_sae; i++) {
        const uint64_t number = (uint64_t)(id != NULL ? id[i] : i);
        fill(r->sae->w_enc + i * D, D, 1000 + number * D, 0.3);
        fill(r->sae->w_dec + i * D, D, 100000 + number * D, 0.3);
        fill(r->sae->b_enc + i, 1, 200000 + number, 0.1);
    }
    fill(r->sae->b_dec, D, 300000, 0.1);
    fill(r->x, N * D, 400000, 1.0);
    fc_assert_ok(fc_step_new(&r->step, &r->config, be, r->sae, true, &err), &err);
    r->step->x = r->x;
    r->step->n = N;
    r->step->l1_coefficient = 0.05;
}

static void run(fc_step *step)
{
    fc_step_forward(step);
    fc_step_gradients(step);
}

static void drop_rig(rig *r)
{
    fc_step_free(r->step);
    fc_sae_free(r->sae);
}

/* --- gradients ---------------------------------------------------------------------------- */

/* Activation of feature i on token t, in double. */
static double feature(const rig *r, int64_t i, int t)
{
    const fc_sae *s = r->sae;
    double z = (double)s->b_enc[i];
    for (int j = 0; j < D; j++) {
        const double b = s->is_b_dec_subtracted ? (double)s->b_dec[j] : 0.0;
        z += (double)s->w_enc[i * D + j] * ((double)r->x[t * D + j] - b);
    }
    return z > 0.0 ? z : 0.0;
}

/* What the penalty counts feature i for. */
static double l1_weight(const rig *r, int64_t i)
{
    double sq = 0.0;
    for (int j = 0; j < D; j++)
        sq += (double)r->sae->w_dec[i * D + j] * (double)r->sae->w_dec[i * D + j];
    if (r->config.l1_form == FC_L1_DECODER_NORM) return sqrt(sq);
    return r->config.l1_form == FC_L1_MEAN ? 1.0 / (double)r->sae->d_sae : 1.0;
}

/* The loss in double. */
static double loss(const rig *r)
{
    const fc_sae *s = r->sae;
    double mse = 0.0, l1 = 0.0;
    for (int t = 0; t < N; t++) {
        double e[D];
        for (int j = 0; j < D; j++) e[j] = (double)s->b_dec[j] - (double)r->x[t * D + j];
        for (int64_t i = 0; i < s->d_sae; i++) {
            const double f = feature(r, i, t);
            for (int j = 0; j < D; j++) e[j] += f * (double)s->w_dec[i * D + j];
            l1 += f * l1_weight(r, i);
        }
        for (int j = 0; j < D; j++) mse += e[j] * e[j];
    }
    if (r->config.mse_form == FC_MSE_MEAN) mse /= D;
    return (mse + 0.05 * l1) / N;
}

/* Every 7th weight of every parameter. A step over a kink of ReLU would show as a large error; with
 * this h there is none in these numbers. */
static void check_gradients(const rig *r)
{
    static const float h = 1e-4f;
    for (int i = 0; i < r->step->n_params; i++) {
        const fc_param *p = &r->step->param[i];
        for (int64_t k = 0; k < p->n; k += 7) {
            const float w = p->w[k];
            p->w[k] = w + h;
            const double up = loss(r), above = (double)p->w[k];
            p->w[k] = w - h;
            const double down = loss(r), below = (double)p->w[k];
            p->w[k] = w;
            const double expected = (up - down) / (above - below);
            if (fabs((double)p->g[k] - expected) > 2e-5 + 1e-4 * fabs(expected))
                fail_msg("%s[%d]: %.8g, expected %.8g", p->name, (int)k, (double)p->g[k],
                         expected);
        }
    }
}

static void gradients_are_central_differences_of_the_loss(void **state)
{
    fc_backend *be = *state;
    for (int l1 = FC_L1_SUM; l1 <= FC_L1_DECODER_NORM; l1++)
        for (int mse = FC_MSE_MEAN; mse <= FC_MSE_SUM; mse++)
            for (int is_subtracted = 0; is_subtracted < 2; is_subtracted++) {
                rig r;
                fc_train_config config;
                fc_train_defaults(&config);
                config.l1_form = l1;
                config.mse_form = mse;
                config.apply_b_dec_to_input = is_subtracted;
                make_rig(&r, be, F, NULL, &config);
                run(r.step);
                assert_true(fabs(r.step->losses.total - loss(&r)) < 1e-5 * loss(&r));
                check_gradients(&r);
                drop_rig(&r);
            }
}

/* --- silent features ---------------------------------------------------------------------- */

static bool is_silenced(int64_t i, int64_t every)
{
    return every > 0 && i % every != 0;
}

/* `all` has zeros for the silenced features, and for the others what `few` has. */
static void assert_same_gradients(const rig *all, const rig *few, int64_t every)
{
    static const float zero[D] = {0};
    for (int p = FC_W_ENC; p <= FC_B_ENC; p++) {
        const int64_t cols = p == FC_B_ENC ? 1 : D;
        const float *found = all->step->param[p].g, *next = few->step->param[p].g;
        for (int64_t i = 0; i < F; i++, found += cols) {
            const bool is_silent = is_silenced(i, every);
            assert_memory_equal(found, is_silent ? zero : next,
                                (size_t)cols * sizeof(float));
            if (!is_silent) next += cols;
        }
    }
}

static void a_silent_feature_changes_no_byte_of_the_others(void **state)
{
    fc_backend *be = *state;
    static const int64_t evens[] = {2, 3, 40}; /* 20, 14 and 1 of 40 features remain */
    for (size_t k = 0; k < FC_LEN(evens); k++) {
        rig all, few;
        int64_t id[F], n = 0;
        fc_train_config config;
        fc_train_defaults(&config);
        config.apply_b_dec_to_input = true;
        for (int64_t i = 0; i < F; i++)
            if (!is_silenced(i, evens[k])) id[n++] = i;
        make_rig(&all, be, F, NULL, &config);
        make_rig(&few, be, n, id, &config);
        for (int64_t i = 0; i < F; i++)
            if (is_silenced(i, evens[k])) all.sae->b_enc[i] = -1000.0f;
        for (int64_t i = 0; i < n; i++) few.sae->b_enc[i] = all.sae->b_enc[id[i]] = 0.5f;
        run(all.step);
        run(few.step);
        assert_true(all.step->losses.total == few.step->losses.total);
        assert_memory_equal(all.step->param[FC_B_DEC].g, few.step->param[FC_B_DEC].g,
                            D * sizeof(float));
        assert_same_gradients(&all, &few, evens[k]);
        drop_rig(&all);
        drop_rig(&few);
    }
}

static void when_no_feature_fires_only_the_output_bias_learns(void **state)
{
    fc_backend *be = *state;
    rig r;
    fc_train_config config;
    fc_train_defaults(&config);
    make_rig(&r, be, F, NULL, &config);
    run(r.step); /* leaves numbers in every buffer */
    for (int i = 0; i < F; i++) r.sae->b_enc[i] = -1000.0f;
    run(r.step);
    assert_true(r.step->losses.l0 == 0.0 && r.step->losses.l1 == 0.0);
    assert_true(fabs(r.step->losses.total - loss(&r)) < 1e-5 * loss(&r));
    check_gradients(&r);
    for (int p = FC_W_ENC; p <= FC_B_ENC; p++)
        for (int64_t k = 0; k < r.step->param[p].n; k++)
            assert_true(r.step->param[p].g[k] == 0.0f);
    drop_rig(&r);
}

static void a_step_gives_the_same_bytes_for_any_thread_count(void **state)
{
    fc_backend *be = *state;
    float first[F * D];
    for (int n_threads = 1; n_threads <= MAX_THREADS; n_threads++) {
        rig r;
        fc_train_config config;
        fc_train_defaults(&config);
        fc_par_set_threads(n_threads);
        make_rig(&r, be, F, NULL, &config);
        for (int i = 0; i < F; i += 2) r.sae->b_enc[i] = -1000.0f;
        run(r.step);
        if (n_threads == 1) memcpy(first, r.step->param[FC_W_ENC].g, sizeof first);
        assert_memory_equal(first, r.step->param[FC_W_ENC].g, sizeof first);
        drop_rig(&r);
    }
    fc_par_set_threads(0);
}

/* --- updates ------------------------------------------------------------------------------ */

typedef struct outcome {
    float w_enc[F * D], w_dec[F * D], b_enc[F], b_dec[D];
} outcome;

/* Some features fire always, some seldom, some never. Weights after a few steps. */
static void train(outcome *end, fc_backend *be, const fc_train_config *config,
                  bool has_gradients)
{
    rig r;
    fc_err err = {0};
    make_rig(&r, be, F, NULL, config);
    for (int i = 0; i < F; i++) {
        static const float bias[] = {0.5f, -0.8f, -1.5f, -1000.0f};
        r.sae->b_enc[i] = bias[i % 4];
    }
    fc_step_free(r.step);
    fc_assert_ok(fc_step_new(&r.step, &r.config, be, r.sae, has_gradients, &err), &err);
    for (int k = 1; k <= 5; k++) {
        r.step->x = r.x;
        r.step->n = N;
        r.step->l1_coefficient = 0.05;
        fc_step_forward(r.step);
        fc_step_update(r.step, 1e-2, k);
    }
    memcpy(end->w_enc, r.sae->w_enc, sizeof end->w_enc);
    memcpy(end->w_dec, r.sae->w_dec, sizeof end->w_dec);
    memcpy(end->b_enc, r.sae->b_enc, sizeof end->b_enc);
    memcpy(end->b_dec, r.sae->b_dec, sizeof end->b_dec);
    drop_rig(&r);
}

static void gradients_used_at_once_and_gradients_kept_give_the_same_bytes(void **state)
{
    for (int variant = 0; variant < 8; variant++) {
        outcome fused, kept;
        fc_train_config config;
        fc_train_defaults(&config);
        config.precision = variant & 1 ? FC_BF16_PRECISION : FC_F32_PRECISION;
        config.unit_norm_decoder = (variant & 2) != 0;
        config.apply_b_dec_to_input = (variant & 4) != 0;
        config.l1_form = variant & 4 ? FC_L1_DECODER_NORM : FC_L1_SUM;
        train(&fused, *state, &config, false);
        train(&kept, *state, &config, true);
        assert_memory_equal(&fused, &kept, sizeof fused);
    }
}

/* --- rest --------------------------------------------------------------------------------- */

/* One feature that fires only while the rig's bias lets it; a copy of its rows is moved by plain
 * Adam steps with a gradient of 0, which never rest. */
static void a_feature_at_rest_is_where_steps_without_gradient_leave_it(void **state)
{
    enum { SILENT = 900, FEATURE = 3 };
    fc_backend *be = *state;
    rig r;
    fc_train_config config;
    static const float zero[D] = {0};
    float w[D], m[D], v[D];
    fc_train_defaults(&config);
    config.adam_beta1 = 0.75; /* at rest after some 600 steps */
    make_rig(&r, be, F, NULL, &config);
    const fc_param *p = &r.step->param[FC_W_ENC];
    r.sae->b_enc[FEATURE] = 2.0f;
    run(r.step);
    fc_step_apply(r.step, 1e-3, 1);
    memcpy(w, p->w + FEATURE * D, sizeof w);
    memcpy(m, p->m + FEATURE * D, sizeof m);
    memcpy(v, p->v + FEATURE * D, sizeof v);
    for (int k = 2; k <= SILENT + 1; k++) {
        r.sae->b_enc[FEATURE] = -1000.0f;
        run(r.step);
        fc_step_apply(r.step, 1e-3, k);
        const fc_adam adam = {1e-3, config.adam_beta1, config.adam_beta2, config.adam_eps,
                              k};
        be->ops->adam(be, w, m, v, zero, D, &adam);
        assert_memory_equal(w, p->w + FEATURE * D, sizeof w);
    }
    assert_true(m[0] == 0.0f && v[0] < p->v[FEATURE * D]); /* it did rest */

    r.sae->b_enc[FEATURE] = 2.0f;
    run(r.step);
    const fc_adam adam = {1e-3, config.adam_beta1, config.adam_beta2, config.adam_eps,
                          SILENT + 2};
    be->ops->adam(be, w, m, v, p->g + FEATURE * D, D, &adam);
    fc_step_apply(r.step, 1e-3, SILENT + 2);
    for (int j = 0; j < D; j++) {
        const double found = (double)p->v[FEATURE * D + j], expected = (double)v[j];
        assert_true(fabs(found - expected) <= SILENT * 6e-8 * expected);
        assert_true(fabs((double)p->w[FEATURE * D + j] - (double)w[j]) < 1e-6);
    }
    drop_rig(&r);
}

static int open_backend(void **state)
{
    fc_err err = {0};
    fc_backend *be = NULL;
    fc_par_set_threads(MAX_THREADS); /* a backend serves as many as at its opening */
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
        cmocka_unit_test(gradients_are_central_differences_of_the_loss),
        cmocka_unit_test(a_silent_feature_changes_no_byte_of_the_others),
        cmocka_unit_test(when_no_feature_fires_only_the_output_bias_learns),
        cmocka_unit_test(a_step_gives_the_same_bytes_for_any_thread_count),
        cmocka_unit_test(gradients_used_at_once_and_gradients_kept_give_the_same_bytes),
        cmocka_unit_test(a_feature_at_rest_is_where_steps_without_gradient_leave_it),
    };
    return cmocka_run_group_tests(tests, open_backend, close_backend);
}
