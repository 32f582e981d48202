/* pipeline.h - collect, train, study and report in one run folder: `facet run`, `facet demo`.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_CLI_PIPELINE_H
#define FC_CLI_PIPELINE_H

#include "cli/stages.h"

typedef struct fc_pipeline {
    char out[FC_FIELD_TEXT_MAX];
    char acts[FC_FIELD_TEXT_MAX]; /* an existing or shared store; "": OUT/acts */
    fc_collect_config collect;
    fc_train_config train;
    fc_study_config study;
    fc_report_config report;
    fc_arg_list *texts; /* in cli->args */
} fc_pipeline;

/* Defaults, and all options of all stages in cli->args. */
void fc_pipeline_options(fc_pipeline *pipeline, fc_cli *cli);

/* Runs what is not done yet, prints a line for each stage. Stopped anywhere, the same call goes on. */
fc_status fc_pipeline_run(const fc_pipeline *pipeline, const fc_cli *cli, fc_err *err);

#endif
