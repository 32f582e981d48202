/* cmd_demo.c - facet demo: two recipes on the example model that comes with Facet, and what came of them
 * side by side.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/log.h"
#include "cli/assets.h"
#include "cli/pipeline.h"
#include "cli/recipe.h"
#include "cli/stage_compare.h"
#include "study/highlights.h"

enum { N_RECIPES = 2, N_SHOWN = 3 };
static const char *const recipes[N_RECIPES] = {"seed", "modern"};

typedef struct demo {
    char root[FC_PATH_MAX];
    char run[N_RECIPES][FC_PATH_MAX]; /* root/seed, root/modern */
    char both[FC_PATH_MAX];           /* root/compare */
} demo;

/* What a recipe of training leaves open; it is outranked by the command line. */
static fc_status set_inputs(fc_cli *cli, const char *recipe, fc_err *err)
{
    char assets[FC_PATH_MAX], path[FC_PATH_MAX];
    FC_TRY(fc_assets_find(assets, err));
    FC_TRY(fc_path_join(path, assets, "example-model", err));
    FC_TRY(fc_args_set(&cli->args, "collect", "model", path, "demo", err));
    FC_TRY(fc_path_join(path, assets, "example-model/corpus.wikitext.raw.zst", err));
    FC_TRY(fc_args_set(&cli->args, "", "text", path, "demo", err));
    FC_TRY(fc_recipe_apply(&cli->args, recipe, err));
    return fc_recipe_apply(&cli->args, "demo", err);
}

static fc_status name_folders(demo *d, const fc_pipeline *p, fc_err *err)
{
    FC_TRY(fc_path_join(d->root, NULL, p->out, err));
    for (int i = 0; i < N_RECIPES; i++)
        FC_TRY(fc_path_join(d->run[i], d->root, recipes[i], err));
    return fc_path_join(d->both, d->root, "compare", err);
}

/* One recipe, from the store that all share. */
static fc_status run_recipe(const demo *d, fc_pipeline *p, const fc_cli *cli, int i,
                            fc_err *err)
{
    char path[FC_PATH_MAX];
    FC_TRY(fc_path_join(path, d->root, "acts", err));
    if (p->acts[0] == 0 &&
        (size_t)snprintf(p->acts, sizeof p->acts, "%s", path) >= sizeof p->acts)
        return fc_fail(err, FC_USAGE, "the path '%s' is too long", path);
    if ((size_t)snprintf(p->out, sizeof p->out, "%s", d->run[i]) >= sizeof p->out)
        return fc_fail(err, FC_USAGE, "the path '%s' is too long", d->run[i]);
    return fc_pipeline_run(p, cli, err);
}

static fc_status print_highlights(const char *run_dir, fc_err *err)
{
    char path[FC_PATH_MAX];
    fc_features_db *db = NULL;
    fc_highlight highlight[N_SHOWN];
    int64_t n = 0;
    FC_TRY(fc_path_join(path, run_dir, "features.db", err));
    FC_TRY(fc_features_open(&db, path, err));
    const fc_status status = fc_highlights(db, highlight, N_SHOWN, &n, err);
    fc_features_close(db);
    for (int64_t i = 0; status == FC_OK && i < n; i++)
        printf("    feature %-5lld %s\n", (long long)highlight[i].feature,
               highlight[i].text);
    return status;
}

/* Where the pages are and what to look at in them. */
static fc_status print_end(const demo *d, const fc_cli *cli, fc_err *err)
{
    if (cli->common.is_quiet || cli->common.is_json) return FC_OK;
    printf("\nOpen in a browser, or read the PDF beside it:\n  %s/compare.html\n",
           d->both);
    for (int i = 0; i < N_RECIPES; i++) {
        printf("  %s/report.html\n", d->run[i]);
        FC_TRY(print_highlights(d->run[i], err));
    }
    printf("Curves: tensorboard --logdir %s\n", d->root);
    return FC_OK;
}

static fc_status compare(const demo *d, const fc_cli *cli, fc_err *err)
{
    const char *runs[N_RECIPES];
    fc_stage_result result = {0};
    for (int i = 0; i < N_RECIPES; i++) runs[i] = d->run[i];
    FC_TRY(fc_stage_compare(runs, N_RECIPES, d->both, &result, err));
    return fc_cli_result(cli, result.object, result.text, err);
}

static fc_status run_all(demo *d, fc_pipeline *p, fc_cli *cli, int argc,
                         char *const *argv, fc_err *err)
{
    FC_TRY(name_folders(d, p, err));
    for (int i = 0; i < N_RECIPES; i++) {
        if (i > 0) { /* as if the command had just begun, with another recipe */
            fc_pipeline_defaults(p);
            fc_args_clear(&cli->args);
            FC_TRY(set_inputs(cli, recipes[i], err));
            FC_TRY(fc_args_parse(&cli->args, argc, argv, err));
        }
        FC_TRY(run_recipe(d, p, cli, i, err));
    }
    FC_TRY(compare(d, cli, err));
    return print_end(d, cli, err);
}

static fc_status run(fc_cli *cli, int argc, char *const *argv, fc_err *err)
{
    fc_pipeline pipeline = {0};
    demo *d = NULL;
    bool is_done = false;
    cli->args.max_files = 0;
    fc_pipeline_options(&pipeline, cli);
    FC_TRY(set_inputs(cli, recipes[0], err));
    FC_TRY(fc_cli_begin(cli, &fc_cmd_demo, argc, argv, &is_done, err));
    if (is_done) return FC_OK;
    fc_log(FC_LOG_INFO,
           "An 8-million-parameter Gemma 3 reads 625 Wikipedia articles, and two SAEs "
           "learn the features of its last layer: a few minutes on two cores.");
    FC_TRY(fc_alloc(&d, 1, sizeof *d, "names of folders", err));
    const fc_status status = run_all(d, &pipeline, cli, argc, argv, err);
    fc_free(d);
    return status;
}

const fc_command fc_cmd_demo = {
    .name = "demo",
    .summary = "the whole experiment on the example model, in minutes",
    .usage = "facet demo [options]",
    .text =
        "Collects the activations of a small Gemma 3 model on Wikipedia articles, "
        "trains an SAE with the recipe\n"
        "'seed' and one with 'modern', evaluates and studies both, writes a report of "
        "each and compares them:\n"
        "runs/demo/seed, runs/demo/modern, runs/demo/compare. Any option of "
        "'facet run' may be given.\n",
    .run = run,
};
