/* test_golden_exchange.c - SAEs of other tools: features and reconstructions as those compute them,
 * damaged folders refused, and what is written for them is read back.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exchange_testing.h"
#include "formats/safetensors.h"
#include "sae/exchange.h"

static float *values(const fc_safetensors *io, const char *name)
{
    fc_err err = {0};
    float *v = NULL;
    const fc_tensor *t = fc_safetensors_find(io, name);
    assert_non_null(t);
    fc_assert_ok(fc_tensor_to_f32(t, &v, &err), &err);
    return v;
}

/* Features and reconstruction of `sae` against those in io.safetensors of the folder. */
static void check_io(const fc_sae *sae, const char *dir, const char *name)
{
    fc_err err = {0};
    char path[FC_PATH_MAX];
    fc_safetensors *io = NULL;
    fc_test_path(path, dir, "io.safetensors");
    fc_assert_ok(fc_safetensors_open(&io, path, &err), &err);
    const int64_t n = fc_safetensors_find(io, "x")->n / sae->d_in;
    float *x = values(io, "x"), *f = values(io, "features"),
          *y = values(io, "reconstruction");
    float *f_found = floats(n * sae->d_sae), *y_found = floats(n * sae->d_out);
    run_sae(sae, x, n, f_found, y_found);
    const fc_difference df = fc_compare(f_found, f, n * sae->d_sae);
    const fc_difference dy = fc_compare(y_found, y, n * sae->d_out);
    print_message("%-46s features %.1e, reconstruction %.1e\n", name, df.max_norm,
                  dy.max_norm);
    assert_true(df.max_norm <= 1e-5);
    assert_true(dy.max_norm <= 1e-5);
    float *const all[] = {x, f, y, f_found, y_found};
    for (size_t i = 0; i < FC_LEN(all); i++) fc_free(all[i]);
    fc_safetensors_close(io);
}

#define SCOPE_1 "gemma-scope-1/gemma-scope-2b-pt-"
#define SCOPE_2 "gemma-scope-2/google/gemma-scope-2-1b-it/"
#define DL      "dictionary_learning/"

