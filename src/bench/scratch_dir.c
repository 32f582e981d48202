/* scratch_dir.c - mkdtemp, and the way back.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "bench/scratch_dir.h"

#include <stdlib.h>
#include <unistd.h>

fc_status fc_scratch_dir_make(char dir[FC_PATH_MAX], fc_err *err)
{
    const char *const parent = getenv("TMPDIR");
    char path[FC_PATH_MAX];
    dir[0] = '\0';
    FC_TRY(fc_path_join(path, parent && parent[0] ? parent : "/tmp", "facet-bench-XXXXXX",
                        err));
    if (mkdtemp(path) == NULL)
        return fc_fail_errno(err, "%s: cannot make a temporary folder", path);
    return fc_path_join(dir, NULL, path, err);
}

fc_status fc_scratch_dir_clear(const char *dir, fc_err *err)
{
    fc_names names = {0};
    char path[FC_PATH_MAX];
    fc_status status;
    if (dir[0] == '\0') return FC_OK;
    FC_TRY_GOTO(fc_dir_list(&names, dir, err));
    for (int64_t i = 0; i < names.n; i++) {
        FC_TRY_GOTO(fc_path_join(path, dir, names.name[i], err));
        FC_TRY_GOTO(fc_file_remove(path, err));
    }
done:
    fc_names_free(&names);
    return status;
}

void fc_scratch_dir_remove(const char *dir)
{
    if (dir[0] == '\0') return;
    if (fc_scratch_dir_clear(dir, NULL) == FC_OK) (void)rmdir(dir);
}
