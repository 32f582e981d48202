/* meaning_write.c - neighbours, logits and profile of a feature as rows of features.db.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/meaning_write_internal.h"

fc_status fc_meaning_write_neighbours(const fc_meaning *meaning, fc_features_out *out,
                                      int64_t feature, fc_err *err)
{
    int64_t n;
    const fc_neighbour *list = fc_neighbours_of(&meaning->neighbours, feature, &n);
    for (int64_t k = 0; k < n; k++) {
        const fc_neighbour_row row = {.feature = feature,
                                      .rank = k + 1,
                                      .neighbour = list[k].feature,
                                      .cosine = list[k].cosine};
        FC_TRY(fc_features_put_neighbour(out, &row, err));
    }
    return FC_OK;
}

/* sign 1: as they are; -1: lowered lists hold scores with the sign turned round. */
static fc_status write_list(fc_features_out *out, int64_t feature, const fc_logit *list,
                            int64_t n, int sign, fc_err *err)
{
    for (int64_t k = 0; k < n; k++) {
        const fc_logit_row row = {.feature = feature,
                                  .rank = sign * (k + 1),
                                  .token = list[k].token,
                                  .score = sign * (double)list[k].score};
        FC_TRY(fc_features_put_logit(out, &row, err));
    }
    return FC_OK;
}

fc_status fc_meaning_write_logits(const fc_meaning *meaning, fc_features_out *out,
                                  int64_t feature, fc_err *err)
{
    const fc_logit_lens *lens = &meaning->lens;
    if (lens->rank == NULL || lens->rank[feature] < 0) return FC_OK;
    const int64_t own = lens->rank[feature];
    FC_TRY(write_list(out, feature, lens->raised + own * FC_LOGITS, lens->n_raised[own],
                      1, err));
    return write_list(out, feature, lens->lowered + own * FC_LOGITS, lens->n_lowered[own],
                      -1, err);
}

fc_status fc_meaning_write_profile(const fc_meaning *meaning, fc_features_out *out,
                                   int64_t feature, fc_err *err)
{
    const fc_profile *profile = &meaning->profile[feature];
    int64_t rank = 0;
    for (int32_t k = 0; k < profile->n; k++) {
        const fc_profile_entry *entry = &profile->entry[k];
        char text[96];
        rank = k > 0 && entry[-1].kind == entry->kind ? rank + 1 : 1;
        fc_profile_show(entry, &meaning->kinds, text, sizeof text);
        const fc_profile_row row = {.feature = feature,
                                    .rank = rank,
                                    .kind = fc_profile_kind_name[entry->kind],
                                    .text = text,
                                    .share = entry->share};
        FC_TRY(fc_features_put_profile(out, &row, err));
    }
    return FC_OK;
}
