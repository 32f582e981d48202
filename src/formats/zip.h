/* zip.h - ZIP archives: members by name out of a mapped file, and a writer that streams.
 *
 *   local header, data | local header, data | ... | central directory | end of it
 *
 * Only the central directory is believed, and only after it has been compared with the file:
 * members lie inside it, do not overlap, have the name that their local header has, no two share a
 * name, and none could inflate to more than deflate can do (1032 bytes for one). zip64 is read
 * and written where sizes need it.
 *
 * Our own and not libarchive: that reads archives front to back through buffers of its own, while
 * weights are wanted by name and, where they are stored plainly, right from the map; and its
 * checks cannot be stricter than "the entry could be read". What is needed is 300 lines over zlib.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FORMATS_ZIP_H
#define FC_FORMATS_ZIP_H

#include <stdbool.h>

#include "base/err.h"

typedef struct fc_zip fc_zip;

typedef struct fc_zip_member { /* borrowed until the archive is closed */
    const char *name; /* no "..", no backslash, not absolute; a folder ends with '/' */
    bool is_deflated;
    int64_t n_packed, n_bytes; /* bytes in the file, and of the member */
    uint32_t crc;
    int64_t at; /* first byte of its data in the file */
} fc_zip_member;

/* Whether the file begins like an archive that has members. */
bool fc_zip_is(const uint8_t *bytes, size_t n_bytes);

fc_status fc_zip_open(fc_zip **zip, const char *path, fc_err *err);
void fc_zip_close(fc_zip *zip);
int64_t fc_zip_count(const fc_zip *zip);
const fc_zip_member *fc_zip_at(const fc_zip *zip, int64_t i); /* in directory order */
const fc_zip_member *fc_zip_find(const fc_zip *zip, const char *name); /* or NULL */
const char *fc_zip_path(const fc_zip *zip);

/* A member as a whole, its checksum compared. Stored: where it lies in the map, borrowed until the
 * archive is closed; deflated: in memory of its own, refused above max_bytes. */
typedef struct fc_zip_bytes {
    const uint8_t *data;
    int64_t n;
    uint8_t *owned; /* NULL when borrowed */
} fc_zip_bytes;
fc_status fc_zip_load(const fc_zip *zip, const fc_zip_member *member, int64_t max_bytes,
                      fc_zip_bytes *bytes, fc_err *err);
void fc_zip_bytes_free(fc_zip_bytes *bytes); /* back to {0} */

/* A member piece by piece. *n_read is 0 at the end, where size and checksum have been compared. */
typedef struct fc_zip_stream fc_zip_stream;
fc_status fc_zip_stream_open(fc_zip_stream **stream, const fc_zip *zip,
                             const fc_zip_member *member, fc_err *err);
fc_status fc_zip_stream_read(fc_zip_stream *stream, void *bytes, size_t n, size_t *n_read,
                             fc_err *err);
void fc_zip_stream_close(fc_zip_stream *stream);

/* Writing: members are stored, not deflated, their data begin on 64-byte boundaries of the file, and
 * every date is the first that the format has. begin says how many bytes will be written; the file
 * appears at commit, complete. */
typedef struct fc_zip_out fc_zip_out;
fc_status fc_zip_create(fc_zip_out **out, const char *path, fc_err *err);
fc_status fc_zip_begin(fc_zip_out *out, const char *name, int64_t n_bytes, fc_err *err);
fc_status fc_zip_write(fc_zip_out *out, const void *data, size_t n_bytes, fc_err *err);
fc_status fc_zip_add(fc_zip_out *out, const char *name, const void *data, size_t n_bytes,
                     fc_err *err); /* begin and write in one */
fc_status fc_zip_commit(fc_zip_out *out, fc_err *err);
void fc_zip_discard(fc_zip_out *out); /* also after commit; accepts NULL */

#endif
