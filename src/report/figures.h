/* figures.h - the figures of a report, each drawn by one function on any surface.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_FIGURES_H
#define FC_REPORT_FIGURES_H

#include "report/charts.h"
#include "report/report_data.h"

typedef struct fc_figure {
    const char *name;  /* of the files: "strength-map" */
    const char *title; /* in the outline */
    double height;     /* at the full width of the text column */
    bool (*is_there)(const fc_report_data *data); /* NULL: always */
    void (*draw)(cairo_t *cr, fc_box box, const fc_report_data *data);
    fc_status (*csv)(fc_strbuf *out, const fc_report_data *data,
                     fc_err *err); /* the data behind it */
} fc_figure;

extern const fc_figure fc_fig_loss, fc_fig_sparsity_curves, fc_fig_l0, fc_fig_frequency,
    fc_fig_frequency_strength, fc_fig_strength_map, fc_fig_strength_bars,
    fc_fig_strengths, fc_fig_nearest;

/* Shared by the figures' files. *low .. *high: of the values that can be drawn; 0 .. 1 of none. */
void fc_figure_range(const double *y, int64_t n, bool is_log, double *low, double *high);
bool fc_figure_has_live(const fc_report_data *data);
fc_status fc_figure_features_csv(fc_strbuf *out, const fc_report_data *data, fc_err *err);

enum { FC_FIGURE_BINS = 60 };
typedef struct fc_bins {
    double edge[FC_FIGURE_BINS + 1], count[FC_FIGURE_BINS], max;
} fc_bins;
void fc_bins_linear(fc_bins *h, double low, double high); /* edges evenly spaced */
void fc_bins_log(fc_bins *h, double low, double high);    /* and so in the logarithm */
void fc_bins_add(fc_bins *h, double v, double weight);
/* The axes of a histogram drawn into box, for marks and notes. */
fc_axes fc_bins_draw(cairo_t *cr, fc_box box, const fc_bins *h, bool is_log_x,
                     const char *title, const char *x_label, const char *y_label);

/* All of them, in the order of the report. */
const fc_figure *const *fc_figures(int *n);

/* Anything that can be drawn and has data. */
typedef struct fc_drawing {
    const char *name;
    double height;
    void (*draw)(cairo_t *cr, fc_box box, const void *ctx);
    fc_status (*csv)(fc_strbuf *out, const void *ctx, fc_err *err);
    const void *ctx; /* borrowed */
} fc_drawing;

/* figures/NAME.png (twice the size), .svg and .csv in dir, where figures/ exists. */
fc_status fc_drawing_save(const fc_drawing *drawing, const char *dir, fc_err *err);

/* figures/NAME.png (twice the size), .svg and .csv in run_dir. */
fc_status fc_figure_save(const fc_figure *figure, const fc_report_data *data,
                         const char *run_dir, fc_err *err);

#endif
