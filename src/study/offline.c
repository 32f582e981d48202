/* offline.c - one evaluation after the other.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/offline.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "sae/arch.h"

void fc_offline_defaults(fc_offline_config *config)
{
    fc_absorption_config absorption;
    fc_absorption_defaults(&absorption);
    *config = (fc_offline_config){true, true, true, absorption.words};
}

/* *is_live [d_sae], or NULL without a study. */
static fc_status live_features(bool **is_live, const fc_features_db *study,
                               const fc_sae *sae, fc_err *err)
{
    int64_t n;
    *is_live = NULL;
    if (study == NULL) return FC_OK;
    const fc_feature *feature = fc_features_all(study, &n);
    if (n != sae->d_sae)
        return fc_fail(err, FC_MISMATCH,
                       "features.db holds %" PRId64 " features, expected the %" PRId64
                       " of the SAE: study it again",
                       n, sae->d_sae);
    FC_TRY(fc_alloc(is_live, n, sizeof **is_live, "live features", err));
    for (int64_t i = 0; i < n; i++) (*is_live)[i] = !feature[i].is_dead;
    return FC_OK;
}

static fc_status read_study(fc_offline *o, fc_features_db *study, fc_err *err)
{
    int64_t n;
    const fc_concept_row *concept;
    const double n_rows = fc_features_run_number(study, "n_rows");
    const fc_feature *feature = fc_features_all(study, &n);
    o->density =
        fc_density_of(feature, n, n_rows > 0.0 && n_rows < 9.0e15 ? (int64_t)n_rows : 0);
    FC_TRY(fc_features_concepts(study, &concept, &n, err));
    o->concepts = fc_concept_means_of(concept, n);
    o->has_density = true;
    return FC_OK;
}

static fc_status absorb(fc_offline *o, const fc_offline_config *config,
                        const fc_offline_source *s, fc_backend *be, fc_err *err)
{
    fc_absorption_config how;
    if (fc_arch_find(s->sae->arch)->is_transcoder) return FC_OK;
    fc_absorption_defaults(&how);
    how.words = config->absorption_words;
    how.precision = s->precision;
    FC_TRY(fc_absorption_measure(&how, s->sae, s->model, s->tokenizer, be, &o->absorption,
                                 err));
    o->has_absorption = true;
    return FC_OK;
}

static fc_status compare(fc_offline *o, const fc_offline_source *s, const bool *is_live,
                         fc_backend *be, fc_err *err)
{
    bool *is_live_there = NULL;
    fc_status status;
    FC_TRY_GOTO(live_features(&is_live_there, s->against_study, s->against, err));
    FC_TRY_GOTO(fc_stability_measure(&o->stability, s->sae, is_live, s->against,
                                     is_live_there, be, err));
    o->has_stability = true;
done:
    fc_free(is_live_there);
    return status;
}

fc_status fc_offline_measure(const fc_offline_config *config,
                             const fc_offline_source *source, fc_backend *be,
                             fc_offline *offline, fc_err *err)
{
    fc_offline o = {.is_of_live = source->study != NULL};
    fc_meta_config meta;
    bool *is_live = NULL;
    fc_status status;
    *offline = (fc_offline){0};
    FC_TRY_GOTO(live_features(&is_live, source->study, source->sae, err));
    if (source->study != NULL) FC_TRY_GOTO(read_study(&o, source->study, err));
    if (config->has_geometry)
        FC_TRY_GOTO(fc_geometry_measure(&o.geometry, source->sae, is_live, be, err));
    if (config->has_absorption) FC_TRY_GOTO(absorb(&o, config, source, be, err));
    fc_meta_defaults(&meta);
    meta.precision = source->precision;
    if (config->has_meta)
        FC_TRY_GOTO(fc_meta_sae_measure(&meta, source->sae, is_live, be, &o.meta, err));
    if (source->against != NULL) FC_TRY_GOTO(compare(&o, source, is_live, be, err));
    o.has_geometry = config->has_geometry;
    o.has_meta = config->has_meta;
    *offline = o;
    o = (fc_offline){0};
done:
    fc_free(is_live);
    fc_offline_deinit(&o);
    return status;
}

void fc_offline_deinit(fc_offline *offline)
{
    fc_stability_deinit(&offline->stability);
    *offline = (fc_offline){0};
}
