/* study_pass.c - reads, encodes and counts, block by block.
 *
 * Rows are read and normalised by all threads; then each chunk of features is encoded, its rows of
 * f are gone through feature by feature, and it is decoded. A feature belongs to one thread at a
 * time and meets the rows in order, so nothing here depends on the number of threads. The only
 * sums across features, L0 of the rows, are integers.
 *
 * The hits of a feature are first gathered without a branch; what follows touches only them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/study_pass_internal.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/log.h"
#include "base/par.h"
#include "base/rng.h"

enum { ROW_GRAIN = 16, FEATURE_GRAIN = 8 };

typedef enum row_fault { ROW_FINE, ROW_NOT_FINITE, ROW_BAD_TOKEN } row_fault;

/* Buffers of the pass while it runs. */
typedef struct workspace {
    const fc_study_job *job;
    fc_study_pass *pass;
    fc_block block;
    uint8_t *fault;     /* [ROWS] row_fault */
    float *x, *centred; /* [ROWS, d] */
    fc_chunk chunk;     /* of up to CHUNK features; stride ROWS */
    int64_t first;      /* feature of the chunk */
    int n_workers;
    int32_t *l0; /* [n_workers, ROWS] */
} workspace;

/* --- reading ---------------------------------------------------------------------------- */

static bool is_finite_row(const float *x, int64_t d)
{
    float lane[16] = {0};
    int64_t j = 0;
    for (; j + 16 <= d; j += 16)
        for (int64_t l = 0; l < 16; l++) lane[l] += x[j + l] * 0.0f;
    for (; j < d; j++) lane[0] += x[j] * 0.0f;
    for (int64_t l = 1; l < 16; l++) lane[0] += lane[l];
    return lane[0] == 0.0f; /* infinity and NaN times 0 are NaN */
}

static row_fault fault_of(const fc_study_job *job, const float *x, fc_row row)
{
    const fc_tokenizer *tokenizer = job->tokenizer;
    if (!is_finite_row(x, job->sae->d_in)) return ROW_NOT_FINITE;
    if (tokenizer != NULL &&
        (row.token_id < 0 || row.token_id >= fc_tokenizer_vocab(tokenizer)))
        return ROW_BAD_TOKEN;
    return ROW_FINE;
}

static void read_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    workspace *w = ctx;
    const fc_study_job *job = w->job;
    const int64_t d = job->sae->d_in;
    float *x = w->x + begin * d;
    fc_store_read(job->store, w->block.first + begin, end - begin, x);
    fc_normalise(&job->sae->normaliser, x, x, NULL, end - begin);
    for (int64_t t = begin; t < end; t++) {
        const int64_t id = w->block.first + t;
        const fc_row row = fc_store_row(job->store, id);
        w->block.token[t] = row.token_id;
        w->block.doc[t] = row.doc_id;
        w->block.draw[t] = (uint32_t)fc_rng_u64((uint64_t)job->config->seed,
                                                FC_RNG_EXAMPLES, (uint64_t)id);
        w->fault[t] = (uint8_t)fault_of(job, w->x + t * d, row);
    }
}

static fc_status check_rows(const workspace *w, fc_err *err)
{
    for (int64_t t = 0; t < w->block.n; t++) {
        const int64_t row = w->block.first + t;
        switch ((row_fault)w->fault[t]) {
        case ROW_FINE: break;
        case ROW_NOT_FINITE:
            return fc_fail(err, FC_FORMAT,
                           "the activation store has NaN or infinity in row %" PRId64
                           ", expected finite numbers",
                           row);
        case ROW_BAD_TOKEN:
            return fc_fail(err, FC_MISMATCH,
                           "the activation store has token %" PRId32 " in row %" PRId64
                           ", but the tokenizer has ids 0 .. %" PRId64,
                           w->block.token[t], row,
                           fc_tokenizer_vocab(w->job->tokenizer) - 1);
        }
    }
    return FC_OK;
}

/* Notes each document where it begins. One that the store cannot name fails here, early. */
static fc_status note_documents(workspace *w, fc_err *err)
{
    fc_study_pass *pass = w->pass;
    for (int64_t t = 0; t < w->block.n; t++) {
        const int32_t id = w->block.doc[t];
        if (pass->n_docs > 0 && pass->doc[pass->n_docs - 1] == id) continue;
        fc_doc doc;
        FC_TRY(fc_store_doc(w->job->store, id, &doc, err));
        FC_TRY(fc_grow(&pass->doc, &pass->doc_capacity, pass->n_docs + 1,
                       sizeof *pass->doc, "documents", err));
        pass->doc[pass->n_docs++] = id;
    }
    return FC_OK;
}

/* --- one feature in one block ----------------------------------------------------------- */

/* Where f[n] is above 0; returns how many. */
static int64_t gather_hits(const float *f, int64_t n, int32_t *at, float *value)
{
    int64_t n_hits = 0;
    for (int64_t t = 0; t < n; t++) {
        at[n_hits] = (int32_t)t;
        value[n_hits] = f[t];
        n_hits += f[t] > 0.0f;
    }
    return n_hits;
}

