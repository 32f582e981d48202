/* test_embed.c - base64 against the vectors of RFC 4648, deflated bytes inflated by zlib.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "formats/embed.h"

static void base64_is_that_of_rfc_4648(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *text;
    } cases[] = {{"", ""},
                 {"f", "Zg=="},
                 {"fo", "Zm8="},
                 {"foo", "Zm9v"},
                 {"foob", "Zm9vYg=="},
                 {"fooba", "Zm9vYmE="},
                 {"foobar", "Zm9vYmFy"},
                 {"\xff\xfe\xfd", "//79"}};
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_strbuf out = {0};
        fc_err err;
        fc_assert_ok(
            fc_base64(&out, cases[i].bytes, (int64_t)strlen(cases[i].bytes), &err), &err);
        assert_string_equal(fc_strbuf_text(&out), cases[i].text);
        fc_strbuf_free(&out);
    }
}

static void long_base64_has_no_seams(void **state)
{
    (void)state;
    fc_strbuf whole = {0}, parts = {0};
    uint8_t bytes[3000];
    fc_err err;
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 37);
    fc_assert_ok(fc_base64(&whole, bytes, sizeof bytes, &err), &err);
    for (size_t i = 0; i < sizeof bytes; i += 3)
        fc_assert_ok(fc_base64(&parts, bytes + i, 3, &err), &err);
    assert_string_equal(fc_strbuf_text(&whole), fc_strbuf_text(&parts));
    fc_strbuf_free(&whole);
    fc_strbuf_free(&parts);
}

static void deflated_bytes_inflate_to_what_they_were(void **state)
{
    (void)state;
    enum { MOST = 100000 };
    static const int64_t sizes[] = {0, 1, 1000, MOST};
    char *bytes = malloc(MOST), *back = malloc(MOST);
    assert_true(bytes != NULL && back != NULL);
    for (int i = 0; i < MOST; i++) bytes[i] = (char)(i % 251);
    for (size_t i = 0; i < FC_LEN(sizes); i++) {
        fc_strbuf out = {0};
        fc_err err;
        uLongf n = MOST;
        fc_assert_ok(fc_deflate(&out, bytes, sizes[i], &err), &err);
        assert_int_equal(
            uncompress((Bytef *)back, &n, (const Bytef *)out.data, (uLong)out.n), Z_OK);
        assert_int_equal(n, sizes[i]);
        assert_memory_equal(back, bytes, n);
        if (sizes[i] >= 1000) assert_true(out.n < sizes[i] / 2);
        fc_strbuf_free(&out);
    }
    free(bytes);
    free(back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_is_that_of_rfc_4648),
        cmocka_unit_test(long_base64_has_no_seams),
        cmocka_unit_test(deflated_bytes_inflate_to_what_they_were),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
