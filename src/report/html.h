/* html.h - report.html: everything about a run in one page that opens from disk.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_HTML_H
#define FC_REPORT_HTML_H

#include "report/report_data.h"

/* Writes the page: all live features, whatever data->card says. The file refers to nothing outside
 * itself and forbids itself to load anything. Same data, same bytes. */
fc_status fc_html_save(const fc_report_data *data, const char *path, fc_err *err);

#endif
