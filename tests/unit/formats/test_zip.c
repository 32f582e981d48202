/* test_zip.c - archives of ours and of other tools, and damage to every field that is believed.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/alloc.h"
#include "formats/little_endian.h"
#include "formats/zip.h"

static char dir[FC_PATH_MAX], path[FC_PATH_MAX];

static int make_dir(void **state)
{
    (void)state;
    fc_test_dir_make(dir);
    fc_test_path(path, dir, "a.zip");
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    fc_test_dir_remove(dir);
    return 0;
}

/* --- archives that are built here by hand --------------------------------------------------- */

typedef struct bytes {
    uint8_t at[4096];
    size_t n;
} bytes;

static void put(bytes *b, uint64_t value, int n)
{
    (void)fc_le_put(b->at + b->n, value, n);
    b->n += (size_t)n;
}

static void put_text(bytes *b, const void *text, size_t n)
{
    memcpy(b->at + b->n, text, n);
    b->n += n;
}

/* An entry of the directory, every field of which may lie. */
typedef struct member {
    const char *name, *local_name; /* local_name NULL: the same */
    uint32_t method, flags, crc, n_packed, n_bytes, at;
} member;

static const char text[] = "the same text again and again, the same text again and again";

/* Data of `m` from `data`, then a directory of `entries` (those given, or m's own). */
static void add_local(bytes *b, member *m, const void *data)
{
    const char *name = m->local_name ? m->local_name : m->name;
    m->at = (uint32_t)b->n;
    put(b, 0x04034b50, 4);
    put(b, 20, 2);
    put(b, m->flags, 2);
    put(b, m->method, 2);
    put(b, 0, 4);
    put(b, m->crc, 4);
    put(b, m->n_packed, 4);
    put(b, m->n_bytes, 4);
    put(b, strlen(name), 2);
    put(b, 0, 2);
    put_text(b, name, strlen(name));
    put_text(b, data, m->n_packed);
}

static void add_central(bytes *b, const member *m)
{
    put(b, 0x02014b50, 4);
    put(b, 20, 2);
    put(b, 20, 2);
    put(b, m->flags, 2);
    put(b, m->method, 2);
    put(b, 0, 4);
    put(b, m->crc, 4);
    put(b, m->n_packed, 4);
    put(b, m->n_bytes, 4);
    put(b, strlen(m->name), 2);
    put(b, 0, 2 + 2 + 2);
    put(b, 0, 2 + 4);
    put(b, m->at, 4);
    put_text(b, m->name, strlen(m->name));
}

static void add_end(bytes *b, size_t directory_at, uint32_t n)
{
    const size_t n_directory = b->n - directory_at;
    put(b, 0x06054b50, 4);
    put(b, 0, 4);
    put(b, n, 2);
    put(b, n, 2);
    put(b, n_directory, 4);
    put(b, directory_at, 4);
    put(b, 0, 2);
}

static member stored(const char *name)
{
    const member m = {.name = name,
                      .crc = (uint32_t)crc32_z(0, (const uint8_t *)text, sizeof text),
                      .n_packed = sizeof text,
                      .n_bytes = sizeof text};
    return m;
}

static member deflated(const char *name, uint8_t *packed, size_t n_packed)
{
    member m = stored(name);
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    char copy[sizeof text];
    memcpy(copy, text, sizeof text);
    z.next_in = (Bytef *)copy;
    z.avail_in = sizeof text;
    z.next_out = packed;
    z.avail_out = (uInt)n_packed;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    m.method = 8;
    m.n_packed = (uint32_t)z.total_out;
    deflateEnd(&z);
    return m;
}

static void save(const bytes *b)
{
    fc_test_write(path, b->at, b->n);
}

/* An archive of one member, changed by the caller between local header and directory. */
static fc_status open_one(member local, member central, const void *data, fc_err *err)
{
    bytes b = {.n = 0};
    fc_zip *zip = NULL;
    add_local(&b, &local, data);
    if (central.at == 0) central.at = local.at;
    const size_t at = b.n;
    add_central(&b, &central);
    add_end(&b, at, 1);
    save(&b);
    const fc_status status = fc_zip_open(&zip, path, err);
    assert_true((status == FC_OK) == (zip != NULL));
    fc_zip_close(zip);
    return status;
}

