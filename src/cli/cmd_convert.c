/* cmd_convert.c - facet convert: an SAE, or what is known of its features, for another tool.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "sae/exchange.h"
#include "study/neuronpedia.h"
#include "study/projector.h"

typedef struct own_options {
    char to[FC_FIELD_TEXT_MAX];
} own_options;

#define TARGETS                                                  \
    "saelens, sparsify, dictionary_learning, npz, gemma-scope, " \
    "projector or neuronpedia"

static const fc_field fields[] = {
    {"to", FC_FIELD_TEXT, offsetof(own_options, to), 0, 0, NULL, "FORMAT",
     "saelens|sparsify|dictionary_learning|npz|gemma-scope|projector|neuronpedia"},
};

/* What is not an SAE in another form but a view of it. */
static const struct view {
    const char *name, *opener;
    fc_status (*write)(const char *in, const char *out, fc_err *err);
} views[] = {
    {"projector", "the projector of TensorBoard", fc_projector_write},
    {"neuronpedia", "the importers of SAEDashboard's output, as Neuronpedia has one",
     fc_neuronpedia_write},
};

static fc_status convert(const char *in, const char *out, const char *to,
                         const char **opener, fc_err *err)
{
    for (size_t i = 0; i < FC_LEN(views); i++) {
        if (strcmp(to, views[i].name) != 0) continue;
        *opener = views[i].opener;
        return views[i].write(in, out, err);
    }
    const fc_sae_format *format = fc_sae_format_find(to);
    if (format == NULL || format->save == NULL)
        return fc_fail(err, FC_USAGE, "--to is '%s', expected " TARGETS, to);
    *opener = format->opener;
    return fc_sae_convert(in, out, format, err);
}

static fc_status run(fc_cli *cli, int argc, char *const *argv, fc_err *err)
{
    own_options own = {0};
    bool is_done = false;
    const char *opener = "";
    char text[FC_FIELD_TEXT_MAX + 256];
    cli->args.min_files = cli->args.max_files = 2;
    fc_args_group(&cli->args, "convert", fields, FC_LEN(fields), &own);
    FC_TRY(fc_cli_begin(cli, &fc_cmd_convert, argc, argv, &is_done, err));
    if (is_done) return FC_OK;
    FC_TRY(fc_cli_need(own.to, "--to", TARGETS, err));
    const char *in = cli->args.file[0], *out = cli->args.file[1];
    FC_TRY(convert(in, out, own.to, &opener, err));
    (void)snprintf(text, sizeof text, "%.1000s, for %s\n", out, opener);
    return fc_cli_result(cli,
                         json_pack("{ss, ss, ss, ss, ss}", "command", "convert", "in", in,
                                   "out", out, "to", own.to, "opens_with", opener),
                         text, err);
}

const fc_command fc_cmd_convert = {
    .name = "convert",
    .summary =
        "an SAE of any tool for another tool; features for TensorBoard, Neuronpedia",
    .usage = "facet convert SAE|RUN OUT --to FORMAT",
    .text = "Reads SAELens (6 and older), sparsify, dictionary_learning, Gemma Scope 1 "
            "and 2, "
            "runs, and ORG/NAME:FOLDER of the hub's cache.\n"
            "OUT is a folder that must not be there. An SAE that the other tool cannot "
            "compute "
            "is refused.\n"
            "neuronpedia needs a run that 'facet study' has looked at; projector uses "
            "what it "
            "found where it is there.\n",
    .run = run,
};
