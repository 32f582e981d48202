/* test_parquet.c - damaged and hostile Parquet files: made here, a number at a time.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/strbuf.h"
#include "formats/parquet.h"

static char dir[FC_PATH_MAX], path[FC_PATH_MAX];

static int make_dir(void **state)
{
    (void)state;
    fc_test_dir_make(dir);
    fc_test_path(path, dir, "x.parquet");
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    fc_test_dir_remove(dir);
    return 0;
}

/* --- a file of one column ----------------------------------------------------------------- */

/* What the file says of itself; a test changes one number. */
typedef struct claims {
    int64_t n_elements, n_children, type, repetition; /* of the schema */
    int64_t n_rows, n_group_rows, n_columns;          /* of file and row group */
    int64_t chunk_type, codec, n_values, chunk_bytes, chunk_at;       /* -1: as it is */
    int64_t page_type, n_unpacked, n_packed, n_page_values, encoding; /* -1: as it is */
    const char *page; /* what lies in it */
    size_t n_page;
    bool is_v2, is_encrypted, is_elsewhere;
    int64_t n_def_bytes, n_rep_bytes;
    const char *tail; /* of the file; NULL: PAR1 */
    int64_t n_footer; /* -1: as it is */
} claims;

static const claims good = {.n_elements = 2,
                            .n_children = 1,
                            .type = 6,
                            .repetition = 0,
                            .n_rows = 2,
                            .n_group_rows = 2,
                            .n_columns = 1,
                            .chunk_type = 6,
                            .codec = 0,
                            .n_values = 2,
                            .chunk_bytes = -1,
                            .chunk_at = -1,
                            .page_type = 0,
                            .n_unpacked = -1,
                            .n_packed = -1,
                            .n_page_values = 2,
                            .encoding = 0,
                            .page = "\2\0\0\0ab\1\0\0\0c",
                            .n_page = 11,
                            .n_footer = -1};

static void put(fc_strbuf *out, const void *bytes, size_t n)
{
    fc_err err = {0};
    fc_assert_ok(fc_strbuf_add(out, bytes, (int64_t)n, &err), &err);
}

static void put_byte(fc_strbuf *out, int byte)
{
    const char c = (char)byte;
    put(out, &c, 1);
}

static void put_uvarint(fc_strbuf *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) put_byte(out, (int)(value & 0x7f) | 0x80);
    put_byte(out, (int)value);
}

