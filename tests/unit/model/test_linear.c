/* test_linear.c - weights of a bf16 runner: packed once, no further than the last hook, and nothing
 * of it shows in the numbers.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/par.h"
#include "base/rng.h"
#include "model/model.h"
#include "tiny_gemma.h"
#include "unit/model/site_names.h"

enum { N_SEQS = 4, N_TOKENS = 150, N_VOCAB = 256, N_LAYERS = 2, MAX_HOOKS = 64 };
enum { PER_LAYER = 7 }; /* matrices */
static const int64_t begins[N_SEQS + 1] = {0, 3, 120, 121, N_TOKENS};

typedef struct fixture {
    char dir[FC_PATH_MAX];
    fc_model *model;
    fc_backend *be;
    fc_runner *runner; /* bf16 */
    int32_t id[N_TOKENS];
} fixture;

static fc_runner *new_runner(const fixture *f, fc_backend *be)
{
    fc_runner *runner = NULL;
    fc_err err;
    fc_assert_ok(fc_runner_new(&runner, f->model, be, FC_BF16_PRECISION, N_TOKENS, &err),
                 &err);
    return runner;
}

static int open_fixture(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    fc_err err;
    assert_non_null(f);
    fc_test_dir_make(f->dir);
    fc_tiny_gemma tiny = fc_tiny_gemma_defaults();
    tiny.dtype = FC_BF16;
    fc_tiny_gemma_write(f->dir, &tiny);
    fc_assert_ok(fc_model_load(&f->model, f->dir, &err), &err);
    assert_int_equal(fc_model_config(f->model)->n_layers, N_LAYERS);
    fc_assert_ok(fc_backend_open(&f->be, NULL, &err), &err);
    f->runner = new_runner(f, f->be);
    for (int64_t i = 0; i < N_TOKENS; i++)
        f->id[i] = (int32_t)(fc_rng_u64(9, FC_RNG_TEST, (uint64_t)i) % N_VOCAB);
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    fixture *f = *state;
    fc_runner_free(f->runner);
    fc_backend_close(f->be);
    fc_model_close(f->model);
    fc_test_dir_remove(f->dir);
    free(f);
    return 0;
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

static fc_status look(void *ctx, const fc_hook_point *point, float *x, int64_t n_tokens,
                      fc_err *err)
{
    (void)ctx, (void)point, (void)x, (void)n_tokens, (void)err;
    return FC_OK;
}

static void run(const fixture *f, fc_runner *runner, const fc_hook *hooks, int64_t n)
{
    const fc_batch batch = {f->id, {N_SEQS, begins}};
    fc_err err;
    fc_assert_ok(fc_runner_run(runner, batch, hooks, n, &err), &err);
}

static void run_logits(const fixture *f, fc_runner *runner, float *logits)
{
    const fc_hook hook = hook_at(f, "lm_head", copy, logits);
    run(f, runner, &hook, 1);
}

/* --- packing ---------------------------------------------------------------------------- */

/* The real backend with what is packed and multiplied counted. */
typedef struct counting {
    fc_backend be; /* first: the ops get its address */
    fc_ops ops;
    const fc_backend *real;
    int n_packed, n_products, n_products_in_place;
} counting;

static void count_pack(fc_backend *be, const fc_packed *to, fc_mat b)
{
    counting *counter = (counting *)be;
    counter->n_packed++;
    counter->real->ops->pack(be, to, b);
}

static void count_product(fc_backend *be, float *c, int64_t c_row, fc_mat a,
                          const fc_packed *b, bool accumulate)
{
    counting *counter = (counting *)be;
    counter->n_products++;
    if (a.dtype == FC_BF16) counter->n_products_in_place++;
    counter->real->ops->matmul_packed(be, c, c_row, a, b, accumulate);
}

static const struct {
    const char *name;
    int n_packed, n_products; /* by a runner that ran what is above in the table */
} steps[] = {
    {"embed_tokens", 0, 0},
    {"layers.0:input", 0, 0},
    {"layers.0.mlp.down_proj", PER_LAYER, PER_LAYER},
    {"layers.0.self_attn.q_proj", 0, 1},
    {"layers.1:input", 0, PER_LAYER},
    {"layers.1.mlp.down_proj:input", PER_LAYER, 2 * PER_LAYER - 1},
    {"norm", 0, 2 * PER_LAYER},
    {"lm_head", 1, 2 * PER_LAYER + 1},
    {"lm_head", 0, 2 * PER_LAYER + 1},
};

static void weights_are_packed_once_and_no_further_than_the_last_hook(void **state)
{
    const fixture *f = *state;
    counting counter = {.ops = *f->be->ops, .real = f->be};
    counter.be = (fc_backend){.ops = &counter.ops, .state = f->be->state};
    counter.ops.pack = count_pack;
    counter.ops.matmul_packed = count_product;
    fc_runner *runner = new_runner(f, &counter.be);
    for (size_t i = 0; i < FC_LEN(steps); i++) {
        const fc_hook hook = hook_at(f, steps[i].name, look, NULL);
        counter.n_packed = counter.n_products = counter.n_products_in_place = 0;
        run(f, runner, &hook, 1);
        if (counter.n_packed != steps[i].n_packed ||
            counter.n_products != steps[i].n_products ||
            counter.n_products_in_place != counter.n_products)
            fail_msg("%s: %d packed, %d products, %d of them in place", steps[i].name,
                     counter.n_packed, counter.n_products, counter.n_products_in_place);
    }
    fc_runner_free(runner);
}

/* --- the same bytes --------------------------------------------------------------------- */

static float logits_a[N_TOKENS * N_VOCAB], logits_b[N_TOKENS * N_VOCAB];

static void hooks_that_only_look_change_no_byte(void **state)
{
    const fixture *f = *state;
    fc_hook hooks[MAX_HOOKS];
    int64_t n = 0;
    run_logits(f, f->runner, logits_a);
    for (int site = 0; site < FC_SITE_LOGITS; site++)
        for (int layer = 0; layer < (is_in_layer((fc_site)site) ? N_LAYERS : 1); layer++)
        {
            char name[96];
            site_name(name, sizeof name, (fc_site)site, layer);
            hooks[n++] = hook_at(f, name, look, NULL);
        }
    hooks[n++] = hook_at(f, "lm_head", copy, logits_b);
    run(f, f->runner, hooks, n);
    assert_memory_equal(logits_a, logits_b, sizeof logits_a);
}

static void any_thread_count_and_a_second_runner_give_the_same_bytes(void **state)
{
    const fixture *f = *state;
    run_logits(f, f->runner, logits_a);
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        fc_backend *be = NULL;
        fc_err err;
        fc_par_set_threads(n_threads);
        fc_assert_ok(fc_backend_open(&be, NULL, &err), &err);
        fc_runner *runner = new_runner(f, be);
        run_logits(f, runner, logits_b);
        fc_runner_free(runner);
        fc_backend_close(be);
        assert_memory_equal(logits_a, logits_b, sizeof logits_a);
    }
    fc_par_set_threads(0);
}

