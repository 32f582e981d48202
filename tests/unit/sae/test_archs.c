/* test_archs.c - what holds for every architecture: the number of threads does not show, a step
 * allocates nothing, missing memory is an error, and a trained SAE does alone what it did in training.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/par.h"
#include "base/rng.h"
#include "sae/ema.h"
#include "sae/init.h"
#include "sae/resample.h"
#include "sae/step.h"

enum { D = 20, F = 150, N = 30, N_ARCHS = 10, STEPS = 30 };

typedef struct rig {
    fc_train_config config;
    fc_backend *be;
    fc_sae *sae;
    fc_step *step;
    float x[N * D], y[N * D];
} rig;

static void fill_batch(rig *r, uint64_t t)
{
    for (int i = 0; i < N * D; i++) {
        const uint64_t index = t * N * D + (uint64_t)i;
        r->x[i] = (float)fc_rng_normal(1, FC_RNG_TEST, index);
        r->y[i] = 0.5f * r->x[i] + (float)fc_rng_normal(2, FC_RNG_TEST, index);
    }
}

static fc_train_config config_of(int arch)
{
    fc_train_config c;
    fc_train_defaults(&c);
    c.arch = arch;
    c.d_sae = F;
    c.batch_size = N;
    c.k = 7;
    c.init = FC_INIT_TIED_UNIT;
    c.precision = FC_F32_PRECISION;
    c.dead_feature_window = 3;
    c.aux_coefficient = 0.5;
    c.l1_coefficient = 1e-3;
    c.l0_coefficient = 1e-3;
    c.pre_act_coefficient = 1e-3;
    c.jumprelu_bandwidth = 0.3;
    c.jumprelu_threshold = 1.5;
    c.apply_b_dec_to_input = !fc_arch_at(arch)->is_transcoder;
    return c;
}

static fc_status make(rig *r, const fc_train_config *config, fc_err *err)
{
    const fc_arch *arch = fc_arch_at(config->arch);
    *r = (rig){.config = *config};
    fc_status status = fc_backend_open(&r->be, NULL, err);
    if (status == FC_OK) status = fc_sae_new(&r->sae, arch->name, D, D, F, err);
    if (status != FC_OK) return status;
    r->sae->is_b_dec_subtracted = config->apply_b_dec_to_input;
    fc_sae_init_weights(r->sae, config, r->be);
    return fc_step_new(&r->step, &r->config, r->be, r->sae, false, err);
}

static void unmake(rig *r)
{
    fc_step_free(r->step);
    fc_sae_free(r->sae);
    fc_backend_close(r->be);
}

static void begin(rig *r, const fc_train_config *config)
{
    fc_err err = {0};
    fc_assert_ok(fc_train_check(config, &err), &err);
    fc_assert_ok(make(r, config, &err), &err);
}

static void train_step(rig *r, int64_t k)
{
    fc_step *s = r->step;
    fill_batch(r, (uint64_t)k);
    s->x = r->x;
    s->y = s->arch->is_transcoder ? r->y : NULL;
    s->n = k % 5 == 4 ? N - 7 : N;
    s->l1_coefficient = r->config.l1_coefficient;
    s->l0_coefficient = r->config.l0_coefficient;
    fc_step_forward(s);
    fc_step_update(s, 3e-3, k + 1);
}

/* A number that stands for all weights and moments. */
static uint64_t digest(const fc_step *s)
{
    uint64_t h = 1469598103934665603ULL;
    for (int p = 0; p < s->n_params; p++)
        for (int64_t i = 0; i < s->param[p].n; i++) {
            const float of[] = {s->param[p].w[i], s->param[p].m[i], s->param[p].v[i]};
            uint32_t bits[3];
            memcpy(bits, of, sizeof bits);
            for (int b = 0; b < 3; b++) h = (h ^ bits[b]) * 1099511628211ULL;
        }
    return h;
}

static void any_number_of_threads_gives_the_same_bytes(void **state)
{
    (void)state;
    static const int n_threads[] = {1, 2, 5};
    uint64_t first[N_ARCHS];
    for (size_t n = 0; n < FC_LEN(n_threads); n++) {
        fc_par_set_threads(n_threads[n]);
        for (int arch = 0; arch < N_ARCHS; arch++) {
            rig r;
            const fc_train_config config = config_of(arch);
            begin(&r, &config);
            for (int64_t k = 0; k < STEPS; k++) train_step(&r, k);
            if (n == 0) first[arch] = digest(r.step);
            if (first[arch] != digest(r.step))
                fail_msg("%s: other bytes with %d threads", r.step->arch->name,
                         n_threads[n]);
            unmake(&r);
        }
    }
}

