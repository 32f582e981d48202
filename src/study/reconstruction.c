/* reconstruction.c - decodes what fires and sums the errors.
 *
 * A feature that fires on fewer than 1 row in 8 of the block is added hit by hit, y_t += f_it w_i;
 * the others are gathered and go through one dense product. Silent features cost a look at their
 * count. Which way a feature goes depends on the block alone, columns are independent, and in both
 * ways the features are added in ascending order: any number of threads gives the same bytes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/reconstruction_internal.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/par.h"

enum {
    DENSE_SHARE = 8, /* dense when it fires on 1/8 of the rows: measured break-even */
    PANEL = 64,      /* so many columns of y, of all rows, stay in the second cache */
    ROWS = 16
};

fc_status fc_reconstruction_init(fc_reconstruction *r, int64_t d, int64_t n_max,
                                 int64_t n_features_max, fc_err *err)
{
    fc_reconstruction s = {.d = d, .n_max = n_max};
    const int64_t panels = fc_ceil_div(d, PANEL), most_hits = n_max / DENSE_SHARE + 1;
    size_t row_bytes;
    fc_status status;
    FC_TRY_GOTO(fc_bytes(d, sizeof *s.y, &row_bytes, err));
    FC_TRY_GOTO(fc_alloc(&s.y, n_max, row_bytes, "reconstruction", err));
    FC_TRY_GOTO(fc_alloc(&s.y_panel, panels * n_max, PANEL * sizeof *s.y_panel,
                         "reconstruction", err));
    FC_TRY_GOTO(fc_alloc(&s.hit, n_features_max * most_hits, sizeof *s.hit, "hits", err));
    FC_TRY_GOTO(fc_alloc(&s.begin, n_features_max + 1, sizeof *s.begin, "hits", err));
    FC_TRY_GOTO(fc_alloc(&s.w, n_features_max, row_bytes, "gathered decoder rows", err));
    FC_TRY_GOTO(fc_alloc(&s.row, n_max, sizeof *s.row, "row errors", err));
    FC_TRY_GOTO(fc_alloc(&s.origin, 1, row_bytes, "first row", err));
    FC_TRY_GOTO(fc_alloc(&s.sum, d, sizeof *s.sum, "column sums", err));
    FC_TRY_GOTO(fc_alloc(&s.sq, d, sizeof *s.sq, "column sums of squares", err));
done:
    if (status != FC_OK) fc_reconstruction_deinit(&s);
    *r = s;
    return status;
}

void fc_reconstruction_deinit(fc_reconstruction *r)
{
    fc_free(r->y);
    fc_free(r->y_panel);
    fc_free(r->hit);
    fc_free(r->begin);
    fc_free(r->w);
    fc_free(r->row);
    fc_free(r->origin);
    fc_free(r->sum);
    fc_free(r->sq);
    *r = (fc_reconstruction){0};
}

void fc_reconstruction_begin(fc_reconstruction *r, int64_t n)
{
    memset(r->y, 0, (size_t)(n * r->d) * sizeof *r->y);
    for (int64_t j = 0; j < r->d; j += PANEL)
        memset(r->y_panel + j * r->n_max, 0, (size_t)(n * PANEL) * sizeof *r->y_panel);
}

/* --- decode ----------------------------------------------------------------------------- */

typedef struct sparse_add {
    fc_reconstruction *r;
    const float *w;
    int64_t n_features;
} sparse_add;

static bool is_dense(const fc_chunk *chunk, int64_t feature)
{
    return chunk->count[feature] * DENSE_SHARE >= chunk->n;
}

/* y += f w. The usual width is a constant, for the compiler. */
static void add_scaled(float *restrict y, const float *restrict w, float f, int64_t n)
{
    if (n == PANEL)
        for (int64_t j = 0; j < PANEL; j++) y[j] += f * w[j];
    else
        for (int64_t j = 0; j < n; j++) y[j] += f * w[j];
}

/* Panels begin .. end-1: y_t += f_it w_i where feature i fires. */
static void add_sparse_panels(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const sparse_add *a = ctx;
    const fc_reconstruction *r = a->r;
    for (int64_t p = begin; p < end; p++) {
        float *y = r->y_panel + p * r->n_max * PANEL;
        const int64_t n = fc_min(PANEL, r->d - p * PANEL);
        for (int64_t i = 0; i < a->n_features; i++) {
            const float *w = a->w + i * r->d + p * PANEL;
            for (int64_t k = r->begin[i]; k < r->begin[i + 1]; k++)
                add_scaled(y + r->hit[k].row * PANEL, w, r->hit[k].value, n);
        }
    }
}

