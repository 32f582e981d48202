/* bench_tokenize.c - megabytes of text a second to ids, lines from memory, word caches warm.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/par.h"
#include "base/strbuf.h"
#include "bench/bench_internal.h"
#include "text/corpus.h"
#include "text/tokenizer.h"

enum { LINES = 64 }; /* in a chunk */
static const int64_t MAX_BYTES = (int64_t)8 << 20;

typedef struct worker {
    fc_encoder *encoder;
    fc_tokens tokens;
    fc_status status; /* of the first call that failed */
    fc_err err;
} worker;

typedef struct encoding {
    fc_tokenizer *tokenizer;
    fc_strbuf text; /* all lines, one behind the other */
    int64_t *line;  /* [n_lines + 1] where each begins */
    int64_t n_lines, capacity;
    worker *worker; /* one for each thread */
    int n_workers;
} encoding;

static fc_status read_lines(encoding *e, fc_corpus *corpus, int64_t max_bytes,
                            fc_err *err)
{
    while (e->text.n < max_bytes) {
        fc_document document;
        bool is_end = false;
        FC_TRY(fc_corpus_next(corpus, &document, &is_end, err));
        if (is_end) break;
        FC_TRY(fc_strbuf_add(&e->text, document.text, document.n_bytes, err));
        FC_TRY(fc_grow(&e->line, &e->capacity, e->n_lines + 2, sizeof *e->line, "lines",
                       err));
        if (e->n_lines == 0) e->line[0] = 0;
        e->line[++e->n_lines] = e->text.n;
    }
    return FC_OK;
}

static fc_status open_all(const fc_bench_run *run, encoding *e, fc_err *err)
{
    const fc_bench_config *const c = run->config;
    const fc_corpus_config text = {
        .paths = c->texts, .n_paths = c->n_texts, .split = FC_SPLIT_LINE};
    fc_corpus *corpus = NULL;
    FC_TRY(fc_tokenizer_load(&e->tokenizer, c->model, err));
    FC_TRY(fc_corpus_open(&corpus, &text, err));
    const fc_status status =
        read_lines(e, corpus, c->is_quick ? 1 << 16 : MAX_BYTES, err);
    fc_corpus_close(corpus);
    FC_TRY(status);
    if (e->text.n == 0)
        return fc_fail(err, FC_MISMATCH, "%s: the text is empty", c->texts[0]);
    e->n_workers = run->n_threads;
    FC_TRY(fc_alloc(&e->worker, e->n_workers, sizeof *e->worker, "encoders", err));
    for (int i = 0; i < e->n_workers; i++)
        FC_TRY(fc_encoder_new(&e->worker[i].encoder, e->tokenizer, err));
    return FC_OK;
}

static void encode_chunk(int64_t begin, int64_t end, int worker_id, void *ctx)
{
    const encoding *const e = ctx;
    worker *const w = &e->worker[worker_id];
    for (int64_t i = begin; i < end && w->status == FC_OK; i++)
        w->status =
            fc_encode(w->encoder, e->text.data + e->line[i], e->line[i + 1] - e->line[i],
                      (fc_encode_options){0}, &w->tokens, &w->err);
}

static fc_status encode(void *ctx, double *seconds, fc_err *err)
{
    encoding *const e = ctx;
    (void)seconds;
    fc_par_for(e->n_lines, LINES, encode_chunk, e);
    for (int i = 0; i < e->n_workers; i++)
        if (e->worker[i].status != FC_OK)
            return fc_fail(err, e->worker[i].status, "%s", e->worker[i].err.text);
    return FC_OK;
}

static fc_status measure(fc_bench_run *run, encoding *e, fc_err *err)
{
    const int n_threads = fc_par_threads();
    const fc_bench_unit unit = {"MB/s", 1e-6 * (double)e->text.n};
    fc_bench_row *row;
    char name[80];
    (void)snprintf(name, sizeof name, "encode, %d thread%s", n_threads,
                   n_threads == 1 ? "" : "s");
    FC_TRY(fc_bench_measure(run, name, unit, encode, e, &row, err));
    fc_bench_detail_add(row, "text", unit.work, "MB");
    return FC_OK;
}

fc_status fc_bench_tokenize(fc_bench_run *run, fc_err *err)
{
    encoding e = {0};
    fc_status status;
    FC_TRY_GOTO(open_all(run, &e, err));
    if (run->n_threads > 1) {
        fc_par_set_threads(1);
        FC_TRY_GOTO(measure(run, &e, err));
        fc_par_set_threads(run->n_threads);
    }
    status = measure(run, &e, err);
done:
    for (int i = 0; i < e.n_workers && e.worker != NULL; i++) {
        fc_encoder_free(e.worker[i].encoder);
        fc_tokens_free(&e.worker[i].tokens);
    }
    fc_free(e.worker);
    fc_free(e.line);
    fc_strbuf_free(&e.text);
    fc_tokenizer_free(e.tokenizer);
    return status;
}
