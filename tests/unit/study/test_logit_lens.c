/* test_logit_lens.c - tokens that a direction raises, on a tiny random model, against the formula
 * in double.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"
#include "tiny_gemma.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/par.h"
#include "base/rng.h"
#include "study/logit_lens_internal.h"

enum { D_SAE = 5 };

static char dir[FC_PATH_MAX];
static fc_backend *be;
static fc_model *model;
static bool is_live[D_SAE] = {true, true, false, true, true};
static float scale[D_SAE] = {1.0f, 2.0f, 1.0f, 0.5f, 1.0f};

static int set_up(void **state)
{
    (void)state;
    fc_err err;
    fc_tiny_gemma tiny = fc_tiny_gemma_defaults();
    tiny.n_vocab = 1500; /* more than a block */
    fc_test_dir_make(dir);
    fc_tiny_gemma_write(dir, &tiny);
    fc_assert_ok(fc_model_load(&model, dir, &err), &err);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fc_model_close(model);
    fc_test_dir_remove(dir);
    return 0;
}

static fc_sae *sae_of(int64_t d)
{
    fc_sae *sae;
    fc_err err;
    fc_assert_ok(fc_sae_new(&sae, "standard", d, d, D_SAE, &err), &err);
    for (int64_t i = 0; i < D_SAE * d; i++)
        sae->w_dec[i] = (float)fc_rng_normal(8, FC_RNG_TEST, (uint64_t)i);
    return sae;
}

static fc_logit_lens_job job_of(const fc_sae *sae, const char *hook)
{
    return (fc_logit_lens_job){.sae = sae,
                               .hook = hook,
                               .model = model,
                               .is_live = is_live,
                               .scale = scale,
                               .be = be,
                               .precision = FC_PRECISION_F32};
}

static float head_element(int64_t token, int64_t j)
{
    const fc_mat head = fc_model_weights(model)->head;
    float x;
    const char *at = (const char *)head.data +
                     (size_t)(token * head.row + j) * fc_dtype_size(head.dtype);
    fc_to_f32(&x, at, head.dtype, 1);
    return x;
}

/* Scores of one feature by the formula. */
static void expect(const fc_sae *sae, int64_t feature, const float *post,
                   const float *final, double *score)
{
    const int64_t n = fc_model_config(model)->n_vocab, d = sae->d_in;
    double mean = 0.0;
    for (int64_t t = 0; t < n; t++) {
        score[t] = 0.0;
        for (int64_t j = 0; j < d; j++) {
            double g = (double)scale[feature] * (double)sae->w_dec[feature * d + j];
            if (post != NULL) g *= 1.0 + (double)post[j];
            if (final != NULL) g *= 1.0 + (double) final[j];
            score[t] += g * (double)head_element(t, j);
        }
        mean += score[t] / (double)n;
    }
    for (int64_t t = 0; t < n; t++) score[t] -= mean;
}

static void check_list(const double *score, const fc_logit *list, int64_t n, double sign)
{
    int64_t n_beyond = 0;
    assert_int_equal(n, FC_LOGITS);
    for (int64_t k = 0; k < n; k++) {
        assert_true(fabs((double)list[k].score - sign * score[list[k].token]) < 1e-4);
        if (k > 0) assert_true(list[k].score <= list[k - 1].score);
    }
    for (int64_t t = 0; t < fc_model_config(model)->n_vocab; t++)
        n_beyond += sign * score[t] > (double)list[n - 1].score + 1e-4;
    assert_true(n_beyond < FC_LOGITS);
}

static void scores_follow_the_direct_path_of_each_site(void **state)
{
    (void)state;
    const fc_weights *w = fc_model_weights(model);
    const struct {
        const char *hook;
        const float *post, *final;
    } cases[] = {
        {"model.layers.1.mlp.down_proj", w->layer[1].post_feedforward_norm,
         w->final_norm},
        {"model.layers.0.mlp", w->layer[0].post_feedforward_norm, w->final_norm},
        {"model.layers.1.self_attn.o_proj", w->layer[1].post_attention_norm,
         w->final_norm},
        {"model.layers.1.post_feedforward_layernorm", NULL, w->final_norm},
        {"model.layers.1.post_attention_layernorm", NULL, w->final_norm},
        {"model.layers.0", NULL, w->final_norm},
        {"model.embed_tokens", NULL, w->final_norm},
        {"model.norm", NULL, NULL},
    };
    fc_sae *sae = sae_of(fc_model_config(model)->d_model);
    for (size_t c = 0; c < FC_LEN(cases); c++) {
        static double score[1500];
        fc_logit_lens lens;
        fc_err err;
        const fc_logit_lens_job job = job_of(sae, cases[c].hook);
        fc_assert_ok(fc_logit_lens_find(&lens, &job, &err), &err);
        assert_non_null(strstr(lens.note, "direct path"));
        assert_int_equal(strstr(lens.note, "post-norm") != NULL, cases[c].post != NULL);
        assert_int_equal(lens.rank[2], -1);
        for (int64_t i = 0; i < D_SAE; i++) {
            if (!is_live[i]) continue;
            const int64_t own = lens.rank[i];
            expect(sae, i, cases[c].post, cases[c].final, score);
            check_list(score, lens.raised + own * FC_LOGITS, lens.n_raised[own], 1.0);
            check_list(score, lens.lowered + own * FC_LOGITS, lens.n_lowered[own], -1.0);
        }
        fc_logit_lens_deinit(&lens);
    }
    fc_sae_free(sae);
}

