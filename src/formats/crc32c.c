/* crc32c.c - CRC-32C, reflected polynomial 0x82f63b78, four bits at a time.
 *
 * A table of 16 entries stays in one cache line and reads at a few hundred MB/s: event files
 * are small, so neither the large tables nor the crc32 instruction would be noticed.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "formats/crc32c.h"

static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
                                   0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
                                   0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                   0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};

uint32_t fc_crc32c(const void *data, size_t n_bytes)
{
    const uint8_t *const bytes = data;
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < n_bytes; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

uint32_t fc_crc32c_masked(const void *data, size_t n_bytes)
{
    const uint32_t crc = fc_crc32c(data, n_bytes);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}
