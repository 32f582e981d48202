/* test_instream.c - plain, gzip and zstd streams: whole, in members, cut at every byte.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/alloc.h"
#include "base/strbuf.h"
#include "formats/instream.h"
#include "formats/zip.h"

static char dir[FC_PATH_MAX], path[FC_PATH_MAX];

static int make_dir(void **state)
{
    (void)state;
    fc_test_dir_make(dir);
    fc_test_path(path, dir, "text");
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    fc_test_dir_remove(dir);
    return 0;
}

static void add(fc_strbuf *buf, const void *bytes, size_t n)
{
    fc_err err;
    fc_assert_ok(fc_strbuf_add(buf, bytes, (int64_t)n, &err), &err);
}

static void add_gzip(fc_strbuf *buf, const void *text, size_t n)
{
    enum { GZIP = 16 };
    z_stream z = {0};
    union {
        const void *shown;
        Bytef *given;
    } in = {.shown = text};
    assert_int_equal(
        deflateInit2(&z, 6, Z_DEFLATED, GZIP + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    const uLong n_max = deflateBound(&z, n);
    Bytef *const out = malloc(n_max);
    assert_non_null(out);
    z.next_in = in.given;
    z.avail_in = (uInt)n;
    z.next_out = out;
    z.avail_out = (uInt)n_max;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    add(buf, out, z.total_out);
    deflateEnd(&z);
    free(out);
}

static void add_zstd(fc_strbuf *buf, const void *text, size_t n)
{
    const size_t n_max = ZSTD_compressBound(n);
    void *const out = malloc(n_max);
    assert_non_null(out);
    const size_t n_out = ZSTD_compress(out, n_max, text, n, 3);
    assert_false(ZSTD_isError(n_out));
    add(buf, out, n_out);
    free(out);
}

typedef void pack_fn(fc_strbuf *buf, const void *text, size_t n);
static pack_fn *const packers[] = {add, add_gzip, add_zstd};

static void write_file(const fc_strbuf *buf)
{
    fc_test_write(path, buf->data, (size_t)buf->n);
}

/* Reads the file in steps of n_step bytes. */
static fc_status read_all(fc_strbuf *text, size_t n_step, fc_err *err)
{
    fc_instream *in = NULL;
    fc_status status;
    char *const step = malloc(n_step);
    size_t n = 1;
    assert_non_null(step);
    FC_TRY_GOTO(fc_instream_open(&in, path, err));
    while (n > 0) {
        FC_TRY_GOTO(fc_instream_read(in, step, n_step, &n, err));
        FC_TRY_GOTO(fc_strbuf_add(text, step, (int64_t)n, err));
    }
done:
    fc_instream_close(in);
    free(step);
    return status;
}

/* Text that compresses badly enough to need several buffers: words of pseudo-random letters. */
static void make_text(fc_strbuf *text, size_t n)
{
    uint32_t seed = 1;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        const char c = i % 61 == 60 ? '\n' : (char)('a' + (seed >> 24) % 26);
        add(text, &c, 1);
    }
}

static void all_kinds_give_the_same_bytes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 3, 4, 5, 1000, 600000};
    static const size_t steps[] = {1000000, 4096, 7};
    for (size_t s = 0; s < FC_LEN(sizes); s++) {
        fc_strbuf text = {0};
        make_text(&text, sizes[s]);
        for (size_t p = 0; p < FC_LEN(packers); p++) {
            fc_strbuf packed = {0};
            packers[p](&packed, fc_strbuf_text(&text), sizes[s]);
            write_file(&packed);
            for (size_t k = 0; k < FC_LEN(steps); k++) {
                fc_strbuf got = {0};
                fc_err err;
                fc_assert_ok(read_all(&got, steps[k], &err), &err);
                assert_int_equal(got.n, text.n);
                assert_memory_equal(fc_strbuf_text(&got), fc_strbuf_text(&text),
                                    sizes[s]);
                fc_strbuf_free(&got);
            }
            fc_strbuf_free(&packed);
        }
        fc_strbuf_free(&text);
    }
}

