/* study.h - `facet study`: one pass over a store with an SAE; everything about every feature.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_STUDY_H
#define FC_STUDY_STUDY_H

#include "acts/store.h"
#include "base/fields.h"
#include "model/model.h"
#include "sae/sae.h"
#include "text/tokenizer.h"

typedef struct fc_study_config {
    int64_t contexts;     /* strongest contexts kept per feature */
    int64_t per_document; /* at most so many of them from one document; 0 = no limit */
    int64_t window;       /* tokens shown around the maximum: half before, half after */
    int64_t quantiles;    /* activation ranges sampled for weaker examples */
    int64_t per_quantile;
    double dead_threshold;
    int precision; /* fc_precision_choice */
    int64_t seed;
    char concepts[FC_FIELD_TEXT_MAX]; /* file of rules; "": the built-in ones; "none" */
} fc_study_config;

void fc_study_defaults(fc_study_config *config);
const fc_field *fc_study_fields(int64_t *n);

typedef struct fc_study_result {
    int64_t n_rows, d_sae, n_dead;
    double l0, mse, fvu,
        explained_variance; /* over all rows, of normalised activations */
    double seconds, rows_per_s;
} fc_study_result;

typedef struct fc_concepts fc_concepts; /* concept.h */

/* What is known of the model that made the activations, and what to look for; each may be NULL. */
typedef struct fc_study_source {
    const fc_tokenizer
        *tokenizer; /* pieces of tokens; without: ids, and no descriptions in words */
    const fc_model *model; /* its unembedding; without: no logits */
    const fc_concepts
        *concepts; /* rules for which the best features are found; needs a tokenizer */
} fc_study_source;

/* Writes features.db at db_path (beside, then renamed). source may be NULL: nothing is known. */
fc_status fc_study(const fc_study_config *config, const fc_sae *sae, fc_store *store,
                   const fc_study_source *source, fc_backend *be, const char *db_path,
                   fc_study_result *result, fc_err *err);

#endif
