/* parquet_pages.c - the pages of a column chunk, unpacked one at a time.
 *
 *   chunk    = [dictionary page] data page ... data page
 *   page     = PageHeader (Thrift), bytes as stored
 *   v1 bytes = packed( [u32 n, repetition levels] [u32 n, definition levels] values )
 *   v2 bytes = repetition levels, definition levels, packed( values )
 *
 * A chunk may turn from dictionary to plain pages when its dictionary grew too large: the encoding
 * belongs to the page. Pages of unknown types are passed over. (parquet.thrift)
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/little_endian.h"
#include "formats/parquet_internal.h"
#include "formats/thrift.h"

enum { DATA_PAGE = 0, DICTIONARY_PAGE = 2, DATA_PAGE_V2 = 3 };
enum { MAX_PAGE_BYTES = 1 << 30, MAX_PAGE_VALUES = 1 << 26 };

typedef struct page_header {
    int64_t type, n_unpacked, n_packed, crc;
    bool has_crc;
    int64_t n_values, encoding;         /* of a data or dictionary page */
    int64_t def_encoding, rep_encoding; /* v1 */
    int64_t n_def_bytes, n_rep_bytes;   /* v2 */
    bool is_packed;                     /* v2; else true */
    bool has_details;
} page_header;

fc_status fc_pq_pages_fail(const fc_pq_pages *p, const char *fault, fc_err *err)
{
    return fc_fail(err, FC_FORMAT,
                   "%s: row group %" PRId64 ", column '%s', page %" PRId64
                   " at byte %" PRId64 ": %s",
                   p->file->path, p->group, p->leaf->name, p->page, (int64_t)p->page_at,
                   fault);
}

/* --- header ------------------------------------------------------------------------------- */

static void read_dictionary_header(fc_thrift *t, page_header *h)
{
    fc_thrift_field f = {0};
    while (fc_thrift_next(t, &f)) switch (f.id)
        {
        case 1: h->n_values = fc_thrift_i64(t, f); break;
        case 2: h->encoding = fc_thrift_i64(t, f); break;
        default: fc_thrift_skip(t, f);
        }
}

static void read_data_header(fc_thrift *t, page_header *h)
{
    fc_thrift_field f = {0};
    while (fc_thrift_next(t, &f)) switch (f.id)
        {
        case 1: h->n_values = fc_thrift_i64(t, f); break;
        case 2: h->encoding = fc_thrift_i64(t, f); break;
        case 3: h->def_encoding = fc_thrift_i64(t, f); break;
        case 4: h->rep_encoding = fc_thrift_i64(t, f); break;
        default: fc_thrift_skip(t, f);
        }
}

static void read_data_header_v2(fc_thrift *t, page_header *h)
{
    fc_thrift_field f = {0};
    while (fc_thrift_next(t, &f)) switch (f.id)
        {
        case 1: h->n_values = fc_thrift_i64(t, f); break;
        case 4: h->encoding = fc_thrift_i64(t, f); break;
        case 5: h->n_def_bytes = fc_thrift_i64(t, f); break;
        case 6: h->n_rep_bytes = fc_thrift_i64(t, f); break;
        case 7: h->is_packed = fc_thrift_bool(t, f); break;
        default: fc_thrift_skip(t, f);
        }
}

/* The struct that belongs to the page's type. */
static void read_details(fc_thrift *t, fc_thrift_field field, page_header *h)
{
    if (!fc_thrift_is_struct(t, field)) return;
    h->has_details = true;
    if (h->type == DATA_PAGE_V2)
        read_data_header_v2(t, h);
    else if (h->type == DICTIONARY_PAGE)
        read_dictionary_header(t, h);
    else
        read_data_header(t, h);
}

static page_header read_header(fc_thrift *t)
{
    static const int details[] = {
        [DATA_PAGE] = 5, [1] = 0, [DICTIONARY_PAGE] = 7, [DATA_PAGE_V2] = 8};
    page_header h = {.type = -1,
                     .n_values = -1,
                     .encoding = -1,
                     .def_encoding = FC_PQ_RLE,
                     .rep_encoding = FC_PQ_RLE,
                     .is_packed = true};
    fc_thrift_field f = {0};
    while (fc_thrift_next(t, &f)) switch (f.id)
        {
        case 1: h.type = fc_thrift_i64(t, f); break;
        case 2: h.n_unpacked = fc_thrift_i64(t, f); break;
        case 3: h.n_packed = fc_thrift_i64(t, f); break;
        case 4:
            h.crc = fc_thrift_i64(t, f);
            h.has_crc = true;
            break;
        default:
            if (h.type >= 0 && h.type <= DATA_PAGE_V2 && f.id == details[h.type])
                read_details(t, f, &h);
            else
                fc_thrift_skip(t, f);
        }
    return h;
}

