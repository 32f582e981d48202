/* json_scan.h - walks JSON text without building a tree.
 *
 * Gemma's tokenizer.json is 33 MB with 800,000 strings; as a tree it takes ten times that. A scan
 * goes through the text once and hands out one value after the other. Small members are better
 * skipped as a span and given to formats/json.h.
 *
 *     fc_json_scan_open(&scan, '{')
 *     while fc_json_scan_more(&scan, '}', &has_more), has_more:
 *         fc_json_scan_key, then exactly one of _string, _i64, _skip or a nested open ... more
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TEXT_JSON_SCAN_H
#define FC_TEXT_JSON_SCAN_H

#include <stdbool.h>

#include "base/err.h"
#include "base/strbuf.h"

typedef struct fc_json_scan {
    const char *begin, *at,
        *end;         /* borrowed; valid UTF-8, which the caller has checked */
    const char *name; /* file, for sentences */
    bool is_first;    /* the next element is the first of its array or object */
    fc_strbuf text;   /* a string with escapes, written out */
} fc_json_scan;

typedef struct fc_json_span {
    const char *at; /* NULL: absent */
    int64_t n;
} fc_json_span;

/* Free with fc_json_scan_deinit. */
void fc_json_scan_init(fc_json_scan *scan, const char *text, int64_t n, const char *name);
void fc_json_scan_deinit(fc_json_scan *scan);

/* '{', '[' or '"': what kind of value comes next; 0 at the end. */
char fc_json_scan_peek(fc_json_scan *scan);

fc_status fc_json_scan_open(fc_json_scan *scan, char bracket, fc_err *err);
/* Is there another element? Reads the comma before it, or the closing bracket. */
fc_status fc_json_scan_more(fc_json_scan *scan, char close, bool *has_more, fc_err *err);

/* Borrowed until the next call; may hold zero bytes. */
fc_status fc_json_scan_string(fc_json_scan *scan, const char **text, int64_t *n,
                              fc_err *err);
fc_status fc_json_scan_key(fc_json_scan *scan, const char **key, int64_t *n, fc_err *err);

/* An integer without sign, fraction or exponent, at most 2^31 - 1. */
fc_status fc_json_scan_i32(fc_json_scan *scan, int32_t *value, fc_err *err);

/* Any value, unread: finds its end by brackets and strings alone. */
fc_status fc_json_scan_skip(fc_json_scan *scan, fc_json_span *span, fc_err *err);

/* Only white space may follow. */
fc_status fc_json_scan_finish(fc_json_scan *scan, fc_err *err);

/* "file: byte 123: expected ..., found 'x'" */
fc_status fc_json_scan_expected(fc_json_scan *scan, const char *expected, fc_err *err);

#endif
