/* test_features_file.c - features into files and back: layouts, file formats, blocks, files that lie.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/arrays.h"
#include "sae/features_file.h"

static char dir[FC_PATH_MAX], features[FC_PATH_MAX], made[FC_PATH_MAX];

static int make_dir(void **state)
{
    (void)state;
    fc_test_dir_make(dir);
    fc_test_path(features, dir, "f.safetensors");
    fc_test_path(made, dir, "y.safetensors");
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    fc_test_dir_remove(dir);
    return 0;
}

static void fixture(char *path, const char *folder, const char *name)
{
    char under[FC_PATH_MAX];
    (void)snprintf(under, sizeof under, "sae/exchange/%s%s%s", folder, name[0] ? "/" : "",
                   name);
    fc_fixture(path, under);
}

static fc_status encode(const fc_sae *sae, const char *input, const char *out,
                        fc_layout layout, fc_encode_result *result, fc_err *err)
{
    fc_encode_job job = {.sae = sae, .out = out, .layout = layout};
    fc_rows *rows = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_backend_open(&job.be, NULL, err));
    FC_TRY_GOTO(fc_rows_open(&rows, input, NULL, err));
    job.rows = rows;
    FC_TRY_GOTO(fc_encode_rows(&job, result, err));
done:
    fc_rows_close(rows);
    fc_backend_close(job.be);
    return status;
}

static fc_status decode(const fc_sae *sae, const char *input, const char *out,
                        fc_err *err)
{
    fc_backend *be = NULL;
    int64_t n_rows = 0;
    FC_TRY(fc_backend_open(&be, NULL, err));
    const fc_status status = fc_decode_features(sae, be, input, out, &n_rows, err);
    fc_backend_close(be);
    return status;
}

static float *values(const char *path, const char *name, int64_t *n)
{
    fc_err err = {0};
    fc_arrays *arrays = NULL;
    const fc_array *array = NULL;
    float *v = NULL;
    fc_assert_ok(fc_arrays_open(&arrays, path, &err), &err);
    fc_assert_ok(fc_arrays_need(arrays, name, -1, NULL, &array, &err), &err);
    fc_assert_ok(fc_array_to_f32(array, &v, &err), &err);
    *n = array->n;
    fc_arrays_close(arrays);
    return v;
}

static void assert_same(const char *path_a, const char *name_a, const char *path_b,
                        const char *name_b, double limit)
{
    int64_t n_a, n_b;
    float *a = values(path_a, name_a, &n_a), *b = values(path_b, name_b, &n_b);
    assert_int_equal(n_a, n_b);
    fc_assert_close(a, b, n_a, limit, limit);
    fc_free(a);
    fc_free(b);
}

/* Layer norm has a way back for each row, the transcoder other columns at each end. */
static const char *const folders[] = {"topk", "standard-layer-norm",
                                      "jumprelu_transcoder", "standard-hook-z"};
static const char *const endings[] = {"safetensors", "npz", "pt"};

static void features_and_reconstructions_go_through_every_file(void **state)
{
    (void)state;
    for (size_t i = 0; i < FC_LEN(folders); i++)
        for (size_t k = 0; k < FC_LEN(endings) * 2; k++) {
            fc_err err = {0};
            fc_sae *sae = NULL;
            fc_encode_result result = {0};
            char folder[FC_PATH_MAX], io[FC_PATH_MAX], f[FC_PATH_MAX], name[64];
            const fc_layout layout = k % 2 ? FC_LAYOUT_CSR : FC_LAYOUT_DENSE;
            (void)snprintf(name, sizeof name, "f.%s", endings[k / 2]);
            fc_test_path(f, dir, name);
            fixture(folder, folders[i], "");
            fixture(io, folders[i], "io.safetensors");
            fc_assert_ok(fc_sae_load(&sae, folder, &err), &err);
            fc_assert_ok(encode(sae, io, f, layout, &result, &err), &err);
            assert_int_equal(result.n_rows, 24);
            if (layout == FC_LAYOUT_DENSE)
                assert_same(f, "features", io, "features", 1e-5);
            fc_assert_ok(decode(sae, f, made, &err), &err);
            assert_same(made, "reconstruction", io, "reconstruction", 1e-5);
            fc_sae_free(sae);
        }
}

