/* test_golden_exchange.c - SAEs of other tools: features and reconstructions as those compute them,
 * damaged folders refused, and what is saved comes back.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "sae/codes.h"
#include "sae/exchange.h"

static void fixture_dir(char *dir, const char *name)
{
    char path[FC_PATH_MAX];
    snprintf(path, sizeof path, "sae/exchange/%s", name);
    fc_fixture(dir, path);
}

static float *floats(int64_t n)
{
    float *p = NULL;
    fc_err err = {0};
    fc_assert_ok(fc_alloc(&p, n, sizeof *p, "test values", &err), &err);
    return p;
}

/* --- folders of SAELens ------------------------------------------------------------------- */

/* Reconstruction [n, d_out] and features [n, d_sae] of raw rows, token-major, as tools store them. */
static void run_sae(const fc_sae *sae, const float *raw, int64_t n, float *features,
                    float *y)
{
    fc_err err = {0};
    fc_backend *be = NULL;
    fc_codes *codes = NULL;
    fc_row_norm *norm = NULL;
    float *x = floats(n * sae->d_in);
    fc_assert_ok(fc_alloc(&norm, n, sizeof *norm, "norms", &err), &err);
    fc_assert_ok(fc_backend_open(&be, NULL, &err), &err);
    fc_assert_ok(fc_codes_new(&codes, sae, be, FC_PRECISION_F32, n, true, &err), &err);
    fc_normalise(&sae->normaliser, x, raw, norm, n);
    fc_codes_encode(codes, sae, be, x, n);
    fc_codes_decode(codes, be, fc_mat_of(sae->w_dec, FC_F32, sae->d_sae, sae->d_out), y);
    for (int64_t i = 0; i < sae->d_sae; i++)
        for (int64_t t = 0; t < n; t++)
            features[t * sae->d_sae + i] = codes->value[i * codes->row + t];
    for (int64_t i = 0; i < n * sae->d_out; i++) y[i] += sae->b_dec[i % sae->d_out];
    if (sae->d_in == sae->d_out) fc_denormalise(&sae->normaliser, y, norm, n);
    fc_codes_free(codes);
    fc_backend_close(be);
    fc_free(x);
    fc_free(norm);
}

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
    {"jumprelu", "saelens", "jumprelu", "saelens"},
    {"jumprelu-no-input-bias", "saelens", "jumprelu",
     "saelens dictionary_learning gemma-scope"},
    {"tiny-jumprelu", "saelens", "jumprelu", "saelens"},
    {"batchtopk", "saelens", "batchtopk", "saelens dictionary_learning"},
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

/* --- our own folders ---------------------------------------------------------------------- */

static void fill(float *w, int64_t n, uint64_t first, double scale)
{
    for (int64_t i = 0; i < n; i++)
        w[i] = (float)(scale * fc_rng_normal(7, FC_RNG_TEST, first + (uint64_t)i));
}

enum { D_IN = 70, D_SAE = 131, N_ROWS = 9 }; /* not multiples of the transposing block */

static fc_sae *make_sae(fc_norm_kind kind, bool is_subtracted)
{
    fc_err err = {0};
    fc_sae *sae = NULL;
    float mean[D_IN];
    fc_assert_ok(fc_sae_new(&sae, "standard", D_IN, D_IN, D_SAE, &err), &err);
    fill(sae->w_enc, D_IN * D_SAE, 0, 0.2);
    fill(sae->w_dec, D_IN * D_SAE, 100000, 0.2);
    fill(sae->b_enc, D_SAE, 200000, 0.1);
    fill(sae->b_dec, D_IN, 300000, 0.1);
    fill(mean, D_IN, 400000, 5.0);
    snprintf(sae->arch, sizeof sae->arch, "standard");
    snprintf(sae->model, sizeof sae->model, "models/tiny");
    snprintf(sae->hook, sizeof sae->hook, "model.layers.5.mlp.down_proj");
    sae->context_size = 128;
    sae->is_b_dec_subtracted = is_subtracted;
    fc_assert_ok(fc_normaliser_init(&sae->normaliser, kind, D_IN, mean, 3.5f, &err),
                 &err);
    return sae;
}

