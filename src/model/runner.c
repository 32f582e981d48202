/* runner.c - runs batches: embedding, the layers, final norm, logits, with a set of buffers.
 *
 *   x = E[id] sqrt(d_model);  x = layer(x) for each layer;  logits = head Norm(x; norm)
 *
 * The embedding factor is the float32 square root in both precisions; transformers in bf16 rounds
 * it to bf16 as well. In bf16 only the operands of products are rounded: norms, softmax and the
 * residual stream stay float32, so the result lies closer to float32 than that of transformers.
 *
 * Memory: buffers of max_tokens rows, taken once, since tensors of one layer die in turn:
 *
 *   x        d_model                               residual stream
 *   h        d_model                               input of a block, later its output
 *   wide     the larger of q | z | k | v and gate | up
 *   operand  the widest input of a product         rounded, in bf16 only
 *
 * Logits are large (a row of 262144 is 1 MiB) and most runs have none: theirs come with the first
 * hook on lm_head.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "model/layer_internal.h"

struct fc_runner {
    const fc_model *model;
    fc_backend *be;
    fc_linears linears;
    int64_t max_tokens;
    float *x, *h, *wide;
    void *operand; /* NULL in float32 */
    float *logits; /* [max_tokens, n_vocab], or NULL */
    float *one;    /* [max_tokens] */
    int32_t *position;
};

/* --- buffers ---------------------------------------------------------------------------- */

enum { ALIGNED_FLOATS = 16 }; /* 64 bytes */

static int64_t rows_of(const fc_runner *runner, int64_t width)
{
    return fc_round_up(runner->max_tokens * width, ALIGNED_FLOATS);
}

static fc_status alloc_buffers(fc_runner *runner, fc_err *err)
{
    const fc_gemma_config *config = &runner->model->config;
    const int64_t q = rows_of(runner, config->n_heads * config->d_head);
    const int64_t k = rows_of(runner, config->n_kv_heads * config->d_head);
    const int64_t mlp = rows_of(runner, config->d_mlp),
                  x = rows_of(runner, config->d_model);
    const char *what = "activations of the model";
    FC_TRY(fc_alloc(&runner->x, x, sizeof(float), what, err));
    FC_TRY(fc_alloc(&runner->h, x, sizeof(float), what, err));
    FC_TRY(fc_alloc(&runner->wide, fc_max(2 * q + 2 * k, 2 * mlp), sizeof(float), what,
                    err));
    if (runner->linears.precision == FC_PRECISION_BF16) {
        const int64_t width = fc_max(fc_max(config->d_model, config->d_mlp),
                                     config->n_heads * config->d_head);
        FC_TRY(fc_alloc(&runner->operand, rows_of(runner, width), sizeof(uint16_t), what,
                        err));
    }
    FC_TRY(fc_alloc(&runner->one, runner->max_tokens, sizeof(float), what, err));
    FC_TRY(fc_alloc(&runner->position, runner->max_tokens, sizeof(int32_t), what, err));
    for (int64_t i = 0; i < runner->max_tokens; i++) runner->one[i] = 1;
    return FC_OK;
}

static fc_status need_logits(fc_runner *runner, fc_err *err)
{
    if (runner->logits != NULL) return FC_OK;
    return fc_alloc(&runner->logits, rows_of(runner, runner->model->config.n_vocab),
                    sizeof(float), "logits", err);
}

static void place_buffers(fc_pass *pass, const fc_runner *runner)
{
    const fc_gemma_config *config = &runner->model->config;
    const int64_t q = rows_of(runner, config->n_heads * config->d_head);
    const int64_t k = rows_of(runner, config->n_kv_heads * config->d_head);
    pass->x = runner->x;
    pass->h = runner->h;
    pass->q = runner->wide;
    pass->z = pass->q + q;
    pass->k = pass->z + q;
    pass->v = pass->k + k;
    pass->gate = runner->wide;
    pass->up = pass->gate + rows_of(runner, config->d_mlp);
    pass->operand = runner->operand;
}

/* --- one batch -------------------------------------------------------------------------- */

