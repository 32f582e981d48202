/* strbuf.c - a byte string that grows by doubling.
 *
 * One byte more than the content is always reserved for the final zero.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/strbuf.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

/* Room for n more bytes and the zero. */
static fc_status reserve(fc_strbuf *buf, int64_t n, fc_err *err)
{
    if (n < 0 || n > INT64_MAX - 1 - buf->n)
        return fc_fail(err, FC_NOMEM, "a text cannot grow by %" PRId64 " bytes", n);
    return fc_grow(&buf->data, &buf->capacity, buf->n + n + 1, 1, "a text", err);
}

fc_status fc_strbuf_add(fc_strbuf *buf, const void *bytes, int64_t n, fc_err *err)
{
    FC_TRY(reserve(buf, n, err));
    if (n > 0) memcpy(buf->data + buf->n, bytes, (size_t)n);
    buf->n += n;
    buf->data[buf->n] = '\0';
    return FC_OK;
}

fc_status fc_strbuf_addf(fc_strbuf *buf, fc_err *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        return fc_fail(err, FC_FORMAT, "the text format '%s' cannot be printed", format);
    FC_TRY(reserve(buf, n, err));
    va_start(args, format);
    vsnprintf(buf->data + buf->n, (size_t)n + 1, format, args);
    va_end(args);
    buf->n += n;
    return FC_OK;
}

void fc_strbuf_clear(fc_strbuf *buf)
{
    buf->n = 0;
    if (buf->data != NULL) buf->data[0] = '\0';
}

const char *fc_strbuf_text(const fc_strbuf *buf)
{
    return buf->data != NULL ? buf->data : "";
}

void fc_strbuf_free(fc_strbuf *buf)
{
    fc_free(buf->data);
    *buf = (fc_strbuf){0};
}
