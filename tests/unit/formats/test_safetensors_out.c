/* test_safetensors_out.c - the writer: exact bytes, order, what it refuses, faults.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static const float w[] = {1, 2, 3, 4, 5, 6}, b[] = {-1, -2};
static const int32_t ids[] = {7, 8, 9};
static const uint16_t halves[] = {0x3f80, 0x4000};

static const fc_tensor sample[] = {
    {.name = "ids", .dtype = FC_I32, .rank = 1, .shape = {3}, .data = ids},
    {.name = "w", .dtype = FC_F32, .rank = 2, .shape = {2, 3}, .data = w},
    {.name = "none", .dtype = FC_F32, .rank = 2, .shape = {0, 4}},
    {.name = "half", .dtype = FC_BF16, .rank = 1, .shape = {2}, .data = halves},
    {.name = "b", .dtype = FC_F32, .rank = 1, .shape = {2}, .data = b},
    {.name = "one", .dtype = FC_F32, .rank = 0, .data = w},
};

static void the_bytes_are_those_of_the_format(void **state)
{
    (void)state;
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
        "\"none\":{\"dtype\":\"F32\",\"shape\":[0,4],\"data_offsets\":[8,8]},"
        "\"one\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[8,12]},"
        "\"w\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[12,36]},"
        "\"ids\":{\"dtype\":\"I32\",\"shape\":[3],\"data_offsets\":[36,48]},"
        "\"half\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[48,52]}}";
    fc_err err;
    size_t n = 0;
    fc_assert_ok(fc_safetensors_save(path, sample, FC_LEN(sample), &err), &err);
    char *const bytes = fc_test_read(path, &n);
    const size_t n_header = (uint8_t)bytes[0] | (size_t)(uint8_t)bytes[1] << 8;
    assert_int_equal((n_header + 8) % 64, 0);
    assert_int_equal(n, 8 + n_header + 52);
    assert_memory_equal(bytes + 2, "\0\0\0\0\0", 6);
    assert_memory_equal(bytes + 8, header, sizeof header - 1);
    for (size_t i = 8 + sizeof header - 1; i < 8 + n_header; i++)
        assert_int_equal(bytes[i], ' ');
    assert_memory_equal(bytes + 8 + n_header, b, 8);
    assert_memory_equal(bytes + 8 + n_header + 12, w, 24);
    assert_memory_equal(bytes + 8 + n_header + 36, ids, 12);
    assert_memory_equal(bytes + 8 + n_header + 48, halves, 4);
    free(bytes);
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    fc_safetensors *st = NULL;
    fc_err err;
    fc_assert_ok(fc_safetensors_save(path, sample, FC_LEN(sample), &err), &err);
    fc_assert_ok(fc_safetensors_open(&st, path, &err), &err);
    assert_int_equal(fc_safetensors_count(st), FC_LEN(sample));
    assert_string_equal(fc_safetensors_metadata(st, "format"), "pt");
    for (size_t i = 0; i < FC_LEN(sample); i++) {
        const fc_tensor *t = NULL;
        fc_assert_ok(fc_safetensors_need(st, sample[i].name, sample[i].dtype,
                                         sample[i].rank, sample[i].shape, &t, &err),
                     &err);
        assert_int_equal((uintptr_t)t->data % fc_dtype_size(t->dtype), 0);
        if (t->n_bytes > 0) assert_memory_equal(t->data, sample[i].data, t->n_bytes);
    }
    fc_safetensors_close(st);
}

static void a_file_without_tensors_is_a_file(void **state)
{
    (void)state;
    fc_safetensors *st = NULL;
    fc_err err;
    fc_assert_ok(fc_safetensors_save(path, NULL, 0, &err), &err);
    fc_assert_ok(fc_safetensors_open(&st, path, &err), &err);
    assert_int_equal(fc_safetensors_count(st), 0);
    fc_safetensors_close(st);
}

/* Declares the sample and gives the data in pieces of n_piece bytes; tensors take turns when
 * they are mixed, else each is given whole in order of declaration. */
static fc_status write_in_pieces(size_t n_piece, bool is_mixed, fc_err *err)
{
    fc_safetensors_out *out = NULL;
    fc_status status;
    size_t n_given[FC_LEN(sample)] = {0};
    FC_TRY_GOTO(fc_safetensors_create(&out, path, err));
    FC_TRY_GOTO(fc_safetensors_meta(out, "step", "12", err));
    for (size_t i = 0; i < FC_LEN(sample); i++)
        FC_TRY_GOTO(fc_safetensors_declare(out, sample[i].name, sample[i].dtype,
                                           sample[i].rank, sample[i].shape, err));
    for (bool is_done = false; !is_done;) {
        is_done = true;
        for (size_t i = 0; i < FC_LEN(sample); i++) {
            size_t n = fc_dtype_size(sample[i].dtype);
            for (int d = 0; d < sample[i].rank; d++) n *= (size_t)sample[i].shape[d];
            while (n_given[i] < n) {
                const size_t n_now = n - n_given[i] < n_piece ? n - n_given[i] : n_piece;
                FC_TRY_GOTO(fc_safetensors_write(
                    out, sample[i].name, (const char *)sample[i].data + n_given[i], n_now,
                    err));
                n_given[i] += n_now;
                is_done = false;
                if (is_mixed) break;
            }
        }
    }
    FC_TRY_GOTO(fc_safetensors_commit(out, err));
done:
    fc_safetensors_discard(out);
    return status;
}

