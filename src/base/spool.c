/* spool.c - a file that is unlinked as soon as it is open.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"

enum { BUFFER_BYTES = 256 * 1024 };

struct fc_spool {
    int fd;
    size_t n_buffered, n_written;
    unsigned char *buffer;
    void *mapped;
    char path[FC_PATH_MAX];
};

fc_status fc_spool_open(fc_spool **spool, const char *path, fc_err *err)
{
    fc_spool *s = NULL;
    FC_TRY(fc_alloc(&s, 1, sizeof *s, "a spool", err));
    s->fd = -1;
    fc_status status = fc_alloc(&s->buffer, BUFFER_BYTES, 1, "a spool", err);
    const int n = snprintf(s->path, sizeof s->path, "%s.spool-%ld", path, (long)getpid());
    if (status == FC_OK && n >= FC_PATH_MAX)
        status = fc_fail(err, FC_IO, "the path '%.80s...' is longer than %d bytes", path,
                         FC_PATH_MAX - 1);
    if (status == FC_OK) {
        s->fd = open(s->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (s->fd < 0 || unlink(s->path) != 0)
            status = fc_fail_errno(err, "cannot write '%s'", s->path);
    }
    if (status == FC_OK)
        *spool = s;
    else
        fc_spool_close(s);
    return status;
}

static fc_status flush(fc_spool *s, fc_err *err)
{
    for (size_t at = 0; at < s->n_buffered;) {
        const ssize_t n = write(s->fd, s->buffer + at, s->n_buffered - at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fc_fail_errno(err, "cannot write '%s'", s->path);
        at += (size_t)n;
    }
    s->n_written += s->n_buffered;
    s->n_buffered = 0;
    return FC_OK;
}

fc_status fc_spool_write(fc_spool *spool, const void *data, size_t n_bytes, fc_err *err)
{
    const unsigned char *from = data;
    while (n_bytes > 0) {
        const size_t room = BUFFER_BYTES - spool->n_buffered;
        const size_t n = n_bytes < room ? n_bytes : room;
        memcpy(spool->buffer + spool->n_buffered, from, n);
        spool->n_buffered += n;
        from += n;
        n_bytes -= n;
        if (spool->n_buffered == BUFFER_BYTES) FC_TRY(flush(spool, err));
    }
    return FC_OK;
}

fc_status fc_spool_map(fc_spool *spool, fc_map *map, fc_err *err)
{
    FC_CHECK(spool->mapped == NULL);
    FC_TRY(flush(spool, err));
    *map = (fc_map){0};
    if (spool->n_written == 0) return FC_OK;
    void *const data = mmap(NULL, spool->n_written, PROT_READ, MAP_SHARED, spool->fd, 0);
    if (data == MAP_FAILED) return fc_fail_errno(err, "cannot map '%s'", spool->path);
    spool->mapped = data;
    *map = (fc_map){.data = data, .n_bytes = spool->n_written};
    return FC_OK;
}

void fc_spool_close(fc_spool *spool)
{
    if (spool == NULL) return;
    if (spool->mapped != NULL) munmap(spool->mapped, spool->n_written);
    if (spool->fd >= 0) close(spool->fd);
    fc_free(spool->buffer);
    fc_free(spool);
}
