/* test_safetensors.c - the reader against hostile headers and damaged fixtures.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/safetensors.h"

static char dir[FC_PATH_MAX], path[FC_PATH_MAX];

static int make_dir(void **state)
{
    (void)state;
    fc_test_dir_make(dir);
    fc_test_path(path, dir, "a.safetensors");
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    fc_test_dir_remove(dir);
    return 0;
}

/* Writes a file whose length field says n_header, whatever the header is. */
static void write_raw(const char *header, uint64_t n_header, const void *data,
                      size_t n_data)
{
    const size_t n_text = strlen(header);
    uint8_t *const bytes = malloc(8 + n_text + n_data + 1);
    assert_non_null(bytes);
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(n_header >> (8 * i));
    memcpy(bytes + 8, header, n_text);
    if (n_data > 0) memcpy(bytes + 8 + n_text, data, n_data);
    fc_test_write(path, bytes, 8 + n_text + n_data);
    free(bytes);
}

static fc_status open_header(fc_safetensors **st, const char *header, size_t n_data,
                             fc_err *err)
{
    static const uint8_t zeros[256];
    write_raw(header, strlen(header), zeros, n_data);
    return fc_safetensors_open(st, path, err);
}

#define F32(shape, offsets) \
    "{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void refuses_hostile_headers(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t n_data;
        const char *word;
    } cases[] = {
        {"[]", 0, "a list"},
        {"", 0, "not valid JSON"},
        {"{\"a\":1}", 0, "'a' is an integer"},
        {"{\"a\":{}}", 0, "dtype of 'a' is nothing"},
        {"{\"a\":{\"dtype\":4,\"shape\":[],\"data_offsets\":[0,4]}}", 4, "an integer"},
        {"{\"a\":{\"dtype\":\"F12\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, "F12"},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4,
         "shape of 'a' is nothing"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}", 4, "data_offsets of 'a'"},
        {"{\"a\":" F32("[1]", "[0]") "}", 4, "pair"},
        {"{\"a\":" F32("[1]", "[0,4,8]") "}", 4, "pair"},
        {"{\"a\":" F32("[1]", "[0,4.0]") "}", 4, "pair"},
        {"{\"a\":" F32("[1]", "[-4,0]") "}", 4, "-4 to 0"},
        {"{\"a\":" F32("[1]", "[4,0]") "}", 4, "4 to 0"},
        {"{\"a\":" F32("[1]", "[0,8]") "}", 4, "0 to 8"},
        {"{\"a\":" F32("[2]", "[0,4]") "}", 4, "hold 4 bytes"},
        {"{\"a\":" F32("[1.0]", "[0,4]") "}", 4, "dimension 0"},
        {"{\"a\":" F32("[-1]", "[0,4]") "}", 4, "dimension 0"},
        {"{\"a\":" F32("\"1\"", "[0,4]") "}", 4, "a string"},
        {"{\"a\":" F32("[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, "9 dimensions"},
        {"{\"a\":" F32("[4294967296,4294967296]", "[0,4]") "}", 4, "63 bits"},
        {"{\"a\":" F32("[4294967296,4294967296,0]", "[0,0]") "}", 0, "63 bits"},
        {"{\"a\":" F32("[4611686018427387905]", "[0,4]") "}", 4, "hold 4 bytes"},
        {"{\"a\":" F32("[9223372036854775808]", "[0,4]") "}", 4, "too big integer"},
        {"{\"a\":" F32("[1]", "[0,4]") ",\"a\":" F32("[1]", "[4,8]") "}", 8, "\"a\""},
        {"{\"a\":" F32("[1]", "[0,4]") ",\"b\":" F32("[1]", "[8,12]") "}", 12,
         "expected 4"},
        {"{\"a\":" F32("[1]", "[4,8]") "}", 8, "expected 0"},
        {"{\"a\":" F32("[2]", "[0,8]") ",\"b\":" F32("[1]", "[4,8]") "}", 8,
         "begins at byte 4"},
        {"{\"a\":" F32("[1]", "[0,4]") ",\"b\":" F32("[1]", "[0,4]") "}", 4,
         "begins at byte 0"},
        {"{\"a\":" F32("[2]", "[0,8]") ",\"b\":" F32("[0]", "[4,4]") "}", 8,
         "begins at byte 4"},
        {"{\"a\":" F32("[1]", "[0,4]") "}", 20, "16 bytes follow"},
        {"{}", 1, "1 bytes follow"},
        {"{\"__metadata__\":[]}", 0, "__metadata__ is a list"},
        {"{\"__metadata__\":{\"step\":3}}", 0, "'step' is an integer"},
        {"{\"a\\u0000b\":" F32("[1]", "[0,4]") "}", 4, "NUL"},
        {"{\"\xff\":" F32("[1]", "[0,4]") "}", 4, "unable to decode"},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_safetensors *st = NULL;
        fc_err err;
        fc_assert_fails(open_header(&st, cases[i].header, cases[i].n_data, &err), &err,
                        FC_FORMAT, path, cases[i].word);
        assert_null(st);
    }
}

static void refuses_impossible_header_lengths(void **state)
{
    (void)state;
    static const struct {
        uint64_t n_header;
        const char *word;
    } cases[] = {
        {3, "3 bytes"}, /* replaced below by a file of 3 bytes */
        {3, "only 2 bytes follow"},
        {100000001, "at most 100000000"},
        {UINT64_MAX, "18446744073709551615"},
        {UINT64_MAX - 7, "at most"},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_safetensors *st = NULL;
        fc_err err;
        write_raw("{}", cases[i].n_header, NULL, 0);
        if (i == 0) fc_test_write(path, "\3\0\0", 3);
        fc_assert_fails(fc_safetensors_open(&st, path, &err), &err, FC_FORMAT, path,
                        cases[i].word);
    }
}

static void accepts_what_the_format_allows(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t n_data;
        int64_t n_tensors;
    } cases[] = {
        {"{}      ", 0, 0},
        {" \n{\"a\":" F32("[]", "[0,4]") "}", 4, 1},
        {"{\"a\":" F32("[0,5]", "[0,0]") "}", 0, 1},
        {"{\"b\":" F32("[1]", "[4,8]") ",\"a\":" F32("[1]", "[0,4]") "}", 8, 2},
        {"{\"z\":" F32("[0]", "[4,4]") ",\"b\":" F32("[1]", "[4,8]") ",\"a\":" F32(
             "[1]", "[0,4]") "}",
         8, 3},
        {"{\"a\":{\"x\":[1],\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[0,3]}}", 3,
         1},
        {"{\"__metadata__\":null}", 0, 0},
        {"{\"__metadata__\":{\"format\":\"pt\"}}", 0, 0},
        {"{\"\":" F32("[1]", "[0,4]") "}", 4, 1},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_safetensors *st = NULL;
        fc_err err;
        fc_assert_ok(open_header(&st, cases[i].header, cases[i].n_data, &err), &err);
        assert_int_equal(fc_safetensors_count(st), cases[i].n_tensors);
        fc_safetensors_close(st);
    }
}

