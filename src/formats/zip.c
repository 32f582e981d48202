/* zip.c - the directory of a ZIP archive, checked before it is believed.
 *
 * Read from the end: the end record must be the last thing in the file, it gives place and length
 * of the directory, the directory gives the members. Everything is compared with the file before
 * it is used: a count needs 46 bytes of directory for each entry, so memory is bounded by the
 * file's length; data must end before the directory; sorted by place, no member may begin before
 * the one before it ends, which excludes archives that unfold one piece of data many times.
 *
 * Format: PKWARE APPNOTE 6.3.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/little_endian.h"
#include "formats/zip_internal.h"

enum { RATIO_MAX = 1032, COMMENT_MAX = 65535 };

/* Where the directory lies. */
typedef struct directory {
    uint64_t n, at, n_bytes;
    uint64_t end; /* first byte after it that is not its own */
} directory;

bool fc_zip_is(const uint8_t *bytes, size_t n_bytes)
{
    return n_bytes >= 4 && fc_le32(bytes) == ZIP_LOCAL;
}

/* --- the end record ----------------------------------------------------------------------- */

/* The end record is followed by its comment and then by the end of the file. */
static fc_status find_end(const fc_zip *zip, uint64_t *at, fc_err *err)
{
    const uint64_t n = zip->map.n_bytes;
    for (uint64_t back = ZIP_END_BYTES; back <= n && back <= ZIP_END_BYTES + COMMENT_MAX;
         back++)
    {
        const uint8_t *p = zip->map.data + n - back;
        if (fc_le32(p) != ZIP_END || fc_le16(p + 20) != back - ZIP_END_BYTES) continue;
        *at = n - back;
        return FC_OK;
    }
    return fc_fail(err, FC_FORMAT,
                   "%s: no zip directory at the end of its %zu bytes, so it is cut short "
                   "or no zip archive",
                   zip->path, zip->map.n_bytes);
}

/* Counts that do not fit stand in a wider record, which the locator before the end points to. */
static fc_status read_end64(const fc_zip *zip, uint64_t end_at, directory *d, fc_err *err)
{
    const uint8_t *data = zip->map.data;
    if (end_at < ZIP_LOCATOR64_BYTES ||
        fc_le32(data + end_at - ZIP_LOCATOR64_BYTES) != ZIP_LOCATOR64)
        return FC_OK;
    const uint64_t locator = end_at - ZIP_LOCATOR64_BYTES;
    const uint64_t at = fc_le64(data + locator + 8);
    if (locator < ZIP_END64_BYTES || at > locator - ZIP_END64_BYTES ||
        fc_le32(data + at) != ZIP_END64)
        return fc_fail(err, FC_FORMAT,
                       "%s: there is no zip64 end record at byte %" PRIu64, zip->path,
                       at);
    if (fc_le32(data + at + 16) != 0 || fc_le32(data + at + 20) != 0)
        return fc_fail(err, FC_FORMAT, "%s: is one part of several, expected one file",
                       zip->path);
    *d = (directory){.n = fc_le64(data + at + 32),
                     .n_bytes = fc_le64(data + at + 40),
                     .at = fc_le64(data + at + 48),
                     .end = at};
    return FC_OK;
}

static fc_status read_end(const fc_zip *zip, directory *d, fc_err *err)
{
    uint64_t at = 0;
    FC_TRY(find_end(zip, &at, err));
    const uint8_t *p = zip->map.data + at;
    *d = (directory){.n = fc_le16(p + 10),
                     .n_bytes = fc_le32(p + 12),
                     .at = fc_le32(p + 16),
                     .end = at};
    if (fc_le16(p + 4) != 0 || fc_le16(p + 6) != 0)
        return fc_fail(err, FC_FORMAT, "%s: is one part of several, expected one file",
                       zip->path);
    FC_TRY(read_end64(zip, at, d, err));
    if (d->at > d->end || d->n_bytes != d->end - d->at)
        return fc_fail(err, FC_FORMAT,
                       "%s: the zip directory claims %" PRIu64 " bytes at byte %" PRIu64
                       ", expected it to end at byte %" PRIu64,
                       zip->path, d->n_bytes, d->at, d->end);
    if (d->n > d->n_bytes / ZIP_CENTRAL_BYTES)
        return fc_fail(err, FC_FORMAT,
                       "%s: the zip directory claims %" PRIu64 " members in %" PRIu64
                       " bytes, which hold %" PRIu64 " at most",
                       zip->path, d->n, d->n_bytes, d->n_bytes / ZIP_CENTRAL_BYTES);
    return FC_OK;
}

/* --- one entry ---------------------------------------------------------------------------- */

