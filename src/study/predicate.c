/* predicate.c - predicates over facts, and their base rates.
 *
 * Facts are kept as sets of rows, one bit a row, so a conjunction of two facts is counted at
 * 64 rows a step; pieces are found through rows sorted by id.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/predicate_internal.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/par.h"

enum { ROW_GRAIN = 1024 };

/* --- predicates ------------------------------------------------------------------------- */

fc_role fc_predicate_role(const fc_predicate *predicate)
{
    switch (predicate->group) {
    case FC_FACT_TOKEN: return FC_ROLE_WORD;
    case FC_FACT_BEFORE: return FC_ROLE_BEFORE;
    case FC_FACT_AFTER: return FC_ROLE_AFTER;
    case FC_FACT_STAND:
    case FC_N_FACT_GROUPS: break;
    }
    if (predicate->bit < FC_N_SLOTS) return FC_ROLE_SLOT;
    return predicate->bit < FC_N_SLOTS_AND_PARTS ? FC_ROLE_PART : FC_ROLE_PLACE;
}

static int32_t id_at(const fc_facts *facts, fc_fact_group group)
{
    if (group == FC_FACT_TOKEN) return facts->token;
    return group == FC_FACT_BEFORE ? facts->before : facts->after;
}

bool fc_predicate_holds(const fc_predicate *predicate, const fc_facts *facts)
{
    if (predicate->n_pieces == 0)
        return (facts->bits[predicate->group] >> predicate->bit & 1) != 0;
    const int32_t id = id_at(facts, predicate->group);
    for (int i = 0; i < predicate->n_pieces; i++)
        if (predicate->piece[i] == id) return true;
    return false;
}

fc_predicate fc_predicate_of_fact(int fact)
{
    const int group = (int)fc_min(fact / FC_N_CLASSES, FC_FACT_STAND);
    return (fc_predicate){.group = (fc_fact_group)group,
                          .bit = fact - group * FC_N_CLASSES};
}

static int number_of(const fc_predicate *predicate)
{
    return (int)predicate->group * FC_N_CLASSES + predicate->bit;
}

int fc_facts_list(const fc_facts *facts, int list[FC_N_FACTS])
{
    int n = 0;
    for (int group = 0; group < FC_N_FACT_GROUPS; group++)
        for (uint64_t bits = facts->bits[group]; bits != 0; bits &= bits - 1)
            list[n++] = group * FC_N_CLASSES + __builtin_ctzll(bits);
    return n;
}

/* --- the corpus ------------------------------------------------------------------------- */

typedef struct gathering {
    fc_corpus_facts *corpus;
    const fc_store *store;
    const fc_token_kinds *kinds;
} gathering;

static void gather(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const gathering *g = ctx;
    const int64_t n_rows = fc_store_rows(g->store);
    for (int64_t i = begin; i < end; i++) {
        const int64_t row =
            (int64_t)((double)i * ((double)n_rows / (double)g->corpus->n));
        fc_facts_of(&g->corpus->facts[i], g->store, g->kinds, fc_min(row, n_rows - 1));
    }
}

/* An id and its row as one number to sort by; ids are at least -1. */
static int compare_i64(const void *a, const void *b)
{
    const int64_t p = *(const int64_t *)a, q = *(const int64_t *)b;
    return (p > q) - (p < q);
}

static fc_status sort_rows(fc_corpus_facts *corpus, fc_err *err)
{
    int64_t *key = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&key, corpus->n, sizeof *key, "rows by token", err));
    for (int where = 0; where < 3; where++) {
        FC_TRY_GOTO(fc_alloc(&corpus->order[where], corpus->n, sizeof(int32_t),
                             "rows by token", err));
        for (int64_t i = 0; i < corpus->n; i++)
            key[i] = ((int64_t)id_at(&corpus->facts[i], (fc_fact_group)where) + 1) *
                         FC_CORPUS_ROWS +
                     i;
        qsort(key, (size_t)corpus->n, sizeof *key, compare_i64);
        for (int64_t i = 0; i < corpus->n; i++)
            corpus->order[where][i] = (int32_t)(key[i] % FC_CORPUS_ROWS);
    }