static void members_and_frames_follow_one_another(void **state)
{
    (void)state;
    static const char skippable[] = "\x53\x2a\x4d\x18\x03\0\0\0xyz";
    for (size_t p = 1; p < FC_LEN(packers); p++) {
        fc_strbuf packed = {0}, got = {0};
        fc_err err;
        if (packers[p] == add_zstd) add(&packed, skippable, sizeof skippable - 1);
        packers[p](&packed, "one\n", 4);
        packers[p](&packed, "", 0);
        packers[p](&packed, "two\n", 4);
        if (packers[p] == add_zstd) add(&packed, skippable, sizeof skippable - 1);
        if (packers[p] == add_gzip) add(&packed, "\0\0\0\0\0", 5);
        write_file(&packed);
        fc_assert_ok(read_all(&got, 3, &err), &err);
        assert_string_equal(fc_strbuf_text(&got), "one\ntwo\n");
        fc_strbuf_free(&got);
        fc_strbuf_free(&packed);
    }
}

static void a_stream_cut_anywhere_is_refused(void **state)
{
    (void)state;
    for (size_t p = 1; p < FC_LEN(packers); p++) {
        fc_strbuf packed = {0};
        packers[p](&packed, "first member", 12);
        const int64_t n_first = packed.n;
        packers[p](&packed, "the second and last member", 26);
        for (int64_t n = 4; n < packed.n; n++) {
            fc_strbuf got = {0};
            fc_err err;
            fc_test_write(path, packed.data, (size_t)n);
            const fc_status status = read_all(&got, 5, &err);
            if (n == n_first)
                assert_int_equal(status, FC_OK);
            else
                fc_assert_fails(status, &err, FC_FORMAT, path, "truncated", "byte");
            fc_strbuf_free(&got);
        }
        fc_strbuf_free(&packed);
    }
}

static void damage_is_refused_with_its_offset(void **state)
{
    (void)state;
    for (size_t p = 1; p < FC_LEN(packers); p++) {
        fc_strbuf text = {0}, packed = {0}, got = {0};
        fc_err err;
        make_text(&text, 3000);
        packers[p](&packed, text.data, (size_t)text.n);
        const int64_t n_good = packed.n;
        add(&packed, "garbage", 7);
        write_file(&packed);
        char place[32];
        snprintf(place, sizeof place, "byte %lld", (long long)n_good);
        fc_assert_fails(read_all(&got, 4096, &err), &err, FC_FORMAT, path, "damaged",
                        packers[p] == add_gzip ? place : "byte");
        fc_strbuf_free(&packed);
        fc_strbuf_free(&text);
        fc_strbuf_free(&got);
    }
}

/* gzip sums the text with CRC-32: a changed bit is refused, or was padding and changes nothing.
 * (zstd's one-shot frames have no sum.) */
static void a_flipped_bit_in_gzip_is_noticed(void **state)
{
    (void)state;
    int64_t n_unnoticed = 0;
    fc_strbuf text = {0}, packed = {0};
    make_text(&text, 300);
    add_gzip(&packed, text.data, (size_t)text.n);
    for (int64_t i = 10; i < packed.n; i++) {
        fc_strbuf got = {0};
        fc_err err;
        packed.data[i] ^= 0x10;
        write_file(&packed);
        if (read_all(&got, 4096, &err) == FC_OK) {
            assert_string_equal(got.data, text.data);
            n_unnoticed++;
        }
        packed.data[i] ^= 0x10;
        fc_strbuf_free(&got);
    }
    assert_true(n_unnoticed <= 1);
    fc_strbuf_free(&packed);
    fc_strbuf_free(&text);
}

