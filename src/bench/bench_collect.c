/* bench_collect.c - tokens a second through a model: forward passes alone, and `facet collect` whole.
 *
 * The first counts one batch of sequences from the text, ready in memory, up to the hook. The second
 * is the command with all that belongs to it: loading, tokenising twice, writing, checksums. Only
 * real tokens count; <bos> is computed and not counted. The limit is in collect_limit.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "acts/harvest.h"
#include "base/alloc.h"
#include "bench/bench_internal.h"
#include "bench/collect_limit.h"
#include "bench/scratch_dir.h"

typedef struct collecting {
    const fc_bench_config *config;
    fc_backend *be;
    fc_model *model;
    fc_tokenizer *tokenizer;
    fc_runner *runner;
    fc_hook hook;
    int32_t *id;    /* [batch_tokens] */
    int64_t *begin; /* [n_seqs + 1] */
    int64_t n_seqs;
    fc_collect_config whole;
    char dir[FC_PATH_MAX];
} collecting;

/* --- one batch ---------------------------------------------------------------------------- */

/* Whole sequences while the longest one would still fit, as collecting does. */
static fc_status fill(collecting *c, fc_sequences *sequences, fc_err *err)
{
    const int64_t n_max = fc_max(c->config->batch_tokens, c->config->max_length);
    int64_t n = 0;
    FC_TRY(fc_alloc(&c->id, n_max, sizeof *c->id, "token ids of a batch", err));
    FC_TRY(fc_alloc(&c->begin, n_max + 1, sizeof *c->begin, "sequences of a batch", err));
    while (n + c->config->max_length <= n_max) {
        fc_sequence sequence;
        bool is_end = false;
        FC_TRY(fc_sequences_next(sequences, &sequence, &is_end, err));
        if (is_end) break;
        memcpy(c->id + n, sequence.id, (size_t)sequence.n * sizeof *c->id);
        n += sequence.n;
        c->begin[++c->n_seqs] = n;
    }
    if (c->n_seqs > 0) return FC_OK;
    return fc_fail(err, FC_MISMATCH, "%s: the text gives no tokens", c->config->texts[0]);
}

static fc_status read_batch(collecting *c, fc_err *err)
{
    const fc_corpus_config text = {
        .paths = c->config->texts, .n_paths = c->config->n_texts, .split = FC_SPLIT_LINE};
    fc_corpus *corpus = NULL;
    fc_sequences *sequences = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_corpus_open(&corpus, &text, err));
    FC_TRY_GOTO(fc_sequences_new(&sequences, corpus, c->tokenizer, c->config->max_length,
                                 FC_SPLIT_LINE, FC_OVERFLOW_TRUNCATE, err));
    status = fill(c, sequences, err);
done:
    fc_sequences_free(sequences);
    fc_corpus_close(corpus);
    return status;
}

static fc_status ignore_rows(void *ctx, const fc_hook_point *point, float *x,
                             int64_t n_tokens, fc_err *err)
{
    (void)ctx;
    (void)point;
    (void)x;
    (void)n_tokens;
    (void)err;
    return FC_OK;
}

static fc_ragged sequences_of(const collecting *c)
{
    return (fc_ragged){.n_seqs = c->n_seqs, .begin = c->begin};
}

static int64_t real_tokens(const collecting *c)
{
    return c->begin[c->n_seqs] - c->n_seqs;
}

static fc_status forward(void *ctx, double *seconds, fc_err *err)
{
    collecting *const c = ctx;
    const fc_batch batch = {.id = c->id, .seqs = sequences_of(c)};
    (void)seconds;
    return fc_runner_run(c->runner, batch, &c->hook, 1, err);
}

/* --- the whole command -------------------------------------------------------------------- */

static fc_status collect(void *ctx, double *seconds, fc_err *err)
{
    collecting *const c = ctx;
    fc_collect_result result;
    (void)seconds;
    FC_TRY(fc_scratch_dir_clear(c->dir, err));
    return fc_collect(&c->whole, c->config->texts, c->config->n_texts, c->be, c->dir,
                      &result, err);
}

