/* study_pass.c - reads, encodes and counts, block by block.
 *
 *   read_rows        x [n, d], normalised
 *   fc_codes_encode  the rows on which each feature fires, as a list or a whole row
 *   log_features     all of them into the log; what is full goes through every statistic
 *   fc_codes_decode  y [n, d] and with it what is lost
 *
 * A feature belongs to one thread at a time and meets the rows in order, so nothing here depends on
 * the number of threads. The only sums across features, L0 of the rows, are integers. Most features
 * are lists already; a whole row is gathered into one, without a branch, before it is logged.
 *
 * Where rows come from is remembered for a window of FC_STUDY_WINDOW rows, at whose end the log is
 * emptied.
 *
 * The store is read once from front to back: the rows of the next blocks are asked for ahead, those
 * behind are let go, so that the pass takes no more memory for a larger store.
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
#include "study/hit_log_internal.h"

enum { ROW_GRAIN = 16, FEATURE_GRAIN = 32, BLOCKS_AHEAD = 4 };

typedef enum row_fault { ROW_FINE, ROW_NOT_FINITE, ROW_BAD_TOKEN } row_fault;

/* Buffers of the pass while it runs; blocks of up to n_max rows. */
typedef struct workspace {
    const fc_study_job *job;
    fc_study_pass *pass;
    int64_t first, n; /* rows of the store in this block */
    fc_block window;  /* of which it is the end */
    fc_hit_log log;
    uint64_t *set;  /* [FC_STUDY_WINDOW] concepts of the window's rows; NULL without */
    uint8_t *fault; /* [n_max] row_fault */
    float *x, *y;   /* [n_max, d] */
    fc_codes *codes;
    fc_mat w_dec;     /* [d_sae, d], in BF16 rounded once for all blocks */
    fc_bf16 *rounded; /* what it is then */
    int64_t n_max;
    int32_t *at;  /* [n_workers, n_max] hits of a whole row */
    float *value; /* [n_workers, n_max] */
    int32_t *l0;  /* [n_workers, n_max] of the features that are whole rows */
    int n_workers;
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
    fc_store_read(job->store, w->first + begin, end - begin, x);
    fc_normalise(&job->sae->normaliser, x, x, NULL, end - begin);
    for (int64_t t = begin; t < end; t++) {
        const int64_t id = w->first + t, at = id - w->window.first;
        const fc_row row = fc_store_row(job->store, id);
        w->window.token[at] = row.token_id;
        w->window.doc[at] = row.doc_id;
        w->window.draw[at] = (uint32_t)fc_rng_u64((uint64_t)job->config->seed,
                                                  FC_RNG_EXAMPLES, (uint64_t)id);
        if (w->set != NULL) w->set[at] = fc_concept_match(&w->pass->search.matcher, id);
        w->fault[t] = (uint8_t)fault_of(job, w->x + t * d, row);
    }
}

static fc_status check_rows(const workspace *w, fc_err *err)
{
    for (int64_t t = 0; t < w->n; t++) {
        const int64_t row = w->first + t;
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
                           w->window.token[row - w->window.first], row,
                           fc_tokenizer_vocab(w->job->tokenizer) - 1);
        }
    }
    return FC_OK;
}

/* Notes each document where it begins. One that the store cannot name fails here, early. */
static fc_status note_documents(workspace *w, fc_err *err)
{
    fc_study_pass *pass = w->pass;
    const int32_t *ids = w->window.doc + (w->first - w->window.first);
    for (int64_t t = 0; t < w->n; t++) {
        const int32_t id = ids[t];
        if (pass->n_docs > 0 && pass->doc[pass->n_docs - 1] == id) continue;
        fc_doc doc;
        FC_TRY(fc_store_doc(w->job->store, id, &doc, err));
        FC_TRY(fc_grow(&pass->doc, &pass->doc_capacity, pass->n_docs + 1,
                       sizeof *pass->doc, "documents", err));
        pass->doc[pass->n_docs++] = id;
    }
    return FC_OK;
}