static fc_status check_name(const fc_zip *zip, const char *name, size_t n, fc_err *err)
{
    bool is_bad = n == 0 || memchr(name, '\0', n) != NULL ||
                  memchr(name, '\\', n) != NULL || name[0] == '/';
    for (size_t i = 0; i + 1 < n; i++)
        is_bad |= name[i] == '.' && name[i + 1] == '.' &&
                  (i == 0 || name[i - 1] == '/') && (i + 2 == n || name[i + 2] == '/');
    if (!is_bad) return FC_OK;
    return fc_fail(err, FC_FORMAT,
                   "%s: a member is named '%.*s', expected a name inside the archive",
                   zip->path, (int)fc_min((int64_t)n, 80), name);
}

/* Sizes of 2^32 and more: the extra field holds those, in order, whose short form is all ones. */
static fc_status read_extra64(const fc_zip *zip, fc_zip_member *m, uint64_t *offset,
                              const uint8_t *extra, size_t n_extra, fc_err *err)
{
    int64_t *const sizes[] = {&m->n_bytes, &m->n_packed};
    const uint8_t *const end = extra + n_extra;
    while (end - extra >= 4) {
        const uint32_t id = fc_le16(extra), n = fc_le16(extra + 2);
        const uint8_t *p = extra + 4;
        if (n > end - p) break;
        extra = p + n;
        if (id != ZIP_EXTRA64) continue;
        for (size_t i = 0; i < FC_LEN(sizes); i++) {
            if (*sizes[i] != UINT32_MAX || extra - p < 8) continue;
            const uint64_t wide = fc_le64(p);
            p += 8;
            if (wide > INT64_MAX)
                return fc_fail(err, FC_FORMAT, "%s: '%s' claims 2^63 bytes or more",
                               zip->path, m->name);
            *sizes[i] = (int64_t)wide;
        }
        if (*offset == UINT32_MAX && extra - p >= 8) *offset = fc_le64(p);
    }
    return FC_OK;
}

static fc_status check_method(const fc_zip *zip, const fc_zip_member *m, uint32_t method,
                              uint32_t flags, fc_err *err)
{
    if (flags & ZIP_ENCRYPTED)
        return fc_fail(err, FC_FORMAT, "%s: '%s' is encrypted", zip->path, m->name);
    if (method != ZIP_STORED && method != ZIP_DEFLATED)
        return fc_fail(err, FC_FORMAT,
                       "%s: '%s' is packed by method %u, expected stored (0) or deflated "
                       "(8)",
                       zip->path, m->name, method);
    if (method == ZIP_STORED ? m->n_packed != m->n_bytes
                             : m->n_bytes / RATIO_MAX > m->n_packed)
        return fc_fail(err, FC_FORMAT,
                       "%s: '%s' claims %" PRId64 " bytes, which cannot come out of "
                       "%" PRId64 " bytes in the file",
                       zip->path, m->name, m->n_bytes, m->n_packed);
    return FC_OK;
}

/* The local header: its name is the same, and its data lie before the directory. */
static fc_status place(const fc_zip *zip, fc_zip_member *m, uint64_t offset,
                       const directory *d, fc_err *err)
{
    const size_t n_name = strlen(m->name);
    const bool is_inside = offset <= d->at && d->at - offset >= ZIP_LOCAL_BYTES;
    if (!is_inside || fc_le32(zip->map.data + offset) != ZIP_LOCAL)
        return fc_fail(err, FC_FORMAT,
                       "%s: '%s' should begin at byte %" PRIu64 ", where no member is",
                       zip->path, m->name, offset);
    const uint8_t *p = zip->map.data + offset;
    const uint64_t n_header = ZIP_LOCAL_BYTES + fc_le16(p + 26) + fc_le16(p + 28);
    const uint64_t room = d->at - offset;
    if (n_header > room || (uint64_t)m->n_packed > room - n_header)
        return fc_fail(err, FC_FORMAT,
                       "%s: '%s' claims %" PRId64 " bytes at byte %" PRIu64
                       ", beyond the end of the data",
                       zip->path, m->name, m->n_packed, offset);
    if (fc_le16(p + 26) != n_name || memcmp(p + ZIP_LOCAL_BYTES, m->name, n_name) != 0)
        return fc_fail(err, FC_FORMAT,
                       "%s: '%s' has another name before its data than in the directory",
                       zip->path, m->name);
    m->at = (int64_t)(offset + n_header);
    return FC_OK;
}

