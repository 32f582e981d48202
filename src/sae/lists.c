/* lists.c - turns lists by feature into lists by row of the batch.
 *
 * In blocks of features: a count for each block and row says where its entries begin, so that
 * threads fill in their own.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/lists.h"

#include <string.h>

#include "base/alloc.h"
#include "base/par.h"

enum { TURN_ROWS = 512 }; /* features of a block */

/* --- memory ----------------------------------------------------------------------------- */

static int64_t n_blocks(const fc_lists *l)
{
    return fc_ceil_div(l->d_sae, TURN_ROWS);
}

static fc_status alloc_all(fc_lists *l, int64_t row, bool has_second, fc_err *err)
{
    const char *what = "lists of features";
    const int64_t n_entries = row > 0 ? l->d_sae * row : l->capacity;
    FC_TRY(fc_alloc(&l->begin, l->d_sae, sizeof *l->begin, what, err));
    FC_TRY(fc_alloc(&l->count, l->d_sae, sizeof *l->count, what, err));
    FC_TRY(fc_alloc(&l->index, n_entries, sizeof *l->index, what, err));
    FC_TRY(fc_alloc(&l->value, n_entries, sizeof *l->value, what, err));
    FC_TRY(fc_alloc(&l->token_begin, l->n_max + 1, sizeof *l->token_begin, what, err));
    FC_TRY(fc_alloc(&l->token_count, l->n_max, sizeof *l->token_count, what, err));
    FC_TRY(fc_alloc(&l->feature, l->capacity, sizeof *l->feature, what, err));
    FC_TRY(fc_alloc(&l->token_value, l->capacity, sizeof *l->token_value, what, err));
    FC_TRY(fc_alloc(&l->turn, n_blocks(l) * l->n_max, sizeof *l->turn, what, err));
    FC_TRY(fc_alloc(&l->part_begin, l->n_max, sizeof *l->part_begin, what, err));
    FC_TRY(fc_alloc(&l->part_count, l->n_max, sizeof *l->part_count, what, err));
    if (!has_second) return FC_OK;
    FC_TRY(fc_alloc(&l->second, n_entries, sizeof *l->second, what, err));
    return fc_alloc(&l->token_second, l->capacity, sizeof *l->token_second, what, err);
}

fc_status fc_lists_init(fc_lists *l, int64_t d_sae, int64_t n_max, int64_t row,
                        int64_t capacity, bool has_second, fc_err *err)
{
    *l = (fc_lists){.d_sae = d_sae, .n_max = n_max, .capacity = capacity};
    const fc_status status = alloc_all(l, row, has_second, err);
    if (status != FC_OK) {
        fc_lists_deinit(l);
        return status;
    }
    for (int64_t i = 0; i < d_sae; i++) l->begin[i] = i * row;
    return FC_OK;
}

void fc_lists_deinit(fc_lists *l)
{
    void *const arrays[] = {l->begin,       l->count,   l->index,        l->value,
                            l->second,      l->turn,    l->token_begin,  l->token_count,
                            l->token_value, l->feature, l->token_second, l->part_begin,
                            l->part_count};
    for (size_t i = 0; i < FC_LEN(arrays); i++) fc_free(arrays[i]);
    *l = (fc_lists){0};
}

/* --- turning ---------------------------------------------------------------------------- */

/* Entries of feature i that are turned. */
static int64_t n_front(const fc_lists *l, int64_t i)
{
    return l->front != NULL ? fc_min(l->front[i], l->count[i]) : l->count[i];
}

static void count_block(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const fc_lists *l = ctx;
    int32_t *count = l->turn + begin / TURN_ROWS * l->n_max;
    memset(count, 0, (size_t)l->n * sizeof *count);
    for (int64_t i = begin; i < end; i++) {
        const int32_t *index = l->index + l->begin[i];
        const int64_t n = n_front(l, i);
        for (int64_t j = 0; j < n; j++) count[index[j]]++;
    }
}

/* Counts become places: first those of row 0, block by block, then those of row 1, ... */
static void place_blocks(fc_lists *l)
{
    int64_t place = 0;
    for (int64_t t = 0; t < l->n; t++) {
        l->token_begin[t] = place;
        for (int64_t b = 0; b < n_blocks(l); b++) {
            int32_t *count = l->turn + b * l->n_max + t;
            const int32_t n = *count;
            *count = (int32_t)(place - l->token_begin[t]);
            place += n;
        }
        l->token_count[t] = place - l->token_begin[t];
    }
    l->token_begin[l->n] = place;
    FC_CHECK(place <= l->capacity);
}

static void fill_block(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const fc_lists *l = ctx;
    int32_t *place = l->turn + begin / TURN_ROWS * l->n_max;
    for (int64_t i = begin; i < end; i++) {
        const int32_t *index = l->index + l->begin[i];
        const float *value = l->value + l->begin[i];
        const float *second = l->second != NULL ? l->second + l->begin[i] : NULL;
        const int64_t n = n_front(l, i);
        for (int64_t j = 0; j < n; j++) {
            const int64_t to = l->token_begin[index[j]] + place[index[j]]++;
            l->feature[to] = (int32_t)i;
            l->token_value[to] = value[j];
            if (second != NULL) l->token_second[to] = second[j];
        }
    }
}

void fc_lists_turn(fc_lists *l, int64_t n)
{
    l->n = n;
    fc_par_for(l->d_sae, TURN_ROWS, count_block, l);
    place_blocks(l);
    fc_par_for(l->d_sae, TURN_ROWS, fill_block, l);
}

fc_sparse fc_lists_by_row(const fc_lists *l)
{
    const fc_sparse s = {.n_rows = l->n,
                         .n_cols = l->d_sae,
                         .begin = l->token_begin,
                         .count = l->token_count,
                         .index = l->feature,
                         .value = l->token_value};
    return s;
}

fc_sparse fc_lists_second_by_row(const fc_lists *l)
{
    fc_sparse s = fc_lists_by_row(l);
    s.value = l->token_second;
    return s;
}

/* The first of n ascending ids that is not below `id`. */
static int64_t first_from(const int32_t *ids, int64_t n, int64_t id)
{
    int64_t begin = 0;
    while (n > 0) {
        const int64_t half = n / 2;
        if (ids[begin + half] < id) {
            begin += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return begin;
}

fc_sparse fc_lists_part_by_row(const fc_lists *l, int64_t first, int64_t last)
{
    fc_sparse s = fc_lists_by_row(l);
    for (int64_t t = 0; t < l->n; t++) {
        const int32_t *ids = l->feature + l->token_begin[t];
        const int64_t begin = first_from(ids, l->token_count[t], first);
        const int64_t end = first_from(ids, l->token_count[t], last);
        l->part_begin[t] = l->token_begin[t] + begin;
        l->part_count[t] = end - begin;
    }
    s.begin = l->part_begin;
    s.count = l->part_count;
    return s;
}

fc_sparse fc_lists_by_feature(const fc_lists *l, int64_t first, int64_t n_rows,
                              int64_t *begin)
{
    const int64_t at = n_rows > 0 ? l->begin[first] : 0;
    for (int64_t r = 0; r < n_rows; r++) begin[r] = l->begin[first + r] - at;
    const fc_sparse s = {.n_rows = n_rows,
                         .n_cols = l->n,
                         .begin = begin,
                         .count = l->count + first,
                         .index = l->index + at,
                         .value = l->value + at};
    return s;
}