static void npy_holds_dense_features_and_reconstructions(void **state)
{
    (void)state;
    fc_err err = {0};
    fc_sae *sae = NULL;
    fc_encode_result result = {0};
    char folder[FC_PATH_MAX], io[FC_PATH_MAX], f[FC_PATH_MAX], y[FC_PATH_MAX];
    fc_test_path(f, dir, "f.npy");
    fc_test_path(y, dir, "y.npy");
    fixture(folder, "topk", "");
    fixture(io, "topk", "io.safetensors");
    fc_assert_ok(fc_sae_load(&sae, folder, &err), &err);
    fc_assert_ok(encode(sae, io, f, FC_LAYOUT_DENSE, &result, &err), &err);
    assert_same(f, "", io, "features", 1e-5);
    fc_assert_ok(decode(sae, f, y, &err), &err);
    assert_same(y, "", io, "reconstruction", 1e-5);
    fc_assert_fails(encode(sae, io, f, FC_LAYOUT_CSR, &result, &err), &err, FC_USAGE,
                    "holds one array");
    fc_sae_free(sae);
}

/* --- many rows ------------------------------------------------------------------------------ */

enum { MANY = 2500, WIDTH = 24 };

/* Row t is row t % 24 of the fixture. */
static void write_many(const char *path, const char *io)
{
    fc_err err = {0};
    fc_arrays_out *out = NULL;
    int64_t n;
    const int64_t shape[] = {MANY, WIDTH};
    float *x = values(io, "x", &n);
    fc_assert_ok(fc_arrays_create(&out, fc_arrays_kind_of(path), path, &err), &err);
    fc_assert_ok(fc_arrays_declare(out, "x", FC_F32, 2, shape, &err), &err);
    for (int64_t t = 0; t < MANY; t++)
        fc_assert_ok(
            fc_arrays_write(out, "x", x + t % 24 * WIDTH, WIDTH * sizeof *x, &err), &err);
    fc_assert_ok(fc_arrays_commit(out, &err), &err);
    fc_arrays_discard(out);
    fc_free(x);
}

static void rows_of_many_blocks_are_those_of_one(void **state)
{
    (void)state;
    static const fc_layout layouts[] = {FC_LAYOUT_DENSE, FC_LAYOUT_CSR};
    fc_err err = {0};
    fc_sae *sae = NULL;
    char folder[FC_PATH_MAX], io[FC_PATH_MAX], x[FC_PATH_MAX];
    int64_t n, n_y;
    fc_test_path(x, dir, "x.npy");
    fixture(folder, "topk", "");
    fixture(io, "topk", "io.safetensors");
    write_many(x, io);
    fc_assert_ok(fc_sae_load(&sae, folder, &err), &err);
    float *expected = values(io, "reconstruction", &n);
    for (size_t k = 0; k < FC_LEN(layouts); k++) {
        fc_encode_result result = {0};
        fc_assert_ok(encode(sae, x, features, layouts[k], &result, &err), &err);
        assert_int_equal(result.n_rows, MANY);
        assert_int_equal(result.n_entries, 5 * MANY);
        fc_assert_ok(decode(sae, features, made, &err), &err);
        float *y = values(made, "reconstruction", &n_y);
        assert_int_equal(n_y, MANY * WIDTH);
        for (int64_t t = 0; t + 24 <= MANY; t += 24)
            fc_assert_close(y + t * WIDTH, expected, n, 1e-5, 1e-5);
        fc_free(y);
    }
    fc_free(expected);
    fc_sae_free(sae);
}

static void no_rows_give_no_features(void **state)
{
    (void)state;
    static const fc_layout layouts[] = {FC_LAYOUT_DENSE, FC_LAYOUT_CSR};
    const int64_t shape[] = {0, WIDTH};
    char folder[FC_PATH_MAX], x[FC_PATH_MAX];
    fc_err err = {0};
    fc_sae *sae = NULL;
    fc_arrays_out *none = NULL;
    fc_test_path(x, dir, "none.npz");
    fc_assert_ok(fc_arrays_create(&none, FC_ARRAYS_NPZ, x, &err), &err);
    fc_assert_ok(fc_arrays_declare(none, "x", FC_F32, 2, shape, &err), &err);
    fc_assert_ok(fc_arrays_commit(none, &err), &err);
    fc_arrays_discard(none);
    fixture(folder, "standard-layer-norm", "");
    fc_assert_ok(fc_sae_load(&sae, folder, &err), &err);
    for (size_t k = 0; k < FC_LEN(layouts); k++) {
        fc_encode_result result = {0};
        int64_t n;
        fc_assert_ok(encode(sae, x, features, layouts[k], &result, &err), &err);
        assert_int_equal(result.n_rows, 0);
        fc_assert_ok(decode(sae, features, made, &err), &err);
        fc_free(values(made, "reconstruction", &n));
        assert_int_equal(n, 0);
    }
    fc_sae_free(sae);
}