/* A field: the step from the id before, and an integer of that type. */
static void put_int(fc_strbuf *out, int step, int64_t value)
{
    enum { I64 = 6 };
    put_byte(out, step << 4 | I64);
    put_uvarint(out, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

static void put_text(fc_strbuf *out, int step, const char *text)
{
    enum { BINARY = 8 };
    put_byte(out, step << 4 | BINARY);
    put_uvarint(out, strlen(text));
    put(out, text, strlen(text));
}

enum { LIST = 9, STRUCT = 12 };

static void put_list(fc_strbuf *out, int step, int64_t n)
{
    put_byte(out, step << 4 | LIST);
    put_byte(out, 0xf0 | STRUCT);
    put_uvarint(out, (uint64_t)n);
}

static void put_page(fc_strbuf *out, const claims *c)
{
    put_int(out, 1, c->page_type);
    put_int(out, 1, c->n_unpacked < 0 ? (int64_t)c->n_page : c->n_unpacked);
    put_int(out, 1, c->n_packed == -1 ? (int64_t)c->n_page : c->n_packed);
    put_byte(out, (c->is_v2 ? 5 : c->page_type == 2 ? 4 : 2) << 4 | STRUCT);
    put_int(out, 1, c->n_page_values);
    put_int(out, c->is_v2 ? 3 : 1, c->encoding);
    put_int(out, 1, c->is_v2 ? c->n_def_bytes : 3);
    put_int(out, 1, c->is_v2 ? c->n_rep_bytes : 3);
    put_byte(out, 0);
    put_byte(out, 0);
    put(out, c->page, c->n_page);
}

static void put_chunk(fc_strbuf *out, const claims *c, int64_t n_bytes)
{
    if (c->is_elsewhere) put_text(out, 1, "other.parquet");
    put_byte(out, (c->is_elsewhere ? 2 : 3) << 4 | STRUCT);
    put_int(out, 1, c->chunk_type);
    put_int(out, 3, c->codec);
    put_int(out, 1, c->n_values);
    put_int(out, 2, c->chunk_bytes == -1 ? n_bytes : c->chunk_bytes);
    put_int(out, 2, c->chunk_at == -1 ? 4 : c->chunk_at);
    put_byte(out, 0);
    if (c->is_encrypted) put_int(out, 5, 1);
    put_byte(out, 0);
}

static void put_footer(fc_strbuf *out, const claims *c, int64_t n_bytes)
{
    put_int(out, 1, 1);
    put_list(out, 1, c->n_elements);
    put_text(out, 4, "schema");
    put_int(out, 1, c->n_children);
    put_byte(out, 0);
    put_int(out, 1, c->type);
    put_int(out, 2, c->repetition);
    put_text(out, 1, "text");
    put_byte(out, 0);
    put_int(out, 1, c->n_rows);
    put_list(out, 1, 1);
    put_list(out, 1, c->n_columns);
    put_chunk(out, c, n_bytes);
    put_int(out, 2, c->n_group_rows);
    put_byte(out, 0);
    put_byte(out, 0);
}

static void write_claims(const claims *c)
{
    fc_strbuf file = {0};
    put(&file, "PAR1", 4);
    put_page(&file, c);
    const int64_t n_bytes = file.n - 4, footer = file.n;
    put_footer(&file, c, n_bytes);
    const int64_t n_footer = c->n_footer < 0 ? file.n - footer : c->n_footer;
    for (int i = 0; i < 4; i++) put_byte(&file, (int)(n_footer >> (8 * i) & 0xff));
    put(&file, c->tail ? c->tail : "PAR1", 4);
    fc_test_write(path, file.data, (size_t)file.n);
    fc_strbuf_free(&file);
}

static fc_status read_all(void *ctx, fc_err *err)
{
    fc_parquet *file = NULL;
    fc_parquet_values *values = NULL;
    fc_parquet_value value;
    int64_t *n_values = ctx;
    bool is_end = false;
    fc_status status;
    *n_values = 0;
    FC_TRY_GOTO(fc_parquet_open(&file, path, err));
    for (int64_t i = 0; i < fc_parquet_n_columns(file); i++) {
        if (!fc_parquet_column_at(file, i).is_bytes) continue;
        FC_TRY_GOTO(fc_parquet_values_open(&values, file, i, err));
        for (is_end = false; !is_end && *n_values < 1000000; ++*n_values)
            FC_TRY_GOTO(fc_parquet_values_next(values, &value, &is_end, err));
        fc_parquet_values_close(values);
        values = NULL;
    }
done:
    fc_parquet_values_close(values);
    fc_parquet_close(file);
    return status;
}

static void the_good_file_is_read(void **state)
{
    (void)state;
    int64_t n;
    fc_err err = {0};
    write_claims(&good);
    fc_assert_ok(read_all(&n, &err), &err);
    assert_int_equal(n, 3); /* two values and the end */
}

static void one_wrong_number_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        size_t at; /* the member that is changed */
        int64_t value;
    } cases[] = {
        {"no root, or more than 65536", offsetof(claims, n_elements), 0},
        {"more elements than bytes", offsetof(claims, n_elements), 1 << 30},
        {"outside its tree", offsetof(claims, n_children), 0},
        {"not complete", offsetof(claims, n_children), 2},
        {"no root", offsetof(claims, n_children), -1},
        {"type of a column is unknown", offsetof(claims, type), 8},
        {"types of a column and its schema differ", offsetof(claims, type), 2},
        {"repetition of a column is unknown", offsetof(claims, repetition), 3},
        {"not as many rows as the file", offsetof(claims, n_rows), 3},
        {"not as many rows as the file", offsetof(claims, n_group_rows), INT64_MAX},
        {"has no number of rows", offsetof(claims, n_group_rows), -1},
        {"as many columns as the schema", offsetof(claims, n_columns), 0},
        {"types of a column and its schema differ", offsetof(claims, chunk_type), 5},
        {"Brotli (codec 4)", offsetof(claims, codec), 4},
        {"unknown (codec 99)", offsetof(claims, codec), 99},
        {"does not unpack", offsetof(claims, codec), 1},
        {"does not unpack", offsetof(claims, codec), 2},
        {"does not unpack", offsetof(claims, codec), 6},
        {"more values than the column", offsetof(claims, n_values), 1},
        {"negative size", offsetof(claims, n_values), -1},
        {"ends within a value", offsetof(claims, n_values), INT64_MAX},
        {"between the ends of the file", offsetof(claims, chunk_bytes), INT64_MAX},
        {"between the ends of the file", offsetof(claims, chunk_bytes), -2},
        {"longer than its column", offsetof(claims, chunk_bytes), 27},
        {"between the ends of the file", offsetof(claims, chunk_at), 0},
        {"between the ends of the file", offsetof(claims, chunk_at), INT64_MIN},
        {"more than 1 GiB", offsetof(claims, n_unpacked), INT64_MAX},
        {"claims to unpack to more", offsetof(claims, n_unpacked), 1 << 30},
        {"two sizes differ", offsetof(claims, n_unpacked), 3},
        {"longer than its column", offsetof(claims, n_packed), 1 << 20},
        {"longer than its column", offsetof(claims, n_packed), -2},
        {"more than 67108864 values", offsetof(claims, n_page_values), 1 << 30},
        {"more than 67108864 values", offsetof(claims, n_page_values), -1},
        {"none of plain, dictionary", offsetof(claims, encoding), 9},
        {"needs a dictionary", offsetof(claims, encoding), 8},
        {"block size", offsetof(claims, encoding), 6},
        {"block size", offsetof(claims, encoding), 7},
        {"Parquet footer has", offsetof(claims, n_footer), INT32_MAX},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        claims c = good;
        int64_t n;
        fc_err err = {0};
        memcpy((char *)&c + cases[i].at, &cases[i].value, sizeof cases[i].value);
        write_claims(&c);
        fc_assert_fails(read_all(&n, &err), &err, FC_FORMAT, path, cases[i].words);
    }
}

