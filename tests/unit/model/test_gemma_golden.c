/* test_gemma_golden.c - the model against what Hugging Face transformers computes.
 *
 * Walks every case of fixtures/gemma3 and every tensor of its expected.safetensors, each sequence
 * alone and all packed into one batch; then the example model. Relative L2 in float32: a whole
 * tensor 1e-5, one token 5e-5, as the fixtures' README derives. In bf16 the distance from float32
 * must have the size that transformers' own bf16 runs have.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "formats/safetensors.h"
#include "model/model.h"

static const double tensor_limit = 1e-5, token_limit = 5e-5;

enum { MAX_SEQS = 16, MAX_SITES = 128, MAX_TOKENS = 4096 };

typedef struct golden golden;

/* Compares one site of a batch with what is expected there. */
typedef struct watcher {
    golden *g;
    char site[64];     /* "layers.3.mlp.down_proj" */
    int64_t first_seq; /* of the batch */
    const int64_t *begin;
    int64_t n_seqs;
    double *distance; /* one for each token, or NULL: compare with the limits */
    int64_t n_distances;
} watcher;

struct golden {
    char dir[FC_PATH_MAX];
    const char *prefix; /* of the tensors compared: "s", "f32.s" */
    fc_model *model;
    fc_safetensors *expected;
    fc_backend *be;
    int64_t n_seqs, begin[MAX_SEQS + 1], from[MAX_SEQS];
    int32_t id[MAX_TOKENS];
    int64_t n_compared;
    double worst_tensor, worst_token;
    watcher watchers[MAX_SITES];
    fc_hook hooks[MAX_SITES];
};

/* --- the case --------------------------------------------------------------------------- */

static void load_inputs(golden *g, const char *path)
{
    json_t *root = NULL;
    fc_err err;
    fc_assert_ok(fc_json_load(&root, path, &err), &err);
    const json_t *seqs = json_object_get(root, "sequences");
    const json_t *from = json_object_get(root, "expected_from");
    g->n_seqs = (int64_t)json_array_size(seqs);
    assert_in_range(g->n_seqs, 1, MAX_SEQS);
    for (int64_t s = 0; s < g->n_seqs; s++) {
        const json_t *ids = json_array_get(seqs, (size_t)s);
        int64_t n = g->begin[s];
        for (size_t i = 0; i < json_array_size(ids); i++) {
            assert_true(n < MAX_TOKENS);
            g->id[n++] = (int32_t)json_integer_value(json_array_get(ids, i));
        }
        g->begin[s + 1] = n;
        g->from[s] = json_integer_value(json_array_get(from, (size_t)s)); /* absent: 0 */
    }
    json_decref(root);
}

static golden *open_case(const char *model_dir, const char *fixture, const char *prefix)
{
    golden *g = calloc(1, sizeof *g);
    assert_non_null(g);
    fc_err err;
    char name[256], path[FC_PATH_MAX];
    snprintf(g->dir, sizeof g->dir, "%s", model_dir);
    g->prefix = prefix;
    fc_assert_ok(fc_model_load(&g->model, model_dir, &err), &err);
    snprintf(name, sizeof name, "%s/expected.safetensors", fixture);
    fc_fixture(path, name);
    fc_assert_ok(fc_safetensors_open(&g->expected, path, &err), &err);
    snprintf(name, sizeof name, "%s/inputs.json", fixture);
    fc_fixture(path, name);
    load_inputs(g, path);
    fc_assert_ok(fc_backend_open(&g->be, NULL, &err), &err);
    return g;
}

static golden *open_gemma3(const char *name, const char *prefix)
{
    char fixture[256], dir[FC_PATH_MAX];
    snprintf(fixture, sizeof fixture, "gemma3/%s", name);
    fc_fixture(dir, fixture);
    return open_case(dir, fixture, prefix);
}

static golden *open_example(const char *prefix)
{
    char dir[FC_PATH_MAX];
    fc_source_file(dir, "assets/example-model");
    return open_case(dir, "example-model", prefix);
}

static void close_case(golden *g)
{
    fc_safetensors_close(g->expected);
    fc_model_close(g->model);
    fc_backend_close(g->be);
    free(g);
}

/* The part of a tensor's name after "s3.", and its sequence; NULL for other prefixes. */
static const char *site_of(const golden *g, const char *tensor, int64_t *seq)
{
    const size_t n = strlen(g->prefix);
    if (strncmp(tensor, g->prefix, n) != 0) return NULL;
    char *end;
    *seq = strtol(tensor + n, &end, 10);
    return end > tensor + n && *end == '.' ? end + 1 : NULL;
}

