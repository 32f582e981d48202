/* compare.h - `facet report RUN RUN ...`: several runs side by side in compare.pdf and compare.html.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_COMPARE_H
#define FC_REPORT_COMPARE_H

#include <stdint.h>

#include "base/err.h"

enum { FC_COMPARE_MOST = 8 };

typedef struct fc_compare_result {
    int64_t n_runs, n_pages;
    char pdf[2048], page[2048];
} fc_compare_result;

/* Reads what a report reads of each of 2 to FC_COMPARE_MOST run folders; writes dir/compare.pdf,
 * dir/compare.html and dir/figures/. Same runs in the same order, same bytes. */
fc_status fc_compare_runs(const char *const *run_dirs, int64_t n, const char *dir,
                          fc_compare_result *result, fc_err *err);

#endif
