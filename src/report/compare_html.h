/* compare_html.h - compare.html: the comparison as one page that opens from disk.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_COMPARE_HTML_H
#define FC_REPORT_COMPARE_HTML_H

#include "report/compare_data.h"

/* Like fc_html_save: refers to nothing outside but the runs' own pages, by links. */
fc_status fc_compare_html(const fc_compare_data *data, const char *path, fc_err *err);

#endif
