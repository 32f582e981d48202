/* assets.c - look for the assets in the three places they can be.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/assets.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Folder of the running program, "" when the system does not say. */
static void program_dir(char path[FC_PATH_MAX])
{
    const ssize_t n = readlink("/proc/self/exe", path, FC_PATH_MAX - 1);
    path[n > 0 ? n : 0] = 0;
    char *slash = strrchr(path, '/');
    if (slash) *slash = 0;
}

static bool has_model(char path[FC_PATH_MAX], const char *dir, const char *relative)
{
    char config[FC_PATH_MAX];
    fc_err err;
    return dir && dir[0] && fc_path_join(path, dir, relative, &err) == FC_OK &&
           fc_path_join(config, path, "example-model/config.json", &err) == FC_OK &&
           fc_path_exists(config);
}

fc_status fc_assets_find(char path[FC_PATH_MAX], fc_err *err)
{
    char dir[FC_PATH_MAX];
    program_dir(dir);
    if (has_model(path, getenv("FACET_ASSETS"), ".") ||
        has_model(path, dir, "../share/facet") || has_model(path, dir, "../../assets"))
        return FC_OK;
    return fc_fail(
        err, FC_IO,
        "the example model is not there: looked in $FACET_ASSETS, %s/../share/facet and "
        "%s/../../assets for example-model/config.json",
        dir, dir);
}
