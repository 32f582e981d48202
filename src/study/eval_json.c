/* eval_json.c - eval.json in SAEBench's form: the sections and keys of its "core" evaluation, so that
 * what reads those files reads ours, and all else under eval_result_unstructured.facet.
 *
 * A metric has the value that its definition has. Where a tool prints another one, that is under
 * as_printed_by, by tool. What has no value (NaN, infinity) is -1, as SAEBench writes it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/hash.h"
#include "base/log.h"
#include "study/eval_internal.h"
#include "study/quantiles_json.h"

static const char *const run_names[FC_EVAL_RUNS] = {"original", "sae", "zero_ablation",
                                                    "mean_ablation"};
static const char *const special_words[] = {"keep", "ablate", "replace"};

static json_t *number(double x)
{
    return json_real(isfinite(x) ? x : -1.0);
}

static json_t *count(int64_t n)
{
    return json_integer((json_int_t)n);
}

/* --- metrics -------------------------------------------------------------------------------------- */

static json_t *table(const fc_core_table *names, const double *values)
{
    json_t *object = json_object();
    for (int64_t i = 0; i < names->n; i++)
        json_object_set_new(object, names->name[i].name,
                            number(values[names->name[i].number]));
    return object;
}

/* Where SAEBench keeps which number. */
static const struct {
    const char *section, *key;
    fc_core_number number;
} places[] = {
    {"reconstruction_quality", "explained_variance", FC_CORE_EXPLAINED},
    {"reconstruction_quality", "explained_variance_legacy", FC_CORE_LEGACY},
    {"reconstruction_quality", "mse", FC_CORE_MSE_SUM},
    {"reconstruction_quality", "cossim", FC_CORE_COSINE},
    {"shrinkage", "l2_norm_in", FC_CORE_L2_NORM_IN},
    {"shrinkage", "l2_norm_out", FC_CORE_L2_NORM_OUT},
    {"shrinkage", "l2_ratio", FC_CORE_L2_RATIO},
    {"shrinkage", "relative_reconstruction_bias", FC_CORE_BIAS},
    {"sparsity", "l0", FC_CORE_L0},
    {"sparsity", "l1", FC_CORE_L1},
    {"misc_metrics", "freq_over_1_percent", FC_CORE_FREQ_1},
    {"misc_metrics", "freq_over_10_percent", FC_CORE_FREQ_10},
    {"misc_metrics", "normalized_freq_over_1_percent", FC_CORE_MASS_1},
    {"misc_metrics", "normalized_freq_over_10_percent", FC_CORE_MASS_10},
    {"misc_metrics", "average_max_encoder_cosine_sim", FC_CORE_MAX_ENCODER},
    {"misc_metrics", "average_max_decoder_cosine_sim", FC_CORE_MAX_DECODER},
    {"misc_metrics", "frac_alive", FC_CORE_ALIVE},
};

static json_t *metrics(const fc_eval_result *r)
{
    const double *ce = r->cross_entropy, *kl = r->divergence;
    json_t *sections = json_pack(
        "{s:{s:o, s:o, s:o}, s:{s:o, s:o, s:o, s:o}, s:{}, s:{}, s:{}, s:{s:o, s:o}, "
        "s:{}}",
        "model_behavior_preservation", "kl_div_score",
        number(fc_eval_kl_score(r, FC_RUN_ZERO)), "kl_div_with_ablation",
        number(kl[FC_RUN_ZERO]), "kl_div_with_sae", number(kl[FC_RUN_SAE]),
        "model_performance_preservation", "ce_loss_score",
        number(fc_eval_ce_score(r, FC_RUN_ZERO)), "ce_loss_with_ablation",
        number(ce[FC_RUN_ZERO]), "ce_loss_with_sae", number(ce[FC_RUN_SAE]),
        "ce_loss_without_sae", number(ce[FC_RUN_ORIGINAL]), "reconstruction_quality",
        "shrinkage", "sparsity", "token_stats", "total_tokens_eval_reconstruction",
        count(r->n_rows), "total_tokens_eval_sparsity_variance", count(r->n_rows),
        "misc_metrics");
    for (size_t i = 0; i < FC_LEN(places); i++)
        json_object_set_new(json_object_get(sections, places[i].section), places[i].key,
                            number(r->number[places[i].number]));
    return sections;
}

