/* args.h - the command line against field tables: parse, complain helpfully, explain.
 *
 *   facet <command> [options] [files]
 *
 * A command gives its options as groups: a title (also the section
 * of a recipe file), a field table and the struct it fills. An option that several groups have is set in each. Lists
 * ("--text a b c", repeatable) stand beside them, since a config holds no lists.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_CLI_ARGS_H
#define FC_CLI_ARGS_H

#include "base/fields.h"

typedef struct fc_arg_group {
    const char *title; /* "Training" */
    const fc_field *fields;
    int64_t n;
    void *config;
} fc_arg_group;

typedef struct fc_arg_list {
    const char *name, *value, *help;
    char **item; /* copies, freed by fc_args_free */
    int64_t n, capacity;
    bool is_from_recipe; /* items on the command line then replace these */
} fc_arg_list;

enum { FC_MAX_GROUPS = 8, FC_MAX_LISTS = 4, FC_MAX_REPEATED = 4 };

typedef struct fc_args {
    fc_arg_group group[FC_MAX_GROUPS];
    fc_arg_list list[FC_MAX_LISTS];
    int n_groups, n_lists;
    const char **file; /* positional arguments */
    int64_t n_files, files_capacity;
    int64_t min_files, max_files; /* max < 0: any number */
    bool is_help;                 /* -h or --help was given */
    const fc_field
        *repeated[FC_MAX_REPEATED]; /* TEXTS that this command line has begun */
    int n_repeated;
} fc_args;

void fc_args_group(fc_args *args, const char *title, const fc_field *fields, int64_t n,
                   void *config);
fc_arg_list *fc_args_list(fc_args *args, const char *name, const char *value,
                          const char *help);

/* Parses argv[0 .. argc-1] (the command's name already removed). An unknown option names the nearest
 * one. After "--" everything is a file. A field of kind TEXTS replaces what it held at its first
 * value and takes the others in addition. */
fc_status fc_args_parse(fc_args *args, int argc, char *const *argv, fc_err *err);

/* Sets `name` from a recipe in the groups whose title is `section`, or in all when section is "".
 * Lists and fields of kind TEXTS get one item a call. */
fc_status fc_args_set(fc_args *args, const char *section, const char *name,
                      const char *value, const char *where, fc_err *err);

/* Appends the options of all groups as text for --help, each with its default. */
fc_status fc_args_help(const fc_args *args, fc_strbuf *out, fc_err *err);

void fc_args_clear(fc_args *args); /* forgets files and list items, keeps the groups */
void fc_args_free(fc_args *args);

#endif
