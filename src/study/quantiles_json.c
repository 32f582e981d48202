/* quantiles_json.c - a distribution as an object.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/quantiles_json.h"

json_t *fc_quantiles_json(const fc_quantiles *q)
{
    return json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "n",
                     (json_int_t)q->n, "mean", q->mean, "min", q->min, "p05", q->p05,
                     "p25", q->p25, "median", q->median, "p75", q->p75, "p95", q->p95,
                     "max", q->max);
}
