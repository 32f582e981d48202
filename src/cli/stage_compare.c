/* stage_compare.c - several runs side by side.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/stage_compare.h"

#include <inttypes.h>
#include <stdio.h>

fc_status fc_stage_compare(const char *const *run_dirs, int64_t n, const char *dir,
                           fc_stage_result *result, fc_err *err)
{
    fc_compare_result r = {0};
    FC_TRY(fc_compare_runs(run_dirs, n, dir, &r, err));
    result->object =
        json_pack("{ss, ss, ss, sI, sI}", "command", "compare", "out", r.pdf, "page",
                  r.page, "runs", (json_int_t)r.n_runs, "pages", (json_int_t)r.n_pages);
    snprintf(result->text, sizeof result->text,
             "%s: %" PRId64 " runs, %" PRId64 " pages\n", r.pdf, r.n_runs, r.n_pages);
    return FC_OK;
}
