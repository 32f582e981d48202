/* test_parquet_golden.c - files that pyarrow wrote give the values that pyarrow reads.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/strbuf.h"
#include "formats/instream.h"
#include "formats/parquet.h"

/* A line of NAME.jsonl as a value. The caller releases it. */
static json_t *next_expected(fc_instream *in)
{
    const char *line;
    int64_t n;
    bool is_end = false;
    fc_err err = {0};
    fc_assert_ok(fc_instream_line(in, &line, &n, &is_end, &err), &err);
    if (is_end) return NULL;
    json_t *value = json_loadb(line, (size_t)n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    assert_non_null(value);
    return value;
}

static void assert_same(const json_t *expected, const char *bytes, int64_t n)
{
    assert_int_equal(json_is_null(expected), bytes == NULL);
    if (!bytes) return;
    assert_int_equal(n, json_string_length(expected));
    if (n > 0) assert_memory_equal(bytes, json_string_value(expected), (size_t)n);
}

static void check_text(const fc_parquet *file, const char *column, fc_instream *expected)
{
    fc_err err = {0};
    fc_parquet_values *values = NULL;
    fc_parquet_value value;
    bool is_end = false;
    const int64_t i = fc_parquet_find(file, column);
    assert_true(i >= 0);
    assert_true(fc_parquet_column_at(file, i).is_text);
    fc_assert_ok(fc_parquet_values_open(&values, file, i, &err), &err);
    for (int64_t row = 0;; row++) {
        json_t *want = next_expected(expected);
        fc_assert_ok(fc_parquet_values_next(values, &value, &is_end, &err), &err);
        assert_int_equal(is_end, want == NULL);
        if (is_end) {
            assert_int_equal(row, fc_parquet_n_rows(file));
            break;
        }
        assert_true(value.is_first);
        assert_same(want, value.bytes, value.n);
        json_decref(want);
    }
    assert_true(fc_parquet_values_fraction(values) == 1.0);
    fc_parquet_values_close(values);
}

/* One turn of a row against what is expected at place i of it; a null row and an empty one look alike. */
static void assert_turn(const json_t *row, size_t i, const fc_parquet_turn *turn)
{
    const json_t *want = json_array_get(row, i);
    if (json_is_array(want)) {
        assert_same(json_array_get(want, 0), turn->role, turn->n_role);
        assert_same(json_array_get(want, 1), turn->content, turn->n_content);
    } else {
        assert_null(turn->role);
        assert_null(turn->content);
    }
}

static void check_chat(const fc_parquet *file, const char *column, fc_instream *expected)
{
    fc_err err = {0};
    fc_parquet_chat *chat = NULL;
    fc_parquet_turn turn;
    bool is_end = false;
    json_t *row = NULL;
    size_t n_turns = 0;
    fc_assert_ok(fc_parquet_chat_open(&chat, file, column, &err), &err);
    for (;;) {
        fc_assert_ok(fc_parquet_chat_next(chat, &turn, &is_end, &err), &err);
        if (is_end || turn.is_first) {
            const size_t n = json_array_size(row);
            assert_int_equal(n_turns, n > 0 || !row ? n : 1);
            json_decref(row);
            row = next_expected(expected);
            n_turns = 0;
            assert_int_equal(is_end, row == NULL);
            if (is_end) break;
        }
        assert_turn(row, n_turns++, &turn);
    }
    assert_true(fc_parquet_chat_fraction(chat) == 1.0);
    fc_parquet_chat_close(chat);
}

static void check_file(const char *jsonl)
{
    char path[FC_PATH_MAX];
    char parquet[FC_PATH_MAX];
    fc_instream *expected = NULL;
    fc_parquet *file = NULL;
    fc_err err = {0};
    const size_t n_stem = strlen(jsonl) - strlen(".jsonl");
    snprintf(path, sizeof path, "parquet/%.*s.parquet", (int)n_stem, jsonl);
    fc_fixture(parquet, path);
    assert_true(fc_parquet_is(parquet));
    snprintf(path, sizeof path, "parquet/%s", jsonl);
    char expected_path[FC_PATH_MAX];
    fc_fixture(expected_path, path);
    fc_assert_ok(fc_instream_open(&expected, expected_path, &err), &err);
    fc_assert_ok(fc_parquet_open(&file, parquet, &err), &err);
    json_t *column = next_expected(expected);
    if (fc_parquet_is_chat(file, json_string_value(column)))
        check_chat(file, json_string_value(column), expected);
    else
        check_text(file, json_string_value(column), expected);
    json_decref(column);
    fc_parquet_close(file);
    fc_instream_close(expected);
}

static void every_codec_encoding_and_page_version_gives_what_pyarrow_reads(void **state)
{
    (void)state;
    char dir[FC_PATH_MAX];
    fc_names names;
    fc_err err = {0};
    int n_checked = 0;
    fc_fixture(dir, "parquet");
    fc_assert_ok(fc_dir_list(&names, dir, &err), &err);
    for (int64_t i = 0; i < names.n; i++) {
        if (!strstr(names.name[i], ".jsonl")) continue;
        print_message("%s\n", names.name[i]);
        check_file(names.name[i]);
        n_checked++;
    }
    fc_names_free(&names);
    assert_true(n_checked >= 20);
}

static void columns_say_what_they_hold(void **state)
{
    (void)state;
    static const fc_parquet_column expected[] = {
        {"number", false, false, false},
        {"messages.list.element.role", true, true, true},
        {"messages.list.element.content", true, true, true},
    };
    char path[FC_PATH_MAX];
    fc_parquet *file = NULL;
    fc_parquet_values *values = NULL;
    fc_parquet_chat *chat = NULL;
    fc_err err = {0};
    fc_fixture(path, "parquet/messages.parquet");
    fc_assert_ok(fc_parquet_open(&file, path, &err), &err);
    assert_int_equal(fc_parquet_n_columns(file), FC_LEN(expected));
    for (int64_t i = 0; i < (int64_t)FC_LEN(expected); i++) {
        const fc_parquet_column column = fc_parquet_column_at(file, i);
        assert_string_equal(column.name, expected[i].name);
        assert_int_equal(column.is_bytes, expected[i].is_bytes);
        assert_int_equal(column.is_text, expected[i].is_text);
        assert_int_equal(column.is_list, expected[i].is_list);
    }
    assert_int_equal(fc_parquet_find(file, "messages"), -1);
    assert_false(fc_parquet_is_chat(file, "number"));
    assert_false(fc_parquet_is_chat(file, "message"));
    fc_assert_fails(fc_parquet_values_open(&values, file, 0, &err), &err, FC_MISMATCH,
                    "'number' holds numbers");
    fc_assert_fails(fc_parquet_chat_open(&chat, file, "number", &err), &err, FC_MISMATCH,
                    "'number' is not a list of role and content");
    fc_parquet_close(file);
}

static fc_status read_all(void *ctx, fc_err *err)
{
    fc_parquet *file = NULL;
    fc_parquet_values *values = NULL;
    fc_parquet_value value;
    bool is_end = false;
    fc_status status;
    FC_TRY_GOTO(fc_parquet_open(&file, ctx, err));
    FC_TRY_GOTO(
        fc_parquet_values_open(&values, file, fc_parquet_n_columns(file) - 1, err));
    while (!is_end) FC_TRY_GOTO(fc_parquet_values_next(values, &value, &is_end, err));
done:
    fc_parquet_values_close(values);
    fc_parquet_close(file);
    return status;
}

static void a_codec_that_is_not_there_is_refused_by_its_name(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    fc_err err = {0};
    fc_fixture(path, "parquet/brotli.parquet");
    fc_assert_fails(read_all(path, &err), &err, FC_FORMAT, path, "'text'", "Brotli",
                    "expected none, Snappy, gzip or zstd");
}

static void a_failed_allocation_gives_a_sentence_and_leaks_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {"plain-gzip-v2", "dictionary-v2", "delta-bytes",
                                        "row-groups", "messages"};
    for (size_t i = 0; i < FC_LEN(names); i++) {
        char path[FC_PATH_MAX];
        char name[64];
        snprintf(name, sizeof name, "parquet/%s.parquet", names[i]);
        fc_fixture(path, name);
        assert_true(fc_test_sweep_alloc(read_all, NULL, path) > 3);
    }
}

