/* parquet_codec.c - unpacks a page: none, Snappy, gzip, zstd.
 *
 * Before memory is asked for, the size that the page claims is compared with what its codec can make
 * of so many bytes: a Snappy copy of 3 bytes gives at most 64, deflate at most 1032 for one, and the
 * smallest zstd block, 4 bytes, at most 128 KiB.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <snappy-c.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/parquet_internal.h"

enum { SNAPPY_RATIO = 22, GZIP_RATIO = 1032, ZSTD_RATIO = 32768, SLACK = 1024 };

int64_t fc_pq_unpacked_max(int64_t codec, int64_t n)
{
    switch (codec) {
    case FC_PQ_NONE: return n;
    case FC_PQ_SNAPPY: return n * SNAPPY_RATIO + SLACK;
    case FC_PQ_GZIP: return n * GZIP_RATIO + SLACK;
    case FC_PQ_ZSTD: return n * ZSTD_RATIO + SLACK;
    default: return -1;
    }
}

const char *fc_pq_codec_name(int64_t codec)
{
    static const char *const names[] = {"none",   "Snappy", "gzip", "LZO",
                                        "Brotli", "LZ4",    "zstd", "LZ4_RAW"};
    return codec >= 0 && codec < (int64_t)FC_LEN(names) ? names[codec] : "unknown";
}

static bool unpack_snappy(fc_pq_span packed, uint8_t *out, size_t n_out)
{
    const char *bytes = (const char *)packed.at;
    size_t n = 0;
    return snappy_uncompressed_length(bytes, fc_pq_left(packed), &n) == SNAPPY_OK &&
           n == n_out &&
           snappy_uncompress(bytes, fc_pq_left(packed), (char *)out, &n) == SNAPPY_OK &&
           n == n_out;
}

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

static fc_status start_gzip(fc_pq_unpacker *u, fc_err *err)
{
    enum { GZIP_OR_ZLIB = 32 };
    if (u->has_gzip) return FC_OK;
    u->gzip = (z_stream){.zalloc = zlib_alloc, .zfree = zlib_free};
    if (inflateInit2(&u->gzip, GZIP_OR_ZLIB + MAX_WBITS) != Z_OK)
        return fc_fail(err, FC_NOMEM, "no memory left to decompress gzip");
    u->has_gzip = true;
    return FC_OK;
}

/* Members one after the other; sizes are below 2^31 by the caps of a page. */
static bool unpack_gzip(z_stream *z, fc_pq_span packed, uint8_t *out, size_t n_out)
{
    z->next_in = packed.at;
    z->avail_in = (uInt)fc_pq_left(packed);
    z->next_out = out;
    z->avail_out = (uInt)n_out;
    do {
        if (inflateReset(z) != Z_OK || inflate(z, Z_FINISH) != Z_STREAM_END) return false;
    } while (z->avail_in > 0);
    return z->avail_out == 0;
}

fc_status fc_pq_unpack(fc_pq_unpacker *u, int64_t codec, fc_pq_span packed, uint8_t *out,
                       size_t n_out, const char **fault, fc_err *err)
{
    bool is_good = false;
    if (codec == FC_PQ_SNAPPY) {
        is_good = unpack_snappy(packed, out, n_out);
    } else if (codec == FC_PQ_GZIP) {
        FC_TRY(start_gzip(u, err));
        is_good = unpack_gzip(&u->gzip, packed, out, n_out);
    } else if (codec == FC_PQ_ZSTD) {
        if (!u->zstd) u->zstd = ZSTD_createDCtx();
        if (!u->zstd) return fc_fail(err, FC_NOMEM, "no memory left to decompress zstd");
        is_good = ZSTD_decompressDCtx(u->zstd, out, n_out, packed.at,
                                      fc_pq_left(packed)) == n_out;
    }
    if (!is_good) *fault = "it does not unpack to the size that it claims";
    return FC_OK;
}

void fc_pq_unpacker_deinit(fc_pq_unpacker *u)
{
    if (u->has_gzip) inflateEnd(&u->gzip);
    ZSTD_freeDCtx(u->zstd);
    *u = (fc_pq_unpacker){0};
}
