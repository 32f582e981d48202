/* cli.h - what every command shares: its row in the table, common options, opened things.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_CLI_CLI_H
#define FC_CLI_CLI_H

#include <jansson.h>

#include "cli/args.h"
#include "tensor/backend.h"

typedef struct fc_common { /* options that mean the same everywhere */
    bool is_quiet, is_json, is_verbose;
    int64_t threads;
    char cpu[FC_FIELD_TEXT_MAX];
} fc_common;

typedef struct fc_cli {
    const char *command;
    fc_args args;
    fc_common common;
    const char *recipe;        /* where --recipe is stored, or NULL */
    bool is_recipe_first_file; /* the first file is the recipe */
} fc_cli;

typedef struct fc_command {
    const char *name, *summary;
    const char *usage; /* "facet train --acts STORE --out RUN [options]" */
    const char *text;  /* two or three lines of explanation and an example */
    /* Registers options in cli->args, parses them through fc_cli_begin, does the work. */
    fc_status (*run)(fc_cli *cli, int argc, char *const *argv, fc_err *err);
} fc_command;

extern const fc_command fc_cmd_tokenize, fc_cmd_activations, fc_cmd_collect, fc_cmd_train,
    fc_cmd_study, fc_cmd_eval, fc_cmd_report, fc_cmd_run, fc_cmd_demo, fc_cmd_inspect,
    fc_cmd_bench, fc_cmd_find, fc_cmd_sweep, fc_cmd_fetch, fc_cmd_encode, fc_cmd_decode,
    fc_cmd_convert;

/* Parses argv, sets up messages, threads and Ctrl-C. *is_done: only help was asked for (and given). */
fc_status fc_cli_begin(fc_cli *cli, const fc_command *command, int argc,
                       char *const *argv, bool *is_done, fc_err *err);

fc_status fc_cli_backend(const fc_cli *cli, fc_backend **be, fc_err *err);

/* The result of a command on standard output: `text` for people, or with --json the object. Takes
 * the reference. */
fc_status fc_cli_result(const fc_cli *cli, json_t *object, const char *text, fc_err *err);

/* An option that must be there: "collect: --out is missing, expected a folder". */
fc_status fc_cli_need(const char *value, const char *option, const char *expected,
                      fc_err *err);

#endif
