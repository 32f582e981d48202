/* stage_eval.c - the stage that asks what the SAE keeps of the model: opens model, text and SAE, evaluates,
 * writes RUN/eval.json.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/stage_entry.h"
#include "cli/stages.h"
#include "formats/manifest.h"
#include "sae/arch.h"

/* ---- what it works on ---- */

typedef struct opened {
    fc_backend *be;
    fc_sae *sae;
    fc_model *model;
    fc_tokenizer *tokenizer;
    fc_store *store;                       /* NULL: none is known, or it cannot be read */
    json_t *cfg;                           /* the SAE's cfg.json; NULL: it has none */
    fc_features_db *study, *against_study; /* NULL: none, or of other weights */
    fc_sae *against;
    fc_eval_more more; /* all three */
} opened;

static void close_all(opened *o)
{
    json_decref(o->cfg);
    fc_features_close(o->study);
    fc_features_close(o->against_study);
    fc_sae_free(o->against);
    fc_store_close(o->store);
    fc_tokenizer_free(o->tokenizer);
    fc_model_close(o->model);
    fc_sae_free(o->sae);
    fc_backend_close(o->be);
}

fc_status fc_run_sae(char *path, const char *run_dir, fc_err *err)
{
    FC_TRY(fc_path_join(path, run_dir, "sae", err));
    return fc_path_exists(path) ? FC_OK : fc_path_join(path, NULL, run_dir, err);
}

/* The store only tells the mean of the activations. */
static void try_store(opened *o, const fc_eval_from *from)
{
    char acts[FC_PATH_MAX];
    if (fc_run_store(acts, from->acts, from->run, NULL) != FC_OK) return;
    if (fc_store_open(&o->store, acts, false, false, NULL) != FC_OK) o->store = NULL;
}

/* What study found of the run's SAE, if it is still that one. */
static fc_status open_study(fc_features_db **db, const char *run_dir, const char *sae_dir,
                            fc_err *err)
{
    char path[FC_PATH_MAX], weights[FC_PATH_MAX];
    json_t *inputs = json_array();
    fc_status status;
    FC_TRY_GOTO(fc_path_join(path, run_dir, "features.db", err));
    FC_TRY_GOTO(fc_path_join(weights, sae_dir, "sae_weights.safetensors", err));
    if (!fc_path_exists(path) || !fc_path_exists(weights)) goto done;
    FC_TRY_GOTO(fc_entry_input(inputs, weights, err));
    if (fc_entry_has_read(run_dir, "study", json_array_get(inputs, 0)))
        FC_TRY_GOTO(fc_features_open(db, path, err));
    else
        fc_log(FC_LOG_WARN,
               "%s is of other weights than the SAE has, so its numbers are left out; "
               "'facet study' makes it anew",
               path);
done:
    json_decref(inputs);
    return status;
}

static fc_status open_more(opened *o, const fc_eval_from *from, const char *sae_dir,
                           fc_err *err)
{
    char against_dir[FC_PATH_MAX];
    FC_TRY(open_study(&o->study, from->run, sae_dir, err));
    if (from->against[0] != '\0') {
        FC_TRY(fc_run_sae(against_dir, from->against, err));
        FC_TRY(fc_sae_load(&o->against, against_dir, err));
        FC_TRY(open_study(&o->against_study, from->against, against_dir, err));
    }
    o->more = (fc_eval_more){o->study, o->against, o->against_study, from->against};
    return FC_OK;
}

static fc_status open_all(opened *o, const fc_cli *cli, const fc_eval_from *from,
                          const char *sae_dir, fc_err *err)
{
    const fc_collect_config *how = from->how;
    char path[FC_PATH_MAX];
    FC_TRY(fc_sae_load(&o->sae, sae_dir, err));
    if (from->hook[0] != '\0')
        (void)snprintf(o->sae->hook, sizeof o->sae->hook, "%s", from->hook);
    if (o->sae->hook[0] == '\0')
        return fc_fail(err, FC_USAGE,
                       "%s: the SAE does not say where in the model it belongs; give "
                       "--hook, such as model.layers.25.mlp.down_proj",
                       sae_dir);
    FC_TRY(fc_model_load(&o->model, how->model, err));
    FC_TRY(fc_tokenizer_load(&o->tokenizer, how->model, err));
    FC_TRY(fc_path_join(path, sae_dir, "cfg.json", err));
    if (fc_path_exists(path)) FC_TRY(fc_json_load(&o->cfg, path, err));
    try_store(o, from);
    FC_TRY(open_more(o, from, sae_dir, err));
    return fc_cli_backend(cli, &o->be, err);
}

