/* zip_out.c - writes a ZIP archive as a stream.
 *
 *   local header, name, padding | data | crc | next ... | directory | end
 *
 * Members are stored: weights do not shrink, and what is stored can be mapped. Their checksum is
 * known only when the data are out, so it follows them (flag 8) and stands in the directory, which
 * is what readers go by. The padding is an extra field that brings data to a 64-byte boundary, as
 * PyTorch does it. zip64 fields are written only where a size or an offset needs them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/strbuf.h"
#include "formats/little_endian.h"
#include "formats/zip_internal.h"

enum { ALIGNMENT = 64, PADDING_ID = 0x4246 /* "FB", PyTorch's */, VERSION = 45 };

typedef struct entry {
    char *name;
    int64_t n_bytes, at; /* of the data; of the local header */
    uint32_t crc;
} entry;

struct fc_zip_out {
    fc_out *file;
    char *path;
    entry *entries;
    int64_t n, capacity;
    int64_t at;      /* bytes written so far */
    int64_t n_given; /* of the last entry */
};

fc_status fc_zip_create(fc_zip_out **out, const char *path, fc_err *err)
{
    fc_zip_out *made = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&made, 1, sizeof *made, "a zip archive", err));
    FC_TRY_GOTO(fc_strdup(&made->path, path, err));
    FC_TRY_GOTO(fc_out_open(&made->file, path, err));
    *out = made;
    made = NULL;
done:
    fc_zip_discard(made);
    return status;
}

static fc_status put(fc_zip_out *out, const void *data, size_t n, fc_err *err)
{
    FC_TRY(fc_out_write(out->file, data, n, err));
    out->at += (int64_t)n;
    return FC_OK;
}

static bool is_wide(int64_t n)
{
    return n >= UINT32_MAX;
}

static uint64_t narrow(int64_t n)
{
    return is_wide(n) ? UINT32_MAX : (uint64_t)n;
}

/* The part that local header and central entry share, from flags to sizes. */
static uint8_t *put_common(uint8_t *p, const entry *e, uint32_t crc)
{
    p = fc_le_put(p, VERSION, 2);
    p = fc_le_put(p, ZIP_HAS_DESCRIPTOR, 2);
    p = fc_le_put(p, ZIP_STORED, 2);
    p = fc_le_put(p, 0, 2);
    p = fc_le_put(p, ZIP_DATE, 2);
    p = fc_le_put(p, crc, 4);
    p = fc_le_put(p, narrow(e->n_bytes), 4);
    p = fc_le_put(p, narrow(e->n_bytes), 4);
    return fc_le_put(p, strlen(e->name), 2);
}

/* Closes the last entry: its data are complete, its checksum follows. */
static fc_status end_entry(fc_zip_out *out, fc_err *err)
{
    if (out->n == 0) return FC_OK;
    const entry *e = &out->entries[out->n - 1];
    uint8_t bytes[24], *p = bytes;
    if (out->n_given != e->n_bytes)
        return fc_fail(err, FC_FORMAT,
                       "%s: '%s' was given %" PRId64 " bytes, expected %" PRId64,
                       out->path, e->name, out->n_given, e->n_bytes);
    p = fc_le_put(p, ZIP_DESCRIPTOR, 4);
    p = fc_le_put(p, e->crc, 4);
    const int width = is_wide(e->n_bytes) ? 8 : 4;
    p = fc_le_put(p, (uint64_t)e->n_bytes, width);
    p = fc_le_put(p, (uint64_t)e->n_bytes, width);
    return put(out, bytes, (size_t)(p - bytes), err);
}

static fc_status put_local(fc_zip_out *out, const entry *e, fc_err *err)
{
    static const uint8_t zeros[ALIGNMENT];
    uint8_t bytes[ZIP_LOCAL_BYTES + 20 + 4], *p = bytes;
    const size_t n_name = strlen(e->name);
    const int64_t n_wide = is_wide(e->n_bytes) ? 20 : 0;
    const int64_t before = out->at + ZIP_LOCAL_BYTES + (int64_t)n_name + n_wide + 4;
    const int64_t padding = fc_round_up(before, ALIGNMENT) - before;
    p = fc_le_put(p, ZIP_LOCAL, 4);
    p = put_common(p, e, 0);
    (void)fc_le_put(p, (uint64_t)(n_wide + 4 + padding), 2);
    FC_TRY(put(out, bytes, ZIP_LOCAL_BYTES, err));
    FC_TRY(put(out, e->name, n_name, err));
    p = bytes;
    if (n_wide > 0) {
        p = fc_le_put(p, ZIP_EXTRA64, 2);
        p = fc_le_put(p, 16, 2);
        p = fc_le_put(p, (uint64_t)e->n_bytes, 8);
        p = fc_le_put(p, (uint64_t)e->n_bytes, 8);
    }
    p = fc_le_put(p, PADDING_ID, 2);
    p = fc_le_put(p, (uint64_t)padding, 2);
    FC_TRY(put(out, bytes, (size_t)(p - bytes), err));
    return put(out, zeros, (size_t)padding, err);
}