/* --- what is refused ------------------------------------------------------------------------ */

static void rows_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    fc_err err = {0};
    fc_sae *sae = NULL, *skip = NULL;
    fc_encode_result result = {0};
    char folder[FC_PATH_MAX], io[FC_PATH_MAX];
    fixture(folder, "tiny-standard", "");
    fc_assert_ok(fc_sae_load(&sae, folder, &err), &err);
    fixture(io, "topk", "io.safetensors");
    fc_assert_fails(encode(sae, io, made, FC_LAYOUT_DENSE, &result, &err), &err,
                    FC_MISMATCH, "24 wide, the SAE takes 6");
    fc_assert_fails(decode(sae, io, made, &err), &err, FC_MISMATCH,
                    "rows have 24 features, the SAE has 10");
    fixture(folder, "skip_transcoder", "");
    fc_assert_ok(fc_sae_load(&skip, folder, &err), &err);
    fc_assert_fails(decode(skip, io, made, &err), &err, FC_MISMATCH, "skip path");
    fixture(io, "topk", "sae_weights.safetensors");
    fc_assert_fails(encode(sae, io, made, FC_LAYOUT_DENSE, &result, &err), &err, FC_USAGE,
                    "holds 4 arrays");
    fc_sae_free(sae);
    fc_sae_free(skip);
}

static void a_way_back_that_is_not_known_is_refused(void **state)
{
    (void)state;
    fc_err err = {0};
    fc_sae *plain = NULL, *layer = NULL;
    fc_encode_result result = {0};
    char folder[FC_PATH_MAX], io[FC_PATH_MAX];
    fixture(folder, "standard", "");
    fc_assert_ok(fc_sae_load(&plain, folder, &err), &err);
    fixture(folder, "standard-layer-norm", "");
    fc_assert_ok(fc_sae_load(&layer, folder, &err), &err);
    fixture(io, "standard", "io.safetensors");
    fc_assert_ok(encode(plain, io, features, FC_LAYOUT_DENSE, &result, &err), &err);
    fc_assert_fails(decode(layer, features, made, &err), &err, FC_MISMATCH,
                    "'norm' is missing");
    fc_sae_free(plain);
    fc_sae_free(layer);
}

/* A csr file of 2 rows, 96 features and 3 entries, with one lie. */
static void write_csr(const int64_t crow[3], const int64_t shape[2],
                      const int32_t columns[3], const char *missing)
{
    const float v[] = {1, 2, 3};
    const fc_tensor all[] = {
        {.name = "crow_indices",
         .dtype = FC_I64,
         .rank = 1,
         .shape = {3},
         .n = 3,
         .data = crow,
         .n_bytes = 24},
        {.name = "shape",
         .dtype = FC_I64,
         .rank = 1,
         .shape = {2},
         .n = 2,
         .data = shape,
         .n_bytes = 16},
        {.name = "values",
         .dtype = FC_F32,
         .rank = 1,
         .shape = {3},
         .n = 3,
         .data = v,
         .n_bytes = 12},
        {.name = "col_indices",
         .dtype = FC_I32,
         .rank = 1,
         .shape = {3},
         .n = 3,
         .data = columns,
         .n_bytes = 12},
    };
    fc_tensor some[4];
    int64_t n = 0;
    fc_err err = {0};
    for (size_t i = 0; i < FC_LEN(all); i++)
        if (strcmp(all[i].name, missing) != 0) some[n++] = all[i];
    fc_assert_ok(fc_safetensors_save(features, some, n, &err), &err);
}

