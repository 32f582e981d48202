/* test_gemma_sites.c - every hook point against a second forward pass, written here in double.
 *
 * The naive pass follows the formulas with one loop each and no packing; it reads the weights from
 * the file itself. At any site both may be told to change the tensor, and everything computed
 * afterwards must change alike: that is what a replacing hook promises.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/rng.h"
#include "formats/safetensors.h"
#include "model/model.h"
#include "tiny_gemma.h"
#include "unit/model/site_names.h"

static const double limit = 1e-5; /* relative L2 of one sequence's tensor */

enum { N_SEQS = 4, N_LAYERS = 3, N_TOKENS = 45 };
static const int64_t begins[N_SEQS + 1] = {0, 1, 12, 12, N_TOKENS}; /* one is empty */

/* A change of one tensor: x becomes 0.5 x + 0.25. */
typedef struct edit {
    bool is_on;
    fc_site site;
    int64_t layer;
} edit;

static bool is_edited(const edit *change, fc_site site, int64_t layer)
{
    return change->is_on && change->site == site && change->layer == layer;
}

/* --- the naive pass --------------------------------------------------------------------- */

/* One sequence; every array [n_tokens, width] lives in the arena. */
typedef struct naive {
    const fc_gemma_config *config;
    const fc_safetensors *file;
    edit edit;
    int64_t n_tokens;
    fc_arena arena;
    float *made[N_LAYERS][FC_N_SITES];
} naive;

static double *zeros(naive *m, int64_t width)
{
    double *x = NULL;
    fc_err err;
    fc_assert_ok(fc_arena_alloc(&m->arena, &x, m->n_tokens * width, sizeof *x, &err),
                 &err);
    return x;
}

static const float *weight(naive *m, int64_t layer, const char *part)
{
    char name[128];
    float *values = NULL;
    fc_err err;
    if (layer < 0)
        snprintf(name, sizeof name, "model.%s.weight", part);
    else
        snprintf(name, sizeof name, "model.layers.%" PRId64 ".%s.weight", layer, part);
    const fc_tensor *tensor = fc_safetensors_find(m->file, name);
    assert_non_null(tensor);
    fc_assert_ok(fc_arena_alloc(&m->arena, &values, tensor->n, sizeof *values, &err),
                 &err);
    fc_to_f32(values, tensor->data, tensor->dtype, tensor->n);
    return values;
}

static double *linear(naive *m, const double *x, int64_t n_in, int64_t n_out,
                      const float *w)
{
    double *y = zeros(m, n_out);
    for (int64_t t = 0; t < m->n_tokens; t++)
        for (int64_t o = 0; o < n_out; o++)
            for (int64_t i = 0; i < n_in; i++)
                y[t * n_out + o] += x[t * n_in + i] * (double)w[o * n_in + i];
    return y;
}

/* Norm over d values at a time, of rows made of n_heads of them. */
static double *norm(naive *m, const double *x, int64_t n_heads, int64_t d, const float *w)
{
    double *y = zeros(m, n_heads * d);
    for (int64_t r = 0; r < m->n_tokens * n_heads; r++) {
        double sum = 0;
        for (int64_t i = 0; i < d; i++) sum += x[r * d + i] * x[r * d + i];
        const double scale = 1 / sqrt(sum / (double)d + m->config->rms_norm_eps);
        for (int64_t i = 0; i < d; i++)
            y[r * d + i] = x[r * d + i] * scale * (1 + (double)w[i]);
    }
    return y;
}

static double *rope(naive *m, const double *x, int64_t n_heads, fc_rope rope)
{
    const int64_t d = m->config->d_head, half = d / 2;
    double *y = zeros(m, n_heads * d);
    for (int64_t r = 0; r < m->n_tokens * n_heads; r++)
        for (int64_t j = 0; j < half; j++) {
            const int64_t position = r / n_heads;
            const double power = pow(rope.theta, (double)(2 * j) / (double)d);
            const double angle = (double)position / power / rope.factor;
            const double a = x[r * d + j], b = x[r * d + j + half];
            y[r * d + j] = a * cos(angle) - b * sin(angle);
            y[r * d + j + half] = b * cos(angle) + a * sin(angle);
        }
    return y;
}

static void attend_one(const naive *m, double *z, const double *q, const double *k,
                       const double *v, int64_t a, int64_t window)
{
    const fc_gemma_config *c = m->config;
    const int64_t first = window > 0 && a >= window ? a - window + 1 : 0, d = c->d_head;
    double p[N_TOKENS], sum = 0;
    for (int64_t b = first; b <= a; b++) {
        double score = 0;
        for (int64_t i = 0; i < d; i++) score += q[i] * k[b * c->n_kv_heads * d + i];
        p[b] = exp(score / sqrt(c->query_pre_attn_scalar));
        sum += p[b];
    }
    for (int64_t b = first; b <= a; b++)
        for (int64_t i = 0; i < d; i++) z[i] += p[b] / sum * v[b * c->n_kv_heads * d + i];
}

