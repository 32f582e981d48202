/* recipes.h - the recipes that are built into the program: src/sae/recipes/NAME.yaml.
 *
 * The build turns the files into one C source (tools/embed_texts.cmake).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_RECIPES_H
#define FC_SAE_RECIPES_H

/* Text of the recipe of that name, zero-terminated; NULL when there is none. */
const char *fc_recipe_text(const char *name);

/* All names, "a, b, c". */
const char *fc_recipe_names(void);

#endif
