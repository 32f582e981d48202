/* file.h - files: mapped for reading, written beside and renamed.
 *
 * A reader never sees half a file: fc_out writes PATH.tmp-PID, and fc_out_commit flushes it to
 * the disk and renames it. Dropped without commit, the temporary is removed and PATH is as it was.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_BASE_FILE_H
#define FC_BASE_FILE_H

#include <stdbool.h>

#include "base/err.h"

/* A file mapped read-only. data is NULL when the file is empty. Borrowed until fc_map_close. */
typedef struct fc_map {
    const uint8_t *data;
    size_t n_bytes;
} fc_map;

fc_status fc_map_open(fc_map *map, const char *path, fc_err *err);
void fc_map_close(fc_map *map); /* back to {0} */

typedef struct fc_out fc_out;
fc_status fc_out_open(fc_out **out, const char *path, fc_err *err);
fc_status fc_out_write(fc_out *out, const void *data, size_t n_bytes, fc_err *err);
fc_status fc_out_commit(fc_out *out,
                        fc_err *err); /* sync and rename; out may then be closed */
void fc_out_close(fc_out *out);       /* without commit: removes the temporary */

/* The same, but what is written goes to the end of the file `partial`, beside `path` or on its disk. It
 * stays when out is closed without commit, and the next resume goes on from there: *n_there bytes. */
fc_status fc_out_resume(fc_out **out, const char *path, const char *partial,
                        int64_t *n_there, fc_err *err);
fc_status fc_out_restart(fc_out *out, fc_err *err); /* from nothing again */
fc_status fc_out_flush(fc_out *out,
                       fc_err *err); /* all bytes are in the partial file, to be read */

/* open, write, commit in one. */
fc_status fc_file_write(const char *path, const void *data, size_t n_bytes, fc_err *err);

/* Test hook: the n-th write from now on fails as if the disk were full; 0 = none. */
void fc_write_fail_at(int64_t n);

/* Test hook: commits no longer wait for the disk, which takes most of the time of a small file. */
void fc_sync_skip(bool is_skipped);

bool fc_path_exists(const char *path);
bool fc_path_is_dir(const char *path);
int64_t fc_file_size(const char *path);               /* -1 when there is none */
fc_status fc_dir_make(const char *path, fc_err *err); /* with its parents */
fc_status fc_dir_free_bytes(const char *path, int64_t *n_bytes, fc_err *err);
fc_status fc_file_remove(const char *path, fc_err *err); /* no file: fine */

/* Entry names of a folder, sorted bytewise, without "." and "..". Free with fc_names_free. */
typedef struct fc_names {
    char **name;
    int64_t n;
} fc_names;
fc_status fc_dir_list(fc_names *names, const char *path, fc_err *err);
void fc_names_free(fc_names *names);

enum { FC_PATH_MAX = 2048 };

/* dir/name into path[FC_PATH_MAX]; dir "" or NULL gives name alone. */
fc_status fc_path_join(char *path, const char *dir, const char *name, fc_err *err);
const char *fc_path_base(const char *path); /* the part after the last '/' */

#endif
