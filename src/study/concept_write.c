/* concept_write.c - the best features of every concept, as rows.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/concept_write_internal.h"

#include "base/alloc.h"

fc_status fc_concept_search_write(const fc_concept_search *search, fc_features_out *out,
                                  fc_err *err)
{
    fc_concept_row *row = NULL;
    fc_concept_hit *hit = NULL;
    const fc_thresholds all = {.n = 0};
    const int64_t n = search->stats.n_concepts;
    fc_status status;
    if (!search->is_on) return FC_OK;
    FC_TRY_GOTO(fc_alloc(&row, n, sizeof *row, "concepts", err));
    FC_TRY_GOTO(
        fc_alloc(&hit, n * FC_CONCEPT_HITS, sizeof *hit, "features of concepts", err));
    fc_concept_search_best(search, &all, row, hit, FC_CONCEPT_HITS);
    for (int64_t i = 0; i < n; i++)
        FC_TRY_GOTO(fc_features_put_concept(out, i, &row[i], err));
done:
    fc_free(row);
    fc_free(hit);
    return status;
}
