/* page_figures.c - the pages of curves and distributions.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/pages.h"

void fc_pages_figures(fc_pdf *pdf, const fc_report_data *d)
{
    static const struct {
        const char *title, *lead;
        const fc_figure *figure[3];
    } pages[] = {
        {"Training",
         "Means since the line of the log before. The loss adds the squared error and "
         "the "
         "sparsity penalty; a good run lowers both and leaves few features dead.",
         {&fc_fig_loss, &fc_fig_sparsity_curves, NULL}},
        {"Sparsity",
         "How many features describe a token, and on how many tokens a feature fires. "
         "What "
         "fires often is seldom strong; what fires on a thousandth or less is specific.",
         {&fc_fig_l0, &fc_fig_frequency, &fc_fig_frequency_strength}},
        {"Strengths",
         "The strongest activation of each feature over all tokens, one cell a feature, "
         "row "
         "by row. Neighbours in the map have nothing in common but their numbers.",
         {&fc_fig_strength_map, &fc_fig_strengths, NULL}},
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
                f.y += 16 + fc_paragraph(f.cr, FC_MARGIN, f.y - 2, fc_column,
                                         fc_type_small, 3, false, pages[p].lead);
            }
            figure->draw(f.cr, (fc_box){FC_MARGIN, f.y, fc_column, figure->height}, d);
            f.y += figure->height + 14;
        }
    }
}