static void the_loss_falls_and_a_step_allocates_nothing(void **state)
{
    (void)state;
    for (int arch = 0; arch < N_ARCHS; arch++) {
        rig r;
        const fc_train_config config = config_of(arch);
        begin(&r, &config);
        train_step(&r, 0);
        const double before = r.step->losses.total;
        const int64_t n_allocations = fc_alloc_count();
        for (int64_t k = 1; k < 4 * STEPS; k++) {
            train_step(&r, k);
            assert_true(isfinite(r.step->losses.total));
        }
        assert_int_equal(fc_alloc_count(), n_allocations);
        if (!(r.step->losses.total < before))
            fail_msg("%s: the loss went from %g to %g", r.step->arch->name, before,
                     r.step->losses.total);
        unmake(&r);
    }
}

/* Gradients kept and then applied are those of the fused update. */
static void rows_updated_at_once_are_rows_updated_later(void **state)
{
    (void)state;
    for (int arch = 0; arch < N_ARCHS; arch++) {
        rig fused, kept;
        fc_err err = {0};
        const fc_train_config config = config_of(arch);
        begin(&fused, &config);
        begin(&kept, &config);
        fc_step_free(kept.step);
        fc_assert_ok(fc_step_new(&kept.step, &kept.config, kept.be, kept.sae, true, &err),
                     &err);
        for (int64_t k = 0; k < STEPS; k++) {
            train_step(&fused, k);
            train_step(&kept, k);
        }
        if (digest(fused.step) != digest(kept.step))
            fail_msg("%s: other bytes", fused.step->arch->name);
        unmake(&fused);
        unmake(&kept);
    }
}

static void missing_memory_is_an_error(void **state)
{
    (void)state;
    for (int arch = 0; arch < N_ARCHS; arch++)
        for (int64_t at = 1;; at++) {
            fc_err err = {0};
            rig r;
            const fc_train_config config = config_of(arch);
            fc_alloc_fail_at(at);
            const fc_status status = make(&r, &config, &err);
            fc_alloc_fail_at(0);
            unmake(&r);
            if (status == FC_OK) break;
            assert_int_equal(status, FC_NOMEM);
        }
}

/* --- after training ----------------------------------------------------------------------- */

static float *features_of(const rig *r, bool is_whole)
{
    fc_err err = {0};
    fc_codes *codes = NULL;
    float *f = calloc(F * N, sizeof *f);
    assert_non_null(f);
    fc_assert_ok(fc_codes_new(&codes, r->sae, r->be, FC_PRECISION_F32, N, is_whole, &err),
                 &err);
    fc_codes_encode(codes, r->sae, r->be, r->x, N);
    for (int64_t i = 0; i < F; i++) {
        const fc_feature_codes of = fc_codes_of(codes, i);
        int64_t n_firing = 0;
        for (int64_t j = 0; j < of.n; j++) {
            f[i * N + (of.index != NULL ? of.index[j] : j)] = of.value[j];
            n_firing += of.value[j] > 0.0f;
        }
        assert_int_equal(n_firing, codes->firing.count[i]);
    }
    fc_codes_free(codes);
    return f;
}

/* The definition, feature by feature; topk by what it keeps. */
static float feature(const fc_sae *sae, int64_t i, const float *x)
{
    double z = (double)sae->b_enc[i];
    for (int64_t j = 0; j < D; j++)
        z += (double)sae->w_enc[i * D + j] *
             (double)(x[j] - (sae->is_b_dec_subtracted ? sae->b_dec[j] : 0.0f));
    if (sae->threshold != NULL && !(z > (double)sae->threshold[i])) return 0.0f;
    if (sae->r_mag != NULL) {
        const double m = (z - (double)sae->b_enc[i]) * exp((double)sae->r_mag[i]);
        return z > 0.0 ? fmaxf((float)(m + (double)sae->b_mag[i]), 0.0f) : 0.0f;
    }
    return fmaxf((float)z, 0.0f);
}