static void lines_are_those_between_newlines(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        const char *lines; /* joined by '|' */
        int64_t n_lines;
    } cases[] = {
        {"", 0, "", 0},
        {"\n", 1, "|", 1},
        {"a", 1, "a|", 1},
        {"a\n", 2, "a|", 1},
        {"a\nb", 3, "a|b|", 2},
        {"\n\na\r\n", 5, "||a\r|", 3},
        {"a\0b\nc", 5, "a?b|c|", 2},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_instream *in = NULL;
        fc_strbuf joined = {0};
        bool is_end = false;
        fc_err err;
        fc_test_write(path, cases[i].text, cases[i].n);
        fc_assert_ok(fc_instream_open(&in, path, &err), &err);
        for (;;) {
            const char *line = NULL;
            int64_t n = 0;
            fc_assert_ok(fc_instream_line(in, &line, &n, &is_end, &err), &err);
            if (is_end) break;
            for (int64_t k = 0; k < n; k++)
                add(&joined, line[k] == '\0' ? "?" : line + k, 1);
            add(&joined, "|", 1);
        }
        assert_string_equal(fc_strbuf_text(&joined), cases[i].lines);
        assert_int_equal(fc_instream_line_number(in), cases[i].n_lines);
        fc_strbuf_free(&joined);
        fc_instream_close(in);
    }
}

static void long_lines_and_reads_mix_without_loss(void **state)
{
    (void)state;
    enum { N_LONG = 700000 };
    fc_strbuf text = {0}, packed = {0};
    fc_instream *in = NULL;
    const char *line = NULL;
    int64_t n = 0;
    bool is_end = false;
    char rest[8] = "";
    size_t n_read = 0;
    fc_err err;
    for (int i = 0; i < N_LONG; i++) add(&text, i % 2 ? "x" : "y", 1);
    add(&text, "\nshort\nrest", 11);
    add_zstd(&packed, text.data, (size_t)text.n);
    write_file(&packed);
    fc_assert_ok(fc_instream_open(&in, path, &err), &err);
    fc_assert_ok(fc_instream_line(in, &line, &n, &is_end, &err), &err);
    assert_int_equal(n, N_LONG);
    assert_memory_equal(line, text.data, N_LONG);
    fc_assert_ok(fc_instream_line(in, &line, &n, &is_end, &err), &err);
    assert_int_equal(n, 5);
    assert_memory_equal(line, "short", 5);
    fc_assert_ok(fc_instream_read(in, rest, 4, &n_read, &err), &err);
    assert_int_equal(n_read, 4);
    assert_string_equal(rest, "rest");
    fc_assert_ok(fc_instream_read(in, rest, 4, &n_read, &err), &err);
    assert_int_equal(n_read, 0);
    fc_assert_ok(fc_instream_line(in, &line, &n, &is_end, &err), &err);
    assert_true(is_end);
    fc_instream_close(in);
    fc_strbuf_free(&packed);
    fc_strbuf_free(&text);
}

/* A zstd bomb: 300 MB of one letter from a few KB. */
static void a_line_over_the_limit_is_refused(void **state)
{
    (void)state;
    enum { PIECE = 1 << 20, N_PIECES = 300 };
    fc_strbuf packed = {0};
    char *const piece = malloc(PIECE);
    fc_instream *in = NULL;
    const char *line = NULL;
    int64_t n = 0;
    bool is_end = false;
    fc_err err;
    assert_non_null(piece);
    memset(piece, 'x', PIECE);
    add_zstd(&packed, "first\n", 6);
    for (int i = 0; i < N_PIECES; i++) add_zstd(&packed, piece, PIECE);
    write_file(&packed);
    fc_assert_ok(fc_instream_open(&in, path, &err), &err);
    fc_assert_ok(fc_instream_line(in, &line, &n, &is_end, &err), &err);
    fc_assert_fails(fc_instream_line(in, &line, &n, &is_end, &err), &err, FC_FORMAT, path,
                    "line 2", "268435456");
    fc_instream_close(in);
    free(piece);
    fc_strbuf_free(&packed);
}