static void csr_files_that_lie_are_refused(void **state)
{
    (void)state;
    static const struct {
        int64_t crow[3], shape[2];
        int32_t columns[3];
        const char *missing, *word;
    } cases[] = {
        {{0, 2, 3}, {2, 96}, {0, 5, 1}, "", NULL}, /* sound */
        {{0, 2, 3}, {2, 96}, {0, 5, 1}, "shape", "'shape' is missing"},
        {{0, 2, 3}, {2, 96}, {0, 5, 1}, "values", "'values' is missing"},
        {{0, 2, 3}, {2, 96}, {0, 5, 1}, "col_indices", "'col_indices' is missing"},
        {{0, 2, 3}, {2, 95}, {0, 5, 1}, "", "95 features, the SAE has 96"},
        {{0, 2, 3}, {3, 96}, {0, 5, 1}, "", "3 elements for 3 rows"},
        {{0, 2, 3}, {-1, 96}, {0, 5, 1}, "", "-1 rows"},
        {{0, 2, 4}, {2, 96}, {0, 5, 1}, "", "row 1 has the entries 2 to 4 of 3"},
        {{-1, 2, 3}, {2, 96}, {0, 5, 1}, "", "row 0 has the entries -1 to 2"},
        {{3, 2, 3}, {2, 96}, {0, 5, 1}, "", "row 0 has the entries 3 to 2"},
        {{0, 2, INT64_MIN}, {2, 96}, {0, 5, 1}, "", "row 1 has the entries 2 to -"},
        {{0, 2, 3}, {2, 96}, {0, 96, 1}, "", "row 0 has column 96"},
        {{0, 2, 3}, {2, 96}, {-1, 5, 1}, "", "row 0 has column -1"},
        {{0, 2, 3}, {2, 96}, {5, 5, 1}, "", "column 5 after 5"},
        {{0, 2, 3}, {2, 96}, {5, 0, 1}, "", "column 0 after 5"},
    };
    fc_err err = {0};
    fc_sae *sae = NULL;
    char folder[FC_PATH_MAX];
    fixture(folder, "standard", "");
    fc_assert_ok(fc_sae_load(&sae, folder, &err), &err);
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        write_csr(cases[i].crow, cases[i].shape, cases[i].columns, cases[i].missing);
        const fc_status status = decode(sae, features, made, &err);
        if (cases[i].word == NULL)
            fc_assert_ok(status, &err);
        else
            fc_assert_fails(status, &err,
                            strstr(cases[i].word, "the SAE") ? FC_MISMATCH : FC_FORMAT,
                            features, cases[i].word);
    }
    fc_sae_free(sae);
}

/* --- faults --------------------------------------------------------------------------------- */

static fc_status there_and_back(void *ctx, fc_err *err)
{
    const fc_layout layout = *(const fc_layout *)ctx;
    fc_sae *sae = NULL;
    fc_encode_result result = {0};
    char folder[FC_PATH_MAX], io[FC_PATH_MAX];
    fc_status status;
    fixture(folder, "standard-layer-norm", "");
    fixture(io, "standard-layer-norm", "io.safetensors");
    FC_TRY_GOTO(fc_sae_load(&sae, folder, err));
    FC_TRY_GOTO(encode(sae, io, features, layout, &result, err));
    FC_TRY_GOTO(decode(sae, features, made, err));
done:
    fc_sae_free(sae);
    return status;
}

static void nothing_is_left_over(void *ctx)
{
    (void)ctx;
    fc_err err = {0};
    fc_names names;
    fc_assert_ok(fc_dir_list(&names, dir, &err), &err);
    for (int64_t i = 0; i < names.n; i++) {
        assert_null(strstr(names.name[i], ".tmp"));
        assert_null(strstr(names.name[i], ".spool"));
    }
    fc_names_free(&names);
}

static void faults_end_with_a_sentence_and_no_leftovers(void **state)
{
    (void)state;
    fc_layout layouts[] = {FC_LAYOUT_DENSE, FC_LAYOUT_CSR};
    for (size_t i = 0; i < FC_LEN(layouts); i++) {
        assert_true(
            fc_test_sweep_alloc(there_and_back, nothing_is_left_over, &layouts[i]) > 30);
        assert_true(
            fc_test_sweep_write(there_and_back, nothing_is_left_over, &layouts[i]) > 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(features_and_reconstructions_go_through_every_file),
        cmocka_unit_test(npy_holds_dense_features_and_reconstructions),
        cmocka_unit_test(rows_of_many_blocks_are_those_of_one),
        cmocka_unit_test(no_rows_give_no_features),
        cmocka_unit_test(rows_that_do_not_fit_are_refused),
        cmocka_unit_test(a_way_back_that_is_not_known_is_refused),
        cmocka_unit_test(csr_files_that_lie_are_refused),
        cmocka_unit_test(faults_end_with_a_sentence_and_no_leftovers),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
