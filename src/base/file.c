/* file.c - maps for reading; a temporary beside the target, synced and renamed, for writing.
 *
 *   PATH.tmp-PID   write ... fsync(file)  rename -> PATH  fsync(folder)
 *
 * The first sync puts the bytes on the disk before the name points to them; the second makes
 * the new name itself last. After a power cut PATH is the old file or the new one, whole.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

enum { OUT_BUFFER = 256 * 1024 };

struct fc_out {
    int fd;       /* -1 once committed */
    bool is_kept; /* without commit the temporary stays */
    size_t n_buffered;
    unsigned char *buffer;
    char path[FC_PATH_MAX];
    char temporary[FC_PATH_MAX];
};

/* Globals by intent, for tests only. NOLINTBEGIN(*-avoid-non-const-global-variables) */
static _Atomic int64_t n_until_fault; /* 0 = never */
static _Atomic bool is_sync_skipped;
/* NOLINTEND(*-avoid-non-const-global-variables) */

void fc_write_fail_at(int64_t n)
{
    n_until_fault = n;
}

void fc_sync_skip(bool is_skipped)
{
    is_sync_skipped = is_skipped;
}

/* --- reading ---------------------------------------------------------------------------- */

static fc_status map_descriptor(fc_map *map, int fd, const char *path, fc_err *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0) return fc_fail_errno(err, "cannot look at '%s'", path);
    if (!S_ISREG(info.st_mode))
        return fc_fail(err, FC_IO, "'%s' is %s, expected a file", path,
                       S_ISDIR(info.st_mode) ? "a folder" : "a device or pipe");
    if (info.st_size == 0) return FC_OK;
    void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) return fc_fail_errno(err, "cannot map '%s'", path);
    *map = (fc_map){.data = data, .n_bytes = (size_t)info.st_size};
    return FC_OK;
}

fc_status fc_map_open(fc_map *map, const char *path, fc_err *err)
{
    *map = (fc_map){0};
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fc_fail_errno(err, "cannot open '%s'", path);
    const fc_status status = map_descriptor(map, fd, path, err);
    close(fd); /* the map stays */
    return status;
}

void fc_map_close(fc_map *map)
{
    if (map->data != NULL) {
        union {
            const uint8_t *shown;
            void *owned;
        } data = {.shown = map->data};
        munmap(data.owned, map->n_bytes);
    }
    *map = (fc_map){0};
}

/* --- writing ---------------------------------------------------------------------------- */

/* flags: O_TRUNC or O_APPEND. */
static fc_status open_temporary(fc_out **out, const char *path, const char *temporary,
                                int flags, fc_err *err)
{
    fc_status status;
    fc_out *o;
    *out = NULL;
    FC_TRY(fc_alloc(&o, 1, sizeof *o, path, err));
    o->fd = -1;
    FC_TRY_GOTO(fc_alloc(&o->buffer, OUT_BUFFER, 1, path, err));
    FC_TRY_GOTO(fc_path_join(o->path, NULL, path, err));
    FC_TRY_GOTO(fc_path_join(o->temporary, NULL, temporary, err));
    o->fd = open(o->temporary, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666);
    if (o->fd < 0) {
        status = fc_fail_errno(err, "cannot write '%s'", path);
        goto done;
    }
    *out = o;
    return FC_OK;
done:
    fc_out_close(o);
    return status;
}

fc_status fc_out_open(fc_out **out, const char *path, fc_err *err)
{
    char temporary[FC_PATH_MAX];
    *out = NULL;
    const int n =
        snprintf(temporary, sizeof temporary, "%s.tmp-%ld", path, (long)getpid());
    if (n < 0 || n >= FC_PATH_MAX)
        return fc_fail(err, FC_IO, "the path '%.80s...' is longer than %d bytes", path,
                       FC_PATH_MAX - 1);
    return open_temporary(out, path, temporary, O_TRUNC, err);
}

fc_status fc_out_resume(fc_out **out, const char *path, const char *partial,
                        int64_t *n_there, fc_err *err)
{
    struct stat info;
    FC_TRY(open_temporary(out, path, partial, O_APPEND, err));
    (*out)->is_kept = true;
    if (fstat((*out)->fd, &info) == 0) {
        *n_there = (int64_t)info.st_size;
        return FC_OK;
    }
    const fc_status status = fc_fail_errno(err, "cannot look at '%s'", partial);
    fc_out_close(*out);
    *out = NULL;
    return status;
}

