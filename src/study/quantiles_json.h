/* quantiles_json.h - a distribution as an object: {"n", "mean", "min", "p05", .. "max"}.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_QUANTILES_JSON_H
#define FC_STUDY_QUANTILES_JSON_H

#include <jansson.h>

#include "study/quantiles.h"

json_t *fc_quantiles_json(const fc_quantiles *quantiles); /* NULL: no memory */

#endif
