/* test_runner.c - what a run promises beside its numbers: the order of hooks, no work behind the
 * last one, the same bytes however the batch is cut and threads are counted, no allocation once
 * it runs, and an end with a sentence when something is wrong.
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

enum { N_SEQS = 5, N_TOKENS = 60, N_VOCAB = 256, MAX_HOOKS = 64 };
static const int64_t begins[N_SEQS + 1] = {0, 3, 20, 20, 21, N_TOKENS};

typedef struct fixture {
    char dir[FC_PATH_MAX];
    fc_model *model;
    fc_backend *be;
    fc_runner *runner;
    int32_t id[N_TOKENS];
} fixture;

static int open_fixture(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    fc_err err;
    assert_non_null(f);
    fc_test_dir_make(f->dir);
    const fc_tiny_gemma tiny = fc_tiny_gemma_defaults();
    fc_tiny_gemma_write(f->dir, &tiny);
    fc_assert_ok(fc_model_load(&f->model, f->dir, &err), &err);
    fc_assert_ok(fc_backend_open(&f->be, NULL, &err), &err);
    fc_assert_ok(
        fc_runner_new(&f->runner, f->model, f->be, FC_F32_PRECISION, N_TOKENS, &err),
        &err);
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

static fc_status look(void *ctx, const fc_hook_point *point, float *x, int64_t n_tokens,
                      fc_err *err)
{
    (void)ctx, (void)point, (void)x, (void)n_tokens, (void)err;
    return FC_OK;
}

/* Hooks that only look, at every point but lm_head. */
static int64_t hooks_everywhere(const fixture *f, fc_hook *hooks)
{
    int64_t n = 0;
    for (int site = 0; site < FC_SITE_LOGITS; site++)
        for (int layer = 0; layer < (is_in_layer((fc_site)site) ? 2 : 1); layer++) {
            char name[96];
            site_name(name, sizeof name, (fc_site)site, layer);
            hooks[n++] = hook_at(f, name, look, NULL);
        }
    return n;
}

/* --- the same bytes --------------------------------------------------------------------- */

static float logits_a[N_TOKENS * N_VOCAB], logits_b[N_TOKENS * N_VOCAB];

static void run_logits(const fixture *f, fc_runner *runner, float *logits)
{
    const fc_hook hook = hook_at(f, "lm_head", copy, logits);
    fc_err err;
    fc_assert_ok(fc_runner_run(runner, whole_batch(f), &hook, 1, &err), &err);
}

static void hooks_that_only_look_change_no_byte(void **state)
{
    const fixture *f = *state;
    fc_hook hooks[MAX_HOOKS];
    fc_err err;
    run_logits(f, f->runner, logits_a);
    int64_t n = hooks_everywhere(f, hooks);
    hooks[n++] = hook_at(f, "lm_head", copy, logits_b);
    fc_assert_ok(fc_runner_run(f->runner, whole_batch(f), hooks, n, &err), &err);
    assert_memory_equal(logits_a, logits_b, sizeof logits_a);
}

static void a_packed_batch_gives_the_bytes_of_each_sequence_alone(void **state)
{
    const fixture *f = *state;
    fc_err err;
    run_logits(f, f->runner, logits_a);
    for (int64_t s = 0; s < N_SEQS; s++) {
        const fc_hook hook = hook_at(f, "lm_head", copy, logits_b + begins[s] * N_VOCAB);
        const int64_t begin[] = {0, begins[s + 1] - begins[s]};
        const fc_batch batch = {f->id + begins[s], {1, begin}};
        fc_assert_ok(fc_runner_run(f->runner, batch, &hook, 1, &err), &err);
    }
    assert_memory_equal(logits_a, logits_b, sizeof logits_a);
}

static void any_thread_count_and_any_processor_kernels_give_the_same_bytes(void **state)
{
    const fixture *f = *state;
    run_logits(f, f->runner, logits_a);
    static const char *const cpus[] = {"ref", "avx2", "avx512"};
    for (size_t i = 0; i < FC_LEN(cpus); i++)
        for (int n_threads = 1; n_threads <= 3; n_threads += 2) {
            fc_backend *be = NULL;
            fc_runner *runner = NULL;
            fc_err err;
            fc_par_set_threads(n_threads);
            if (fc_backend_open(&be, cpus[i], &err) != FC_OK)
                continue; /* not on this machine */
            fc_assert_ok(
                fc_runner_new(&runner, f->model, be, FC_F32_PRECISION, N_TOKENS, &err),
                &err);
            run_logits(f, runner, logits_b);
            fc_runner_free(runner);
            fc_backend_close(be);
            assert_memory_equal(logits_a, logits_b, sizeof logits_a);
        }
    fc_par_set_threads(0);
}