static void pieces_in_any_order_give_the_same_file(void **state)
{
    (void)state;
    char other[FC_PATH_MAX];
    fc_err err;
    fc_test_path(other, dir, "b.safetensors");
    fc_assert_ok(write_in_pieces(1000, false, &err), &err);
    assert_int_equal(rename(path, other), 0);
    for (size_t n_piece = 1; n_piece <= 13; n_piece += 3) {
        for (int is_mixed = 0; is_mixed < 2; is_mixed++) {
            fc_assert_ok(write_in_pieces(n_piece, is_mixed, &err), &err);
            fc_test_assert_files_equal(path, other);
        }
    }
    fc_assert_ok(fc_file_remove(other, &err), &err);
}

static void refuses_what_cannot_be_declared(void **state)
{
    (void)state;
    const int64_t shape[] = {2, 2}, negative[] = {-1}, huge[] = {INT64_MAX, 3},
                  large[] = {(int64_t)1 << 60};
    fc_safetensors_out *out = NULL;
    fc_err err;
    fc_assert_ok(fc_safetensors_create(&out, path, &err), &err);
    fc_assert_ok(fc_safetensors_declare(out, "a", FC_F32, 2, shape, &err), &err);
    fc_assert_fails(fc_safetensors_declare(out, "a", FC_F32, 2, shape, &err), &err,
                    FC_USAGE, path, "'a' is taken");
    fc_assert_fails(fc_safetensors_declare(out, "__metadata__", FC_F32, 2, shape, &err),
                    &err, FC_USAGE, "taken");
    fc_assert_fails(fc_safetensors_declare(out, "\xff", FC_F32, 2, shape, &err), &err,
                    FC_USAGE, "UTF-8");
    fc_assert_fails(fc_safetensors_declare(out, "n", FC_F32, 1, negative, &err), &err,
                    FC_USAGE, "dimension 0 of 'n' is -1");
    fc_assert_fails(fc_safetensors_declare(out, "h", FC_F32, 2, huge, &err), &err,
                    FC_USAGE, "63 bits");
    fc_assert_fails(fc_safetensors_declare(out, "l", FC_F32, 1, large, &err), &err,
                    FC_NOMEM, "'l'");
    fc_assert_fails(fc_safetensors_declare(out, "r", FC_F32, 9, shape, &err), &err,
                    FC_USAGE, "9 dimensions");
    fc_assert_fails(fc_safetensors_meta(out, "k", "\xff", &err), &err, FC_USAGE, "UTF-8");
    fc_safetensors_discard(out);
    assert_int_equal(fc_test_count_entries(dir), 0);
}

static void refuses_data_that_do_not_fit(void **state)
{
    (void)state;
    const int64_t shape[] = {2};
    fc_safetensors_out *out = NULL;
    fc_err err;
    fc_assert_ok(fc_safetensors_create(&out, path, &err), &err);
    fc_assert_ok(fc_safetensors_declare(out, "a", FC_F32, 1, shape, &err), &err);
    fc_assert_fails(fc_safetensors_write(out, "x", b, 4, &err), &err, FC_USAGE,
                    "not declared");
    fc_assert_ok(fc_safetensors_write(out, "a", b, 4, &err), &err);
    fc_assert_fails(fc_safetensors_commit(out, &err), &err, FC_USAGE,
                    "'a' has 4 bytes, expected 8");
    fc_assert_fails(fc_safetensors_write(out, "a", b, 8, &err), &err, FC_USAGE,
                    "12 bytes");
    fc_assert_fails(fc_safetensors_declare(out, "c", FC_F32, 1, shape, &err), &err,
                    FC_USAGE, "after the first data");
    fc_assert_fails(fc_safetensors_meta(out, "k", "v", &err), &err, FC_USAGE, "after");
    fc_safetensors_discard(out);
    assert_int_equal(fc_test_count_entries(dir), 0);
}

static fc_status write_mixed(void *ctx, fc_err *err)
{
    (void)ctx;
    return write_in_pieces(3, true, err);
}

static fc_status save_sample(void *ctx, fc_err *err)
{
    (void)ctx;
    return fc_safetensors_save(path, sample, FC_LEN(sample), err);
}

static void old_file_is_whole(void *ctx)
{
    size_t n = 0;
    char *const bytes = fc_test_read(path, &n);
    (void)ctx;
    assert_string_equal(bytes, "old");
    assert_int_equal(fc_test_count_entries(dir), 1);
    free(bytes);
}

static void a_failed_write_leaves_the_old_file(void **state)
{
    (void)state;
    fc_test_scenario *const scenarios[] = {write_mixed, save_sample};
    for (size_t i = 0; i < FC_LEN(scenarios); i++) {
        fc_test_write(path, "old", 3);
        assert_true(fc_test_sweep_alloc(scenarios[i], old_file_is_whole, NULL) > 5);
        fc_test_write(path, "old", 3);
        assert_true(fc_test_sweep_write(scenarios[i], old_file_is_whole, NULL) > 3);
    }
}

static void a_folder_that_is_not_there_is_named(void **state)
{
    (void)state;
    fc_err err;
    fc_assert_fails(fc_safetensors_save("/nowhere/a", sample, 1, &err), &err, FC_IO,
                    "/nowhere/a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_cannot_be_declared),
        cmocka_unit_test(refuses_data_that_do_not_fit),
        cmocka_unit_test(the_bytes_are_those_of_the_format),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(a_file_without_tensors_is_a_file),
        cmocka_unit_test(pieces_in_any_order_give_the_same_file),
        cmocka_unit_test(a_failed_write_leaves_the_old_file),
        cmocka_unit_test(a_folder_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