static double *attention(naive *m, const double *q, const double *k, const double *v,
                         int64_t window)
{
    const fc_gemma_config *c = m->config;
    double *z = zeros(m, c->n_heads * c->d_head);
    for (int64_t t = 0; t < m->n_tokens; t++)
        for (int64_t h = 0; h < c->n_heads; h++) {
            const int64_t at = (t * c->n_heads + h) * c->d_head;
            const int64_t kv = h / (c->n_heads / c->n_kv_heads) * c->d_head;
            attend_one(m, z + at, q + at, k + kv, v + kv, t, window);
        }
    return z;
}

static double *gated(naive *m, const double *gate, const double *up)
{
    double *y = zeros(m, m->config->d_mlp);
    for (int64_t i = 0; i < m->n_tokens * m->config->d_mlp; i++) {
        const double u = gate[i];
        y[i] =
            0.5 * u * (1 + tanh(0.7978845608028654 * (u + 0.044715 * u * u * u))) * up[i];
    }
    return y;
}

static void add(const naive *m, double *x, const double *y)
{
    for (int64_t i = 0; i < m->n_tokens * m->config->d_model; i++) x[i] += y[i];
}

/* The tensor of a site is made: changed where asked, and kept. */
static void make(naive *m, fc_site site, int64_t layer, double *x, int64_t width)
{
    float *copy = NULL;
    fc_err err;
    fc_assert_ok(
        fc_arena_alloc(&m->arena, &copy, m->n_tokens * width, sizeof *copy, &err), &err);
    for (int64_t i = 0; i < m->n_tokens * width; i++) {
        if (is_edited(&m->edit, site, layer)) x[i] = 0.5 * x[i] + 0.25;
        copy[i] = (float)x[i];
    }
    m->made[layer][site] = copy;
}

static void naive_attention(naive *m, double *x, int64_t layer)
{
    const fc_gemma_config *c = m->config;
    const int64_t d = c->d_model, nq = c->n_heads * c->d_head,
                  nkv = c->n_kv_heads * c->d_head;
    const bool is_full = c->is_full[layer];
    const fc_rope kind = is_full ? c->rope_full : c->rope_sliding;
    double *h = norm(m, x, 1, d, weight(m, layer, "input_layernorm"));
    make(m, FC_SITE_ATTN_NORM, layer, h, d);
    double *q = linear(m, h, d, nq, weight(m, layer, "self_attn.q_proj"));
    make(m, FC_SITE_Q, layer, q, nq);
    double *k = linear(m, h, d, nkv, weight(m, layer, "self_attn.k_proj"));
    make(m, FC_SITE_K, layer, k, nkv);
    double *v = linear(m, h, d, nkv, weight(m, layer, "self_attn.v_proj"));
    make(m, FC_SITE_V, layer, v, nkv);
    q = norm(m, q, c->n_heads, c->d_head, weight(m, layer, "self_attn.q_norm"));
    make(m, FC_SITE_Q_NORM, layer, q, nq);
    k = norm(m, k, c->n_kv_heads, c->d_head, weight(m, layer, "self_attn.k_norm"));
    make(m, FC_SITE_K_NORM, layer, k, nkv);
    double *z = attention(m, rope(m, q, c->n_heads, kind),
                          rope(m, k, c->n_kv_heads, kind), v, is_full ? 0 : c->window);
    make(m, FC_SITE_ATTN_Z, layer, z, nq);
    double *o = linear(m, z, nq, d, weight(m, layer, "self_attn.o_proj"));
    make(m, FC_SITE_ATTN_OUT, layer, o, d);
    o = norm(m, o, 1, d, weight(m, layer, "post_attention_layernorm"));
    make(m, FC_SITE_POST_ATTN_NORM, layer, o, d);
    add(m, x, o);
}

static void naive_mlp(naive *m, double *x, int64_t layer)
{
    const fc_gemma_config *c = m->config;
    double *h = norm(m, x, 1, c->d_model, weight(m, layer, "pre_feedforward_layernorm"));
    make(m, FC_SITE_MLP_NORM, layer, h, c->d_model);
    double *gate = linear(m, h, c->d_model, c->d_mlp, weight(m, layer, "mlp.gate_proj"));
    make(m, FC_SITE_GATE, layer, gate, c->d_mlp);
    double *up = linear(m, h, c->d_model, c->d_mlp, weight(m, layer, "mlp.up_proj"));
    make(m, FC_SITE_UP, layer, up, c->d_mlp);
    double *act = gated(m, gate, up);
    make(m, FC_SITE_MLP_ACT, layer, act, c->d_mlp);
    double *y = linear(m, act, c->d_mlp, c->d_model, weight(m, layer, "mlp.down_proj"));
    make(m, FC_SITE_MLP_OUT, layer, y, c->d_model);
    y = norm(m, y, 1, c->d_model, weight(m, layer, "post_feedforward_layernorm"));
    make(m, FC_SITE_POST_MLP_NORM, layer, y, c->d_model);
    add(m, x, y);
}

