/* test_arrays.c - named arrays in four formats: the same numbers out of each, and what must be
 * refused.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/arrays.h"
#include "formats/npy.h"
#include "formats/pickle.h"
#include "formats/zip.h"

static char dir[FC_PATH_MAX], path[FC_PATH_MAX];

static int make_dir(void **state)
{
    (void)state;
    fc_test_dir_make(dir);
    fc_test_path(path, dir, "a");
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    fc_test_dir_remove(dir);
    return 0;
}

static const fc_arrays_kind kinds[] = {FC_ARRAYS_SAFETENSORS, FC_ARRAYS_NPZ,
                                       FC_ARRAYS_TORCH};
static const char *const formats[] = {"safetensors", "npz", "torch"};

/* --- writing and reading -------------------------------------------------------------------- */

enum { ROWS = 5, COLS = 7 };

static fc_status write_some(fc_arrays_kind kind, fc_err *err)
{
    fc_arrays_out *out = NULL;
    float matrix[ROWS * COLS];
    const double scalar = 2.5;
    const int64_t shape[] = {ROWS, COLS}, none[] = {0};
    fc_status status;
    for (int i = 0; i < ROWS * COLS; i++) matrix[i] = (float)i - 3.5f;
    FC_TRY_GOTO(fc_arrays_create(&out, kind, path, err));
    FC_TRY_GOTO(fc_arrays_declare(out, "scalar", FC_F64, 0, NULL, err));
    FC_TRY_GOTO(fc_arrays_declare(out, "a.matrix", FC_F32, 2, shape, err));
    FC_TRY_GOTO(fc_arrays_declare(out, "none", FC_F32, 1, none, err));
    FC_TRY_GOTO(fc_arrays_write(out, "scalar", &scalar, sizeof scalar, err));
    for (int i = 0; i < ROWS; i++)
        FC_TRY_GOTO(fc_arrays_write(out, "a.matrix", matrix + (ptrdiff_t)i * COLS,
                                    COLS * sizeof *matrix, err));
    FC_TRY_GOTO(fc_arrays_commit(out, err));
done:
    fc_arrays_discard(out);
    return status;
}

static fc_status write_and_read(void *ctx, fc_err *err)
{
    fc_arrays *a = NULL;
    const fc_array *found;
    float *values = NULL;
    fc_status status;
    FC_TRY_GOTO(write_some(*(fc_arrays_kind *)ctx, err));
    FC_TRY_GOTO(fc_arrays_open(&a, path, err));
    FC_TRY_GOTO(fc_arrays_need(a, "a.matrix", -1, NULL, &found, err));
    FC_TRY_GOTO(fc_array_to_f32(found, &values, err));
done:
    fc_free(values);
    fc_arrays_close(a);
    return status;
}

static void what_is_written_is_read_back_in_every_format(void **state)
{
    (void)state;
    for (size_t k = 0; k < FC_LEN(kinds); k++) {
        fc_err err = {0};
        fc_arrays *a = NULL;
        const fc_array *m = NULL;
        float *values = NULL, rows[2 * COLS];
        const int64_t shape[] = {ROWS, -1};
        fc_assert_ok(write_some(kinds[k], &err), &err);
        fc_assert_ok(fc_arrays_open(&a, path, &err), &err);
        assert_string_equal(fc_arrays_format(a), formats[k]);
        assert_int_equal(fc_arrays_count(a), 3);
        fc_assert_ok(fc_arrays_need(a, "a.matrix", 2, shape, &m, &err), &err);
        fc_assert_ok(fc_array_to_f32(m, &values, &err), &err);
        for (int i = 0; i < ROWS * COLS; i++) assert_true(values[i] == (float)i - 3.5f);
        fc_array_rows(m, 3, 2, rows);
        assert_memory_equal(rows, values + 3 * COLS, sizeof rows);
        fc_free(values);
        fc_assert_ok(fc_arrays_need(a, "scalar", 0, NULL, &m, &err), &err);
        fc_assert_ok(fc_array_to_f32(m, &values, &err), &err);
        assert_true(values[0] == 2.5f);
        fc_free(values);
        fc_assert_ok(fc_arrays_need(a, "none", -1, NULL, &m, &err), &err);
        assert_int_equal(m->n, 0);
        fc_arrays_close(a);
    }
}

