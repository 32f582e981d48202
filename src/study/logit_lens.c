/* logit_lens.c - decoder rows seen through the end of the model.
 *
 *   g_i = scale_i w_dec_i (1 + w_post) (1 + w_final)       [d_model], w_post where a norm lies between
 *   score_it = g_i . u_t - mean over t of g_i . u_t        u_t: row t of the unembedding
 *
 * What is left out: the division by the length in both norms, layers between the site and the
 * end, and the softcap. All but the layers between scale a token's scores together, so the order of
 * a feature's tokens is that of the direct path, and scores have no absolute unit. A tensor
 * inside a block (queries, gates, what a norm hands on) is not added to the residual stream, so
 * that there is nothing to read.
 *
 * The vocabulary is gone through in blocks of 1,024 rows with all live features at once: each row
 * of the unembedding is read once, and only the ten most extreme tokens of a feature are kept.
 * nostalgebraist 2020, "interpreting GPT: the logit lens"; for features of MLPs, Bricken et al. 2023.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/logit_lens_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/log.h"
#include "base/par.h"

enum { BLOCK = 1024, MOST_FEATURES = 8192, FEATURE_GRAIN = 32 };

typedef struct workspace {
    const fc_logit_lens_job *job;
    fc_logit_lens *lens;
    const float *post, *final; /* [d] gains less 1, or NULL */
    fc_mat head;               /* [n_vocab, d] */
    int64_t d, n_live;
    int32_t *id;        /* [n_live] */
    bool *is_shown;     /* [n_vocab] */
    double *mean;       /* [d] of the rows shown */
    float *direction;   /* [n_max, d] of one round */
    float *offset;      /* [n_max] mean logit */
    float *logit;       /* [n_max, BLOCK] */
    int64_t first, n;   /* live features of the round */
    int64_t token, n_t; /* block of the vocabulary */
} workspace;

/* --- what the site gives ---------------------------------------------------------------- */

/* Whether the site's tensor reaches the unembedding by norms alone, and through which. */
static bool find_path(workspace *w, const fc_hook_point *point, const fc_weights *weights)
{
    const fc_layer_weights *layer = &weights->layer[point->layer];
    w->post = NULL;
    w->final = weights->final_norm;
    switch (point->site) {
    case FC_SITE_MLP_OUT: w->post = layer->post_feedforward_norm; return true;
    case FC_SITE_ATTN_OUT: w->post = layer->post_attention_norm; return true;
    case FC_SITE_EMBED:
    case FC_SITE_LAYER_IN:
    case FC_SITE_RESID_MID:
    case FC_SITE_POST_ATTN_NORM:
    case FC_SITE_POST_MLP_NORM:
    case FC_SITE_LAYER_OUT: return true;
    case FC_SITE_FINAL_NORM: w->final = NULL; return true;
    case FC_SITE_ATTN_NORM:
    case FC_SITE_Q:
    case FC_SITE_K:
    case FC_SITE_V:
    case FC_SITE_Q_NORM:
    case FC_SITE_K_NORM:
    case FC_SITE_ATTN_Z:
    case FC_SITE_MLP_NORM:
    case FC_SITE_GATE:
    case FC_SITE_UP:
    case FC_SITE_MLP_ACT:
    case FC_SITE_LOGITS:
    case FC_N_SITES: break;
    }
    return false;
}

static bool is_readable(workspace *w)
{
    const fc_logit_lens_job *job = w->job;
    char *note = w->lens->note;
    const size_t size = sizeof w->lens->note;
    fc_hook_point point;
    fc_err why;
    if (job->model == NULL) {
        snprintf(note, size, "none: the model's weights were not at hand");
    } else if (fc_hook_parse(&point, job->hook, fc_model_config(job->model), &why) !=
               FC_OK) {
        snprintf(note, size, "none: %.480s", why.text);
    } else if (!find_path(w, &point, fc_model_weights(job->model))) {
        snprintf(note, size,
                 "none: %s lies inside a block and is not added to the residual stream",
                 point.name);
    } else if (point.width != job->sae->d_in) {
        snprintf(note, size,
                 "none: %s has %" PRId64 " dimensions in this model, the SAE %" PRId64,
                 point.name, point.width, job->sae->d_in);
    } else {
        snprintf(note, size,
                 "direct path: decoder row%s%s, then the unembedding, less the mean over "
                 "tokens; norms divide by no length and later layers are left out, so "
                 "scores compare tokens of one feature and have no absolute unit",
                 w->post != NULL ? ", gain of the block's post-norm" : "",
                 w->final != NULL ? ", gain of the final norm" : "");
        w->head = fc_model_weights(job->model)->head;
        w->d = point.width;
        return true;
    }
    return false;
}

