/* concept_find.c - the search of a pass, and `facet find`, which is such a pass alone.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/par.h"
#include "study/study_pass_internal.h"

/* --- the search of a pass --------------------------------------------------------------- */

fc_status fc_concept_search_init(fc_concept_search *search, const fc_concepts *concepts,
                                 const fc_tokenizer *tokenizer, const fc_store *store,
                                 int64_t d_sae, fc_err *err)
{
    fc_status status;
    *search = (fc_concept_search){0};
    if (concepts == NULL || tokenizer == NULL) return FC_OK;
    FC_TRY_GOTO(fc_token_kinds_init(&search->kinds, tokenizer, err));
    FC_TRY_GOTO(fc_concept_matcher_init(&search->matcher, concepts, store, tokenizer,
                                        &search->kinds, err));
    FC_TRY_GOTO(
        fc_concept_stats_init(&search->stats, d_sae, fc_concepts_n(concepts), err));
    search->is_on = true;
done:
    if (status != FC_OK) fc_concept_search_deinit(search);
    return status;
}

void fc_concept_search_deinit(fc_concept_search *search)
{
    fc_concept_stats_deinit(&search->stats);
    fc_concept_matcher_deinit(&search->matcher);
    fc_token_kinds_deinit(&search->kinds);
    *search = (fc_concept_search){0};
}

typedef struct choosing {
    const fc_concept_search *search;
    const fc_thresholds *thresholds;
    fc_concept_row *row;
    fc_concept_hit *hit;
    int64_t most;
} choosing;

static void choose(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const choosing *c = ctx;
    const fc_concept_stats *stats = &c->search->stats;
    const fc_concepts *concepts = c->search->matcher.concepts;
    for (int64_t i = begin; i < end; i++) {
        fc_concept_hit *hit = c->hit + i * c->most;
        const int64_t n = fc_concept_stats_best(stats, i, c->thresholds, hit, c->most);
        for (int64_t k = 0; k < n; k++)
            hit[k].precision_100 =
                fc_concept_stats_precision(stats, &c->search->matcher, i, hit[k].feature);
        c->row[i] = (fc_concept_row){.name = fc_concepts_name(concepts, i),
                                     .rule = fc_concepts_rule(concepts, i),
                                     .n_rows = stats->n_positive[i],
                                     .hit = hit,
                                     .n_hits = n};
    }
}

void fc_concept_search_best(const fc_concept_search *search,
                            const fc_thresholds *thresholds, fc_concept_row *row,
                            fc_concept_hit *hit, int64_t most)
{
    choosing c = {search, thresholds, row, hit, most};
    fc_par_for(search->stats.n_concepts, 1, choose, &c);
}

/* --- settings --------------------------------------------------------------------------- */

#define ROW(name, kind, member, min, max, choices, value, help)                      \
    {                                                                                \
        name, kind, offsetof(fc_find_config, member), min, max, choices, value, help \
    }

static const fc_field fields[] = {
    ROW("rows", FC_FIELD_I64, rows, 0, 9.0e15, NULL, "N",
        "look at the first so many rows of the store; 0 = all"),
    ROW("top", FC_FIELD_I64, top, 1, 100, NULL, "N", "features listed for each concept"),
    ROW("thresholds", FC_FIELD_TEXT, thresholds, 0, 0, NULL, "LIST",
        "shares of a feature's maximum to choose from, such as 0,.1,.5; without: eight "
        "in "
        "each octave of activation"),
    ROW("precision", FC_FIELD_CHOICE, precision, 0, 0, FC_PRECISION_CHOICES, "KIND",
        "operands of the encoder's product"),
};

void fc_find_defaults(fc_find_config *config)
{
    *config = (fc_find_config){.top = 1, .precision = FC_AUTO_PRECISION};
}

const fc_field *fc_find_fields(int64_t *n)
{
    *n = FC_LEN(fields);
    return fields;
}

static fc_status read_thresholds(const char *text, fc_thresholds *thresholds, fc_err *err)
{
    const char *at = text;
    *thresholds = (fc_thresholds){0};
    while (*at != '\0') {
        char *end;
        const double share = strtod(at, &end);
        if (end == at || !(share >= 0.0 && share <= 1.0) ||
            thresholds->n == FC_MOST_THRESHOLDS || (*end != '\0' && *end != ','))
            return fc_fail(err, FC_USAGE,
                           "thresholds is '%.128s', expected up to %d numbers of 0 .. 1 "
                           "with commas between",
                           text, FC_MOST_THRESHOLDS);
        thresholds->share[thresholds->n++] = share;
        at = *end == ',' ? end + 1 : end;
    }
    return FC_OK;
}

/* --- facet find ------------------------------------------------------------------------- */

static fc_status take_result(fc_find_result *result, const fc_concept_search *search,
                             const fc_thresholds *thresholds, int64_t top, fc_err *err)
{
    result->n = search->stats.n_concepts;
    result->n_rows = search->stats.n_rows;
    FC_TRY(
        fc_alloc(&result->concept, result->n, sizeof *result->concept, "concepts", err));
    FC_TRY(fc_alloc(&result->hit, result->n * top, sizeof *result->hit,
                    "features of concepts", err));
    fc_concept_search_best(search, thresholds, result->concept, result->hit, top);
    return FC_OK;
}

fc_status fc_find(const fc_find_config *config, const fc_sae *sae, fc_store *store,
                  const fc_study_source *source, fc_backend *be, fc_find_result *result,
                  fc_err *err)
{
    const double begin_s = fc_clock_s();
    fc_study_config study;
    fc_study_pass pass = {0};
    fc_thresholds thresholds;
    fc_status status;
    const int64_t n_rows = fc_store_rows(store);
    *result = (fc_find_result){0};
    fc_study_defaults(&study);
    FC_TRY(read_thresholds(config->thresholds, &thresholds, err));
    const fc_study_job job = {.config = &study,
                              .sae = sae,
                              .store = store,
                              .tokenizer = source->tokenizer,
                              .concepts = source->concepts,
                              .is_find = true,
                              .be = be,
                              .precision = fc_study_precision(config->precision, be),
                              .n_rows = config->rows > 0 ? fc_min(config->rows, n_rows)
                                                         : n_rows};
    FC_CHECK(job.tokenizer != NULL && job.concepts != NULL);
    FC_TRY(fc_study_check(&job, err));
    FC_TRY_GOTO(fc_study_pass_run(&pass, &job, err));
    FC_TRY_GOTO(take_result(result, &pass.search, &thresholds, config->top, err));
    result->seconds = fc_clock_s() - begin_s;
done:
    fc_study_pass_deinit(&pass);
    if (status != FC_OK) fc_find_result_deinit(result);
    return status;
}

void fc_find_result_deinit(fc_find_result *result)
{
    fc_free(result->concept);
    fc_free(result->hit);
    *result = (fc_find_result){0};
}