static void a_missing_array_or_another_shape_is_named(void **state)
{
    (void)state;
    for (size_t k = 0; k < FC_LEN(kinds); k++) {
        fc_err err = {0};
        fc_arrays *a = NULL;
        const fc_array *m = NULL;
        const int64_t shape[] = {ROWS, 9};
        fc_assert_ok(write_some(kinds[k], &err), &err);
        fc_assert_ok(fc_arrays_open(&a, path, &err), &err);
        fc_assert_fails(fc_arrays_need(a, "W", 2, shape, &m, &err), &err, FC_FORMAT,
                        "'W' is missing");
        fc_assert_fails(fc_arrays_need(a, "a.matrix", 2, shape, &m, &err), &err,
                        FC_FORMAT, "[5, 7], expected [5, 9]");
        fc_assert_fails(fc_arrays_need(a, "a.matrix", 1, shape, &m, &err), &err,
                        FC_FORMAT, "expected [5]");
        fc_arrays_close(a);
    }
}

static void faults_end_with_a_sentence(void **state)
{
    (void)state;
    for (size_t k = 0; k < FC_LEN(kinds); k++) {
        fc_arrays_kind kind = kinds[k];
        assert_true(fc_test_sweep_alloc(write_and_read, NULL, &kind) > 10);
        assert_true(fc_test_sweep_write(write_and_read, NULL, &kind) > 3);
    }
}

/* --- npy ------------------------------------------------------------------------------------ */

static size_t npy_file(uint8_t *bytes, const char *header, const void *data, size_t n)
{
    const size_t n_header = strlen(header);
    memcpy(bytes, "\x93NUMPY\1\0", 8);
    bytes[8] = (uint8_t)n_header;
    bytes[9] = (uint8_t)(n_header >> 8);
    memcpy(bytes + 10, header, n_header);
    if (n > 0) memcpy(bytes + 10 + n_header, data, n);
    return 10 + n_header + n;
}

static fc_status open_npy(fc_arrays **a, const char *header, const void *data, size_t n,
                          fc_err *err)
{
    uint8_t bytes[1024];
    const size_t n_file = npy_file(bytes, header, data, n);
    fc_test_write(path, bytes, n_file);
    return fc_arrays_open(a, path, err);
}

static void npy_headers_of_any_spelling_are_read(void **state)
{
    (void)state;
    static const uint8_t big[] = {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6};
    static const uint8_t little[] = {1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0};
    static const struct {
        const char *header;
        const uint8_t *data;
        float expected[6];
    } cases[] = {
        {"{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }",
         little,
         {1, 2, 3, 4, 5, 6}},
        {"{\"shape\":(2L,3L),\"descr\":\">u2\",\"fortran_order\":False}\n",
         big,
         {1, 2, 3, 4, 5, 6}},
        {" { 'fortran_order' : True , 'shape' : ( 2 , 3 ) , 'descr' : '=i2' } ",
         little,
         {1, 3, 5, 2, 4, 6}},
        {"{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }",
         big,
         {1, 3, 5, 2, 4, 6}},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_err err = {0};
        fc_arrays *a = NULL;
        float *values = NULL, row[3];
        fc_assert_ok(open_npy(&a, cases[i].header, cases[i].data, 12, &err), &err);
        const fc_array *m = fc_arrays_find(a, "");
        assert_non_null(m);
        fc_assert_ok(fc_arrays_load(a, m, &err), &err);
        fc_assert_ok(fc_array_to_f32(m, &values, &err), &err);
        assert_memory_equal(values, cases[i].expected, sizeof cases[i].expected);
        fc_array_rows(m, 1, 1, row);
        assert_memory_equal(row, values + 3, sizeof row);
        fc_free(values);
        fc_arrays_close(a);
    }
}

static void hostile_npy_headers_are_refused(void **state)
{
    (void)state;
#define REST ", 'fortran_order': False, 'shape': (2,)}"
    static const struct {
        const char *header, *word;
    } cases[] = {
        {"{'descr': '|O'" REST, "Python objects"},
        {"{'descr': [('a', '<f4')]" REST, "records"},
        {"{'descr': '<f3'" REST, "element type is '<f3'"},
        {"{'descr': ''" REST, "element type is ''"},
        {"{'descr': 'f4'" REST, "element type is 'f4'"},
        {"{'descr': '<c8'" REST, "element type"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", "True or False"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", "size of 0 or more"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': 2}", "shape in brackets"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2 3)}", "comma"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)", "comma or the end"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2", "comma"},
        {"{'descr': '<f4', 'fortran_order': False}", "lacks shape"},
        {"{'descr': '<f4', 'shape': (2,)}", "lacks fortran_order"},
        {"{'fortran_order': False, 'shape': (2,)}", "lacks descr"},
        {"{'descr': '<f4', 'descr': '<f4'" REST, "'descr' twice"},
        {"{'other': 1, 'descr': '<f4'" REST, "key 'other'"},
        {"{'descr': '<f4'" REST "x", "nothing after"},
        {"['descr']", "a dictionary"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
         "below 2^63"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
         "63 bits"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}",
         "more than 8"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", "expected 12"},
        {"", "a dictionary"},
    };
#undef REST
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_err err = {0};
        fc_arrays *a = NULL;
        fc_assert_fails(open_npy(&a, cases[i].header, "12345678", 8, &err), &err,
                        FC_FORMAT, path, cases[i].word);
        assert_null(a);
    }
}