/* --- the vocabulary --------------------------------------------------------------------- */

/* Ordinary tokens, and the mean of their rows. */
static void survey_vocabulary(workspace *w)
{
    const fc_tokenizer *tokenizer = w->job->tokenizer;
    const size_t element = fc_dtype_size(w->head.dtype);
    float *row = w->direction; /* not in use yet */
    int64_t n = 0;
    for (int64_t t = 0; t < w->head.rows; t++) {
        w->is_shown[t] =
            tokenizer == NULL || (t < fc_tokenizer_vocab(tokenizer) &&
                                  fc_tokenizer_piece(tokenizer, (int32_t)t) != NULL &&
                                  !fc_tokenizer_is_special(tokenizer, (int32_t)t));
        if (!w->is_shown[t]) continue;
        const char *from =
            (const char *)w->head.data + (size_t)(t * w->head.row) * element;
        fc_to_f32(row, from, w->head.dtype, w->d);
        for (int64_t j = 0; j < w->d; j++) w->mean[j] += (double)row[j];
        n++;
    }
    for (int64_t j = 0; j < w->d; j++) w->mean[j] /= (double)fc_max(1, n);
}

/* Directions of the round's features, and the mean logit of each. */
static void make_directions(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const workspace *w = ctx;
    for (int64_t i = begin; i < end; i++) {
        const int64_t feature = w->id[w->first + i];
        const float *row = w->job->sae->w_dec + feature * w->d;
        float *g = w->direction + i * w->d;
        double mean = 0.0;
        for (int64_t j = 0; j < w->d; j++) {
            float gain = w->job->scale[feature];
            if (w->post != NULL) gain *= 1.0f + w->post[j];
            if (w->final != NULL) gain *= 1.0f + w->final[j];
            g[j] = gain * row[j];
            mean += (double)g[j] * w->mean[j];
        }
        w->offset[i] = (float)mean;
    }
}

/* --- the most extreme tokens ------------------------------------------------------------ */

static void insert(fc_logit *list, int32_t *n, fc_logit one)
{
    int32_t at = *n < FC_LOGITS ? (*n)++ : FC_LOGITS - 1;
    for (; at > 0 && list[at - 1].score < one.score; at--) list[at] = list[at - 1];
    list[at] = one;
}

/* Largest scores first; lowered lists hold them with the sign turned round. Tokens ascend, so of
 * equal scores the lower id stays. */
static void scan_tokens(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const workspace *w = ctx;
    for (int64_t i = begin; i < end; i++) {
        const int64_t own = w->first + i;
        fc_logit *raised = w->lens->raised + own * FC_LOGITS,
                 *lowered = w->lens->lowered + own * FC_LOGITS;
        int32_t *n_raised = &w->lens->n_raised[own],
                *n_lowered = &w->lens->n_lowered[own];
        for (int64_t t = 0; t < w->n_t; t++) {
            const float score = w->logit[i * BLOCK + t] - w->offset[i];
            const float high = *n_raised < FC_LOGITS ? 0.0f : raised[FC_LOGITS - 1].score;
            const float low =
                *n_lowered < FC_LOGITS ? 0.0f : lowered[FC_LOGITS - 1].score;
            if (!(score > high || -score > low) || !w->is_shown[w->token + t]) continue;
            const int32_t token = (int32_t)(w->token + t);
            if (score > high)
                insert(raised, n_raised, (fc_logit){score, token});
            else
                insert(lowered, n_lowered, (fc_logit){-score, token});
        }
    }
}

static void run_block(workspace *w)
{
    fc_backend *be = w->job->be;
    fc_mat rows = w->head;
    rows.rows = w->n_t;
    rows.data = (const char *)w->head.data +
                (size_t)(w->token * w->head.row) * fc_dtype_size(w->head.dtype);
    const fc_mat a = fc_mat_of(w->direction, FC_F32, w->n, w->d);
    be->ops->matmul(be, w->logit, BLOCK, a, fc_mat_transposed(rows), w->job->precision,
                    false);
    fc_par_for(w->n, FEATURE_GRAIN, scan_tokens, w);
}