/* --- reading -------------------------------------------------------------------------------- */

static void assert_member_is_text(const fc_zip *zip, const char *name)
{
    fc_err err = {0};
    fc_zip_bytes whole;
    const fc_zip_member *m = fc_zip_find(zip, name);
    assert_non_null(m);
    fc_assert_ok(fc_zip_load(zip, m, 1 << 20, &whole, &err), &err);
    assert_int_equal(whole.n, sizeof text);
    assert_memory_equal(whole.data, text, sizeof text);
    assert_true((whole.owned != NULL) == m->is_deflated);
    fc_zip_bytes_free(&whole);
    fc_zip_stream *s = NULL;
    char back[sizeof text];
    size_t n = 0, n_read = 1;
    fc_assert_ok(fc_zip_stream_open(&s, zip, m, &err), &err);
    while (n_read > 0) { /* in small pieces */
        const size_t left = sizeof back - n;
        fc_assert_ok(fc_zip_stream_read(s, back + n, left < 7 ? left : 7, &n_read, &err),
                     &err);
        n += n_read;
    }
    assert_int_equal(n, sizeof text);
    assert_memory_equal(back, text, sizeof text);
    fc_zip_stream_close(s);
}

static void stored_and_deflated_members_are_read_whole_and_in_pieces(void **state)
{
    (void)state;
    fc_err err = {0};
    bytes b = {.n = 0};
    uint8_t packed[256];
    fc_zip *zip = NULL;
    member a = stored("b/plain.txt"), c = deflated("a.txt", packed, sizeof packed);
    member folder = {.name = "b/"};
    add_local(&b, &folder, "");
    add_local(&b, &a, text);
    add_local(&b, &c, packed);
    const size_t at = b.n;
    add_central(&b, &folder);
    add_central(&b, &a);
    add_central(&b, &c);
    add_end(&b, at, 3);
    save(&b);
    fc_assert_ok(fc_zip_open(&zip, path, &err), &err);
    assert_int_equal(fc_zip_count(zip), 3);
    assert_string_equal(fc_zip_at(zip, 1)->name, "b/plain.txt");
    assert_member_is_text(zip, "b/plain.txt");
    assert_member_is_text(zip, "a.txt");
    assert_null(fc_zip_find(zip, "plain.txt"));
    fc_zip_bytes none;
    fc_assert_ok(fc_zip_load(zip, fc_zip_find(zip, "b/"), 0, &none, &err), &err);
    assert_int_equal(none.n, 0);
    fc_zip_close(zip);
}

static void what_we_write_is_read_back_and_aligned(void **state)
{
    (void)state;
    fc_err err = {0};
    fc_zip_out *out = NULL;
    fc_zip *zip = NULL;
    fc_assert_ok(fc_zip_create(&out, path, &err), &err);
    fc_assert_ok(fc_zip_add(out, "empty", NULL, 0, &err), &err);
    fc_assert_ok(fc_zip_begin(out, "x/in pieces", sizeof text, &err), &err);
    for (size_t i = 0; i < sizeof text; i++)
        fc_assert_ok(fc_zip_write(out, text + i, 1, &err), &err);
    fc_assert_ok(fc_zip_add(out, "y", text, sizeof text, &err), &err);
    fc_assert_ok(fc_zip_commit(out, &err), &err);
    fc_zip_discard(out);
    fc_assert_ok(fc_zip_open(&zip, path, &err), &err);
    assert_int_equal(fc_zip_count(zip), 3);
    for (int64_t i = 0; i < 3; i++) assert_int_equal(fc_zip_at(zip, i)->at % 64, 0);
    assert_member_is_text(zip, "x/in pieces");
    assert_member_is_text(zip, "y");
    fc_zip_close(zip);
}

static void a_member_that_is_short_is_not_committed(void **state)
{
    (void)state;
    fc_err err = {0};
    fc_zip_out *out = NULL;
    fc_test_path(path, dir, "short.zip");
    fc_assert_ok(fc_zip_create(&out, path, &err), &err);
    fc_assert_ok(fc_zip_begin(out, "x", 5, &err), &err);
    fc_assert_ok(fc_zip_write(out, "four", 4, &err), &err);
    fc_assert_fails(fc_zip_commit(out, &err), &err, FC_FORMAT, "given 4 bytes",
                    "expected 5");
    fc_zip_discard(out);
    assert_false(fc_path_exists(path));
    fc_test_path(path, dir, "a.zip");
}

