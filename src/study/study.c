/* study.c - `facet study`: checks, the pass, the database.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/study.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "model/model.h"
#include "sae/arch.h"
#include "study/study_pass_internal.h"
#include "study/study_write_internal.h"

#define ROW(name, kind, member, min, max, choices, value, help)                       \
    {                                                                                 \
        name, kind, offsetof(fc_study_config, member), min, max, choices, value, help \
    }

static const fc_field fields[] = {
    ROW("contexts", FC_FIELD_I64, contexts, 1, 200, NULL, "N",
        "strongest contexts kept for each feature"),
    ROW("per-document", FC_FIELD_I64, per_document, 0, 200, NULL, "N",
        "at most so many of them from one document; 0 = no limit"),
    ROW("window", FC_FIELD_I64, window, 0, 256, NULL, "N",
        "tokens shown around the maximum, half before and half after"),
    ROW("quantiles", FC_FIELD_I64, quantiles, 0, 20, NULL, "N",
        "equal ranges of activation from which weaker examples are drawn"),
    ROW("per-quantile", FC_FIELD_I64, per_quantile, 0, FC_SPECTRUM_MOST_DRAWS, NULL, "N",
        "examples drawn from each range"),
    ROW("dead-threshold", FC_FIELD_F64, dead_threshold, 0, 1e30, NULL, "X",
        "a feature whose maximum is not above it is dead"),
    ROW("precision", FC_FIELD_CHOICE, precision, 0, 0, FC_PRECISION_CHOICES, "KIND",
        "operands of the encoder's product"),
    ROW("seed", FC_FIELD_I64, seed, 0, 9.0e15, NULL, "N",
        "draws the examples from ranges"),
    ROW("concepts", FC_FIELD_TEXT, concepts, 0, 0, NULL, "FILE",
        "rules of concepts to find features for; \"none\"; without: the built-in ones"),
};

void fc_study_defaults(fc_study_config *config)
{
    *config = (fc_study_config){
        .contexts = 20,
        .per_document = 1,
        .window = 10,
        .quantiles = 5,
        .per_quantile = 5,
        .dead_threshold = 1e-6,
        .precision = FC_AUTO_PRECISION,
        .seed = 0,
    };
}

const fc_field *fc_study_fields(int64_t *n)
{
    *n = FC_LEN(fields);
    return fields;
}

static fc_status check_config(const fc_study_config *config, fc_err *err)
{
    for (size_t i = 0; i < FC_LEN(fields); i++) {
        if (fields[i].kind != FC_FIELD_I64) continue;
        int64_t value;
        memcpy(&value, (const char *)config + fields[i].offset, sizeof value);
        if ((double)value < fields[i].min || (double)value > fields[i].max)
            return fc_fail(err, FC_USAGE, "%s is %" PRId64 ", expected %.0f .. %.0f",
                           fields[i].name, value, fields[i].min, fields[i].max);
    }
    if (!(config->dead_threshold >= 0.0))
        return fc_fail(err, FC_USAGE, "dead-threshold is %g, expected 0 or more",
                       config->dead_threshold);
    return FC_OK;
}

fc_status fc_study_check(const fc_study_job *job, fc_err *err)
{
    const fc_store_info *info = fc_store_info_of(job->store);
    const fc_sae *sae = job->sae;
    if (info->d != sae->d_in)
        return fc_fail(err, FC_MISMATCH,
                       "the activations have %" PRId64
                       " dimensions, but the SAE expects %" PRId64,
                       info->d, sae->d_in);
    const fc_arch *arch = fc_arch_find(sae->arch);
    if (arch->is_transcoder || arch->inference.selection == FC_SELECT_GROUP)
        return fc_fail(err, FC_MISMATCH,
                       "the SAE's architecture is '%s', expected one that reconstructs "
                       "its input, and not groupmax",
                       sae->arch);
    if (job->n_rows < 1 || job->n_rows >= UINT32_MAX)
        return fc_fail(err, FC_USAGE,
                       "the activation store has %" PRId64
                       " rows, expected 1 .. 2^32 - 2",
                       job->n_rows);
    if (sae->hook[0] != '\0' && strcmp(sae->hook, info->hook) != 0)
        fc_log(FC_LOG_WARN, "the SAE is for hook '%s', the activations are from '%s'",
               sae->hook, info->hook);
    return FC_OK;
}

fc_precision fc_study_precision(int choice, const fc_backend *be)
{
    switch ((fc_precision_choice)choice) {
    case FC_F32_PRECISION: return FC_PRECISION_F32;
    case FC_BF16_PRECISION: return FC_PRECISION_BF16;
    case FC_AUTO_PRECISION: break;
    }
    return fc_backend_prefers_bf16(be) ? FC_PRECISION_BF16 : FC_PRECISION_F32;
}

static fc_study_result result_of(const fc_study_job *job, const fc_study_pass *pass,
                                 double seconds)
{
    const double fvu = fc_reconstruction_fvu(&pass->reconstruction);
    fc_study_result result = {.n_rows = job->n_rows,
                              .d_sae = job->sae->d_sae,
                              .l0 = fc_study_pass_l0(pass, job->sae->d_sae),
                              .mse = fc_reconstruction_mse(&pass->reconstruction),
                              .fvu = fvu,
                              .explained_variance = 1.0 - fvu,
                              .seconds = seconds,
                              .rows_per_s = (double)job->n_rows / fmax(seconds, 1e-9)};
    for (int64_t i = 0; i < job->sae->d_sae; i++)
        result.n_dead += (double)pass->feature[i].max <= job->config->dead_threshold;
    return result;
}

fc_status fc_study(const fc_study_config *config, const fc_sae *sae, fc_store *store,
                   const fc_study_source *source, fc_backend *be, const char *db_path,
                   fc_study_result *result, fc_err *err)
{
    const double begin_s = fc_clock_s();
    FC_TRY(check_config(config, err));
    const fc_study_job job = {.config = config,
                              .sae = sae,
                              .store = store,
                              .tokenizer = source != NULL ? source->tokenizer : NULL,
                              .model = source != NULL ? source->model : NULL,
                              .concepts = source != NULL ? source->concepts : NULL,
                              .be = be,
                              .precision = fc_study_precision(config->precision, be),
                              .n_rows = fc_store_rows(store)};
    FC_TRY(fc_study_check(&job, err));
    fc_study_pass pass;
    FC_TRY(fc_study_pass_run(&pass, &job, err));
    const fc_study_result found = result_of(&job, &pass, fc_clock_s() - begin_s);
    fc_meaning meaning = {0};
    fc_status status;
    FC_TRY_GOTO(fc_meaning_find(&meaning, &job, &pass, err));
    FC_TRY_GOTO(fc_study_write(&job, &pass, &meaning, &found, db_path, err));
done:
    fc_meaning_deinit(&meaning);
    fc_study_pass_deinit(&pass);
    if (status == FC_OK) *result = found;
    return status;
}