static void trained_features_follow_their_definition(void **state)
{
    (void)state;
    for (int arch = 0; arch < N_ARCHS; arch++) {
        rig r;
        const fc_train_config config = config_of(arch);
        begin(&r, &config);
        for (int64_t k = 0; k < 10 * STEPS; k++) train_step(&r, k);
        fc_step_finish(r.step);
        float *lists = features_of(&r, false), *whole = features_of(&r, true);
        assert_memory_equal(lists, whole, F * N * sizeof *lists);
        int64_t n_on = 0;
        for (int64_t i = 0; i < F; i++)
            for (int64_t t = 0; t < N; t++) {
                const float f = lists[i * N + t];
                n_on += f > 0.0f;
                if (f > 0.0f || strcmp(r.sae->arch, "topk") != 0)
                    assert_true(fabsf(f - feature(r.sae, i, r.x + t * D)) < 1e-4f);
            }
        assert_true(n_on > 0);
        if (strstr(r.sae->arch, "topk") != NULL) /* the threshold stands for the batch */
            assert_in_range(n_on, N * 4, N * 7 * 2);
        free(lists);
        free(whole);
        unmake(&r);
    }
}

static void folded_norms_leave_the_reconstruction(void **state)
{
    (void)state;
    for (int arch = 0; arch < N_ARCHS; arch++) {
        rig r;
        float y[2][N * D];
        fc_err err = {0};
        const fc_train_config config = config_of(arch);
        begin(&r, &config);
        for (int64_t k = 0; k < STEPS; k++) train_step(&r, k);
        fc_step_finish(r.step);
        for (int64_t i = 0; i < F * D; i++) r.sae->w_dec[i] *= 1.0f + (float)(i / D % 3);
        for (int is_folded = 0; is_folded < 2; is_folded++) {
            fc_codes *codes = NULL;
            if (is_folded) fc_sae_fold_norms(r.sae);
            fc_assert_ok(
                fc_codes_new(&codes, r.sae, r.be, FC_PRECISION_F32, N, false, &err),
                &err);
            fc_codes_encode(codes, r.sae, r.be, r.x, N);
            fc_codes_decode(codes, r.be, fc_mat_of(r.sae->w_dec, FC_F32, F, D),
                            y[is_folded]);
            fc_codes_free(codes);
        }
        for (int i = 0; i < N * D; i++) assert_true(fabsf(y[0][i] - y[1][i]) < 1e-4f);
        unmake(&r);
    }
}

/* --- what some runs have ------------------------------------------------------------------ */

static void the_mean_of_weights_is_their_fading_mean(void **state)
{
    (void)state;
    fc_train_config config = config_of(1);
    fc_err err = {0};
    rig r;
    fc_ema ema;
    config.ema_decay = 0.9;
    begin(&r, &config);
    fc_assert_ok(fc_ema_init(&ema, r.step, &err), &err);
    double mean = 0.0;
    for (int64_t k = 0; k < 100; k++) {
        train_step(&r, k);
        fc_ema_update(&ema, r.step);
        if ((k + 1) % FC_EMA_STEPS != 0) continue;
        const double share = fmax(1.0 - pow(0.9, 10), 10.0 / (double)(k + 1));
        mean += share * ((double)r.sae->w_enc[17] - mean);
    }
    const float last = r.sae->w_enc[17];
    fc_ema_use(&ema, r.step);
    assert_true(fabs((double)r.sae->w_enc[17] - mean) < 1e-6);
    assert_true(r.sae->w_enc[17] != last);
    fc_ema_deinit(&ema);
    unmake(&r);
}