static void sites_inside_a_block_have_no_scores_and_say_why(void **state)
{
    (void)state;
    static const char *const hooks[] = {"model.layers.0.self_attn.q_proj",
                                        "model.layers.0.mlp.gate_proj",
                                        "model.layers.0.mlp.down_proj:input",
                                        "model.layers.1.input_layernorm", "lm_head"};
    fc_sae *sae = sae_of(8);
    fc_logit_lens lens;
    fc_err err;
    for (size_t i = 0; i < FC_LEN(hooks); i++) {
        const fc_logit_lens_job job = job_of(sae, hooks[i]);
        fc_assert_ok(fc_logit_lens_find(&lens, &job, &err), &err);
        assert_null(lens.rank);
        assert_non_null(strstr(lens.note, "none: "));
        assert_non_null(strstr(lens.note, "inside a block"));
        fc_logit_lens_deinit(&lens);
    }
    const struct {
        const char *hook, *word;
        bool has_model;
    } cases[] = {{"model.layers.0", "weights", false},
                 {"model.layers.9", "out of range", true},
                 {"nonsense", "nonsense", true},
                 {"model.layers.0", "the SAE 8", true}};
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_logit_lens_job job = job_of(sae, cases[i].hook);
        if (!cases[i].has_model) job.model = NULL;
        fc_assert_ok(fc_logit_lens_find(&lens, &job, &err), &err);
        assert_null(lens.rank);
        if (strstr(lens.note, cases[i].word) == NULL)
            fail_msg("'%s' does not say '%s'", lens.note, cases[i].word);
    }
    fc_sae_free(sae);
}

static void any_number_of_threads_gives_the_same_scores(void **state)
{
    (void)state;
    fc_sae *sae = sae_of(fc_model_config(model)->d_model);
    const fc_logit_lens_job job = job_of(sae, "model.layers.0");
    fc_logit_lens lens[2];
    fc_err err;
    for (int t = 0; t < 2; t++) {
        fc_par_set_threads(t == 0 ? 1 : 3);
        fc_assert_ok(fc_logit_lens_find(&lens[t], &job, &err), &err);
    }
    assert_memory_equal(lens[0].raised, lens[1].raised, 4 * FC_LOGITS * sizeof(fc_logit));
    assert_memory_equal(lens[0].lowered, lens[1].lowered,
                        4 * FC_LOGITS * sizeof(fc_logit));
    for (int t = 0; t < 2; t++) fc_logit_lens_deinit(&lens[t]);
    fc_sae_free(sae);
}

static fc_status scenario(void *ctx, fc_err *err)
{
    fc_logit_lens lens;
    const fc_logit_lens_job job = job_of(ctx, "model.layers.0");
    FC_TRY(fc_logit_lens_find(&lens, &job, err));
    fc_logit_lens_deinit(&lens);
    return FC_OK;
}

static void memory_that_runs_out_is_reported(void **state)
{
    (void)state;
    fc_sae *sae = sae_of(fc_model_config(model)->d_model);
    assert_true(fc_test_sweep_alloc(scenario, NULL, sae) >= 8);
    fc_sae_free(sae);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_follow_the_direct_path_of_each_site),
        cmocka_unit_test(sites_inside_a_block_have_no_scores_and_say_why),
        cmocka_unit_test(any_number_of_threads_gives_the_same_scores),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };
    fc_par_set_threads(3);
    if (fc_backend_open(&be, NULL, NULL) != FC_OK) return 1;
    const int n_failed = cmocka_run_group_tests(tests, set_up, tear_down);
    fc_backend_close(be);
    return n_failed;
}
