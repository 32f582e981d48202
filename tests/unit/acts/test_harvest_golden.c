/* test_harvest_golden.c - rows collected from the example model are the activations that Hugging
 * Face transformers computes with it.
 *
 * fixtures/example-model has token sequences (inputs.json) and what transformers gives for them;
 * they come from the first lines of the example corpus, so a store of its first 2,000 tokens holds
 * them all.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fake_store.h"

#include <string.h>

#include "acts/harvest.h"
#include "base/alloc.h"
#include "formats/safetensors.h"

enum { D = 256, N_ROWS = 2000, MAX_LENGTH = 128 };

static void collect(const char *hook, int dtype, int precision, const char *dir)
{
    fc_err err;
    fc_backend *be = NULL;
    fc_collect_config config;
    fc_collect_result result;
    char model[FC_PATH_MAX], text[FC_PATH_MAX];
    const char *const paths[] = {text};
    fc_source_file(model, "assets/example-model");
    fc_source_file(text, "assets/example-model/corpus.wikitext.raw.zst");
    fc_collect_defaults(&config);
    assert_true(strlen(model) < sizeof config.model);
    memcpy(config.model, model, strlen(model) + 1);
    memcpy(config.hook, hook, strlen(hook) + 1);
    config.tokens = N_ROWS;
    config.max_length = MAX_LENGTH;
    config.dtype = dtype;
    config.precision = precision;
    fc_assert_ok(fc_backend_open(&be, NULL, &err), &err);
    fc_assert_ok(fc_collect(&config, paths, 1, be, dir, &result, &err), &err);
    fc_backend_close(be);
}

/* First row whose tokens are id[1..n-1] from position 1 on; the store must have it. */
static int64_t find_sequence(const fc_store *store, const json_t *ids)
{
    const int64_t n = (int64_t)json_array_size(ids) - 1;
    for (int64_t row = 0; row + n <= fc_store_rows(store); row++) {
        int64_t i = 0;
        for (; i < n; i++) {
            const fc_row here = fc_store_row(store, row + i);
            const json_t *const id = json_array_get(ids, (size_t)i + 1);
            if (here.position != i + 1 || here.token_id != json_integer_value(id)) break;
        }
        if (i == n) return row;
    }
    return -1;
}

/* rows 1.. of fixture tensor `name` against the store's rows from `row` on */
static void check_sequence(const fc_store *store, int64_t row,
                           const fc_safetensors *expected, const char *name,
                           double tolerance)
{
    fc_err err;
    float *x = NULL, *y = NULL;
    const fc_tensor *const tensor = fc_safetensors_find(expected, name);
    assert_non_null(tensor);
    const int64_t n = tensor->shape[0] - 1;
    fc_assert_ok(fc_tensor_to_f32(tensor, &x, &err), &err);
    fc_assert_ok(fc_alloc(&y, n, D * sizeof *y, "rows", &err), &err);
    fc_store_read(store, row, n, y);
    for (int64_t i = 0; i < n; i++) {
        const fc_difference d = fc_compare(y + i * D, x + (i + 1) * D, D);
        if (d.l2 > tolerance)
            fail_msg("%s: token %d is off by %g", name, (int)i + 1, d.l2);
    }
    fc_free(x);
    fc_free(y);
}

static void check_store(const fc_store *store, const char *kind, const char *site,
                        double tolerance)
{
    char path[FC_PATH_MAX];
    fc_err err;
    json_t *inputs = NULL;
    fc_safetensors *expected = NULL;
    fc_fixture(path, "example-model/inputs.json");
    fc_assert_ok(fc_json_load(&inputs, path, &err), &err);
    fc_fixture(path, "example-model/expected.safetensors");
    fc_assert_ok(fc_safetensors_open(&expected, path, &err), &err);
    const json_t *const sequences = json_object_get(inputs, "sequences");
    for (size_t s = 0; s < json_array_size(sequences); s++) {
        char name[128];
        const int64_t row = find_sequence(store, json_array_get(sequences, s));
        assert_true(row >= 0);
        snprintf(name, sizeof name, "%s.s%zu.%s", kind, s, site);
        check_sequence(store, row, expected, name, tolerance);
    }
    json_decref(inputs);
    fc_safetensors_close(expected);
}

static const struct golden {
    const char *hook, *site;
    int dtype, precision; /* 0 bf16, 1 f32; fc_precision_choice */
    double tolerance;     /* relative L2 of each row */
} cases[] = {
    {"model.layers.5.mlp.down_proj", "layers.5.mlp.down_proj", 1, FC_F32_PRECISION, 1e-5},
    {"model.layers.5.mlp.down_proj", "layers.5.mlp.down_proj", 0, FC_F32_PRECISION, 3e-3},
    {"model.layers.5.mlp.down_proj", "layers.5.mlp.down_proj", 1, FC_BF16_PRECISION,
     5e-2},
    {"model.layers.0", "layers.0", 1, FC_F32_PRECISION, 1e-5},
};

static void rows_are_those_of_transformers(void **state)
{
    fake_folders *const folders = *state;
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_err err;
        fc_store *store = NULL;
        collect(cases[i].hook, cases[i].dtype, cases[i].precision, folders->a);
        fc_assert_ok(fc_store_open(&store, folders->a, true, false, &err), &err);
        assert_int_equal(fc_store_rows(store), N_ROWS);
        check_store(store, "f32", cases[i].site, cases[i].tolerance);
        fc_store_close(store);
        fake_empty(folders->a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_are_those_of_transformers, fake_setup,
                                        fake_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
