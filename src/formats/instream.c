/* instream.c - one way to read text, whether plain, gzip or zstd, from a file or a pipe.
 *
 *   file, pipe, zip member -> packed [256 KiB] -> decoder -> text (grows to the longest line) -> caller
 *
 * The kind is told by the first bytes, which are in `packed` before the first read. A compressed
 * stream must end where a member (gzip) or frame (zstd) ends: anything else is a truncated file,
 * and training on half a corpus without notice is the worst of all outcomes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "formats/instream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "formats/zip.h"

enum { PACKED_BYTES = 256 * 1024, LINE_MAX_BYTES = 256 << 20, MAGIC_BYTES = 4 };

typedef enum stream_kind { STREAM_PLAIN, STREAM_GZIP, STREAM_ZSTD } stream_kind;

struct fc_instream {
    char *path;
    int fd;
    bool owns_fd;
    fc_zip *zip; /* NULL: the bytes come from fd */
    fc_zip_stream *member;
    stream_kind kind;

    uint8_t *packed; /* [PACKED_BYTES] as in the file; [at, end) is not decoded yet */
    size_t packed_at, packed_end;
    bool is_file_end;    /* read() has given 0 */
    int64_t n_file_read; /* bytes taken from the file or member */
    int64_t n_file;      /* size of a regular file or member, else -1 */

    z_stream gzip;
    bool has_gzip;
    ZSTD_DStream *zstd;
    bool is_inside; /* within a gzip member or zstd frame */

    char *text; /* decoded; [at, end) is not given yet */
    int64_t text_at, text_end, text_capacity;
    int64_t line_number;
    bool is_end;
};

/* Offset in the file of the next byte to decode. */
static int64_t offset(const fc_instream *in)
{
    return in->n_file_read - (int64_t)(in->packed_end - in->packed_at);
}

static fc_status read_some(fc_instream *in, uint8_t *bytes, size_t n, size_t *n_read,
                           fc_err *err)
{
    if (in->member) return fc_zip_stream_read(in->member, bytes, n, n_read, err);
    ssize_t n_got;
    do {
        n_got = read(in->fd, bytes, n);
    } while (n_got < 0 && errno == EINTR);
    if (n_got < 0) return fc_fail_errno(err, "cannot read '%s'", in->path);
    *n_read = (size_t)n_got;
    return FC_OK;
}

/* Reads once behind what is there; sets is_file_end when there is no more. */
static fc_status refill(fc_instream *in, fc_err *err)
{
    size_t n = 0;
    if (in->packed_at == in->packed_end) in->packed_at = in->packed_end = 0;
    FC_TRY(read_some(in, in->packed + in->packed_end, PACKED_BYTES - in->packed_end, &n,
                     err));
    if (n == 0) in->is_file_end = true;
    in->packed_end += n;
    in->n_file_read += (int64_t)n;
    return FC_OK;
}

static bool is_gzip(const uint8_t *bytes, size_t n)
{
    return n >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}

