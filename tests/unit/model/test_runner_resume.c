/* test_runner_resume.c - the rest of a run, taken up at a layer, and logits by rows: the bytes of a
 * whole run, with and without hooks that write.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "model/model.h"
#include "tiny_gemma.h"
#include "unit/model/site_names.h"

enum { N_SEQS = 5, N_TOKENS = 60, N_VOCAB = 256, D_MODEL = 64, N_LAYERS = 2 };
static const int64_t begins[N_SEQS + 1] = {0, 3, 20, 20, 21, N_TOKENS};

typedef struct fixture {
    char dir[FC_PATH_MAX];
    fc_model *model;
    fc_backend *be;
    int32_t id[N_TOKENS];
} fixture;

static int open_fixture(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    fc_err err;
    assert_non_null(f);
    fc_test_dir_make(f->dir);
    fc_tiny_gemma tiny = fc_tiny_gemma_defaults();
    tiny.more_config = "\"final_logit_softcapping\": 2.0";
    fc_tiny_gemma_write(f->dir, &tiny);
    fc_assert_ok(fc_model_load(&f->model, f->dir, &err), &err);
    fc_assert_ok(fc_backend_open(&f->be, NULL, &err), &err);
    for (int64_t i = 0; i < N_TOKENS; i++)
        f->id[i] = (int32_t)(fc_rng_u64(9, FC_RNG_TEST, (uint64_t)i) % N_VOCAB);
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    fixture *f = *state;
    fc_backend_close(f->be);
    fc_model_close(f->model);
    fc_test_dir_remove(f->dir);
    free(f);
    return 0;
}

static fc_batch whole_batch(const fixture *f)
{
    return (fc_batch){f->id, {N_SEQS, begins}};
}

static fc_hook hook_at(const fixture *f, const char *name, fc_hook_fn *fn, void *ctx)
{
    fc_hook hook = {.fn = fn, .ctx = ctx};
    fc_err err;
    fc_assert_ok(fc_hook_parse(&hook.point, name, fc_model_config(f->model), &err), &err);
    return hook;
}

static fc_status copy(void *ctx, const fc_hook_point *point, float *x, int64_t n_tokens,
                      fc_err *err)
{
    (void)err;
    memcpy(ctx, x, (size_t)(n_tokens * point->width) * sizeof *x);
    return FC_OK;
}

/* Every third row becomes something else; the first rows of sequences stay. */
static fc_status edit(void *ctx, const fc_hook_point *point, float *x, int64_t n_tokens,
                      fc_err *err)
{
    (void)ctx, (void)err;
    for (int64_t t = 1; t < n_tokens; t += 3)
        for (int64_t j = 0; j < point->width; j++)
            x[t * point->width + j] = 0.25f - 0.5f * x[t * point->width + j];
    return FC_OK;
}

static float residual[N_TOKENS * D_MODEL], normed[N_TOKENS * D_MODEL];
static float whole[N_TOKENS * N_VOCAB], rest[N_TOKENS * N_VOCAB];

static bool is_same(const void *a, const void *b, size_t n_bytes)
{
    return memcmp(a, b, n_bytes) == 0;
}

static const fc_precision_choice precisions[] = {FC_F32_PRECISION, FC_BF16_PRECISION};

static fc_runner *new_runner(const fixture *f, fc_precision_choice precision)
{
    fc_runner *runner = NULL;
    fc_err err;
    fc_assert_ok(fc_runner_new(&runner, f->model, f->be, precision, N_TOKENS, &err),
                 &err);
    return runner;
}