static bool is_silent(const float *f, int64_t n)
{
    uint32_t any = 0;
    for (int64_t t = 0; t < n; t++) {
        uint32_t bits;
        memcpy(&bits, &f[t], sizeof bits);
        any |= bits;
    }
    return any == 0;
}

static void count_features(int64_t begin, int64_t end, int worker, void *ctx)
{
    workspace *w = ctx;
    fc_study_pass *pass = w->pass;
    const fc_chunk *chunk = &w->chunk;
    int32_t *l0 = w->l0 + worker * FC_STUDY_ROWS;
    for (int64_t i = begin; i < end; i++) {
        const float *f = chunk->f + i * chunk->n;
        int32_t *at = chunk->at + i * chunk->stride;
        float *value = chunk->value + i * chunk->stride;
        chunk->count[i] =
            is_silent(f, chunk->n) ? 0 : gather_hits(f, chunk->n, at, value);
        if (chunk->count[i] == 0) continue;
        fc_hits hits = {w->first + i, chunk->count[i], at, value, 0.0f};
        fc_feature_sums *sums = &pass->feature[hits.feature];
        for (int64_t j = 0; j < hits.n; j++) {
            l0[at[j]]++;
            sums->sum += (double)value[j];
            if (value[j] > hits.max) hits.max = value[j];
        }
        sums->n += hits.n;
        if (hits.max > sums->max) sums->max = hits.max;
        fc_strongest_add(&pass->strongest, &hits, &w->block);
        fc_spectrum_add(&pass->spectrum, &hits, &w->block);
        fc_token_mass_add(&pass->tokens, &hits, &w->block);
    }
}

static fc_status check_finite(const workspace *w, fc_err *err)
{
    for (int64_t i = w->first; i < w->first + w->chunk.n_features; i++)
        if (!isfinite(w->pass->feature[i].max))
            return fc_fail(err, FC_FORMAT,
                           "feature %" PRId64 " is infinite on a row from %" PRId64
                           " on, expected finite activations: are these the SAE's own?",
                           i, w->block.first);
    return FC_OK;
}

/* --- blocks ----------------------------------------------------------------------------- */

/* The features begin .. begin+n-1 as an SAE of their own; for an architecture whose features do
 * not look at each other. */
static fc_sae part_of(const fc_sae *sae, int64_t begin, int64_t n)
{
    fc_sae part = *sae;
    part.d_sae = n;
    part.w_enc += begin * sae->d_in;
    part.w_dec += begin * sae->d_in;
    part.b_enc += begin;
    return part;
}

static fc_status run_chunk(workspace *w, fc_err *err)
{
    const fc_study_job *job = w->job;
    const fc_sae part = part_of(job->sae, w->first, w->chunk.n_features);
    fc_sae_encode(&part, job->be, job->precision, w->x, w->chunk.n, w->centred,
                  w->chunk.f);
    fc_par_for(w->chunk.n_features, FEATURE_GRAIN, count_features, w);
    FC_TRY(check_finite(w, err));
    fc_reconstruction_add(&w->pass->reconstruction, job->be, job->precision, &w->chunk,
                          part.w_dec);
    return FC_OK;
}

static fc_status run_block(workspace *w, fc_err *err)
{
    const fc_sae *sae = w->job->sae;
    const int64_t n = w->block.n;
    fc_par_for(n, ROW_GRAIN, read_rows, w);
    FC_TRY(check_rows(w, err));
    FC_TRY(note_documents(w, err));
    memset(w->l0, 0, (size_t)w->n_workers * FC_STUDY_ROWS * sizeof *w->l0);
    fc_reconstruction_begin(&w->pass->reconstruction, n);
    w->chunk.n = n;
    for (w->first = 0; w->first < sae->d_sae; w->first += FC_STUDY_CHUNK) {
        w->chunk.n_features = fc_min(FC_STUDY_CHUNK, sae->d_sae - w->first);
        FC_TRY(run_chunk(w, err));
    }
    fc_reconstruction_end(&w->pass->reconstruction, w->x, sae->b_dec, n);
    for (int64_t t = 0; t < n; t++) {
        int64_t l0 = 0;
        for (int i = 0; i < w->n_workers; i++) l0 += w->l0[i * FC_STUDY_ROWS + t];
        w->pass->l0[l0]++;
    }
    return FC_OK;
}

static fc_status run_blocks(workspace *w, fc_err *err)
{
    const int64_t n_rows = w->job->n_rows;
    fc_progress progress = fc_progress_begin("study", "rows", 0.0, (double)n_rows);
    fc_status status = FC_OK;
    for (int64_t first = 0; first < n_rows && status == FC_OK; first += FC_STUDY_ROWS) {
        if (fc_cancel_requested()) {
            status = fc_fail(err, FC_CANCELLED, "study was interrupted at row %" PRId64,
                             first);
            break;
        }
        w->block.first = first;
        w->block.n = fc_min(FC_STUDY_ROWS, n_rows - first);
        status = run_block(w, err);
        fc_progress_set(&progress, (double)(first + w->block.n));
    }
    fc_progress_end(&progress);
    return status;
}

