/* parquet_internal.h - what the parts of the Parquet reader share.
 *
 *   file = "PAR1", column chunks, footer, u32 length of the footer, "PAR1"
 *   footer -> leaves of the schema, row groups           parquet_footer.c
 *   chunk -> dictionary page, data pages                 parquet_pages.c
 *   page -> levels, values                               parquet_numbers.c, parquet_bytes.c
 *
 * Faults below the level of a page are a plain string, to which parquet_pages.c adds the place.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FORMATS_PARQUET_INTERNAL_H
#define FC_FORMATS_PARQUET_INTERNAL_H

#define ZLIB_CONST /* its input is not written to */
#include <zlib.h>
#include <zstd.h>

#include "base/arena.h"
#include "base/file.h"
#include "formats/parquet.h"

enum { FC_PQ_BYTE_ARRAY = 6, FC_PQ_N_TYPES = 8 };

typedef enum fc_pq_codec {
    FC_PQ_NONE = 0,
    FC_PQ_SNAPPY = 1,
    FC_PQ_GZIP = 2,
    FC_PQ_ZSTD = 6
} fc_pq_codec;

typedef enum fc_pq_encoding {
    FC_PQ_PLAIN = 0,
    FC_PQ_PLAIN_DICTIONARY = 2,
    FC_PQ_RLE = 3,
    FC_PQ_DELTA_LENGTH = 6,
    FC_PQ_DELTA_BYTES = 7,
    FC_PQ_RLE_DICTIONARY = 8
} fc_pq_encoding;

typedef struct fc_pq_leaf {
    const char *name;
    int type;
    int max_def, max_rep;
    bool is_text;
} fc_pq_leaf;

typedef struct fc_pq_group {
    size_t at; /* of its struct within the file */
    int64_t n_rows;
} fc_pq_group;

typedef struct fc_pq_chunk { /* a column within a row group */
    int64_t codec;           /* fc_pq_codec, or one that we do not have */
    int64_t n_values;        /* nulls included */
    size_t begin, end;       /* in the file */
} fc_pq_chunk;

struct fc_parquet {
    char *path;
    fc_map map;
    size_t footer, footer_end; /* offsets in the file */
    fc_arena arena;            /* names */
    fc_pq_leaf *leaf;
    fc_pq_group *group;
    int64_t n_leaves, n_groups, leaf_capacity, group_capacity;
    int64_t n_rows;
};

/* Fills path's schema and row groups from the map. */
fc_status fc_pq_footer_read(fc_parquet *file, fc_err *err);
fc_status fc_pq_chunk_find(const fc_parquet *file, int64_t group, int64_t leaf,
                           fc_pq_chunk *chunk, fc_err *err);

/* --- numbers ------------------------------------------------------------------------------ */

typedef struct fc_pq_span {
    const uint8_t *at, *end;
} fc_pq_span;

static inline size_t fc_pq_left(fc_pq_span span)
{
    return (size_t)(span.end - span.at);
}

/* Runs of one value and bit-packed runs ("RLE hybrid"). */
typedef struct fc_pq_runs {
    fc_pq_span span; /* what follows the run in hand */
    int width;       /* bits of a value, 0..32 */
    uint64_t n_left; /* values of the run in hand */
    bool is_packed;
    uint32_t value;        /* of a run of one value */
    const uint8_t *packed; /* of a bit-packed run */
    uint64_t bit, n_bits;  /* next bit of it; bits that are there */
} fc_pq_runs;

fc_pq_runs fc_pq_runs_over(fc_pq_span span, int width);
uint32_t fc_pq_runs_next(fc_pq_runs *runs, const char **fault);

/* DELTA_BINARY_PACKED. */
typedef struct fc_pq_delta {
    fc_pq_span span; /* what follows the miniblock in hand */
    int64_t n_minis, n_in_mini;
    int64_t n_left; /* values to come */
    int64_t value;  /* the last one */
    bool is_begun;  /* the first one was given */
    int64_t min_delta;
    const uint8_t *widths; /* of the miniblocks of the block in hand */
    int64_t mini;          /* next miniblock of the block */
    int64_t n_left_mini;   /* values of the miniblock in hand */
    const uint8_t *packed;
    uint64_t bit;
    int width;
} fc_pq_delta;

fc_pq_delta fc_pq_delta_over(fc_pq_span span, const char **fault);
int64_t fc_pq_delta_next(fc_pq_delta *delta, const char **fault);
/* What lies behind the last value; `delta` itself is as it was. */
fc_pq_span fc_pq_delta_rest(fc_pq_delta delta, const char **fault);

/* --- byte arrays -------------------------------------------------------------------------- */

typedef struct fc_pq_dictionary {
    const uint8_t *bytes; /* of the unpacked page */
    uint32_t *at;         /* [n] where the length of each value lies */
    int64_t n, capacity;
} fc_pq_dictionary;

fc_status fc_pq_dictionary_set(fc_pq_dictionary *dictionary, fc_pq_span page, int64_t n,
                               const char **fault, fc_err *err);

typedef struct fc_pq_bytes { /* the values of a page */
    fc_pq_encoding encoding;
    fc_pq_span span;
    const fc_pq_dictionary *dictionary;
    fc_pq_runs index;
    fc_pq_delta prefix, length;
    uint8_t *last; /* DELTA_BYTE_ARRAY: the value before; freed by the owner */
    int64_t n_last, last_capacity;
} fc_pq_bytes;

/* Begins a page; keeps dictionary and `last`. */
void fc_pq_bytes_begin(fc_pq_bytes *bytes, int64_t encoding, fc_pq_span span,
                       const char **fault);
fc_status fc_pq_bytes_next(fc_pq_bytes *bytes, const char **value, int64_t *n,
                           const char **fault, fc_err *err);

/* --- pages -------------------------------------------------------------------------------- */

typedef struct fc_pq_unpacker {
    z_stream gzip;
    bool has_gzip;
    ZSTD_DCtx *zstd;
} fc_pq_unpacker;

/* Largest number of bytes that n bytes can unpack to; -1: a codec that we do not have. */
int64_t fc_pq_unpacked_max(int64_t codec, int64_t n);
const char *fc_pq_codec_name(int64_t codec);
fc_status fc_pq_unpack(fc_pq_unpacker *unpacker, int64_t codec, fc_pq_span packed,
                       uint8_t *out, size_t n_out, const char **fault, fc_err *err);
void fc_pq_unpacker_deinit(fc_pq_unpacker *unpacker);

typedef struct fc_pq_pages { /* the pages of a chunk */
    const fc_parquet *file;
    const fc_pq_leaf *leaf;
    int64_t group;
    fc_pq_chunk chunk;
    size_t at, page_at; /* next page; page in hand, for messages */
    int64_t page;       /* number of the page in hand */
    int64_t n_to_come;  /* values of the chunk in pages to come */
    bool has_dictionary;

    int64_t n_left; /* entries of the page in hand: values and nulls */
    fc_pq_runs rep, def;
    fc_pq_bytes bytes;

    fc_pq_unpacker unpacker;
    fc_pq_dictionary dictionary;
    uint8_t *buffer, *dictionary_buffer;
    int64_t buffer_capacity, dictionary_capacity;
} fc_pq_pages;

fc_status fc_pq_pages_begin(fc_pq_pages *pages, int64_t group, fc_err *err);
fc_status fc_pq_pages_next(fc_pq_pages *pages, fc_err *err); /* sets n_left */
fc_status fc_pq_pages_fail(const fc_pq_pages *pages, const char *fault, fc_err *err);
void fc_pq_pages_deinit(fc_pq_pages *pages);

#endif
