/* cmd_train.c - facet train: a store, or text through the model, to an SAE.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/stages.h"

typedef struct own_options {
    char acts[FC_FIELD_TEXT_MAX], target[FC_FIELD_TEXT_MAX];
    char target_hook[FC_FIELD_TEXT_MAX];
    char out[FC_FIELD_TEXT_MAX], recipe[FC_FIELD_TEXT_MAX];
    bool is_resume;
} own_options;

static const fc_field own_fields[] = {
    {"acts", FC_FIELD_TEXT, offsetof(own_options, acts), 0, 0, NULL, "ACTS",
     "store to train on; without it --model, --hook and --text"},
    {"target", FC_FIELD_TEXT, offsetof(own_options, target), 0, 0, NULL, "ACTS",
     "transcoders: store of the target, collected in one pass with --acts"},
    {"target-hook", FC_FIELD_TEXT, offsetof(own_options, target_hook), 0, 0, NULL, "NAME",
     "transcoders without a store: module whose output is the target"},
    {"out", FC_FIELD_TEXT, offsetof(own_options, out), 0, 0, NULL, "RUN",
     "folder for the run"},
    {"recipe", FC_FIELD_TEXT, offsetof(own_options, recipe), 0, 0, NULL, "NAME|FILE",
     "built-in recipe or YAML file; options given here outrank it"},
    {"resume", FC_FIELD_BOOL, offsetof(own_options, is_resume), 0, 0, NULL, NULL,
     "go on from the run's newest checkpoint"},
};

/* A store, or text through the model. What a recipe says of collecting is of no interest to who has
 * a store. */
static fc_status check_source(const own_options *own, const fc_collect_config *how,
                              const fc_arg_list *texts, fc_err *err)
{
    if (own->acts[0] != '\0') {
        if (own->target_hook[0] != '\0')
            return fc_fail(
                err, FC_USAGE,
                "--target-hook is for training without a store, --target names "
                "the store of the target");
        if (texts->n > 0 && !texts->is_from_recipe)
            return fc_fail(
                err, FC_USAGE,
                "--acts and --text are both given, expected a store, or text to "
                "run through the model");
        return FC_OK;
    }
    if (own->target[0] != '\0')
        return fc_fail(err, FC_USAGE,
                       "--target names a store, --acts is missing; without stores "
                       "--target-hook names the module");
    if (texts->n == 0)
        return fc_fail(err, FC_USAGE,
                       "--acts is missing, expected a store made by 'facet collect'; or "
                       "--model, --hook and --text to train without one");
    FC_TRY(fc_cli_need(how->model, "--model", "a checkpoint folder", err));
    return fc_cli_need(how->hook, "--hook",
                       "a module such as model.layers.25.mlp.down_proj", err);
}

static fc_status run(fc_cli *cli, int argc, char *const *argv, fc_err *err)
{
    own_options own = {0};
    fc_train_config config;
    fc_collect_config how;
    fc_stage_result result = {0};
    bool is_done = false;
    int64_t n;

    fc_train_defaults(&config);
    fc_collect_defaults(&how);
    cli->recipe = own.recipe;
    fc_arg_list *texts = fc_args_list(&cli->args, "text", "FILE...",
                                      "without a store: text to run through the model");
    const fc_field *fields = fc_train_fields(&n);
    fc_args_group(&cli->args, "train", fields, n, &config);
    fc_args_group(&cli->args, "run", own_fields, FC_LEN(own_fields), &own);
    fields = fc_stream_fields(&n);
    fc_args_group(&cli->args, "collect", fields, n, &how);
    FC_TRY(fc_cli_begin(cli, &fc_cmd_train, argc, argv, &is_done, err));
    if (is_done) return FC_OK;

    FC_TRY(check_source(&own, &how, texts, err));
    FC_TRY(fc_cli_need(own.out, "--out", "a folder", err));
    const fc_train_from from = {own.acts, own.target, &how, own.target_hook, texts};
    FC_TRY(fc_stage_train(cli, &config, &from, own.out, own.is_resume, &result, err));
    return fc_cli_result(cli, result.object, result.text, err);
}

const fc_command fc_cmd_train = {
    .name = "train",
    .summary = "train a sparse autoencoder on activations",
    .usage =
        "facet train --acts ACTS --out RUN [--recipe NAME|FILE] [options]\n"
        "       facet train --model DIR --text FILE... --hook MODULE --tokens N --out "
        "RUN [options]",
    .text =
        "The defaults are the recipe 'seed'. RUN/sae opens in SAELens, RUN itself in "
        "TensorBoard. Ctrl-C saves a\n"
        "checkpoint; --resume goes on to the same bytes as if training had never "
        "stopped.\n\n"
        "  facet train --acts acts/ --recipe seed --out runs/seed\n\n"
        "Without a store (options under Collect) the text runs through the model while "
        "training, anew in each epoch:\n"
        "a window of rows is filled while the one before is drained. Normalisation is by "
        "the first window's rows.\n\n"
        "  facet train --model gemma-3-1b-it --text wiki.train.raw --hook "
        "model.layers.12 \\\n"
        "      --tokens 20M --epochs 1 --out runs/stream\n",
    .run = run,
};
