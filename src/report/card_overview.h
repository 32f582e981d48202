/* card_overview.h - the upper part of a feature's card: numbers, tokens, logits, what is near.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_CARD_OVERVIEW_H
#define FC_REPORT_CARD_OVERVIEW_H

#include "report/pages.h"

/* Numbers, histogram, tokens it fires on, tokens it raises and lowers, side by side. Moves below. */
static const double fc_card_overview_height = 72;
fc_status fc_card_overview(fc_flow *flow, const fc_report_data *data,
                           const fc_feature *feature, fc_err *err);

/* What surrounds the feature's activation and its nearest features: a line each, none where nothing
 * is known. *height is theirs; nothing is drawn or moved when is_measured_only. */
enum { FC_CARD_INDENT = 38 /* of a card's lines behind their labels */ };
fc_status fc_card_lines(fc_flow *flow, const fc_report_data *data, int64_t feature,
                        bool is_measured_only, double *height, fc_err *err);

#endif
