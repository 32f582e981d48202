/* crc32c.h - the checksum of TFRecord frames.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FORMATS_CRC32C_H
#define FC_FORMATS_CRC32C_H

#include "base/macros.h"

/* CRC-32C (Castagnoli) of n bytes: 0xe3069283 for "123456789". */
uint32_t fc_crc32c(const void *data, size_t n_bytes);

/* The form stored in a frame: rotated and shifted, so that a checksum of bytes that hold
 * checksums stays a good one. */
uint32_t fc_crc32c_masked(const void *data, size_t n_bytes);

#endif
