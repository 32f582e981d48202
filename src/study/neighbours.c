/* neighbours.c - the nearest decoder rows of each live feature: nearest.c over the unit rows, and from
 * their places back to features.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/neighbours_internal.h"

#include "base/alloc.h"
#include "study/nearest_internal.h"

/* Lists by rank of the live feature; a live row of zeros has none. */
static void take(fc_neighbours *neighbours, const fc_nearest *nearest, const int32_t *id)
{
    for (int64_t i = 0; i < nearest->n; i++) {
        const int64_t rank = neighbours->rank[id[i]];
        neighbours->count[rank] = nearest->count[i];
        for (int64_t k = 0; k < nearest->count[i]; k++) {
            const fc_near near = nearest->list[i * FC_NEIGHBOURS + k];
            neighbours->list[rank * FC_NEIGHBOURS + k] =
                (fc_neighbour){id[near.row], near.score};
        }
    }
}

fc_status fc_neighbours_find(fc_neighbours *neighbours, const float *w_dec,
                             const bool *is_live, int64_t d_sae, int64_t d,
                             fc_backend *be, fc_err *err)
{
    *neighbours = (fc_neighbours){0};
    fc_nearest nearest = {0};
    fc_near_rows rows = {.d = d, .is_same = true, .job = "study"};
    fc_unit_rows units = {0};
    int64_t n_live = 0;
    fc_status status;
    FC_TRY_GOTO(
        fc_alloc(&neighbours->rank, d_sae, sizeof(int32_t), "live features", err));
    for (int64_t i = 0; i < d_sae; i++)
        neighbours->rank[i] = is_live[i] ? (int32_t)n_live++ : -1;
    FC_TRY_GOTO(fc_alloc(&neighbours->count, n_live, sizeof(int32_t), "neighbours", err));
    FC_TRY_GOTO(fc_alloc(&neighbours->list, n_live, FC_NEIGHBOURS * sizeof(fc_neighbour),
                         "neighbours", err));
    FC_TRY_GOTO(fc_unit_rows_of(&units, w_dec, is_live, d_sae, d, be, err));
    rows.a = rows.b = units.unit;
    rows.n_a = rows.n_b = units.n;
    FC_TRY_GOTO(fc_nearest_find(&nearest, &rows, FC_NEIGHBOURS, be, err));
    take(neighbours, &nearest, units.id);
done:
    fc_nearest_deinit(&nearest);
    fc_unit_rows_deinit(&units);
    if (status != FC_OK) fc_neighbours_deinit(neighbours);
    return status;
}

void fc_neighbours_deinit(fc_neighbours *neighbours)
{
    fc_free(neighbours->rank);
    fc_free(neighbours->list);
    fc_free(neighbours->count);
    *neighbours = (fc_neighbours){0};
}

const fc_neighbour *fc_neighbours_of(const fc_neighbours *neighbours, int64_t feature,
                                     int64_t *n)
{
    const int32_t rank = neighbours->rank[feature];
    *n = rank >= 0 ? neighbours->count[rank] : 0;
    return rank >= 0 ? neighbours->list + rank * FC_NEIGHBOURS : NULL;
}
