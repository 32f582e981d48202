/* offline_json.c - what offline evaluations found, under the keys of SAEBench where it has them
 * (absorption_first_letter, meta_structure).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "formats/json.h"
#include "study/offline.h"
#include "study/quantiles_json.h"

static json_t *number(double x)
{
    return json_real(isfinite(x) ? x : -1.0);
}

static json_t *count(int64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *geometry(const fc_offline *o)
{
    const fc_geometry *g = &o->geometry;
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "features",
                     count(g->n_features), "decoder_effective_rank",
                     number(g->decoder_effective_rank), "decoder_participation_ratio",
                     number(g->decoder_participation), "decoder_rank",
                     count(g->decoder_rank), "encoder_decoder_cosine",
                     fc_quantiles_json(&g->encoder_decoder_cosine),
                     "nearest_decoder_cosine", fc_quantiles_json(&g->decoder_nearest),
                     "nearest_encoder_cosine", fc_quantiles_json(&g->encoder_nearest),
                     "decoder_norm", fc_quantiles_json(&g->decoder_norm), "encoder_norm",
                     fc_quantiles_json(&g->encoder_norm));
}

/* --- absorption ------------------------------------------------------------------------------- */

static json_t *letter(const fc_letter_absorption *l, char name)
{
    json_t *f1 = json_array(), *split = json_array();
    for (int64_t k = 0; k < l->n_k; k++) json_array_append_new(f1, number(l->f1[k]));
    for (int64_t k = 0; k < l->n_split; k++)
        json_array_append_new(split, count(l->feature[k]));
    return json_pack("{s:s%, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "first_letter", &name, (size_t)1, "mean_absorption_fraction",
                     number(l->fraction), "full_absorption_rate", number(l->full),
                     "num_full_absorption", count(l->n_full), "num_probe_true_positives",
                     count(l->n_judged), "num_split_features", count(l->n_split),
                     "split_features", split, "k_sparse_f1", f1, "probe_f1",
                     number(l->probe_f1), "words", count(l->n_train + l->n_test),
                     "test_words", count(l->n_test));
}

static json_t *absorption(const fc_absorption *a)
{
    json_t *letters = json_array();
    for (int i = 0; i < FC_ABSORPTION_LETTERS; i++)
        json_array_append_new(letters, letter(&a->letter[i], (char)('a' + i)));
    return json_pack(
        "{s:{s:o, s:o, s:o, s:o, s:o, s:o}, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "mean",
        "mean_absorption_fraction_score", number(a->fraction),
        "mean_full_absorption_score", number(a->full), "mean_num_split_features",
        number(a->n_split), "std_dev_absorption_fraction_score", number(a->fraction_std),
        "std_dev_full_absorption_score", number(a->full_std),
        "std_dev_num_split_features", number(a->n_split_std), "letters_judged",
        count(a->n_letters), "probe_f1", number(a->probe_f1), "one_feature_f1",
        number(a->f1_1), "words", count(a->n_words), "test_words", count(a->n_test),
        "words_of_vocabulary", count(a->n_vocabulary), "letters", letters);
}

static json_t *meta(const fc_meta_sae *m)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}",
                     "decoder_fraction_variance_explained", number(m->explained),
                     "final_reconstruction_mse", number(m->mse), "rows", count(m->n_rows),
                     "meta_features", count(m->n_features), "meta_features_used",
                     count(m->n_used), "l0", number(m->l0));
}

/* --- study ------------------------------------------------------------------------------------- */

static json_t *density(const fc_density *d)
{
    json_t *border = json_array(), *bin = json_array();
    for (int k = 0; k < FC_DENSITY_BINS; k++) {
        json_array_append_new(border, number(fc_density_border(k)));
        json_array_append_new(bin, count(d->bin[k]));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:{s:o, s:o}}", "features",
                     count(d->n_features), "rows", count(d->n_rows), "never_active",
                     count(d->n_silent), "dead", count(d->n_dead), "over_1_percent",
                     number(d->over_1), "over_10_percent", number(d->over_10),
                     "log10_histogram", "from", border, "features", bin);
}

