/* args.c - parse the command line against field tables.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/args.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

void fc_args_group(fc_args *args, const char *title, const fc_field *fields, int64_t n,
                   void *config)
{
    FC_CHECK(args->n_groups < FC_MAX_GROUPS);
    args->group[args->n_groups++] = (fc_arg_group){title, fields, n, config};
}

fc_arg_list *fc_args_list(fc_args *args, const char *name, const char *value,
                          const char *help)
{
    FC_CHECK(args->n_lists < FC_MAX_LISTS);
    fc_arg_list *list = &args->list[args->n_lists++];
    *list = (fc_arg_list){.name = name, .value = value, .help = help};
    return list;
}

static const fc_field *find_field(const fc_args *args, const char *name)
{
    for (int g = 0; g < args->n_groups; g++) {
        const fc_field *field =
            fc_fields_find(args->group[g].fields, args->group[g].n, name);
        if (field) return field;
    }
    return NULL;
}

typedef fc_status set_fn(const fc_field *field, void *config, const char *text,
                         const char *where, fc_err *err);

/* Sets the option in every group of the section that has it: --seed means all of them.
 * *n_set counts the groups. TEXTS: `set_texts`. */
static fc_status set_field(const fc_args *args, const char *section, const char *name,
                           const char *value, const char *where, set_fn *set_texts,
                           int *n_set, fc_err *err)
{
    for (int g = 0; g < args->n_groups; g++) {
        const fc_arg_group *group = &args->group[g];
        if (section[0] && strcmp(group->title, section) != 0) continue;
        const fc_field *field = fc_fields_find(group->fields, group->n, name);
        if (!field) continue;
        set_fn *const set = field->kind == FC_FIELD_TEXTS ? set_texts : fc_field_set;
        FC_TRY(set(field, group->config, value, where, err));
        (*n_set)++;
    }
    return FC_OK;
}

static fc_arg_list *find_list(fc_args *args, const char *name)
{
    for (int i = 0; i < args->n_lists; i++)
        if (strcmp(args->list[i].name, name) == 0) return &args->list[i];
    return NULL;
}

static fc_status list_add(fc_arg_list *list, const char *item, fc_err *err)
{
    char *copy;
    FC_TRY(fc_grow(&list->item, &list->capacity, list->n + 1, sizeof *list->item,
                   "arguments", err));
    FC_TRY(fc_strdup(&copy, item, err));
    list->item[list->n++] = copy;
    return FC_OK;
}

static void list_clear(fc_arg_list *list)
{
    for (int64_t k = 0; k < list->n; k++) fc_free(list->item[k]);
    list->n = 0;
    list->is_from_recipe = false;
}

static fc_status unknown_option(const fc_args *args, const char *name, fc_err *err)
{
    const char *names[512];
    int64_t n = 0;
    for (int g = 0; g < args->n_groups; g++)
        for (int64_t i = 0; i < args->group[g].n && n < 500; i++)
            names[n++] = args->group[g].fields[i].name;
    for (int i = 0; i < args->n_lists; i++) names[n++] = args->list[i].name;
    names[n++] = "help";
    const char *nearest = fc_nearest_name(name, names, n);
    if (nearest)
        return fc_fail(err, FC_USAGE, "unknown option --%s; did you mean --%s?", name,
                       nearest);
    return fc_fail(err, FC_USAGE, "unknown option --%s; -h lists the options", name);
}

/* A list takes what follows it up to the next option; "-" alone is standard input. */
static bool is_item(const char *text)
{
    return text[0] != '-' || text[1] == 0;
}

static fc_status parse_list(fc_arg_list *list, const char *inline_value, int argc,
                            char *const *argv, int *i, fc_err *err)
{
    if (list->is_from_recipe) list_clear(list);
    const int64_t before = list->n;
    if (inline_value) return list_add(list, inline_value, err);
    while (*i + 1 < argc && is_item(argv[*i + 1]))
        FC_TRY(list_add(list, argv[++*i], err));
    if (list->n == before)
        return fc_fail(err, FC_USAGE, "--%s: nothing given, expected %s", list->name,
                       list->value);
    return FC_OK;
}

/* Whether a field of kind TEXTS had a value on this command line already; now it has. */
static bool is_begun(fc_args *args, const fc_field *field)
{
    if (field->kind != FC_FIELD_TEXTS) return false;
    for (int i = 0; i < args->n_repeated; i++)
        if (args->repeated[i] == field) return true;
    FC_CHECK(args->n_repeated < FC_MAX_REPEATED);
    args->repeated[args->n_repeated++] = field;
    return false;
}

static fc_status parse_option(fc_args *args, int argc, char *const *argv, int *i,
                              fc_err *err)
{
    char name[64], where[80];
    const char *text = argv[*i] + 2, *equals = strchr(text, '=');
    const size_t n = equals ? (size_t)(equals - text) : strlen(text);
    if (n >= sizeof name) return fc_fail(err, FC_USAGE, "unknown option %s", argv[*i]);
    memcpy(name, text, n);
    name[n] = 0;
    const char *value = equals ? equals + 1 : NULL;

    fc_arg_list *list = find_list(args, name);
    if (list) return parse_list(list, value, argc, argv, i, err);
    const fc_field *field = find_field(args, name);
    const bool is_negated = !field && strncmp(name, "no-", 3) == 0;
    if (is_negated) field = find_field(args, name + 3);
    if (!field || (is_negated && field->kind != FC_FIELD_BOOL))
        return unknown_option(args, name, err);
    if (is_negated && value) return fc_fail(err, FC_USAGE, "--%s takes no value", name);
    if (field->kind == FC_FIELD_BOOL && !value) value = is_negated ? "false" : "true";
    if (!value) {
        if (*i + 1 >= argc)
            return fc_fail(err, FC_USAGE, "--%s: no value given, expected %s", name,
                           field->choices ? field->choices : field->value);
        value = argv[++*i];
    }
    int n_set = 0;
    snprintf(where, sizeof where, "--%s", name);
    return set_field(args, "", field->name, value, where,
                     is_begun(args, field) ? fc_field_add : fc_field_set, &n_set, err);
}

