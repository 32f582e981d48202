/* cmd_sweep.c - facet sweep: many SAEs from one recipe, and from one forward pass.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/stage_sweep.h"
#include "cli/texts.h"

static const fc_field own_fields[] = {
    {"out", FC_FIELD_TEXT, offsetof(fc_sweep_options, out), 0, 0, NULL, "DIR",
     "folder for the runs, each in its own"},
    {"acts", FC_FIELD_TEXT, offsetof(fc_sweep_options, acts), 0, 0, NULL, "ACTS",
     "store, or folder of stores by hook; without it the text runs through the model"},
    {"target-hook", FC_FIELD_TEXT, offsetof(fc_sweep_options, target_hook), 0, 0, NULL,
     "NAME", "transcoders: module whose output is the target"},
    {"at-once", FC_FIELD_I64, offsetof(fc_sweep_options, at_once), 0, FC_SWEEP_MAX_RUNS,
     NULL, "N",
     "runs side by side; 0: without a store as many as half the memory holds, else 1"},
};

static fc_status check_source(const fc_sweep_options *options,
                              const fc_collect_config *how, const fc_arg_list *texts,
                              fc_err *err)
{
    FC_TRY(fc_cli_need(options->out, "out", "a folder for the runs", err));
    if (options->acts[0] != '\0') return FC_OK;
    FC_TRY(fc_cli_need(how->model, "model (section collect)",
                       "a checkpoint folder; or acts, a store", err));
    FC_TRY(fc_cli_need(how->hook, "hook (section collect)",
                       "one or several modules such as model.layers.25.mlp.down_proj",
                       err));
    return fc_cli_need(texts->n > 0 ? texts->item[0] : NULL, "text", "one or more files",
                       err);
}

/* The recipe between two readings of the command line: which one it is, and what outranks it. */
static fc_status read_options(fc_cli *cli, int argc, char *const *argv,
                              fc_sweep_plan *plan, const char **recipe, fc_err *err)
{
    *recipe = cli->args.file[0];
    fc_args_clear(&cli->args);
    FC_TRY(fc_sweep_plan_load(plan, &cli->args, *recipe, err));
    FC_TRY(fc_args_parse(&cli->args, argc, argv, err));
    return fc_args_find_texts(&cli->args, err);
}

static fc_status sweep(const fc_cli *cli, const fc_sweep_options *options,
                       const fc_sweep_from *from, fc_sweep_plan *plan, fc_err *err)
{
    json_t *object = NULL;
    fc_strbuf text = {0};
    fc_err why;
    const fc_status status =
        fc_stage_sweep(cli, options, from, plan, &object, &text, err);
    fc_status shown = FC_OK;
    if (object != NULL) shown = fc_cli_result(cli, object, fc_strbuf_text(&text), &why);
    fc_strbuf_free(&text);
    if (status == FC_OK && shown != FC_OK) return fc_fail(err, shown, "%s", why.text);
    return status;
}

static fc_status run(fc_cli *cli, int argc, char *const *argv, fc_err *err)
{
    fc_sweep_options options = {0};
    fc_collect_config how;
    fc_sweep_plan plan = {0};
    fc_sweep_from from = {.how = &how};
    bool is_done = false;
    int64_t n;

    fc_collect_defaults(&how);
    cli->args.min_files = cli->args.max_files = 1;
    fc_arg_list *texts =
        fc_args_list(&cli->args, "text", "FILE...", "text to run through the model");
    fc_args_group(&cli->args, "sweep", own_fields, FC_LEN(own_fields), &options);
    const fc_field *const fields = fc_stream_fields(&n);
    fc_args_group(&cli->args, "collect", fields, n, &how);
    FC_TRY(fc_cli_begin(cli, &fc_cmd_sweep, argc, argv, &is_done, err));
    if (is_done) return FC_OK;

    from.texts = texts;
    fc_status status;
    FC_TRY_GOTO(read_options(cli, argc, argv, &plan, &from.recipe, err));
    FC_TRY_GOTO(check_source(&options, &how, texts, err));
    status = sweep(cli, &options, &from, &plan, err);
done:
    fc_sweep_plan_free(&plan);
    return status;
}

const fc_command fc_cmd_sweep = {
    .name = "sweep",
    .summary = "train many SAEs, over hooks, sizes, coefficients, seeds, from one recipe",
    .usage = "facet sweep RECIPE [--out DIR] [options]",
    .text = "A recipe as for 'facet run', but lists in the section train, and of hooks, "
            "mean: "
            "each of these. Sections whose\n"
            "name begins with grid go over lists of their own. Without a store one "
            "forward pass "
            "feeds all runs. Each run\n"
            "is a folder as of 'facet train'; sweep.csv and sweep.json compare them. "
            "Stopped, "
            "the same command goes on.\n\n"
            "  out: runs/sweep\n"
            "  text: [wiki.train.raw]\n"
            "  collect: {model: gemma-3-1b-it, hook: [model.layers.5, model.layers.12], "
            "tokens: "
            "10M}\n"
            "  train: {epochs: 1, expansion: [8, 16]}\n"
            "  grid topk: {arch: [topk, batchtopk], k: [32, 64]}\n"
            "  grid relu: {arch: standard, l1-coefficient: [1e-4, 3e-4]}\n",
    .run = run,
};
