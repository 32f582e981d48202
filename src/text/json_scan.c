/* json_scan.c - walks JSON text without building a tree (RFC 8259).
 *
 * A string without a backslash is handed out where it lies. Skipping follows brackets and quotes
 * only and does not recurse, so depth costs nothing; whoever parses the span judges its inside.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "text/json_scan.h"

#include <inttypes.h>
#include <string.h>

#include "text/utf8.h"

void fc_json_scan_init(fc_json_scan *scan, const char *text, int64_t n, const char *name)
{
    *scan = (fc_json_scan){.begin = text, .at = text, .end = text + n, .name = name};
}

void fc_json_scan_deinit(fc_json_scan *scan)
{
    fc_strbuf_free(&scan->text);
}

static void skip_space(fc_json_scan *scan)
{
    while (scan->at < scan->end && strchr(" \t\r\n", *scan->at) && *scan->at) scan->at++;
}

char fc_json_scan_peek(fc_json_scan *scan)
{
    skip_space(scan);
    return scan->at < scan->end ? *scan->at : '\0';
}

fc_status fc_json_scan_expected(fc_json_scan *scan, const char *expected, fc_err *err)
{
    const int64_t at = scan->at - scan->begin;
    if (scan->at >= scan->end)
        return fc_fail(err, FC_FORMAT,
                       "%s: byte %" PRId64 ": expected %s, found the end of the file",
                       scan->name, at, expected);
    const unsigned char found = (unsigned char)*scan->at;
    if (found < 0x20 || found > 0x7E)
        return fc_fail(err, FC_FORMAT,
                       "%s: byte %" PRId64 ": expected %s, found byte 0x%02X", scan->name,
                       at, expected, found);
    return fc_fail(err, FC_FORMAT, "%s: byte %" PRId64 ": expected %s, found '%c'",
                   scan->name, at, expected, found);
}

fc_status fc_json_scan_open(fc_json_scan *scan, char bracket, fc_err *err)
{
    if (fc_json_scan_peek(scan) != bracket)
        return fc_json_scan_expected(scan, bracket == '{' ? "an object" : "an array",
                                     err);
    scan->at++;
    scan->is_first = true;
    return FC_OK;
}

fc_status fc_json_scan_more(fc_json_scan *scan, char close, bool *has_more, fc_err *err)
{
    const char next = fc_json_scan_peek(scan);
    const bool is_first = scan->is_first;
    scan->is_first = false;
    *has_more = next != close;
    if (next == close || (!is_first && next == ',')) {
        scan->at++;
        return FC_OK;
    }
    if (is_first && next) return FC_OK;
    return fc_json_scan_expected(scan, close == '}' ? "',' or '}'" : "',' or ']'", err);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* The four digits after "\u". */
static fc_status hex_code(fc_json_scan *scan, uint32_t *code, fc_err *err)
{
    *code = 0;
    for (int i = 0; i < 4; i++, scan->at++) {
        const int digit = scan->at < scan->end ? hex_digit(*scan->at) : -1;
        if (digit < 0) return fc_json_scan_expected(scan, "four hexadecimal digits", err);
        *code = *code << 4 | (uint32_t)digit;
    }
    return FC_OK;
}

static fc_status escaped_code(fc_json_scan *scan, fc_err *err)
{
    uint32_t code = 0;
    FC_TRY(hex_code(scan, &code, err));
    if (code >= 0xD800 && code < 0xDC00) {
        if (scan->end - scan->at < 2 || scan->at[0] != '\\' || scan->at[1] != 'u')
            return fc_json_scan_expected(scan, "the second half of a surrogate pair",
                                         err);
        scan->at += 2;
        uint32_t low = 0;
        FC_TRY(hex_code(scan, &low, err));
        if (low < 0xDC00 || low > 0xDFFF)
            return fc_json_scan_expected(
                scan, "the second half of a surrogate pair before this", err);
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code <= 0xDFFF) {
        return fc_json_scan_expected(scan, "a whole surrogate pair before this", err);
    }
    char bytes[FC_UTF8_MAX_BYTES];
    return fc_strbuf_add(&scan->text, bytes, fc_utf8_put(code, bytes), err);
}

