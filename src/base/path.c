/* path.c - names of files and what lies in folders.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/alloc.h"
#include "base/file.h"

bool fc_path_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

bool fc_path_is_dir(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

int64_t fc_file_size(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) ? (int64_t)info.st_size : -1;
}

fc_status fc_path_join(char *path, const char *dir, const char *name, fc_err *err)
{
    const size_t n_dir = dir != NULL ? strlen(dir) : 0;
    const char *slash = n_dir > 0 && dir[n_dir - 1] != '/' ? "/" : "";
    const int n =
        snprintf(path, FC_PATH_MAX, "%s%s%s", n_dir > 0 ? dir : "", slash, name);
    if (n >= 0 && n < FC_PATH_MAX) return FC_OK;
    return fc_fail(err, FC_IO, "the path '%.80s...' is longer than %d bytes", path,
                   FC_PATH_MAX - 1);
}

const char *fc_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

fc_status fc_dir_make(const char *path, fc_err *err)
{
    char part[FC_PATH_MAX];
    FC_TRY(fc_path_join(part, NULL, path, err));
    for (char *end = part; *end != '\0';) {
        end += strspn(end, "/");
        end += strcspn(end, "/");
        const char rest = *end;
        *end = '\0';
        /* Any other failure than "it is there" also shows in the last test. */
        const bool is_made = part[0] == '\0' || mkdir(part, 0777) == 0 || errno == EEXIST;
        if (!is_made && !fc_path_is_dir(part))
            return fc_fail_errno(err, "cannot make the folder '%s'", part);
        *end = rest;
    }
    if (fc_path_is_dir(path)) return FC_OK;
    return fc_fail(err, FC_IO,
                   "cannot make the folder '%s': a file of that name is there", path);
}

fc_status fc_dir_free_bytes(const char *path, int64_t *n_bytes, fc_err *err)
{
    struct statvfs info;
    if (statvfs(path, &info) != 0)
        return fc_fail_errno(err, "cannot look at the disk of '%s'", path);
    const double free_bytes = (double)info.f_bavail * (double)info.f_frsize;
    *n_bytes = free_bytes < 0x1p62 ? (int64_t)free_bytes : (int64_t)1 << 62;
    return FC_OK;
}

static fc_status read_names(fc_names *names, DIR *dir, const char *path, fc_err *err)
{
    int64_t capacity = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL && errno != 0)
            return fc_fail_errno(err, "cannot list '%s'", path);
        if (entry == NULL) return FC_OK;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        FC_TRY(fc_grow(&names->name, &capacity, names->n + 1, sizeof *names->name,
                       "a list of files", err));
        FC_TRY(fc_strdup(&names->name[names->n], entry->d_name, err));
        names->n++;
    }
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

fc_status fc_dir_list(fc_names *names, const char *path, fc_err *err)
{
    *names = (fc_names){0};
    DIR *dir = opendir(path);
    if (dir == NULL) return fc_fail_errno(err, "cannot list '%s'", path);
    const fc_status status = read_names(names, dir, path, err);
    closedir(dir);
    if (status != FC_OK)
        fc_names_free(names);
    else if (names->n > 1)
        qsort(names->name, (size_t)names->n, sizeof *names->name, compare_names);
    return status;
}

void fc_names_free(fc_names *names)
{
    for (int64_t i = 0; i < names->n; i++) fc_free(names->name[i]);
    fc_free(names->name);
    *names = (fc_names){0};
}
