/* study_write.c - from what the pass found to the rows of features.db.
 *
 * Features are written in groups: the windows of a group's examples are filled by all threads,
 * then its rows are inserted in order. Nothing about time or machine goes in: the same store and
 * SAE give the same bytes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/study_write_internal.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "study/concept_write_internal.h"
#include "study/features_out_internal.h"
#include "study/meaning_write_internal.h"
#include "study/study_examples_internal.h"

enum { N_SHARES = 10 };

typedef struct writer {
    const fc_study_job *job;
    fc_study_pass *pass;
    const fc_meaning *meaning;
    const fc_study_result *result;
    fc_features_out *out;
    fc_examples examples;
    uint8_t *is_used;  /* [vocab] tokens that appear somewhere */
    int64_t n_vocab;   /* 0 without a tokenizer */
    fc_strbuf text[3]; /* before, peak, after */
} writer;

/* --- one run ---------------------------------------------------------------------------- */

static fc_status write_texts(const writer *w, fc_err *err)
{
    const fc_study_job *job = w->job;
    static const char *const norms[] = {"none", "center_unit", "center_scale"};
    const fc_store_info *info = fc_store_info_of(job->store);
    const fc_norm_kind kind = job->sae->normaliser.kind;
    const struct {
        const char *key, *value;
    } texts[] = {
        {"facet_version", FACET_VERSION},
        {"model", info->model},
        {"model_hash", info->model_hash},
        {"hook", info->hook},
        {"text_hash", info->text_hash},
        {"arch", job->sae->arch},
        {"normalization", (size_t)kind < FC_LEN(norms) ? norms[kind] : "unknown"},
        {"logit_lens", w->meaning->lens.note},
        {"precision", job->precision == FC_PRECISION_BF16 ? "bf16" : "f32"},
    };
    for (size_t i = 0; i < FC_LEN(texts); i++)
        FC_TRY(fc_features_put_text(w->out, texts[i].key, texts[i].value, err));
    return FC_OK;
}

static fc_status write_numbers(const writer *w, fc_err *err)
{
    const fc_study_config *config = w->job->config;
    const fc_study_result *result = w->result;
    const struct {
        const char *key;
        int64_t value;
    } integers[] = {
        {"d_in", w->job->sae->d_in},
        {"d_sae", result->d_sae},
        {"n_rows", result->n_rows},
        {"n_docs", fc_store_docs(w->job->store)},
        {"n_dead", result->n_dead},
        {"contexts", config->contexts},
        {"per_document", config->per_document},
        {"window", config->window},
        {"quantiles", config->quantiles},
        {"per_quantile", config->per_quantile},
        {"seed", config->seed},
    };
    const struct {
        const char *key;
        double value;
    } reals[] = {
        {"l0", result->l0},
        {"mse", result->mse},
        {"fvu", result->fvu},
        {"explained_variance", result->explained_variance},
        {"dead_threshold", config->dead_threshold},
    };
    for (size_t i = 0; i < FC_LEN(integers); i++)
        FC_TRY(fc_features_put_integer(w->out, integers[i].key, integers[i].value, err));
    for (size_t i = 0; i < FC_LEN(reals); i++)
        FC_TRY(fc_features_put_real(w->out, reals[i].key, reals[i].value, err));
    return FC_OK;
}

static fc_status write_l0(const writer *w, fc_err *err)
{
    for (int64_t l0 = 0; l0 <= w->job->sae->d_sae; l0++)
        if (w->pass->l0[l0] > 0)
            FC_TRY(fc_features_put_l0(w->out, l0, w->pass->l0[l0], err));
    return FC_OK;
}

/* --- one feature ------------------------------------------------------------------------ */

static double row_norm(const float *w, int64_t d)
{
    double sum = 0.0;
    for (int64_t j = 0; j < d; j++) sum += (double)w[j] * (double)w[j];
    return sqrt(sum);
}