static void naive_run(naive *m, const int32_t *id)
{
    const fc_gemma_config *c = m->config;
    const float *embed = weight(m, -1, "embed_tokens");
    double *x = zeros(m, c->d_model);
    for (int64_t t = 0; t < m->n_tokens; t++)
        for (int64_t i = 0; i < c->d_model; i++)
            x[t * c->d_model + i] =
                (double)embed[id[t] * c->d_model + i] * sqrt((double)c->d_model);
    make(m, FC_SITE_EMBED, 0, x, c->d_model);
    for (int64_t layer = 0; layer < c->n_layers; layer++) {
        make(m, FC_SITE_LAYER_IN, layer, x, c->d_model);
        naive_attention(m, x, layer);
        make(m, FC_SITE_RESID_MID, layer, x, c->d_model);
        naive_mlp(m, x, layer);
        make(m, FC_SITE_LAYER_OUT, layer, x, c->d_model);
    }
    x = norm(m, x, 1, c->d_model, weight(m, -1, "norm"));
    make(m, FC_SITE_FINAL_NORM, 0, x, c->d_model);
    make(m, FC_SITE_LOGITS, 0, linear(m, x, c->d_model, c->n_vocab, embed), c->n_vocab);
}

/* --- both side by side ------------------------------------------------------------------ */

typedef struct capture { /* what a hook saw */
    const edit *edit;
    float *x; /* [N_TOKENS, width] */
} capture;

typedef struct fixture {
    char dir[FC_PATH_MAX];
    fc_model *model;
    fc_backend *be;
    fc_runner *runner;
    fc_safetensors *file;
    int32_t id[N_TOKENS];
    fc_hook hook[N_LAYERS * FC_N_SITES];
    capture capture[N_LAYERS * FC_N_SITES];
    int64_t n_hooks;
    edit edit;
} fixture;

static fc_status keep(void *ctx, const fc_hook_point *point, float *x, int64_t n_tokens,
                      fc_err *err)
{
    (void)err;
    capture *c = ctx;
    assert_int_equal(n_tokens, N_TOKENS);
    for (int64_t i = 0; i < n_tokens * point->width; i++) {
        if (is_edited(c->edit, point->site, point->layer)) x[i] = 0.5f * x[i] + 0.25f;
        c->x[i] = x[i];
    }
    return FC_OK;
}

static void add_hook(fixture *f, fc_site site, int64_t layer)
{
    char name[96];
    fc_err err;
    site_name(name, sizeof name, site, layer);
    fc_hook *hook = &f->hook[f->n_hooks];
    fc_assert_ok(fc_hook_parse(&hook->point, name, fc_model_config(f->model), &err),
                 &err);
    assert_int_equal(hook->point.site, site);
    assert_int_equal(hook->point.layer, layer);
    assert_string_equal(hook->point.name, name);
    capture *c = &f->capture[f->n_hooks++];
    c->edit = &f->edit;
    c->x = calloc((size_t)(N_TOKENS * hook->point.width), sizeof *c->x);
    assert_non_null(c->x);
    hook->fn = keep;
    hook->ctx = c;
}

static int open_fixture(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    fc_err err;
    char path[FC_PATH_MAX];
    assert_non_null(f);
    fc_test_dir_make(f->dir);
    fc_tiny_gemma tiny = fc_tiny_gemma_defaults();
    tiny.n_layers = N_LAYERS;
    tiny.query_pre_attn_scalar = 21;
    tiny.more_config = "\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 4.0}";
    fc_tiny_gemma_write(f->dir, &tiny);
    fc_assert_ok(fc_model_load(&f->model, f->dir, &err), &err);
    fc_assert_ok(fc_backend_open(&f->be, NULL, &err), &err);
    fc_assert_ok(
        fc_runner_new(&f->runner, f->model, f->be, FC_F32_PRECISION, N_TOKENS + 3, &err),
        &err);
    fc_test_path(path, f->dir, "model.safetensors");
    fc_assert_ok(fc_safetensors_open(&f->file, path, &err), &err);
    for (int64_t i = 0; i < N_TOKENS; i++)
        f->id[i] =
            (int32_t)(fc_rng_u64(7, FC_RNG_TEST, (uint64_t)i) % (uint64_t)tiny.n_vocab);
    for (int site = 0; site < FC_N_SITES; site++)
        for (int64_t layer = 0; layer < (is_in_layer((fc_site)site) ? N_LAYERS : 1);
             layer++)
            add_hook(f, (fc_site)site, layer);
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    fixture *f = *state;
    for (int64_t i = 0; i < f->n_hooks; i++) free(f->capture[i].x);
    fc_safetensors_close(f->file);
    fc_runner_free(f->runner);
    fc_backend_close(f->be);
    fc_model_close(f->model);
    fc_test_dir_remove(f->dir);
    free(f);
    return 0;
}