static void hook_name(char *name, size_t n_bytes, const char *site)
{
    const bool is_embed = strcmp(site, "embed") == 0;
    if (strcmp(site, "logits") == 0)
        snprintf(name, n_bytes, "lm_head");
    else
        snprintf(name, n_bytes, "model.%s", is_embed ? "embed_tokens" : site);
}

/* --- one run with hooks at every expected site ------------------------------------------ */

static void compare_seq(watcher *w, int64_t s, const float *x, int64_t width)
{
    golden *g = w->g;
    const int64_t seq = w->first_seq + s;
    char name[128];
    snprintf(name, sizeof name, "%s%lld.%s", g->prefix, (long long)seq, w->site);
    const fc_tensor *tensor = fc_safetensors_find(g->expected, name);
    if (tensor == NULL) return;
    const int64_t n = w->begin[s + 1] - w->begin[s] - g->from[seq];
    assert_int_equal(tensor->shape[0], n);
    assert_int_equal(tensor->n, n * width);
    fc_err err;
    float *expected = NULL;
    fc_assert_ok(fc_tensor_to_f32(tensor, &expected, &err), &err);
    const float *found = x + (w->begin[s] + g->from[seq]) * width;
    double worst = 0;
    for (int64_t t = 0; t < n; t++) {
        const double l2 = fc_compare(found + t * width, expected + t * width, width).l2;
        worst = fmax(worst, l2);
        if (w->distance != NULL) w->distance[w->n_distances++] = l2;
    }
    const double whole = fc_compare(found, expected, n * width).l2;
    free(expected);
    if (w->distance == NULL && !(whole <= tensor_limit && worst <= token_limit))
        fail_msg("%s: %s differs by %.3g (allowed %.3g), its worst token by %.3g "
                 "(allowed %.3g)",
                 g->dir, name, whole, tensor_limit, worst, token_limit);
    g->worst_tensor = fmax(g->worst_tensor, whole);
    g->worst_token = fmax(g->worst_token, worst);
    g->n_compared++;
}

static fc_status watch(void *ctx, const fc_hook_point *point, float *x, int64_t n_tokens,
                       fc_err *err)
{
    (void)err;
    watcher *w = ctx;
    assert_int_equal(n_tokens, w->begin[w->n_seqs]);
    for (int64_t s = 0; s < w->n_seqs; s++) compare_seq(w, s, x, point->width);
    return FC_OK;
}

/* A watcher for each different site of the file; returns how many. */
static int64_t make_watchers(golden *g)
{
    watcher *watchers = g->watchers;
    fc_hook *hooks = g->hooks;
    int64_t n = 0;
    fc_err err;
    for (int64_t i = 0; i < fc_safetensors_count(g->expected); i++) {
        int64_t seq = 0;
        const char *site = site_of(g, fc_safetensors_at(g->expected, i)->name, &seq);
        if (site == NULL || strcmp(site, "nll") == 0) continue;
        int64_t j = 0;
        while (j < n && strcmp(watchers[j].site, site) != 0) j++;
        if (j < n) continue;
        assert_true(n < MAX_SITES);
        char name[96];
        watchers[n] = (watcher){.g = g};
        snprintf(watchers[n].site, sizeof watchers[n].site, "%s", site);
        hook_name(name, sizeof name, site);
        hooks[n] = (fc_hook){.fn = watch, .ctx = &watchers[n]};
        fc_assert_ok(
            fc_hook_parse(&hooks[n].point, name, fc_model_config(g->model), &err), &err);
        n++;
    }
    return n;
}

/* Runs the sequences first .. first + n_seqs - 1 as one batch. */
static void run_seqs(golden *g, fc_runner *runner, int64_t first, int64_t n_seqs,
                     int64_t n_hooks)
{
    int64_t begin[MAX_SEQS + 1];
    for (int64_t s = 0; s <= n_seqs; s++)
        begin[s] = g->begin[first + s] - g->begin[first];
    for (int64_t i = 0; i < n_hooks; i++) {
        g->watchers[i].first_seq = first;
        g->watchers[i].n_seqs = n_seqs;
        g->watchers[i].begin = begin;
    }
    const fc_batch batch = {g->id + g->begin[first], {n_seqs, begin}};
    fc_err err;
    fc_assert_ok(fc_runner_run(runner, batch, g->hooks, n_hooks, &err), &err);
}

static int64_t count_expected(const golden *g)
{
    int64_t n = 0, seq = 0;
    for (int64_t i = 0; i < fc_safetensors_count(g->expected); i++) {
        const char *site = site_of(g, fc_safetensors_at(g->expected, i)->name, &seq);
        n += site != NULL && strcmp(site, "nll") != 0;
    }
    return n;
}