static void wrong_contents_are_refused(void **state)
{
    (void)state;
#define PAGE(bytes) .page = (bytes), .n_page = sizeof(bytes) - 1
    static const struct {
        const char *words;
        int64_t encoding, repetition;
        const char *page;
        size_t n_page;
    } cases[] = {
        {"longer than what is left", 0, 0, PAGE("\2\0\0\0ab\2\0\0\0c")},
        {"longer than what is left", 0, 0,
         PAGE("\xff\xff\xff\xff"
              "ab")},
        {"longer than what is left", 0, 0, PAGE("\2\0")},
        {"levels are cut off", 0, 1, PAGE("\2\0")},
        {"levels are longer", 0, 1, PAGE("\xff\0\0\0\3")},
        {"fewer values than entries", 0, 1, PAGE("\2\0\0\0\2\0")}, /* levels: one 0 */
        {"higher than the schema", 0, 2,
         PAGE("\2\0\0\0\4\0"
              "\2\0\0\0\4\xff")},
        {"begins within a row", 0, 2,
         PAGE("\2\0\0\0\4\1"
              "\2\0\0\0\4\0")},
        {"numbers is cut off", 6, 0, PAGE("\x80\1\4\2\2")},
        {"number is cut off", 6, 0, PAGE("\x80\1\4\x82")},
        {"longer than what is left", 6, 0,
         PAGE("\x80\1\4\2\1\0\0\0\0\0"
              "a")},
        {"fewer values than entries", 6, 0, PAGE("\x80\1\4\1\0")},
        {"shares more bytes", 7, 0,
         PAGE("\x80\1\4\2\2\0\0\0\0\0"
              "\x80\1\4\2\2\0\0\0\0\0"
              "ab")},
    };
#undef PAGE
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        claims c = good;
        int64_t n;
        fc_err err = {0};
        c.encoding = cases[i].encoding;
        c.repetition = cases[i].repetition;
        c.page = cases[i].page;
        c.n_page = cases[i].n_page;
        write_claims(&c);
        fc_assert_fails(read_all(&n, &err), &err, FC_FORMAT, path, "row group 0",
                        "column 'text', page 0 at byte 4", cases[i].words);
    }
}

