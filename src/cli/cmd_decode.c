/* cmd_decode.c - facet decode: activations back from features.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "cli/cli.h"
#include "sae/features_file.h"

typedef struct own_options {
    char input[FC_FIELD_TEXT_MAX], out[FC_FIELD_TEXT_MAX];
} own_options;

static const fc_field fields[] = {
    {"input", FC_FIELD_TEXT, offsetof(own_options, input), 0, 0, NULL, "FILE",
     "features, dense or csr, as facet encode writes them; or a plain array of them"},
    {"out", FC_FIELD_TEXT, offsetof(own_options, out), 0, 0, NULL, "FILE",
     "safetensors; npz or npy by their ending"},
};

static fc_status decode(fc_cli *cli, const own_options *own, fc_err *err)
{
    fc_sae *sae = NULL;
    fc_backend *be = NULL;
    int64_t n_rows = 0;
    char text[FC_FIELD_TEXT_MAX + 128];
    fc_status status;
    FC_TRY_GOTO(fc_sae_load(&sae, cli->args.file[0], err));
    FC_TRY_GOTO(fc_cli_backend(cli, &be, err));
    FC_TRY_GOTO(fc_decode_features(sae, be, own->input, own->out, &n_rows, err));
    (void)snprintf(text, sizeof text, "%" PRId64 " rows of %" PRId64 "\n%s\n", n_rows,
                   sae->d_out, own->out);
    status = fc_cli_result(cli,
                           json_pack("{ss, ss, sI, sI}", "command", "decode", "out",
                                     own->out, "rows", (json_int_t)n_rows, "width",
                                     (json_int_t)sae->d_out),
                           text, err);
done:
    fc_backend_close(be);
    fc_sae_free(sae);
    return status;
}

static fc_status run(fc_cli *cli, int argc, char *const *argv, fc_err *err)
{
    own_options own = {0};
    bool is_done = false;
    cli->args.min_files = cli->args.max_files = 1;
    fc_args_group(&cli->args, "decode", fields, FC_LEN(fields), &own);
    FC_TRY(fc_cli_begin(cli, &fc_cmd_decode, argc, argv, &is_done, err));
    if (is_done) return FC_OK;
    FC_TRY(fc_cli_need(own.input, "--input", "features", err));
    FC_TRY(fc_cli_need(own.out, "--out", "a file", err));
    return decode(cli, &own, err);
}

const fc_command fc_cmd_decode = {
    .name = "decode",
    .summary = "activations back from features",
    .usage = "facet decode SAE --input f.safetensors --out y.safetensors",
    .text =
        "The reconstruction is in the units of the activations: what the SAE does to its "
        "input is undone.\n",
    .run = run,
};