static fc_status add_file(fc_args *args, const char *path, fc_err *err)
{
    FC_TRY(fc_grow(&args->file, &args->files_capacity, args->n_files + 1,
                   sizeof *args->file, "arguments", err));
    args->file[args->n_files++] = path;
    return FC_OK;
}

fc_status fc_args_parse(fc_args *args, int argc, char *const *argv, fc_err *err)
{
    bool is_options_over = false;
    args->n_repeated = 0;
    for (int i = 0; i < argc; i++) {
        const char *a = argv[i];
        if (is_options_over || is_item(a)) {
            FC_TRY(add_file(args, a, err));
        } else if (strcmp(a, "--") == 0) {
            is_options_over = true;
        } else if (strcmp(a, "-h") == 0 || strcmp(a, "--help") == 0) {
            args->is_help = true;
            return FC_OK;
        } else if (a[1] == '-') {
            FC_TRY(parse_option(args, argc, argv, &i, err));
        } else {
            return fc_fail(err, FC_USAGE,
                           "unknown option %s; options are written out, as in --out", a);
        }
    }
    if (args->n_files < args->min_files)
        return fc_fail(err, FC_USAGE, "%lld argument%s given, expected %s%lld",
                       (long long)args->n_files, args->n_files == 1 ? "" : "s",
                       args->max_files == args->min_files ? "" : "at least ",
                       (long long)args->min_files);
    if (args->max_files >= 0 && args->n_files > args->max_files)
        return fc_fail(err, FC_USAGE, "unexpected argument '%s'",
                       args->file[args->max_files]);
    return FC_OK;
}

fc_status fc_args_set(fc_args *args, const char *section, const char *name,
                      const char *value, const char *where, fc_err *err)
{
    const char *names[512];
    int64_t n = 0;
    int n_set = 0;
    fc_arg_list *list = find_list(args, name);
    if (list) {
        list->is_from_recipe = true;
        return list_add(list, value, err);
    }
    FC_TRY(set_field(args, section, name, value, where, fc_field_add, &n_set, err));
    if (n_set > 0) return FC_OK;
    for (int g = 0; g < args->n_groups; g++) {
        const fc_arg_group *group = &args->group[g];
        if (section[0] && strcmp(group->title, section) != 0) continue;
        for (int64_t i = 0; i < group->n && n < 512; i++)
            names[n++] = group->fields[i].name;
    }
    const char *nearest = fc_nearest_name(name, names, n);
    return fc_fail(err, FC_USAGE, "%s: unknown key%s%s%s", where,
                   nearest ? "; did you mean '" : "", nearest ? nearest : "",
                   nearest ? "'?" : "");
}

static fc_status help_row(const fc_field *field, const void *config, fc_strbuf *out,
                          fc_err *err)
{
    fc_strbuf now = {0};
    char left[256];
    const char *value = field->kind == FC_FIELD_BOOL ? ""
                        : field->choices             ? field->choices
                                                     : field->value;
    snprintf(left, sizeof left, "--%s%s %s", field->kind == FC_FIELD_BOOL ? "[no-]" : "",
             field->name, value ? value : "");
    fc_status status = fc_field_get(field, config, &now, err);
    if (status == FC_OK) {
        const char *text = fc_strbuf_text(&now);
        const bool is_shown =
            text[0] && !(field->kind == FC_FIELD_BOOL && strcmp(text, "false") == 0);
        status = is_shown ? fc_strbuf_addf(out, err, "  %-34s %s [%s]\n", left,
                                           field->help, text)
                          : fc_strbuf_addf(out, err, "  %-34s %s\n", left, field->help);
    }
    fc_strbuf_free(&now);
    return status;
}

fc_status fc_args_help(const fc_args *args, fc_strbuf *out, fc_err *err)
{
    for (int i = 0; i < args->n_lists; i++) {
        char left[64];
        snprintf(left, sizeof left, "--%s %s", args->list[i].name, args->list[i].value);
        FC_TRY(fc_strbuf_addf(out, err, "%s  %-34s %s\n", i ? "" : "\n", left,
                              args->list[i].help));
    }
    for (int g = 0; g < args->n_groups; g++) {
        const fc_arg_group *group = &args->group[g];
        FC_TRY(fc_strbuf_addf(out, err, "\n%c%s\n", group->title[0] - 'a' + 'A',
                              group->title + 1));
        for (int64_t i = 0; i < group->n; i++)
            FC_TRY(help_row(&group->fields[i], group->config, out, err));
    }
    return FC_OK;
}

void fc_args_clear(fc_args *args)
{
    for (int i = 0; i < args->n_lists; i++) list_clear(&args->list[i]);
    args->n_files = 0;
}

void fc_args_free(fc_args *args)
{
    fc_args_clear(args);
    for (int i = 0; i < args->n_lists; i++) fc_free(args->list[i].item);
    fc_free(args->file);
    *args = (fc_args){0};
}