/* Hooks of the whole run: an edit, behind the residual that is kept, and the logits. */
static void compare_at(const fixture *f, fc_runner *runner, int64_t layer,
                       const char *name)
{
    fc_err err;
    const fc_hook hooks[] = {{fc_residual_point(f->model, layer), copy, residual},
                             hook_at(f, name, edit, NULL),
                             hook_at(f, "lm_head", copy, whole)};
    fc_assert_ok(fc_runner_run(runner, whole_batch(f), hooks, 3, &err), &err);
    const fc_hook again[] = {hooks[1], hook_at(f, "lm_head", copy, rest)};
    fc_assert_ok(fc_runner_resume(runner, whole_batch(f), (fc_residual){layer, residual},
                                  again, 2, &err),
                 &err);
    if (!is_same(whole, rest, sizeof whole))
        fail_msg("the run taken up at layer %d with an edit at %s has other logits",
                 (int)layer, name);
}

static void a_run_taken_up_at_a_layer_ends_as_the_whole_run(void **state)
{
    const fixture *f = *state;
    for (size_t p = 0; p < FC_LEN(precisions); p++) {
        fc_runner *runner = new_runner(f, precisions[p]);
        for (int64_t layer = 0; layer <= N_LAYERS; layer++) {
            for (int64_t at = layer; at < N_LAYERS; at++)
                for (int site = FC_SITE_LAYER_IN; site <= FC_SITE_LAYER_OUT; site++) {
                    char name[96];
                    site_name(name, sizeof name, (fc_site)site, (int)at);
                    compare_at(f, runner, layer, name);
                }
            compare_at(f, runner, layer, "model.norm");
        }
        fc_runner_free(runner);
    }
}

static void a_hook_that_writes_changes_the_logits_of_its_own_sequences_alone(void **state)
{
    const fixture *f = *state;
    fc_runner *runner = new_runner(f, FC_F32_PRECISION);
    fc_err err;
    const fc_hook plain = hook_at(f, "lm_head", copy, whole);
    fc_assert_ok(fc_runner_run(runner, whole_batch(f), &plain, 1, &err), &err);
    const fc_hook hooks[] = {hook_at(f, "layers.0.mlp", edit, NULL),
                             hook_at(f, "lm_head", copy, rest)};
    fc_assert_ok(fc_runner_run(runner, whole_batch(f), hooks, 2, &err), &err);
    for (int64_t t = 0; t < N_TOKENS; t++) {
        const bool is_before_edit = t == 0 || t == 3 || t == 20 || t == 21;
        const bool is_equal =
            is_same(whole + t * N_VOCAB, rest + t * N_VOCAB, N_VOCAB * sizeof *whole);
        if (t % 3 == 1) assert_false(is_equal);
        if (is_before_edit) assert_true(is_equal);
    }
    fc_runner_free(runner);
}

static void logits_of_rows_are_those_of_the_batch(void **state)
{
    const fixture *f = *state;
    static const int64_t blocks[] = {1, 7, 16, N_TOKENS};
    for (size_t p = 0; p < FC_LEN(precisions); p++) {
        fc_runner *runner = new_runner(f, precisions[p]);
        fc_err err;
        const fc_hook hooks[] = {hook_at(f, "model.norm", copy, normed),
                                 hook_at(f, "lm_head", copy, whole)};
        fc_assert_ok(fc_runner_run(runner, whole_batch(f), hooks, 2, &err), &err);
        for (size_t i = 0; i < FC_LEN(blocks); i++) {
            for (int64_t t = 0; t < N_TOKENS; t += blocks[i])
                fc_assert_ok(fc_runner_logits(runner, rest + t * N_VOCAB,
                                              normed + t * D_MODEL,
                                              fc_min(blocks[i], N_TOKENS - t), &err),
                             &err);
            if (precisions[p] == FC_F32_PRECISION)
                assert_memory_equal(rest, whole, sizeof whole);
            else
                fc_assert_close(rest, whole, N_TOKENS * N_VOCAB, 1e-5, 1e-5);
        }
        fc_runner_free(runner);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_taken_up_at_a_layer_ends_as_the_whole_run),
        cmocka_unit_test(
            a_hook_that_writes_changes_the_logits_of_its_own_sequences_alone),
        cmocka_unit_test(logits_of_rows_are_those_of_the_batch),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