/* --- features --------------------------------------------------------------------------- */

typedef struct counting {
    workspace *w;
    int worker;
} counting;

static void count_hits(const fc_hits *hits, void *ctx)
{
    const counting *c = ctx;
    const fc_block *window = &c->w->window;
    fc_study_pass *pass = c->w->pass;
    if (c->w->set != NULL)
        fc_concept_stats_add(&pass->search.stats, hits, window, c->w->set);
    if (c->w->job->is_find) return;
    fc_strongest_add(&pass->strongest, hits, window);
    fc_spectrum_add(&pass->spectrum, hits, window);
    fc_token_mass_add(&pass->tokens, hits, window, c->worker);
    fc_hit_sample_add(&pass->sample, hits, window);
}

/* Makes a list of f[n] > 0 and counts it in l0; returns how many there are. */
static int64_t gather_hits(const float *f, int64_t n, int32_t *at, float *value,
                           int32_t *l0)
{
    int64_t n_hits = 0;
    for (int64_t t = 0; t < n; t++) {
        const bool fires = f[t] > 0.0f;
        at[n_hits] = (int32_t)t;
        value[n_hits] = f[t];
        n_hits += fires;
        l0[t] += fires;
    }
    return n_hits;
}

static fc_hits hits_of(const workspace *w, int64_t feature, int worker)
{
    const fc_codes *c = w->codes;
    const fc_feature_codes f = fc_codes_of(c, feature);
    fc_hits hits = {.feature = feature,
                    .n = f.n,
                    .at = f.index,
                    .value = f.value,
                    .max = c->firing.max[feature]};
    if (f.index == NULL) {
        const int64_t own = worker * w->n_max;
        hits.n = gather_hits(hits.value, c->n, w->at + own, w->value + own, w->l0 + own);
        hits.at = w->at + own;
        hits.value = w->value + own;
    }
    return hits;
}

static void log_features(int64_t begin, int64_t end, int worker, void *ctx)
{
    workspace *w = ctx;
    counting c = {w, worker};
    const fc_firing *firing = &w->codes->firing;
    for (int64_t i = begin; i < end; i++) {
        if (firing->count[i] == 0) continue;
        fc_feature_sums *sums = &w->pass->feature[i];
        sums->n += firing->count[i];
        sums->sum += firing->sum[i];
        if (firing->max[i] > sums->max) sums->max = firing->max[i];
        const fc_hits hits = hits_of(w, i, worker);
        fc_hit_log_add(&w->log, &hits, w->first - w->window.first, count_hits, &c);
    }
}

static void empty_log(int64_t begin, int64_t end, int worker, void *ctx)
{
    workspace *w = ctx;
    counting c = {w, worker};
    for (int64_t i = begin; i < end; i++) fc_hit_log_flush(&w->log, i, count_hits, &c);
}

static fc_status check_finite(const workspace *w, fc_err *err)
{
    for (int64_t i = 0; i < w->codes->d_sae; i++)
        if (!isfinite(w->pass->feature[i].max))
            return fc_fail(err, FC_FORMAT,
                           "feature %" PRId64 " is infinite on a row from %" PRId64
                           " on, expected finite activations: are these the SAE's own?",
                           i, w->first);
    return FC_OK;
}

/* --- blocks ----------------------------------------------------------------------------- */

static void count_l0(const workspace *w)
{
    for (int64_t t = 0; t < w->n; t++) {
        int64_t l0 = w->codes->lists.token_count[t];
        for (int i = 0; i < w->n_workers; i++) l0 += w->l0[i * w->n_max + t];
        w->pass->l0[l0]++;
    }
}

