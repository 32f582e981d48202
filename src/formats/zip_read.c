/* zip_read.c - the data of a member: as it lies in the map, or inflated as it is asked for.
 *
 * A stream ends when the member's bytes are out; then the checksum must agree, deflate must have
 * reached its own end, and no packed byte may be left.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>
#define ZLIB_CONST /* its input is not written to */
#include <zlib.h>

#include "base/alloc.h"
#include "formats/zip_internal.h"

enum { PIECE_MAX = 1 << 30, PACKED_PIECE = 1 << 20 }; /* zlib counts in 32 bits */

struct fc_zip_stream {
    const fc_zip *zip;
    const fc_zip_member *member;
    int64_t n_taken, n_given; /* packed bytes handed to zlib, bytes handed out */
    uint32_t crc;
    bool is_inflating, is_end, is_checked;
    z_stream inflate;
};

fc_status fc_zip_stream_open(fc_zip_stream **stream, const fc_zip *zip,
                             const fc_zip_member *member, fc_err *err)
{
    fc_zip_stream *made = NULL;
    FC_TRY(fc_alloc(&made, 1, sizeof *made, member->name, err));
    made->zip = zip;
    made->member = member;
    if (member->is_deflated) {
        if (inflateInit2(&made->inflate, -MAX_WBITS) != Z_OK) {
            fc_free(made);
            return fc_fail(err, FC_NOMEM, "%s: no memory to unpack '%s'", zip->path,
                           member->name);
        }
        made->is_inflating = true;
    }
    *stream = made;
    return FC_OK;
}

void fc_zip_stream_close(fc_zip_stream *stream)
{
    if (stream == NULL) return;
    if (stream->is_inflating) inflateEnd(&stream->inflate);
    fc_free(stream);
}

static fc_status damaged(const fc_zip_stream *s, const char *what, fc_err *err)
{
    return fc_fail(err, FC_FORMAT, "%s: '%s' is damaged: %s after %" PRId64 " bytes",
                   s->zip->path, s->member->name, what, s->n_given);
}

static fc_status inflate_some(fc_zip_stream *s, uint8_t *to, size_t n, size_t *n_out,
                              fc_err *err)
{
    const fc_zip_member *m = s->member;
    z_stream *z = &s->inflate;
    const uint8_t *from = s->zip->map.data + m->at;
    z->next_out = to;
    z->avail_out = (uInt)n;
    while (z->avail_out > 0 && !s->is_end) {
        if (z->avail_in == 0) {
            const int64_t n_in = fc_min(m->n_packed - s->n_taken, PACKED_PIECE);
            if (n_in == 0) return damaged(s, "its packed data end", err);
            z->next_in = from + s->n_taken;
            z->avail_in = (uInt)n_in;
            s->n_taken += n_in;
        }
        const int code = inflate(z, Z_NO_FLUSH);
        if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
            return damaged(s, z->msg != NULL ? z->msg : "it cannot be inflated", err);
        s->is_end = code == Z_STREAM_END;
    }
    *n_out = n - z->avail_out;
    return FC_OK;
}

/* All bytes are out: everything must agree. One more byte would show that there are more. */
static fc_status check_end(fc_zip_stream *s, fc_err *err)
{
    const fc_zip_member *m = s->member;
    uint8_t more;
    size_t n_more = 0;
    s->is_checked = true;
    if (s->is_inflating && !s->is_end) FC_TRY(inflate_some(s, &more, 1, &n_more, err));
    if (n_more > 0) return damaged(s, "it does not end", err);
    if (s->is_inflating && (s->n_taken < m->n_packed || s->inflate.avail_in > 0))
        return damaged(s, "packed data follow", err);
    if (s->crc != m->crc)
        return fc_fail(err, FC_FORMAT,
                       "%s: '%s' is damaged: its checksum (CRC-32) is %08" PRIx32
                       ", expected %08" PRIx32,
                       s->zip->path, m->name, s->crc, m->crc);
    return FC_OK;
}

fc_status fc_zip_stream_read(fc_zip_stream *stream, void *bytes, size_t n, size_t *n_read,
                             fc_err *err)
{
    fc_zip_stream *s = stream;
    const int64_t left = fc_min(s->member->n_bytes - s->n_given, PIECE_MAX);
    if (n > (size_t)left) n = (size_t)left;
    *n_read = 0;
    if (n > 0) {
        size_t n_out = n;
        if (s->is_inflating)
            FC_TRY(inflate_some(s, bytes, n, &n_out, err));
        else
            memcpy(bytes, s->zip->map.data + s->member->at + s->n_given, n);
        if (n_out == 0) return damaged(s, "it ends", err);
        s->crc = (uint32_t)crc32_z(s->crc, bytes, n_out);
        s->n_given += (int64_t)n_out;
        *n_read = n_out;
    }
    if (s->n_given == s->member->n_bytes && !s->is_checked) return check_end(s, err);
    return FC_OK;
}

/* --- a member as a whole ------------------------------------------------------------------ */

static fc_status load_stored(const fc_zip *zip, const fc_zip_member *m,
                             fc_zip_bytes *bytes, fc_err *err)
{
    const uint8_t *data = zip->map.data + m->at;
    const uint32_t crc = (uint32_t)crc32_z(0, data, (size_t)m->n_bytes);
    if (crc != m->crc)
        return fc_fail(err, FC_FORMAT,
                       "%s: '%s' is damaged: its checksum (CRC-32) is %08" PRIx32
                       ", expected %08" PRIx32,
                       zip->path, m->name, crc, m->crc);
    *bytes = (fc_zip_bytes){.data = data, .n = m->n_bytes};
    return FC_OK;
}

fc_status fc_zip_load(const fc_zip *zip, const fc_zip_member *member, int64_t max_bytes,
                      fc_zip_bytes *bytes, fc_err *err)
{
    fc_zip_stream *stream = NULL;
    fc_status status;
    fc_zip_bytes made = {.n = member->n_bytes};
    *bytes = (fc_zip_bytes){0};
    if (!member->is_deflated) return load_stored(zip, member, bytes, err);
    if (member->n_bytes > max_bytes)
        return fc_fail(err, FC_FORMAT,
                       "%s: '%s' unpacks to %" PRId64 " bytes, expected at most %" PRId64,
                       zip->path, member->name, member->n_bytes, max_bytes);
    FC_TRY_GOTO(fc_alloc(&made.owned, made.n, 1, member->name, err));
    made.data = made.owned;
    FC_TRY_GOTO(fc_zip_stream_open(&stream, zip, member, err));
    size_t n_read = 1;
    for (int64_t at = 0; n_read > 0; at += (int64_t)n_read)
        FC_TRY_GOTO(fc_zip_stream_read(stream, made.owned + at, (size_t)(made.n - at),
                                       &n_read, err));
    *bytes = made;
    made.owned = NULL;
done:
    fc_zip_stream_close(stream);
    fc_free(made.owned);
    return status;
}

void fc_zip_bytes_free(fc_zip_bytes *bytes)
{
    fc_free(bytes->owned);
    *bytes = (fc_zip_bytes){0};
}