/* As many tokens as pass in two seconds, and what the text has of them. */
static fc_status set_whole(collecting *c, double tokens_per_s, double *n_tokens,
                           fc_err *err)
{
    fc_collect_result result;
    const double wanted = c->config->is_quick ? 100.0 : 2.0 * tokens_per_s;
    fc_collect_defaults(&c->whole);
    (void)snprintf(c->whole.model, sizeof c->whole.model, "%s", c->config->model);
    (void)snprintf(c->whole.hook, sizeof c->whole.hook, "%s", c->hook.point.name);
    c->whole.tokens = (int64_t)fmin(fmax(wanted, (double)real_tokens(c)), 1e6);
    c->whole.max_length = c->config->max_length;
    c->whole.batch_tokens = c->config->batch_tokens;
    c->whole.allow_fewer = true;
    FC_TRY(fc_scratch_dir_make(c->dir, err));
    FC_TRY(fc_collect(&c->whole, c->config->texts, c->config->n_texts, c->be, c->dir,
                      &result, err));
    *n_tokens = (double)result.n_rows;
    return FC_OK;
}

/* --- rows --------------------------------------------------------------------------------- */

static fc_status open_all(collecting *c, fc_err *err)
{
    char last[64];
    FC_TRY(fc_model_load(&c->model, c->config->model, err));
    const fc_gemma_config *const shape = fc_model_config(c->model);
    (void)snprintf(last, sizeof last, "model.layers.%" PRId64 ".mlp.down_proj",
                   shape->n_layers - 1);
    FC_TRY(fc_hook_parse(&c->hook.point, c->config->hook[0] ? c->config->hook : last,
                         shape, err));
    c->hook.fn = ignore_rows;
    FC_TRY(fc_tokenizer_load(&c->tokenizer, c->config->model, err));
    FC_TRY(read_batch(c, err));
    return fc_runner_new(&c->runner, c->model, c->be, FC_AUTO_PRECISION,
                         c->begin[c->n_seqs], err);
}

static fc_status measure(fc_bench_run *run, collecting *c, fc_err *err)
{
    fc_bench_row *row;
    const fc_precision precision = fc_runner_precision(c->runner);
    const double flops =
        fc_collect_flops(fc_model_config(c->model), &c->hook.point, sequences_of(c));
    const double n = (double)real_tokens(c),
                 seconds = flops / run->peaks.flops[precision];
    char name[80];
    (void)snprintf(name, sizeof name, "forward, %s",
                   precision == FC_PRECISION_BF16 ? "bf16" : "f32");
    FC_TRY(fc_bench_measure(run, name, (fc_bench_unit){"tokens/s", n}, forward, c, &row,
                            err));
    fc_bench_limit(row, (fc_bench_unit){"tokens/s", n}, seconds);
    fc_bench_limit_detail(row, "operations", 1e-6 * flops / n, "MFLOP/token");
    fc_bench_detail_add(row, "batch", n, "tokens");
    fc_bench_detail_add(row, "sequences", (double)c->n_seqs, "");

    double n_whole = 0.0;
    FC_TRY(set_whole(c, row->median, &n_whole, err));
    const fc_bench_unit unit = {"tokens/s", n_whole};
    FC_TRY(fc_bench_measure(run, "with the store", unit, collect, c, &row, err));
    fc_bench_limit(row, unit, seconds * n_whole / n);
    fc_bench_detail_add(row, "text", n_whole, "tokens");
    return FC_OK;
}

fc_status fc_bench_collect(fc_bench_run *run, fc_err *err)
{
    collecting c = {.config = run->config, .be = run->be};
    fc_status status;
    FC_TRY_GOTO(open_all(&c, err));
    status = measure(run, &c, err);
done:
    fc_scratch_dir_remove(c.dir);
    fc_runner_free(c.runner);
    fc_tokenizer_free(c.tokenizer);
    fc_model_close(c.model);
    fc_free(c.id);
    fc_free(c.begin);
    return status;
}