/* Puts the hits of seldom firing features one after the other; returns how many there are. */
static int64_t list_sparse_hits(fc_reconstruction *r, const fc_chunk *chunk)
{
    int64_t n_hits = 0;
    for (int64_t i = 0; i < chunk->n_features; i++) {
        r->begin[i] = n_hits;
        if (is_dense(chunk, i)) continue;
        const int32_t *at = chunk->at + i * chunk->stride;
        const float *value = chunk->value + i * chunk->stride;
        for (int64_t k = 0; k < chunk->count[i]; k++)
            r->hit[n_hits++] = (fc_sparse_hit){at[k], value[k]};
    }
    r->begin[chunk->n_features] = n_hits;
    return n_hits;
}

/* Moves the others to the front of f, and their decoder rows into r->w; returns how many. */
static int64_t gather_dense(fc_reconstruction *r, const fc_chunk *chunk, const float *w)
{
    int64_t n_dense = 0;
    for (int64_t i = 0; i < chunk->n_features; i++) {
        if (!is_dense(chunk, i)) continue;
        memmove(chunk->f + n_dense * chunk->n, chunk->f + i * chunk->n,
                (size_t)chunk->n * sizeof *chunk->f);
        memcpy(r->w + n_dense * r->d, w + i * r->d, (size_t)r->d * sizeof *w);
        n_dense++;
    }
    return n_dense;
}

void fc_reconstruction_add(fc_reconstruction *r, fc_backend *be, fc_precision precision,
                           const fc_chunk *chunk, const float *w)
{
    sparse_add a = {r, w, chunk->n_features};
    if (list_sparse_hits(r, chunk) > 0)
        fc_par_for(fc_ceil_div(r->d, PANEL), 1, add_sparse_panels, &a);
    const int64_t n_dense = gather_dense(r, chunk, w);
    if (n_dense == 0) return;
    const fc_mat codes =
        fc_mat_transposed(fc_mat_of(chunk->f, FC_F32, n_dense, chunk->n));
    be->ops->matmul(be, r->y, r->d, codes, fc_mat_of(r->w, FC_F32, n_dense, r->d),
                    precision, true);
}

/* --- errors ----------------------------------------------------------------------------- */

typedef struct block_end {
    fc_reconstruction *r;
    const float *x, *bias;
    int64_t n;
} block_end;

/* x[n] - y - y_panel - bias, squared and summed, n <= PANEL. */
static double panel_error(const float *x, const float *y, const float *y_panel,
                          const float *bias, int64_t n)
{
    double lane[8] = {0};
    for (int64_t j = 0; j < n; j++) {
        const double e =
            (double)x[j] - ((double)y[j] + (double)y_panel[j] + (double)bias[j]);
        lane[j % 8] += e * e;
    }
    for (int64_t half = 4; half > 0; half /= 2)
        for (int64_t l = 0; l < half; l++) lane[l] += lane[l + half];
    return lane[0];
}

static void row_errors(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const block_end *b = ctx;
    const fc_reconstruction *r = b->r;
    for (int64_t t = begin; t < end; t++) {
        double sum = 0.0;
        for (int64_t j = 0; j < r->d; j += PANEL)
            sum += panel_error(b->x + t * r->d + j, r->y + t * r->d + j,
                               r->y_panel + j * r->n_max + t * PANEL, b->bias + j,
                               fc_min(PANEL, r->d - j));
        r->row[t] = sum;
    }
}

/* Columns are independent and each is summed in row order. */
static void column_sums(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const block_end *b = ctx;
    fc_reconstruction *r = b->r;
    for (int64_t t = 0; t < b->n; t++) {
        const float *x = b->x + t * r->d;
        for (int64_t j = begin; j < end; j++) {
            const double e = (double)x[j] - (double)r->origin[j];
            r->sum[j] += e;
            r->sq[j] += e * e;
        }
    }
}

void fc_reconstruction_end(fc_reconstruction *r, const float *x, const float *bias,
                           int64_t n)
{
    if (n == 0) return;
    if (r->n_rows == 0) memcpy(r->origin, x, (size_t)r->d * sizeof *x);
    block_end b = {r, x, bias, n};
    fc_par_for(n, ROWS, row_errors, &b);
    fc_par_for(r->d, PANEL, column_sums, &b);
    for (int64_t t = 0; t < n; t++) r->squared_error += r->row[t];
    r->n_rows += n;
}

double fc_reconstruction_mse(const fc_reconstruction *r)
{
    return r->squared_error / ((double)r->n_rows * (double)r->d);
}

double fc_reconstruction_fvu(const fc_reconstruction *r)
{
    double total = 0.0;
    for (int64_t j = 0; j < r->d; j++)
        total += r->sq[j] - r->sum[j] * r->sum[j] / (double)r->n_rows;
    return total > 0.0 ? r->squared_error / total : (double)NAN;
}