/* The mean of the tensor that is replaced, as far as somebody knows it. */
static const float *known_mean(const opened *o)
{
    const fc_sae *sae = o->sae;
    const bool is_transcoder = fc_arch_find(sae->arch)->is_transcoder;
    const char *hook = is_transcoder ? sae->target_hook : sae->hook;
    const float *mean =
        is_transcoder ? sae->target_normaliser.mean : sae->normaliser.mean;
    if (mean != NULL) return mean;
    if (o->store == NULL) return NULL;
    const fc_store_info *info = fc_store_info_of(o->store);
    const bool is_same = strcmp(info->hook, hook) == 0 && info->d == sae->d_out;
    return is_same ? fc_store_mean(o->store) : NULL;
}

static fc_eval_source source_of(const opened *o, const fc_eval_from *from)
{
    const fc_collect_config *how = from->how;
    return (fc_eval_source){
        .model = o->model,
        .text = {.corpus = {.paths = (const char *const *)from->texts->item,
                            .n_paths = from->texts->n,
                            .format = (fc_text_format)how->text_format,
                            .split = (fc_split)how->split,
                            .field = how->field},
                 .tokenizer = o->tokenizer,
                 .max_length = how->max_length,
                 .overflow = (fc_overflow)how->overflow},
        .mean = known_mean(o),
        .name = fc_path_base(from->run),
        .sae_cfg = o->cfg,
        .more = &o->more,
    };
}

/* ---- what it says ---- */

typedef struct table {
    char *text;
    size_t n, size;
} table;

FC_PRINTF(4, 5)
static void add_row(table *t, const char *name, const char *value, const char *format,
                    ...)
{
    char sentence[160];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    const int n = snprintf(t->text + t->n, t->size - t->n, "  %-26s %10s   %s\n", name,
                           value, sentence);
    t->n = n > 0 ? (size_t)fc_min((int64_t)t->n + n, (int64_t)t->size - 1) : t->n;
}

typedef struct shown { /* a number as text */
    char text[32];
} shown;

static shown plain(double x)
{
    shown s;
    (void)snprintf(s.text, sizeof s.text, isfinite(x) ? "%.4g" : "unknown", x);
    return s;
}

static shown nats(double x)
{
    shown s;
    (void)snprintf(s.text, sizeof s.text, isfinite(x) ? "%.4f" : "unknown", x);
    return s;
}

static shown percent(double x)
{
    shown s;
    (void)snprintf(s.text, sizeof s.text, isfinite(x) ? "%.2f %%" : "unknown", 100.0 * x);
    return s;
}

static void show_losses(table *t, const fc_eval_result *r)
{
    const double *ce = r->cross_entropy, *kl = r->divergence;
    const double lost = ce[FC_RUN_SAE] - ce[FC_RUN_ORIGINAL];
    add_row(t, "cross-entropy", nats(ce[FC_RUN_ORIGINAL]).text,
            "nats a token: the model as it is");
    add_row(t, "  with the SAE", nats(ce[FC_RUN_SAE]).text,
            "%+.4f: a token is %.3f times less expected", lost, exp(lost));
    add_row(t, "  with zeros", nats(ce[FC_RUN_ZERO]).text,
            "%+.4f: what this tensor is worth to the model",
            ce[FC_RUN_ZERO] - ce[FC_RUN_ORIGINAL]);
    add_row(t, "  with its mean", nats(ce[FC_RUN_MEAN]).text,
            "%+.4f: the same average at every token",
            ce[FC_RUN_MEAN] - ce[FC_RUN_ORIGINAL]);
    add_row(t, "loss recovered", percent(fc_eval_ce_score(r, FC_RUN_ZERO)).text,
            "of what zeros cost; 100 %% would be no loss at all");
    add_row(t, "  against the mean", percent(fc_eval_ce_score(r, FC_RUN_MEAN)).text,
            "of what its mean costs");
    add_row(t, "KL from the original", nats(kl[FC_RUN_SAE]).text,
            "nats a token with the SAE; zeros %.4f, the mean %.4f", kl[FC_RUN_ZERO],
            kl[FC_RUN_MEAN]);
    add_row(t, "change of a token's loss", nats(r->delta.median).text,
            "median; half lie in %.3f .. %.3f, one of 20 is above %.3f", r->delta.p25,
            r->delta.p75, r->delta.p95);
}

