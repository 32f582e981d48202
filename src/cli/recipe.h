/* recipe.h - recipe files and the built-in recipes, as options of a command.
 *
 * Precedence: defaults < recipe < command line.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_CLI_RECIPE_H
#define FC_CLI_RECIPE_H

#include "cli/args.h"

/* name: a built-in recipe ("seed") or a file. Sections of stages that the command does not have
 * are passed over, everything else must be known. */
fc_status fc_recipe_apply(fc_args *args, const char *name, fc_err *err);

#endif