/* --- no work behind the last hook ------------------------------------------------------- */

/* The real backend with its products counted. */
typedef struct counting {
    fc_backend be; /* first: the ops get its address */
    fc_ops ops;
    const fc_backend *real;
    int n_products;
} counting;

static void count_product(fc_backend *be, float *c, int64_t c_row, fc_mat a, fc_mat b,
                          fc_precision precision, bool accumulate)
{
    counting *counter = (counting *)be;
    counter->n_products++;
    counter->real->ops->matmul(be, c, c_row, a, b, precision, accumulate);
}

static const struct {
    const char *names[2];
    int n_products;
} product_counts[] = {
    {{"embed_tokens"}, 0},
    {{"layers.0:input"}, 0},
    {{"layers.0.input_layernorm"}, 0},
    {{"layers.0.self_attn.q_proj"}, 1},
    {{"layers.0.self_attn.k_proj"}, 2},
    {{"layers.0.self_attn.q_norm"}, 3},
    {{"layers.0.self_attn.o_proj:input"}, 3},
    {{"layers.0.self_attn.o_proj"}, 4},
    {{"layers.0.pre_feedforward_layernorm"}, 4},
    {{"layers.0.mlp.gate_proj"}, 5},
    {{"layers.0.mlp.down_proj:input"}, 6},
    {{"layers.0.mlp"}, 7},
    {{"layers.0"}, 7},
    {{"layers.1.self_attn.o_proj"}, 11},
    {{"layers.1.mlp.down_proj"}, 14},
    {{"norm"}, 14},
    {{"lm_head"}, 15},
    {{"layers.0.mlp", "embed_tokens"}, 7},
    {{"layers.0.mlp", "layers.1.self_attn.q_proj"}, 8},
};

static void nothing_behind_the_last_hook_is_computed(void **state)
{
    const fixture *f = *state;
    counting counter = {.ops = *f->be->ops, .real = f->be};
    counter.be = (fc_backend){.ops = &counter.ops, .state = f->be->state};
    counter.ops.matmul = count_product;
    fc_runner *runner = NULL;
    fc_err err;
    fc_assert_ok(
        fc_runner_new(&runner, f->model, &counter.be, FC_F32_PRECISION, N_TOKENS, &err),
        &err);
    for (size_t i = 0; i < FC_LEN(product_counts); i++) {
        fc_hook hooks[2];
        int64_t n = 0;
        for (; n < 2 && product_counts[i].names[n] != NULL; n++)
            hooks[n] = hook_at(f, product_counts[i].names[n], look, NULL);
        counter.n_products = 0;
        fc_assert_ok(fc_runner_run(runner, whole_batch(f), hooks, n, &err), &err);
        if (counter.n_products != product_counts[i].n_products)
            fail_msg("%s: %d products, expected %d", product_counts[i].names[0],
                     counter.n_products, product_counts[i].n_products);
    }
    counter.n_products = 0;
    fc_assert_ok(fc_runner_run(runner, whole_batch(f), NULL, 0, &err), &err);
    assert_int_equal(counter.n_products, 0);
    fc_runner_free(runner);
}

/* --- hooks ------------------------------------------------------------------------------ */

typedef struct diary {
    char text[256];
    int n_until_failure;
} diary;

typedef struct writer {
    diary *diary;
    char letter;
} writer;

static fc_status write_letter(void *ctx, const fc_hook_point *point, float *x,
                              int64_t n_tokens, fc_err *err)
{
    (void)x;
    const writer *w = ctx;
    assert_int_equal(n_tokens, N_TOKENS);
    const size_t n = strlen(w->diary->text);
    w->diary->text[n] = w->letter;
    if (--w->diary->n_until_failure == 0)
        return fc_fail(err, FC_CANCELLED, "stopped at %s", point->name);
    return FC_OK;
}

