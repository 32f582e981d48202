/* fuzz_recipe.c - text through the recipe reader.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "formats/recipe_yaml.h"

static fc_status take(void *ctx, const char *section, const char *key, const char *value,
                      const char *where, fc_err *err)
{
    size_t *const n_bytes = ctx;
    (void)err;
    *n_bytes += strlen(section) + strlen(key) + strlen(value) + strlen(where);
    return FC_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    size_t n_seen = 0;
    fc_err err;
    (void)fc_recipe_parse((const char *)data, n_bytes, "fuzz", take, &n_seen, &err);
    return 0;
}
