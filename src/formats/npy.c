/* npy.c - reads and writes the header of a NumPy array file.
 *
 * The dictionary is scanned by hand: three known keys in any order, either quote, any spaces, an
 * optional final comma, integers with an optional L (NumPy under Python 2 wrote it).
 *
 * Format: numpy.lib.format.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "formats/npy.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/little_endian.h"

static const char magic[] = "\x93NUMPY";
enum { MAGIC_BYTES = 6, PREFIX_BYTES = 8, HEADER_LIMIT = 10000, ALIGNMENT = 64 };

static const struct descr {
    const char *text; /* without the sign of byte order */
    fc_dtype dtype;
} descrs[] = {
    {"f4", FC_F32}, {"f2", FC_F16}, {"f8", FC_F64}, {"i1", FC_I8},
    {"i2", FC_I16}, {"i4", FC_I32}, {"i8", FC_I64}, {"u1", FC_U8},
    {"u2", FC_U16}, {"u4", FC_U32}, {"u8", FC_U64}, {"b1", FC_BOOL},
};

bool fc_npy_is(const uint8_t *bytes, size_t n_bytes)
{
    return n_bytes >= MAGIC_BYTES && memcmp(bytes, magic, MAGIC_BYTES) == 0;
}

/* --- the literal -------------------------------------------------------------------------- */

typedef struct scan {
    const char *at, *end;
    const char *name; /* of the file */
} scan;

static void skip_spaces(scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t')) s->at++;
}

/* Whether the next sign is c, which is passed over then. */
static bool take(scan *s, char c)
{
    skip_spaces(s);
    if (s->at == s->end || *s->at != c) return false;
    s->at++;
    return true;
}

static fc_status bad(const scan *s, const char *expected, fc_err *err)
{
    const int n = (int)fc_min(s->end - s->at, 24);
    return fc_fail(err, FC_FORMAT, "%s: the npy header says '%.*s', expected %s", s->name,
                   n, s->at, expected);
}

/* A string without escapes into text[n_max]. */
static fc_status scan_text(scan *s, char *text, size_t n_max, fc_err *err)
{
    skip_spaces(s);
    const char quote = s->at < s->end ? *s->at : '\0';
    if (quote != '\'' && quote != '"') return bad(s, "a string", err);
    const char *begin = s->at + 1;
    const char *end = memchr(begin, quote, (size_t)(s->end - begin));
    if (end == NULL || (size_t)(end - begin) >= n_max)
        return bad(s, "a short string", err);
    memcpy(text, begin, (size_t)(end - begin));
    text[end - begin] = '\0';
    s->at = end + 1;
    return FC_OK;
}

static fc_status scan_bool(scan *s, bool *value, fc_err *err)
{
    static const char *const words[] = {"False", "True"};
    skip_spaces(s);
    for (int i = 0; i < 2; i++) {
        const size_t n = strlen(words[i]);
        if ((size_t)(s->end - s->at) < n || memcmp(s->at, words[i], n) != 0) continue;
        s->at += n;
        *value = i == 1;
        return FC_OK;
    }
    return bad(s, "True or False", err);
}

static fc_status scan_size(scan *s, int64_t *value, fc_err *err)
{
    skip_spaces(s);
    const char *begin = s->at;
    int64_t n = 0;
    for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++) {
        if (n > (INT64_MAX - 9) / 10) return bad(s, "a size below 2^63", err);
        n = 10 * n + (*s->at - '0');
    }
    if (s->at == begin) return bad(s, "a size of 0 or more", err);
    if (s->at < s->end && *s->at == 'L') s->at++;
    *value = n;
    return FC_OK;
}

static fc_status scan_shape(scan *s, fc_npy *npy, fc_err *err)
{
    if (!take(s, '(')) return bad(s, "a shape in brackets", err);
    npy->n = 1;
    for (npy->rank = 0; !take(s, ')'); npy->rank++) {
        int64_t n = 0;
        if (npy->rank == FC_MAX_RANK)
            return fc_fail(err, FC_FORMAT,
                           "%s: has more than %d dimensions, expected at most as many",
                           s->name, FC_MAX_RANK);
        FC_TRY(scan_size(s, &n, err));
        if (n > 0 && npy->n > INT64_MAX / n)
            return fc_fail(err, FC_FORMAT,
                           "%s: its shape multiplies to more than 63 bits", s->name);
        npy->shape[npy->rank] = n;
        npy->n *= n;
        if (!take(s, ',') && (s->at == s->end || *s->at != ')'))
            return bad(s, "a comma or the end of the shape", err);
    }
    return FC_OK;
}

static fc_status scan_descr(scan *s, fc_npy *npy, fc_err *err)
{
    char text[16];
    skip_spaces(s);
    if (s->at < s->end && *s->at == '[')
        return fc_fail(err, FC_FORMAT, "%s: is an array of records, expected numbers",
                       s->name);
    FC_TRY(scan_text(s, text, sizeof text, err));
    const char order = text[0];
    if (text[0] != '\0' && strchr("<>|=", order) != NULL)
        for (size_t i = 0; i < FC_LEN(descrs); i++)
            if (strcmp(text + 1, descrs[i].text) == 0) {
                npy->dtype = descrs[i].dtype;
                npy->is_swapped = order == '>' && fc_dtype_size(npy->dtype) > 1;
                return FC_OK;
            }
    if (strchr(text, 'O') != NULL)
        return fc_fail(err, FC_FORMAT,
                       "%s: is an array of Python objects ('%s'), which would have to be "
                       "unpickled, expected numbers",
                       s->name, text);
    return fc_fail(
        err, FC_FORMAT,
        "%s: element type is '%s', expected f2 f4 f8, i1 to i8, u1 to u8 or b1", s->name,
        text);
}

