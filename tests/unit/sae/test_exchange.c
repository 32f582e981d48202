/* test_exchange.c - folders of other tools that lie or lack something, and memory that ends while one
 * is read or written.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/arrays.h"
#include "sae/exchange.h"

#define SCOPE_1 "gemma-scope-1/gemma-scope-2b-pt-res/layer_12/width_16k/average_l0_71"
#define SCOPE_2                                                                        \
    "gemma-scope-2/google/gemma-scope-2-1b-it/transcoder/layer_13_width_16k_l0_small_" \
    "affine"
#define DL "dictionary_learning/AutoEncoderTopK/trainer_0"

static char dir[FC_PATH_MAX], copy[FC_PATH_MAX];

static int make_dir(void **state)
{
    (void)state;
    fc_test_dir_make(dir);
    fc_test_path(copy, dir, "copy");
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

/* The folder again, in `copy`, with `from` in the text of `file` replaced by `to`; without the file
 * when `from` is NULL. */
static void copy_folder(const char *folder, const char *file, const char *from,
                        const char *to)
{
    fc_err err = {0};
    fc_names names;
    char whole[FC_PATH_MAX], in[FC_PATH_MAX], out[FC_PATH_MAX];
    fixture(whole, folder, "");
    fc_assert_ok(fc_dir_list(&names, whole, &err), &err);
    fc_assert_ok(fc_dir_make(copy, &err), &err);
    for (int64_t i = 0; i < names.n; i++) {
        size_t n;
        fc_test_path(in, whole, names.name[i]);
        fc_test_path(out, copy, names.name[i]);
        const bool is_it = strcmp(names.name[i], file) == 0;
        if (is_it && from == NULL) continue;
        char *text = fc_test_read(in, &n);
        if (!is_it) {
            fc_test_write(out, text, n);
        } else if (from != NULL) {
            const char *at = strstr(text, from);
            char changed[4096];
            assert_non_null(at);
            (void)snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text,
                           to, at + strlen(from));
            fc_test_write(out, changed, strlen(changed));
        }
        free(text);
    }
    fc_names_free(&names);
}

