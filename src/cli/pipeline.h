/* pipeline.h - collect, train, eval, study and report in one run folder: `facet run`, `facet demo`.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_CLI_PIPELINE_H
#define FC_CLI_PIPELINE_H

#include "cli/stages.h"

enum { FC_EVAL_FIELDS = 16 }; /* at most */

typedef struct fc_pipeline {
    char out[FC_FIELD_TEXT_MAX];
    char acts[FC_FIELD_TEXT_MAX]; /* an existing or shared store; "": OUT/acts */
    fc_collect_config collect;
    fc_train_config train;
    fc_eval_config eval;
    fc_study_config study;
    fc_report_config report;
    fc_arg_list *texts; /* in cli->args */
    fc_field eval_fields[FC_EVAL_FIELDS];
} fc_pipeline;

/* Defaults, and all options of all stages in cli->args. */
void fc_pipeline_options(fc_pipeline *pipeline, fc_cli *cli);

/* The configs as they were before any option; the options stay. */
void fc_pipeline_defaults(fc_pipeline *pipeline);

/* Runs what is not done yet, prints a line for each stage. Stopped anywhere, the same call goes on. */
fc_status fc_pipeline_run(const fc_pipeline *pipeline, const fc_cli *cli, fc_err *err);

#endif