/* --- memory ----------------------------------------------------------------------------- */

static void the_steady_state_allocates_nothing(void **state)
{
    const fixture *f = *state;
    run_logits(f, f->runner, logits_a);
    const int64_t before = fc_alloc_count();
    for (int i = 0; i < 10; i++) run_logits(f, f->runner, logits_a);
    assert_int_equal(fc_alloc_count(), before);
}

static fc_status use_all(void *ctx, fc_err *err)
{
    const fixture *f = ctx;
    const fc_batch batch = {f->id, {N_SEQS, begins}};
    const fc_hook hook = hook_at(f, "lm_head", look, NULL);
    fc_runner *runner = NULL;
    FC_TRY(fc_runner_new(&runner, f->model, f->be, FC_BF16_PRECISION, N_TOKENS, err));
    fc_status status = fc_runner_run(runner, batch, &hook, 1, err);
    if (status != FC_OK) { /* what was packed stays, and the rest is made up for */
        fc_alloc_fail_at(0);
        fc_err again;
        fc_assert_ok(fc_runner_run(runner, batch, &hook, 1, &again), &again);
    }
    fc_runner_free(runner);
    return status;
}

static void every_allocation_may_fail_and_the_runner_goes_on(void **state)
{
    fixture *f = *state;
    assert_true(fc_test_sweep_alloc(use_all, NULL, f) > N_LAYERS * PER_LAYER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_packed_once_and_no_further_than_the_last_hook),
        cmocka_unit_test(hooks_that_only_look_change_no_byte),
        cmocka_unit_test(any_thread_count_and_a_second_runner_give_the_same_bytes),
        cmocka_unit_test(the_steady_state_allocates_nothing),
        cmocka_unit_test(every_allocation_may_fail_and_the_runner_goes_on),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
