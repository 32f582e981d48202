/* parquet_numbers.c - the two integer codings of Parquet: runs, and packed differences.
 *
 *   runs   uvarint h; h odd: (h >> 1) * 8 values of w bits each, least significant bit first
 *                     h even: h >> 1 times one value of ceil(w / 8) bytes
 *   delta  uvarint block size, miniblocks a block, count; zigzag first value; then blocks:
 *          zigzag min delta, a byte of bit width for each miniblock, the miniblocks
 *          next = previous + min delta + packed, modulo 2^64
 *
 * Both give one value a call and hold nothing but where they are, so a page that claims millions of
 * values costs no memory. (parquet-format, Encodings.md)
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "formats/parquet_internal.h"

static uint64_t next_uvarint(fc_pq_span *span, const char **fault)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && span->at < span->end; shift += 7) {
        const uint8_t byte = *span->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return value;
    }
    *fault = "a number is cut off";
    return 0;
}

static int64_t next_zigzag(fc_pq_span *span, const char **fault)
{
    const uint64_t value = next_uvarint(span, fault);
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/* Bits [at, at + width) of packed, least significant first; width 0..64. */
static uint64_t take_bits(const uint8_t *packed, uint64_t at, int width)
{
    uint64_t value = 0;
    for (int n = 0; n < width;) {
        const int shift = (int)(at & 7);
        const int n_here = (int)fc_min(8 - shift, width - n);
        const uint64_t bits = ((uint64_t)packed[at >> 3] >> shift) & ((1u << n_here) - 1);
        value |= bits << n;
        n += n_here;
        at += (uint64_t)n_here;
    }
    return value;
}

/* --- runs --------------------------------------------------------------------------------- */

fc_pq_runs fc_pq_runs_over(fc_pq_span span, int width)
{
    return (fc_pq_runs){.span = span, .width = width};
}

static void begin_run(fc_pq_runs *runs, const char **fault)
{
    const uint64_t header = next_uvarint(&runs->span, fault);
    const uint64_t n_left_bytes = fc_pq_left(runs->span);
    runs->is_packed = header & 1;
    runs->n_left = header >> 1;
    if (*fault) return;
    if (runs->is_packed) {
        /* Some writers leave out the padding of the last run. */
        const uint64_t n_groups = runs->n_left;
        const uint64_t n_bytes =
            n_groups > n_left_bytes ? n_left_bytes : n_groups * (uint64_t)runs->width;
        runs->n_left = n_groups > UINT64_MAX / 8 ? UINT64_MAX : n_groups * 8;
        runs->packed = runs->span.at;
        runs->bit = 0;
        runs->n_bits = 8 * (n_bytes < n_left_bytes ? n_bytes : n_left_bytes);
        runs->span.at += runs->n_bits / 8;
        return;
    }
    const int n_bytes = (runs->width + 7) / 8;
    runs->value = 0;
    if ((uint64_t)n_bytes > n_left_bytes) {
        *fault = "a run is cut off";
        return;
    }
    for (int i = 0; i < n_bytes; i++)
        runs->value |= (uint32_t)*runs->span.at++ << (8 * i);
}

uint32_t fc_pq_runs_next(fc_pq_runs *runs, const char **fault)
{
    if (runs->width == 0) return 0; /* whose runs some writers leave out */
    while (runs->n_left == 0) {
        if (runs->span.at == runs->span.end)
            *fault = "there are fewer values than entries";
        if (!*fault) begin_run(runs, fault);
        if (*fault) return 0;
    }
    runs->n_left--;
    if (!runs->is_packed) return runs->value;
    if (runs->n_bits - runs->bit < (uint64_t)runs->width) {
        *fault = "a run is cut off";
        return 0;
    }
    const uint64_t value = take_bits(runs->packed, runs->bit, runs->width);
    runs->bit += (uint64_t)runs->width;
    return (uint32_t)value;
}

/* --- differences --------------------------------------------------------------------------- */

enum { MAX_BLOCK = 1 << 20, BLOCK_UNIT = 128, MINI_UNIT = 32 };

fc_pq_delta fc_pq_delta_over(fc_pq_span span, const char **fault)
{
    fc_pq_delta delta = {.span = span};
    const uint64_t n_block = next_uvarint(&delta.span, fault);
    const uint64_t n_minis = next_uvarint(&delta.span, fault);
    const uint64_t n_values = next_uvarint(&delta.span, fault);
    delta.value = next_zigzag(&delta.span, fault);
    if (*fault) return delta;
    if (n_block == 0 || n_block > MAX_BLOCK || n_block % BLOCK_UNIT != 0 ||
        n_minis == 0 || n_block % n_minis != 0 || n_block / n_minis % MINI_UNIT != 0 ||
        n_values > INT32_MAX)
    {
        *fault = "the block size of its numbers is not possible";
        return delta;
    }
    delta.n_minis = (int64_t)n_minis;
    delta.n_in_mini = (int64_t)(n_block / n_minis);
    delta.n_left = (int64_t)n_values;
    delta.mini = delta.n_minis; /* a block begins with the second value */
    return delta;
}

static void begin_mini(fc_pq_delta *delta, const char **fault)
{
    if (delta->mini == delta->n_minis) {
        delta->min_delta = next_zigzag(&delta->span, fault);
        delta->widths = delta->span.at;
        delta->mini = 0;
        if (fc_pq_left(delta->span) < (size_t)delta->n_minis)
            *fault = "a block of numbers is cut off";
        if (*fault) return;
        delta->span.at += delta->n_minis;
    }
    delta->width = delta->widths[delta->mini++];
    const size_t n_bytes = (size_t)delta->n_in_mini / 8 * (size_t)delta->width;
    if (delta->width > 64 || n_bytes > fc_pq_left(delta->span)) {
        *fault = "a block of numbers is cut off";
        return;
    }
    delta->packed = delta->span.at;
    delta->bit = 0;
    delta->span.at += n_bytes;
    delta->n_left_mini = delta->n_in_mini;
}

int64_t fc_pq_delta_next(fc_pq_delta *delta, const char **fault)
{
    if (delta->n_left == 0) *fault = "there are fewer values than entries";
    if (*fault) return 0;
    delta->n_left--;
    if (!delta->is_begun) {
        delta->is_begun = true;
        return delta->value;
    }
    if (delta->n_left_mini == 0) begin_mini(delta, fault);
    if (*fault) return 0;
    const uint64_t packed = take_bits(delta->packed, delta->bit, delta->width);
    delta->bit += (uint64_t)delta->width;
    delta->n_left_mini--;
    delta->value =
        (int64_t)((uint64_t)delta->value + (uint64_t)delta->min_delta + packed);
    return delta->value;
}

fc_pq_span fc_pq_delta_rest(fc_pq_delta delta, const char **fault)
{
    while (delta.n_left > 0 && !*fault) (void)fc_pq_delta_next(&delta, fault);
    return delta.span;
}