/* --- hostile archives ----------------------------------------------------------------------- */

static void every_field_that_lies_is_named(void **state)
{
    (void)state;
    const member good = stored("a");
    member lies[16];
    const char *words[16];
    int n = 0;
#define LIE(change, word)     \
    do {                      \
        member *m = &lies[n]; \
        *m = good;            \
        change;               \
        words[n++] = (word);  \
    } while (0)
    LIE(m->name = "../a", "named '../a'");
    LIE(m->name = "/a", "named '/a'");
    LIE(m->name = "x/../a", "named 'x/../a'");
    LIE(m->name = "x/..", "named 'x/..'");
    LIE(m->name = "a\\b", "named");
    LIE(m->name = "", "named ''");
    LIE(m->name = "b", "another name");
    LIE(m->flags = 1, "encrypted");
    LIE(m->method = 12, "method 12");
    LIE(m->n_bytes = 5, "claims 5 bytes");
    LIE(m->n_packed = 5, "claims");
    LIE((m->n_packed = m->n_bytes = 70), "beyond the end");
    LIE((m->method = 8, m->n_bytes = 4000000000u), "claims 4000000000 bytes");
    LIE(m->at = 3, "should begin at byte 3");
    LIE(m->at = 4000000000u, "should begin at byte 4000000000");
#undef LIE
    fc_err err = {0};
    fc_assert_ok(open_one(good, good, text, &err), &err);
    for (int i = 0; i < n; i++)
        fc_assert_fails(open_one(good, lies[i], text, &err), &err, FC_FORMAT, path,
                        words[i]);
}

static void names_with_dots_that_climb_nowhere_are_fine(void **state)
{
    (void)state;
    static const char *const names[] = {"..a", "a..", "x/..y", "x..y/z", "..."};
    for (size_t i = 0; i < FC_LEN(names); i++) {
        fc_err err = {0};
        const member m = stored(names[i]);
        fc_assert_ok(open_one(m, m, text, &err), &err);
    }
}

static void members_may_not_share_bytes_or_names(void **state)
{
    (void)state;
    fc_err err = {0};
    fc_zip *zip = NULL;
    member a = stored("a"), b = stored("a");
    bytes twice = {.n = 0};
    add_local(&twice, &a, text);
    size_t at = twice.n;
    add_central(&twice, &a);
    add_central(&twice, &a);
    add_end(&twice, at, 2);
    save(&twice);
    fc_assert_fails(fc_zip_open(&zip, path, &err), &err, FC_FORMAT, "share bytes");
    bytes same = {.n = 0};
    add_local(&same, &a, text);
    add_local(&same, &b, text);
    at = same.n;
    add_central(&same, &a);
    add_central(&same, &b);
    add_end(&same, at, 2);
    save(&same);
    fc_assert_fails(fc_zip_open(&zip, path, &err), &err, FC_FORMAT,
                    "two members are named 'a'");
}

static void an_end_record_that_lies_is_refused(void **state)
{
    (void)state;
    static const struct {
        int64_t at; /* from the end of the file */
        uint8_t value;
        const char *word;
    } cases[] = {
        {22, 0, "no zip directory"}, {18, 1, "one part of several"},
        {12, 9, "claims 9 members"}, {12, 0, "follow the last entry"},
        {10, 1, "claims 1 bytes"},   {6, 200, "at byte 200"},
        {2, 4, "no zip directory"},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_err err = {0};
        fc_zip *zip = NULL;
        member a = stored("a");
        bytes b = {.n = 0};
        add_local(&b, &a, text);
        const size_t at = b.n;
        add_central(&b, &a);
        add_end(&b, at, 1);
        b.at[b.n - (size_t)cases[i].at] = cases[i].value;
        save(&b);
        fc_assert_fails(fc_zip_open(&zip, path, &err), &err, FC_FORMAT, cases[i].word);
    }
}

