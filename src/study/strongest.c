/* strongest.c - one sorted list of k activations for each feature.
 *
 * Of each document only its `per_document` strongest activations count (equal ones: the lower
 * row first); the list holds the k strongest of those that count. It is exact after every row:
 * a new activation of a document that has its share in the list takes the place of the weakest
 * of that share, or is dropped; any other takes the place of the weakest of all. Nothing that
 * fell out can have to come back, because a place is only ever given to something stronger.
 *
 * A sorted array and not a heap: most activations fail the comparison with the weakest, and the
 * share of a document is found by looking through the list anyway. O(k) for those that enter; most
 * features of a block have none, and are passed by with a look at their maximum.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/strongest_internal.h"

#include "base/alloc.h"

fc_status fc_strongest_init(fc_strongest *strongest, int64_t n_features, int64_t k,
                            int64_t per_document, fc_err *err)
{
    fc_strongest s = {.k = k, .per_document = per_document};
    size_t row_bytes;
    fc_status status;
    FC_TRY_GOTO(fc_bytes(k, sizeof *s.peak, &row_bytes, err));
    FC_TRY_GOTO(fc_alloc(&s.peak, n_features, row_bytes, "strongest activations", err));
    FC_TRY_GOTO(fc_alloc(&s.n, n_features, sizeof *s.n, "counts of activations", err));
    FC_TRY_GOTO(
        fc_alloc(&s.least, n_features, sizeof *s.least, "least activations", err));
done:
    if (status != FC_OK) fc_strongest_deinit(&s);
    *strongest = s;
    return status;
}

void fc_strongest_deinit(fc_strongest *strongest)
{
    fc_free(strongest->peak);
    fc_free(strongest->n);
    fc_free(strongest->least);
    *strongest = (fc_strongest){0};
}

/* The entry that makes room for `peak`: n when the list may grow, -1 when nothing does. */
static int64_t place_given_up(const fc_strongest *s, const fc_peak *list, int64_t n,
                              const fc_peak *peak)
{
    if (s->per_document > 0) {
        int64_t n_same = 0, weakest = -1;
        for (int64_t i = 0; i < n; i++)
            if (list[i].doc == peak->doc) {
                n_same++;
                weakest = i;
            }
        if (n_same >= s->per_document)
            return peak->value > list[weakest].value ? weakest : -1;
    }
    return n < s->k ? n : n - 1;
}

/* Returns the new length. */
static int64_t insert(const fc_strongest *s, fc_peak *list, int64_t n, fc_peak peak)
{
    const int64_t place = place_given_up(s, list, n, &peak);
    if (place < 0) return n;
    int64_t at = place;
    for (; at > 0 && list[at - 1].value < peak.value; at--) list[at] = list[at - 1];
    list[at] = peak;
    return place == n ? n + 1 : n;
}

void fc_strongest_add(fc_strongest *strongest, const fc_hits *hits, const fc_block *block)
{
    const int64_t k = strongest->k;
    float *least = &strongest->least[hits->feature];
    if (k == 0 || hits->max <= *least) return;
    fc_peak *list = strongest->peak + hits->feature * k;
    int64_t n = strongest->n[hits->feature];
    for (int64_t j = 0; j < hits->n; j++) {
        if (hits->value[j] <= *least) continue;
        const int32_t at = hits->at[j];
        n = insert(
            strongest, list, n,
            (fc_peak){hits->value[j], (uint32_t)(block->first + at), block->doc[at]});
        if (n == k) *least = list[k - 1].value;
    }
    strongest->n[hits->feature] = (int32_t)n;
}
