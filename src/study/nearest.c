/* nearest.c - products in tiles of 512 x 1024, each scanned while it is in the cache.
 *
 *   C = A_i B_j^T     tile of scores
 *
 * Only what exceeds the last of a full list is inserted, so the scan costs a comparison for each
 * pair.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/nearest_internal.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/log.h"
#include "base/par.h"

enum { TILE_ROWS = 512, TILE_COLS = 1024, ROW_GRAIN = 32 };

typedef struct workspace {
    fc_nearest *nearest;
    const fc_near_rows *rows;
    float *tile;            /* [TILE_ROWS, TILE_COLS] */
    int64_t row, col, cols; /* of the tile */
} workspace;

static void insert(fc_near *list, int32_t *count, int64_t k, fc_near one)
{
    int64_t at = *count < k ? (*count)++ : k - 1;
    for (; at > 0 && list[at - 1].score < one.score; at--) list[at] = list[at - 1];
    list[at] = one;
}

/* Columns come in ascending order, so of equal scores the lower one is there first and stays. */
static void scan_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const workspace *w = ctx;
    const int64_t k = w->nearest->k;
    const double *bias = w->rows->bias;
    for (int64_t i = begin; i < end; i++) {
        const int64_t row = w->row + i;
        const int64_t skip = w->rows->is_same ? row - w->col : -1;
        fc_near *list = w->nearest->list + row * k;
        int32_t *count = &w->nearest->count[row];
        const float *product = w->tile + i * TILE_COLS;
        for (int64_t j = 0; j < w->cols; j++) {
            const double score =
                (double)product[j] + (bias != NULL ? bias[w->col + j] : 0.0);
            if (*count == k && score <= list[k - 1].score) continue;
            if (j != skip)
                insert(list, count, k, (fc_near){score, (int32_t)(w->col + j)});
        }
    }
}

static void scan_panel(workspace *w, fc_backend *be)
{
    const fc_near_rows *r = w->rows;
    const int64_t n_rows = fc_min(TILE_ROWS, r->n_a - w->row);
    const fc_mat a = fc_mat_of(r->a + w->row * r->d, FC_F32, n_rows, r->d);
    for (w->col = 0; w->col < r->n_b; w->col += TILE_COLS) {
        w->cols = fc_min(TILE_COLS, r->n_b - w->col);
        const fc_mat b = fc_mat_of(r->b + w->col * r->d, FC_F32, w->cols, r->d);
        be->ops->matmul(be, w->tile, TILE_COLS, a, fc_mat_transposed(b), FC_PRECISION_F32,
                        false);
        fc_par_for(n_rows, ROW_GRAIN, scan_rows, w);
    }
}

fc_status fc_nearest_find(fc_nearest *nearest, const fc_near_rows *rows, int64_t k,
                          fc_backend *be, fc_err *err)
{
    *nearest = (fc_nearest){.n = rows->n_a, .k = k};
    workspace w = {.nearest = nearest, .rows = rows};
    fc_status status;
    size_t list_bytes;
    fc_progress progress =
        fc_progress_begin(rows->job, "neighbours", 0.0, (double)rows->n_a);
    FC_TRY_GOTO(fc_bytes(k, sizeof(fc_near), &list_bytes, err));
    FC_TRY_GOTO(fc_alloc(&nearest->list, rows->n_a, list_bytes, "neighbours", err));
    FC_TRY_GOTO(fc_alloc(&nearest->count, rows->n_a, sizeof(int32_t), "neighbours", err));
    FC_TRY_GOTO(fc_alloc(&w.tile, TILE_ROWS, TILE_COLS * sizeof *w.tile, "cosines", err));
    for (; w.row < rows->n_a && k > 0; w.row += TILE_ROWS) {
        scan_panel(&w, be);
        if (fc_cancel_requested())
            FC_TRY_GOTO(fc_fail(err, FC_CANCELLED, "%s was interrupted at neighbours",
                                rows->job));
        fc_progress_set(&progress, (double)fc_min(w.row + TILE_ROWS, rows->n_a));
    }
done:
    fc_progress_end(&progress);
    fc_free(w.tile);
    if (status != FC_OK) fc_nearest_deinit(nearest);
    return status;
}

void fc_nearest_deinit(fc_nearest *nearest)
{
    fc_free(nearest->list);
    fc_free(nearest->count);
    *nearest = (fc_nearest){0};
}

/* Number of rows to keep; the norm of the others becomes 0. */
static int64_t choose_rows(float *norm, const bool *is_marked, int64_t n)
{
    int64_t n_kept = 0;
    for (int64_t i = 0; i < n; i++) {
        const bool has_direction = norm[i] > 0.0f && isfinite(norm[i]);
        if (!has_direction || (is_marked != NULL && !is_marked[i])) norm[i] = 0.0f;
        n_kept += norm[i] > 0.0f;
    }
    return n_kept;
}

fc_status fc_unit_rows_of(fc_unit_rows *rows, const float *w, const bool *is_marked,
                          int64_t n, int64_t d, fc_backend *be, fc_err *err)
{
    fc_status status;
    size_t row_bytes;
    float *norm = NULL;
    *rows = (fc_unit_rows){0};
    FC_TRY_GOTO(fc_alloc(&norm, n, sizeof *norm, "lengths of rows", err));
    be->ops->row_norms(be, norm, w, n, d);
    const int64_t n_kept = choose_rows(norm, is_marked, n);
    FC_TRY_GOTO(fc_bytes(d, sizeof *rows->unit, &row_bytes, err));
    FC_TRY_GOTO(fc_alloc(&rows->unit, n_kept, row_bytes, "unit rows", err));
    FC_TRY_GOTO(fc_alloc(&rows->id, n_kept, sizeof *rows->id, "unit rows", err));
    for (int64_t i = 0; i < n; i++) {
        if (norm[i] == 0.0f) continue;
        memcpy(rows->unit + rows->n * d, w + i * d, row_bytes);
        rows->id[rows->n++] = (int32_t)i;
    }
    be->ops->unit_rows(be, rows->unit, NULL, n_kept, d, 1.0f);
done:
    fc_free(norm);
    if (status != FC_OK) fc_unit_rows_deinit(rows);
    return status;
}

void fc_unit_rows_deinit(fc_unit_rows *rows)
{
    fc_free(rows->unit);
    fc_free(rows->id);
    *rows = (fc_unit_rows){0};
}