static const char *header_fault(const page_header *h, size_t n_left)
{
    if (h->n_packed < 0 || (uint64_t)h->n_packed > n_left)
        return "the page is longer than its column";
    if (h->n_unpacked < 0 || h->n_unpacked > MAX_PAGE_BYTES)
        return "it claims more than 1 GiB, or less than nothing";
    if (h->type != DATA_PAGE && h->type != DATA_PAGE_V2 && h->type != DICTIONARY_PAGE)
        return NULL;
    if (!h->has_details) return "its header lacks the part for its type";
    if (h->n_values < 0 || h->n_values > MAX_PAGE_VALUES)
        return "it claims more than 67108864 values, or less than none";
    if (h->type == DATA_PAGE_V2 &&
        (h->n_def_bytes < 0 || h->n_rep_bytes < 0 ||
         h->n_def_bytes > fc_min(h->n_packed, h->n_unpacked) ||
         h->n_rep_bytes > fc_min(h->n_packed, h->n_unpacked) - h->n_def_bytes))
        return "its levels are longer than the page";
    return NULL;
}

/* --- contents ----------------------------------------------------------------------------- */

/* Unpacks into *buffer, unless the bytes can be used where they lie. */
static fc_status unpack(fc_pq_pages *p, fc_pq_span packed, int64_t n_unpacked,
                        uint8_t **buffer, int64_t *capacity, fc_pq_span *unpacked,
                        fc_err *err)
{
    const int64_t codec = p->chunk.codec;
    const int64_t n_packed = (int64_t)fc_pq_left(packed);
    const char *fault = NULL;
    if (n_unpacked > fc_pq_unpacked_max(codec, n_packed))
        return fc_pq_pages_fail(p, "it claims to unpack to more than its codec can reach",
                                err);
    if (codec == FC_PQ_NONE) {
        *unpacked = packed;
        if (n_packed == n_unpacked) return FC_OK;
        return fc_pq_pages_fail(p, "its two sizes differ though it is not packed", err);
    }
    if (n_unpacked >= *capacity)
        FC_TRY(fc_grow(buffer, capacity, n_unpacked + 1, 1, "a page", err));
    FC_TRY(fc_pq_unpack(&p->unpacker, codec, packed, *buffer, (size_t)n_unpacked, &fault,
                        err));
    if (fault) return fc_pq_pages_fail(p, fault, err);
    *unpacked = (fc_pq_span){.at = *buffer, .end = *buffer + n_unpacked};
    return FC_OK;
}

static int bits_of(int max)
{
    int n = 0;
    while (max >> n) n++;
    return n;
}

/* Cuts n bytes off the front. */
static fc_pq_span cut(fc_pq_span *span, size_t n)
{
    const fc_pq_span front = {.at = span->at, .end = span->at + n};
    span->at += n;
    return front;
}

/* Levels of a v1 page: a u32 length and runs; none when the maximum is 0. */
static fc_pq_span cut_levels(fc_pq_span *span, int max, const char **fault)
{
    enum { LENGTH_BYTES = 4 };
    if (max == 0) return (fc_pq_span){0};
    if (fc_pq_left(*span) < LENGTH_BYTES) {
        *fault = "its levels are cut off";
        return (fc_pq_span){0};
    }
    const fc_pq_span length = cut(span, LENGTH_BYTES);
    const size_t n = fc_le32(length.at);
    if (n <= fc_pq_left(*span)) return cut(span, n);
    *fault = "its levels are longer than the page";
    return (fc_pq_span){0};
}

static fc_status begin_values(fc_pq_pages *p, const page_header *h, fc_pq_span rep,
                              fc_pq_span def, fc_pq_span values, fc_err *err)
{
    const char *fault = NULL;
    const bool is_indexed =
        h->encoding == FC_PQ_PLAIN_DICTIONARY || h->encoding == FC_PQ_RLE_DICTIONARY;
    if (is_indexed && !p->has_dictionary)
        return fc_pq_pages_fail(p, "it needs a dictionary, and none comes before", err);
    if (h->n_values > p->n_to_come)
        return fc_pq_pages_fail(p, "the pages have more values than the column", err);
    p->rep = fc_pq_runs_over(rep, bits_of(p->leaf->max_rep));
    p->def = fc_pq_runs_over(def, bits_of(p->leaf->max_def));
    p->bytes.dictionary = &p->dictionary;
    fc_pq_bytes_begin(&p->bytes, h->encoding, values, &fault);
    if (fault) return fc_pq_pages_fail(p, fault, err);
    p->n_left = h->n_values;
    p->n_to_come -= h->n_values;
    return FC_OK;
}