/* The character after a backslash. */
static fc_status escape(fc_json_scan *scan, fc_err *err)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const char *found = NULL;
    if (scan->at < scan->end && *scan->at) found = strchr(from, *scan->at);
    if (found) {
        scan->at++;
        return fc_strbuf_add(&scan->text, &to[found - from], 1, err);
    }
    if (scan->at >= scan->end || *scan->at != 'u')
        return fc_json_scan_expected(scan, "an escape (one of \"\\/bfnrtu)", err);
    scan->at++;
    return escaped_code(scan, err);
}

/* Moves to the next quote, backslash or control character. */
static void plain_run(fc_json_scan *scan)
{
    while (scan->at < scan->end && *scan->at != '"' && *scan->at != '\\' &&
           (unsigned char)*scan->at >= 0x20)
        scan->at++;
}

fc_status fc_json_scan_string(fc_json_scan *scan, const char **text, int64_t *n,
                              fc_err *err)
{
    if (fc_json_scan_peek(scan) != '"')
        return fc_json_scan_expected(scan, "a string", err);
    const char *run = ++scan->at;
    plain_run(scan);
    if (scan->at < scan->end && *scan->at == '"') {
        *text = run;
        *n = scan->at++ - run;
        return FC_OK;
    }
    fc_strbuf_clear(&scan->text);
    for (;;) {
        FC_TRY(fc_strbuf_add(&scan->text, run, scan->at - run, err));
        if (scan->at >= scan->end || (unsigned char)*scan->at < 0x20)
            return fc_json_scan_expected(scan, "the end of a string", err);
        if (*scan->at++ == '"') break;
        FC_TRY(escape(scan, err));
        run = scan->at;
        plain_run(scan);
    }
    *text = fc_strbuf_text(&scan->text);
    *n = scan->text.n;
    return FC_OK;
}

fc_status fc_json_scan_key(fc_json_scan *scan, const char **key, int64_t *n, fc_err *err)
{
    FC_TRY(fc_json_scan_string(scan, key, n, err));
    if (fc_json_scan_peek(scan) != ':') return fc_json_scan_expected(scan, "':'", err);
    scan->at++;
    return FC_OK;
}

fc_status fc_json_scan_i32(fc_json_scan *scan, int32_t *value, fc_err *err)
{
    fc_json_scan_peek(scan);
    const char *first = scan->at;
    int64_t sum = 0;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9' &&
           sum <= INT32_MAX)
        sum = 10 * sum + (*scan->at++ - '0');
    const bool has_zeros = scan->at - first > 1 && *first == '0';
    const bool goes_on =
        scan->at < scan->end && strchr(".eE+-0123456789", *scan->at) && *scan->at;
    if (scan->at == first || has_zeros || goes_on || sum > INT32_MAX) {
        scan->at = first;
        return fc_json_scan_expected(scan, "an integer from 0 to 2147483647", err);
    }
    *value = (int32_t)sum;
    return FC_OK;
}

/* Moves behind the string that begins here. */
static fc_status skip_string(fc_json_scan *scan, fc_err *err)
{
    scan->at++;
    for (;;) {
        plain_run(scan);
        if (scan->at >= scan->end || (unsigned char)*scan->at < 0x20)
            return fc_json_scan_expected(scan, "the end of a string", err);
        if (*scan->at++ == '"') return FC_OK;
        if (scan->at < scan->end) scan->at++; /* what a backslash protects */
    }
}

fc_status fc_json_scan_skip(fc_json_scan *scan, fc_json_span *span, fc_err *err)
{
    fc_json_scan_peek(scan);
    const char *first = scan->at;
    int64_t depth = 0;
    do {
        const char next = fc_json_scan_peek(scan);
        if (!next) return fc_json_scan_expected(scan, "the rest of a value", err);
        if (next == '"') {
            FC_TRY(skip_string(scan, err));
            continue;
        }
        if (depth == 0 && strchr(",:]}", next))
            return fc_json_scan_expected(scan, "a value", err);
        if (next == '{' || next == '[') depth++;
        if (next == '}' || next == ']') depth--;
        scan->at++;
        if (strchr("{}[],:", next)) continue;
        while (scan->at < scan->end && !strchr("{}[],:\" \t\r\n", *scan->at)) scan->at++;
    } while (depth > 0);
    *span = (fc_json_span){first, scan->at - first};
    scan->is_first = false;
    return FC_OK;
}

fc_status fc_json_scan_finish(fc_json_scan *scan, fc_err *err)
{
    fc_json_scan_peek(scan);
    if (scan->at < scan->end)
        return fc_json_scan_expected(scan, "the end of the file", err);
    return FC_OK;
}