static void show_core(table *t, const fc_eval_result *r)
{
    const double *x = r->number;
    add_row(t, "explained variance", percent(x[FC_CORE_EXPLAINED]).text,
            "of raw activations; %.2f %% of them as the SAE sees them",
            100.0 * (1.0 - r->fvu));
    add_row(t, "cosine", plain(x[FC_CORE_COSINE]).text,
            "between activation and reconstruction, mean over tokens");
    add_row(t, "shrinkage", plain(x[FC_CORE_BIAS]).text,
            "relative reconstruction bias: below 1 is too short, above too long");
    add_row(t, "squared error", plain(x[FC_CORE_MSE_SUM]).text,
            "of a token, of squared length %.4g in the mean",
            x[FC_CORE_MSE_SUM] / (1.0 - x[FC_CORE_EXPLAINED]));
    add_row(t, "features a token (L0)", plain(x[FC_CORE_L0]).text,
            "with activations that sum to %.4g (L1)", x[FC_CORE_L1]);
    add_row(t, "features alive", percent(x[FC_CORE_ALIVE]).text,
            "fire on these tokens; %.2f %% on more than one in 100, %.2f %% in 10",
            100.0 * x[FC_CORE_FREQ_1], 100.0 * x[FC_CORE_FREQ_10]);
    add_row(t, "nearest decoder row", plain(x[FC_CORE_MAX_DECODER]).text,
            "cosine with it, mean over features");
}

static void show_offline(table *t, const fc_offline *o)
{
    const fc_absorption *a = &o->absorption;
    const fc_stability *s = &o->stability;
    if (o->has_geometry)
        add_row(t, "effective rank", plain(o->geometry.decoder_effective_rank).text,
                "of %" PRId64 " decoder rows; encoder and decoder row of a feature have "
                "a cosine of %.3f",
                o->geometry.n_features, o->geometry.encoder_decoder_cosine.median);
    if (o->has_meta)
        add_row(t, "meta-structure", percent(o->meta.explained).text,
                "of the decoder explained by 4 of %" PRId64 " meta-features a row",
                o->meta.n_features);
    if (o->has_absorption)
        add_row(t, "feature absorption", percent(a->full).text,
                "of first letters in full, %.2f %% by share; the probes' own F1 is %.2f",
                100.0 * a->fraction, a->probe_f1);
    if (o->has_density && o->concepts.n > 0)
        add_row(t, "concept F1", plain(o->concepts.f1).text,
                "of the best feature, mean over %" PRId64 " concepts", o->concepts.n);
    if (o->has_stability)
        add_row(t, "also in the other SAE",
                percent((double)s->n_same / fmax(1.0, (double)s->n_matched)).text,
                "of features, at a cosine of 0.7 or more; mean %.3f of the %s",
                s->matched.mean, s->is_exact ? "best matching" : "matching found");
}

static void show(fc_stage_result *result, const fc_eval_result *r, const char *path)
{
    table t = {.text = result->text, .size = sizeof result->text};
    const int n = snprintf(t.text, t.size,
                           "%s: %" PRId64 " tokens of %" PRId64 " sequences, %" PRId64
                           " predictions (%s, %.0f tokens/s)\n",
                           path, r->n_rows, r->n_sequences, r->n_predictions,
                           r->precision == FC_PRECISION_BF16 ? "bf16" : "f32",
                           (double)r->n_rows / fmax(r->seconds, 1e-9));
    t.n = n > 0 ? (size_t)fc_min(n, (int64_t)t.size - 1) : 0;
    show_losses(&t, r);
    show_core(&t, r);
    show_offline(&t, &r->offline);
}

/* json_real refuses what is not finite; SAEBench writes -1. */
static double finite(double x)
{
    return isfinite(x) ? x : -1.0;
}