enum { HAS_DESCR = 1, HAS_ORDER = 2, HAS_SHAPE = 4, HAS_ALL = 7 };

static fc_status scan_item(scan *s, fc_npy *npy, int *has, fc_err *err)
{
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    char key[16];
    int which = 0;
    FC_TRY(scan_text(s, key, sizeof key, err));
    while (which < 3 && strcmp(key, keys[which]) != 0) which++;
    if (which == 3 || (*has & 1 << which))
        return fc_fail(err, FC_FORMAT,
                       "%s: the npy header has the key '%s'%s, expected descr, "
                       "fortran_order and shape",
                       s->name, key, which < 3 ? " twice" : "");
    *has |= 1 << which;
    if (!take(s, ':')) return bad(s, "a colon", err);
    if (1 << which == HAS_DESCR) return scan_descr(s, npy, err);
    if (1 << which == HAS_ORDER) return scan_bool(s, &npy->is_fortran, err);
    return scan_shape(s, npy, err);
}

static fc_status scan_dictionary(scan *s, fc_npy *npy, fc_err *err)
{
    int has = 0;
    if (!take(s, '{')) return bad(s, "a dictionary", err);
    while (!take(s, '}')) {
        FC_TRY(scan_item(s, npy, &has, err));
        skip_spaces(s);
        if (!take(s, ',') && (s->at == s->end || *s->at != '}'))
            return bad(s, "a comma or the end of the dictionary", err);
    }
    skip_spaces(s);
    if (s->at < s->end) return bad(s, "nothing after the dictionary", err);
    if (has != HAS_ALL)
        return fc_fail(err, FC_FORMAT,
                       "%s: the npy header lacks %s, expected descr, fortran_order and "
                       "shape",
                       s->name,
                       !(has & HAS_DESCR)   ? "descr"
                       : !(has & HAS_ORDER) ? "fortran_order"
                                            : "shape");
    return FC_OK;
}

/* --- entry points ------------------------------------------------------------------------- */

fc_status fc_npy_parse(fc_npy *npy, const uint8_t *bytes, size_t n_bytes,
                       const char *name, fc_err *err)
{
    *npy = (fc_npy){0};
    if (!fc_npy_is(bytes, n_bytes))
        return fc_fail(err, FC_FORMAT, "%s: does not begin like an npy file", name);
    const size_t width = n_bytes > MAGIC_BYTES && bytes[MAGIC_BYTES] == 1 ? 2 : 4;
    if (n_bytes < PREFIX_BYTES + width)
        return fc_fail(err, FC_FORMAT, "%s: ends inside the npy header", name);
    const uint8_t major = bytes[MAGIC_BYTES];
    if (major < 1 || major > 3)
        return fc_fail(err, FC_FORMAT, "%s: npy version is %d, expected 1, 2 or 3", name,
                       major);
    const uint8_t *p = bytes + PREFIX_BYTES;
    const uint32_t n_header = width == 2 ? fc_le16(p) : fc_le32(p);
    if (n_header > HEADER_LIMIT)
        return fc_fail(err, FC_FORMAT,
                       "%s: the npy header claims %" PRIu32 " bytes, expected at most %d",
                       name, n_header, HEADER_LIMIT);
    if (n_header > n_bytes - PREFIX_BYTES - width)
        return fc_fail(err, FC_FORMAT, "%s: ends inside the npy header", name);
    const char *text = (const char *)p + width;
    scan s = {.at = text, .end = text + n_header, .name = name};
    FC_TRY(scan_dictionary(&s, npy, err));
    size_t n_data = 0;
    FC_TRY(fc_bytes(npy->n, fc_dtype_size(npy->dtype), &n_data, err));
    npy->n_bytes = (int64_t)n_data;
    npy->at = (int64_t)(PREFIX_BYTES + width + n_header);
    return FC_OK;
}

static const char *descr_of(fc_dtype dtype)
{
    for (size_t i = 0; i < FC_LEN(descrs); i++)
        if (descrs[i].dtype == dtype) return descrs[i].text;
    FC_CHECK(dtype != FC_BF16);
    return "";
}

fc_status fc_npy_header(fc_strbuf *header, fc_dtype dtype, int rank, const int64_t *shape,
                        fc_err *err)
{
    fc_strbuf text = {0};
    fc_status status;
    uint8_t prefix[PREFIX_BYTES + 2] = "\x93NUMPY\1";
    FC_TRY_GOTO(fc_strbuf_addf(&text, err,
                               "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                               fc_dtype_size(dtype) > 1 ? '<' : '|', descr_of(dtype)));
    for (int i = 0; i < rank; i++)
        FC_TRY_GOTO(fc_strbuf_addf(&text, err, i > 0 ? " %" PRId64 "," : "%" PRId64 ",",
                                   shape[i]));
    FC_TRY_GOTO(fc_strbuf_addf(&text, err, "), }"));
    const int64_t before = (int64_t)sizeof prefix + text.n + 1;
    const int n_pad = (int)(fc_round_up(before, ALIGNMENT) - before);
    FC_TRY_GOTO(fc_strbuf_addf(&text, err, "%*s\n", n_pad, ""));
    (void)fc_le_put(prefix + PREFIX_BYTES, (uint64_t)text.n, 2);
    FC_TRY_GOTO(fc_strbuf_add(header, prefix, sizeof prefix, err));
    status = fc_strbuf_add(header, text.data, text.n, err);
done:
    fc_strbuf_free(&text);
    return status;
}
