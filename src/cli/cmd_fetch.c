/* cmd_fetch.c - facet fetch: a model or data set from the Hugging Face hub into its cache.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "formats/hub_fetch.h"

typedef struct own_options {
    int type;
    char revision[FC_FIELD_TEXT_MAX], endpoint[FC_FIELD_TEXT_MAX];
} own_options;

static const fc_field fields[] = {
    {"type", FC_FIELD_CHOICE, offsetof(own_options, type), 0, 0, FC_HUB_KIND_CHOICES,
     "KIND", "what NAME is; with a ':', it is a data set"},
    {"revision", FC_FIELD_TEXT, offsetof(own_options, revision), 0, 0, NULL, "REVISION",
     "branch, tag or commit; also NAME@REVISION"},
    {"endpoint", FC_FIELD_TEXT, offsetof(own_options, endpoint), 0, 0, NULL, "URL",
     "the hub, if not HF_ENDPOINT or https://huggingface.co"},
};

static fc_status parse_name(fc_hub_fetch_config *config, const own_options *own,
                            const char *text, fc_err *err)
{
    fc_hub_name *name = &config->name;
    if (!fc_hub_name_parse(name, text))
        return fc_fail(err, FC_USAGE,
                       "'%s' is not a name of the hub, expected ORG/NAME[@REVISION]"
                       "[:CONFIG/SPLIT], such as google/gemma-3-1b-it",
                       text);
    config->kind = name->subset[0] ? FC_HUB_DATASET : (fc_hub_kind)own->type;
    config->endpoint = own->endpoint;
    if (!own->revision[0]) return FC_OK;
    if (strlen(own->revision) >= sizeof name->revision ||
        !fc_hub_is_safe_path(own->revision))
        return fc_fail(err, FC_USAGE, "--revision: '%s' is not a branch, tag or commit",
                       own->revision);
    memcpy(name->revision, own->revision, strlen(own->revision) + 1);
    return FC_OK;
}

static fc_status show(const fc_cli *cli, const fc_hub_fetch_config *config,
                      const fc_hub_fetch_result *r, fc_err *err)
{
    char text[FC_PATH_MAX + 256];
    snprintf(text, sizeof text,
             "%s: %" PRId64 " files, %" PRId64 " of them fetched now (%.1f MB)\n",
             r->snapshot, r->n_files, r->n_fetched, (double)r->n_bytes / 1e6);
    json_t *object = json_pack("{ss, ss, ss, ss, sI, sI, sI}", "command", "fetch", "name",
                               config->name.repo, "commit", r->commit, "out", r->snapshot,
                               "files", (json_int_t)r->n_files, "fetched",
                               (json_int_t)r->n_fetched, "bytes", (json_int_t)r->n_bytes);
    return fc_cli_result(cli, object, text, err);
}

static fc_status run(fc_cli *cli, int argc, char *const *argv, fc_err *err)
{
    own_options own = {0};
    fc_hub_fetch_config config;
    fc_hub_fetch_result result;
    bool is_done = false;
    fc_hub_fetch_defaults(&config);
    cli->args.min_files = cli->args.max_files = 1;
    fc_arg_list *include =
        fc_args_list(&cli->args, "include", "PATTERN...",
                     "only files that match one, as '*.json' '*.safetensors'");
    fc_args_group(&cli->args, "fetch", fields, FC_LEN(fields), &own);
    FC_TRY(fc_cli_begin(cli, &fc_cmd_fetch, argc, argv, &is_done, err));
    if (is_done) return FC_OK;
    FC_TRY(parse_name(&config, &own, cli->args.file[0], err));
    config.include = (const char *const *)include->item;
    config.n_include = include->n;
    FC_TRY(fc_hub_fetch(&config, &result, err));
    return show(cli, &config, &result, err);
}

const fc_command fc_cmd_fetch = {
    .name = "fetch",
    .summary = "download a model or data set from the Hugging Face hub into its cache",
    .usage = "facet fetch ORG/NAME [--type model|dataset] [--revision R] "
             "[--include PATTERN...]",
    .text =
        "What is in the cache is not fetched again, and what was cut off goes on "
        "where it was. Files are\n"
        "compared with their checksums. Afterwards the name stands for the files: "
        "--model ORG/NAME and\n"
        "--text ORG/NAME:CONFIG/SPLIT, and other programs find them too. The token is "
        "taken from HF_TOKEN,\n"
        "HF_TOKEN_PATH or ~/.cache/huggingface/token; HF_HOME, HF_HUB_CACHE, "
        "HF_ENDPOINT and HF_HUB_OFFLINE\n"
        "mean what they mean elsewhere.\n\n"
        "  facet fetch google/gemma-3-1b-it\n"
        "  facet fetch Salesforce/wikitext:wikitext-103-raw-v1/train\n",
    .run = run,
};
