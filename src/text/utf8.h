/* utf8.h - characters of a byte string that may be damaged.
 *
 * Each maximal invalid subsequence counts as one U+FFFD (Unicode 15, section 3.9, "substitution of
 * maximal subparts"), as Python's errors="replace" and the browsers do.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TEXT_UTF8_H
#define FC_TEXT_UTF8_H

#include <stdbool.h>
#include <stdint.h>

enum { FC_UTF8_REPLACEMENT = 0xFFFD, FC_UTF8_MAX_BYTES = 4 };

/* First character of text[n], n >= 1, into *code; returns its bytes, 1..4. *is_valid is false
 * where U+FFFD stands for an invalid subsequence of that many bytes. */
int fc_utf8_next(const char *text, int64_t n, uint32_t *code, bool *is_valid);

/* Writes the character (a scalar value) into bytes; returns how many, 1..4. */
int fc_utf8_put(uint32_t code, char bytes[FC_UTF8_MAX_BYTES]);

/* Offset of the first invalid byte, n when all is valid. */
int64_t fc_utf8_check(const char *text, int64_t n);

#endif
