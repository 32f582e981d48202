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
#include "sae/active.h"
#include "sae/arch.h"

enum { D = 12, F = 40, N = 7 };

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
    fc_assert_ok(fc_sae_new(&r->sae, D, d_sae, &err), &err);
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
    fc_assert_ok(fc_step_new(&r->step, &r->config, be, r->sae, &err), &err);
    r->step->x = r->x;
    r->step->n = N;
    r->step->l1_coefficient = 0.05;
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
                r.step->arch->step(r.step);
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
        /* those that remain all fire somewhere, so the smaller SAE packs nothing */
        for (int64_t i = 0; i < n; i++) few.sae->b_enc[i] = all.sae->b_enc[id[i]] = 0.5f;
        all.step->arch->step(all.step);
        few.step->arch->step(few.step);
        assert_int_equal(all.step->n_active, n);
        assert_int_equal(few.step->n_active, n);
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
    r.step->arch->step(r.step); /* leaves numbers in every buffer */
    for (int i = 0; i < F; i++) r.sae->b_enc[i] = -1000.0f;
    r.step->arch->step(r.step);
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
    for (int n_threads = 1; n_threads <= 4; n_threads++) {
        rig r;
        fc_train_config config;
        fc_train_defaults(&config);
        make_rig(&r, be, F, NULL, &config);
        for (int i = 0; i < F; i += 2) r.sae->b_enc[i] = -1000.0f;
        fc_par_set_threads(n_threads);
        r.step->arch->step(r.step);
        if (n_threads == 1) memcpy(first, r.step->param[FC_W_ENC].g, sizeof first);
        assert_memory_equal(first, r.step->param[FC_W_ENC].g, sizeof first);
        drop_rig(&r);
    }
    fc_par_set_threads(0);
}

/* --- packing ------------------------------------------------------------------------------ */

static void packing_and_unpacking_leave_active_rows_and_zeros(void **state)
{
    (void)state;
    enum { ROWS = 9, COLS = 300 }; /* more columns than one chunk */
    static const int64_t counts[][ROWS] = {
        {0, 0, 0, 0, 0, 0, 0, 0, 0}, {1, 1, 1, 1, 1, 1, 1, 1, 1},
        {1, 0, 0, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0, 0, 5},
        {0, 2, 0, 0, 3, 1, 0, 1, 0},
    };
    for (size_t c = 0; c < FC_LEN(counts); c++) {
        static float x[ROWS * COLS], original[ROWS * COLS];
        int64_t id[ROWS];
        fill(original, ROWS * COLS, 0, 1.0);
        memcpy(x, original, sizeof x);
        const int64_t n = fc_active_rows(id, counts[c], ROWS);
        fc_active_pack(x, x, id, n, COLS);
        for (int64_t k = 0; k < n; k++)
            assert_memory_equal(x + k * COLS, original + id[k] * COLS,
                                COLS * sizeof(float));
        fc_active_unpack(x, id, n, ROWS, COLS);
        for (int64_t i = 0; i < ROWS; i++)
            for (int64_t j = 0; j < COLS; j++)
                assert_true(x[i * COLS + j] ==
                            (counts[c][i] > 0 ? original[i * COLS + j] : 0.0f));
    }
}

static int open_backend(void **state)
{
    fc_err err = {0};
    fc_backend *be = NULL;
    fc_assert_ok(fc_backend_open(&be, NULL, &err), &err);
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
        cmocka_unit_test(packing_and_unpacking_leave_active_rows_and_zeros),
    };
    return cmocka_run_group_tests(tests, open_backend, close_backend);
}
