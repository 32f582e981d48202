/* flow.c - from top to bottom, page after page.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/pages.h"

#include <inttypes.h>
#include <stdio.h>

void fc_flow_page(fc_flow *flow)
{
    flow->cr = fc_pdf_page(flow->pdf, flow->footer);
    flow->y = FC_PAGE_TOP;
}

void fc_flow_need(fc_flow *flow, double height)
{
    if (flow->y > FC_PAGE_TOP && flow->y + height > FC_PAGE_BOTTOM) fc_flow_page(flow);
}

void fc_flow_heading(fc_flow *flow, const char *title)
{
    fc_text(flow->cr, FC_MARGIN, flow->y, FC_LEFT, FC_TOP, fc_type_section, title);
    fc_rule(flow->cr, FC_MARGIN, flow->y + 21, fc_column);
    flow->y += 33;
}

void fc_flow_link(const fc_flow *flow, const fc_report_data *data, int64_t feature,
                  fc_box box)
{
    char name[64];
    if (data->card_of[feature] < 0) return;
    snprintf(name, sizeof name, "feature-%" PRId64, feature);
    fc_pdf_link(flow->pdf, name, box.x, box.y, box.w, box.h);
}

double fc_flow_feature(const fc_flow *flow, const fc_report_data *data, int64_t feature,
                       double x, double baseline)
{
    char text[32];
    fc_type type = fc_type_number;
    type.color = data->card_of[feature] >= 0 ? FC_BLUE : FC_SECONDARY;
    snprintf(text, sizeof text, "%" PRId64, feature);
    const double width = fc_text(flow->cr, x, baseline, FC_LEFT, FC_BASELINE, type, text);
    fc_flow_link(flow, data, feature, (fc_box){x - 1, baseline - 8.5, width + 2, 11});
    return width;
}
