/* reconstruction.c - decodes what fires and sums the errors.
 *
 * A feature that fires on fewer than 1 row in 8 of the block is added row by row, y_t += f_it w_i,
 * only where it fires; the others are gathered and go through one dense product. Features that
 * stay silent cost a look at their count. Which way a feature goes depends on the block alone,
 * and within both ways the features of a row are added in ascending order, so any number of
 * threads gives the same bytes. Products are in float32 whatever the encoder used: this measures
 * the SAE, not its decoder in bf16.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/reconstruction_internal.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/par.h"

enum {
    DENSE_SHARE = 8, /* dense when it fires on 1/8 of the rows: measured break-even */
    STRIPE = 64,     /* rows whose y stays in the second cache while features are added */
    COLUMNS = 64,
    ROWS = 16
};

fc_status fc_reconstruction_init(fc_reconstruction *r, int64_t d, int64_t n_max,
                                 int64_t n_features_max, fc_err *err)
{
    fc_reconstruction s = {.d = d};
    size_t row_bytes;
    fc_status status;
    FC_TRY_GOTO(fc_bytes(d, sizeof *s.y, &row_bytes, err));
    FC_TRY_GOTO(fc_alloc(&s.y, n_max, row_bytes, "reconstruction", err));
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
}

/* --- decode ----------------------------------------------------------------------------- */

typedef struct sparse_add {
    fc_reconstruction *r;
    const float *f, *w;
    const int64_t *count;
    int64_t n_features, n;
} sparse_add;

static bool is_dense(int64_t count, int64_t n)
{
    return count * DENSE_SHARE >= n;
}

static void add_scaled(float *restrict y, const float *restrict w, float f, int64_t d)
{
    for (int64_t j = 0; j < d; j++) y[j] += f * w[j];
}

static void add_sparse_stripe(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const sparse_add *a = ctx;
    const int64_t d = a->r->d;
    for (int64_t i = 0; i < a->n_features; i++) {
        if (a->count[i] == 0 || is_dense(a->count[i], a->n)) continue;
        const float *f = a->f + i * a->n;
        for (int64_t t = begin; t < end; t++)
            if (f[t] > 0.0f) add_scaled(a->r->y + t * d, a->w + i * d, f[t], d);
    }
}

void fc_reconstruction_add(fc_reconstruction *r, fc_backend *be, float *f, const float *w,
                           const int64_t *count, int64_t n_features, int64_t n)
{
    sparse_add a = {r, f, w, count, n_features, n};
    fc_par_for(n, STRIPE, add_sparse_stripe, &a);
    int64_t n_dense = 0;
    for (int64_t i = 0; i < n_features; i++) {
        if (count[i] == 0 || !is_dense(count[i], n)) continue;
        memmove(f + n_dense * n, f + i * n, (size_t)n * sizeof *f);
        memcpy(r->w + n_dense * r->d, w + i * r->d, (size_t)r->d * sizeof *w);
        n_dense++;
    }
    if (n_dense == 0) return;
    const fc_mat codes = fc_mat_transposed(fc_mat_of(f, FC_F32, n_dense, n));
    be->ops->matmul(be, r->y, r->d, codes, fc_mat_of(r->w, FC_F32, n_dense, r->d),
                    FC_PRECISION_F32, true);
}

/* --- errors ----------------------------------------------------------------------------- */

typedef struct block_end {
    fc_reconstruction *r;
    const float *x, *bias;
    int64_t n;
} block_end;

static void row_errors(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const block_end *b = ctx;
    const int64_t d = b->r->d;
    for (int64_t t = begin; t < end; t++) {
        const float *x = b->x + t * d, *y = b->r->y + t * d;
        double lane[8] = {0};
        int64_t j = 0;
        for (; j + 8 <= d; j += 8)
            for (int64_t l = 0; l < 8; l++) {
                const double e =
                    (double)x[j + l] - (double)y[j + l] - (double)b->bias[j + l];
                lane[l] += e * e;
            }
        for (; j < d; j++) {
            const double e = (double)x[j] - (double)y[j] - (double)b->bias[j];
            lane[j % 8] += e * e;
        }
        for (int64_t half = 4; half > 0; half /= 2)
            for (int64_t l = 0; l < half; l++) lane[l] += lane[l + half];
        b->r->row[t] = lane[0];
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
    fc_par_for(r->d, COLUMNS, column_sums, &b);
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