static fc_status begin_v1(fc_pq_pages *p, const page_header *h, fc_pq_span body,
                          fc_err *err)
{
    fc_pq_span values;
    const char *fault = NULL;
    if (h->def_encoding != FC_PQ_RLE || h->rep_encoding != FC_PQ_RLE)
        return fc_pq_pages_fail(p, "the encoding of its levels is not RLE", err);
    FC_TRY(unpack(p, body, h->n_unpacked, &p->buffer, &p->buffer_capacity, &values, err));
    const fc_pq_span rep = cut_levels(&values, p->leaf->max_rep, &fault);
    const fc_pq_span def = fault ? rep : cut_levels(&values, p->leaf->max_def, &fault);
    if (fault) return fc_pq_pages_fail(p, fault, err);
    return begin_values(p, h, rep, def, values, err);
}

static fc_status begin_v2(fc_pq_pages *p, const page_header *h, fc_pq_span body,
                          fc_err *err)
{
    const fc_pq_span rep = cut(&body, (size_t)h->n_rep_bytes);
    const fc_pq_span def = cut(&body, (size_t)h->n_def_bytes);
    const int64_t n_unpacked = h->n_unpacked - h->n_rep_bytes - h->n_def_bytes;
    fc_pq_span values = body;
    if (h->is_packed && fc_pq_left(body) > 0)
        FC_TRY(
            unpack(p, body, n_unpacked, &p->buffer, &p->buffer_capacity, &values, err));
    return begin_values(p, h, rep, def, values, err);
}

static fc_status begin_dictionary(fc_pq_pages *p, const page_header *h, fc_pq_span body,
                                  fc_err *err)
{
    fc_pq_span values;
    const char *fault = NULL;
    if (p->has_dictionary || p->page > 0)
        return fc_pq_pages_fail(p, "a dictionary comes after the first page", err);
    if (h->encoding != FC_PQ_PLAIN && h->encoding != FC_PQ_PLAIN_DICTIONARY)
        return fc_pq_pages_fail(p, "the dictionary is not plain", err);
    FC_TRY(unpack(p, body, h->n_unpacked, &p->dictionary_buffer, &p->dictionary_capacity,
                  &values, err));
    FC_TRY(fc_pq_dictionary_set(&p->dictionary, values, h->n_values, &fault, err));
    if (fault) return fc_pq_pages_fail(p, fault, err);
    p->has_dictionary = true;
    return FC_OK;
}

/* --- entry points ------------------------------------------------------------------------- */

fc_status fc_pq_pages_begin(fc_pq_pages *p, int64_t group, fc_err *err)
{
    p->group = group;
    FC_TRY(fc_pq_chunk_find(p->file, group, p->leaf - p->file->leaf, &p->chunk, err));
    p->at = p->page_at = p->chunk.begin;
    p->page = -1;
    p->n_to_come = p->chunk.n_values;
    p->n_left = 0;
    p->has_dictionary = false;
    if (fc_pq_unpacked_max(p->chunk.codec, 0) >= 0) return FC_OK;
    return fc_fail(err, FC_FORMAT,
                   "%s: column '%s' is packed with %s (codec %" PRId64
                   "), expected none, Snappy, gzip or zstd",
                   p->file->path, p->leaf->name, fc_pq_codec_name(p->chunk.codec),
                   p->chunk.codec);
}

fc_status fc_pq_pages_next(fc_pq_pages *p, fc_err *err)
{
    const uint8_t *data = p->file->map.data;
    p->page++;
    p->page_at = p->at;
    fc_thrift t = fc_thrift_over(data + p->at, p->chunk.end - p->at);
    const page_header h = read_header(&t);
    if (t.fault) return fc_pq_pages_fail(p, t.fault, err);
    const char *fault = header_fault(&h, (size_t)(t.end - t.at));
    if (fault) return fc_pq_pages_fail(p, fault, err);
    const fc_pq_span body = {.at = t.at, .end = t.at + h.n_packed};
    p->at = (size_t)(body.end - data);
    if (h.has_crc && (uint32_t)h.crc != (uint32_t)crc32_z(0, body.at, fc_pq_left(body)))
        return fc_pq_pages_fail(p, "its checksum is wrong", err);
    switch (h.type) {
    case DICTIONARY_PAGE: return begin_dictionary(p, &h, body, err);
    case DATA_PAGE: return begin_v1(p, &h, body, err);
    case DATA_PAGE_V2: return begin_v2(p, &h, body, err);
    default: return FC_OK;
    }
}

void fc_pq_pages_deinit(fc_pq_pages *p)
{
    fc_pq_unpacker_deinit(&p->unpacker);
    fc_free(p->dictionary.at);
    fc_free(p->bytes.last);
    fc_free(p->buffer);
    fc_free(p->dictionary_buffer);
}
