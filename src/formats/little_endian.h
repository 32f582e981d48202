/* little_endian.h - numbers as they lie in files: byte by byte, at any address.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FORMATS_LITTLE_ENDIAN_H
#define FC_FORMATS_LITTLE_ENDIAN_H

#include <stdint.h>

static inline uint32_t fc_le16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}
static inline uint32_t fc_le32(const uint8_t *p)
{
    return fc_le16(p) | fc_le16(p + 2) << 16;
}
static inline uint64_t fc_le64(const uint8_t *p)
{
    return (uint64_t)fc_le32(p) | (uint64_t)fc_le32(p + 4) << 32;
}

/* Writes the n low bytes and returns the place after them. */
static inline uint8_t *fc_le_put(uint8_t *p, uint64_t value, int n)
{
    for (int i = 0; i < n; i++) *p++ = (uint8_t)(value >> (8 * i));
    return p;
}

#endif
