/* hash.c - XXH3-128 (libxxhash), SHA-256 and SHA-1 (libcrypto) as lower-case hex.
 *
 * The 128 bits are written in the canonical order, most significant byte first, so that
 * `xxhsum -H2` prints the same digits.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/file.h"

struct fc_hash {
    XXH3_state_t *state; /* its layout is the library's own affair */
};

struct fc_sha256 {
    EVP_MD_CTX *context;
};

/* 2 n digits and a zero byte. */
static void put_hex(const unsigned char *bytes, size_t n, char *hex)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[2 * n] = '\0';
}

static void put_hash(XXH128_hash_t hash, char hex[FC_HASH_HEX])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, hash);
    put_hex(canonical.digest, sizeof canonical.digest, hex);
}

void fc_hash_bytes(const void *data, size_t n_bytes, char hex[FC_HASH_HEX])
{
    put_hash(XXH3_128bits(data, n_bytes), hex);
}

fc_status fc_hash_file(const char *path, char hex[FC_HASH_HEX], fc_err *err)
{
    fc_map map = {0};
    FC_TRY(fc_map_open(&map, path, err));
    fc_hash_bytes(map.data, map.n_bytes, hex);
    fc_map_close(&map);
    return FC_OK;
}

fc_status fc_hash_new(fc_hash **hash, fc_err *err)
{
    FC_TRY(fc_alloc(hash, 1, sizeof **hash, "a checksum", err));
    (*hash)->state = XXH3_createState();
    if ((*hash)->state != NULL && XXH3_128bits_reset((*hash)->state) == XXH_OK)
        return FC_OK;
    fc_hash_free(*hash);
    *hash = NULL;
    return fc_fail(err, FC_NOMEM, "no memory left for a checksum");
}

void fc_hash_update(fc_hash *hash, const void *data, size_t n_bytes)
{
    if (n_bytes > 0) FC_CHECK(XXH3_128bits_update(hash->state, data, n_bytes) == XXH_OK);
}

void fc_hash_hex(const fc_hash *hash, char hex[FC_HASH_HEX])
{
    put_hash(XXH3_128bits_digest(hash->state), hex);
}

void fc_hash_free(fc_hash *hash)
{
    if (hash == NULL) return;
    XXH3_freeState(hash->state);
    fc_free(hash);
}

static fc_status new_digest(fc_sha256 **sha, const EVP_MD *kind, fc_err *err)
{
    FC_TRY(fc_alloc(sha, 1, sizeof **sha, "a SHA sum", err));
    (*sha)->context = EVP_MD_CTX_new();
    if ((*sha)->context != NULL && EVP_DigestInit_ex((*sha)->context, kind, NULL) == 1)
        return FC_OK;
    fc_sha256_free(*sha);
    *sha = NULL;
    return fc_fail(err, FC_NOMEM, "the checksums of libcrypto are not available");
}

fc_status fc_sha256_new(fc_sha256 **sha, fc_err *err)
{
    return new_digest(sha, EVP_sha256(), err);
}

void fc_sha256_update(fc_sha256 *sha, const void *data, size_t n_bytes)
{
    if (n_bytes > 0) FC_CHECK(EVP_DigestUpdate(sha->context, data, n_bytes) == 1);
}

static void end_digest(fc_sha256 *sha, char *hex)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    FC_CHECK(EVP_DigestFinal_ex(sha->context, digest, &n) == 1);
    put_hex(digest, n, hex);
}

void fc_sha256_hex(fc_sha256 *sha, char hex[FC_SHA256_HEX])
{
    end_digest(sha, hex);
}

void fc_sha256_free(fc_sha256 *sha)
{
    if (sha == NULL) return;
    EVP_MD_CTX_free(sha->context);
    fc_free(sha);
}

/* Of the file, behind a head that says its size when `is_git`. */
static fc_status digest_file(const char *path, const EVP_MD *kind, bool is_git, char *hex,
                             fc_err *err)
{
    fc_map map = {0};
    fc_sha256 *sha = NULL;
    char head[32];
    fc_status status;
    FC_TRY_GOTO(fc_map_open(&map, path, err));
    FC_TRY_GOTO(new_digest(&sha, kind, err));
    const int n_head = snprintf(head, sizeof head, "blob %zu", map.n_bytes);
    if (is_git) fc_sha256_update(sha, head, (size_t)n_head + 1);
    fc_sha256_update(sha, map.data, map.n_bytes);
    end_digest(sha, hex);
done:
    fc_sha256_free(sha);
    fc_map_close(&map);
    return status;
}

fc_status fc_sha256_file(const char *path, char hex[FC_SHA256_HEX], fc_err *err)
{
    return digest_file(path, EVP_sha256(), false, hex, err);
}

fc_status fc_git_hash_file(const char *path, char hex[FC_SHA1_HEX], fc_err *err)
{
    return digest_file(path, EVP_sha1(), true, hex, err);
}