static void files_of_other_kinds_are_named(void **state)
{
    (void)state;
    int64_t n;
    fc_err err = {0};
    claims c = good;
    c.tail = "PARE";
    write_claims(&c);
    fc_assert_fails(read_all(&n, &err), &err, FC_FORMAT, "encrypted");
    c.tail = "none";
    write_claims(&c);
    fc_assert_fails(read_all(&n, &err), &err, FC_FORMAT, "cut off");
    c = good;
    c.is_encrypted = true;
    write_claims(&c);
    fc_assert_fails(read_all(&n, &err), &err, FC_FORMAT, "'text' is encrypted");
    c = good;
    c.is_elsewhere = true;
    write_claims(&c);
    fc_assert_fails(read_all(&n, &err), &err, FC_FORMAT, "in another file");
    c = good;
    c.page_type = 2; /* a dictionary is not data: the two values are missing */
    write_claims(&c);
    fc_assert_fails(read_all(&n, &err), &err, FC_FORMAT, "page 1", "within a value");
    c = good;
    c.is_v2 = true;
    c.page_type = 3;
    c.n_def_bytes = 12;
    write_claims(&c);
    fc_assert_fails(read_all(&n, &err), &err, FC_FORMAT, "levels are longer");
    fc_test_write(path, "PAR1", 4);
    fc_assert_fails(read_all(&n, &err), &err, FC_FORMAT, "not a Parquet file");
    fc_test_write(path, "", 0);
    fc_assert_fails(read_all(&n, &err), &err, FC_FORMAT, "not a Parquet file");
    assert_false(fc_parquet_is(path));
    assert_false(fc_parquet_is(dir));
}

/* A few bytes that stand for 2^26 values cost time, not memory. */
static void a_page_of_millions_of_values_holds_none_of_them(void **state)
{
    (void)state;
    static const char nulls[] = "\5\0\0\0\x80\x80\x80\x40\0"; /* 2^26 times level 0 */
    claims c = good;
    fc_err err = {0};
    int64_t n;
    c.repetition = 1;
    c.page = nulls;
    c.n_page = sizeof nulls - 1;
    c.n_page_values = c.n_values = c.n_rows = c.n_group_rows = 1 << 26;
    write_claims(&c);
    const int64_t n_before = fc_alloc_count();
    fc_assert_ok(read_all(&n, &err), &err);
    assert_int_equal(n, 1000000);
    assert_true(fc_alloc_count() - n_before < 12);
}

/* --- damage ------------------------------------------------------------------------------- */

static void a_file_cut_anywhere_or_with_a_changed_byte_fails_or_reads(void **state)
{
    (void)state;
    static const char *const names[] = {
        "parquet/plain-gzip-v2.parquet", "parquet/dictionary-v2.parquet",
        "parquet/delta-bytes-v2.parquet", "parquet/messages-pages.parquet",
        "parquet/plain-snappy.parquet"};
    static const char changes[] = {(char)0xff, 1, (char)0x80};
    int64_t n;
    for (size_t i = 0; i < FC_LEN(names); i++) {
        char fixture[FC_PATH_MAX];
        size_t n_bytes;
        fc_err err = {0};
        fc_fixture(fixture, names[i]);
        char *bytes = fc_test_read(fixture, &n_bytes);
        for (size_t cut = 0; cut < n_bytes; cut += 1 + cut % 7) {
            fc_test_write(path, bytes, cut);
            fc_assert_fails(read_all(&n, &err), &err, FC_FORMAT, path);
        }
        for (size_t at = 0; at < n_bytes; at++) {
            bytes[at] ^= changes[at % FC_LEN(changes)];
            fc_test_write(path, bytes, n_bytes);
            const fc_status status = read_all(&n, &err);
            assert_true(status == FC_OK ||
                        (status == FC_FORMAT && strstr(err.text, path)));
            bytes[at] ^= changes[at % FC_LEN(changes)];
        }
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_good_file_is_read),
        cmocka_unit_test(one_wrong_number_is_refused_with_its_place),
        cmocka_unit_test(wrong_contents_are_refused),
        cmocka_unit_test(files_of_other_kinds_are_named),
        cmocka_unit_test(a_page_of_millions_of_values_holds_none_of_them),
        cmocka_unit_test(a_file_cut_anywhere_or_with_a_changed_byte_fails_or_reads),
    };
    return cmocka_run_group_tests_name("parquet", tests, make_dir, remove_dir);
}
