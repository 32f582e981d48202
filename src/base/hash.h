/* hash.h - checksums: XXH3-128 for our own files, SHA-256 where others name content by it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_BASE_HASH_H
#define FC_BASE_HASH_H

#include "base/err.h"

enum { FC_HASH_HEX = 33, FC_SHA256_HEX = 65, FC_SHA1_HEX = 41 };

/* XXH3-128 as 32 lower-case hex digits and a zero byte. */
void fc_hash_bytes(const void *data, size_t n_bytes, char hex[FC_HASH_HEX]);
fc_status fc_hash_file(const char *path, char hex[FC_HASH_HEX], fc_err *err);

typedef struct fc_hash fc_hash; /* the same over a stream of pieces */
fc_status fc_hash_new(fc_hash **hash, fc_err *err);
void fc_hash_update(fc_hash *hash, const void *data, size_t n_bytes);
void fc_hash_hex(const fc_hash *hash, char hex[FC_HASH_HEX]);
void fc_hash_free(fc_hash *hash);

typedef struct fc_sha256 fc_sha256;
fc_status fc_sha256_new(fc_sha256 **sha, fc_err *err);
void fc_sha256_update(fc_sha256 *sha, const void *data, size_t n_bytes);
void fc_sha256_hex(fc_sha256 *sha, char hex[FC_SHA256_HEX]); /* ends the sum */
void fc_sha256_free(fc_sha256 *sha);
fc_status fc_sha256_file(const char *path, char hex[FC_SHA256_HEX], fc_err *err);

/* SHA-1 as git names a file's content: over "blob N", a zero byte and the N bytes. */
fc_status fc_git_hash_file(const char *path, char hex[FC_SHA1_HEX], fc_err *err);

#endif
