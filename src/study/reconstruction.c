/* reconstruction.c - squared errors of rows, and the variance to compare them with.
 *
 *   row t    e_t^2 over 8 lanes of double, j % 8; rows are added in order
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/reconstruction_internal.h"

#include <math.h>

#include "base/alloc.h"
#include "base/par.h"

enum { LANES = 8, ROWS = 16 };

fc_status fc_reconstruction_init(fc_reconstruction *r, int64_t d, int64_t n_max,
                                 fc_err *err)
{
    fc_reconstruction s = {.d = d};
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&s.row, n_max, sizeof *s.row, "row errors", err));
    FC_TRY_GOTO(fc_moments_init(&s.moments, d, err));
done:
    if (status != FC_OK) fc_reconstruction_deinit(&s);
    *r = s;
    return status;
}

void fc_reconstruction_deinit(fc_reconstruction *r)
{
    fc_free(r->row);
    fc_moments_deinit(&r->moments);
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

void fc_reconstruction_add(fc_reconstruction *r, const float *x, const float *y,
                           const float *bias, int64_t n)
{
    if (n == 0) return;
    rows_in in = {r, x, y, bias, n};
    fc_par_for(n, ROWS, row_errors, &in);
    fc_moments_add(&r->moments, x, n);
    for (int64_t t = 0; t < n; t++) r->squared_error += r->row[t];
}

double fc_reconstruction_mse(const fc_reconstruction *r)
{
    return r->squared_error / ((double)r->moments.n_rows * (double)r->d);
}

double fc_reconstruction_fvu(const fc_reconstruction *r)
{
    const double total = fc_moments_variance(&r->moments);
    return total > 0.0 ? r->squared_error / total : (double)NAN;
}
