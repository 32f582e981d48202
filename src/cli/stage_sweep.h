/* stage_sweep.h - all runs of a sweep, from one forward pass or from stores.
 *
 *   OUT/NAME/        a run folder each (sweep_plan.h says the names)
 *   OUT/sweep.json, OUT/sweep.csv    what came of them
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_CLI_STAGE_SWEEP_H
#define FC_CLI_STAGE_SWEEP_H

#include "cli/stages.h"
#include "cli/sweep_plan.h"

typedef struct fc_sweep_options {
    char out[FC_FIELD_TEXT_MAX];
    char acts
        [FC_FIELD_TEXT_MAX]; /* a store, or a folder of stores by hook; "": the stream */
    char target_hook[FC_FIELD_TEXT_MAX]; /* of transcoders */
    int64_t at_once; /* runs side by side; 0: as half the memory holds */
} fc_sweep_options;

typedef struct fc_sweep_from {
    const char *recipe; /* its path, for sentences */
    const fc_collect_config *how;
    const fc_arg_list *texts;
} fc_sweep_from;

/* Trains what is not finished, going on where a run was stopped. Nothing is written before all of the
 * recipe is found sound. When all have ended, the table is in *object and text; runs that diverged
 * make it fail nevertheless. */
fc_status fc_stage_sweep(const fc_cli *cli, const fc_sweep_options *options,
                         const fc_sweep_from *from, fc_sweep_plan *plan, json_t **object,
                         fc_strbuf *text, fc_err *err);

#endif