done:
    fc_free(key);
    return status;
}

static void make_sets(fc_corpus_facts *corpus)
{
    for (int64_t i = 0; i < corpus->n; i++) {
        int list[FC_N_FACTS];
        const int n = fc_facts_list(&corpus->facts[i], list);
        for (int k = 0; k < n; k++) {
            corpus->set[list[k] * corpus->n_words + i / 64] |= UINT64_C(1) << (i % 64);
            corpus->count[list[k]]++;
        }
    }
}

fc_status fc_corpus_facts_init(fc_corpus_facts *corpus, const fc_store *store,
                               const fc_token_kinds *kinds, fc_err *err)
{
    *corpus = (fc_corpus_facts){.n = fc_min(FC_CORPUS_ROWS, fc_store_rows(store))};
    corpus->n_words = fc_ceil_div(corpus->n, 64);
    gathering g = {corpus, store, kinds};
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&corpus->facts, corpus->n, sizeof *corpus->facts,
                         "facts of the corpus", err));
    FC_TRY_GOTO(fc_alloc(&corpus->set, FC_N_FACTS * corpus->n_words, sizeof(uint64_t),
                         "facts of the corpus", err));
    FC_TRY_GOTO(
        fc_alloc(&corpus->count, FC_N_FACTS, sizeof(int64_t), "counts of facts", err));
    fc_par_for(corpus->n, ROW_GRAIN, gather, &g);
    FC_TRY_GOTO(sort_rows(corpus, err));
    make_sets(corpus);
done:
    if (status != FC_OK) fc_corpus_facts_deinit(corpus);
    return status;
}

void fc_corpus_facts_deinit(fc_corpus_facts *corpus)
{
    fc_free(corpus->facts);
    fc_free(corpus->set);
    fc_free(corpus->count);
    for (int i = 0; i < 3; i++) fc_free(corpus->order[i]);
    *corpus = (fc_corpus_facts){0};
}

/* --- base rates ------------------------------------------------------------------------- */

/* First place in the order whose id is not below `id`. */
static int64_t lower_bound(const fc_corpus_facts *corpus, fc_fact_group where, int32_t id)
{
    int64_t lo = 0, hi = corpus->n;
    while (lo < hi) {
        const int64_t middle = lo + (hi - lo) / 2;
        if (id_at(&corpus->facts[corpus->order[where][middle]], where) < id)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo;
}

/* Rows on which a predicate of pieces holds, and another if it is given. */
static int64_t count_pieces(const fc_corpus_facts *corpus, const fc_predicate *pieces,
                            const fc_predicate *other)
{
    int64_t n = 0;
    for (int i = 0; i < pieces->n_pieces; i++) {
        const int32_t id = pieces->piece[i];
        const int32_t *order = corpus->order[pieces->group];
        const int64_t begin = lower_bound(corpus, pieces->group, id),
                      end = lower_bound(corpus, pieces->group, id + 1);
        if (other == NULL) n += end - begin;
        for (int64_t k = begin; other != NULL && k < end; k++)
            n += fc_predicate_holds(other, &corpus->facts[order[k]]);
    }
    return n;
}

double fc_corpus_share(const fc_corpus_facts *corpus, const fc_predicate *a,
                       const fc_predicate *b)
{
    int64_t n = 0;
    if (a->n_pieces > 0) {
        n = count_pieces(corpus, a, b);
    } else if (b != NULL && b->n_pieces > 0) {
        n = count_pieces(corpus, b, a);
    } else if (b == NULL) {
        n = corpus->count[number_of(a)];
    } else {
        const uint64_t *p = corpus->set + number_of(a) * corpus->n_words,
                       *q = corpus->set + number_of(b) * corpus->n_words;
        for (int64_t i = 0; i < corpus->n_words; i++)
            n += __builtin_popcountll(p[i] & q[i]);
    }
    return ((double)n + 0.5) / ((double)corpus->n + 1.0);
}
