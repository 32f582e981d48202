/* compare_figures.h - the figures of a comparison, each drawn by one function on any surface.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_COMPARE_FIGURES_H
#define FC_REPORT_COMPARE_FIGURES_H

#include "report/compare_data.h"
#include "report/figures.h"

/* As drawings of this data, which they borrow. Heights depend on the number of runs. */
fc_drawing fc_compare_pareto(const fc_compare_data *data);
fc_drawing fc_compare_curves(const fc_compare_data *data);
fc_drawing fc_compare_frequencies(const fc_compare_data *data);
fc_drawing fc_compare_concepts(const fc_compare_data *data);

/* Whether there is anything to draw. */
bool fc_compare_has_curves(const fc_compare_data *data);

/* Runs by colour and name on one line. */
void fc_compare_legend(cairo_t *cr, double x, double baseline, double width,
                       const fc_compare_data *data);

#endif