/* Runs both with f->edit and compares every tensor of every sequence. Returns the largest
 * difference. */
static double compare_all(fixture *f)
{
    double worst = 0;
    fc_err err;
    const fc_batch batch = {f->id, {N_SEQS, begins}};
    fc_assert_ok(fc_runner_run(f->runner, batch, f->hook, f->n_hooks, &err), &err);
    for (int64_t s = 0; s < N_SEQS; s++) {
        naive m = {.config = fc_model_config(f->model), .file = f->file, .edit = f->edit};
        m.n_tokens = begins[s + 1] - begins[s];
        naive_run(&m, f->id + begins[s]);
        for (int64_t i = 0; i < f->n_hooks; i++) {
            const fc_hook_point *p = &f->hook[i].point;
            const double l2 = fc_compare(f->capture[i].x + begins[s] * p->width,
                                         m.made[p->layer][p->site], m.n_tokens * p->width)
                                  .l2;
            if (!(l2 <= limit))
                fail_msg("%s of sequence %" PRId64
                         " differs by %.3g, allowed %.3g (change at %s)",
                         p->name, s, l2, limit,
                         f->edit.is_on ? site_names[f->edit.site] : "no site");
            worst = fmax(worst, l2);
        }
        fc_arena_free(&m.arena);
    }
    return worst;
}

static void every_site_equals_the_naive_pass(void **state)
{
    fixture *f = *state;
    f->edit = (edit){0};
    print_message("largest difference %.1e\n", compare_all(f));
}

static void a_change_at_any_site_changes_what_follows_as_the_naive_pass_says(void **state)
{
    fixture *f = *state;
    for (int site = 0; site < FC_N_SITES; site++) {
        const int64_t layer = is_in_layer((fc_site)site) ? site % N_LAYERS : 0;
        f->edit = (edit){true, (fc_site)site, layer};
        compare_all(f);
    }
}

/* A later hook at the same point sees what the earlier one wrote, and zeros have known effects. */
static fc_status zero(void *ctx, const fc_hook_point *point, float *x, int64_t n_tokens,
                      fc_err *err)
{
    (void)ctx, (void)err;
    memset(x, 0, (size_t)(n_tokens * point->width) * sizeof *x);
    return FC_OK;
}

static int64_t find_hook(const fixture *f, fc_site site, int64_t layer)
{
    for (int64_t i = 0; i < f->n_hooks; i++)
        if (f->hook[i].point.site == site && f->hook[i].point.layer == layer) return i;
    fail_msg("no hook at site %d", (int)site);
    return -1;
}

static void zeroed_blocks_leave_the_residual_stream_as_it_was(void **state)
{
    fixture *f = *state;
    fc_err err;
    f->edit = (edit){0};
    const fc_hook *in = &f->hook[find_hook(f, FC_SITE_LAYER_IN, 1)];
    const fc_hook *out = &f->hook[find_hook(f, FC_SITE_LAYER_OUT, 1)];
    fc_hook hooks[] = {*in, f->hook[find_hook(f, FC_SITE_ATTN_OUT, 1)],
                       f->hook[find_hook(f, FC_SITE_MLP_OUT, 1)],
                       f->hook[find_hook(f, FC_SITE_MLP_OUT, 1)], *out};
    const float *seen = ((const capture *)hooks[3].ctx)->x;
    hooks[1].fn = zero;
    hooks[2].fn = zero;
    const fc_batch batch = {f->id, {N_SEQS, begins}};
    fc_assert_ok(fc_runner_run(f->runner, batch, hooks, FC_LEN(hooks), &err), &err);
    for (int64_t i = 0; i < N_TOKENS * hooks[3].point.width; i++)
        assert_true(seen[i] == 0);
    assert_memory_equal(((const capture *)in->ctx)->x, ((const capture *)out->ctx)->x,
                        (size_t)(N_TOKENS * in->point.width) * sizeof(float));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_site_equals_the_naive_pass),
        cmocka_unit_test(
            a_change_at_any_site_changes_what_follows_as_the_naive_pass_says),
        cmocka_unit_test(zeroed_blocks_leave_the_residual_stream_as_it_was),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