static void dead_features_start_anew_from_rows_of_the_batch(void **state)
{
    (void)state;
    fc_train_config config = config_of(0);
    rig r;
    fc_resample_draw draw[N];
    config.resample_every = 20;
    begin(&r, &config);
    for (int64_t i = 0; i < 10; i++) r.sae->b_enc[i] = -1e3f; /* will never fire */
    for (int64_t k = 0; k < 20; k++) {
        train_step(&r, k);
        if (k < 19) assert_int_equal(fc_resample(r.step, draw), 0);
    }
    const int64_t n = fc_resample(r.step, draw);
    assert_true(n >= 10 && n < F);
    for (int64_t i = 0; i < 10; i++) {
        double norm = 0.0;
        for (int64_t j = 0; j < D; j++)
            norm += (double)r.sae->w_dec[i * D + j] * (double)r.sae->w_dec[i * D + j];
        assert_true(fabs(norm - 1.0) < 1e-5);
        assert_true(r.sae->b_enc[i] == 0.0f);
        assert_true(r.step->param[FC_W_ENC].m[i * D] == 0.0f);
    }
    train_step(&r, 20);
    int64_t n_firing = 0;
    for (int64_t i = 0; i < 10; i++) n_firing += r.step->codes->firing.count[i] > 0;
    assert_true(n_firing >= 8);
    unmake(&r);
}

static void the_middle_of_the_batch_becomes_b_dec(void **state)
{
    (void)state;
    rig r;
    double scratch[2 * D];
    fc_train_config config = config_of(0);
    begin(&r, &config);
    fill_batch(&r, 0);
    for (int j = 0; j < D; j++) r.x[j] = 1000.0f; /* one row far out */
    config.b_dec_init = FC_B_DEC_MEAN;
    fc_sae_init_b_dec(r.sae, &config, r.x, N, scratch);
    assert_true(r.sae->b_dec[3] > 20.0f);
    config.b_dec_init = FC_B_DEC_MEDIAN;
    fc_sae_init_b_dec(r.sae, &config, r.x, N, scratch);
    /* at the point with the least sum of distances, unit vectors to the rows cancel */
    double sum[D] = {0}, length = 0.0;
    for (int t = 0; t < N; t++) {
        double distance = 0.0;
        for (int j = 0; j < D; j++)
            distance += pow((double)(r.x[t * D + j] - r.sae->b_dec[j]), 2.0);
        for (int j = 0; j < D; j++)
            sum[j] += (double)(r.x[t * D + j] - r.sae->b_dec[j]) / sqrt(distance);
    }
    for (int j = 0; j < D; j++) length += sum[j] * sum[j];
    assert_true(sqrt(length) < 1e-2);
    unmake(&r);
}

static void options_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *arch, *option, *value, *word;
    } cases[] = {
        {"topk", "k", "4.5", "whole number"},
        {"matryoshka_batchtopk", "matryoshka-widths", "0.5,0.25", "ascending"},
        {"matryoshka_batchtopk", "matryoshka-widths", "", "ascending"},
        {"matryoshka_batchtopk", "matryoshka-widths", "10,20.5", "ascending"},
        {"jumprelu", "l0-penalty", "quadratic", "target-l0"},
        {"jumprelu", "jumprelu-bandwidth", "0", "more than 0"},
        {"transcoder", "apply-b-dec-to-input", "true", "transcoder"},
        {"standard", "lr-decay-share", "0.2", "constant"},
    };
    int64_t n;
    const fc_field *fields = fc_train_fields(&n);
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_err err = {0};
        fc_train_config c;
        fc_train_defaults(&c);
        fc_assert_ok(fc_field_set(fc_fields_find(fields, n, "arch"), &c, cases[i].arch,
                                  "arch", &err),
                     &err);
        fc_assert_ok(fc_field_set(fc_fields_find(fields, n, cases[i].option), &c,
                                  cases[i].value, "option", &err),
                     &err);
        fc_assert_fails(fc_train_check(&c, &err), &err, FC_USAGE, cases[i].word);
    }
    fc_err err = {0};
    rig r;
    fc_train_config c = config_of(1);
    c.k = F + 1;
    fc_assert_fails(make(&r, &c, &err), &err, FC_USAGE, "at most d_sae");
    unmake(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_threads_gives_the_same_bytes),
        cmocka_unit_test(the_loss_falls_and_a_step_allocates_nothing),
        cmocka_unit_test(rows_updated_at_once_are_rows_updated_later),
        cmocka_unit_test(missing_memory_is_an_error),
        cmocka_unit_test(trained_features_follow_their_definition),
        cmocka_unit_test(folded_norms_leave_the_reconstruction),
        cmocka_unit_test(the_mean_of_weights_is_their_fading_mean),
        cmocka_unit_test(dead_features_start_anew_from_rows_of_the_batch),
        cmocka_unit_test(the_middle_of_the_batch_becomes_b_dec),
        cmocka_unit_test(options_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
