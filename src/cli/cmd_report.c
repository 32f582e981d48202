/* cmd_report.c - facet report: report.pdf, report.html and figures/ of a run.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/stages.h"

static fc_status run(fc_cli *cli, int argc, char *const *argv, fc_err *err)
{
    fc_report_config config;
    fc_stage_result result = {0};
    bool is_done = false;
    int64_t n;
    const fc_field *fields = fc_report_fields(&n);

    fc_report_defaults(&config);
    cli->args.min_files = cli->args.max_files = 1;
    fc_args_group(&cli->args, "report", fields, n, &config);
    FC_TRY(fc_cli_begin(cli, &fc_cmd_report, argc, argv, &is_done, err));
    if (is_done) return FC_OK;

    FC_TRY(fc_stage_report(cli, &config, cli->args.file[0], &result, err));
    return fc_cli_result(cli, result.object, result.text, err);
}

const fc_command fc_cmd_report = {
    .name = "report",
    .summary = "make report.pdf and report.html of a run that has been studied",
    .usage = "facet report RUN [options]",
    .text =
        "Writes RUN/report.pdf, each figure as PNG, SVG and CSV to RUN/figures/, and\n"
        "RUN/report.html, one file in which every live feature can be explored; it "
        "opens\n"
        "from disk in any browser and loads nothing.\n",
    .run = run,
};
