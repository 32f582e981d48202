/* utf8.c - characters of a byte string that may be damaged.
 *
 * The first byte fixes the length and the range of the second byte (which excludes overlong forms,
 * surrogates and what lies above U+10FFFF); all further bytes are 80..BF. So an invalid
 * subsequence ends exactly where the first byte that cannot follow stands. Unicode 15, table 3-7.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "text/utf8.h"

#include <string.h>

typedef struct lead {
    int n_bytes;
    uint8_t second_min, second_max;
    uint8_t bits; /* of the first byte that belong to the code */
} lead;

static lead lead_of(uint8_t byte)
{
    if (byte < 0x80) return (lead){1, 0, 0, 0x7F};
    if (byte < 0xC2 || byte > 0xF4) return (lead){0, 0, 0, 0};
    if (byte < 0xE0) return (lead){2, 0x80, 0xBF, 0x1F};
    if (byte == 0xE0) return (lead){3, 0xA0, 0xBF, 0x0F};
    if (byte == 0xED) return (lead){3, 0x80, 0x9F, 0x0F};
    if (byte < 0xF0) return (lead){3, 0x80, 0xBF, 0x0F};
    if (byte == 0xF0) return (lead){4, 0x90, 0xBF, 0x07};
    if (byte == 0xF4) return (lead){4, 0x80, 0x8F, 0x07};
    return (lead){4, 0x80, 0xBF, 0x07};
}

int fc_utf8_next(const char *text, int64_t n, uint32_t *code, bool *is_valid)
{
    const uint8_t *byte = (const uint8_t *)text;
    const lead first = lead_of(byte[0]);
    uint32_t value = byte[0] & first.bits;
    int length = 1;
    for (; length < first.n_bytes; length++) {
        const uint8_t min = length == 1 ? first.second_min : 0x80;
        const uint8_t max = length == 1 ? first.second_max : 0xBF;
        if (length >= n || byte[length] < min || byte[length] > max) break;
        value = value << 6 | (byte[length] & 0x3F);
    }
    *is_valid = first.n_bytes == length;
    *code = *is_valid ? value : FC_UTF8_REPLACEMENT;
    return length;
}

int fc_utf8_put(uint32_t code, char bytes[FC_UTF8_MAX_BYTES])
{
    if (code < 0x80) {
        bytes[0] = (char)code;
        return 1;
    }
    const int n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t mark[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (int i = n - 1; i > 0; i--) {
        bytes[i] = (char)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    bytes[0] = (char)(mark[n] | code);
    return n;
}

int64_t fc_utf8_check(const char *text, int64_t n)
{
    int64_t at = 0;
    while (at < n) {
        uint64_t eight = 0;
        if (n - at >= 8) memcpy(&eight, text + at, sizeof eight);
        if (n - at >= 8 && !(eight & UINT64_C(0x8080808080808080))) {
            at += 8;
            continue;
        }
        uint32_t code = 0;
        bool is_valid = false;
        const int length = fc_utf8_next(text + at, n - at, &code, &is_valid);
        if (!is_valid) return at;
        at += length;
    }
    return n;
}
