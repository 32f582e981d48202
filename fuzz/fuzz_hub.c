/* fuzz_hub.c - bytes as a name of the hub, a path in a repository, and a choice of its files.
 *
 * What is taken stays inside its folder, whatever it is.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "formats/hub_cache.h"

/* No way up, and no way out. */
static void check_path(const char *path)
{
    if (path[0] == '/' || path[0] == '\0' || strstr(path, "//") || strstr(path, "/../"))
        abort();
    if (strcmp(path, "..") == 0 || strncmp(path, "../", 3) == 0) abort();
    const size_t n = strlen(path);
    if (n > 2 && strcmp(path + n - 3, "/..") == 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    enum { TEXT_MAX = 2000 };
    char text[TEXT_MAX + 1], dir[FC_PATH_MAX];
    fc_hub_name name;
    const size_t n = n_bytes < TEXT_MAX ? n_bytes : TEXT_MAX;
    if (n > 0) memcpy(text, data, n);
    text[n] = '\0';
    if (fc_hub_is_safe_path(text)) check_path(text);
    if (!fc_hub_name_parse(&name, text)) return 0;
    check_path(name.repo);
    check_path(name.revision);
    if (name.subset[0]) check_path(name.subset);
    (void)fc_hub_subset_has(name.subset, name.revision);
    if (fc_hub_repo_dir(dir, FC_HUB_MODEL, name.repo, NULL) == FC_OK &&
        strchr(fc_path_base(dir), '/'))
        abort();
    return 0;
}