static fc_status write_feature(const writer *w, int64_t i, fc_err *err)
{
    const fc_sae *sae = w->job->sae;
    const fc_feature_sums *sums = &w->pass->feature[i];
    int64_t hist[FC_HISTOGRAM_BINS];
    const bool fires = sums->n > 0;
    int64_t n_near;
    const fc_neighbour *near = fc_neighbours_of(&w->meaning->neighbours, i, &n_near);
    const fc_description *about = &w->meaning->description[i];
    if (fires)
        fc_spectrum_histogram(&w->pass->spectrum, i, sums->max, FC_HISTOGRAM_BINS, hist);
    const fc_feature_row row = {
        .feature = {.id = i,
                    .max = (double)sums->max,
                    .mean_active = fires ? sums->sum / (double)sums->n : 0.0,
                    .frequency = (double)sums->n / (double)w->job->n_rows,
                    .n_active = sums->n,
                    .is_dead = !w->meaning->is_live[i],
                    .description = about->text,
                    .purity = about->purity},
        .sum = sums->sum,
        .decoder_norm = row_norm(sae->w_dec + i * sae->d_in, sae->d_in),
        .encoder_bias = (double)sae->b_enc[i],
        .token_error = fires ? w->pass->tokens.table[i].error / sums->sum : 0.0,
        .nearest = n_near > 0 ? near[0].cosine : (double)NAN,
        .hist = fires ? hist : NULL};
    return fc_features_put_feature(w->out, &row, err);
}

static void use_token(writer *w, int32_t token)
{
    if (token >= 0 && token < w->n_vocab) w->is_used[token] = 1;
}

static fc_status write_shares(writer *w, int64_t i, fc_err *err)
{
    fc_token_sum tokens[N_SHARES];
    const int64_t n = fc_token_mass_top(&w->pass->tokens, i, N_SHARES, tokens);
    for (int64_t k = 0; k < n; k++) {
        use_token(w, tokens[k].token);
        const fc_share_row row = {.feature = i,
                                  .rank = k + 1,
                                  .token = tokens[k].token,
                                  .n = tokens[k].n,
                                  .share = tokens[k].sum / w->pass->feature[i].sum};
        FC_TRY(fc_features_put_share(w->out, &row, err));
    }
    return FC_OK;
}

static fc_status write_meaning(writer *w, int64_t i, fc_err *err)
{
    const fc_logit_lens *lens = &w->meaning->lens;
    if (!w->meaning->is_live[i]) return FC_OK;
    for (int64_t k = 0; lens->rank != NULL && k < FC_LOGITS; k++) {
        const int64_t own = lens->rank[i], at = own * FC_LOGITS + k;
        if (k < lens->n_raised[own]) use_token(w, lens->raised[at].token);
        if (k < lens->n_lowered[own]) use_token(w, lens->lowered[at].token);
    }
    FC_TRY(fc_meaning_write_neighbours(w->meaning, w->out, i, err));
    FC_TRY(fc_meaning_write_logits(w->meaning, w->out, i, err));
    return fc_meaning_write_profile(w->meaning, w->out, i, err);
}

/* The text of n tokens, or NULL without a tokenizer. */
static fc_status text_of(const writer *w, fc_strbuf *buffer, const int32_t *token,
                         int64_t n, const char **text, fc_err *err)
{
    *text = NULL;
    if (w->job->tokenizer == NULL) return FC_OK;
    fc_strbuf_clear(buffer);
    FC_TRY(fc_decode(w->job->tokenizer, token, n, false, buffer, err));
    *text = fc_strbuf_text(buffer);
    return FC_OK;
}

static fc_status write_example(writer *w, int64_t k, fc_err *err)
{
    const fc_example *e = &w->examples.example[k];
    const int32_t *token = w->examples.token + k * w->examples.width;
    const int64_t peak = e->peak.row - e->first;
    fc_example_row row = {
        .feature = e->feature,
        .kind = e->kind,
        .rank = e->rank,
        .value = (double)e->peak.value,
        .row = e->peak.row,
        .doc = e->peak.doc,
        .position = fc_store_row(w->job->store, e->peak.row).position,
        .n = e->n,
        .peak = peak,
        .token_ids = token,
        .activations = w->examples.activation + k * w->examples.width,
    };
    for (int64_t t = 0; t < e->n; t++) use_token(w, token[t]);
    FC_TRY(text_of(w, &w->text[0], token, peak, &row.before, err));
    FC_TRY(text_of(w, &w->text[1], token + peak, 1, &row.token, err));
    FC_TRY(text_of(w, &w->text[2], token + peak + 1, e->n - peak - 1, &row.after, err));
    return fc_features_put_example(w->out, &row, err);
}