/* --- memory ----------------------------------------------------------------------------- */

static fc_status workspace_init(workspace *w, const fc_study_job *job,
                                fc_study_pass *pass, fc_err *err)
{
    *w = (workspace){.job = job, .pass = pass, .n_workers = fc_par_threads()};
    const int64_t n_features = fc_min(FC_STUDY_CHUNK, job->sae->d_sae);
    size_t row_bytes;
    FC_TRY(fc_bytes(job->sae->d_in, sizeof *w->x, &row_bytes, err));
    FC_TRY(
        fc_alloc(&w->block.token, FC_STUDY_ROWS, sizeof *w->block.token, "tokens", err));
    FC_TRY(
        fc_alloc(&w->block.doc, FC_STUDY_ROWS, sizeof *w->block.doc, "documents", err));
    FC_TRY(fc_alloc(&w->block.draw, FC_STUDY_ROWS, sizeof *w->block.draw, "draws", err));
    FC_TRY(fc_alloc(&w->fault, FC_STUDY_ROWS, sizeof *w->fault, "row checks", err));
    FC_TRY(fc_alloc(&w->x, FC_STUDY_ROWS, row_bytes, "activations", err));
    FC_TRY(fc_alloc(&w->centred, FC_STUDY_ROWS, row_bytes, "centred activations", err));
    FC_TRY(fc_alloc(&w->chunk.f, n_features * FC_STUDY_ROWS, sizeof(float), "features",
                    err));
    FC_TRY(fc_alloc(&w->chunk.count, n_features, sizeof(int64_t), "counts", err));
    FC_TRY(
        fc_alloc(&w->chunk.at, n_features * FC_STUDY_ROWS, sizeof(int32_t), "hits", err));
    FC_TRY(fc_alloc(&w->chunk.value, n_features * FC_STUDY_ROWS, sizeof(float), "hits",
                    err));
    w->chunk.stride = FC_STUDY_ROWS;
    return fc_alloc(&w->l0, (int64_t)w->n_workers * FC_STUDY_ROWS, sizeof *w->l0,
                    "row counts", err);
}

static void workspace_deinit(workspace *w)
{
    fc_free(w->block.token);
    fc_free(w->block.doc);
    fc_free(w->block.draw);
    fc_free(w->fault);
    fc_free(w->x);
    fc_free(w->centred);
    fc_free(w->chunk.f);
    fc_free(w->chunk.count);
    fc_free(w->chunk.at);
    fc_free(w->chunk.value);
    fc_free(w->l0);
}

static fc_status pass_init(fc_study_pass *pass, const fc_study_job *job, fc_err *err)
{
    const fc_study_config *config = job->config;
    const int64_t n = job->sae->d_sae;
    const int64_t per_cell = config->quantiles > 0 ? config->per_quantile : 0;
    FC_TRY(fc_alloc(&pass->feature, n, sizeof *pass->feature, "feature sums", err));
    FC_TRY(fc_alloc(&pass->l0, n + 1, sizeof *pass->l0, "L0 histogram", err));
    FC_TRY(fc_strongest_init(&pass->strongest, n, config->contexts, config->per_document,
                             err));
    FC_TRY(fc_spectrum_init(&pass->spectrum, n, per_cell, (uint64_t)config->seed, err));
    FC_TRY(fc_token_mass_init(&pass->tokens, n, err));
    return fc_reconstruction_init(&pass->reconstruction, job->sae->d_in, FC_STUDY_ROWS,
                                  fc_min(FC_STUDY_CHUNK, n), err);
}

void fc_study_pass_deinit(fc_study_pass *pass)
{
    fc_free(pass->feature);
    fc_free(pass->l0);
    fc_free(pass->doc);
    fc_strongest_deinit(&pass->strongest);
    fc_spectrum_deinit(&pass->spectrum);
    fc_token_mass_deinit(&pass->tokens);
    fc_reconstruction_deinit(&pass->reconstruction);
    *pass = (fc_study_pass){0};
}

fc_status fc_study_pass_run(fc_study_pass *pass, const fc_study_job *job, fc_err *err)
{
    workspace w = {0};
    *pass = (fc_study_pass){0};
    fc_status status;
    FC_TRY_GOTO(pass_init(pass, job, err));
    FC_TRY_GOTO(workspace_init(&w, job, pass, err));
    FC_TRY_GOTO(run_blocks(&w, err));
done:
    workspace_deinit(&w);
    if (status != FC_OK) fc_study_pass_deinit(pass);
    return status;
}

double fc_study_pass_l0(const fc_study_pass *pass, int64_t d_sae)
{
    double rows = 0.0, sum = 0.0;
    for (int64_t l0 = 0; l0 <= d_sae; l0++) {
        rows += (double)pass->l0[l0];
        sum += (double)l0 * (double)pass->l0[l0];
    }
    return sum / rows;
}