static fc_status check_batch(const fc_runner *runner, const fc_batch *batch, fc_err *err)
{
    const fc_ragged *seqs = &batch->seqs;
    const int64_t n_tokens = seqs->begin[seqs->n_seqs],
                  n_vocab = runner->model->config.n_vocab;
    FC_CHECK(seqs->begin[0] == 0);
    for (int64_t s = 0; s < seqs->n_seqs; s++)
        FC_CHECK(seqs->begin[s] <= seqs->begin[s + 1]);
    if (n_tokens > runner->max_tokens)
        return fc_fail(err, FC_USAGE,
                       "the batch has %" PRId64 " tokens, expected at most %" PRId64,
                       n_tokens, runner->max_tokens);
    for (int64_t i = 0; i < n_tokens; i++)
        if (batch->id[i] < 0 || batch->id[i] >= n_vocab)
            return fc_fail(err, FC_MISMATCH,
                           "token %" PRId64 " of the batch has the id %" PRId32
                           ", expected 0..%" PRId64 " by the model in %s",
                           i, batch->id[i], n_vocab - 1, runner->model->dir);
    return FC_OK;
}

static void count_positions(fc_runner *runner, fc_ragged seqs)
{
    for (int64_t s = 0; s < seqs.n_seqs; s++)
        for (int64_t i = seqs.begin[s]; i < seqs.begin[s + 1]; i++)
            runner->position[i] = (int32_t)(i - seqs.begin[s]);
}

static bool run_embed(fc_pass *pass, const int32_t *id)
{
    const float factor = (float)sqrt((double)pass->model->config.d_model);
    pass->be->ops->embed(pass->be, pass->x, pass->model->weights.embed, id,
                         pass->n_tokens, factor);
    return fc_pass_reach(pass, FC_SITE_EMBED, 0, pass->x);
}

static bool run_final_norm(fc_pass *pass)
{
    const fc_gemma_config *config = &pass->model->config;
    pass->be->ops->rmsnorm(pass->be, pass->h, pass->x, pass->model->weights.final_norm,
                           pass->n_tokens, config->d_model, (float)config->rms_norm_eps);
    return fc_pass_reach(pass, FC_SITE_FINAL_NORM, 0, pass->h);
}

static void make_logits(const fc_pass *pass, float *logits, const float *h)
{
    const fc_gemma_config *config = &pass->model->config;
    const fc_mat operand = fc_pass_operand(pass, h, config->d_model);
    fc_linear_apply(pass->linears, logits, operand, &pass->linears->head);
    if (config->final_logit_softcap > 0)
        pass->be->ops->softcap(pass->be, logits, pass->n_tokens * config->n_vocab,
                               (float)config->final_logit_softcap);
}

/* From the residual stream entering `layer`, in pass->x, to the end. */
static void run_from(fc_pass *pass, int64_t layer, float *logits)
{
    for (; layer < pass->model->config.n_layers; layer++)
        if (!fc_layer_run(pass, layer)) return;
    if (!run_final_norm(pass)) return;
    make_logits(pass, logits, pass->h);
    fc_pass_reach(pass, FC_SITE_LOGITS, 0, logits);
}

/* How many layers the tensor of the last hook takes. */
static int64_t layers_needed(const fc_model *model, const fc_hook *hooks, int64_t n_hooks)
{
    int64_t n = 0;
    for (int64_t i = 0; i < n_hooks; i++) {
        const fc_hook_point *const point = &hooks[i].point;
        if (point->site >= FC_SITE_FINAL_NORM) return model->config.n_layers;
        if (point->site > FC_SITE_LAYER_IN) n = fc_max(n, point->layer + 1);
        if (point->site == FC_SITE_LAYER_IN) n = fc_max(n, point->layer);
    }
    return n;
}

/* --- entry points ----------------------------------------------------------------------- */

/* Makes ready what the hooks take, and the pass over a batch that calls them. */
static fc_status begin_pass(fc_runner *runner, fc_pass *pass, const fc_batch *batch,
                            const fc_hook *hooks, int64_t n_hooks, fc_err *err)
{
    FC_TRY(check_batch(runner, batch, err));
    *pass = (fc_pass){.be = runner->be,
                      .model = runner->model,
                      .linears = &runner->linears,
                      .seqs = batch->seqs,
                      .n_tokens = batch->seqs.begin[batch->seqs.n_seqs],
                      .position = runner->position,
                      .one = runner->one,
                      .hook = hooks,
                      .n_hooks = n_hooks,
                      .n_left = n_hooks,
                      .err = err};
    const bool needs_logits = fc_pass_is_hooked(pass, FC_SITE_LOGITS, 0);
    if (needs_logits) FC_TRY(need_logits(runner, err));
    FC_TRY(fc_linears_need(&runner->linears, layers_needed(runner->model, hooks, n_hooks),
                           needs_logits, err));
    count_positions(runner, batch->seqs);
    place_buffers(pass, runner);
    return FC_OK;
}