static void
hooks_are_called_in_order_of_computation_and_a_failure_ends_the_run(void **state)
{
    const fixture *f = *state;
    static const char *const names[] = {
        "lm_head",  "layers.1.mlp",   "layers.1.mlp.down_proj",
        "layers.0", "layers.1:input", "embed_tokens",
        "norm"};
    diary d = {0};
    writer w[FC_LEN(names)];
    fc_hook hooks[FC_LEN(names)];
    fc_err err;
    for (size_t i = 0; i < FC_LEN(names); i++) {
        w[i] = (writer){&d, (char)('a' + i)};
        hooks[i] = hook_at(f, names[i], write_letter, &w[i]);
    }
    fc_assert_ok(fc_runner_run(f->runner, whole_batch(f), hooks, FC_LEN(names), &err),
                 &err);
    assert_string_equal(d.text, "fdebcga");

    d = (diary){.n_until_failure = 4};
    fc_assert_fails(fc_runner_run(f->runner, whole_batch(f), hooks, FC_LEN(names), &err),
                    &err, FC_CANCELLED, "stopped at model.layers.1.mlp.down_proj");
    assert_string_equal(d.text, "fdeb");
}

static fc_status refuse(void *ctx, const fc_hook_point *point, float *x, int64_t n_tokens,
                        fc_err *err)
{
    (void)ctx, (void)x, (void)n_tokens;
    return fc_fail(err, FC_MISMATCH, "refused at %s", point->name);
}

static fc_status must_not_be_called(void *ctx, const fc_hook_point *point, float *x,
                                    int64_t n_tokens, fc_err *err)
{
    (void)ctx, (void)x, (void)n_tokens, (void)err;
    fail_msg("the hook at %s is called after a failure", point->name);
    return FC_OK;
}

static void a_failure_at_any_point_ends_the_run(void **state)
{
    const fixture *f = *state;
    for (int site = 0; site < FC_SITE_LOGITS; site++) {
        char name[96];
        fc_err err;
        site_name(name, sizeof name, (fc_site)site, 0);
        const fc_hook hooks[] = {hook_at(f, "lm_head", must_not_be_called, NULL),
                                 hook_at(f, "layers.1", look, NULL),
                                 hook_at(f, name, refuse, NULL),
                                 hook_at(f, name, must_not_be_called, NULL)};
        fc_assert_fails(
            fc_runner_run(f->runner, whole_batch(f), hooks, FC_LEN(hooks), &err), &err,
            FC_MISMATCH, "refused at", hooks[2].point.name);
    }
}

/* --- batches ---------------------------------------------------------------------------- */

static void ids_out_of_range_and_batches_too_large_are_refused(void **state)
{
    const fixture *f = *state;
    static const struct {
        int32_t id;
        const char *word;
    } cases[] = {{N_VOCAB, "id 256"},
                 {-1, "id -1"},
                 {INT32_MAX, "id 2147483647"},
                 {INT32_MIN, "id -2"}};
    int32_t id[N_TOKENS + 1];
    const fc_hook hook = hook_at(f, "embed_tokens", look, NULL);
    fc_err err;
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        memcpy(id, f->id, sizeof f->id);
        id[17] = cases[i].id;
        fc_assert_fails(
            fc_runner_run(f->runner, (fc_batch){id, {N_SEQS, begins}}, &hook, 1, &err),
            &err, FC_MISMATCH, "token 17", cases[i].word, "0..255");
    }
    const int64_t begin[] = {0, N_TOKENS + 1};
    id[17] = 0;
    id[N_TOKENS] = 0;
    fc_assert_fails(fc_runner_run(f->runner, (fc_batch){id, {1, begin}}, &hook, 1, &err),
                    &err, FC_USAGE, "61 tokens", "60");
    fc_runner *runner = NULL;
    fc_assert_fails(fc_runner_new(&runner, f->model, f->be, FC_F32_PRECISION, 0, &err),
                    &err, FC_USAGE, "0 tokens");
    fc_assert_fails(
        fc_runner_new(&runner, f->model, f->be, FC_F32_PRECISION, INT64_MAX, &err), &err,
        FC_USAGE, "tokens");
}

static fc_status count_calls(void *ctx, const fc_hook_point *point, float *x,
                             int64_t n_tokens, fc_err *err)
{
    (void)point, (void)x, (void)err;
    assert_int_equal(n_tokens, 0);
    ++*(int *)ctx;
    return FC_OK;
}

static void an_empty_batch_calls_its_hooks_with_no_rows(void **state)
{
    const fixture *f = *state;
    static const int64_t begin[] = {0, 0, 0};
    int n_calls = 0;
    fc_err err;
    const fc_hook hooks[] = {hook_at(f, "layers.1", count_calls, &n_calls),
                             hook_at(f, "lm_head", count_calls, &n_calls)};
    fc_assert_ok(fc_runner_run(f->runner, (fc_batch){f->id, {2, begin}}, hooks, 2, &err),
                 &err);
    fc_assert_ok(fc_runner_run(f->runner, (fc_batch){f->id, {0, begin}}, hooks, 2, &err),
                 &err);
    assert_int_equal(n_calls, 4);
}

