/* main.c - facet <command>: find the command, run it, turn its status into an exit code.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/cancel.h"
#include "base/par.h"
#include "cli/cli.h"
#include "cli/recipe.h"
#include "cli/terminal.h"
#include "cli/texts.h"

static const fc_command *const commands[] = {
    &fc_cmd_demo,     &fc_cmd_run,         &fc_cmd_collect, &fc_cmd_train,
    &fc_cmd_sweep,    &fc_cmd_study,       &fc_cmd_eval,    &fc_cmd_report,
    &fc_cmd_tokenize, &fc_cmd_activations, &fc_cmd_inspect, &fc_cmd_bench,
    &fc_cmd_find,     &fc_cmd_fetch,       &fc_cmd_encode,  &fc_cmd_decode,
    &fc_cmd_convert,
};

static const fc_field common_fields[] = {
    {"quiet", FC_FIELD_BOOL, offsetof(fc_common, is_quiet), 0, 0, NULL, NULL,
     "errors and results only"},
    {"json", FC_FIELD_BOOL, offsetof(fc_common, is_json), 0, 0, NULL, NULL,
     "messages and results as JSON, one object a line"},
    {"verbose", FC_FIELD_BOOL, offsetof(fc_common, is_verbose), 0, 0, NULL, NULL,
     "say more"},
    {"threads", FC_FIELD_I64, offsetof(fc_common, threads), 0, FC_PAR_MAX_THREADS, NULL,
     "N", "threads; 0: one for each core"},
    {"cpu", FC_FIELD_TEXT, offsetof(fc_common, cpu), 0, 0, NULL,
     "native|ref|avx2|avx512|amx", "use no more of the processor than this"},
};

static fc_status print_help(const fc_cli *cli, const fc_command *command, fc_err *err)
{
    fc_strbuf text = {0};
    fc_status status = fc_args_help(&cli->args, &text, err);
    if (status == FC_OK)
        printf("%s\n\nusage: %s\n\n%s%s", command->summary, command->usage, command->text,
               fc_strbuf_text(&text));
    fc_strbuf_free(&text);
    return status;
}

/* The recipe's name stands on the command line, yet the rest of the line outranks the recipe: so
 * the line is parsed again after it. */
static fc_status apply_recipe(fc_cli *cli, int argc, char *const *argv, fc_err *err)
{
    char name[FC_FIELD_TEXT_MAX];
    const char *given = cli->recipe                 ? cli->recipe
                        : cli->is_recipe_first_file ? cli->args.file[0]
                                                    : "";
    if (!given[0]) return FC_OK;
    snprintf(name, sizeof name, "%s", given);
    fc_args_clear(&cli->args);
    FC_TRY(fc_recipe_apply(&cli->args, name, err));
    return fc_args_parse(&cli->args, argc, argv, err);
}

fc_status fc_cli_begin(fc_cli *cli, const fc_command *command, int argc,
                       char *const *argv, bool *is_done, fc_err *err)
{
    snprintf(cli->common.cpu, sizeof cli->common.cpu, "native");
    fc_args_group(&cli->args, "everywhere", common_fields, FC_LEN(common_fields),
                  &cli->common);
    fc_status status = fc_args_parse(&cli->args, argc, argv, err);
    if (status == FC_OK && !cli->args.is_help)
        status = apply_recipe(cli, argc, argv, err);
    fc_terminal_init(cli->common.is_quiet, cli->common.is_json, cli->common.is_verbose);
    if (status != FC_OK) return status;
    *is_done = cli->args.is_help;
    if (*is_done) return print_help(cli, command, err);
    FC_TRY(fc_args_find_texts(&cli->args, err));
    fc_par_set_threads((int)cli->common.threads);
    fc_cancel_install();
    return FC_OK;
}

fc_status fc_cli_backend(const fc_cli *cli, fc_backend **be, fc_err *err)
{
    return fc_backend_open(be, cli->common.cpu, err);
}

fc_status fc_cli_result(const fc_cli *cli, json_t *object, const char *text, fc_err *err)
{
    if (cli->common.is_json && object) {
        json_dumpf(object, stdout,
                   JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
        putchar('\n');
    } else if (!cli->common.is_quiet && text) {
        fputs(text, stdout);
    }
    if (object) json_decref(object);
    if (fflush(stdout) != 0 || ferror(stdout))
        return fc_fail_errno(err, "standard output: cannot write the result");
    return FC_OK;
}

fc_status fc_cli_need(const char *value, const char *option, const char *expected,
                      fc_err *err)
{
    if (value && value[0]) return FC_OK;
    return fc_fail(err, FC_USAGE, "%s is missing, expected %s", option, expected);
}

static void print_commands(FILE *to)
{
    fputs("facet - sparse autoencoders on Gemma 3, from text to report\n\nusage: facet "
          "<command> [options]\n\n",
          to);
    for (size_t i = 0; i < FC_LEN(commands); i++)
        fprintf(to, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n'facet <command> -h' explains one. Begin with 'facet demo'.\n", to);
}

static int fail(const char *command, const fc_err *err)
{
    fc_terminal_error(command, err);
    return fc_status_exit_code(err->status);
}

static int unknown_command(const char *name)
{
    const char *names[FC_LEN(commands)];
    for (size_t i = 0; i < FC_LEN(commands); i++) names[i] = commands[i]->name;
    const char *nearest = fc_nearest_name(name, names, FC_LEN(commands));
    fc_err err = {0};
    const fc_status status =
        nearest ? fc_fail(&err, FC_USAGE, "unknown command '%s'; did you mean '%s'?",
                          name, nearest)
                : fc_fail(&err, FC_USAGE,
                          "unknown command '%s'; 'facet -h' lists the commands", name);
    fc_terminal_init(false, false, false);
    fc_terminal_error(NULL, &err);
    return fc_status_exit_code(status);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    if (!name) {
        print_commands(stderr);
        return fc_status_exit_code(FC_USAGE);
    }
    if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0 ||
        strcmp(name, "help") == 0) {
        print_commands(stdout);
        return 0;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        puts("facet " FACET_VERSION);
        return 0;
    }
    for (size_t i = 0; i < FC_LEN(commands); i++) {
        if (strcmp(commands[i]->name, name) != 0) continue;
        fc_err err = {0};
        fc_cli cli = {.command = name};
        const fc_status status = commands[i]->run(&cli, argc - 2, argv + 2, &err);
        const int code = status == FC_OK ? 0 : fail(name, &err);
        fc_args_free(&cli.args);
        return code;
    }
    return unknown_command(name);
}