static const struct {
    const char *name, *format, *arch;
    const char
        *back; /* formats that can hold it, to be written, read and computed again */
} folders[] = {
    {"standard", "saelens", "standard", "saelens dictionary_learning"},
    {"standard-folded", "saelens", "standard", "saelens dictionary_learning"},
    {"standard-no-input-bias", "saelens", "standard", "saelens dictionary_learning"},
    {"standard-bfloat16", "saelens", "standard", "saelens"},
    {"standard-float16", "saelens", "standard", "saelens"},
    {"standard-expected-average", "saelens", "standard", "saelens"},
    {"standard-hook-z", "saelens", "standard", "saelens"},
    {"standard-layer-norm", "saelens", "standard", "saelens"},
    {"standard-constant-norm", "saelens", "standard", "saelens"},
    {"standard-constant-norm-no-input-bias", "saelens", "standard", "saelens"},
    {"tiny-standard", "saelens", "standard", "saelens"},
    {"legacy-standard", "saelens", "standard", "saelens"},
    {"topk", "saelens", "topk", "saelens sparsify dictionary_learning"},
    {"topk-unfolded-norms", "saelens", "topk", "saelens sparsify"},
    {"topk-large-k", "saelens", "topk", "saelens sparsify"},
    {"tiny-topk", "saelens", "topk", "saelens"},
    {"legacy-topk", "saelens", "topk", "saelens"},
    {"jumprelu", "saelens", "jumprelu", "saelens dictionary_learning gemma-scope"},
    {"jumprelu-no-input-bias", "saelens", "jumprelu",
     "saelens dictionary_learning gemma-scope"},
    {"tiny-jumprelu", "saelens", "jumprelu", "saelens"},
    {"batchtopk", "saelens", "batchtopk", "saelens dictionary_learning gemma-scope"},
    {"batchtopk-folded", "saelens", "batchtopk", "saelens dictionary_learning"},
    {"batchtopk-training-checkpoint", "saelens", "batchtopk", "saelens"},
    {"matryoshka", "saelens", "matryoshka_batchtopk", "saelens dictionary_learning"},
    {"gated", "saelens", "gated", "saelens dictionary_learning"},
    {"transcoder", "saelens", "transcoder", "saelens"},
    {"tiny-transcoder", "saelens", "transcoder", "saelens"},
    {"skip_transcoder", "saelens", "skip_transcoder", "saelens"},
    {"jumprelu_transcoder", "saelens", "jumprelu_transcoder", "saelens gemma-scope"},
    {"jumprelu_skip_transcoder", "saelens", "jumprelu_skip_transcoder", "saelens"},
    {SCOPE_1 "res/layer_12/width_16k/average_l0_71", "gemma-scope", "jumprelu",
     "saelens gemma-scope dictionary_learning"},
    {SCOPE_1 "transcoders/layer_12/width_16k/average_l0_6", "gemma-scope",
     "jumprelu_transcoder", "saelens gemma-scope"},
    {SCOPE_2 "mlp_out/layer_25_width_16k_l0_small", "gemma-scope-2", "jumprelu",
     "saelens gemma-scope"},
    {SCOPE_2 "resid_post/layer_13_width_16k_l0_medium", "gemma-scope-2", "jumprelu",
     "saelens gemma-scope"},
    {SCOPE_2 "transcoder/layer_13_width_16k_l0_small", "gemma-scope-2",
     "jumprelu_transcoder", "saelens"},
    {SCOPE_2 "transcoder/layer_13_width_16k_l0_small_affine", "gemma-scope-2",
     "jumprelu_skip_transcoder", "saelens"},
    {"sparsify/run/layers.13.mlp", "sparsify", "topk", "sparsify saelens"},
    {"sparsify/run/layers.14", "sparsify", "topk", "sparsify dictionary_learning"},
    {"sparsify/run/layers.15.mlp", "sparsify", "groupmax", "sparsify"},
    {"sparsify/run/layers.16.mlp", "sparsify", "topk_skip_transcoder", "sparsify"},
    {"sparsify/run/layers.17", "sparsify", "topk", "sparsify"},
    {DL "AutoEncoder/trainer_0", "dictionary_learning", "standard",
     "dictionary_learning saelens"},
    {DL "AutoEncoderNew/trainer_0", "dictionary_learning", "standard",
     "dictionary_learning saelens"},
    {DL "AutoEncoderTopK/trainer_0", "dictionary_learning", "topk",
     "dictionary_learning sparsify"},
    {DL "BatchTopKSAE/trainer_0", "dictionary_learning", "batchtopk",
     "dictionary_learning saelens"},
    {DL "MatryoshkaBatchTopKSAE/trainer_0", "dictionary_learning", "matryoshka_batchtopk",
     "dictionary_learning saelens"},
    {DL "GatedAutoEncoder/trainer_0", "dictionary_learning", "gated",
     "dictionary_learning saelens"},
    {DL "JumpReluAutoEncoder/trainer_0", "dictionary_learning", "jumprelu",
     "dictionary_learning saelens gemma-scope"},
};

static void every_folder_gives_the_features_of_its_tool(void **state)
{
    (void)state;
    for (size_t i = 0; i < FC_LEN(folders); i++) {
        fc_err err = {0};
        char dir[FC_PATH_MAX];
        fc_sae *sae = NULL;
        fixture_dir(dir, folders[i].name);
        const fc_sae_format *format = fc_sae_format_of(dir);
        assert_non_null(format);
        assert_string_equal(format->name, folders[i].format);
        fc_assert_ok(fc_sae_load(&sae, dir, &err), &err);
        assert_string_equal(sae->arch, folders[i].arch);
        check_io(sae, dir, folders[i].name);
        fc_sae_free(sae);
    }
}

static void what_is_written_for_a_tool_is_read_back_with_the_same_features(void **state)
{
    (void)state;
    for (size_t i = 0; i < FC_LEN(folders); i++)
        for (int row = 0; fc_sae_format_at(row) != NULL; row++) {
            fc_err err = {0};
            char dir[FC_PATH_MAX], made[FC_PATH_MAX], out[FC_PATH_MAX];
            fc_sae *sae = NULL, *back = NULL;
            const fc_sae_format *format = fc_sae_format_at(row);
            if (format->save == NULL) continue;
            fixture_dir(dir, folders[i].name);
            fc_test_dir_make(made);
            fc_test_path(out, made, "out");
            fc_assert_ok(fc_sae_load(&sae, dir, &err), &err);
            const fc_status status = format->save(sae, out, &err);
            const bool is_wanted = strstr(folders[i].back, format->name) != NULL;
            if (is_wanted || status == FC_OK) {
                fc_assert_ok(status, &err);
                assert_ptr_equal(fc_sae_format_of(out), format);
                fc_assert_ok(fc_sae_load(&back, out, &err), &err);
                check_io(back, dir, format->name);
                fc_sae_free(back);
            } else {
                assert_int_equal(status, FC_MISMATCH); /* and nothing is written */
                assert_false(fc_path_exists(out));
            }
            fc_sae_free(sae);
            fc_test_dir_remove(made);
        }
}

