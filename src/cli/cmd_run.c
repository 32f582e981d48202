/* cmd_run.c - facet run: a whole experiment from one recipe file.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/pipeline.h"

static fc_status run(fc_cli *cli, int argc, char *const *argv, fc_err *err)
{
    fc_pipeline pipeline = {0};
    bool is_done = false;
    cli->is_recipe_first_file = true;
    cli->args.min_files = cli->args.max_files = 1;
    fc_pipeline_options(&pipeline, cli);
    FC_TRY(fc_cli_begin(cli, &fc_cmd_run, argc, argv, &is_done, err));
    return is_done ? FC_OK : fc_pipeline_run(&pipeline, cli, err);
}

const fc_command fc_cmd_run = {
    .name = "run",
    .summary = "do it all from one recipe file: collect, train, evaluate, study, report",
    .usage = "facet run RECIPE [options]",
    .text = "Stop it anywhere (Ctrl-C, or worse) and give the same command again: it "
            "goes on where it was. A recipe\n"
            "is YAML: out, text and seed at the top, then sections collect, train, "
            "eval, study, report with the options\n"
            "below. Options given here outrank the recipe; an option of several sections "
            "is set in all of them.\n\n"
            "  out: runs/seed\n"
            "  text: [wiki.train.raw]\n"
            "  collect: {model: gemma-3-1b-it, hook: model.layers.25.mlp.down_proj, "
            "tokens: 3M}\n"
            "  train: {expansion: 8, epochs: 300}\n",
    .run = run,
};