static void check_f32(golden *g)
{
    fc_runner *runner = NULL;
    fc_err err;
    const int64_t n_hooks = make_watchers(g), n_expected = count_expected(g);
    fc_assert_ok(fc_runner_new(&runner, g->model, g->be, FC_F32_PRECISION,
                               g->begin[g->n_seqs], &err),
                 &err);
    run_seqs(g, runner, 0, g->n_seqs, n_hooks);
    assert_int_equal(g->n_compared, n_expected);
    for (int64_t s = 0; s < g->n_seqs; s++) run_seqs(g, runner, s, 1, n_hooks);
    assert_int_equal(g->n_compared, 2 * n_expected);
    fc_runner_free(runner);
    print_message("%-60s %4lld tensors, worst %.1e, worst token %.1e\n", g->dir,
                  (long long)n_expected, g->worst_tensor, g->worst_token);
}

static void every_gemma3_fixture_agrees_in_f32_alone_and_packed(void **state)
{
    (void)state;
    char root[FC_PATH_MAX];
    fc_names names = {0};
    fc_err err;
    int n_cases = 0;
    fc_fixture(root, "gemma3");
    fc_assert_ok(fc_dir_list(&names, root, &err), &err);
    for (int64_t i = 0; i < names.n; i++) {
        char dir[FC_PATH_MAX];
        fc_test_path(dir, root, names.name[i]);
        if (!fc_path_is_dir(dir)) continue;
        golden *g = open_gemma3(names.name[i], "s");
        check_f32(g);
        close_case(g);
        n_cases++;
    }
    fc_names_free(&names);
    assert_true(n_cases >= 1);
}

static void the_example_model_agrees_in_f32(void **state)
{
    (void)state;
    golden *g = open_example("f32.s");
    check_f32(g);
    close_case(g);
}

/* --- bf16 ------------------------------------------------------------------------------- */

/* Distance of transformers' bf16 runs from float32, the larger of eager and sdpa, from the README
 * of the fixtures: median and largest of a token. */
typedef struct bf16_row {
    const char *site; /* the end of the name */
    double median, largest;
} bf16_row;

