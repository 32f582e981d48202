/* dir_out.c - a folder beside its place, renamed when it is whole.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/dir_out.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

fc_status fc_dir_out_begin(fc_dir_out *out, const char *path, fc_err *err)
{
    *out = (fc_dir_out){.dir = ""};
    FC_TRY(fc_path_join(out->path, NULL, path, err));
    for (size_t n = strlen(out->path); n > 1 && out->path[n - 1] == '/';)
        out->path[--n] = '\0';
    if (fc_path_exists(out->path))
        return fc_fail(err, FC_USAGE, "%s: is there already, expected a new name", path);
    char temporary[FC_PATH_MAX + 32];
    (void)snprintf(temporary, sizeof temporary, "%s.tmp-%ld", out->path, (long)getpid());
    FC_TRY(fc_path_join(out->dir, NULL, temporary, err));
    const fc_status status = fc_dir_make(out->dir, err);
    if (status != FC_OK) out->dir[0] = '\0';
    return status;
}

fc_status fc_dir_out_commit(fc_dir_out *out, fc_err *err)
{
    if (rename(out->dir, out->path) != 0) /* never onto a folder that holds something */
        return fc_fail_errno(err, "cannot finish '%s'", out->path);
    out->dir[0] = '\0';
    return FC_OK;
}

void fc_dir_out_discard(fc_dir_out *out)
{
    fc_names names = {0};
    char file[FC_PATH_MAX];
    if (out->dir[0] == '\0') return;
    if (fc_dir_list(&names, out->dir, NULL) == FC_OK)
        for (int64_t i = 0; i < names.n; i++)
            if (fc_path_join(file, out->dir, names.name[i], NULL) == FC_OK)
                (void)unlink(file);
    fc_names_free(&names);
    (void)rmdir(out->dir);
    out->dir[0] = '\0';
}