static void the_fraction_grows_to_one(void **state)
{
    (void)state;
    fc_strbuf text = {0};
    fc_instream *in = NULL;
    double last = 0;
    size_t n = 1;
    char step[1000];
    fc_err err;
    make_text(&text, 600000);
    write_file(&text);
    fc_assert_ok(fc_instream_open(&in, path, &err), &err);
    while (n > 0) {
        fc_assert_ok(fc_instream_read(in, step, sizeof step, &n, &err), &err);
        assert_true(fc_instream_fraction(in) >= last);
        last = fc_instream_fraction(in);
    }
    assert_true(last == 1.0);
    fc_instream_close(in);
    fc_strbuf_free(&text);
}

static void standard_input_is_read_under_the_name_dash(void **state)
{
    (void)state;
    fc_strbuf packed = {0};
    fc_instream *in = NULL;
    char got[16] = "";
    size_t n = 0;
    int ends[2];
    fc_err err;
    const int kept = dup(STDIN_FILENO);
    add_gzip(&packed, "from a pipe", 11);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], packed.data, (size_t)packed.n), packed.n);
    close(ends[1]);
    assert_true(dup2(ends[0], STDIN_FILENO) >= 0);
    close(ends[0]);
    fc_assert_ok(fc_instream_open(&in, "-", &err), &err);
    fc_assert_ok(fc_instream_read(in, got, sizeof got - 1, &n, &err), &err);
    assert_string_equal(got, "from a pipe");
    assert_true(fc_instream_fraction(in) < 0);
    fc_instream_close(in);
    if (kept >= 0) {
        assert_true(dup2(kept, STDIN_FILENO) >= 0);
        close(kept);
    }
    fc_strbuf_free(&packed);
}

static void folders_and_missing_files_are_named(void **state)
{
    (void)state;
    fc_instream *in = NULL;
    fc_err err;
    fc_assert_fails(fc_instream_open(&in, dir, &err), &err, FC_IO, dir, "folder");
    fc_assert_fails(fc_instream_open(&in, "/nowhere/x", &err), &err, FC_IO, "/nowhere/x");
    assert_null(in);
}

static fc_status read_lines(void *ctx, fc_err *err)
{
    fc_instream *in = NULL;
    fc_status status;
    (void)ctx;
    FC_TRY_GOTO(fc_instream_open(&in, path, err));
    for (bool is_end = false; !is_end;) {
        const char *line;
        int64_t n;
        FC_TRY_GOTO(fc_instream_line(in, &line, &n, &is_end, err));
    }
done:
    fc_instream_close(in);
    return status;
}

/* An archive at path: n files, each the bytes in `packed`. */
static void write_archive(const char *archive, const fc_strbuf *packed, int n)
{
    fc_zip_out *zip = NULL;
    fc_err err;
    fc_assert_ok(fc_zip_create(&zip, archive, &err), &err);
    fc_assert_ok(fc_zip_add(zip, "folder/", "", 0, &err), &err);
    for (int i = 0; i < n; i++) {
        const char name[] = {'f', 'o', 'l', 'd', 'e', 'r', '/', (char)('a' + i), '\0'};
        fc_assert_ok(fc_zip_add(zip, name, packed->data, (size_t)packed->n, &err), &err);
    }
    fc_assert_ok(fc_zip_commit(zip, &err), &err);
    fc_zip_discard(zip);
}

static int64_t count_bytes(const char *name)
{
    fc_instream *in = NULL;
    fc_err err;
    char bytes[1000];
    size_t n = 1;
    int64_t n_bytes = 0;
    fc_assert_ok(fc_instream_open(&in, name, &err), &err);
    for (; n > 0; n_bytes += (int64_t)n)
        fc_assert_ok(fc_instream_read(in, bytes, sizeof bytes, &n, &err), &err);
    assert_true(fc_instream_fraction(in) == 1.0);
    fc_instream_close(in);
    return n_bytes;
}