static fc_status run_block(workspace *w, fc_err *err)
{
    const fc_study_job *job = w->job;
    const int64_t at = w->first - w->window.first;
    fc_par_for(w->n, ROW_GRAIN, read_rows, w);
    FC_TRY(check_rows(w, err));
    if (w->set != NULL) fc_concept_stats_rows(&w->pass->search.stats, w->set + at, w->n);
    if (!job->is_find) {
        FC_TRY(note_documents(w, err));
        FC_TRY(fc_token_mass_rank(&w->pass->tokens, w->window.token + at, w->n,
                                  w->window.rank + at, err));
    }
    fc_codes_encode(w->codes, job->sae, job->be, w->x, w->n);
    if (w->pass->cut != NULL)
        memcpy(w->pass->cut + w->first, w->codes->cut, (size_t)w->n * sizeof(float));
    memset(w->l0, 0, (size_t)(w->n_workers * w->n_max) * sizeof *w->l0);
    fc_par_for(job->sae->d_sae, FEATURE_GRAIN, log_features, w);
    FC_TRY(check_finite(w, err));
    if (job->is_find) return FC_OK;
    fc_codes_decode(w->codes, job->be, w->w_dec, w->y);
    count_l0(w);
    fc_reconstruction_add(&w->pass->reconstruction, w->x, w->y, job->sae->b_dec, w->n);
    return FC_OK;
}

/* The next n rows, as part of the window or as the first of a new one. */
static void begin_block(workspace *w, int64_t first, int64_t n)
{
    if (first - w->window.first + n > FC_STUDY_WINDOW) {
        fc_par_for(w->job->sae->d_sae, FEATURE_GRAIN, empty_log, w);
        w->window.first = first;
    }
    w->first = first;
    w->n = n;
    w->window.n = first + n - w->window.first;
    const int64_t ahead = first + BLOCKS_AHEAD * w->n_max;
    fc_store_expect(w->job->store, ahead, fc_min(w->n_max, w->job->n_rows - ahead));
}

static fc_status run_blocks(workspace *w, fc_err *err)
{
    const int64_t n_rows = w->job->n_rows;
    fc_progress progress = fc_progress_begin("study", "rows", 0.0, (double)n_rows);
    fc_status status = FC_OK;
    for (int64_t first = 0; first < n_rows && status == FC_OK; first += w->n_max) {
        if (fc_cancel_requested()) {
            status = fc_fail(err, FC_CANCELLED, "study was interrupted at row %" PRId64,
                             first);
            break;
        }
        begin_block(w, first, fc_min(w->n_max, n_rows - first));
        status = run_block(w, err);
        fc_store_drop(w->job->store, first, w->n);
        fc_progress_set(&progress, (double)(first + w->n));
    }
    if (status == FC_OK) fc_par_for(w->job->sae->d_sae, FEATURE_GRAIN, empty_log, w);
    fc_progress_end(&progress);
    return status;
}

/* --- memory ----------------------------------------------------------------------------- */

/* W_dec as the decoder reads it fastest. */
static fc_status prepare_w_dec(workspace *w, fc_err *err)
{
    const fc_sae *sae = w->job->sae;
    w->w_dec = fc_mat_of(sae->w_dec, FC_F32, sae->d_sae, sae->d_in);
    if (w->job->precision != FC_PRECISION_BF16) return FC_OK;
    const int64_t n = sae->d_sae * sae->d_in;
    FC_TRY(fc_alloc(&w->rounded, n, sizeof *w->rounded, "rounded decoder", err));
    w->job->be->ops->convert(w->job->be, w->rounded, FC_BF16, sae->w_dec, FC_F32, n);
    w->w_dec = fc_mat_of(w->rounded, FC_BF16, sae->d_sae, sae->d_in);
    return FC_OK;
}

static fc_status window_init(fc_block *window, fc_err *err)
{
    const int64_t n = FC_STUDY_WINDOW;
    FC_TRY(fc_alloc(&window->token, n, sizeof *window->token, "tokens", err));
    FC_TRY(fc_alloc(&window->doc, n, sizeof *window->doc, "documents", err));
    FC_TRY(fc_alloc(&window->draw, n, sizeof *window->draw, "draws", err));
    return fc_alloc(&window->rank, n, sizeof *window->rank, "ranks of tokens", err);
}

