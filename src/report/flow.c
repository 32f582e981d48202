/* flow.c - from top to bottom, page after page.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/pages.h"

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