static fc_status end_pass(const fc_pass *pass)
{
    FC_TRY(pass->status);
    FC_CHECK(pass->n_left ==
             0); /* every point lies in the model: fc_hook_parse sees to it */
    return FC_OK;
}

fc_status fc_runner_run(fc_runner *runner, fc_batch batch, const fc_hook *hooks,
                        int64_t n_hooks, fc_err *err)
{
    fc_pass pass;
    FC_TRY(begin_pass(runner, &pass, &batch, hooks, n_hooks, err));
    if (n_hooks == 0) return FC_OK;
    if (run_embed(&pass, batch.id)) run_from(&pass, 0, runner->logits);
    return end_pass(&pass);
}

fc_hook_point fc_residual_point(const fc_model *model, int64_t layer)
{
    const fc_gemma_config *config = &model->config;
    FC_CHECK(layer >= 0 && layer <= config->n_layers && config->n_layers > 0);
    fc_hook_point point = {FC_SITE_LAYER_IN, (int)layer, config->d_model, "residual"};
    if (layer == config->n_layers) {
        point.site = FC_SITE_LAYER_OUT;
        point.layer = (int)layer - 1;
    }
    return point;
}

/* Whether a run that begins at `layer` reaches the point. */
static bool is_behind(const fc_hook_point *point, int64_t layer, int64_t n_layers)
{
    if (point->site >= FC_SITE_FINAL_NORM) return true;
    return layer < n_layers && point->site >= FC_SITE_LAYER_IN && point->layer >= layer;
}

fc_status fc_runner_resume(fc_runner *runner, fc_batch batch, fc_residual from,
                           const fc_hook *hooks, int64_t n_hooks, fc_err *err)
{
    fc_pass pass;
    const fc_gemma_config *config = &runner->model->config;
    for (int64_t i = 0; i < n_hooks; i++)
        FC_CHECK(is_behind(&hooks[i].point, from.layer, config->n_layers));
    FC_TRY(begin_pass(runner, &pass, &batch, hooks, n_hooks, err));
    if (n_hooks == 0) return FC_OK;
    memcpy(pass.x, from.x, (size_t)(pass.n_tokens * config->d_model) * sizeof *pass.x);
    run_from(&pass, from.layer, runner->logits);
    return end_pass(&pass);
}

fc_status fc_runner_logits(fc_runner *runner, float *logits, const float *h, int64_t n,
                           fc_err *err)
{
    const fc_pass pass = {.be = runner->be,
                          .model = runner->model,
                          .linears = &runner->linears,
                          .n_tokens = n,
                          .operand = runner->operand};
    FC_CHECK(n >= 0 && n <= runner->max_tokens);
    FC_TRY(fc_linears_need(&runner->linears, 0, true, err));
    make_logits(&pass, logits, h);
    return FC_OK;
}

fc_status fc_runner_new(fc_runner **runner, const fc_model *model, fc_backend *be,
                        fc_precision_choice precision, int64_t max_tokens, fc_err *err)
{
    fc_runner *made;
    if (max_tokens < 1 || max_tokens > INT32_MAX)
        return fc_fail(err, FC_USAGE,
                       "a batch of up to %" PRId64 " tokens is asked for, expected 1..%d",
                       max_tokens, INT32_MAX);
    FC_TRY(fc_alloc(&made, 1, sizeof *made, "the runner", err));
    const bool is_faster_in_bf16 =
        fc_backend_prefers_bf16(be) && model->weights.embed.dtype == FC_BF16;
    const bool is_bf16 = precision == FC_BF16_PRECISION ||
                         (precision == FC_AUTO_PRECISION && is_faster_in_bf16);
    made->model = model;
    made->be = be;
    made->max_tokens = max_tokens;
    fc_status status = fc_linears_init(
        &made->linears, model, be, is_bf16 ? FC_PRECISION_BF16 : FC_PRECISION_F32, err);
    if (status == FC_OK) status = alloc_buffers(made, err);
    if (status == FC_OK)
        *runner = made;
    else
        fc_runner_free(made);
    return status;
}

void fc_runner_free(fc_runner *runner)
{
    if (runner == NULL) return;
    fc_free(runner->x);
    fc_free(runner->h);
    fc_free(runner->wide);
    fc_free(runner->operand);
    fc_linears_deinit(&runner->linears);
    fc_free(runner->logits);
    fc_free(runner->one);
    fc_free(runner->position);
    fc_free(runner);
}

fc_precision fc_runner_precision(const fc_runner *runner)
{
    return runner->linears.precision;
}
