/* embed.h - bytes as text that any text file can carry: deflated, then in base64.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FORMATS_EMBED_H
#define FC_FORMATS_EMBED_H

#include "base/strbuf.h"

/* Appends the bytes in zlib's format (RFC 1950), as small as zlib makes them. */
fc_status fc_deflate(fc_strbuf *out, const void *bytes, int64_t n_bytes, fc_err *err);

/* Appends the bytes in base64 (RFC 4648, padded, one line). */
fc_status fc_base64(fc_strbuf *out, const void *bytes, int64_t n_bytes, fc_err *err);

#endif
