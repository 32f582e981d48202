/* cmd_study.c - facet study: everything about every feature, into features.db.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/stages.h"

typedef struct own_options {
    char acts[FC_FIELD_TEXT_MAX];
} own_options;

static const fc_field own_fields[] = {
    {"acts", FC_FIELD_TEXT, offsetof(own_options, acts), 0, 0, NULL, "ACTS",
     "store to study; without it the one the SAE was trained on"},
};

static fc_status run(fc_cli *cli, int argc, char *const *argv, fc_err *err)
{
    own_options own = {0};
    fc_study_config config;
    fc_stage_result result = {0};
    bool is_done = false;
    int64_t n;
    const fc_field *fields = fc_study_fields(&n);

    fc_study_defaults(&config);
    cli->args.min_files = cli->args.max_files = 1;
    fc_args_group(&cli->args, "study", fields, n, &config);
    fc_args_group(&cli->args, "input", own_fields, FC_LEN(own_fields), &own);
    FC_TRY(fc_cli_begin(cli, &fc_cmd_study, argc, argv, &is_done, err));
    if (is_done) return FC_OK;

    FC_TRY(
        fc_stage_study(cli, &config, own.acts, cli->args.file[0], false, &result, err));
    return fc_cli_result(cli, result.object, result.text, err);
}

const fc_command fc_cmd_study = {
    .name = "study",
    .summary = "encode a store and find what makes each feature fire",
    .usage = "facet study RUN [options]",
    .text = "One pass over the store writes RUN/features.db: statistics, strongest "
            "contexts and weaker examples of\n"
            "every feature. Open it with sqlite3 or Datasette, or go on with 'facet "
            "report RUN'.\n",
    .run = run,
};
