/* report.h - `facet report`: report.pdf, report.html and figures/ of a run folder.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_REPORT_H
#define FC_REPORT_REPORT_H

#include "base/fields.h"

typedef struct fc_report_config {
    int64_t top; /* cards for so many features, by maximum activation; 0 = all live */
    char features[FC_FIELD_TEXT_MAX]; /* or these: "12,55,1177" */
    bool has_page; /* write report.html too, which holds every live feature */
} fc_report_config;

void fc_report_defaults(fc_report_config *config);
const fc_field *fc_report_fields(int64_t *n);

typedef struct fc_report_result {
    int64_t n_pages, n_cards;
    char pdf[2048];
    char page[2048]; /* "" without */
} fc_report_result;

/* Reads run_dir/{features.db, metrics.csv, recipe.json, manifest.json, eval.json}; writes run_dir/report.pdf,
 * run_dir/report.html and run_dir/figures/. Same input, same bytes. */
fc_status fc_report(const fc_report_config *config, const char *run_dir,
                    fc_report_result *result, fc_err *err);

#endif
