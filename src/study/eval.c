/* eval.c - `facet eval`: settings, checks, and the numbers of an evaluation.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/eval.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "study/eval_internal.h"

#define ROW(member) offsetof(fc_eval_config, member)

static const fc_field fields[] = {
    {"tokens", FC_FIELD_I64, ROW(tokens), 0, 9.0e15, NULL, "N",
     "tokens to evaluate on, in whole sequences; 0 takes all that the text gives"},
    {"batch-tokens", FC_FIELD_I64, ROW(batch_tokens), 1, 1048576, NULL, "N",
     "tokens in one forward pass"},
    {"special", FC_FIELD_CHOICE, ROW(special), 0, 0, FC_EVAL_SPECIAL_CHOICES, "HOW",
     "<bos> and its like: keep them as they are; ablate them with the rest, as SAELens "
     "does; replace and count them as rows"},
    {"error-term", FC_FIELD_BOOL, ROW(has_error_term), 0, 0, NULL, NULL,
     "add the SAE's error back: the loss must then be the original's"},
    {"worst", FC_FIELD_I64, ROW(worst), 0, 10000, NULL, "N",
     "tokens listed that lose most by the SAE"},
    {"precision", FC_FIELD_CHOICE, ROW(precision), 0, 0, FC_PRECISION_CHOICES, "P",
     "operands of the matrix products of model and SAE"},
    {"geometry", FC_FIELD_BOOL, ROW(offline.has_geometry), 0, 0, NULL, NULL,
     "how encoder and decoder rows lie: angles, nearest rows, effective rank"},
    {"absorption", FC_FIELD_BOOL, ROW(offline.has_absorption), 0, 0, NULL, NULL,
     "whether features for first letters fall silent where others took over"},
    {"absorption-words", FC_FIELD_I64, ROW(offline.absorption_words), 0, 9.0e15, NULL,
     "N", "words of the vocabulary to ask the model about, 72 tokens each; 0 takes all"},
    {"meta-sae", FC_FIELD_BOOL, ROW(offline.has_meta), 0, 0, NULL, NULL,
     "train a small SAE on the decoder: are features mixtures of fewer?"},
};

void fc_eval_defaults(fc_eval_config *config)
{
    *config = (fc_eval_config){.tokens = 20000,
                               .batch_tokens = 2048,
                               .special = FC_SPECIAL_KEEP,
                               .worst = 20,
                               .precision = FC_AUTO_PRECISION};
    fc_offline_defaults(&config->offline);
}

const fc_field *fc_eval_fields(int64_t *n)
{
    *n = (int64_t)FC_LEN(fields);
    return fields;
}

static fc_status check(const fc_eval_config *config, const fc_eval_source *source,
                       fc_err *err)
{
    for (size_t i = 0; i < FC_LEN(fields); i++) {
        if (fields[i].kind != FC_FIELD_I64) continue;
        int64_t value;
        memcpy(&value, (const char *)config + fields[i].offset, sizeof value);
        if ((double)value < fields[i].min || (double)value > fields[i].max)
            return fc_fail(err, FC_USAGE, "%s is %" PRId64 ", expected %.0f .. %.0f",
                           fields[i].name, value, fields[i].min, fields[i].max);
    }
    if (source->text.max_length < 2)
        return fc_fail(err, FC_USAGE, "max-length is %" PRId64 ", expected 2 or more",
                       source->text.max_length);
    if (source->text.corpus.n_paths < 1)
        return fc_fail(err, FC_USAGE, "no text file given");
    for (int64_t i = 0; i < source->text.corpus.n_paths && source->mean == NULL; i++)
        if (strcmp(source->text.corpus.paths[i], "-") == 0)
            return fc_fail(err, FC_USAGE,
                           "standard input can be read only once, but the mean of the "
                           "activations is not known and has to be found first; give "
                           "the text as files");
    return FC_OK;
}

double fc_eval_ce_score(const fc_eval_result *result, fc_eval_run ablated)
{
    const double *ce = result->cross_entropy;
    return (ce[ablated] - ce[FC_RUN_SAE]) / (ce[ablated] - ce[FC_RUN_ORIGINAL]);
}

double fc_eval_kl_score(const fc_eval_result *result, fc_eval_run ablated)
{
    const double *kl = result->divergence;
    return (kl[ablated] - kl[FC_RUN_SAE]) / kl[ablated];
}

/* What needs no text, beside the rest of what is Facet's own in eval.json. */
static fc_status add_offline(const fc_eval_config *config, const fc_sae *sae,
                             const fc_eval_source *source, fc_backend *be, json_t *eval,
                             fc_eval_result *result, fc_err *err)
{
    const fc_offline_source from = {.sae = sae,
                                    .model = source->model,
                                    .tokenizer = source->text.tokenizer,
                                    .study = source->more->study,
                                    .against = source->more->against,
                                    .against_study = source->more->against_study,
                                    .against_name = source->more->against_name,
                                    .precision = config->precision};
    json_t *own = json_object_get(json_object_get(eval, "eval_result_unstructured"),
                                  "facet"),
           *offline = NULL;
    FC_TRY(fc_offline_measure(&config->offline, &from, be, &result->offline, err));
    FC_TRY(fc_offline_json(&result->offline, &from, &offline, err));
    const int failed = json_object_set_new(own, "offline", offline);
    return failed == 0 ? FC_OK : fc_fail(err, FC_NOMEM, "eval.json: there is no memory");
}

fc_status fc_eval(const fc_eval_config *config, const fc_sae *sae,
                  const fc_eval_source *source, fc_backend *be, json_t **eval,
                  fc_eval_result *result, fc_err *err)
{
    const double begin_s = fc_clock_s();
    fc_eval_result found = {0};
    fc_evaluation e = {
        .config = config, .sae = sae, .source = source, .be = be, .result = &found};
    json_t *made = NULL;
    fc_status status;
    FC_TRY(check(config, source, err));
    FC_TRY(fc_evaluation_run(&e, err));
    found.precision = fc_runner_precision(e.runner);
    found.mse = fc_reconstruction_mse(&e.normalised);
    found.fvu = fc_reconstruction_fvu(&e.normalised);
    fc_core_metrics_numbers(e.core, found.number);
    FC_TRY_GOTO(fc_token_losses_sum(&e.losses, &found, err));
    found.seconds = fc_clock_s() - begin_s;
    FC_TRY_GOTO(fc_eval_json(&e, &made, err));
    fc_evaluation_deinit(&e);
    e = (fc_evaluation){0};
    if (source->more != NULL)
        FC_TRY_GOTO(add_offline(config, sae, source, be, made, &found, err));
    *eval = json_incref(made);
    *result = found;
    found.offline = (fc_offline){0};
done:
    json_decref(made);
    fc_evaluation_deinit(&e);
    fc_eval_result_deinit(&found);
    return status;
}

void fc_eval_result_deinit(fc_eval_result *result)
{
    fc_offline_deinit(&result->offline);
    *result = (fc_eval_result){0};
}
