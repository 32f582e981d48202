/* cmd_encode.c - facet encode: features of activations, for those who only want the features.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "cli/cli.h"
#include "sae/features_file.h"

typedef struct own_options {
    char input[FC_FIELD_TEXT_MAX], tensor[FC_FIELD_TEXT_MAX], out[FC_FIELD_TEXT_MAX];
    int format;
} own_options;

static const fc_field fields[] = {
    {"input", FC_FIELD_TEXT, offsetof(own_options, input), 0, 0, NULL, "FILE|STORE",
     "rows of activations: safetensors, npy, npz, pt, or a store"},
    {"tensor", FC_FIELD_TEXT, offsetof(own_options, tensor), 0, 0, NULL, "NAME",
     "which array of the file; without: activations, x, or the only one"},
    {"out", FC_FIELD_TEXT, offsetof(own_options, out), 0, 0, NULL, "FILE",
     "safetensors; npz or npy by their ending"},
    {"format", FC_FIELD_CHOICE, offsetof(own_options, format), 0, 0, FC_LAYOUT_CHOICES,
     NULL, "every feature of every row, or those that fire as a sparse matrix"},
};

static fc_status show(const fc_cli *cli, const fc_encode_result *r, const fc_sae *sae,
                      const char *out, fc_err *err)
{
    char text[FC_FIELD_TEXT_MAX + 256];
    const double l0 = r->n_rows > 0 ? (double)r->n_entries / (double)r->n_rows : 0.0;
    (void)snprintf(text, sizeof text,
                   "%" PRId64 " rows, %" PRId64
                   " features, %.1f of them fire on a row\n%s\n",
                   r->n_rows, sae->d_sae, l0, out);
    return fc_cli_result(cli,
                         json_pack("{ss, ss, sI, sI, sI, sf}", "command", "encode", "out",
                                   out, "rows", (json_int_t)r->n_rows, "features",
                                   (json_int_t)sae->d_sae, "entries",
                                   (json_int_t)r->n_entries, "l0", l0),
                         text, err);
}

static fc_status encode(fc_cli *cli, const own_options *own, fc_err *err)
{
    fc_encode_job job = {.out = own->out, .layout = (fc_layout)own->format};
    fc_encode_result result;
    fc_sae *sae = NULL;
    fc_rows *rows = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_sae_load(&sae, cli->args.file[0], err));
    FC_TRY_GOTO(fc_rows_open(&rows, own->input, own->tensor, err));
    FC_TRY_GOTO(fc_cli_backend(cli, &job.be, err));
    job.sae = sae;
    job.rows = rows;
    FC_TRY_GOTO(fc_encode_rows(&job, &result, err));
    status = show(cli, &result, sae, own->out, err);
done:
    fc_backend_close(job.be);
    fc_rows_close(rows);
    fc_sae_free(sae);
    return status;
}

static fc_status run(fc_cli *cli, int argc, char *const *argv, fc_err *err)
{
    own_options own = {0};
    bool is_done = false;
    cli->args.min_files = cli->args.max_files = 1;
    fc_args_group(&cli->args, "encode", fields, FC_LEN(fields), &own);
    FC_TRY(fc_cli_begin(cli, &fc_cmd_encode, argc, argv, &is_done, err));
    if (is_done) return FC_OK;
    FC_TRY(fc_cli_need(own.input, "--input", "rows of activations", err));
    FC_TRY(fc_cli_need(own.out, "--out", "a file", err));
    return encode(cli, &own, err);
}

const fc_command fc_cmd_encode = {
    .name = "encode",
    .summary = "features of activations, by any SAE, into a file",
    .usage = "facet encode SAE --input x.safetensors|x.npy|STORE --out f.safetensors "
             "[--format csr]",
    .text =
        "SAE: a folder of SAELens, sparsify, dictionary_learning or Gemma Scope, a run, "
        "or ORG/NAME:FOLDER of the hub's cache.\n"
        "Rows are raw activations, as the model has them. Neither they nor the features "
        "need to fit into memory.\n",
    .run = run,
};