/* The test hook: counts down and pretends that the disk is full. */
static bool is_fault_due(void)
{
    if (n_until_fault == 0 || atomic_fetch_sub(&n_until_fault, 1) != 1) return false;
    errno = ENOSPC;
    return true;
}

static fc_status write_all(const fc_out *out, const unsigned char *data, size_t n_bytes,
                           fc_err *err)
{
    while (n_bytes > 0) {
        const ssize_t n = write(out->fd, data, n_bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fc_fail_errno(err, "cannot write '%s'", out->path);
        data += n;
        n_bytes -= (size_t)n;
    }
    return FC_OK;
}

fc_status fc_out_flush(fc_out *out, fc_err *err)
{
    const size_t n = out->n_buffered;
    out->n_buffered = 0;
    return write_all(out, out->buffer, n, err);
}

fc_status fc_out_restart(fc_out *out, fc_err *err)
{
    out->n_buffered = 0;
    if (ftruncate(out->fd, 0) == 0) return FC_OK;
    return fc_fail_errno(err, "cannot write '%s'", out->path);
}

fc_status fc_out_write(fc_out *out, const void *data, size_t n_bytes, fc_err *err)
{
    if (is_fault_due()) return fc_fail_errno(err, "cannot write '%s'", out->path);
    if (n_bytes > OUT_BUFFER - out->n_buffered) FC_TRY(fc_out_flush(out, err));
    if (n_bytes >= OUT_BUFFER) return write_all(out, data, n_bytes, err);
    if (n_bytes > 0) memcpy(out->buffer + out->n_buffered, data, n_bytes);
    out->n_buffered += n_bytes;
    return FC_OK;
}

/* Makes a rename in the folder of `path` last. */
static fc_status sync_folder(const char *path, fc_err *err)
{
    char folder[FC_PATH_MAX];
    const size_t n = (size_t)(fc_path_base(path) - path);
    memcpy(folder, path, n);
    folder[n] = '\0';
    const int fd = open(n > 0 ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return fc_fail_errno(err, "cannot open the folder of '%s'", path);
    /* EINVAL: this file system cannot sync folders, and needs no telling. */
    const bool is_synced = fsync(fd) == 0 || errno == EINVAL;
    const fc_status status =
        is_synced ? FC_OK : fc_fail_errno(err, "cannot sync the folder of '%s'", path);
    close(fd);
    return status;
}

fc_status fc_out_commit(fc_out *out, fc_err *err)
{
    if (is_fault_due()) return fc_fail_errno(err, "cannot write '%s'", out->path);
    FC_TRY(fc_out_flush(out, err));
    if (!is_sync_skipped && fsync(out->fd) != 0)
        return fc_fail_errno(err, "cannot sync '%s'", out->path);
    const int fd = out->fd;
    out->fd = -1;
    if (close(fd) != 0 || rename(out->temporary, out->path) != 0) {
        const fc_status status = fc_fail_errno(err, "cannot finish '%s'", out->path);
        if (!out->is_kept) unlink(out->temporary);
        return status;
    }
    return is_sync_skipped ? FC_OK : sync_folder(out->path, err);
}

void fc_out_close(fc_out *out)
{
    if (out == NULL) return;
    if (out->fd >= 0) {
        /* What cannot be kept is fetched again: nobody to tell. */
        if (out->is_kept && fc_out_flush(out, NULL) != FC_OK) out->n_buffered = 0;
        close(out->fd);
        if (!out->is_kept) unlink(out->temporary);
    }
    fc_free(out->buffer);
    fc_free(out);
}

fc_status fc_file_write(const char *path, const void *data, size_t n_bytes, fc_err *err)
{
    fc_out *out = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_out_open(&out, path, err));
    FC_TRY_GOTO(fc_out_write(out, data, n_bytes, err));
    FC_TRY_GOTO(fc_out_commit(out, err));
done:
    fc_out_close(out);
    return status;
}

fc_status fc_file_remove(const char *path, fc_err *err)
{
    if (unlink(path) == 0 || errno == ENOENT) return FC_OK;
    return fc_fail_errno(err, "cannot remove '%s'", path);
}
