/* recipe_yaml.h - recipe files: sections of "key: value", read as libyaml events.
 *
 *   model: google/gemma-3-1b-it        top-level keys: section ""
 *   train:                             one level of sections
 *     lr: 3e-3
 *     text: [a.txt, b.txt]             a list gives one call per item
 *
 * A key without a value ("text:") is as if it were not there; "" is the empty text.
 * Values stay text: the field tables type them, so "1e-3" or "no" is never misread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FORMATS_RECIPE_YAML_H
#define FC_FORMATS_RECIPE_YAML_H

#include "base/err.h"

/* Called for each value in file order; `where` is "recipe.yaml:12: lr" for sentences. */
typedef fc_status fc_recipe_fn(void *ctx, const char *section, const char *key,
                               const char *value, const char *where, fc_err *err);

/* Refuses deeper nesting, anchors, aliases, tags, duplicate keys, several documents, files over 1 MiB.
 * Each with the line. */
fc_status fc_recipe_load(const char *path, fc_recipe_fn *fn, void *ctx, fc_err *err);
fc_status fc_recipe_parse(const char *text, size_t n_bytes, const char *name,
                          fc_recipe_fn *fn, void *ctx, fc_err *err);

#endif
