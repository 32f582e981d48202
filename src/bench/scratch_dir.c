/* scratch_dir.c - mkdtemp, and the way back, which takes no memory: it is the way out when there
 * is none left.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "bench/scratch_dir.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
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
    DIR *const files = opendir(dir);
    if (files == NULL) return fc_fail_errno(err, "%s: cannot read the folder", dir);
    fc_status status = FC_OK;
    for (const struct dirent *file = readdir(files); file != NULL && status == FC_OK;
         file = readdir(files))
    {
        char path[FC_PATH_MAX];
        if (strcmp(file->d_name, ".") == 0 || strcmp(file->d_name, "..") == 0) continue;
        status = fc_path_join(path, dir, file->d_name, err);
        if (status == FC_OK) status = fc_file_remove(path, err);
    }
    (void)closedir(files);
    return status;
}

void fc_scratch_dir_remove(const char *dir)
{
    if (dir[0] == '\0') return;
    if (fc_scratch_dir_clear(dir, NULL) == FC_OK) (void)rmdir(dir);
}
