/* cmd_train.c - facet train: a store to an SAE.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/stages.h"

typedef struct own_options {
    char acts[FC_FIELD_TEXT_MAX], out[FC_FIELD_TEXT_MAX], recipe[FC_FIELD_TEXT_MAX];
    bool is_resume;
} own_options;

static const fc_field own_fields[] = {
    {"acts", FC_FIELD_TEXT, offsetof(own_options, acts), 0, 0, NULL, "ACTS",
     "store to train on"},
    {"out", FC_FIELD_TEXT, offsetof(own_options, out), 0, 0, NULL, "RUN",
     "folder for the run"},
    {"recipe", FC_FIELD_TEXT, offsetof(own_options, recipe), 0, 0, NULL, "NAME|FILE",
     "built-in recipe or YAML file; options given here outrank it"},
    {"resume", FC_FIELD_BOOL, offsetof(own_options, is_resume), 0, 0, NULL, NULL,
     "go on from the run's newest checkpoint"},
};

static fc_status run(fc_cli *cli, int argc, char *const *argv, fc_err *err)
{
    own_options own = {0};
    fc_train_config config;
    fc_stage_result result = {0};
    bool is_done = false;
    int64_t n;
    const fc_field *fields = fc_train_fields(&n);

    fc_train_defaults(&config);
    cli->recipe = own.recipe;
    fc_args_group(&cli->args, "train", fields, n, &config);
    fc_args_group(&cli->args, "run", own_fields, FC_LEN(own_fields), &own);
    FC_TRY(fc_cli_begin(cli, &fc_cmd_train, argc, argv, &is_done, err));
    if (is_done) return FC_OK;

    FC_TRY(fc_cli_need(own.acts, "--acts", "a store made by 'facet collect'", err));
    FC_TRY(fc_cli_need(own.out, "--out", "a folder", err));
    FC_TRY(fc_stage_train(cli, &config, own.acts, own.out, own.is_resume, &result, err));
    return fc_cli_result(cli, result.object, result.text, err);
}

const fc_command fc_cmd_train = {
    .name = "train",
    .summary = "train a sparse autoencoder on a store of activations",
    .usage = "facet train --acts ACTS --out RUN [--recipe NAME|FILE] [options]",
    .text = "The defaults are the recipe 'seed'. RUN/sae opens in SAELens, RUN itself in "
            "TensorBoard. Ctrl-C saves a\n"
            "checkpoint; --resume goes on to the same bytes as if training had never "
            "stopped.\n\n"
            "  facet train --acts acts/ --recipe seed --out runs/seed\n",
    .run = run,
};