static void pages_after_the_first_ones_allocate_nothing(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    fc_parquet *file = NULL;
    fc_parquet_values *values = NULL;
    fc_parquet_value value;
    bool is_end = false;
    fc_err err = {0};
    fc_fixture(path, "parquet/plain-zstd.parquet");
    fc_assert_ok(fc_parquet_open(&file, path, &err), &err);
    fc_assert_ok(fc_parquet_values_open(&values, file, 1, &err), &err);
    int64_t n_before = 0;
    for (int row = 0; !is_end; row++) {
        if (row == 60) n_before = fc_alloc_count();
        fc_assert_ok(fc_parquet_values_next(values, &value, &is_end, &err), &err);
    }
    assert_int_equal(fc_alloc_count(), n_before);
    fc_parquet_values_close(values);
    fc_parquet_close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_codec_encoding_and_page_version_gives_what_pyarrow_reads),
        cmocka_unit_test(columns_say_what_they_hold),
        cmocka_unit_test(a_codec_that_is_not_there_is_refused_by_its_name),
        cmocka_unit_test(a_failed_allocation_gives_a_sentence_and_leaks_nothing),
        cmocka_unit_test(pages_after_the_first_ones_allocate_nothing),
    };
    return cmocka_run_group_tests_name("parquet_golden", tests, NULL, NULL);
}