static fc_status workspace_init(workspace *w, const fc_study_job *job,
                                fc_study_pass *pass, fc_err *err)
{
    const int64_t n = fc_min(FC_STUDY_ROWS, job->n_rows);
    *w = (workspace){.job = job, .pass = pass, .n_max = n, .n_workers = fc_par_threads()};
    const int64_t n_each = w->n_workers * n;
    size_t row_bytes;
    FC_TRY(fc_bytes(job->sae->d_in, sizeof *w->x, &row_bytes, err));
    FC_TRY(window_init(&w->window, err));
    if (pass->search.is_on)
        FC_TRY(
            fc_alloc(&w->set, FC_STUDY_WINDOW, sizeof *w->set, "concepts of rows", err));
    FC_TRY(fc_hit_log_init(&w->log, job->sae->d_sae, err));
    FC_TRY(fc_alloc(&w->fault, n, sizeof *w->fault, "row checks", err));
    FC_TRY(fc_alloc(&w->x, n, row_bytes, "activations", err));
    FC_TRY(fc_alloc(&w->y, n, row_bytes, "reconstructions", err));
    FC_TRY(fc_alloc(&w->at, n_each, sizeof *w->at, "hits", err));
    FC_TRY(fc_alloc(&w->value, n_each, sizeof *w->value, "hits", err));
    FC_TRY(fc_alloc(&w->l0, n_each, sizeof *w->l0, "row counts", err));
    FC_TRY(fc_codes_new(&w->codes, job->sae, job->be, job->precision, n, false, err));
    return prepare_w_dec(w, err);
}

static void workspace_deinit(workspace *w)
{
    fc_free(w->window.token);
    fc_free(w->window.doc);
    fc_free(w->window.draw);
    fc_free(w->window.rank);
    fc_hit_log_deinit(&w->log);
    fc_free(w->set);
    fc_free(w->fault);
    fc_free(w->x);
    fc_free(w->y);
    fc_free(w->at);
    fc_free(w->value);
    fc_free(w->l0);
    fc_free(w->rounded);
    fc_codes_free(w->codes);
}

static fc_status pass_init(fc_study_pass *pass, const fc_study_job *job, fc_err *err)
{
    const fc_study_config *config = job->config;
    const int64_t n = job->sae->d_sae;
    const int64_t per_cell = config->quantiles > 0 ? config->per_quantile : 0;
    FC_TRY(fc_alloc(&pass->feature, n, sizeof *pass->feature, "feature sums", err));
    FC_TRY(fc_alloc(&pass->l0, n + 1, sizeof *pass->l0, "L0 histogram", err));
    FC_TRY(fc_concept_search_init(&pass->search, job->concepts, job->tokenizer,
                                  job->store, n, err));
    if (job->is_find) return FC_OK;
    if (fc_arch_find(job->sae->arch)->inference.selection != FC_SELECT_NONE)
        FC_TRY(fc_alloc(&pass->cut, job->n_rows, sizeof *pass->cut, "cuts of rows", err));
    FC_TRY(fc_strongest_init(&pass->strongest, n, config->contexts, config->per_document,
                             err));
    FC_TRY(fc_spectrum_init(&pass->spectrum, n, per_cell, (uint64_t)config->seed, err));
    FC_TRY(fc_token_mass_init(&pass->tokens, n, err));
    FC_TRY(fc_hit_sample_init(&pass->sample, n, (uint64_t)config->seed, err));
    return fc_reconstruction_init(&pass->reconstruction, job->sae->d_in, FC_STUDY_ROWS,
                                  err);
}

void fc_study_pass_deinit(fc_study_pass *pass)
{
    fc_free(pass->feature);
    fc_free(pass->l0);
    fc_free(pass->cut);
    fc_free(pass->doc);
    fc_strongest_deinit(&pass->strongest);
    fc_spectrum_deinit(&pass->spectrum);
    fc_token_mass_deinit(&pass->tokens);
    fc_hit_sample_deinit(&pass->sample);
    fc_reconstruction_deinit(&pass->reconstruction);
    fc_concept_search_deinit(&pass->search);
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
