/* cmd_demo.c - facet demo: the whole experiment on the example model that comes with Facet.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/log.h"
#include "cli/assets.h"
#include "cli/pipeline.h"
#include "cli/recipe.h"
#include "study/highlights.h"

static fc_status set_inputs(fc_cli *cli, fc_err *err)
{
    char assets[FC_PATH_MAX], path[FC_PATH_MAX];
    FC_TRY(fc_assets_find(assets, err));
    FC_TRY(fc_path_join(path, assets, "example-model", err));
    FC_TRY(fc_args_set(&cli->args, "collect", "model", path, "demo", err));
    FC_TRY(fc_path_join(path, assets, "example-model/corpus.wikitext.raw.zst", err));
    FC_TRY(fc_args_set(&cli->args, "", "text", path, "demo", err));
    return fc_recipe_apply(&cli->args, "demo", err);
}

/* Where the report is and what to look at in it. */
static fc_status print_highlights(const fc_pipeline *p, const fc_cli *cli, fc_err *err)
{
    enum { N = 5 };
    char path[FC_PATH_MAX];
    fc_features_db *db = NULL;
    fc_highlight highlight[N];
    int64_t n = 0;
    FC_TRY(fc_path_join(path, p->out, "features.db", err));
    FC_TRY(fc_features_open(&db, path, err));
    const fc_status status = fc_highlights(db, highlight, N, &n, err);
    fc_features_close(db);
    if (status != FC_OK || cli->common.is_quiet || cli->common.is_json) return status;
    printf("\nTo read: %s/report.pdf. To explore: %s/report.html, in a browser. Worth a "
           "look:\n",
           p->out, p->out);
    for (int64_t i = 0; i < n; i++)
        printf("  feature %-6lld %s\n", (long long)highlight[i].feature,
               highlight[i].text);
    printf("\nCurves: tensorboard --logdir %s    Features: sqlite3 -readonly %s\n",
           p->out, path);
    return FC_OK;
}

static fc_status run(fc_cli *cli, int argc, char *const *argv, fc_err *err)
{
    fc_pipeline pipeline = {0};
    bool is_done = false;
    cli->args.max_files = 0;
    fc_pipeline_options(&pipeline, cli);
    FC_TRY(set_inputs(cli, err));
    FC_TRY(fc_cli_begin(cli, &fc_cmd_demo, argc, argv, &is_done, err));
    if (is_done) return FC_OK;
    fc_log(FC_LOG_INFO, "An 8-million-parameter Gemma 3 reads 625 Wikipedia articles, "
                        "and an SAE learns the features of its last "
                        "layer: a few minutes on two cores.");
    FC_TRY(fc_pipeline_run(&pipeline, cli, err));
    return print_highlights(&pipeline, cli, err);
}

const fc_command fc_cmd_demo = {
    .name = "demo",
    .summary = "the whole experiment on the example model, in minutes",
    .usage = "facet demo [options]",
    .text = "Collects the activations of a small Gemma 3 model on Wikipedia articles, "
            "trains an SAE with the recipe\n"
            "'seed', studies its features and writes runs/demo/report.pdf and "
            "report.html. Any option of "
            "'facet run' may be given.\n",
    .run = run,
};