static void a_saved_sae_comes_back_bit_for_bit(void **state)
{
    (void)state;
    static const fc_norm_kind kinds[] = {FC_NORM_NONE, FC_NORM_CENTER_UNIT};
    for (size_t i = 0; i < FC_LEN(kinds); i++) {
        fc_err err = {0};
        char dir[FC_PATH_MAX];
        fc_sae *sae = make_sae(kinds[i], i == 0), *back = NULL;
        fc_test_dir_make(dir);
        fc_assert_ok(fc_sae_save(sae, dir, &err), &err);
        assert_int_equal(fc_test_count_entries(dir),
                         kinds[i] == FC_NORM_CENTER_UNIT ? 3 : 2);
        fc_assert_ok(fc_sae_load(&back, dir, &err), &err);
        assert_memory_equal(back->w_enc, sae->w_enc, D_IN * D_SAE * sizeof(float));
        assert_memory_equal(back->w_dec, sae->w_dec, D_IN * D_SAE * sizeof(float));
        assert_memory_equal(back->b_enc, sae->b_enc, D_SAE * sizeof(float));
        assert_memory_equal(back->b_dec, sae->b_dec, D_IN * sizeof(float));
        assert_int_equal(back->normaliser.kind, kinds[i]);
        if (kinds[i] == FC_NORM_CENTER_UNIT)
            assert_memory_equal(back->normaliser.mean, sae->normaliser.mean,
                                D_IN * sizeof(float));
        assert_int_equal(back->is_b_dec_subtracted, sae->is_b_dec_subtracted);
        assert_string_equal(back->model, sae->model);
        assert_string_equal(back->hook, sae->hook);
        assert_int_equal(back->context_size, 128);
        fc_sae_free(sae);
        fc_sae_free(back);
        fc_test_dir_remove(dir);
    }
}

static void folding_center_scale_changes_no_feature(void **state)
{
    (void)state;
    for (int is_subtracted = 0; is_subtracted < 2; is_subtracted++) {
        fc_err err = {0};
        char dir[FC_PATH_MAX];
        fc_sae *sae = make_sae(FC_NORM_CENTER_SCALE, is_subtracted), *folded = NULL;
        float *raw = floats(N_ROWS * D_IN);
        float *f = floats(N_ROWS * D_SAE), *f_raw = floats(N_ROWS * D_SAE);
        float *y = floats(N_ROWS * D_IN), *y_raw = floats(N_ROWS * D_IN);
        fill(raw, N_ROWS * D_IN, 500000, 4.0);
        fc_test_dir_make(dir);
        fc_assert_ok(fc_sae_save(sae, dir, &err), &err);
        fc_assert_ok(fc_sae_load(&folded, dir, &err), &err);
        assert_int_equal(folded->normaliser.kind, FC_NORM_NONE);

        run_sae(sae, raw, N_ROWS, f, y);
        run_sae(folded, raw, N_ROWS, f_raw, y_raw);
        fc_assert_close(f_raw, f, N_ROWS * D_SAE, 1e-5, 1e-5);
        fc_assert_close(y_raw, y, N_ROWS * D_IN, 1e-5, 1e-5);

        float *const all[] = {raw, f, f_raw, y, y_raw};
        for (size_t i = 0; i < FC_LEN(all); i++) fc_free(all[i]);
        fc_sae_free(sae);
        fc_sae_free(folded);
        fc_test_dir_remove(dir);
    }
}