static const bf16_row bf16_rows[] = {
    {"embed", 2.0e-3, 2.5e-3},     {"o_proj", 2.2e-2, 1.8e-1},
    {"down_proj", 2.2e-2, 1.4e-1}, {"layers.0", 6.3e-3, 1.3e-2},
    {"layers.1", 9.8e-3, 2.8e-2},  {"layers.2", 1.4e-2, 3.5e-2},
    {"layers.3", 1.6e-2, 4.1e-2},  {"layers.4", 1.9e-2, 7.2e-2},
    {"layers.5", 2.3e-2, 7.2e-2},  {"layers.6", 2.9e-2, 7.7e-2},
    {"norm", 2.9e-2, 8.0e-2},      {"logits", 2.8e-2, 8.0e-2},
};

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int64_t n)
{
    qsort(values, (size_t)n, sizeof *values, by_value);
    return n % 2 == 1 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

/* Distances of all sites from float32, in bf16; in g->watchers. */
static int64_t run_bf16(golden *g, double *distances)
{
    fc_runner *runner = NULL;
    fc_err err;
    const int64_t n_hooks = make_watchers(g), n_tokens = g->begin[g->n_seqs];
    for (int64_t i = 0; i < n_hooks; i++)
        g->watchers[i].distance = distances + i * n_tokens;
    fc_assert_ok(
        fc_runner_new(&runner, g->model, g->be, FC_BF16_PRECISION, n_tokens, &err), &err);
    assert_int_equal(fc_runner_precision(runner), FC_PRECISION_BF16);
    run_seqs(g, runner, 0, g->n_seqs, n_hooks);
    fc_runner_free(runner);
    return n_hooks;
}

static void bf16_is_as_near_to_f32_as_transformers_is(void **state)
{
    (void)state;
    golden *g = open_gemma3("bf16-run", "s");
    double *distances =
        calloc((size_t)(MAX_SITES * g->begin[g->n_seqs]), sizeof *distances);
    double *pooled = calloc((size_t)(MAX_SITES * g->begin[g->n_seqs]), sizeof *pooled);
    assert_non_null(distances);
    assert_non_null(pooled);
    const int64_t n_sites = run_bf16(g, distances);
    double total = 0;
    for (size_t r = 0; r < FC_LEN(bf16_rows); r++) {
        const bf16_row *row = &bf16_rows[r];
        int64_t n = 0;
        for (int64_t i = 0; i < n_sites; i++)
            if (ends_with(g->watchers[i].site, row->site))
                for (int64_t t = 0; t < g->watchers[i].n_distances; t++)
                    pooled[n++] = g->watchers[i].distance[t];
        assert_true(n > 0);
        const double middle = median(pooled, n), largest = pooled[n - 1];
        print_message("bf16 %-10s median %.1e (transformers %.1e), largest %.1e (%.1e)\n",
                      row->site, middle, row->median, largest, row->largest);
        assert_true(middle <= 1.5 * row->median);
        assert_true(largest <= 3 * row->largest);
        total += middle;
    }
    assert_true(total > 1e-3); /* it did round */
    free(pooled);
    free(distances);
    close_case(g);
}

static double expected_distance(const char *site)
{
    char path[FC_PATH_MAX];
    json_t *root = NULL;
    fc_err err;
    double value = -1;
    fc_fixture(path, "example-model/expected.json");
    fc_assert_ok(fc_json_load(&root, path, &err), &err);
    fc_assert_ok(fc_json_f64(json_object_get(root, "median_row_distance_bf16_to_f32"),
                             site, &value, path, &err),
                 &err);
    json_decref(root);
    return value;
}

static void the_example_model_in_bf16_is_as_near_to_f32_as_transformers_is(void **state)
{
    (void)state;
    golden *g = open_example("f32.s");
    double *distances =
        calloc((size_t)(MAX_SITES * g->begin[g->n_seqs]), sizeof *distances);
    assert_non_null(distances);
    const int64_t n_sites = run_bf16(g, distances);
    assert_true(n_sites > 0);
    for (int64_t i = 0; i < n_sites; i++) {
        const watcher *w = &g->watchers[i];
        const double middle = median(w->distance, w->n_distances);
        const double limit = 1.5 * expected_distance(w->site);
        print_message("bf16 %-24s median %.1e (allowed %.1e)\n", w->site, middle, limit);
        assert_true(middle <= limit);
    }
    free(distances);
    close_case(g);
}

/* --- losses ----------------------------------------------------------------------------- */

static fc_status take_losses(void *ctx, const fc_hook_point *point, float *x,
                             int64_t n_tokens, fc_err *err)
{
    (void)err;
    golden *g = ((watcher *)ctx)->g;
    assert_int_equal(n_tokens, g->begin[g->n_seqs]);
    for (int64_t s = 0; s < g->n_seqs; s++) {
        char name[64];
        snprintf(name, sizeof name, "%s%lld.nll", g->prefix, (long long)s);
        const fc_tensor *tensor = fc_safetensors_find(g->expected, name);
        assert_non_null(tensor);
        const int64_t first = g->begin[s], n = g->begin[s + 1] - first - 1;
        assert_int_equal(tensor->n, n);
        float *nll = aligned_alloc(64, 4096), *expected = NULL;
        assert_non_null(nll);
        assert_true(n <= 1024);
        fc_err e;
        fc_assert_ok(fc_tensor_to_f32(tensor, &expected, &e), &e);
        g->be->ops->cross_entropy(g->be, nll, x + first * point->width, g->id + first + 1,
                                  n, point->width);
        const fc_difference d = fc_compare(nll, expected, n);
        g->worst_token = fmax(g->worst_token, d.max_abs);
        free(expected);
        free(nll);
    }
    return FC_OK;
}

static void the_losses_of_the_example_model_agree(void **state)
{
    (void)state;
    golden *g = open_example("f32.s");
    watcher w = {.g = g};
    fc_hook hook = {.fn = take_losses, .ctx = &w};
    fc_runner *runner = NULL;
    fc_err err;
    fc_assert_ok(fc_hook_parse(&hook.point, "lm_head", fc_model_config(g->model), &err),
                 &err);
    fc_assert_ok(fc_runner_new(&runner, g->model, g->be, FC_F32_PRECISION,
                               g->begin[g->n_seqs], &err),
                 &err);
    const fc_batch batch = {g->id, {g->n_seqs, g->begin}};
    fc_assert_ok(fc_runner_run(runner, batch, &hook, 1, &err), &err);
    print_message("losses of the example model: largest difference %.1e nats\n",
                  g->worst_token);
    assert_true(g->worst_token < 1e-4);
    fc_runner_free(runner);
    close_case(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_gemma3_fixture_agrees_in_f32_alone_and_packed),
        cmocka_unit_test(the_example_model_agrees_in_f32),
        cmocka_unit_test(bf16_is_as_near_to_f32_as_transformers_is),
        cmocka_unit_test(the_example_model_in_bf16_is_as_near_to_f32_as_transformers_is),
        cmocka_unit_test(the_losses_of_the_example_model_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
