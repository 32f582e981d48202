/* cmd_collect.c - facet collect: text through the model, activations to disk.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/stages.h"

typedef struct own_options {
    char out[FC_FIELD_TEXT_MAX];
} own_options;

static const fc_field own_fields[] = {
    {"out", FC_FIELD_TEXT, offsetof(own_options, out), 0, 0, NULL, "DIR",
     "folder for the store; one that is there is continued"},
};

static fc_status run(fc_cli *cli, int argc, char *const *argv, fc_err *err)
{
    own_options own = {0};
    fc_collect_config config;
    fc_stage_result result = {0};
    bool is_done = false;
    int64_t n;
    const fc_field *fields = fc_collect_fields(&n);

    fc_collect_defaults(&config);
    fc_arg_list *texts = fc_args_list(
        &cli->args, "text", "FILE...",
        "texts: files (gzip, zstd, zip, Parquet), names of the hub; - is stdin");
    fc_args_group(&cli->args, "collect", fields, n, &config);
    fc_args_group(&cli->args, "output", own_fields, FC_LEN(own_fields), &own);
    FC_TRY(fc_cli_begin(cli, &fc_cmd_collect, argc, argv, &is_done, err));
    if (is_done) return FC_OK;

    FC_TRY(fc_cli_need(config.model, "--model", "a checkpoint folder", err));
    FC_TRY(fc_cli_need(texts->n ? texts->item[0] : NULL, "--text", "one or more files",
                       err));
    FC_TRY(fc_cli_need(config.hook, "--hook",
                       "a module such as model.layers.25.mlp.down_proj", err));
    FC_TRY(fc_cli_need(own.out, "--out", "a folder", err));
    FC_TRY(fc_stage_collect(cli, &config, texts, own.out, &result, err));
    return fc_cli_result(cli, result.object, result.text, err);
}

const fc_command fc_cmd_collect = {
    .name = "collect",
    .summary = "run text through a model and keep the activations at its hooks",
    .usage =
        "facet collect --model DIR --text FILE... --hook MODULE --tokens N --out ACTS",
    .text = "Several hooks share one forward pass; each has its store in a folder by its "
            "name, ACTS/model.layers.5.mlp/,\n"
            "with the same tokens in the same rows. "
            "Rows are real tokens in corpus order, without <bos>. A store that is there "
            "is continued where it\n"
            "stopped, to the same bytes as if it had never stopped.\n\n"
            "  facet collect --model gemma-3-1b-it --text wiki.train.raw \\\n"
            "      --hook model.layers.25.mlp.down_proj --tokens 3M --out acts/\n",
    .run = run,
};