static void an_npy_header_is_64_byte_aligned_and_parses(void **state)
{
    (void)state;
    const int64_t shape[] = {3, 0, 123456789};
    for (int rank = 0; rank <= 3; rank++) {
        fc_err err = {0};
        fc_strbuf header = {0};
        fc_npy npy;
        fc_assert_ok(fc_npy_header(&header, FC_U8, rank, shape, &err), &err);
        assert_int_equal(header.n % 64, 0);
        fc_assert_ok(
            fc_npy_parse(&npy, (uint8_t *)header.data, (size_t)header.n, "x", &err),
            &err);
        assert_int_equal(npy.rank, rank);
        assert_int_equal(npy.at, header.n);
        assert_int_equal(npy.dtype, FC_U8);
        for (int i = 0; i < rank; i++) assert_int_equal(npy.shape[i], shape[i]);
        fc_strbuf_free(&header);
    }
}

/* --- npz ------------------------------------------------------------------------------------ */

static void fixture(char *out, const char *name)
{
    char under[FC_PATH_MAX];
    snprintf(under, sizeof under, "sae/exchange/%s", name);
    fc_fixture(out, under);
}

static void damaged_npz_files_say_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *name, *word;
    } cases[] = {
        {"bad/npz-checksum/params.npz", "'W_enc.npy' is damaged: its checksum (CRC-32)"},
        {"bad/npz-object-array/params.npz", "'W_enc.npy': is an array of Python objects"},
        {"bad/npz-path/params.npz", "named '../W_enc.npy'"},
        {"bad/npz-truncated/params.npz", "cut short"},
        {"bad/pickle-foreign-global/ae.pt", "names builtins.print"},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_err err = {0};
        fc_arrays *a = NULL;
        const fc_array *m = NULL;
        char file[FC_PATH_MAX];
        fixture(file, cases[i].name);
        fc_status status = fc_arrays_open(&a, file, &err);
        if (status == FC_OK) status = fc_arrays_need(a, "W_enc", -1, NULL, &m, &err);
        fc_assert_fails(status, &err, FC_FORMAT, file, cases[i].word);
        fc_arrays_close(a);
    }
}

static void members_that_are_no_arrays_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"x.txt", "a/x.npy", ".npy", "x.npy"};
    for (size_t i = 0; i < FC_LEN(names); i++) {
        fc_err err = {0};
        fc_zip_out *out = NULL;
        fc_arrays *a = NULL;
        uint8_t bytes[256];
        const size_t n =
            npy_file(bytes, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
                     "12345678x", 9); /* one byte too many */
        fc_assert_ok(fc_zip_create(&out, path, &err), &err);
        fc_assert_ok(fc_zip_add(out, names[i], bytes, n, &err), &err);
        fc_assert_ok(fc_zip_commit(out, &err), &err);
        fc_zip_discard(out);
        fc_assert_fails(fc_arrays_open(&a, path, &err), &err, FC_FORMAT, names[i],
                        i < 3 ? "expected NAME.npy"
                              : "holds 9 bytes of data, expected 8");
    }
}

/* --- pickles -------------------------------------------------------------------------------- */

#define TENSOR(offset, shape, strides)                                            \
    "ctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\nFloatStorage\n" \
    "X\1\0\0\0"                                                                   \
    "0X\3\0\0\0cpuK\6tQ" offset shape strides "\x89"                              \
    "ccollections\nOrderedDict\n)RtR"
#define STATE(tensor) "\x80\2}(X\1\0\0\0w" tensor "u."

