/* page_figures.c - the pages of curves and distributions.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/pages.h"

void fc_pages_figures(fc_pdf *pdf, const fc_report_data *d)
{
    static const struct {
        const char *title;
        const fc_figure *figure[3];
    } pages[] = {
        {"Training", {&fc_fig_loss, &fc_fig_sparsity_curves, NULL}},
        {"Sparsity", {&fc_fig_l0, &fc_fig_frequency, &fc_fig_frequency_strength}},
        {"Strengths", {&fc_fig_strength_map, &fc_fig_strengths, NULL}},
    };
    for (size_t p = 0; p < FC_LEN(pages); p++) {
        fc_flow f = {.pdf = pdf, .footer = pages[p].title};
        for (size_t i = 0; i < FC_LEN(pages[p].figure); i++) {
            const fc_figure *figure = pages[p].figure[i];
            if (!figure || (figure->is_there && !figure->is_there(d))) continue;
            if (!f.cr) {
                fc_flow_page(&f);
                fc_pdf_outline(pdf, 0, f.y, pages[p].title);
                fc_flow_heading(&f, pages[p].title);
                f.y += 4;
            }
            figure->draw(f.cr, (fc_box){FC_MARGIN, f.y, fc_column, figure->height}, d);
            f.y += figure->height + 14;
        }
    }
}
