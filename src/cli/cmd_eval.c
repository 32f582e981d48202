/* cmd_eval.c - facet eval: how much of the model an SAE keeps.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "cli/stage_entry.h"
#include "cli/stages.h"
#include "formats/json.h"

typedef struct own_options {
    char acts[FC_FIELD_TEXT_MAX], hook[FC_FIELD_TEXT_MAX], against[FC_FIELD_TEXT_MAX];
} own_options;

static const fc_field own_fields[] = {
    {"acts", FC_FIELD_TEXT, offsetof(own_options, acts), 0, 0, NULL, "ACTS",
     "store that says which model and text; without it the one the SAE was trained on"},
    {"hook", FC_FIELD_TEXT, offsetof(own_options, hook), 0, 0, NULL, "NAME",
     "where the SAE belongs, if it does not say so itself"},
    {"against", FC_FIELD_TEXT, offsetof(own_options, against), 0, 0, NULL, "RUN",
     "another run or SAE, such as one of another seed: which features do both have?"},
};

/* Options of collecting that say which model reads which text how, and where meta.json has them. */
enum { N_TEXT_OPTIONS = 6 };
static const char *const text_options[N_TEXT_OPTIONS] = {
    "model", "max-length", "split", "overflow", "text-format", "text-column"};
static const char *const meta_keys[N_TEXT_OPTIONS] = {"model",    "max_length",  "split",
                                                      "overflow", "text_format", "field"};

static void pick_fields(fc_field fields[N_TEXT_OPTIONS])
{
    int64_t n;
    const fc_field *all = fc_collect_fields(&n);
    for (int i = 0; i < N_TEXT_OPTIONS; i++) {
        const fc_field *field = fc_fields_find(all, n, text_options[i]);
        FC_CHECK(field != NULL);
        fields[i] = *field;
    }
}

static fc_status set_option(fc_args *args, const char *name, const json_t *value,
                            const char *where, fc_err *err)
{
    char number[32];
    if (json_is_string(value))
        return fc_args_set(args, "", name, json_string_value(value), where, err);
    if (!json_is_integer(value)) return FC_OK;
    (void)snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
    return fc_args_set(args, "", name, number, where, err);
}

static fc_status set_from(fc_args *args, const json_t *options, const json_t *texts,
                          const char *path, fc_err *err)
{
    json_t *file;
    size_t k;
    for (int i = 0; i < N_TEXT_OPTIONS; i++)
        FC_TRY(set_option(args, text_options[i], json_object_get(options, meta_keys[i]),
                          path, err));
    json_array_foreach(texts, k, file)
        FC_TRY(set_option(args, "text", json_object_get(file, "path"), path, err));
    return FC_OK;
}

/* Model and text as the store names them, as if a recipe said so; or as the recipe of a run without
 * a store does. */
static fc_status take_store(fc_args *args, const char *run_dir, const char *acts_dir,
                            fc_err *err)
{
    char acts[FC_PATH_MAX], path[FC_PATH_MAX];
    json_t *meta = NULL, *recipe = NULL;
    fc_status status;
    FC_TRY(fc_path_join(path, run_dir, "recipe.json", err));
    if (acts_dir[0] == '\0') {
        if (!fc_path_exists(path)) return FC_OK; /* not a run */
        FC_TRY(fc_json_load(&recipe, path, err));
        const json_t *const stream = json_object_get(recipe, "stream");
        if (stream != NULL)
            FC_TRY_GOTO(
                set_from(args, stream, json_object_get(recipe, "text"), path, err));
        if (stream != NULL) goto done;
    }
    FC_TRY_GOTO(fc_run_store(acts, acts_dir, run_dir, err));
    FC_TRY_GOTO(fc_path_join(path, acts, "meta.json", err));
    if (acts_dir[0] == '\0' && !fc_path_exists(path)) goto done; /* removed since */
    FC_TRY_GOTO(fc_json_load(&meta, path, err));
    status = set_from(args, meta, json_object_get(meta, "text"), path, err);
done:
    json_decref(meta);
    json_decref(recipe);
    return status;
}

/* Too much for a stack frame. */
typedef struct eval_options {
    own_options own;
    fc_eval_config config;
    fc_collect_config how;
    fc_field text_fields[N_TEXT_OPTIONS];
    fc_stage_result result;
    char run_dir[FC_PATH_MAX];
} eval_options;

static fc_status run_with(eval_options *o, fc_cli *cli, int argc, char *const *argv,
                          fc_err *err)
{
    bool is_done = false;
    int64_t n;
    const fc_field *fields = fc_eval_fields(&n);

    fc_eval_defaults(&o->config);
    fc_collect_defaults(&o->how);
    pick_fields(o->text_fields);
    cli->args.min_files = cli->args.max_files = 1;
    fc_arg_list *texts = fc_args_list(&cli->args, "text", "FILE...",
                                      "text to evaluate on; without it the store's own");
    fc_args_group(&cli->args, "eval", fields, n, &o->config);
    fc_args_group(&cli->args, "input", own_fields, FC_LEN(own_fields), &o->own);
    fc_args_group(&cli->args, "text", o->text_fields, N_TEXT_OPTIONS, &o->how);
    FC_TRY(fc_cli_begin(cli, &fc_cmd_eval, argc, argv, &is_done, err));
    if (is_done) return FC_OK;

    /* The line outranks the store, so it is read again after it. */
    FC_TRY(fc_path_join(o->run_dir, NULL, cli->args.file[0], err));
    fc_args_clear(&cli->args);
    FC_TRY(take_store(&cli->args, o->run_dir, o->own.acts, err));
    FC_TRY(fc_args_parse(&cli->args, argc, argv, err));
    const fc_eval_from from = {.run = o->run_dir,
                               .acts = o->own.acts,
                               .hook = o->own.hook,
                               .against = o->own.against,
                               .how = &o->how,
                               .texts = texts};
    FC_TRY(fc_stage_eval(cli, &o->config, &from, false, &o->result, err));
    return fc_cli_result(cli, o->result.object, o->result.text, err);
}

static fc_status run(fc_cli *cli, int argc, char *const *argv, fc_err *err)
{
    eval_options *o = NULL;
    FC_TRY(fc_alloc(&o, 1, sizeof *o, "options", err));
    const fc_status status = run_with(o, cli, argc, argv, err);
    fc_free(o);
    return status;
}

const fc_command fc_cmd_eval = {
    .name = "eval",
    .summary =
        "how much of the model the SAE keeps: loss, divergence, SAEBench's measures",
    .usage = "facet eval RUN [--text FILE...] [options]",
    .text =
        "Runs text through the model as it is, with the SAE's reconstruction in place "
        "of the activations, with\n"
        "zeros and with their mean, and writes RUN/eval.json: what each costs in "
        "cross-entropy and KL, the tokens\n"
        "that lose most, and SAEBench's core measures. Then what needs no text: how "
        "encoder and decoder rows lie,\n"
        "feature absorption, meta-structure, density and concepts as studied, and with "
        "--against how many features\n"
        "another SAE has too. RUN may also be the folder of an SAE alone; then give "
        "--model and --text.\n",
    .run = run,
};