static void members_of_archives_are_read_whatever_they_are_packed_with(void **state)
{
    (void)state;
    char member[FC_PATH_MAX + 32], file[FC_PATH_MAX];
    fc_instream *in = NULL;
    fc_err err;
    for (size_t p = 0; p < FC_LEN(packers); p++) {
        fc_strbuf text = {0}, packed = {0};
        make_text(&text, 300000);
        packers[p](&packed, text.data, (size_t)text.n);
        write_archive(path, &packed, 1);
        assert_int_equal(count_bytes(path), text.n);
        write_archive(path, &packed, 2);
        (void)snprintf(member, sizeof member, "%s:folder/b", path);
        assert_int_equal(count_bytes(member), text.n);
        fc_strbuf_free(&packed);
        fc_strbuf_free(&text);
    }
    assert_string_equal(fc_instream_file(file, member), "folder/b");
    assert_string_equal(file, path);
    assert_null(fc_instream_file(file, path));
    fc_assert_fails(fc_instream_open(&in, path, &err), &err, FC_USAGE, "holds 2 files",
                    ":folder/a'");
    (void)snprintf(member, sizeof member, "%s:folder/c", path);
    fc_assert_fails(fc_instream_open(&in, member, &err), &err, FC_IO,
                    "no member 'folder/c'");
    write_archive(path, &(fc_strbuf){0}, 0);
    fc_assert_fails(fc_instream_open(&in, path, &err), &err, FC_FORMAT, "holds no file");
}

static void each_failed_allocation_is_reported(void **state)
{
    (void)state;
    for (size_t p = 0; p < FC_LEN(packers); p++) {
        fc_strbuf text = {0}, packed = {0};
        make_text(&text, 100000);
        packers[p](&packed, text.data, (size_t)text.n);
        write_file(&packed);
        assert_true(fc_test_sweep_alloc(read_lines, NULL, NULL) >= 4);
        fc_strbuf_free(&packed);
        fc_strbuf_free(&text);
    }
}

static void reading_allocates_nothing_once_lines_are_known(void **state)
{
    (void)state;
    for (size_t p = 0; p < FC_LEN(packers); p++) {
        fc_strbuf text = {0}, packed = {0};
        fc_instream *in = NULL;
        const char *line = NULL;
        int64_t n = 0, n_after = 0;
        bool is_end = false;
        fc_err err;
        make_text(&text, 600000);
        packers[p](&packed, text.data, (size_t)text.n);
        write_file(&packed);
        fc_assert_ok(fc_instream_open(&in, path, &err), &err);
        while (!is_end) {
            fc_assert_ok(fc_instream_line(in, &line, &n, &is_end, &err), &err);
            if (fc_instream_line_number(in) == 3) n_after = fc_alloc_count();
        }
        assert_int_equal(fc_alloc_count(), n_after);
        fc_instream_close(in);
        fc_strbuf_free(&packed);
        fc_strbuf_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_kinds_give_the_same_bytes),
        cmocka_unit_test(members_and_frames_follow_one_another),
        cmocka_unit_test(a_stream_cut_anywhere_is_refused),
        cmocka_unit_test(damage_is_refused_with_its_offset),
        cmocka_unit_test(a_flipped_bit_in_gzip_is_noticed),
        cmocka_unit_test(lines_are_those_between_newlines),
        cmocka_unit_test(long_lines_and_reads_mix_without_loss),
        cmocka_unit_test(a_line_over_the_limit_is_refused),
        cmocka_unit_test(the_fraction_grows_to_one),
        cmocka_unit_test(standard_input_is_read_under_the_name_dash),
        cmocka_unit_test(folders_and_missing_files_are_named),
        cmocka_unit_test(members_of_archives_are_read_whatever_they_are_packed_with),
        cmocka_unit_test(each_failed_allocation_is_reported),
        cmocka_unit_test(reading_allocates_nothing_once_lines_are_known),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
