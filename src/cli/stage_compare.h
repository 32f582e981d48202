/* stage_compare.h - several runs side by side, the same whether asked for or at the end of the demo.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_CLI_STAGE_COMPARE_H
#define FC_CLI_STAGE_COMPARE_H

#include "cli/stages.h"
#include "report/compare.h"

/* Writes the comparison to a folder of its own; records nothing. */
fc_status fc_stage_compare(const char *const *run_dirs, int64_t n, const char *dir,
                           fc_stage_result *result, fc_err *err);

#endif
