/* cmd_bench.c - facet bench: how fast this machine could be, and how near to that Facet comes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "bench/bench.h"
#include "cli/assets.h"
#include "cli/cli.h"

static fc_status choose_part(fc_bench_config *config, const char *name, fc_err *err)
{
    if (strcmp(name, "all") == 0) {
        for (int i = 0; i < FC_N_BENCH_PARTS; i++) config->has_part[i] = true;
        return FC_OK;
    }
    for (int i = 0; i < FC_N_BENCH_PARTS; i++) {
        if (strcmp(name, fc_bench_part_names[i]) != 0) continue;
        config->has_part[i] = true;
        return FC_OK;
    }
    const char *const nearest =
        fc_nearest_name(name, fc_bench_part_names, FC_N_BENCH_PARTS);
    if (nearest)
        return fc_fail(err, FC_USAGE, "unknown part '%s'; did you mean '%s'?", name,
                       nearest);
    return fc_fail(err, FC_USAGE,
                   "unknown part '%s', expected peaks, train, collect, study, tokenize "
                   "or all",
                   name);
}

static fc_status choose_parts(fc_bench_config *config, const fc_args *args, fc_err *err)
{
    if (args->n_files == 0) return choose_part(config, "all", err);
    for (int64_t i = 0; i < args->n_files; i++)
        FC_TRY(choose_part(config, args->file[i], err));
    return FC_OK;
}

/* The example model where no model is given, and its corpus where no text is. */
static fc_status find_inputs(fc_bench_config *config, const char **text, char *path,
                             fc_err *err)
{
    char assets[FC_PATH_MAX], model[FC_PATH_MAX];
    if (!config->has_part[FC_BENCH_COLLECT] && !config->has_part[FC_BENCH_TOKENIZE])
        return FC_OK;
    if (config->model[0] != '\0' && config->n_texts > 0) return FC_OK;
    FC_TRY(fc_assets_find(assets, err));
    FC_TRY(fc_path_join(model, assets, "example-model", err));
    if (config->model[0] == '\0') {
        if (strlen(model) >= sizeof config->model)
            return fc_fail(err, FC_IO, "%s: the path is too long", model);
        memcpy(config->model, model, strlen(model) + 1);
    }
    if (config->n_texts > 0) return FC_OK;
    FC_TRY(fc_path_join(path, model, "corpus.wikitext.raw.zst", err));
    *text = path;
    config->texts = text;
    config->n_texts = 1;
    return FC_OK;
}

static fc_status show(const fc_cli *cli, const fc_bench_result *result, fc_err *err)
{
    fc_strbuf text = {0};
    json_t *object = NULL;
    fc_status status = FC_OK;
    if (cli->common.is_json)
        object = fc_bench_json(result);
    else
        status = fc_bench_text(result, &text, err);
    if (status == FC_OK && cli->common.is_json && object == NULL)
        status = fc_fail(err, FC_NOMEM, "no memory left for the result");
    if (status == FC_OK) status = fc_cli_result(cli, object, fc_strbuf_text(&text), err);
    fc_strbuf_free(&text);
    return status;
}

static fc_status run(fc_cli *cli, int argc, char *const *argv, fc_err *err)
{
    fc_bench_config config;
    fc_bench_result *result = NULL;
    fc_backend *be = NULL;
    char path[FC_PATH_MAX];
    const char *text;
    bool is_done = false;
    int64_t n;
    const fc_field *fields = fc_bench_fields(&n);

    fc_bench_defaults(&config);
    cli->args.max_files = FC_N_BENCH_PARTS;
    fc_arg_list *texts =
        fc_args_list(&cli->args, "text", "FILE...",
                     "collect, tokenize: texts, if not the example model's corpus");
    fc_args_group(&cli->args, "bench", fields, n, &config);
    FC_TRY(fc_cli_begin(cli, &fc_cmd_bench, argc, argv, &is_done, err));
    if (is_done) return FC_OK;

    config.texts = (const char *const *)texts->item;
    config.n_texts = texts->n;
    FC_TRY(choose_parts(&config, &cli->args, err));
    FC_TRY(find_inputs(&config, &text, path, err));
    FC_TRY(fc_cli_backend(cli, &be, err));
    fc_status status = fc_bench(&config, be, &result, err);
    if (status == FC_OK) status = show(cli, result, err);
    fc_free(result);
    fc_backend_close(be);
    return status;
}

const fc_command fc_cmd_bench = {
    .name = "bench",
    .summary = "how fast this machine could be, and how near to that Facet comes",
    .usage = "facet bench [peaks] [train] [collect] [study] [tokenize] [options]",
    .text =
        "Without a name, all of them. A limit is the time or rate that the peaks of this "
        "very machine allow,\n"
        "% how much of it is reached, by the median. Samples that other programs "
        "disturbed are left out\n"
        "and counted. Let nothing else run meanwhile.\n\n"
        "  facet bench train --d-in 2304 --d-sae 16384 --json\n",
    .run = run,
};