/* A frame, or a skippable frame, which parallel compressors put first. */
static bool is_zstd(const uint8_t *bytes, size_t n)
{
    if (n < MAGIC_BYTES) return false;
    const uint32_t magic = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 |
                           (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    return magic == ZSTD_MAGICNUMBER ||
           (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

/* zlib's memory comes through the same door as ours. */
static voidpf zlib_alloc(voidpf ctx, uInt n, uInt size)
{
    void *p = NULL;
    (void)ctx;
    return fc_alloc(&p, n, size, "gzip", NULL) == FC_OK ? p : Z_NULL;
}

static void zlib_free(voidpf ctx, voidpf p)
{
    (void)ctx;
    fc_free(p);
}

static fc_status start_decoder(fc_instream *in, fc_err *err)
{
    const uint8_t *const bytes = in->packed + in->packed_at;
    const size_t n = in->packed_end - in->packed_at;
    bool is_started = true;
    if (is_gzip(bytes, n)) {
        enum { GZIP_ONLY = 16 };
        in->kind = STREAM_GZIP;
        in->gzip = (z_stream){.zalloc = zlib_alloc, .zfree = zlib_free};
        is_started = in->has_gzip =
            inflateInit2(&in->gzip, GZIP_ONLY + MAX_WBITS) == Z_OK;
        in->is_inside = true;
    } else if (is_zstd(bytes, n)) {
        in->kind = STREAM_ZSTD;
        in->zstd = ZSTD_createDStream();
        is_started = in->zstd != NULL;
        in->is_inside = true;
    }
    if (!is_started)
        return fc_fail(err, FC_NOMEM, "%s: no memory to decompress", in->path);
    return FC_OK;
}

const char *fc_instream_file(char *file, const char *path)
{
    for (const char *colon = strchr(path, ':'); colon && !fc_path_exists(path);
         colon = strchr(colon + 1, ':'))
    {
        const size_t n = (size_t)(colon - path);
        if (n >= FC_PATH_MAX) break;
        memcpy(file, path, n);
        file[n] = '\0';
        if (fc_file_size(file) >= 0) return colon + 1;
    }
    if (fc_path_join(file, NULL, path, NULL) != FC_OK) file[0] = '\0'; /* too long */
    return NULL;
}

/* The only file of the archive. */
static fc_status only_member(const fc_instream *in, const fc_zip_member **member,
                             fc_err *err)
{
    int64_t n = 0;
    for (int64_t i = 0; i < fc_zip_count(in->zip); i++) {
        const fc_zip_member *at = fc_zip_at(in->zip, i);
        if (at->name[strlen(at->name) - 1] == '/') continue;
        if (n++ == 0) *member = at;
    }
    if (n == 1) return FC_OK;
    if (n == 0) return fc_fail(err, FC_FORMAT, "%s: the archive holds no file", in->path);
    return fc_fail(err, FC_USAGE,
                   "%s: the archive holds %" PRId64 " files; choose one, as in '%s:%s'",
                   in->path, n, in->path, (*member)->name);
}

static fc_status open_member(fc_instream *in, const char *archive, const char *name,
                             fc_err *err)
{
    const fc_zip_member *member = NULL;
    FC_TRY(fc_zip_open(&in->zip, archive, err));
    if (name) {
        member = fc_zip_find(in->zip, name);
        if (!member)
            return fc_fail(err, FC_IO, "%s: the archive has no member '%s'", archive,
                           name);
    } else {
        FC_TRY(only_member(in, &member, err));
    }
    in->n_file = member->n_bytes;
    return fc_zip_stream_open(&in->member, in->zip, member, err);
}

/* What lies in an archive is read from there on. */
static fc_status look_into_archive(fc_instream *in, fc_err *err)
{
    if (in->member || !fc_zip_is(in->packed, in->packed_end)) return FC_OK;
    if (in->n_file < 0)
        return fc_fail(
            err, FC_FORMAT,
            "%s: a zip archive has its directory at its end, so it cannot be read "
            "from a pipe; give it as a file",
            in->path);
    FC_TRY(open_member(in, in->path, NULL, err));
    in->packed_at = in->packed_end = 0;
    in->n_file_read = 0;
    return FC_OK;
}

static fc_status open_file(fc_instream *in, fc_err *err)
{
    struct stat info;
    char file[FC_PATH_MAX];
    in->n_file = -1;
    const char *member = fc_instream_file(file, in->path);
    if (member) return open_member(in, file, member, err);
    if (strcmp(in->path, "-") == 0) {
        in->fd = STDIN_FILENO;
    } else {
        in->fd = open(in->path, O_RDONLY | O_CLOEXEC);
        if (in->fd < 0) return fc_fail_errno(err, "cannot open '%s'", in->path);
        in->owns_fd = true;
    }
    if (fstat(in->fd, &info) != 0)
        return fc_fail_errno(err, "cannot read '%s'", in->path);
    if (S_ISDIR(info.st_mode))
        return fc_fail(err, FC_IO, "'%s' is a folder, expected a file", in->path);
    if (S_ISREG(info.st_mode)) in->n_file = (int64_t)info.st_size;
    return FC_OK;
}

static fc_status fill_magic(fc_instream *in, fc_err *err)
{
    while (in->packed_end < MAGIC_BYTES && !in->is_file_end) FC_TRY(refill(in, err));
    return FC_OK;
}

fc_status fc_instream_open(fc_instream **in, const char *path, fc_err *err)
{
    fc_instream *opened = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&opened, 1, sizeof *opened, "an input stream", err));
    FC_TRY_GOTO(fc_strdup(&opened->path, path, err));
    FC_TRY_GOTO(fc_alloc(&opened->packed, PACKED_BYTES, 1, "an input buffer", err));
    FC_TRY_GOTO(open_file(opened, err));
    FC_TRY_GOTO(fill_magic(opened, err));
    FC_TRY_GOTO(look_into_archive(opened, err));
    FC_TRY_GOTO(fill_magic(opened, err));
    FC_TRY_GOTO(start_decoder(opened, err));
    *in = opened;
    opened = NULL;
done:
    fc_instream_close(opened);
    return status;
}

void fc_instream_close(fc_instream *in)
{
    if (in == NULL) return;
    if (in->has_gzip) inflateEnd(&in->gzip);
    ZSTD_freeDStream(in->zstd);
    if (in->owns_fd) close(in->fd);
    fc_zip_stream_close(in->member);
    fc_zip_close(in->zip);
    fc_free(in->text);
    fc_free(in->packed);
    fc_free(in->path);
    fc_free(in);
}

static fc_status damaged(const fc_instream *in, const char *format_name, const char *why,
                         fc_err *err)
{
    return fc_fail(err, FC_FORMAT, "%s: damaged %s data at byte %" PRId64 ": %s",
                   in->path, format_name, offset(in), why);
}

/* The decoders take from packed, write up to n bytes and say how many. 0 means: more input. */

static fc_status decode_plain(fc_instream *in, char *text, size_t n, size_t *n_made)
{
    const size_t there = in->packed_end - in->packed_at;
    *n_made = n < there ? n : there;
    memcpy(text, in->packed + in->packed_at, *n_made);
    in->packed_at += *n_made;
    return FC_OK;
}

/* Between members: the next one begins, or zeros fill the rest, as tapes and `tar` do. */
static fc_status between_members(fc_instream *in, fc_err *err)
{
    while (in->packed_at < in->packed_end && in->packed[in->packed_at] == 0)
        in->packed_at++;
    if (in->packed_at == in->packed_end) return FC_OK;
    if (in->packed[in->packed_at] != 0x1f)
        return damaged(in, "gzip", "other bytes follow the last member", err);
    if (inflateReset(&in->gzip) != Z_OK)
        return damaged(in, "gzip", "cannot start a member", err);
    in->is_inside = true;
    return FC_OK;
}

static fc_status decode_gzip(fc_instream *in, char *text, size_t n, size_t *n_made,
                             fc_err *err)
{
    if (!in->is_inside) FC_TRY(between_members(in, err));
    if (!in->is_inside) return FC_OK;
    enum { STEP_MAX = 1 << 30 }; /* zlib counts in unsigned int */
    z_stream *const z = &in->gzip;
    const uInt n_out = (uInt)(n < STEP_MAX ? n : STEP_MAX);
    z->next_in = in->packed + in->packed_at;
    z->avail_in = (uInt)(in->packed_end - in->packed_at);
    z->next_out = (Bytef *)text;
    z->avail_out = n_out;
    const int result = inflate(z, Z_NO_FLUSH);
    in->packed_at = in->packed_end - z->avail_in;
    *n_made = n_out - z->avail_out;
    if (result == Z_STREAM_END) in->is_inside = false;
    if (result == Z_MEM_ERROR)
        return fc_fail(err, FC_NOMEM, "%s: no memory to decompress", in->path);
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
        return damaged(in, "gzip", z->msg != NULL ? z->msg : "not a gzip member", err);
    return FC_OK;
}

static fc_status decode_zstd(fc_instream *in, char *text, size_t n, size_t *n_made,
                             fc_err *err)
{
    ZSTD_outBuffer to = {.dst = text, .size = n};
    ZSTD_inBuffer from = {
        .src = in->packed, .size = in->packed_end, .pos = in->packed_at};
    const size_t result = ZSTD_decompressStream(in->zstd, &to, &from);
    in->packed_at = from.pos;
    *n_made = to.pos;
    if (ZSTD_isError(result)) return damaged(in, "zstd", ZSTD_getErrorName(result), err);
    in->is_inside = result != 0; /* 0: a frame is complete and all of it has been given */
    return FC_OK;
}

static fc_status decode(fc_instream *in, char *text, size_t n, size_t *n_made,
                        fc_err *err)
{
    *n_made = 0;
    switch (in->kind) {
    case STREAM_GZIP: return decode_gzip(in, text, n, n_made, err);
    case STREAM_ZSTD: return decode_zstd(in, text, n, n_made, err);
    case STREAM_PLAIN:
    default: return decode_plain(in, text, n, n_made);
    }
}

/* Decodes at least one byte into text[n], or finds the end: then *n_made is 0. */
static fc_status pull(fc_instream *in, char *text, size_t n, size_t *n_made, fc_err *err)
{
    *n_made = 0;
    while (!in->is_end && n > 0) {
        /* A decoder may hold output back even when no input is left. */
        if (in->packed_at < in->packed_end || in->is_inside) {
            FC_TRY(decode(in, text, n, n_made, err));
            if (*n_made > 0) return FC_OK;
        }
        if (in->packed_at < in->packed_end) continue;
        if (!in->is_file_end) {
            FC_TRY(refill(in, err));
            continue;
        }
        if (in->is_inside)
            return fc_fail(err, FC_FORMAT,
                           "%s: truncated: the file ends at byte %" PRId64
                           " within a compressed stream",
                           in->path, in->n_file_read);
        in->is_end = true;
    }
    return FC_OK;
}

fc_status fc_instream_read(fc_instream *in, void *bytes, size_t n, size_t *n_read,
                           fc_err *err)
{
    const size_t there = (size_t)(in->text_end - in->text_at);
    if (there == 0) return pull(in, bytes, n, n_read, err);
    *n_read = n < there ? n : there; /* left over from reading lines */
    memcpy(bytes, in->text + in->text_at, *n_read);
    in->text_at += (int64_t)*n_read;
    return FC_OK;
}

/* Puts more text behind what is there, making room first; *n_made 0 is the end. */
static fc_status extend(fc_instream *in, size_t *n_made, fc_err *err)
{
    if (in->text_at > 0) {
        memmove(in->text, in->text + in->text_at, (size_t)(in->text_end - in->text_at));
        in->text_end -= in->text_at;
        in->text_at = 0;
    }
    if (in->text_end > LINE_MAX_BYTES)
        return fc_fail(err, FC_FORMAT, "%s: line %" PRId64 " is longer than %d bytes",
                       in->path, in->line_number + 1, LINE_MAX_BYTES);
    if (in->text_end == in->text_capacity)
        FC_TRY(fc_grow(&in->text, &in->text_capacity,
                       fc_max(PACKED_BYTES, in->text_end + 1), 1, "a line of text", err));
    FC_TRY(pull(in, in->text + in->text_end, (size_t)(in->text_capacity - in->text_end),
                n_made, err));
    in->text_end += (int64_t)*n_made;
    return FC_OK;
}

/* The first '\n' of the text not given yet, after n_skip bytes that hold none; or NULL. */
static const char *find_newline(const fc_instream *in, int64_t n_skip)
{
    const int64_t n = in->text_end - in->text_at - n_skip;
    if (in->text == NULL || n <= 0) return NULL;
    return memchr(in->text + in->text_at + n_skip, '\n', (size_t)n);
}

fc_status fc_instream_line(fc_instream *in, const char **line, int64_t *n, bool *is_end,
                           fc_err *err)
{
    const char *newline = find_newline(in, 0);
    size_t n_made = 1;
    while (newline == NULL && n_made > 0) {
        const int64_t n_searched = in->text_end - in->text_at;
        FC_TRY(extend(in, &n_made, err));
        newline = find_newline(in, n_searched);
    }
    const int64_t n_there = in->text_end - in->text_at;
    *is_end = n_there == 0;
    if (*is_end) return FC_OK;
    *line = in->text + in->text_at;
    *n = newline != NULL ? newline - *line : n_there;
    in->text_at += newline != NULL ? *n + 1 : n_there;
    in->line_number++;
    return FC_OK;
}

int64_t fc_instream_line_number(const fc_instream *in)
{
    return in->line_number;
}

double fc_instream_fraction(const fc_instream *in)
{
    if (in->n_file < 0) return -1;
    if (in->n_file == 0) return 1;
    const double fraction = (double)offset(in) / (double)in->n_file;
    return fraction < 1 ? fraction : 1; /* the file may have grown */
}
