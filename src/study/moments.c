/* moments.c - column sums about the first row.
 *
 *   column j    x_tj - x_0j and its square, in row order
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/moments_internal.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/par.h"

enum { COLUMNS = 64 };

fc_status fc_moments_init(fc_moments *m, int64_t d, fc_err *err)
{
    fc_moments made = {.d = d};
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&made.origin, d, sizeof *made.origin, "first row", err));
    FC_TRY_GOTO(fc_alloc(&made.sum, d, sizeof *made.sum, "column sums", err));
    FC_TRY_GOTO(fc_alloc(&made.sq, d, sizeof *made.sq, "column sums of squares", err));
done:
    if (status != FC_OK) fc_moments_deinit(&made);
    *m = made;
    return status;
}

void fc_moments_deinit(fc_moments *m)
{
    fc_free(m->origin);
    fc_free(m->sum);
    fc_free(m->sq);
    *m = (fc_moments){0};
}

void fc_moments_clear(fc_moments *m)
{
    m->n_rows = 0;
    memset(m->sum, 0, (size_t)m->d * sizeof *m->sum);
    memset(m->sq, 0, (size_t)m->d * sizeof *m->sq);
}

typedef struct rows_in {
    const fc_moments *m;
    const float *x;
    int64_t n;
} rows_in;

static void column_sums(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const rows_in *in = ctx;
    const int64_t d = in->m->d;
    const float *restrict origin = in->m->origin;
    double *restrict sum = in->m->sum, *restrict sq = in->m->sq;
    for (int64_t t = 0; t < in->n; t++) {
        const float *restrict x = in->x + t * d;
        for (int64_t j = begin; j < end; j++) {
            const double e = (double)x[j] - (double)origin[j];
            sum[j] += e;
            sq[j] += e * e;
        }
    }
}

void fc_moments_add(fc_moments *m, const float *x, int64_t n)
{
    if (n == 0) return;
    if (m->n_rows == 0) memcpy(m->origin, x, (size_t)m->d * sizeof *x);
    rows_in in = {m, x, n};
    fc_par_for(m->d, COLUMNS, column_sums, &in);
    m->n_rows += n;
}

double fc_moments_mean(const fc_moments *m, int64_t column)
{
    if (m->n_rows == 0) return (double)NAN;
    return (double)m->origin[column] + m->sum[column] / (double)m->n_rows;
}

double fc_moments_variance(const fc_moments *m)
{
    double total = 0.0;
    for (int64_t j = 0; j < m->d; j++)
        total += m->sq[j] - m->sum[j] * m->sum[j] / (double)m->n_rows;
    return total;
}