static void a_file_cut_anywhere_is_refused(void **state)
{
    (void)state;
    member a = stored("a");
    bytes b = {.n = 0};
    add_local(&b, &a, text);
    const size_t at = b.n;
    add_central(&b, &a);
    add_end(&b, at, 1);
    for (const size_t n = b.n; b.n-- > 0;) {
        fc_err err = {0};
        fc_zip *zip = NULL;
        assert_true(b.n < n);
        save(&b);
        fc_assert_fails(fc_zip_open(&zip, path, &err), &err, FC_FORMAT, path);
    }
}

static void damaged_data_are_noticed(void **state)
{
    (void)state;
    uint8_t packed[256];
    const member kinds[] = {stored("a"), deflated("a", packed, sizeof packed)};
    for (size_t k = 0; k < FC_LEN(kinds); k++) {
        for (size_t i = 0; i < kinds[k].n_packed; i += 3) {
            fc_err err = {0};
            fc_zip *zip = NULL;
            fc_zip_bytes whole;
            member m = kinds[k];
            bytes b = {.n = 0};
            add_local(&b, &m, k == 0 ? (const void *)text : packed);
            b.at[b.n - m.n_packed + i] ^= 0x10;
            const size_t at = b.n;
            add_central(&b, &m);
            add_end(&b, at, 1);
            save(&b);
            fc_assert_ok(fc_zip_open(&zip, path, &err), &err);
            fc_assert_fails(fc_zip_load(zip, fc_zip_at(zip, 0), 1000, &whole, &err), &err,
                            FC_FORMAT, "'a' is damaged");
            fc_zip_close(zip);
        }
    }
}

static void a_member_longer_than_the_caller_allows_is_not_unpacked(void **state)
{
    (void)state;
    fc_err err = {0};
    fc_zip *zip = NULL;
    fc_zip_bytes whole;
    uint8_t packed[256];
    member m = deflated("a", packed, sizeof packed);
    bytes b = {.n = 0};
    add_local(&b, &m, packed);
    const size_t at = b.n;
    add_central(&b, &m);
    add_end(&b, at, 1);
    save(&b);
    fc_assert_ok(fc_zip_open(&zip, path, &err), &err);
    fc_assert_fails(fc_zip_load(zip, fc_zip_at(zip, 0), 10, &whole, &err), &err,
                    FC_FORMAT, "expected at most 10");
    fc_zip_close(zip);
}

/* --- faults --------------------------------------------------------------------------------- */

static fc_status write_and_read(void *ctx, fc_err *err)
{
    fc_zip_out *out = NULL;
    fc_zip *zip = NULL;
    fc_status status;
    (void)ctx;
    FC_TRY_GOTO(fc_zip_create(&out, path, err));
    FC_TRY_GOTO(fc_zip_add(out, "a", text, sizeof text, err));
    FC_TRY_GOTO(fc_zip_add(out, "b", text, sizeof text, err));
    FC_TRY_GOTO(fc_zip_commit(out, err));
    FC_TRY_GOTO(fc_zip_open(&zip, path, err));
done:
    fc_zip_discard(out);
    fc_zip_close(zip);
    return status;
}

static void faults_end_with_a_sentence(void **state)
{
    (void)state;
    assert_true(fc_test_sweep_alloc(write_and_read, NULL, NULL) > 8);
    assert_true(fc_test_sweep_write(write_and_read, NULL, NULL) > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stored_and_deflated_members_are_read_whole_and_in_pieces),
        cmocka_unit_test(what_we_write_is_read_back_and_aligned),
        cmocka_unit_test(a_member_that_is_short_is_not_committed),
        cmocka_unit_test(every_field_that_lies_is_named),
        cmocka_unit_test(names_with_dots_that_climb_nowhere_are_fine),
        cmocka_unit_test(members_may_not_share_bytes_or_names),
        cmocka_unit_test(an_end_record_that_lies_is_refused),
        cmocka_unit_test(a_file_cut_anywhere_is_refused),
        cmocka_unit_test(damaged_data_are_noticed),
        cmocka_unit_test(a_member_longer_than_the_caller_allows_is_not_unpacked),
        cmocka_unit_test(faults_end_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