/* --- features ------------------------------------------------------------------------------------- */

static json_t *details(const fc_evaluation *e)
{
    const fc_core_feature *feature = fc_core_metrics_of(e->core);
    const double n_rows = (double)fc_core_metrics_rows(e->core);
    json_t *list = json_array();
    for (int64_t i = 0; i < e->sae->d_sae; i++) {
        const fc_core_feature *f = &feature[i];
        json_array_append_new(
            list,
            json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "index", count(i),
                      "feature_density", number((double)f->n_active / n_rows),
                      "consistent_activation_heuristic",
                      number((double)f->n_active / (double)f->n_prompts), "encoder_bias",
                      number((double)f->encoder_bias), "encoder_norm",
                      number((double)f->encoder_norm), "encoder_decoder_cosine_sim",
                      number(f->encoder_decoder_cosine), "max_decoder_cosine_sim",
                      number(f->max_decoder_cosine), "max_encoder_cosine_sim",
                      number(f->max_encoder_cosine)));
    }
    return list;
}

/* What SAEBench has no key for, as arrays over features. */
static json_t *more_of_features(const fc_evaluation *e)
{
    const fc_core_feature *feature = fc_core_metrics_of(e->core);
    json_t *norm = json_array(), *max = json_array(), *mean = json_array();
    for (int64_t i = 0; i < e->sae->d_sae; i++) {
        const fc_core_feature *f = &feature[i];
        json_array_append_new(norm, number((double)f->decoder_norm));
        json_array_append_new(max, number((double)f->max));
        json_array_append_new(mean, number(f->sum / (double)f->n_active));
    }
    return json_pack("{s:o, s:o, s:o}", "decoder_norm", norm, "max_activation", max,
                     "mean_activation_when_active", mean);
}

/* --- losses --------------------------------------------------------------------------------------- */

static json_t *losses(const fc_eval_result *r)
{
    json_t *object = json_object();
    for (int i = 0; i < FC_EVAL_RUNS; i++)
        json_object_set_new(object, run_names[i],
                            json_pack("{s:o, s:o}", "cross_entropy",
                                      number(r->cross_entropy[i]), "kl_divergence",
                                      number(r->divergence[i])));
    return object;
}

static json_t *scores(const fc_eval_result *r, fc_eval_run ablated)
{
    return json_pack("{s:o, s:o}", "cross_entropy", number(fc_eval_ce_score(r, ablated)),
                     "kl_divergence", number(fc_eval_kl_score(r, ablated)));
}

static json_t *histogram(const fc_eval_result *r)
{
    json_t *counts = json_array();
    for (int i = 0; i < FC_DELTA_BINS; i++)
        json_array_append_new(counts, count(r->delta_bin[i]));
    return json_pack("{s:o, s:o, s:o}", "from", number(-(double)FC_DELTA_END), "to",
                     number((double)FC_DELTA_END), "counts", counts);
}

/* --- the file ------------------------------------------------------------------------------------- */

/* Names this evaluation: weights, settings and text decide, the clock does not. */
static fc_status make_id(const fc_evaluation *e, char hex[FC_HASH_HEX], fc_err *err)
{
    const fc_sae *sae = e->sae;
    const int64_t shape[] = {
        sae->d_in,         sae->d_out,           sae->d_sae,
        e->config->tokens, e->config->special,   e->config->has_error_term,
        e->result->n_rows, e->result->precision, e->source->text.max_length};
    fc_hash *hash = NULL;
    FC_TRY(fc_hash_new(&hash, err));
    fc_hash_update(hash, shape, sizeof shape);
    for (int id = 0; id < FC_SAE_TENSORS; id++) {
        const fc_sae_tensor t = fc_sae_tensor_of(sae, (fc_sae_tensor_id)id);
        if (t.data != NULL)
            fc_hash_update(hash, t.data, (size_t)(t.rows * t.cols) * sizeof *t.data);
    }
    fc_hash_update(hash, e->losses.id, (size_t)e->losses.n_ids * sizeof *e->losses.id);
    fc_hash_hex(hash, hex);
    fc_hash_free(hash);
    return FC_OK;
}