static void finds_by_name_and_lists_in_file_order(void **state)
{
    (void)state;
    static const char header[] = "{\"a\":" F32("[1]", "[8,12]") ",\"c\":" F32(
        "[2]", "[0,8]") ",\"b\":" F32("[0]", "[8,8]") "}";
    static const char *const order[] = {"c", "b", "a"};
    fc_safetensors *st = NULL;
    fc_err err;
    fc_assert_ok(open_header(&st, header, 12, &err), &err);
    for (int64_t i = 0; i < 3; i++) {
        const fc_tensor *const t = fc_safetensors_at(st, i);
        assert_string_equal(t->name, order[i]);
        assert_ptr_equal(fc_safetensors_find(st, order[i]), t);
    }
    assert_null(fc_safetensors_find(st, "d"));
    assert_null(fc_safetensors_metadata(st, "format"));
    assert_string_equal(fc_safetensors_path(st), path);
    fc_safetensors_close(st);
}

static void need_says_what_was_found(void **state)
{
    (void)state;
    const int64_t right[] = {2, 3}, any_row[] = {-1, 3}, turned[] = {3, 2};
    const fc_tensor *t = NULL;
    fc_safetensors *st = NULL;
    fc_err err;
    fc_assert_ok(open_header(&st, "{\"W\":" F32("[2,3]", "[0,24]") "}", 24, &err), &err);
    fc_assert_ok(fc_safetensors_need(st, "W", FC_F32, 2, right, &t, &err), &err);
    assert_int_equal(t->n, 6);
    fc_assert_ok(fc_safetensors_need(st, "W", FC_F32, 2, any_row, &t, &err), &err);
    fc_assert_ok(fc_safetensors_need(st, "W", FC_N_DTYPES, -1, NULL, &t, &err), &err);
    fc_assert_fails(fc_safetensors_need(st, "W", FC_F32, 2, turned, &t, &err), &err,
                    FC_MISMATCH, path, "'W' is F32 [2, 3], expected F32 [3, 2]");
    fc_assert_fails(fc_safetensors_need(st, "W", FC_BF16, 2, any_row, &t, &err), &err,
                    FC_MISMATCH, "expected BF16 [any, 3]");
    fc_assert_fails(fc_safetensors_need(st, "W", FC_F32, 1, right, &t, &err), &err,
                    FC_MISMATCH, "expected F32 [2]");
    fc_assert_fails(fc_safetensors_need(st, "V", FC_F32, 0, NULL, &t, &err), &err,
                    FC_MISMATCH, "no tensor 'V'", "F32 []");
    fc_safetensors_close(st);
}

