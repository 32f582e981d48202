/* parquet_bytes.c - the values of a page of byte arrays, one a call, in four encodings.
 *
 *   PLAIN                    u32 length, bytes; repeated
 *   (RLE_|PLAIN_)DICTIONARY  bit width, runs of indices into the values of the dictionary page
 *   DELTA_LENGTH_BYTE_ARRAY  lengths as differences, then all bytes
 *   DELTA_BYTE_ARRAY         lengths shared with the value before, then the rest as DELTA_LENGTH
 *
 * A value is borrowed from the unpacked page. Only the last encoding puts values together, in a
 * buffer that is never longer than the page. Lengths are read twice, once to find where the bytes
 * begin, instead of being kept. (parquet-format, Encodings.md)
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "formats/little_endian.h"
#include "formats/parquet_internal.h"

enum { LENGTH_BYTES = 4, MAX_WIDTH = 32 };

/* The next n bytes. */
static const uint8_t *take(fc_pq_span *span, int64_t n, const char **fault)
{
    const uint8_t *at = span->at;
    if (n < 0 || (uint64_t)n > fc_pq_left(*span)) {
        *fault = "a value is longer than what is left of the page";
        return NULL;
    }
    span->at += n;
    return at;
}

static const uint8_t *take_plain(fc_pq_span *span, int64_t *n, const char **fault)
{
    const uint8_t *length = take(span, LENGTH_BYTES, fault);
    *n = length ? (int64_t)fc_le32(length) : 0;
    return length ? take(span, *n, fault) : NULL;
}

fc_status fc_pq_dictionary_set(fc_pq_dictionary *dictionary, fc_pq_span page, int64_t n,
                               const char **fault, fc_err *err)
{
    dictionary->n = 0;
    dictionary->bytes = page.at;
    if (n < 0 || (uint64_t)n > fc_pq_left(page) / LENGTH_BYTES) {
        *fault = "the dictionary has fewer bytes than values";
        return FC_OK;
    }
    if (n > dictionary->capacity)
        FC_TRY(fc_grow(&dictionary->at, &dictionary->capacity, n, sizeof *dictionary->at,
                       "a dictionary", err));
    for (int64_t i = 0; i < n && !*fault; i++) {
        int64_t n_bytes;
        dictionary->at[i] = (uint32_t)(page.at - dictionary->bytes);
        (void)take_plain(&page, &n_bytes, fault);
    }
    if (!*fault) dictionary->n = n;
    return FC_OK;
}

static void begin_index(fc_pq_bytes *bytes, const char **fault)
{
    int width = 0;
    if (fc_pq_left(bytes->span) > 0) width = *bytes->span.at++;
    if (width > MAX_WIDTH) {
        *fault = "the indices into the dictionary have more than 32 bits";
        width = 0;
    }
    bytes->index = fc_pq_runs_over(bytes->span, width);
}

static void begin_lengths(fc_pq_bytes *bytes, const char **fault)
{
    bytes->length = fc_pq_delta_over(bytes->span, fault);
    if (!*fault) bytes->span = fc_pq_delta_rest(bytes->length, fault);
}

void fc_pq_bytes_begin(fc_pq_bytes *bytes, int64_t encoding, fc_pq_span span,
                       const char **fault)
{
    bytes->span = span;
    bytes->encoding = (fc_pq_encoding)encoding;
    bytes->n_last = 0;
    bytes->length = bytes->prefix = (fc_pq_delta){0};
    switch (encoding) {
    case FC_PQ_PLAIN: return;
    case FC_PQ_PLAIN_DICTIONARY:
    case FC_PQ_RLE_DICTIONARY: begin_index(bytes, fault); return;
    case FC_PQ_DELTA_BYTES:
        if (fc_pq_left(span) == 0) return; /* nothing but nulls */
        bytes->prefix = fc_pq_delta_over(span, fault);
        if (!*fault) bytes->span = fc_pq_delta_rest(bytes->prefix, fault);
        if (!*fault) begin_lengths(bytes, fault);
        return;
    case FC_PQ_DELTA_LENGTH:
        if (fc_pq_left(span) > 0) begin_lengths(bytes, fault);
        return;
    default: *fault = "its encoding is none of plain, dictionary and delta";
    }
}

static const uint8_t *take_indexed(fc_pq_bytes *bytes, int64_t *n, const char **fault)
{
    const fc_pq_dictionary *dictionary = bytes->dictionary;
    const uint32_t i = fc_pq_runs_next(&bytes->index, fault);
    if (!*fault && i >= dictionary->n)
        *fault = "an index lies beyond the end of the dictionary";
    if (*fault) return NULL;
    const uint8_t *at = dictionary->bytes + dictionary->at[i];
    *n = (int64_t)fc_le32(at);
    return at + LENGTH_BYTES;
}

/* Puts the value together in bytes->last. */
static fc_status take_shared(fc_pq_bytes *bytes, const char **fault, fc_err *err)
{
    const int64_t n_prefix = fc_pq_delta_next(&bytes->prefix, fault);
    const int64_t n_suffix = fc_pq_delta_next(&bytes->length, fault);
    if (!*fault && (n_prefix < 0 || n_prefix > bytes->n_last))
        *fault = "a value shares more bytes than the one before has";
    if (*fault) return FC_OK;
    const uint8_t *suffix = take(&bytes->span, n_suffix, fault);
    if (*fault) return FC_OK;
    if (n_prefix + n_suffix > bytes->last_capacity || !bytes->last)
        FC_TRY(fc_grow(&bytes->last, &bytes->last_capacity, n_prefix + n_suffix + 1, 1,
                       "a value", err));
    if (n_suffix > 0) memcpy(bytes->last + n_prefix, suffix, (size_t)n_suffix);
    bytes->n_last = n_prefix + n_suffix;
    return FC_OK;
}

fc_status fc_pq_bytes_next(fc_pq_bytes *bytes, const char **value, int64_t *n,
                           const char **fault, fc_err *err)
{
    const uint8_t *at = NULL;
    switch (bytes->encoding) {
    case FC_PQ_PLAIN_DICTIONARY:
    case FC_PQ_RLE_DICTIONARY: at = take_indexed(bytes, n, fault); break;
    case FC_PQ_DELTA_LENGTH:
        *n = fc_pq_delta_next(&bytes->length, fault);
        if (!*fault) at = take(&bytes->span, *n, fault);
        break;
    case FC_PQ_DELTA_BYTES:
        FC_TRY(take_shared(bytes, fault, err));
        at = bytes->last;
        *n = bytes->n_last;
        break;
    case FC_PQ_PLAIN:
    case FC_PQ_RLE:
    default: at = take_plain(&bytes->span, n, fault);
    }
    *value = (const char *)at;
    return FC_OK;
}
