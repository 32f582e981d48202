/* neuronpedia.c - features as JSON in batches, one feature in memory at a time.
 *
 * Values have five decimals, as SAEDashboard rounds them. The first group of activations are the strongest
 * (bin_min and bin_contains -1), then a group for each quantile with its bounds and its share of
 * all activations, from the histogram. A token that is a part of a character is U+FFFD, for JSON
 * holds characters.
 *
 * Names: those of SAEDashboard's NeuronpediaDashboardBatch.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/neuronpedia.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dir_out.h"
#include "base/strbuf.h"
#include "formats/json.h"
#include "sae/sae.h"
#include "study/features_db.h"
#include "text/utf8.h"

enum { BATCH = 128, ALIGNED = 3, DIGITS = 9 };

typedef struct writer {
    const fc_sae *sae;
    fc_features_db *db;
    const char *dir;
    char model[256], set[256];
    int64_t layer, n_quantiles;
    fc_strbuf text; /* of a token, then of a feature */
} writer;

/* jansson's "new" functions take the value and fail on NULL, so failures add up in one place. */
typedef struct object {
    json_t *json;
    bool failed;
} object;

static void put(object *o, const char *key, json_t *value)
{
    o->failed |= json_object_set_new(o->json, key, value) != 0;
}

static json_t *real(double x)
{
    return json_real(isfinite(x) ? round(x * 1e5) / 1e5 : 0.0);
}

static void append(object *o, json_t *list, json_t *value)
{
    o->failed |= json_array_append_new(list, value) != 0;
}

/* Bytes as text that JSON can hold. */
static json_t *text_of(writer *w, const char *bytes, int64_t n)
{
    fc_strbuf_clear(&w->text);
    for (int64_t at = 0; at < n;) {
        char sign[FC_UTF8_MAX_BYTES];
        uint32_t code;
        bool is_valid;
        at += fc_utf8_next(bytes + at, n - at, &code, &is_valid);
        if (code == 0) code = FC_UTF8_REPLACEMENT;
        const int n_sign = fc_utf8_put(code, sign);
        if (fc_strbuf_add(&w->text, sign, n_sign, NULL) != FC_OK) return NULL;
    }
    return json_string(fc_strbuf_text(&w->text));
}

/* --- parts of a feature --------------------------------------------------------------------- */

static void put_empty(object *o)
{
    static const char *const keys[] = {
        "correlated_neurons_indices",  "correlated_neurons_l1",
        "correlated_neurons_pearson",  "correlated_features_indices",
        "correlated_features_l1",      "correlated_features_pearson",
        "logits_hist_data_bar_values", "logits_hist_data_bar_heights",
        "decoder_weights_dist"};
    for (size_t i = 0; i < FC_LEN(keys); i++) put(o, keys[i], json_array());
}

/* The components of the decoder row that are largest, signs aside. */
static void put_alignment(object *o, const writer *w, int64_t feature)
{
    const int64_t d = w->sae->d_out;
    const float *row = w->sae->w_dec + feature * d;
    json_t *index = json_array(), *value = json_array(), *share = json_array();
    int64_t taken[ALIGNED];
    double sum = 0.0;
    for (int64_t j = 0; j < d; j++) sum += fabs((double)row[j]);
    for (int64_t k = 0; k < fc_min(ALIGNED, d); k++) {
        int64_t best = -1;
        for (int64_t j = 0; j < d; j++) {
            bool is_taken = false;
            for (int64_t i = 0; i < k; i++) is_taken |= taken[i] == j;
            if (!is_taken && (best < 0 || fabsf(row[j]) > fabsf(row[best]))) best = j;
        }
        taken[k] = best;
        append(o, index, json_integer(best));
        append(o, value, real((double)row[best]));
        append(o, share, real(sum > 0.0 ? fabs((double)row[best]) / sum : 0.0));
    }
    put(o, "neuron_alignment_indices", index);
    put(o, "neuron_alignment_values", value);
    put(o, "neuron_alignment_l1", share);
}

static fc_status put_logits(object *o, writer *w, int64_t feature, fc_err *err)
{
    const fc_token_score *scores[2];
    int64_t n[2];
    static const char *const keys[2][2] = {{"pos_str", "pos_values"},
                                           {"neg_str", "neg_values"}};
    FC_TRY(fc_features_logits(w->db, feature, &scores[0], &n[0], &scores[1], &n[1], err));
    for (int side = 0; side < 2; side++) {
        json_t *text = json_array(), *value = json_array();
        for (int64_t i = 0; i < n[side]; i++) {
            append(o, text, text_of(w, scores[side][i].bytes, scores[side][i].n_bytes));
            append(o, value, real(scores[side][i].score));
        }
        put(o, keys[side][0], text);
        put(o, keys[side][1], value);
    }
    return FC_OK;
}

static void put_histogram(object *o, const fc_feature *f,
                          const int64_t bins[FC_HISTOGRAM_BINS])
{
    json_t *middle = json_array(), *height = json_array();
    for (int i = 0; i < FC_HISTOGRAM_BINS; i++) {
        append(o, middle, real(f->max * (i + 0.5) / FC_HISTOGRAM_BINS));
        append(o, height, json_integer(bins[i]));
    }
    put(o, "freq_hist_data_bar_values", middle);
    put(o, "freq_hist_data_bar_heights", height);
}

