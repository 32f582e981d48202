/* token_mass.c - sums of activation for each feature and token in bounded memory.
 *
 * A hash table of 256 slots with linear probing for each feature, 4 KB: it stays in the first
 * cache while a feature's hits of a block are added. Sums are doubles, added in row order.
 * Space-Saving keeps the same promise, but has to find the smallest counter at every miss; here a
 * full table is cut back once in 64 misses or less.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/token_mass_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

fc_status fc_token_mass_init(fc_token_mass *mass, int64_t n_features, fc_err *err)
{
    fc_token_mass m = {0};
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&m.slot, n_features, FC_TOKEN_SLOTS * sizeof *m.slot,
                         "activation of tokens", err));
    FC_TRY_GOTO(fc_alloc(&m.n_used, n_features, sizeof *m.n_used, "token counts", err));
    FC_TRY_GOTO(fc_alloc(&m.error, n_features, sizeof *m.error, "token errors", err));
done:
    if (status != FC_OK) fc_token_mass_deinit(&m);
    *mass = m;
    return status;
}

void fc_token_mass_deinit(fc_token_mass *mass)
{
    fc_free(mass->slot);
    fc_free(mass->n_used);
    fc_free(mass->error);
    *mass = (fc_token_mass){0};
}

/* The slot of a token, or the unused one where it would go. */
static fc_token_sum *find(fc_token_sum *slots, int32_t token)
{
    uint32_t at = ((uint32_t)token * UINT32_C(2654435761)) >> 24;
    while (slots[at].n > 0 && slots[at].token != token) at = (at + 1) % FC_TOKEN_SLOTS;
    return &slots[at];
}

static int compare_sums(const void *a, const void *b)
{
    const fc_token_sum *p = a, *q = b;
    if (p->sum != q->sum) return p->sum > q->sum ? -1 : 1;
    return (p->token > q->token) - (p->token < q->token);
}

/* The used slots, largest first. */
static int64_t sorted(const fc_token_sum *slots, fc_token_sum tokens[FC_TOKENS_KEPT])
{
    int64_t n = 0;
    for (int64_t i = 0; i < FC_TOKEN_SLOTS; i++)
        if (slots[i].n > 0) tokens[n++] = slots[i];
    qsort(tokens, (size_t)n, sizeof *tokens, compare_sums);
    return n;
}

/* Takes the 64th largest sum off all; returns how many tokens are left, fewer than 64. */
static int32_t cut_back(fc_token_sum *slots, double *error)
{
    fc_token_sum tokens[FC_TOKENS_KEPT];
    const int64_t n = sorted(slots, tokens);
    FC_ASSERT(n == FC_TOKENS_KEPT);
    const double amount = tokens[FC_TOKENS_SURE - 1].sum;
    memset(slots, 0, FC_TOKEN_SLOTS * sizeof *slots);
    int32_t n_left = 0;
    for (int64_t i = 0; i < n && tokens[i].sum > amount; i++) {
        tokens[i].sum -= amount;
        *find(slots, tokens[i].token) = tokens[i];
        n_left++;
    }
    *error += amount;
    return n_left;
}

void fc_token_mass_add(fc_token_mass *mass, const fc_hits *hits, const fc_block *block)
{
    fc_token_sum *slots = mass->slot + hits->feature * FC_TOKEN_SLOTS;
    int32_t n_used = mass->n_used[hits->feature];
    for (int64_t j = 0; j < hits->n; j++) {
        const int32_t token = block->token[hits->at[j]];
        fc_token_sum *slot = find(slots, token);
        if (slot->n == 0) {
            if (n_used == FC_TOKENS_KEPT) {
                n_used = cut_back(slots, &mass->error[hits->feature]);
                slot = find(slots, token);
            }
            slot->token = token;
            n_used++;
        }
        slot->n++;
        slot->sum += (double)hits->value[j];
    }
    mass->n_used[hits->feature] = n_used;
}

int64_t fc_token_mass_top(const fc_token_mass *mass, int64_t feature, int64_t n_max,
                          fc_token_sum *tokens)
{
    fc_token_sum all[FC_TOKENS_KEPT];
    const int64_t n = fc_min(n_max, sorted(mass->slot + feature * FC_TOKEN_SLOTS, all));
    memcpy(tokens, all, (size_t)n * sizeof *tokens);
    return n;
}