static void configs_that_lie_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *folder, *file, *from, *to, *word;
    } cases[] = {
#define SP "sparsify/run/"
        {SP "layers.14", "cfg.json", "\"k\": 6", "\"k\": 81", "k is 81 of 80 features"},
        {SP "layers.14", "cfg.json", "\"k\": 6", "\"k\": 0", "k is 0 of 80"},
        {SP "layers.14", "cfg.json", "\"k\": 6", "\"k\": \"6\"", "k is a string"},
        {SP "layers.14", "cfg.json", "\"topk\"", "\"maxout\"", "activation is 'maxout'"},
        {SP "layers.14", "cfg.json", "\"d_in\": 24", "\"d_in\": 25",
         "'encoder.weight' has shape [80, 24], expected [80, 25]"},
        {SP "layers.14", "cfg.json", "\"d_in\": 24", "\"d_in\": 0", "d_in is 0"},
        {SP "layers.14", "cfg.json", "\"d_in\": 24", "\"d_on\": 24", "d_in"},
        {SP "layers.14", "cfg.json", "80", "9999999999", "num_latents is 9999999999"},
        {SP "layers.13.mlp", "cfg.json", "\"expansion_factor\": 4",
         "\"expansion_factor\": 4611686018427387904", "expected 1 to"},
        {SP "layers.14", "cfg.json", "\"skip_connection\": false",
         "\"skip_connection\": true", "skip_connection without transcode"},
        {SP "layers.15.mlp", "cfg.json", "\"k\": 8", "\"k\": 7",
         "96 latents do not divide into k = 7"},
        {SP "layers.15.mlp", "cfg.json", "\"k\": 8", "\"k\": 0", "k = 0 groups"},
        {SP "layers.16.mlp", "cfg.json", "\"skip_connection\": true",
         "\"skip_connection\": false", "'W_skip' is no tensor of"},
        {SP "layers.14", "cfg.json", NULL, NULL, "cfg.json"},
        {DL, "config.json", "AutoEncoderTopK", "CrossCoder", "dict_class 'CrossCoder'"},
        {DL, "config.json", "\"dict_size\": 96", "\"dict_size\": 95",
         "'encoder.weight' has shape [96, 24], expected [95, 24]"},
        {DL, "config.json", "AutoEncoderTopK", "AutoEncoder", "'b_dec' is no tensor of"},
        {DL, "config.json", "\"trainer\"", "\"coach\"", "trainer is nothing"},
        {DL, "config.json", NULL, NULL, "config.json"},
        {SCOPE_2, "config.json", "jump_relu", "relu", "architecture is 'relu'"},
        {SCOPE_2, "config.json", "\"model_name\": \"", "\"model_name\": 5, \"x\": \"",
         "model_name is an integer"},
        {"topk", "cfg.json", "\"k\": 5", "\"k\": 97", "k is 97 of 96"},
        {"topk", "cfg.json", "\"k\": 5", "\"k\": []", "k is a list"},
        {"gated", "cfg.json", "\"gated\"", "\"temporal\"", "'temporal' is not supported"},
        {"gated", "cfg.json", "\"gated\"", "\"standard\"", "'b_gate' is no tensor of"},
        {"transcoder", "cfg.json", "\"d_out\": 20", "\"d_out\": 21", "expected [96, 21]"},
        {"transcoder", "cfg.json", "\"normalize_activations\": \"none\"",
         "\"normalize_activations\": \"layer_norm\"", "transcoder with normalize"},
        {"standard", "cfg.json", "\"reshape_activations\": \"none\"",
         "\"reshape_activations\": \"fold\"", "reshape_activations is 'fold'"},
        {"legacy-topk", "cfg.json", "\"topk\"", "\"tanh\"", "activation 'tanh'"},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_err err = {0};
        fc_sae *sae = NULL;
        copy_folder(cases[i].folder, cases[i].file, cases[i].from, cases[i].to);
        fc_assert_fails(fc_sae_load(&sae, copy, &err), &err,
                        cases[i].from == NULL ? FC_IO : FC_FORMAT, cases[i].word);
        assert_null(sae);
        fc_test_dir_remove(copy);
    }
}

/* A file of arrays with one of the shape given, the others as they are. */
static void rewrite(const char *from, const char *to, const char *name, int rank,
                    const int64_t *shape)
{
    fc_err err = {0};
    fc_arrays *in = NULL;
    fc_arrays_out *out = NULL;
    static const float zeros[8192];
    fc_assert_ok(fc_arrays_open(&in, from, &err), &err);
    fc_assert_ok(fc_arrays_create(&out, fc_arrays_kind_of(to), to, &err), &err);
    for (int64_t i = 0; i < fc_arrays_count(in); i++) {
        const fc_array *a = fc_arrays_at(in, i);
        const bool is_it = strcmp(a->name, name) == 0;
        if (is_it && shape == NULL) continue;
        fc_assert_ok(fc_arrays_declare(out, a->name, FC_F32, is_it ? rank : a->rank,
                                       is_it ? shape : a->shape, &err),
                     &err);
    }
    for (int64_t i = 0; i < fc_arrays_count(in); i++) {
        const fc_array *a = fc_arrays_at(in, i);
        int64_t n = 1;
        const bool is_it = strcmp(a->name, name) == 0;
        if (is_it && shape == NULL) continue;
        for (int k = 0; k < (is_it ? rank : a->rank); k++)
            n *= is_it ? shape[k] : a->shape[k];
        assert_true(n <= (int64_t)FC_LEN(zeros));
        fc_assert_ok(
            fc_arrays_write(out, a->name, zeros, (size_t)n * sizeof *zeros, &err), &err);
    }
    fc_assert_ok(fc_arrays_commit(out, &err), &err);
    fc_arrays_discard(out);
    fc_arrays_close(in);
}

