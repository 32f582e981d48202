/* compare_pages.h - the pages of a comparison, in reading order.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_COMPARE_PAGES_H
#define FC_REPORT_COMPARE_PAGES_H

#include "report/compare_data.h"
#include "report/pdf.h"

fc_status fc_compare_pages(fc_pdf *pdf, const fc_compare_data *data, fc_err *err);

#endif