static fc_status concepts(const fc_offline *o, fc_features_db *study, json_t **object,
                          fc_err *err)
{
    const fc_concept_row *c;
    int64_t n;
    FC_TRY(fc_features_concepts(study, &c, &n, err));
    json_t *best = json_array();
    for (int64_t i = 0; i < n; i++) {
        if (c[i].n_rows == 0) continue;
        const fc_concept_hit none = {.feature = -1, .auc = 0.5};
        const fc_concept_hit hit = c[i].n_hits > 0 ? c[i].hit[0] : none;
        json_array_append_new(
            best, json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "concept", c[i].name,
                            "rows", count(c[i].n_rows), "feature", count(hit.feature),
                            "f1", number(hit.f1), "precision", number(hit.precision),
                            "recall", number(hit.recall), "auc", number(hit.auc)));
    }
    *object = json_pack("{s:o, s:o, s:o, s:o}", "concepts", count(o->concepts.n),
                        "mean_f1", number(o->concepts.f1), "mean_auc",
                        number(o->concepts.auc), "best", best);
    return FC_OK;
}

/* --- stability ---------------------------------------------------------------------------------- */

static json_t *stability(const fc_stability *s, const char *against)
{
    json_t *partner = json_array(), *cosine = json_array();
    const double n = (double)s->n_matched;
    for (int64_t i = 0; i < s->d_sae; i++) {
        json_array_append_new(partner, count(s->partner[i]));
        json_array_append_new(cosine, number((double)s->cosine[i]));
    }
    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
        "against", against, "features", count(s->n_a), "features_against", count(s->n_b),
        "matched", count(s->n_matched), "mean_matched_cosine", number(s->matched.mean),
        "is_exact", s->is_exact, "mean_matched_cosine_at_most", number(s->mean_bound),
        "matched_cosine", fc_quantiles_json(&s->matched), "matched_encoder_cosine",
        fc_quantiles_json(&s->encoders), "share_same", number((double)s->n_same / n),
        "share_same_of_both", number((double)s->n_same_of_both / n), "mean_max_cosine",
        number(s->mean_max_a), "mean_max_cosine_against", number(s->mean_max_b),
        "features_of_pairs",
        json_pack("{s:o, s:o}", "partner", partner, "cosine", cosine));
}

/* --- all ------------------------------------------------------------------------------------------ */

fc_status fc_offline_json(const fc_offline *offline, const fc_offline_source *source,
                          json_t **object, fc_err *err)
{
    const fc_offline *o = offline;
    json_t *all = json_object();
    int failed = json_object_set_new(all, "features_looked_at",
                                     json_string(o->is_of_live ? "live" : "all"));
    if (o->has_geometry) failed |= json_object_set_new(all, "geometry", geometry(o));
    if (o->has_absorption)
        failed |= json_object_set_new(all, "absorption", absorption(&o->absorption));
    if (o->has_meta) failed |= json_object_set_new(all, "meta_structure", meta(&o->meta));
    if (o->has_density) {
        json_t *of_concepts = NULL;
        const fc_status status = concepts(o, source->study, &of_concepts, err);
        if (status != FC_OK) {
            json_decref(all);
            return status;
        }
        failed |= json_object_set_new(all, "density", density(&o->density));
        failed |= json_object_set_new(all, "concepts", of_concepts);
    }
    if (o->has_stability)
        failed |= json_object_set_new(all, "stability",
                                      stability(&o->stability, source->against_name));
    if (failed != 0) {
        json_decref(all);
        return fc_fail(err, FC_NOMEM,
                       "eval.json: a name is not UTF-8, or there is no memory");
    }
    *object = all;
    return FC_OK;
}