static void hooks_are_those_of_the_model(void **state)
{
    (void)state;
    static const struct {
        const char *name, *model, *hook, *target;
    } cases[] = {
        {"standard-hook-z", "google/gemma-3-1b-it",
         "model.layers.3.self_attn.o_proj:input", ""},
        {"legacy-standard", "gpt2-small", "blocks.8.hook_resid_pre", ""},
        {SCOPE_1 "res/layer_12/width_16k/average_l0_71", "google/gemma-2-2b",
         "model.layers.12", ""},
        {SCOPE_1 "transcoders/layer_12/width_16k/average_l0_6", "google/gemma-2-2b",
         "model.layers.12.pre_feedforward_layernorm",
         "model.layers.12.post_feedforward_layernorm"},
        {SCOPE_2 "mlp_out/layer_25_width_16k_l0_small", "google/gemma-3-1b-it",
         "model.layers.25.post_feedforward_layernorm", ""},
        {SCOPE_2 "resid_post/layer_13_width_16k_l0_medium", "google/gemma-3-1b-it",
         "model.layers.13", ""},
        {SCOPE_2 "transcoder/layer_13_width_16k_l0_small_affine", "google/gemma-3-1b-it",
         "model.layers.13.pre_feedforward_layernorm",
         "model.layers.13.post_feedforward_layernorm"},
        {"sparsify/run/layers.13.mlp", "google/gemma-3-1b-it", "model.layers.13.mlp", ""},
        {"sparsify/run/layers.16.mlp", "google/gemma-3-1b-it",
         "model.layers.16.mlp:input", "model.layers.16.mlp"},
        {DL "AutoEncoder/trainer_0", "google/gemma-3-1b-it", "model.layers.13", ""},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_err err = {0};
        char dir[FC_PATH_MAX];
        fc_sae *sae = NULL;
        fixture_dir(dir, cases[i].name);
        fc_assert_ok(fc_sae_load(&sae, dir, &err), &err);
        assert_string_equal(sae->model, cases[i].model);
        assert_string_equal(sae->hook, cases[i].hook);
        assert_string_equal(sae->target_hook, cases[i].target);
        fc_sae_free(sae);
    }
}

static void the_file_with_the_weights_will_do(void **state)
{
    (void)state;
    static const char *const files[] = {
        "standard/sae_weights.safetensors", DL "GatedAutoEncoder/trainer_0/ae.pt",
        "sparsify/run/layers.14/sae.safetensors",
        SCOPE_1 "res/layer_12/width_16k/average_l0_71/params.npz",
        SCOPE_2 "mlp_out/layer_25_width_16k_l0_small/params.safetensors"};
    for (size_t i = 0; i < FC_LEN(files); i++) {
        fc_err err = {0};
        char path[FC_PATH_MAX];
        fc_sae *sae = NULL;
        fixture_dir(path, files[i]);
        fc_assert_ok(fc_sae_load(&sae, path, &err), &err);
        assert_int_equal(sae->d_in, 24);
        fc_sae_free(sae);
    }
}

static void the_origin_of_the_activations_is_read(void **state)
{
    (void)state;
    fc_err err = {0};
    char dir[FC_PATH_MAX];
    fc_sae *sae = NULL;
    fixture_dir(dir, "standard-no-input-bias");
    fc_assert_ok(fc_sae_load(&sae, dir, &err), &err);
    assert_string_equal(sae->arch, "standard");
    assert_string_equal(sae->model, "google/gemma-3-1b-it");
    assert_string_equal(sae->hook, "model.layers.25.mlp.down_proj");
    assert_int_equal(sae->context_size, 128);
    assert_false(sae->is_b_dec_subtracted);
    assert_int_equal(sae->normaliser.kind, FC_NORM_NONE);
    fc_sae_free(sae);
}

