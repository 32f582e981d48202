/* merges.c - the merge table: which adjacent pairs join, in what order, to what.
 *
 * Keyed by the pair of ids, so that merging compares no text. 16 bytes a slot: one line of the
 * cache for nearly every question.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "text/tokenizer_internal.h"

enum { FIRST_SLOTS = 1024 };

static fc_status make_slots(fc_merge **slot, int64_t n_slots, fc_err *err)
{
    FC_TRY(fc_alloc(slot, n_slots, sizeof **slot, "merge table", err));
    for (int64_t i = 0; i < n_slots; i++) (*slot)[i].left = -1;
    return FC_OK;
}

fc_status fc_merges_init(fc_merges *merges, fc_err *err)
{
    *merges = (fc_merges){.n_slots = FIRST_SLOTS};
    return make_slots(&merges->slot, merges->n_slots, err);
}

void fc_merges_deinit(fc_merges *merges)
{
    fc_free(merges->slot);
    *merges = (fc_merges){0};
}

/* The slot that holds the pair, or the empty one where it belongs. */
static fc_merge *find_slot(const fc_merges *merges, int32_t left, int32_t right)
{
    const uint64_t mask = (uint64_t)(merges->n_slots - 1);
    const uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    const uint64_t product = pair * UINT64_C(0x9E3779B97F4A7C15);
    uint64_t at = (product ^ product >> 32) & mask;
    while (merges->slot[at].left >= 0 &&
           (merges->slot[at].left != left || merges->slot[at].right != right))
        at = (at + 1) & mask;
    return &merges->slot[at];
}

const fc_merge *fc_merges_find(const fc_merges *merges, int32_t left, int32_t right)
{
    const fc_merge *found = find_slot(merges, left, right);
    return found->left >= 0 ? found : NULL;
}

static fc_status double_slots(fc_merges *merges, fc_err *err)
{
    fc_merges larger = {.n_slots = 2 * merges->n_slots, .n_used = merges->n_used};
    FC_TRY(make_slots(&larger.slot, larger.n_slots, err));
    for (int64_t i = 0; i < merges->n_slots; i++) {
        const fc_merge merge = merges->slot[i];
        if (merge.left >= 0) *find_slot(&larger, merge.left, merge.right) = merge;
    }
    fc_free(merges->slot);
    *merges = larger;
    return FC_OK;
}

fc_status fc_merges_add(fc_merges *merges, fc_merge merge, fc_err *err)
{
    if (2 * (merges->n_used + 1) > merges->n_slots) FC_TRY(double_slots(merges, err));
    fc_merge *slot = find_slot(merges, merge.left, merge.right);
    merges->n_used += slot->left < 0;
    *slot = merge;
    return FC_OK;
}
