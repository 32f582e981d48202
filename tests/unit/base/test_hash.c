/* test_hash.c - checksums against published values, whole and in pieces.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "base/hash.h"

#include <string.h>

/* XXH3-128 of the empty text and of "a": as printed by xxhsum -H2. */
static void xxh3_gives_the_digits_of_xxhsum(void **state)
{
    (void)state;
    char hex[FC_HASH_HEX];
    fc_hash_bytes(NULL, 0, hex);
    assert_string_equal(hex, "99aa06d3014798d86001c324468d497f");
    fc_hash_bytes("a", 1, hex);
    assert_string_equal(hex, "a96faf705af16834e6c632b61e964e1f");
}

/* FIPS 180-2, appendix B. */
static void sha256_gives_the_published_digits(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        char hex[FC_SHA256_HEX];
        fc_sha256 *sha = NULL;
        fc_err err;
        fc_assert_ok(fc_sha256_new(&sha, &err), &err);
        for (const char *c = cases[i].text; *c != '\0'; c++) fc_sha256_update(sha, c, 1);
        fc_sha256_update(sha, NULL, 0);
        fc_sha256_hex(sha, hex);
        fc_sha256_free(sha);
        assert_string_equal(hex, cases[i].expected);
    }
    fc_sha256_free(NULL);
}

static void pieces_sum_to_the_same_as_the_whole(void **state)
{
    (void)state;
    unsigned char data[5000];
    char whole[FC_HASH_HEX], pieces[FC_HASH_HEX], early[FC_HASH_HEX];
    fc_hash *hash = NULL;
    fc_err err;
    for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)(i * i >> 3);
    fc_hash_bytes(data, sizeof data, whole);
    fc_assert_ok(fc_hash_new(&hash, &err), &err);
    for (size_t at = 0, n = 0; at < sizeof data; at += n) {
        n = at % 701 + 1 < sizeof data - at ? at % 701 + 1 : sizeof data - at;
        fc_hash_update(hash, data + at, n);
        fc_hash_hex(hash, early); /* looking does not end the sum */
    }
    fc_hash_update(hash, NULL, 0);
    fc_hash_hex(hash, pieces);
    fc_hash_free(hash);
    assert_string_equal(pieces, whole);
    fc_hash_free(NULL);
}

static void a_file_has_the_sum_of_its_bytes(void **state)
{
    (void)state;
    char dir[FC_PATH_MAX], path[FC_PATH_MAX], of_file[FC_HASH_HEX], of_bytes[FC_HASH_HEX];
    fc_err err;
    fc_test_dir_make(dir);
    fc_test_path(path, dir, "x");
    fc_test_write(path, "some bytes", 10);
    fc_assert_ok(fc_hash_file(path, of_file, &err), &err);
    fc_hash_bytes("some bytes", 10, of_bytes);
    assert_string_equal(of_file, of_bytes);
    fc_test_write(path, "", 0);
    fc_assert_ok(fc_hash_file(path, of_file, &err), &err);
    assert_string_equal(of_file, "99aa06d3014798d86001c324468d497f");
    fc_assert_fails(fc_hash_file(dir, of_file, &err), &err, FC_IO, dir);
    fc_test_dir_remove(dir);
}

static void files_have_the_sums_that_git_and_sha256sum_print(void **state)
{
    (void)state;
    static const struct {
        const char *text, *git, *sha256;
    } cases[] = {
        {"", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
         "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"hello\n", "ce013625030ba8dba906f756967f9e9ca394464a",
         "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"},
    };
    char dir[FC_PATH_MAX], path[FC_PATH_MAX], hex[FC_SHA256_HEX];
    fc_err err = {0};
    fc_test_dir_make(dir);
    fc_test_path(path, dir, "file");
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_test_write(path, cases[i].text, strlen(cases[i].text));
        fc_assert_ok(fc_git_hash_file(path, hex, &err), &err);
        assert_string_equal(hex, cases[i].git);
        fc_assert_ok(fc_sha256_file(path, hex, &err), &err);
        assert_string_equal(hex, cases[i].sha256);
    }
    fc_test_dir_remove(dir);
    fc_assert_fails(fc_sha256_file(path, hex, &err), &err, FC_IO, path);
}

static fc_status hash_both(void *ctx, fc_err *err)
{
    fc_hash *hash = NULL;
    fc_sha256 *sha = NULL;
    fc_status status;
    (void)ctx;
    FC_TRY_GOTO(fc_hash_new(&hash, err));
    FC_TRY_GOTO(fc_sha256_new(&sha, err));
done:
    fc_hash_free(hash);
    fc_sha256_free(sha);
    return status;
}

static void a_failed_allocation_is_reported(void **state)
{
    (void)state;
    assert_int_equal(fc_test_sweep_alloc(hash_both, NULL, NULL), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xxh3_gives_the_digits_of_xxhsum),
        cmocka_unit_test(sha256_gives_the_published_digits),
        cmocka_unit_test(pieces_sum_to_the_same_as_the_whole),
        cmocka_unit_test(a_file_has_the_sum_of_its_bytes),
        cmocka_unit_test(files_have_the_sums_that_git_and_sha256sum_print),
        cmocka_unit_test(a_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
