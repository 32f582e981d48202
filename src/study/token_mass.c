/* token_mass.c - sums of activation for each feature and token in bounded memory.
 *
 *   kept, <= 128   ->  a place for each rank   <-  up to 512 hits
 *                      |  more than 128 tokens? take an amount off all
 *   kept, <= 128   <-  what is left; places used are zero again
 *
 * Space-Saving keeps the same promise, but has to find the smallest counter at every new token; most
 * tokens of a feature that fires often are new and gone soon. Here a batch of hits is one round, and
 * adding to a place is the same for a new token as for a known one: there is no branch to guess, as
 * there is in a hash table. Sums are doubles, added in row order.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/token_mass_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/par.h"

enum {
    BATCH = 512,                   /* hits of a round */
    MOST = FC_TOKENS_KEPT + BATCH, /* tokens in a round */
    ENOUGH = 96                    /* an amount that so many sums reach is large enough */
};

fc_status fc_token_mass_init(fc_token_mass *mass, int64_t n_features, fc_err *err)
{
    *mass = (fc_token_mass){.n_workers = fc_par_threads()};
    return fc_alloc(&mass->table, n_features, sizeof *mass->table, "activation of tokens",
                    err);
}

void fc_token_mass_deinit(fc_token_mass *mass)
{
    fc_free(mass->table);
    fc_free(mass->place);
    fc_token_ranks_deinit(&mass->ranks);
    *mass = (fc_token_mass){0};
}

fc_status fc_token_mass_rank(fc_token_mass *mass, const int32_t *token, int64_t n,
                             int32_t *rank, fc_err *err)
{
    FC_TRY(fc_token_ranks_find(&mass->ranks, token, n, rank, err));
    if (mass->ranks.n <= mass->n_places) return FC_OK;
    fc_token_sum *place;
    const int64_t n_places = mass->ranks.capacity;
    FC_TRY(fc_alloc(&place, mass->n_workers * n_places, sizeof *place,
                    "activation of tokens", err));
    fc_free(mass->place);
    mass->place = place;
    mass->n_places = n_places;
    return FC_OK;
}

/* --- a round ---------------------------------------------------------------------------- */

typedef struct token_round {
    fc_token_sum *place;    /* by rank; unused: sum 0 */
    int32_t used[MOST + 1]; /* ranks in the order in which they came */
    int64_t n;
} token_round;

static void add(token_round *r, int32_t rank, double sum, uint32_t n)
{
    fc_token_sum *place = &r->place[rank];
    r->used[r->n] = rank;
    r->n += place->sum == 0.0;
    place->sum += sum;
    place->n += n;
}

/* The upper half of a double > 0: in the order of values, and enough of them to choose an amount. */
static int32_t key_of(double sum)
{
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    return (int32_t)(bits >> 32);
}

static double of_key(int32_t key)
{
    const uint64_t bits = (uint64_t)key << 32;
    double sum;
    memcpy(&sum, &bits, sizeof sum);
    return sum;
}

static int32_t count_from(const int32_t *key, int64_t n, int32_t least)
{
    int32_t n_from = 0;
    for (int64_t i = 0; i < n; i++) n_from += key[i] >= least;
    return n_from;
}

/* An amount that FC_TOKENS_SURE to ENOUGH sums reach, bisected over the keys. If equal keys allow
 * none, the next above: then more than ENOUGH lose all they have, a millionth less at most. */
static double amount_to_cut(const token_round *r)
{
    int32_t key[MOST], lo = INT32_MAX, hi = 0;
    for (int64_t i = 0; i < r->n; i++) {
        key[i] = key_of(r->place[r->used[i]].sum);
        lo = key[i] < lo ? key[i] : lo;
        hi = key[i] > hi ? key[i] : hi;
    }
    int64_t n_lo = r->n;
    for (hi++; n_lo > ENOUGH && hi - lo > 1;) {
        const int32_t middle = lo + (hi - lo) / 2;
        const int64_t n = count_from(key, r->n, middle);
        if (n >= FC_TOKENS_SURE) {
            lo = middle;
            n_lo = n;
        } else {
            hi = middle;
        }
    }
    return of_key(n_lo > ENOUGH ? hi : lo);
}

/* Keeps what is left after an amount is taken off, and clears the places. */
static void keep(fc_token_table *table, const token_round *r, double amount)
{
    int64_t n = 0;
    for (int64_t i = 0; i < r->n; i++) {
        fc_token_sum *place = &r->place[r->used[i]];
        const double rest = place->sum - amount;
        table->kept[n] = (fc_token_sum){rest, r->used[i], place->n};
        n += rest > 0.0;
        *place = (fc_token_sum){0};
    }
    table->n = n;
    table->error += amount;
}

static void run_round(fc_token_table *table, fc_token_sum *place, const int32_t *at,
                      const float *value, int64_t n, const int32_t *rank)
{
    token_round r = {.place = place};
    for (int64_t i = 0; i < table->n; i++)
        add(&r, table->kept[i].token, table->kept[i].sum, table->kept[i].n);
    for (int64_t j = 0; j < n; j++) add(&r, rank[at[j]], (double)value[j], 1);
    keep(table, &r, r.n > FC_TOKENS_KEPT ? amount_to_cut(&r) : 0.0);
}

/* --- use -------------------------------------------------------------------------------- */

void fc_token_mass_add(fc_token_mass *mass, const fc_hits *hits, const fc_block *block,
                       int worker)
{
    fc_token_table *table = &mass->table[hits->feature];
    fc_token_sum *place = mass->place + worker * mass->n_places;
    for (int64_t j = 0; j < hits->n; j += BATCH)
        run_round(table, place, hits->at + j, hits->value + j, fc_min(BATCH, hits->n - j),
                  block->rank);
}

static int compare_sums(const void *a, const void *b)
{
    const fc_token_sum *p = a, *q = b;
    if (p->sum != q->sum) return p->sum > q->sum ? -1 : 1;
    return (p->token > q->token) - (p->token < q->token);
}

int64_t fc_token_mass_top(const fc_token_mass *mass, int64_t feature, int64_t n_max,
                          fc_token_sum *tokens)
{
    const fc_token_table *table = &mass->table[feature];
    fc_token_sum all[FC_TOKENS_KEPT];
    for (int64_t i = 0; i < table->n; i++) {
        all[i] = table->kept[i];
        all[i].token = mass->ranks.token[all[i].token];
    }
    qsort(all, (size_t)table->n, sizeof *all, compare_sums);
    const int64_t n = fc_min(n_max, table->n);
    memcpy(tokens, all, (size_t)n * sizeof *tokens);
    return n;
}