/* --- damaged folders ---------------------------------------------------------------------- */

/* What the sentence must say: what why.txt in the folder says. */
static const struct {
    const char *name, *word;
} reasons[] = {
    {"cfg-list", "holds a list, expected an object"},
    {"cfg-missing", "cfg.json"},
    {"cfg-not-json", "not valid JSON"},
    {"d_in-mismatch", "'W_dec' has shape [10, 6], expected [10, 5]"},
    {"d_sae-fraction", "d_sae is a number with a fraction"},
    {"d_sae-huge", "d_sae is 4611686018427387904"},
    {"d_sae-mismatch", "'W_dec' has shape [10, 6], expected [12, 6]"},
    {"d_sae-negative", "d_sae is -10"},
    {"duplicate-names", "b_dec"},
    {"empty-weights", "has 0 bytes"},
    {"extra-tensor", "'W_extra' is no tensor of"},
    {"header-length-absurd", "header length is 1152921504606846976"},
    {"header-length-past-end", "header length is"},
    {"header-not-json", "not valid JSON"},
    {"integer-weights", "'W_dec' is I32"},
    {"jumprelu-without-threshold", "'threshold' is missing"},
    {"k-above-d_sae", "k is 11 of 10 features"},
    {"missing-tensor", "'b_enc' is missing"},
    {"nan-weights", "'W_dec' holds"},
    {"negative-k", "k is -5"},
    {"npz-checksum", "checksum (CRC-32)"},
    {"npz-object-array", "Python objects"},
    {"npz-path", "named '../W_enc.npy'"},
    {"npz-truncated", "cut short"},
    {"offset-hole", "begins at byte"},
    {"offsets-reversed", "data_offsets of 'b_enc'"},
    {"overlapping-offsets", "'b_dec'"},
    {"pickle-foreign-global", "names builtins.print, which is refused"},
    {"shape-overflow", "multiplies to more than 63 bits"},
    {"size-disagrees", "data_offsets of 'b_enc' hold"},
    {"trailing-bytes", "16 bytes follow"},
    {"transcoder-input-bias", "transcoder with apply_b_dec_to_input true"},
    {"truncated-header", "bytes follow"},
    {"truncated-safetensors", "expected a range within"},
    {"unknown-architecture", "'quantum'"},
    {"unknown-dtype", "'float12'"},
    {"unknown-normalisation", "normalize_activations is 'sometimes'"},
    {"unknown-tensor-dtype", "F12"},
    {"weights-missing", "sae_weights.safetensors"},
    {"wrong-rank", "'b_enc' has shape [1, 10], expected [10]"},
    {"wrong-shape", "'W_enc' has shape [10, 6], expected [6, 10]"},
};

static void every_damaged_folder_is_refused(void **state)
{
    (void)state;
    fc_err err = {0};
    char bad[FC_PATH_MAX], dir[FC_PATH_MAX];
    fc_names names;
    fixture_dir(bad, "bad");
    fc_assert_ok(fc_dir_list(&names, bad, &err), &err);
    assert_int_equal(names.n, FC_LEN(reasons));
    for (int64_t i = 0; i < names.n; i++) {
        fc_err why = {0};
        fc_sae *sae = NULL;
        fc_test_path(dir, bad, names.name[i]);
        if (fc_sae_load(&sae, dir, &why) == FC_OK)
            fail_msg("%s was loaded", names.name[i]);
        assert_null(sae);
        const char *word = "a folder that is not in the table";
        for (size_t j = 0; j < FC_LEN(reasons); j++)
            if (strcmp(reasons[j].name, names.name[i]) == 0) word = reasons[j].word;
        if (strstr(why.text, word) == NULL)
            fail_msg("%s: '%s' does not say '%s'", names.name[i], why.text, word);
    }
    fc_names_free(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_folder_gives_the_features_of_its_tool),
        cmocka_unit_test(what_is_written_for_a_tool_is_read_back_with_the_same_features),
        cmocka_unit_test(hooks_are_those_of_the_model),
        cmocka_unit_test(the_file_with_the_weights_will_do),
        cmocka_unit_test(the_origin_of_the_activations_is_read),
        cmocka_unit_test(every_damaged_folder_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