static json_t *object_of(const fc_eval_result *r, const char *path)
{
    const double *ce = r->cross_entropy;
    return json_pack("{ss, ss, sI, sI, sf, sf, sf, sf, sf, sf, sf, sf, sf, sf}",
                     "command", "eval", "out", path, "tokens", (json_int_t)r->n_rows,
                     "predictions", (json_int_t)r->n_predictions, "loss_recovered",
                     finite(fc_eval_ce_score(r, FC_RUN_ZERO)), "loss_recovered_from_mean",
                     finite(fc_eval_ce_score(r, FC_RUN_MEAN)), "ce_original",
                     finite(ce[FC_RUN_ORIGINAL]), "ce_sae", finite(ce[FC_RUN_SAE]),
                     "ce_zero", finite(ce[FC_RUN_ZERO]), "ce_mean",
                     finite(ce[FC_RUN_MEAN]), "kl_sae", finite(r->divergence[FC_RUN_SAE]),
                     "explained_variance", finite(r->number[FC_CORE_EXPLAINED]), "l0",
                     finite(r->number[FC_CORE_L0]), "seconds", r->seconds);
}

/* ---- the stage ---- */

/* Files of a run, those that are there. */
static fc_status run_inputs(json_t *inputs, const char *run_dir, fc_err *err)
{
    static const char *const names[] = {"cfg.json", "sae_weights.safetensors"};
    char path[FC_PATH_MAX], sae_dir[FC_PATH_MAX];
    FC_TRY(fc_run_sae(sae_dir, run_dir, err));
    for (size_t i = 0; i < FC_LEN(names); i++) {
        FC_TRY(fc_path_join(path, sae_dir, names[i], err));
        if (fc_path_exists(path)) FC_TRY(fc_entry_input(inputs, path, err));
    }
    FC_TRY(fc_path_join(path, run_dir, "features.db", err));
    return fc_path_exists(path) ? fc_entry_input(inputs, path, err) : FC_OK;
}

static fc_status eval_inputs(json_t *inputs, const fc_eval_from *from, fc_err *err)
{
    FC_TRY(run_inputs(inputs, from->run, err));
    if (from->against[0] != '\0') FC_TRY(run_inputs(inputs, from->against, err));
    for (int64_t i = 0; i < from->texts->n; i++)
        FC_TRY(fc_entry_input(inputs, from->texts->item[i], err));
    return FC_OK;
}

static fc_status need_inputs(const fc_eval_from *from, fc_err *err)
{
    FC_TRY(fc_cli_need(from->how->model, "--model", "a checkpoint folder", err));
    return fc_cli_need(from->texts->n > 0 ? from->texts->item[0] : NULL, "--text",
                       "one or more files", err);
}

fc_status fc_stage_eval(const fc_cli *cli, const fc_eval_config *config,
                        const fc_eval_from *from, bool is_lazy, fc_stage_result *result,
                        fc_err *err)
{
    opened o = {0};
    fc_eval_result r = {0};
    char sae_dir[FC_PATH_MAX], path[FC_PATH_MAX];
    json_t *entry = NULL, *settings = NULL, *eval = NULL, *inputs = json_array();
    int64_t n_fields;
    const fc_field *fields = fc_eval_fields(&n_fields);
    fc_status status;

    FC_TRY_GOTO(need_inputs(from, err));
    FC_TRY_GOTO(fc_run_sae(sae_dir, from->run, err));
    FC_TRY_GOTO(fc_path_join(path, from->run, "eval.json", err));
    FC_TRY_GOTO(eval_inputs(inputs, from, err));
    FC_TRY_GOTO(fc_manifest_config(&settings, fields, n_fields, config, err));
    if (is_lazy && fc_path_exists(path) &&
        fc_entry_is_current(from->run, "eval", inputs, settings))
        goto done;

    FC_TRY_GOTO(open_all(&o, cli, from, sae_dir, err));
    entry = fc_entry_begin(cli, "eval", o.be);
    const fc_eval_source source = source_of(&o, from);
    FC_TRY_GOTO(fc_eval(config, o.sae, &source, o.be, &eval, &r, err));
    FC_TRY_GOTO(fc_json_save(eval, path, err));
    result->object = object_of(&r, path);
    show(result, &r, path);
    status =
        fc_entry_end(entry, from->run, inputs, settings, r.seconds, result->object, err);
    entry = inputs = settings = NULL;
done:
    json_decref(entry);
    json_decref(inputs);
    json_decref(settings);
    json_decref(eval);
    fc_eval_result_deinit(&r);
    close_all(&o);
    return status;
}