static void cfg_json_holds_what_saelens_needs(void **state)
{
    (void)state;
    fc_err err = {0};
    char dir[FC_PATH_MAX], path[FC_PATH_MAX];
    json_t *cfg = NULL;
    fc_sae *sae = make_sae(FC_NORM_CENTER_UNIT, true);
    fc_test_dir_make(dir);
    fc_assert_ok(fc_sae_save(sae, dir, &err), &err);
    fc_test_path(path, dir, "cfg.json");
    fc_assert_ok(fc_json_load(&cfg, path, &err), &err);
    const json_t *meta = json_object_get(cfg, "metadata");
    assert_string_equal(json_string_value(json_object_get(cfg, "architecture")),
                        "standard");
    assert_string_equal(json_string_value(json_object_get(cfg, "dtype")), "float32");
    assert_string_equal(json_string_value(json_object_get(cfg, "normalize_activations")),
                        "none");
    assert_int_equal(json_integer_value(json_object_get(cfg, "d_in")), D_IN);
    assert_int_equal(json_integer_value(json_object_get(cfg, "d_sae")), D_SAE);
    assert_true(json_is_true(json_object_get(cfg, "apply_b_dec_to_input")));
    assert_string_equal(json_string_value(json_object_get(meta, "sae_lens_version")),
                        "6.18.0");
    assert_string_equal(json_string_value(json_object_get(meta, "hf_hook_name")),
                        sae->hook);
    assert_string_equal(json_string_value(json_object_get(meta, "facet_normalization")),
                        "center_unit");
    json_decref(cfg);
    fc_sae_free(sae);
    fc_test_dir_remove(dir);
}

static void an_sae_that_is_not_finite_is_not_saved(void **state)
{
    (void)state;
    fc_err err = {0};
    char dir[FC_PATH_MAX];
    fc_sae *sae = make_sae(FC_NORM_NONE, true);
    sae->b_enc[3] = NAN;
    fc_test_dir_make(dir);
    fc_assert_fails(fc_sae_save(sae, dir, &err), &err, FC_FORMAT,
                    "'b_enc' holds nan at place 3");
    assert_int_equal(fc_test_count_entries(dir), 0);
    fc_sae_free(sae);
    fc_test_dir_remove(dir);
}

/* --- faults ------------------------------------------------------------------------------- */

typedef struct place {
    char dir[FC_PATH_MAX];
    const fc_sae *sae;
} place;

static fc_status save_and_load(void *ctx, fc_err *err)
{
    const place *p = ctx;
    fc_sae *back = NULL;
    fc_status status = fc_sae_save(p->sae, p->dir, err);
    if (status == FC_OK) status = fc_sae_load(&back, p->dir, err);
    fc_sae_free(back);
    return status;
}

static void no_temporary_is_left(void *ctx)
{
    const place *p = ctx;
    fc_err err = {0};
    fc_names names;
    fc_assert_ok(fc_dir_list(&names, p->dir, &err), &err);
    for (int64_t i = 0; i < names.n; i++) assert_null(strstr(names.name[i], ".tmp"));
    fc_names_free(&names);
}

static void faults_end_with_a_sentence_and_no_leftovers(void **state)
{
    (void)state;
    place p;
    fc_sae *sae = make_sae(FC_NORM_CENTER_UNIT, true);
    p.sae = sae;
    fc_test_dir_make(p.dir);
    assert_true(fc_test_sweep_alloc(save_and_load, no_temporary_is_left, &p) > 10);
    assert_true(fc_test_sweep_write(save_and_load, no_temporary_is_left, &p) > 3);
    fc_sae_free(sae);
    fc_test_dir_remove(p.dir);
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
        cmocka_unit_test(a_saved_sae_comes_back_bit_for_bit),
        cmocka_unit_test(folding_center_scale_changes_no_feature),
        cmocka_unit_test(cfg_json_holds_what_saelens_needs),
        cmocka_unit_test(an_sae_that_is_not_finite_is_not_saved),
        cmocka_unit_test(faults_end_with_a_sentence_and_no_leftovers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
