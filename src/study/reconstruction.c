/* reconstruction.c - sums of squares over rows and columns.
 *
 *   row t       e_t^2 over 8 lanes of double, j % 8; rows are added in order
 *   column j    x_tj - x_0j and its square, in row order
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/reconstruction_internal.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/par.h"

enum { LANES = 8, ROWS = 16, COLUMNS = 64 };

fc_status fc_reconstruction_init(fc_reconstruction *r, int64_t d, int64_t n_max,
                                 fc_err *err)
{
    fc_reconstruction s = {.d = d};
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&s.row, n_max, sizeof *s.row, "row errors", err));
    FC_TRY_GOTO(fc_alloc(&s.origin, d, sizeof *s.origin, "first row", err));
    FC_TRY_GOTO(fc_alloc(&s.sum, d, sizeof *s.sum, "column sums", err));
    FC_TRY_GOTO(fc_alloc(&s.sq, d, sizeof *s.sq, "column sums of squares", err));
done:
    if (status != FC_OK) fc_reconstruction_deinit(&s);
    *r = s;
    return status;
}

void fc_reconstruction_deinit(fc_reconstruction *r)
{
    fc_free(r->row);
    fc_free(r->origin);
    fc_free(r->sum);
    fc_free(r->sq);
    *r = (fc_reconstruction){0};
}

typedef struct rows_in {
    fc_reconstruction *r;
    const float *x, *y, *bias;
    int64_t n;
} rows_in;

static double row_error(const float *x, const float *y, const float *bias, int64_t d)
{
    double lane[LANES] = {0};
    int64_t j = 0;
    for (; j + LANES <= d; j += LANES)
        for (int64_t l = 0; l < LANES; l++) {
            const double e = (double)x[j + l] - ((double)y[j + l] + (double)bias[j + l]);
            lane[l] += e * e;
        }
    for (int64_t l = 0; j + l < d; l++) {
        const double e = (double)x[j + l] - ((double)y[j + l] + (double)bias[j + l]);
        lane[l] += e * e;
    }
    for (int64_t half = LANES / 2; half > 0; half /= 2)
        for (int64_t l = 0; l < half; l++) lane[l] += lane[l + half];
    return lane[0];
}

static void row_errors(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const rows_in *in = ctx;
    const int64_t d = in->r->d;
    for (int64_t t = begin; t < end; t++)
        in->r->row[t] = row_error(in->x + t * d, in->y + t * d, in->bias, d);
}

/* Columns are independent and each is summed in row order. */
static void column_sums(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const rows_in *in = ctx;
    const int64_t d = in->r->d;
    const float *restrict origin = in->r->origin;
    double *restrict sum = in->r->sum, *restrict sq = in->r->sq;
    for (int64_t t = 0; t < in->n; t++) {
        const float *restrict x = in->x + t * d;
        for (int64_t j = begin; j < end; j++) {
            const double e = (double)x[j] - (double)origin[j];
            sum[j] += e;
            sq[j] += e * e;
        }
    }
}

void fc_reconstruction_add(fc_reconstruction *r, const float *x, const float *y,
                           const float *bias, int64_t n)
{
    if (n == 0) return;
    if (r->n_rows == 0) memcpy(r->origin, x, (size_t)r->d * sizeof *x);
    rows_in in = {r, x, y, bias, n};
    fc_par_for(n, ROWS, row_errors, &in);
    fc_par_for(r->d, COLUMNS, column_sums, &in);
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
