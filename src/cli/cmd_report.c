/* cmd_report.c - facet report: report.pdf, report.html and figures/ of a run, or several runs compared.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "cli/stage_compare.h"
#include "cli/stages.h"

typedef struct own_options {
    char out[FC_FIELD_TEXT_MAX];
} own_options;

static const fc_field own_fields[] = {
    {"out", FC_FIELD_TEXT, offsetof(own_options, out), 0, 0, NULL, "DIR",
     "folder for the comparison of several runs"},
};

static fc_status run(fc_cli *cli, int argc, char *const *argv, fc_err *err)
{
    own_options own = {0};
    fc_report_config config;
    fc_stage_result result = {0};
    bool is_done = false;
    int64_t n;
    const fc_field *fields = fc_report_fields(&n);

    fc_report_defaults(&config);
    cli->args.min_files = 1;
    cli->args.max_files = FC_COMPARE_MOST;
    fc_args_group(&cli->args, "report", fields, n, &config);
    fc_args_group(&cli->args, "comparison", own_fields, FC_LEN(own_fields), &own);
    FC_TRY(fc_cli_begin(cli, &fc_cmd_report, argc, argv, &is_done, err));
    if (is_done) return FC_OK;

    const int64_t n_runs = cli->args.n_files;
    if (n_runs > 1) {
        FC_TRY(fc_cli_need(own.out, "out", "a folder for the comparison", err));
        FC_TRY(fc_stage_compare((const char *const *)cli->args.file, n_runs, own.out,
                                &result, err));
    } else {
        if (own.out[0])
            return fc_fail(
                err, FC_USAGE,
                "--out is for several runs; the report of one lies in its folder");
        FC_TRY(fc_stage_report(cli, &config, cli->args.file[0], &result, err));
    }
    return fc_cli_result(cli, result.object, result.text, err);
}

const fc_command fc_cmd_report = {
    .name = "report",
    .summary = "make report.pdf and report.html of a run, or compare several",
    .usage = "facet report RUN [options]\n       facet report RUN RUN ... --out DIR",
    .text =
        "Writes RUN/report.pdf, each figure as PNG, SVG and CSV to RUN/figures/, and\n"
        "RUN/report.html, one file in which every live feature can be explored; it "
        "opens\n"
        "from disk in any browser and loads nothing. With several runs, up to 8, "
        "writes\n"
        "DIR/compare.pdf, DIR/compare.html and DIR/figures/: fidelity against sparsity, "
        "their\n"
        "numbers, settings, curves and frequencies, and the best feature of each for "
        "every concept.\n",
    .run = run,
};