static fc_status open_pickle(fc_arrays **a, const void *pickle, size_t n, fc_err *err)
{
    fc_zip_out *out = NULL;
    const float values[] = {1, 2, 3, 4, 5, 6};
    fc_status status;
    FC_TRY_GOTO(fc_zip_create(&out, path, err));
    FC_TRY_GOTO(fc_zip_add(out, "x/data.pkl", pickle, n, err));
    FC_TRY_GOTO(fc_zip_add(out, "x/data/0", values, sizeof values, err));
    FC_TRY_GOTO(fc_zip_commit(out, err));
    FC_TRY_GOTO(fc_arrays_open(a, path, err));
done:
    fc_zip_discard(out);
    return status;
}

static void strides_and_offsets_of_tensors_are_honoured(void **state)
{
    (void)state;
    static const struct {
        const char *pickle;
        size_t n_bytes;
        int n;
        float expected[6];
    } cases[] = {
#define CASE(tensor) STATE(tensor), sizeof STATE(tensor) - 1
        {CASE(TENSOR("K\0", "K\2K\3\x86", "K\3K\1\x86")), 6, {1, 2, 3, 4, 5, 6}},
        {CASE(TENSOR("K\0", "K\3K\2\x86", "K\1K\3\x86")), 6, {1, 4, 2, 5, 3, 6}},
        {CASE(TENSOR("K\2", "K\2\x85", "K\2\x85")), 2, {3, 5}},
        {CASE(TENSOR("K\5", ")", ")")), 1, {6}},
        {CASE(TENSOR("K\4", "K\2\x85", "K\0\x85")), 2, {5, 5}},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_err err = {0};
        fc_arrays *a = NULL;
        const fc_array *m = NULL;
        float *values = NULL;
        fc_assert_ok(open_pickle(&a, cases[i].pickle, cases[i].n_bytes, &err), &err);
        fc_assert_ok(fc_arrays_need(a, "w", -1, NULL, &m, &err), &err);
        fc_assert_ok(fc_array_to_f32(m, &values, &err), &err);
        assert_int_equal(m->n, cases[i].n);
        assert_memory_equal(values, cases[i].expected,
                            (size_t)cases[i].n * sizeof *values);
        fc_free(values);
        fc_arrays_close(a);
    }
}

static void hostile_pickles_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *pickle;
        size_t n;
        const char *word;
    } cases[] = {
#define BAD(text, word) {text, sizeof(text) - 1, word}
        BAD("\x80\2cos\nsystem\n(X\2\0\0\0lstR.", "names os.system"),
        BAD("\x80\4\x8c\2os\x8c\6system\x93)R.", "names os.system"),
        BAD("\x80\2cbuiltins\neval\n.", "names builtins.eval"),
        BAD("\x80\2ctorch\nload\n.", "names torch.load"),
        BAD("\x80\2i__main__\nx\n.", "instruction 0x69"),
        BAD("\x80\2}\x81.", "instruction 0x81"),
        BAD("\x80\2N.", "no dictionary of tensors"),
        BAD("\x80\2]\x94.", "no dictionary of tensors"),
        BAD("\x80\2", "ends inside"),
        BAD("\x80\2X\xff\xff\xff\xff"
            "a.",
            "ends inside"),
        BAD("\x80\2\x8d\xff\xff\xff\xff\xff\xff\xff\xff"
            "a.",
            "ends inside"),
        BAD("\x80\2cos", "a name does not end"),
        BAD("\x80\2.", "empty stack"),
        BAD("\x80\2u.", "no mark"),
        BAD("\x80\2(u.", "empty stack"),
        BAD("\x80\2K\1(K\1s.", "empty stack"),
        BAD("\x80\2}(K\1u.", "key without value"),
        BAD("\x80\2](K\1K\2u.", "no dictionary"),
        BAD("\x80\2h\5.", "not remembered"),
        BAD("\x80\2}r\xff\xff\xff\xff.", "absurd place"),
        BAD("\x80\2\x8a\xff"
            "1.",
            "more than 64 bits"),
        BAD("\x80\2K\1)R.", "has no name"),
        BAD("\x80\2ccollections\nOrderedDict\nK\1\x85R.", "given values"),
        BAD("\x80\2ctorch\nFloatStorage\n)R.", "type of storage"),
        BAD("\x80\2X\1\0\0\0aQ.", "no storage of torch"),
        BAD("\x80\2K\1}b.", "no dictionary"),
        BAD("\x80\x09.", "unknown protocol"),
        BAD(STATE(TENSOR("K\0", "K\7\x85", "K\1\x85")), "reach beyond its storage"),
        BAD(STATE(TENSOR("K\1", "K\6\x85", "K\1\x85")), "reach beyond its storage"),
        BAD(STATE(TENSOR("K\0", "K\2\x85", "K\6\x85")), "reach beyond its storage"),
        BAD(STATE(TENSOR("K\7", ")", ")")), "reach beyond its storage"),
        BAD(STATE(TENSOR("K\0", "K\7\x85", "K\0\x85")), "reach beyond its storage"),
        BAD(STATE(
                TENSOR("K\0", "K\2\x85", "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85")),
            "reach beyond its storage"),
        BAD(STATE(TENSOR("J\xff\xff\xff\xff", "K\1\x85", "K\1\x85")), "has no storage"),
        BAD(STATE(TENSOR("K\0", "J\xff\xff\xff\xff\x85", "K\1\x85")), "0 or more"),
        BAD(STATE(TENSOR("K\0", "K\1K\1\x86", "K\1\x85")), "as many strides"),
        BAD(STATE(TENSOR("K\0", "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t", "K\1\x85")), "up to 8"),
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_err err = {0};
        fc_arrays *a = NULL;
        fc_assert_fails(open_pickle(&a, cases[i].pickle, cases[i].n, &err), &err,
                        FC_FORMAT, cases[i].word);
        assert_null(a);
    }
}