/* One entry of the directory at byte *at, which moves on; its name goes to *names. */
static fc_status read_entry(fc_zip *zip, fc_zip_member *m, const directory *d,
                            uint64_t *at, char **names, fc_err *err)
{
    const uint8_t *p = zip->map.data + *at;
    const uint64_t room = d->end - *at;
    if (room < ZIP_CENTRAL_BYTES || fc_le32(p) != ZIP_CENTRAL)
        return fc_fail(err, FC_FORMAT,
                       "%s: the zip directory has no entry at byte %" PRIu64, zip->path,
                       *at);
    const size_t n_name = fc_le16(p + 28), n_extra = fc_le16(p + 30);
    const uint64_t n_entry = ZIP_CENTRAL_BYTES + n_name + n_extra + fc_le16(p + 32);
    if (n_entry > room)
        return fc_fail(err, FC_FORMAT,
                       "%s: the entry at byte %" PRIu64 " runs past the zip directory",
                       zip->path, *at);
    const char *name = (const char *)p + ZIP_CENTRAL_BYTES;
    FC_TRY(check_name(zip, name, n_name, err));
    memcpy(*names, name, n_name);
    *m = (fc_zip_member){.name = *names,
                         .is_deflated = fc_le16(p + 10) == ZIP_DEFLATED,
                         .crc = fc_le32(p + 16),
                         .n_packed = fc_le32(p + 20),
                         .n_bytes = fc_le32(p + 24)};
    *names += n_name + 1;
    uint64_t offset = fc_le32(p + 42);
    FC_TRY(read_extra64(zip, m, &offset, p + ZIP_CENTRAL_BYTES + n_name, n_extra, err));
    FC_TRY(check_method(zip, m, fc_le16(p + 10), fc_le16(p + 8), err));
    *at += n_entry;
    return place(zip, m, offset, d, err);
}

/* --- all entries -------------------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
    const fc_zip_member *const *x = a, *const *y = b;
    return ((*x)->at > (*y)->at) - ((*x)->at < (*y)->at);
}

static int by_name(const void *a, const void *b)
{
    const fc_zip_member *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static fc_status check_all(fc_zip *zip, fc_err *err)
{
    const size_t n = (size_t)zip->n;
    for (size_t i = 0; i < n; i++) zip->by_name[i] = &zip->members[i];
    if (n > 0) qsort(zip->by_name, n, sizeof *zip->by_name, by_place);
    for (size_t i = 1; i < n; i++) {
        const fc_zip_member *before = zip->by_name[i - 1], *m = zip->by_name[i];
        if (before->at + before->n_packed > m->at)
            return fc_fail(err, FC_FORMAT, "%s: '%s' and '%s' share bytes of the file",
                           zip->path, before->name, m->name);
    }
    if (n > 0) qsort(zip->by_name, n, sizeof *zip->by_name, by_name);
    for (size_t i = 1; i < n; i++)
        if (strcmp(zip->by_name[i - 1]->name, zip->by_name[i]->name) == 0)
            return fc_fail(err, FC_FORMAT, "%s: two members are named '%s'", zip->path,
                           zip->by_name[i]->name);
    return FC_OK;
}

static fc_status read_directory(fc_zip *zip, fc_err *err)
{
    directory d;
    FC_TRY(read_end(zip, &d, err));
    zip->n = (int64_t)d.n;
    FC_TRY(fc_alloc(&zip->members, zip->n, sizeof *zip->members, zip->path, err));
    FC_TRY(fc_alloc(&zip->by_name, zip->n, sizeof(void *), zip->path, err));
    FC_TRY(fc_alloc(&zip->names, (int64_t)d.n_bytes + 1, 1, zip->path, err));
    char *names = zip->names; /* an entry is longer than its name and a zero byte */
    uint64_t at = d.at;
    for (int64_t i = 0; i < zip->n; i++)
        FC_TRY(read_entry(zip, &zip->members[i], &d, &at, &names, err));
    if (at != d.end)
        return fc_fail(err, FC_FORMAT,
                       "%s: %" PRIu64 " bytes follow the last entry of the zip directory",
                       zip->path, d.end - at);
    return check_all(zip, err);
}

fc_status fc_zip_open(fc_zip **zip, const char *path, fc_err *err)
{
    fc_zip *made = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&made, 1, sizeof *made, "a zip archive", err));
    FC_TRY_GOTO(fc_strdup(&made->path, path, err));
    FC_TRY_GOTO(fc_map_open(&made->map, path, err));
    FC_TRY_GOTO(read_directory(made, err));
    *zip = made;
    made = NULL;
done:
    fc_zip_close(made);
    return status;
}

void fc_zip_close(fc_zip *zip)
{
    if (zip == NULL) return;
    fc_map_close(&zip->map);
    fc_free(zip->path);
    fc_free(zip->members);
    fc_free(zip->by_name);
    fc_free(zip->names);
    fc_free(zip);
}

int64_t fc_zip_count(const fc_zip *zip)
{
    return zip->n;
}

const fc_zip_member *fc_zip_at(const fc_zip *zip, int64_t i)
{
    FC_ASSERT(i >= 0 && i < zip->n);
    return &zip->members[i];
}

const fc_zip_member *fc_zip_find(const fc_zip *zip, const char *name)
{
    for (int64_t low = 0, high = zip->n; low < high;) {
        const int64_t middle = low + (high - low) / 2;
        const int order = strcmp(name, zip->by_name[middle]->name);
        if (order == 0) return zip->by_name[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const char *fc_zip_path(const fc_zip *zip)
{
    return zip->path;
}
