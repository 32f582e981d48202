/* quantiles.c - sorting, and what lies at a share of the way.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/quantiles.h"

#include <math.h>
#include <stdlib.h>

#include "base/macros.h"

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double at_share(const double *sorted, int64_t n, double share)
{
    const double place = share * (double)(n - 1);
    const int64_t low = fc_min((int64_t)floor(place), n - 1),
                  high = fc_min(low + 1, n - 1);
    return sorted[low] + (place - (double)low) * (sorted[high] - sorted[low]);
}

fc_quantiles fc_quantiles_of(double *value, int64_t n)
{
    fc_quantiles q = {.n = n};
    if (n == 0) return q;
    for (int64_t i = 0; i < n; i++) q.mean += value[i];
    q.mean /= (double)n;
    qsort(value, (size_t)n, sizeof *value, by_value);
    q.min = value[0];
    q.p05 = at_share(value, n, 0.05);
    q.p25 = at_share(value, n, 0.25);
    q.median = at_share(value, n, 0.5);
    q.p75 = at_share(value, n, 0.75);
    q.p95 = at_share(value, n, 0.95);
    q.max = value[n - 1];
    return q;
}