static void floats_of_each_kind_become_float32(void **state)
{
    (void)state;
    static const char header[] =
        "{\"d\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[8,10]},"
        "\"h\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[10,12]},"
        "\"i\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[12,13]}}";
    static const uint8_t data[] = {0, 0, 0, 0, 0, 0, 0xf8, 0xbf, 0x40, 0xc0, 0, 0xb8, 7};
    static const struct {
        const char *name;
        float value;
    } cases[] = {{"d", -1.5f}, {"b", -3.0f}, {"h", -0.5f}};
    fc_safetensors *st = NULL;
    float *values = NULL;
    fc_err err;
    write_raw(header, sizeof header - 1, data, sizeof data);
    fc_assert_ok(fc_safetensors_open(&st, path, &err), &err);
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_assert_ok(
            fc_tensor_to_f32(fc_safetensors_find(st, cases[i].name), &values, &err),
            &err);
        assert_true(values[0] == cases[i].value);
        fc_free(values);
    }
    fc_assert_fails(fc_tensor_to_f32(fc_safetensors_find(st, "i"), &values, &err), &err,
                    FC_MISMATCH, "'i' is U8");
    fc_safetensors_close(st);
}

static void every_cut_of_a_file_is_refused(void **state)
{
    (void)state;
    static const char header[] =
        "{\"a\":" F32("[2]", "[0,8]") ",\"b\":" F32("[1]", "[8,12]") "}";
    static const uint8_t zeros[12];
    size_t n = 0;
    write_raw(header, sizeof header - 1, zeros, sizeof zeros);
    char *const whole = fc_test_read(path, &n);
    for (size_t n_kept = 0; n_kept < n; n_kept++) {
        fc_safetensors *st = NULL;
        fc_err err;
        fc_test_write(path, whole, n_kept);
        fc_assert_fails(fc_safetensors_open(&st, path, &err), &err, FC_FORMAT, path);
    }
    free(whole);
}

static fc_status open_once(void *ctx, fc_err *err)
{
    fc_safetensors *st = NULL;
    float *values = NULL;
    fc_status status;
    (void)ctx;
    FC_TRY_GOTO(fc_safetensors_open(&st, path, err));
    FC_TRY_GOTO(fc_tensor_to_f32(fc_safetensors_at(st, 0), &values, err));
done:
    fc_free(values);
    fc_safetensors_close(st);
    return status;
}

static void each_failed_allocation_is_reported(void **state)
{
    (void)state;
    fc_safetensors *st = NULL;
    fc_err err;
    fc_assert_ok(open_header(&st, "{\"a\":" F32("[2]", "[0,8]") "}", 8, &err), &err);
    fc_safetensors_close(st);
    assert_true(fc_test_sweep_alloc(open_once, NULL, NULL) >= 4);
}

static void folders_and_missing_files_are_named(void **state)
{
    (void)state;
    fc_safetensors *st = NULL;
    fc_err err;
    fc_assert_fails(fc_safetensors_open(&st, dir, &err), &err, FC_IO, dir);
    fc_assert_fails(fc_safetensors_open(&st, "/nowhere/x", &err), &err, FC_IO,
                    "/nowhere/x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_hostile_headers),
        cmocka_unit_test(refuses_impossible_header_lengths),
        cmocka_unit_test(accepts_what_the_format_allows),
        cmocka_unit_test(finds_by_name_and_lists_in_file_order),
        cmocka_unit_test(need_says_what_was_found),
        cmocka_unit_test(floats_of_each_kind_become_float32),
        cmocka_unit_test(every_cut_of_a_file_is_refused),
        cmocka_unit_test(each_failed_allocation_is_reported),
        cmocka_unit_test(folders_and_missing_files_are_named),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