/* --- memory and precision --------------------------------------------------------------- */

static void the_steady_state_allocates_nothing(void **state)
{
    const fixture *f = *state;
    fc_hook hooks[MAX_HOOKS];
    fc_err err;
    fc_runner *runner = NULL;
    fc_assert_ok(
        fc_runner_new(&runner, f->model, f->be, FC_F32_PRECISION, N_TOKENS, &err), &err);
    int64_t n = hooks_everywhere(f, hooks);
    const int64_t before = fc_alloc_count();
    fc_assert_ok(fc_runner_run(runner, whole_batch(f), hooks, n, &err), &err);
    assert_int_equal(fc_alloc_count(), before);
    hooks[n++] = hook_at(f, "lm_head", look, NULL);
    for (int i = 0; i < 20; i++)
        fc_assert_ok(fc_runner_run(runner, whole_batch(f), hooks, n, &err), &err);
    assert_int_equal(fc_alloc_count(), before + 1); /* the logits, once */
    fc_runner_free(runner);
}

static fc_status use_all(void *ctx, fc_err *err)
{
    const fixture *f = ctx;
    fc_status status;
    fc_model *model = NULL;
    fc_backend *be = NULL;
    fc_runner *runner = NULL;
    fc_hook hook = {.fn = look};
    FC_TRY_GOTO(fc_model_load(&model, f->dir, err));
    FC_TRY_GOTO(fc_backend_open(&be, "ref", err));
    FC_TRY_GOTO(fc_runner_new(&runner, model, be, FC_AUTO_PRECISION, N_TOKENS, err));
    FC_TRY_GOTO(fc_hook_parse(&hook.point, "lm_head", fc_model_config(model), err));
    FC_TRY_GOTO(fc_runner_run(runner, whole_batch(f), &hook, 1, err));
done:
    fc_runner_free(runner);
    fc_backend_close(be);
    fc_model_close(model);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    fixture *f = *state;
    assert_true(fc_test_sweep_alloc(use_all, NULL, f) > 10);
}

static void
auto_precision_rounds_only_where_it_is_faster_and_loses_nothing_of_the_weights(
    void **state)
{
    const fixture *f = *state;
    static const struct {
        fc_precision_choice choice;
        fc_dtype dtype;
    } cases[] = {{FC_AUTO_PRECISION, FC_BF16},
                 {FC_AUTO_PRECISION, FC_F32},
                 {FC_F32_PRECISION, FC_BF16},
                 {FC_BF16_PRECISION, FC_BF16},
                 {FC_BF16_PRECISION, FC_F32}};
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        char dir[FC_PATH_MAX];
        fc_model *model = NULL;
        fc_runner *runner = NULL;
        fc_err err;
        fc_tiny_gemma tiny = fc_tiny_gemma_defaults();
        tiny.dtype = cases[i].dtype;
        fc_test_dir_make(dir);
        fc_tiny_gemma_write(dir, &tiny);
        fc_assert_ok(fc_model_load(&model, dir, &err), &err);
        fc_assert_ok(
            fc_runner_new(&runner, model, f->be, cases[i].choice, N_TOKENS, &err), &err);
        const bool expects_bf16 =
            cases[i].choice == FC_BF16_PRECISION ||
            (cases[i].choice == FC_AUTO_PRECISION && cases[i].dtype == FC_BF16 &&
             fc_backend_prefers_bf16(f->be));
        assert_int_equal(fc_runner_precision(runner),
                         expects_bf16 ? FC_PRECISION_BF16 : FC_PRECISION_F32);
        fc_runner_free(runner);
        fc_model_close(model);
        fc_test_dir_remove(dir);
    }
    fc_runner_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hooks_that_only_look_change_no_byte),
        cmocka_unit_test(a_packed_batch_gives_the_bytes_of_each_sequence_alone),
        cmocka_unit_test(any_thread_count_and_any_processor_kernels_give_the_same_bytes),
        cmocka_unit_test(nothing_behind_the_last_hook_is_computed),
        cmocka_unit_test(
            hooks_are_called_in_order_of_computation_and_a_failure_ends_the_run),
        cmocka_unit_test(a_failure_at_any_point_ends_the_run),
        cmocka_unit_test(ids_out_of_range_and_batches_too_large_are_refused),
        cmocka_unit_test(an_empty_batch_calls_its_hooks_with_no_rows),
        cmocka_unit_test(the_steady_state_allocates_nothing),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(
            auto_precision_rounds_only_where_it_is_faster_and_loses_nothing_of_the_weights),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