static void tensors_of_the_wrong_shape_or_none_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *folder, *file, *name;
        int rank;
        int64_t shape[2];
        const char *word;
    } cases[] = {
        {SCOPE_1, "params.npz", "W_enc", -1, {0}, "'W_enc' is missing"},
        {SCOPE_1, "params.npz", "threshold", -1, {0}, "'threshold' is missing"},
        {SCOPE_1, "params.npz", "W_enc", 1, {96}, "'W_enc' has shape [96]"},
        {SCOPE_1, "params.npz", "W_enc", 2, {0, 96}, "expected sizes of 1"},
        {SCOPE_1, "params.npz", "W_dec", 2, {95, 24}, "expected [96, 24]"},
        {SCOPE_1,
         "params.npz",
         "b_dec",
         1,
         {23},
         "'b_dec' has shape [23], expected [24]"},
        {SCOPE_2,
         "params.safetensors",
         "affine_skip_connection",
         2,
         {24, 23},
         "[24, 24]"},
        {SCOPE_2, "params.safetensors", "w_dec", -1, {0}, "'w_dec' is missing"},
        {DL, "ae.pt", "k", 1, {2}, "'k' has several elements"},
        {DL, "ae.pt", "k", -1, {0}, "'k' is missing"},
        {DL, "ae.pt", "k", 0, {0}, "k is 0 of 96 features"},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_err err = {0};
        fc_sae *sae = NULL;
        char from[FC_PATH_MAX], to[FC_PATH_MAX];
        copy_folder(cases[i].folder, "io.safetensors", NULL, NULL);
        fixture(from, cases[i].folder, cases[i].file);
        fc_test_path(to, copy, cases[i].file);
        rewrite(from, to, cases[i].name, cases[i].rank,
                cases[i].rank < 0 ? NULL : cases[i].shape);
        fc_assert_fails(fc_sae_load(&sae, copy, &err), &err, FC_FORMAT, cases[i].word);
        fc_test_dir_remove(copy);
    }
}

static void what_is_no_sae_is_said_to_be_none(void **state)
{
    (void)state;
    fc_err err = {0};
    fc_sae *sae = NULL;
    char path[FC_PATH_MAX];
    fc_assert_fails(fc_sae_load(&sae, dir, &err), &err, FC_FORMAT, dir, "holds no SAE");
    fc_test_path(path, dir, "nowhere");
    fc_assert_fails(fc_sae_load(&sae, path, &err), &err, FC_IO, path, "no such file");
    assert_null(fc_sae_format_find("onnx"));
    assert_null(fc_sae_format_of(dir));
}

/* --- faults --------------------------------------------------------------------------------- */

typedef struct trip {
    char from[FC_PATH_MAX];
    const char *to;
} trip;

static fc_status convert(void *ctx, fc_err *err)
{
    const trip *t = ctx;
    fc_sae *sae = NULL;
    fc_status status = fc_sae_convert(t->from, copy, fc_sae_format_find(t->to), err);
    if (status == FC_OK) status = fc_sae_load(&sae, copy, err);
    fc_sae_free(sae);
    return status;
}

/* The copy is whole or absent, and nothing lies beside it. */
static void only_a_whole_copy(void *ctx)
{
    const trip *t = ctx;
    const int64_t n = fc_test_count_entries(dir);
    assert_true(n == (fc_path_exists(copy) ? 1 : 0));
    if (n == 0) return;
    const fc_sae_format *format = fc_sae_format_of(copy);
    assert_non_null(format);
    assert_string_equal(format->name, t->to);
    fc_test_dir_remove(copy);
}

static void faults_leave_a_whole_folder_or_none(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
    } cases[] = {
        {"gated", "saelens"},     {"gated", "dictionary_learning"},
        {DL, "sparsify"},         {"sparsify/run/layers.14", "npz"},
        {SCOPE_1, "gemma-scope"}, {SCOPE_2, "saelens"},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        trip t = {.to = cases[i].to};
        fixture(t.from, cases[i].from, "");
        assert_true(fc_test_sweep_alloc(convert, only_a_whole_copy, &t) > 20);
        fc_test_dir_remove(copy);
        assert_true(fc_test_sweep_write(convert, only_a_whole_copy, &t) > 3);
        fc_test_dir_remove(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configs_that_lie_are_refused),
        cmocka_unit_test(tensors_of_the_wrong_shape_or_none_are_named),
        cmocka_unit_test(what_is_no_sae_is_said_to_be_none),
        cmocka_unit_test(faults_leave_a_whole_folder_or_none),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