fc_status fc_zip_begin(fc_zip_out *out, const char *name, int64_t n_bytes, fc_err *err)
{
    FC_CHECK(n_bytes >= 0 && name[0] != '\0' && strlen(name) < UINT16_MAX);
    FC_TRY(end_entry(out, err));
    FC_TRY(fc_grow(&out->entries, &out->capacity, out->n + 1, sizeof *out->entries,
                   out->path, err));
    entry *e = &out->entries[out->n];
    *e = (entry){.n_bytes = n_bytes, .at = out->at};
    FC_TRY(fc_strdup(&e->name, name, err));
    out->n++;
    out->n_given = 0;
    return put_local(out, e, err);
}

fc_status fc_zip_write(fc_zip_out *out, const void *data, size_t n_bytes, fc_err *err)
{
    FC_CHECK(out->n > 0);
    entry *e = &out->entries[out->n - 1];
    e->crc = (uint32_t)crc32_z(e->crc, data, n_bytes);
    out->n_given += (int64_t)n_bytes;
    return put(out, data, n_bytes, err);
}

fc_status fc_zip_add(fc_zip_out *out, const char *name, const void *data, size_t n_bytes,
                     fc_err *err)
{
    FC_TRY(fc_zip_begin(out, name, (int64_t)n_bytes, err));
    return fc_zip_write(out, data, n_bytes, err);
}

static fc_status put_central(fc_zip_out *out, const entry *e, fc_err *err)
{
    uint8_t bytes[ZIP_CENTRAL_BYTES + 28], *p = bytes;
    uint8_t extra[28], *x = extra + 4;
    if (is_wide(e->n_bytes)) {
        x = fc_le_put(x, (uint64_t)e->n_bytes, 8);
        x = fc_le_put(x, (uint64_t)e->n_bytes, 8);
    }
    if (is_wide(e->at)) x = fc_le_put(x, (uint64_t)e->at, 8);
    const size_t n_extra = x > extra + 4 ? (size_t)(x - extra) : 0;
    (void)fc_le_put(fc_le_put(extra, ZIP_EXTRA64, 2), n_extra - 4, 2);
    p = fc_le_put(p, ZIP_CENTRAL, 4);
    p = fc_le_put(p, VERSION, 2);
    p = put_common(p, e, e->crc);
    p = fc_le_put(p, n_extra, 2);
    p = fc_le_put(p, 0, 2 + 2 + 2); /* no comment, disk 0, binary */
    p = fc_le_put(p, 0, 4);
    p = fc_le_put(p, narrow(e->at), 4);
    FC_TRY(put(out, bytes, (size_t)(p - bytes), err));
    FC_TRY(put(out, e->name, strlen(e->name), err));
    return put(out, extra, n_extra, err);
}

static fc_status put_end(fc_zip_out *out, int64_t directory_at, fc_err *err)
{
    uint8_t bytes[ZIP_END64_BYTES + ZIP_LOCATOR64_BYTES + ZIP_END_BYTES], *p = bytes;
    const int64_t n_bytes = out->at - directory_at;
    if (is_wide(directory_at) || is_wide(n_bytes) || out->n >= UINT16_MAX) {
        p = fc_le_put(p, ZIP_END64, 4);
        p = fc_le_put(p, ZIP_END64_BYTES - 12, 8);
        p = fc_le_put(fc_le_put(p, VERSION, 2), VERSION, 2);
        p = fc_le_put(p, 0, 8);
        p = fc_le_put(fc_le_put(p, (uint64_t)out->n, 8), (uint64_t)out->n, 8);
        p = fc_le_put(p, (uint64_t)n_bytes, 8);
        p = fc_le_put(p, (uint64_t)directory_at, 8);
        p = fc_le_put(p, ZIP_LOCATOR64, 4);
        p = fc_le_put(p, 0, 4);
        p = fc_le_put(p, (uint64_t)out->at, 8);
        p = fc_le_put(p, 1, 4);
    }
    const uint64_t n = (uint64_t)fc_min(out->n, UINT16_MAX);
    p = fc_le_put(p, ZIP_END, 4);
    p = fc_le_put(p, 0, 4);
    p = fc_le_put(fc_le_put(p, n, 2), n, 2);
    p = fc_le_put(p, narrow(n_bytes), 4);
    p = fc_le_put(p, narrow(directory_at), 4);
    p = fc_le_put(p, 0, 2);
    return put(out, bytes, (size_t)(p - bytes), err);
}

fc_status fc_zip_commit(fc_zip_out *out, fc_err *err)
{
    FC_TRY(end_entry(out, err));
    const int64_t directory_at = out->at;
    for (int64_t i = 0; i < out->n; i++) FC_TRY(put_central(out, &out->entries[i], err));
    FC_TRY(put_end(out, directory_at, err));
    return fc_out_commit(out->file, err);
}

void fc_zip_discard(fc_zip_out *out)
{
    if (out == NULL) return;
    fc_out_close(out->file);
    for (int64_t i = 0; i < out->n; i++) fc_free(out->entries[i].name);
    fc_free(out->entries);
    fc_free(out->path);
    fc_free(out);
}