static fc_status run_rounds(workspace *w, fc_err *err)
{
    fc_progress progress = fc_progress_begin("study", "logits", 0.0,
                                             (double)w->n_live * (double)w->head.rows);
    double n_done = 0.0;
    fc_status status = FC_OK;
    for (w->first = 0; w->first < w->n_live && status == FC_OK; w->first += w->n) {
        w->n = fc_min(MOST_FEATURES, w->n_live - w->first);
        fc_par_for(w->n, FEATURE_GRAIN, make_directions, w);
        for (w->token = 0; w->token < w->head.rows; w->token += w->n_t) {
            if (fc_cancel_requested()) {
                status = fc_fail(err, FC_CANCELLED, "study was interrupted at logits");
                break;
            }
            w->n_t = fc_min(BLOCK, w->head.rows - w->token);
            run_block(w);
            fc_progress_set(&progress, n_done += (double)w->n * (double)w->n_t);
        }
    }
    fc_progress_end(&progress);
    return status;
}

/* --- memory ----------------------------------------------------------------------------- */

static fc_status take_memory(workspace *w, fc_err *err)
{
    fc_logit_lens *lens = w->lens;
    const int64_t d_sae = w->job->sae->d_sae, n_max = fc_min(MOST_FEATURES, d_sae);
    size_t row_bytes;
    FC_TRY(fc_bytes(w->d, sizeof(float), &row_bytes, err));
    FC_TRY(fc_alloc(&lens->rank, d_sae, sizeof *lens->rank, "live features", err));
    FC_TRY(fc_alloc(&w->id, d_sae, sizeof *w->id, "live features", err));
    for (int64_t i = 0; i < d_sae; i++) {
        lens->rank[i] = w->job->is_live[i] ? (int32_t)w->n_live : -1;
        if (w->job->is_live[i]) w->id[w->n_live++] = (int32_t)i;
    }
    const int64_t n = w->n_live;
    const size_t list_bytes = FC_LOGITS * sizeof(fc_logit);
    FC_TRY(fc_alloc(&lens->raised, n, list_bytes, "logits", err));
    FC_TRY(fc_alloc(&lens->lowered, n, list_bytes, "logits", err));
    FC_TRY(fc_alloc(&lens->n_raised, n, sizeof(int32_t), "logits", err));
    FC_TRY(fc_alloc(&lens->n_lowered, n, sizeof(int32_t), "logits", err));
    FC_TRY(fc_alloc(&w->is_shown, w->head.rows, sizeof(bool), "shown tokens", err));
    FC_TRY(fc_alloc(&w->mean, w->d, sizeof *w->mean, "mean of the unembedding", err));
    FC_TRY(fc_alloc(&w->direction, n_max, row_bytes, "directions", err));
    FC_TRY(fc_alloc(&w->offset, n_max, sizeof *w->offset, "mean logits", err));
    return fc_alloc(&w->logit, n_max, BLOCK * sizeof *w->logit, "logits", err);
}

fc_status fc_logit_lens_find(fc_logit_lens *lens, const fc_logit_lens_job *job,
                             fc_err *err)
{
    *lens = (fc_logit_lens){0};
    workspace w = {.job = job, .lens = lens};
    if (!is_readable(&w)) return FC_OK;
    fc_status status;
    FC_TRY_GOTO(take_memory(&w, err));
    survey_vocabulary(&w);
    FC_TRY_GOTO(run_rounds(&w, err));
done:
    fc_free(w.id);
    fc_free(w.is_shown);
    fc_free(w.mean);
    fc_free(w.direction);
    fc_free(w.offset);
    fc_free(w.logit);
    if (status != FC_OK) fc_logit_lens_deinit(lens);
    return status;
}

void fc_logit_lens_deinit(fc_logit_lens *lens)
{
    fc_free(lens->rank);
    fc_free(lens->raised);
    fc_free(lens->lowered);
    fc_free(lens->n_raised);
    fc_free(lens->n_lowered);
    *lens = (fc_logit_lens){0};
}