/* Share of all activations in the q-th of n equal parts of (0, max]; a bin that a border cuts counts
 * by its length on each side. */
static double share_between(const int64_t bins[FC_HISTOGRAM_BINS], int64_t q, int64_t n)
{
    const double begin = (double)(q - 1) * FC_HISTOGRAM_BINS / (double)n;
    const double end = (double)q * FC_HISTOGRAM_BINS / (double)n;
    double sum = 0.0, part = 0.0;
    for (int i = 0; i < FC_HISTOGRAM_BINS; i++) {
        const double overlap = fmin(end, i + 1.0) - fmax(begin, i);
        sum += (double)bins[i];
        part += overlap > 0.0 ? overlap * (double)bins[i] : 0.0;
    }
    return sum > 0.0 ? part / sum : 0.0;
}

static json_t *context_json(object *o, writer *w, const fc_context *c,
                            const fc_feature *f, const int64_t bins[FC_HISTOGRAM_BINS])
{
    object made = {.json = json_object()};
    const double q = (double)c->quantile, n = (double)w->n_quantiles;
    const bool is_top = c->quantile == 0;
    json_t *tokens = json_array(), *values = json_array();
    for (int64_t i = 0; i < c->n; i++) {
        append(&made, tokens, text_of(w, c->bytes[i], c->n_bytes[i]));
        append(&made, values, real((double)c->activation[i]));
    }
    put(&made, "bin_min", real(is_top ? -1.0 : f->max * (q - 1.0) / n));
    put(&made, "bin_max", real(is_top ? f->max : f->max * q / n));
    put(&made, "bin_contains",
        real(is_top ? -1.0 : share_between(bins, c->quantile, w->n_quantiles)));
    put(&made, "qualifying_token_index", json_integer(c->peak));
    put(&made, "tokens", tokens);
    put(&made, "values", values);
    o->failed |= made.failed;
    return made.json;
}

static fc_status put_activations(object *o, writer *w, const fc_feature *f, fc_err *err)
{
    const fc_context *contexts;
    int64_t bins[FC_HISTOGRAM_BINS], n = 0;
    json_t *list = json_array();
    FC_TRY(fc_features_histogram(w->db, f->id, bins, err));
    put_histogram(o, f, bins);
    put(o, "activations", list);
    FC_TRY(fc_features_contexts(w->db, f->id, &contexts, &n, err));
    for (int64_t i = 0; i < n; i++)
        append(o, list, context_json(o, w, &contexts[i], f, bins));
    return FC_OK;
}

static fc_status put_feature(object *o, writer *w, const fc_feature *f, fc_err *err)
{
    put(o, "feature_index", json_integer(f->id));
    put_alignment(o, w, f->id);
    put_empty(o);
    FC_TRY(put_logits(o, w, f->id, err));
    put(o, "frac_nonzero", json_real(f->frequency));
    put(o, "n_prompts_total",
        json_integer((json_int_t)fc_features_run_number(w->db, "n_docs")));
    put(o, "n_tokens_in_prompt",
        json_integer((json_int_t)fc_features_run_number(w->db, "window")));
    put(o, "dataset", json_string(""));
    return put_activations(o, w, f, err);
}

/* --- files ---------------------------------------------------------------------------------- */

static fc_status add_feature(writer *w, fc_out *out, const fc_feature *f, bool is_first,
                             fc_err *err)
{
    object o = {.json = json_object()};
    fc_status status = put_feature(&o, w, f, err);
    if (status == FC_OK && (o.failed || o.json == NULL))
        status =
            fc_fail(err, FC_NOMEM, "no memory for feature %" PRId64 " as JSON", f->id);
    fc_strbuf_clear(&w->text);
    if (status == FC_OK && !is_first) status = fc_strbuf_add(&w->text, ",\n", 2, err);
    if (status == FC_OK)
        status = fc_json_dump(o.json, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS),
                              &w->text, err);
    if (status == FC_OK) status = fc_out_write(out, w->text.data, (size_t)w->text.n, err);
    json_decref(o.json);
    return status;
}

/* The names, without the closing brace, so that features can follow. */
static fc_status write_head(const writer *w, fc_out *out, fc_err *err)
{
    fc_strbuf text = {0};
    json_t *head = json_pack("{s:s, s:I, s:s, s:n}", "model_id", w->model, "layer",
                             (json_int_t)w->layer, "sae_set", w->set, "sae_id_suffix");
    fc_status status = fc_json_dump(head, JSON_COMPACT, &text, err);
    if (status == FC_OK) status = fc_out_write(out, text.data, (size_t)text.n - 1, err);
    if (status == FC_OK) status = fc_out_write(out, ",\"features\":[\n", 14, err);
    json_decref(head);
    fc_strbuf_free(&text);
    return status;
}

