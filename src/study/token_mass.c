/* token_mass.c - sums of activation for each feature and token in bounded memory.
 *
 * Space-Saving keeps the same promise, but has to find the smallest counter at every miss; here a
 * full table is cut back once in some 50 misses. The table of a feature is 4 KB, so it stays in
 * the first cache while the feature's hits of a block are added. Sums are doubles, added in row
 * order.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/token_mass_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

enum { ENOUGH = 80 /* a cut that leaves so many is good: 48 places are free again */ };

fc_status fc_token_mass_init(fc_token_mass *mass, int64_t n_features, fc_err *err)
{
    *mass = (fc_token_mass){0};
    return fc_alloc(&mass->table, n_features, sizeof *mass->table, "activation of tokens",
                    err);
}

void fc_token_mass_deinit(fc_token_mass *mass)
{
    fc_free(mass->table);
    *mass = (fc_token_mass){0};
}

/* The slot of a token, or the unused one where it would go. */
static fc_token_slot *find(fc_token_table *table, int32_t token)
{
    uint32_t at = ((uint32_t)token * UINT32_C(2654435761)) >> 24;
    while (table->slot[at].token != token && table->slot[at].sum > 0.0)
        at = (at + 1) % FC_TOKEN_SLOTS;
    return &table->slot[at];
}

/* The tokens in the table, in no order; room for one more is needed. Returns how many. */
static int64_t list_tokens(const fc_token_table *table, fc_token_slot *list)
{
    int64_t n = 0;
    for (int64_t i = 0; i < FC_TOKEN_SLOTS; i++) {
        list[n] = table->slot[i];
        n += table->slot[i].sum > 0.0;
    }
    return n;
}

/* --- cutting back ----------------------------------------------------------------------- */

static int64_t count_from(const double *sum, double amount)
{
    int64_t n = 0;
    for (int64_t i = 0; i < FC_TOKENS_KEPT; i++) n += sum[i] >= amount;
    return n;
}

/* Bits of doubles > 0 are in the order of their values. */
static uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static double of_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* An amount >= the smallest sum that at least FC_TOKENS_SURE sums reach, and if ties allow no
 * more than ENOUGH: bisected over the bits. Selecting the 64th exactly takes longer, by
 * mispredicted branches. */
static double amount_to_cut(const double *sum)
{
    double smallest = sum[0], largest = sum[0];
    for (int64_t i = 1; i < FC_TOKENS_KEPT; i++) {
        smallest = sum[i] < smallest ? sum[i] : smallest;
        largest = sum[i] > largest ? sum[i] : largest;
    }
    uint64_t lo = bits_of(smallest), hi = bits_of(largest) + 1;
    for (int64_t n = FC_TOKENS_KEPT; n > ENOUGH && hi - lo > 1;) {
        const uint64_t middle = lo + (hi - lo) / 2;
        const int64_t n_middle = count_from(sum, of_bits(middle));
        if (n_middle >= FC_TOKENS_SURE) {
            lo = middle;
            n = n_middle;
        } else {
            hi = middle;
        }
    }
    return of_bits(lo);
}

static void cut_back(fc_token_table *table)
{
    fc_token_slot token[FC_TOKENS_KEPT + 1];
    double sum[FC_TOKENS_KEPT];
    const int64_t n = list_tokens(table, token);
    FC_ASSERT(n == FC_TOKENS_KEPT);
    for (int64_t i = 0; i < FC_TOKENS_KEPT; i++) sum[i] = token[i].sum;
    const double amount = amount_to_cut(sum);
    memset(table->slot, 0, sizeof table->slot);
    table->n = 0;
    table->error += amount;
    for (int64_t i = 0; i < n; i++) {
        token[i].sum -= amount;
        if (!(token[i].sum > 0.0)) continue;
        *find(table, token[i].token) = token[i];
        table->n++;
    }
}

/* --- use -------------------------------------------------------------------------------- */

/* The slot of a token that is not in the table yet. */
static fc_token_slot *make_slot(fc_token_table *table, fc_token_slot *unused,
                                int32_t token)
{
    fc_token_slot *slot = unused;
    if (table->n == FC_TOKENS_KEPT) {
        cut_back(table);
        slot = find(table, token);
    }
    table->n++;
    slot->token = token;
    slot->count = 0;
    return slot;
}

void fc_token_mass_add(fc_token_mass *mass, const fc_hits *hits, const fc_block *block)
{
    fc_token_table *table = &mass->table[hits->feature];
    for (int64_t j = 0; j < hits->n; j++) {
        const int32_t token = block->token[hits->at[j]];
        fc_token_slot *slot = find(table, token);
        if (slot->sum == 0.0) slot = make_slot(table, slot, token);
        slot->count++;
        slot->sum += (double)hits->value[j];
    }
}

static int compare_sums(const void *a, const void *b)
{
    const fc_token_slot *p = a, *q = b;
    if (p->sum != q->sum) return p->sum > q->sum ? -1 : 1;
    return (p->token > q->token) - (p->token < q->token);
}

int64_t fc_token_mass_top(const fc_token_mass *mass, int64_t feature, int64_t n_max,
                          fc_token_slot *tokens)
{
    fc_token_slot all[FC_TOKENS_KEPT + 1];
    const int64_t n = list_tokens(&mass->table[feature], all);
    qsort(all, (size_t)n, sizeof *all, compare_sums);
    memcpy(tokens, all, (size_t)fc_min(n_max, n) * sizeof *tokens);
    return fc_min(n_max, n);
}
