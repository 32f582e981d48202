/* offline.h - evaluations of an SAE that need no text: from its weights, its model's vocabulary, what
 * study found, and another SAE.
 *
 *   geometry     geometry.h      the SAE
 *   absorption   absorption.h    the SAE, the model and its tokenizer
 *   meta         meta_sae.h      the SAE
 *   density, concepts            density.h: features.db of the run
 *   stability    stability.h     the SAE and another one
 *
 * What looks at features one by one looks at those that are not dead by features.db, or at all where
 * there is none.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_OFFLINE_H
#define FC_STUDY_OFFLINE_H

#include <jansson.h>

#include "study/absorption.h"
#include "study/density.h"
#include "study/geometry.h"
#include "study/meta_sae.h"
#include "study/stability.h"

typedef struct fc_offline_config {
    bool has_geometry, has_absorption, has_meta;
    int64_t absorption_words;
} fc_offline_config;
void fc_offline_defaults(fc_offline_config *config); /* all of them */

/* All borrowed. */
typedef struct fc_offline_source {
    const fc_sae *sae;
    const fc_model *model;
    const fc_tokenizer *tokenizer;
    fc_features_db *study;         /* of this SAE; NULL: none */
    const fc_sae *against;         /* NULL: none */
    fc_features_db *against_study; /* NULL: none */
    const char *against_name;
    int precision; /* fc_precision_choice */
} fc_offline_source;

typedef struct fc_offline {
    bool has_geometry, has_absorption, has_meta, has_density, has_stability;
    bool is_of_live; /* not of all features */
    fc_geometry geometry;
    fc_absorption absorption;
    fc_meta_sae meta;
    fc_density density;
    fc_concept_means concepts;
    fc_stability stability;
} fc_offline;

/* Absorption is left out for transcoders, density and stability where their source is NULL. FC_MISMATCH
 * when features.db has another number of features than its SAE; FC_CANCELLED after Ctrl-C. On failure
 * *offline is {0}. */
fc_status fc_offline_measure(const fc_offline_config *config,
                             const fc_offline_source *source, fc_backend *be,
                             fc_offline *offline, fc_err *err);
void fc_offline_deinit(fc_offline *offline);

/* An object with a member for each evaluation that was made (docs/FORMATS.md); the caller releases it. */
fc_status fc_offline_json(const fc_offline *offline, const fc_offline_source *source,
                          json_t **object, fc_err *err);

#endif
