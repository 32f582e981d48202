/* token_ranks.c - a hash table with linear probing, at most half full.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/token_ranks_internal.h"

#include "base/alloc.h"

enum { FIRST_BITS = 12, MOST_BITS = 31 };

void fc_token_ranks_deinit(fc_token_ranks *ranks)
{
    fc_free(ranks->token);
    fc_free(ranks->slot);
    *ranks = (fc_token_ranks){0};
}

/* The slot of a token, or the unused one where it would go. */
static int32_t *find(const fc_token_ranks *r, int32_t token)
{
    const uint32_t mask = (UINT32_C(1) << r->slot_bits) - 1;
    uint32_t at = ((uint32_t)token * UINT32_C(2654435761)) >> (32 - r->slot_bits);
    while (r->slot[at] > 0 && r->token[r->slot[at] - 1] != token) at = (at + 1) & mask;
    return &r->slot[at];
}

/* Makes room in the hash table for one more token. */
static fc_status widen(fc_token_ranks *r, fc_err *err)
{
    const int bits = r->slot_bits == 0 ? FIRST_BITS : r->slot_bits + 1;
    int32_t *slot;
    if (r->slot_bits > 0 && 2 * (r->n + 1) <= INT64_C(1) << r->slot_bits) return FC_OK;
    FC_CHECK(bits <= MOST_BITS);
    FC_TRY(fc_alloc(&slot, INT64_C(1) << bits, sizeof *slot, "table of tokens", err));
    fc_free(r->slot);
    r->slot = slot;
    r->slot_bits = bits;
    for (int64_t i = 0; i < r->n; i++) *find(r, r->token[i]) = (int32_t)(i + 1);
    return FC_OK;
}

fc_status fc_token_ranks_find(fc_token_ranks *ranks, const int32_t *token, int64_t n,
                              int32_t *rank, fc_err *err)
{
    for (int64_t t = 0; t < n; t++) {
        FC_TRY(widen(ranks, err));
        int32_t *slot = find(ranks, token[t]);
        if (*slot == 0) {
            FC_TRY(fc_grow(&ranks->token, &ranks->capacity, ranks->n + 1,
                           sizeof *ranks->token, "tokens", err));
            ranks->token[ranks->n++] = token[t];
            *slot = (int32_t)ranks->n;
        }
        rank[t] = *slot - 1;
    }
    return FC_OK;
}
