/* strbuf.h - a byte string that grows. Always zero-terminated; may hold zero bytes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_BASE_STRBUF_H
#define FC_BASE_STRBUF_H

#include "base/err.h"

typedef struct fc_strbuf {
    char *data; /* NULL until the first byte: use fc_strbuf_text */
    int64_t n;
    int64_t capacity;
} fc_strbuf;

/* A strbuf set to {0} is ready. On failure the content is unchanged. */
fc_status fc_strbuf_add(fc_strbuf *buf, const void *bytes, int64_t n, fc_err *err);
fc_status fc_strbuf_addf(fc_strbuf *buf, fc_err *err, const char *format, ...)
    FC_PRINTF(3, 4);
void fc_strbuf_clear(fc_strbuf *buf);             /* keeps the memory */
const char *fc_strbuf_text(const fc_strbuf *buf); /* "" when empty */
void fc_strbuf_free(fc_strbuf *buf);              /* back to {0} */

#endif
