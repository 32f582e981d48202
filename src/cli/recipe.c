/* recipe.c - feed a recipe's values through the same tables as the command line.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/recipe.h"

#include <string.h>

#include "base/file.h"
#include "formats/recipe_yaml.h"
#include "sae/recipes.h"

static const char *const stages[] = {"collect", "train", "eval", "study", "report"};

static bool is_stage(const char *section)
{
    for (size_t i = 0; i < FC_LEN(stages); i++)
        if (strcmp(section, stages[i]) == 0) return true;
    return false;
}

static bool has_section(const fc_args *args, const char *section)
{
    if (section[0] == 0) return true;
    for (int g = 0; g < args->n_groups; g++)
        if (strcmp(args->group[g].title, section) == 0) return true;
    return false;
}

static fc_status set_one(void *ctx, const char *section, const char *key,
                         const char *value, const char *where, fc_err *err)
{
    fc_args *args = ctx;
    if (has_section(args, section))
        return fc_args_set(args, section, key, value, where, err);
    if (is_stage(section)) return FC_OK;
    const char *nearest = fc_nearest_name(section, stages, FC_LEN(stages));
    return fc_fail(err, FC_USAGE, "%s: unknown section '%s', expected %s", where, section,
                   nearest ? nearest : "collect, train, eval, study or report");
}

fc_status fc_recipe_apply(fc_args *args, const char *name, fc_err *err)
{
    const char *text = fc_recipe_text(name);
    if (text) return fc_recipe_parse(text, strlen(text), name, set_one, args, err);
    if (!fc_path_exists(name))
        return fc_fail(err, FC_USAGE,
                       "no recipe '%s': neither a file nor one of the built-in ones (%s)",
                       name, fc_recipe_names());
    return fc_recipe_load(name, set_one, args, err);
}
