/* sweep_table.h - what came of the runs of a sweep: sweep.json, sweep.csv, and a table for people.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_CLI_SWEEP_TABLE_H
#define FC_CLI_SWEEP_TABLE_H

#include "base/strbuf.h"
#include "cli/sweep_plan.h"

typedef enum fc_sweep_state {
    FC_SWEEP_PENDING,
    FC_SWEEP_FINISHED,
    FC_SWEEP_FAILED
} fc_sweep_state;

typedef struct fc_sweep_outcome {
    fc_sweep_state state;
    fc_train_result result; /* of a finished one */
    char why[1024];         /* it failed */
    double n_bytes;         /* that training takes */
} fc_sweep_outcome;

/* Whether the run in `dir` is finished, and what came of it, as its manifest says. */
fc_status fc_sweep_outcome_load(fc_sweep_outcome *outcome, const char *dir, fc_err *err);

/* {"command": "sweep", "runs": [..]} */
fc_status fc_sweep_table_json(json_t **object, const fc_sweep_plan *plan,
                              const fc_sweep_outcome *outcome, fc_err *err);
/* out/sweep.json, out/sweep.csv */
fc_status fc_sweep_table_write(const fc_sweep_plan *plan, const fc_sweep_outcome *outcome,
                               const char *out, fc_err *err);
fc_status fc_sweep_table_text(fc_strbuf *text, const fc_sweep_plan *plan,
                              const fc_sweep_outcome *outcome, fc_err *err);

#endif