/* d = {"a": d, "b": d, ...}: every level multiplies. */
static void a_pickle_that_holds_itself_ends(void **state)
{
    (void)state;
    fc_err err = {0};
    fc_arrays *a = NULL;
    uint8_t bytes[8192] = "\x80\2}q\0(";
    size_t n = 6;
    for (int i = 0; i < 600; i++) {
        memcpy(bytes + n, "X\3\0\0\0", 5);
        n += 5;
        bytes[n++] = (uint8_t)('a' + i / 100);
        bytes[n++] = (uint8_t)('a' + i / 10 % 10);
        bytes[n++] = (uint8_t)('a' + i % 10);
        memcpy(bytes + n, "h\0", 2);
        n += 2;
    }
    memcpy(bytes + n, "u.", 2);
    fc_assert_fails(open_pickle(&a, bytes, n + 2, &err), &err, FC_FORMAT,
                    "more than 100000 values");
}

static void values_of_a_pickle_can_be_walked(void **state)
{
    (void)state;
    static const char text[] = "\x80\2](K\5G@\4\0\0\0\0\0\0\x88NX\2\0\0\0hi\x8a\1\xff"
                               "e.";
    fc_err err = {0};
    fc_pickle *p = NULL;
    static const fc_pickle_kind expected[] = {FC_PICKLE_INT,  FC_PICKLE_FLOAT,
                                              FC_PICKLE_BOOL, FC_PICKLE_NONE,
                                              FC_PICKLE_TEXT, FC_PICKLE_INT};
    fc_assert_ok(fc_pickle_parse(&p, (const uint8_t *)text, sizeof text - 1, "x", &err),
                 &err);
    const fc_pickle_value list = fc_pickle_at(p, fc_pickle_root(p));
    assert_int_equal(list.kind, FC_PICKLE_LIST);
    assert_int_equal(list.n_items, 6);
    fc_pickle_item item;
    fc_pickle_value v = {0};
    int n = 0;
    for (int32_t i = list.first; i >= 0; i = item.next) {
        item = fc_pickle_item_at(p, i);
        v = fc_pickle_at(p, item.member);
        assert_int_equal(v.kind, expected[n++]);
        if (v.kind == FC_PICKLE_FLOAT) assert_true(v.number == 2.5);
        if (v.kind == FC_PICKLE_TEXT) assert_string_equal(v.text, "hi");
    }
    assert_int_equal(n, 6);
    assert_int_equal(v.integer, -1);
    fc_pickle_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back_in_every_format),
        cmocka_unit_test(a_missing_array_or_another_shape_is_named),
        cmocka_unit_test(faults_end_with_a_sentence),
        cmocka_unit_test(npy_headers_of_any_spelling_are_read),
        cmocka_unit_test(hostile_npy_headers_are_refused),
        cmocka_unit_test(an_npy_header_is_64_byte_aligned_and_parses),
        cmocka_unit_test(damaged_npz_files_say_what_is_wrong),
        cmocka_unit_test(members_that_are_no_arrays_are_refused),
        cmocka_unit_test(strides_and_offsets_of_tensors_are_honoured),
        cmocka_unit_test(hostile_pickles_are_refused),
        cmocka_unit_test(a_pickle_that_holds_itself_ends),
        cmocka_unit_test(values_of_a_pickle_can_be_walked),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
