/* embed.c - deflate by zlib at its highest level; base64 by table.
 *
 *   3 bytes  aaaaaabb bbbbcccc ccdddddd  ->  4 letters a b c d of 6 bits each
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "formats/embed.h"

#include <inttypes.h>
#include <zlib.h>

#include "base/alloc.h"

fc_status fc_deflate(fc_strbuf *out, const void *bytes, int64_t n_bytes, fc_err *err)
{
    Bytef *packed = NULL;
    uLongf n_packed = compressBound((uLong)n_bytes);
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&packed, (int64_t)n_packed, 1, "deflated bytes", err));
    const int result =
        compress2(packed, &n_packed, bytes, (uLong)n_bytes, Z_BEST_COMPRESSION);
    if (result != Z_OK)
        status = fc_fail(err, FC_NOMEM, "zlib cannot deflate %" PRId64 " bytes: code %d",
                         n_bytes, result);
    else
        status = fc_strbuf_add(out, packed, (int64_t)n_packed, err);
done:
    fc_free(packed);
    return status;
}

static void encode_three(char to[4], const uint8_t *from, int64_t n)
{
    static const char letters[65] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint32_t bits = (uint32_t)from[0] << 16 | (n > 1 ? (uint32_t)from[1] << 8 : 0) |
                          (n > 2 ? (uint32_t)from[2] : 0);
    to[0] = letters[bits >> 18];
    to[1] = letters[bits >> 12 & 63];
    to[2] = n > 1 ? letters[bits >> 6 & 63] : '=';
    to[3] = n > 2 ? letters[bits & 63] : '=';
}

fc_status fc_base64(fc_strbuf *out, const void *bytes, int64_t n_bytes, fc_err *err)
{
    enum { PIECE = 3 * 256 };
    const uint8_t *from = bytes;
    for (int64_t at = 0; at < n_bytes; at += PIECE) {
        char text[PIECE / 3 * 4];
        const int64_t n = fc_min(PIECE, n_bytes - at);
        for (int64_t i = 0; i < n; i += 3)
            encode_three(text + i / 3 * 4, from + at + i, fc_min(3, n - i));
        FC_TRY(fc_strbuf_add(out, text, (n + 2) / 3 * 4, err));
    }
    return FC_OK;
}