static fc_status write_batch(writer *w, const fc_feature *all, int64_t begin, int64_t end,
                             fc_err *err)
{
    char path[FC_PATH_MAX], name[64];
    fc_out *out = NULL;
    bool is_first = true;
    fc_status status;
    (void)snprintf(name, sizeof name, "batch-%" PRId64 ".json", begin / BATCH);
    FC_TRY(fc_path_join(path, w->dir, name, err));
    FC_TRY_GOTO(fc_out_open(&out, path, err));
    FC_TRY_GOTO(write_head(w, out, err));
    for (int64_t i = begin; i < end; i++) {
        if (all[i].is_dead) continue;
        FC_TRY_GOTO(add_feature(w, out, &all[i], is_first, err));
        is_first = false;
    }
    FC_TRY_GOTO(fc_out_write(out, "]}\n", 3, err));
    status = fc_out_commit(out, err);
done:
    fc_out_close(out);
    return status;
}

static fc_status save(const writer *w, const char *name, json_t *root, fc_err *err)
{
    char path[FC_PATH_MAX];
    fc_status status = fc_path_join(path, w->dir, name, err);
    if (status == FC_OK && root == NULL)
        status = fc_fail(err, FC_NOMEM, "%s: no memory for its text", path);
    if (status == FC_OK) status = fc_json_save(root, path, err);
    json_decref(root);
    return status;
}

static fc_status write_skipped(const writer *w, const fc_feature *all, int64_t n,
                               fc_err *err)
{
    object o = {.json = json_object()};
    json_t *dead = json_array();
    for (int64_t i = 0; i < n; i++)
        if (all[i].is_dead) append(&o, dead, json_integer(i));
    put(&o, "model_id", json_string(w->model));
    put(&o, "layer", json_integer(w->layer));
    put(&o, "sae_set", json_string(w->set));
    put(&o, "skipped_indexes", dead);
    if (!o.failed) return save(w, "skipped_indexes.json", o.json, err);
    json_decref(o.json);
    return fc_fail(err, FC_NOMEM, "no memory for the list of dead features");
}

static fc_status write_settings(const writer *w, int64_t n, fc_err *err)
{
    return save(w, "run_settings.json",
                json_pack("{s:s, s:s, s:s, s:I, s:i, s:s}", "model_id",
                          fc_features_run(w->db, "model"), "hook",
                          fc_features_run(w->db, "hook"), "sae_set", w->set, "n_features",
                          (json_int_t)n, "n_features_at_a_time", BATCH, "made_by",
                          "facet " FACET_VERSION),
                err);
}

/* "model.layers.25.mlp.down_proj" -> 25 and "facet-mlp.down_proj"; "" -> 0 and "facet". */
static void read_names(writer *w)
{
    static const char layers[] = "layers.";
    const char *model = fc_features_run(w->db, "model");
    const char *hook = fc_features_run(w->db, "hook");
    const char *number = strstr(hook, layers);
    (void)snprintf(w->model, sizeof w->model, "%s", fc_path_base(model));
    (void)snprintf(w->set, sizeof w->set, "facet");
    if (number == NULL) return;
    char *rest = NULL;
    w->layer = strtol(number + sizeof layers - 1, &rest, 10);
    if (*rest == '.') rest++;
    (void)snprintf(w->set, sizeof w->set, "facet-%s",
                   *rest != '\0' ? rest : "resid_post");
}

static fc_status write_all(writer *w, fc_err *err)
{
    int64_t n = 0;
    const fc_feature *all = fc_features_all(w->db, &n);
    if (n != w->sae->d_sae)
        return fc_fail(err, FC_MISMATCH,
                       "features.db has %" PRId64 " features, the SAE %" PRId64
                       ": study the run again",
                       n, w->sae->d_sae);
    read_names(w);
    const double quantiles = fc_features_run_number(w->db, "quantiles");
    w->n_quantiles = quantiles >= 1.0 ? (int64_t)quantiles : 1;
    for (int64_t begin = 0; begin < n; begin += BATCH)
        FC_TRY(write_batch(w, all, begin, fc_min(n, begin + BATCH), err));
    FC_TRY(write_skipped(w, all, n, err));
    return write_settings(w, n, err);
}

fc_status fc_neuronpedia_write(const char *run, const char *out, fc_err *err)
{
    char path[FC_PATH_MAX];
    fc_dir_out dir = {.dir = ""};
    fc_sae *sae = NULL;
    writer w = {0};
    fc_status status;
    FC_TRY(fc_path_join(path, run, "features.db", err));
    if (!fc_path_exists(path))
        return fc_fail(
            err, FC_USAGE,
            "%s: there is no features.db, expected a run that 'facet study' has "
            "looked at",
            run);
    FC_TRY_GOTO(fc_sae_load(&sae, run, err));
    FC_TRY_GOTO(fc_features_open(&w.db, path, err));
    FC_TRY_GOTO(fc_dir_out_begin(&dir, out, err));
    w.sae = sae;
    w.dir = dir.dir;
    FC_TRY_GOTO(write_all(&w, err));
    FC_TRY_GOTO(fc_dir_out_commit(&dir, err));
done:
    fc_strbuf_free(&w.text);
    fc_dir_out_discard(&dir);
    fc_features_close(w.db);
    fc_sae_free(sae);
    return status;
}