static json_t *config(const fc_evaluation *e)
{
    const bool is_kept = e->config->special != FC_SPECIAL_REPLACE;
    const fc_text_source *text = &e->source->text;
    return json_pack(
        "{s:s, s:s, s:s, s:o, s:n, s:o, s:o, s:b, s:b, s:b, s:b, s:b, s:b, s:b, s:b}",
        "model_name", fc_model_dir(e->source->model), "llm_dtype",
        e->result->precision == FC_PRECISION_BF16 ? "bfloat16" : "float32", "dataset",
        text->corpus.paths[0], "context_size", count(text->max_length),
        "batch_size_prompts", "n_eval_reconstruction_batches", count(e->n_batches),
        "n_eval_sparsity_variance_batches", count(e->n_batches),
        "exclude_special_tokens_from_reconstruction", is_kept, "compute_kl", 1,
        "compute_ce_loss", 1, "compute_l2_norms", 1, "compute_sparsity_metrics", 1,
        "compute_variance_metrics", 1, "compute_featurewise_density_statistics", 1,
        "compute_featurewise_weight_based_metrics", 1);
}

static json_t *own(const fc_evaluation *e, json_t *worst)
{
    const fc_eval_result *r = e->result;
    json_t *printed = json_object();
    for (int64_t i = 0; i < fc_core_n_printed; i++)
        json_object_set_new(printed, fc_core_printed[i].tool,
                            table(&fc_core_printed[i], r->number));
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:{s:o, s:o, s:o}, s:o}",
        "version", FACET_VERSION, "hook", e->sae->hook, "target_hook",
        e->sae->target_hook[0] != '\0' ? e->sae->target_hook : e->sae->hook,
        "special_tokens", special_words[e->config->special], "error_term",
        e->config->has_error_term, "sequences", count(r->n_sequences), "predictions",
        count(r->n_predictions), "losses", losses(r), "recovered_from_zero_ablation",
        scores(r, FC_RUN_ZERO), "recovered_from_mean_ablation", scores(r, FC_RUN_MEAN),
        "token_deltas", fc_quantiles_json(&r->delta), "token_delta_histogram",
        histogram(r), "worst_tokens", worst, "right_values",
        table(&fc_core_right, r->number), "as_printed_by", printed,
        "normalised_activations", "mse", number(r->mse), "fvu", number(r->fvu),
        "explained_variance", number(1.0 - r->fvu), "features", more_of_features(e));
}

fc_status fc_eval_json(const fc_evaluation *e, json_t **eval, fc_err *err)
{
    char id[FC_HASH_HEX];
    json_t *worst = NULL;
    FC_TRY(make_id(e, id, err));
    FC_TRY(fc_token_losses_worst(&e->losses, e->source->text.tokenizer, e->config->worst,
                                 &worst, err));
    json_t *cfg =
        e->source->sae_cfg != NULL ? json_deep_copy(e->source->sae_cfg) : json_object();
    json_t *made = json_pack(
        "{s:s, s:o, s:s, s:I, s:o, s:o, s:{s:o}, s:s, s:s, s:s, s:s, s:o}",
        "eval_type_id", "core", "eval_config", config(e), "eval_id", id,
        "datetime_epoch_millis", (json_int_t)(1000.0 * fc_wall_clock_s()),
        "eval_result_metrics", metrics(e->result), "eval_result_details", details(e),
        "eval_result_unstructured", "facet", own(e, worst), "sae_bench_commit_hash",
        "facet " FACET_VERSION, "sae_lens_id", e->source->name, "sae_lens_release_id", "",
        "sae_lens_version", "", "sae_cfg_dict", cfg);
    if (made == NULL)
        return fc_fail(err, FC_NOMEM,
                       "eval.json: a name is not UTF-8, or there is no memory");
    *eval = made;
    return FC_OK;
}