static fc_status write_features(writer *w, fc_err *err)
{
    const int64_t n = w->job->sae->d_sae;
    fc_progress progress = fc_progress_begin("study", "features", 0.0, (double)n);
    fc_status status = FC_OK;
    for (int64_t begin = 0; begin < n; begin += w->examples.n_features) {
        if (fc_cancel_requested()) {
            status = fc_fail(err, FC_CANCELLED, "study was interrupted while writing");
            goto done;
        }
        const int64_t end = fc_min(n, begin + w->examples.n_features);
        fc_examples_fill(&w->examples, w->pass, begin, end);
        int64_t k = 0;
        for (int64_t i = begin; i < end; i++) {
            FC_TRY_GOTO(write_feature(w, i, err));
            FC_TRY_GOTO(write_shares(w, i, err));
            FC_TRY_GOTO(write_meaning(w, i, err));
            for (; k < w->examples.n && w->examples.example[k].feature == i; k++)
                FC_TRY_GOTO(write_example(w, k, err));
        }
        fc_progress_set(&progress, (double)end);
    }
done:
    fc_progress_end(&progress);
    return status;
}

/* --- documents and tokens --------------------------------------------------------------- */

static int compare_i32(const void *a, const void *b)
{
    const int32_t p = *(const int32_t *)a, q = *(const int32_t *)b;
    return (p > q) - (p < q);
}

static fc_status write_documents(const writer *w, fc_err *err)
{
    fc_study_pass *pass = w->pass;
    qsort(pass->doc, (size_t)pass->n_docs, sizeof *pass->doc, compare_i32);
    for (int64_t i = 0; i < pass->n_docs; i++) {
        if (i > 0 && pass->doc[i] == pass->doc[i - 1]) continue;
        fc_doc doc;
        FC_TRY(fc_store_doc(w->job->store, pass->doc[i], &doc, err));
        const fc_document_row row = {.id = pass->doc[i],
                                     .line = doc.line,
                                     .n_tokens = doc.n_tokens,
                                     .title = doc.title,
                                     .source = doc.source};
        FC_TRY(fc_features_put_document(w->out, &row, err));
    }
    return FC_OK;
}

static fc_status write_tokens(writer *w, fc_err *err)
{
    fc_strbuf *bytes = &w->text[0];
    for (int64_t id = 0; id < w->n_vocab; id++) {
        if (!w->is_used[id]) continue;
        fc_strbuf_clear(bytes);
        FC_TRY(fc_token_bytes(w->job->tokenizer, (int32_t)id, bytes, err));
        FC_TRY(fc_features_put_token(w->out, id,
                                     fc_tokenizer_piece(w->job->tokenizer, (int32_t)id),
                                     fc_strbuf_text(bytes), bytes->n, err));
    }
    return FC_OK;
}

/* --- the file --------------------------------------------------------------------------- */

static fc_status write_tables(writer *w, fc_err *err)
{
    FC_TRY(write_texts(w, err));
    FC_TRY(write_numbers(w, err));
    FC_TRY(write_features(w, err));
    FC_TRY(fc_concept_search_write(&w->pass->search, w->out, err));
    FC_TRY(write_documents(w, err));
    FC_TRY(write_l0(w, err));
    FC_TRY(write_tokens(w, err));
    return fc_features_commit(w->out, err);
}

fc_status fc_study_write(const fc_study_job *job, fc_study_pass *pass,
                         const fc_meaning *meaning, const fc_study_result *result,
                         const char *path, fc_err *err)
{
    writer w = {.job = job, .pass = pass, .meaning = meaning, .result = result};
    if (job->tokenizer != NULL) w.n_vocab = fc_tokenizer_vocab(job->tokenizer);
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&w.is_used, w.n_vocab, 1, "used tokens", err));
    FC_TRY_GOTO(fc_examples_init(&w.examples, job, err));
    FC_TRY_GOTO(fc_features_create(&w.out, path, err));
    FC_TRY_GOTO(write_tables(&w, err));
done:
    fc_features_discard(w.out);
    fc_examples_deinit(&w.examples);
    for (size_t i = 0; i < FC_LEN(w.text); i++) fc_strbuf_free(&w.text[i]);
    fc_free(w.is_used);
    return status;
}
