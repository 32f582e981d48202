/* neighbours.c - the nearest decoder rows of each live feature.
 *
 *   U [n_live, d]     rows of W_dec, unit length
 *   C = U_i U_j^T     cosines, in tiles of 512 x 1024
 *
 * All pairs, because a product of this size takes a second and an index would be more code than
 * it saves. Float32: rounding operands to bf16 would move cosines in the third digit, and the order
 * of near neighbours with them. A tile is scanned once; only what exceeds the last of a full list
 * is inserted, so the scan costs a comparison for each cosine.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/neighbours_internal.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/log.h"
#include "base/par.h"

enum { TILE_ROWS = 512, TILE_COLS = 1024, ROW_GRAIN = 32 };

typedef struct workspace {
    fc_neighbours *found;
    int64_t n, d;
    int32_t *id;            /* [n] live features with a direction, ascending */
    float *unit;            /* [n, d] */
    float *tile;            /* [TILE_ROWS, TILE_COLS] */
    int64_t row, col, cols; /* of the tile */
} workspace;

static void insert(fc_neighbour *list, int32_t *count, fc_neighbour one)
{
    int32_t at = *count < FC_NEIGHBOURS ? (*count)++ : FC_NEIGHBOURS - 1;
    for (; at > 0 && list[at - 1].cosine < one.cosine; at--) list[at] = list[at - 1];
    list[at] = one;
}

/* Columns come in ascending order, so of equal cosines the lower id is there first and stays. */
static void scan_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const workspace *w = ctx;
    for (int64_t i = begin; i < end; i++) {
        const int64_t row = w->row + i, own = w->found->rank[w->id[row]];
        fc_neighbour *list = w->found->list + own * FC_NEIGHBOURS;
        int32_t *count = &w->found->count[own];
        const float *cosine = w->tile + i * TILE_COLS;
        for (int64_t j = 0; j < w->cols; j++) {
            const double c = (double)cosine[j];
            if (*count == FC_NEIGHBOURS && c <= list[FC_NEIGHBOURS - 1].cosine) continue;
            if (w->col + j != row)
                insert(list, count, (fc_neighbour){w->id[w->col + j], c});
        }
    }
}

static fc_status scan(workspace *w, fc_backend *be, fc_err *err)
{
    fc_progress progress = fc_progress_begin("study", "neighbours", 0.0, (double)w->n);
    fc_status status = FC_OK;
    for (w->row = 0; w->row < w->n && status == FC_OK; w->row += TILE_ROWS) {
        const int64_t rows = fc_min(TILE_ROWS, w->n - w->row);
        const fc_mat a = fc_mat_of(w->unit + w->row * w->d, FC_F32, rows, w->d);
        for (w->col = 0; w->col < w->n; w->col += TILE_COLS) {
            w->cols = fc_min(TILE_COLS, w->n - w->col);
            const fc_mat b = fc_mat_of(w->unit + w->col * w->d, FC_F32, w->cols, w->d);
            be->ops->matmul(be, w->tile, TILE_COLS, a, fc_mat_transposed(b),
                            FC_PRECISION_F32, false);
            fc_par_for(rows, ROW_GRAIN, scan_rows, w);
        }
        if (fc_cancel_requested())
            status = fc_fail(err, FC_CANCELLED, "study was interrupted at neighbours");
        fc_progress_set(&progress, (double)(w->row + rows));
    }
    fc_progress_end(&progress);
    return status;
}

/* Unit rows of the live features that have a direction; their number becomes w->n. */
static fc_status take_rows(workspace *w, const float *w_dec, const bool *is_live,
                           int64_t d_sae, fc_backend *be, fc_err *err)
{
    const int64_t d = w->d;
    fc_status status;
    int64_t n = 0;
    float *norm = NULL;
    FC_TRY_GOTO(fc_alloc(&norm, d_sae, sizeof *norm, "decoder norms", err));
    be->ops->row_norms(be, norm, w_dec, d_sae, d);
    for (int64_t i = 0; i < d_sae; i++) {
        w->found->rank[i] = is_live[i] ? (int32_t)n : -1;
        n += is_live[i];
    }
    size_t row_bytes;
    FC_TRY_GOTO(fc_bytes(d, sizeof *w->unit, &row_bytes, err));
    FC_TRY_GOTO(fc_alloc(&w->id, n, sizeof *w->id, "live features", err));
    FC_TRY_GOTO(fc_alloc(&w->unit, n, row_bytes, "unit decoder rows", err));
    FC_TRY_GOTO(fc_alloc(&w->found->count, n, sizeof(int32_t), "neighbours", err));
    FC_TRY_GOTO(fc_alloc(&w->found->list, n, FC_NEIGHBOURS * sizeof(fc_neighbour),
                         "neighbours", err));
    for (int64_t i = 0; i < d_sae; i++) {
        if (!is_live[i] || !(norm[i] > 0.0f)) continue;
        memcpy(w->unit + w->n * d, w_dec + i * d, row_bytes);
        w->id[w->n++] = (int32_t)i;
    }
    be->ops->unit_rows(be, w->unit, NULL, w->n, d, 1.0f);
done:
    fc_free(norm);
    return status;
}

fc_status fc_neighbours_find(fc_neighbours *neighbours, const float *w_dec,
                             const bool *is_live, int64_t d_sae, int64_t d,
                             fc_backend *be, fc_err *err)
{
    *neighbours = (fc_neighbours){0};
    workspace w = {.found = neighbours, .d = d};
    fc_status status;
    FC_TRY_GOTO(
        fc_alloc(&neighbours->rank, d_sae, sizeof(int32_t), "live features", err));
    FC_TRY_GOTO(fc_alloc(&w.tile, TILE_ROWS, TILE_COLS * sizeof *w.tile, "cosines", err));
    FC_TRY_GOTO(take_rows(&w, w_dec, is_live, d_sae, be, err));
    FC_TRY_GOTO(scan(&w, be, err));
done:
    fc_free(w.id);
    fc_free(w.unit);
    fc_free(w.tile);
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
