/* test_gemma_config.c - config.json: every spelling that is read, every rule that refuses.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "model/gemma_config.h"

/* --- one file in one folder ------------------------------------------------------------- */

static char dir[FC_PATH_MAX], path[FC_PATH_MAX];
static int n_warnings;

static void count_warnings(void *ctx, fc_log_level level, const char *text)
{
    (void)ctx, (void)text;
    n_warnings += level == FC_LOG_WARN;
}

static int make_dir(void **state)
{
    (void)state;
    fc_test_dir_make(dir);
    fc_test_path(path, dir, "config.json");
    fc_log_set_sink((fc_log_sink){.message = count_warnings});
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    fc_log_set_sink((fc_log_sink){0});
    fc_test_dir_remove(dir);
    return 0;
}

static fc_status load(fc_gemma_config *config, const char *text, fc_err *err)
{
    n_warnings = 0;
    fc_test_write(path, text, strlen(text));
    return fc_gemma_config_load(config, path, err);
}

/* A text-only config with these members added. */
static fc_status load_text(fc_gemma_config *config, const char *members, fc_err *err)
{
    char text[4096];
    snprintf(text, sizeof text, "{\"model_type\": \"gemma3_text\"%s%s}",
             members[0] ? ", " : "", members);
    return load(config, text, err);
}

/* --- what is read ----------------------------------------------------------------------- */

static void absent_keys_take_the_defaults_of_transformers(void **state)
{
    (void)state;
    fc_gemma_config c;
    fc_err err;
    fc_assert_ok(load_text(&c, "", &err), &err);
    assert_int_equal(c.n_vocab, 262208);
    assert_int_equal(c.d_model, 2304);
    assert_int_equal(c.d_mlp, 9216);
    assert_int_equal(c.n_layers, 26);
    assert_int_equal(c.n_heads, 8);
    assert_int_equal(c.n_kv_heads, 4);
    assert_int_equal(c.d_head, 256);
    assert_int_equal(c.window, 4096);
    assert_int_equal(c.max_positions, 131072);
    assert_true(c.query_pre_attn_scalar == 256);
    assert_true(c.rms_norm_eps == 1e-6);
    assert_true(c.final_logit_softcap == 0);
    assert_true(c.rope_full.theta == 1e6 && c.rope_full.factor == 1);
    assert_true(c.rope_sliding.theta == 1e4 && c.rope_sliding.factor == 1);
    assert_true(c.is_head_tied);
    assert_false(c.is_multimodal);
    assert_int_equal(c.bos_id, 2);
    assert_int_equal(c.pad_id, 0);
    for (int64_t i = 0; i < 26; i++) assert_int_equal(c.is_full[i], i % 6 == 5);
}

static const struct {
    const char *text_config;
    int64_t d_model, n_layers, n_heads, n_kv_heads, d_head, scalar;
} sparse_configs[] = {
    {"\"hidden_size\": 2560, \"intermediate_size\": 10240, \"num_hidden_layers\": 34",
     2560, 34, 8, 4, 256, 256},
    {"\"hidden_size\": 3840, \"intermediate_size\": 15360, \"num_hidden_layers\": "
     "48, "
     "\"num_attention_heads\": 16, \"num_key_value_heads\": 8",
     3840, 48, 16, 8, 256, 256},
    {"\"hidden_size\": 5376, \"intermediate_size\": 21504, \"num_hidden_layers\": "
     "62, "
     "\"num_attention_heads\": 32, \"num_key_value_heads\": 16, \"head_dim\": 128, "
     "\"query_pre_attn_scalar\": 168",
     5376, 62, 32, 16, 128, 168},
};

/* The published 4b, 12b and 27b configs hold no more than this in text_config. */
static void sparse_multimodal_configs_are_completed(void **state)
{
    (void)state;
    for (size_t i = 0; i < FC_LEN(sparse_configs); i++) {
        char text[2048];
        fc_gemma_config c;
        fc_err err;
        snprintf(
            text, sizeof text,
            "{\"model_type\": \"gemma3\", \"vision_config\": {\"hidden_size\": 1152}, "
            "\"text_config\": {\"model_type\": \"gemma3_text\", \"sliding_window\": "
            "1024, "
            "\"rope_scaling\": {\"factor\": 8.0, \"rope_type\": \"linear\"}, "
            "\"tie_word_embeddings\": false, %s}}",
            sparse_configs[i].text_config);
        fc_assert_ok(load(&c, text, &err), &err);
        assert_true(c.is_multimodal);
        assert_true(c.is_head_tied); /* counts at the top only */
        assert_int_equal(c.d_model, sparse_configs[i].d_model);
        assert_int_equal(c.n_layers, sparse_configs[i].n_layers);
        assert_int_equal(c.n_heads, sparse_configs[i].n_heads);
        assert_int_equal(c.n_kv_heads, sparse_configs[i].n_kv_heads);
        assert_int_equal(c.d_head, sparse_configs[i].d_head);
        assert_true(c.query_pre_attn_scalar == (double)sparse_configs[i].scalar);
        assert_int_equal(c.window, 1024);
        assert_int_equal(c.n_vocab, 262208);
        assert_true(c.rope_full.factor == 8 && c.rope_sliding.factor == 1);
    }
}

#define FULL    "\"full_attention\": "
#define SLIDING "\"sliding_attention\": "

static const struct {
    const char *members;
    double full, full_factor, sliding, sliding_factor;
    int n_warnings;
} rope_cases[] = {
    {"\"rope_theta\": 5e5, \"rope_local_base_freq\": 2e4", 5e5, 1, 2e4, 1, 0},
    {"\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 8}", 1e6, 8, 1e4, 1, 0},
    {"\"rope_scaling\": {\"type\": \"linear\", \"factor\": 8.0}", 1e6, 8, 1e4, 1, 1},
    {"\"rope_scaling\": {\"rope_type\": \"default\", \"factor\": 8.0}", 1e6, 1, 1e4, 1,
     0},
    {"\"rope_scaling\": {\"rope_type\": \"linear\", \"type\": \"yarn\", \"factor\": "
     "2}",
     1e6, 2, 1e4, 1, 0},
    {"\"rope_parameters\": {" FULL
     "{\"rope_type\": \"linear\", \"factor\": 4, \"rope_theta\": 7e5}, " SLIDING
     "{\"rope_type\": \"default\", \"rope_theta\": 3e4}}",
     7e5, 4, 3e4, 1, 0},
    {"\"rope_parameters\": {" SLIDING "{\"rope_type\": \"linear\", \"factor\": 3}}", 1e6,
     1, 1e4, 3, 0},
    {"\"rope_parameters\": {" FULL "{\"rope_theta\": 7e5}}, \"rope_theta\": 9e5, "
     "\"rope_local_base_freq\": 2e4",
     7e5, 1, 2e4, 1, 0},
    {"\"rope_parameters\": {" FULL "{\"rope_type\": \"linear\"}}, \"rope_theta\": 9e5, "
     "\"rope_scaling\": {\"factor\": 8}",
     9e5, 8, 1e4, 1, 0},
    {"\"rope_parameters\": {" FULL
     "{\"rope_type\": \"default\", \"factor\": 2, \"rope_theta\": 5}}, "
     "\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 8, \"rope_theta\": "
     "6}",
     6, 8, 1e4, 1, 0},
    {"\"rope_parameters\": null, \"rope_scaling\": null", 1e6, 1, 1e4, 1, 0},
    {"\"rope_parameters\": {" FULL "null}", 1e6, 1, 1e4, 1, 0},
    {"\"rope_parameters\": {}", 1e6, 1, 1e4, 1, 0},
};

static void rope_takes_each_key_from_the_strongest_source(void **state)
{
    (void)state;
    for (size_t i = 0; i < FC_LEN(rope_cases); i++) {
        fc_gemma_config c;
        fc_err err;
        fc_assert_ok(load_text(&c, rope_cases[i].members, &err), &err);
        if (c.rope_full.theta != rope_cases[i].full ||
            c.rope_full.factor != rope_cases[i].full_factor ||
            c.rope_sliding.theta != rope_cases[i].sliding ||
            c.rope_sliding.factor != rope_cases[i].sliding_factor ||
            n_warnings != rope_cases[i].n_warnings)
            fail_msg("%s: full %g / %g, sliding %g / %g, %d warnings",
                     rope_cases[i].members, c.rope_full.theta, c.rope_full.factor,
                     c.rope_sliding.theta, c.rope_sliding.factor, n_warnings);
    }
}

static void layer_kinds_come_from_the_list_or_from_the_pattern(void **state)
{
    (void)state;
    static const struct {
        const char *members;
        const char *kinds; /* f or s for each layer */
    } cases[] = {
        {"\"num_hidden_layers\": 7", "sssssfs"},
        {"\"num_hidden_layers\": 5, \"sliding_window_pattern\": 2", "sfsfs"},
        {"\"num_hidden_layers\": 3, \"sliding_window_pattern\": 1", "fff"},
        {"\"num_hidden_layers\": 3, \"_sliding_window_pattern\": 1", "sss"},
        {"\"num_hidden_layers\": 2, \"layer_types\": null, \"sliding_window_pattern\": 1",
         "ff"},
        {"\"num_hidden_layers\": 2, \"layer_types\": [\"full_attention\", "
         "\"sliding_attention\"], "
         "\"sliding_window_pattern\": 1",
         "fs"},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_gemma_config c;
        fc_err err;
        fc_assert_ok(load_text(&c, cases[i].members, &err), &err);
        assert_int_equal(c.n_layers, strlen(cases[i].kinds));
        for (int64_t l = 0; l < c.n_layers; l++)
            assert_int_equal(c.is_full[l], cases[i].kinds[l] == 'f');
    }
}

static void the_softcap_is_for_text_only_models(void **state)
{
    (void)state;
    fc_gemma_config c;
    fc_err err;
    fc_assert_ok(load_text(&c, "\"final_logit_softcapping\": 30", &err), &err);
    assert_true(c.final_logit_softcap == 30);
    assert_int_equal(n_warnings, 0);
    fc_assert_ok(load(&c,
                      "{\"model_type\": \"gemma3\", \"text_config\": "
                      "{\"final_logit_softcapping\": 30.0}}",
                      &err),
                 &err);
    assert_true(c.final_logit_softcap == 0);
    assert_int_equal(n_warnings, 1);
}

static void ids_and_the_tied_head_are_read_at_their_places(void **state)
{
    (void)state;
    fc_gemma_config c;
    fc_err err;
    fc_assert_ok(
        load_text(
            &c,
            "\"bos_token_id\": 7, \"pad_token_id\": null, \"eos_token_id\": [1, 106], "
            "\"tie_word_embeddings\": false, \"hidden_act\": \"silu\"",
            &err),
        &err);
    assert_int_equal(c.bos_id, 7);
    assert_int_equal(c.pad_id, 0);
    assert_false(c.is_head_tied);
    fc_assert_ok(load(&c,
                      "{\"model_type\": \"gemma3\", \"tie_word_embeddings\": false, "
                      "\"text_config\": {}}",
                      &err),
                 &err);
    assert_false(c.is_head_tied);
}

/* --- what is refused -------------------------------------------------------------------- */

static const struct {
    const char *members;
    const char *words[3]; /* in the sentence */
} refusals[] = {
    {"\"attention_bias\": true", {"attention_bias"}},
    {"\"use_bidirectional_attention\": true", {"use_bidirectional_attention"}},
    {"\"attn_logit_softcapping\": 50.0", {"attn_logit_softcapping"}},
    {"\"quantization_config\": {\"bits\": 4}", {"quantization_config", "quantised"}},
    {"\"hidden_activation\": \"silu\"",
     {"hidden_activation", "silu", "gelu_pytorch_tanh"}},
    {"\"hidden_size\": 100, \"num_attention_heads\": 8",
     {"hidden_size 100", "num_attention_heads 8"}},
    {"\"num_attention_heads\": 8, \"num_key_value_heads\": 3", {"num_key_value_heads 3"}},
    {"\"head_dim\": null", {"head_dim", "null"}},
    {"\"head_dim\": 33", {"head_dim", "33", "even"}},
    {"\"head_dim\": 0", {"head_dim", "0", "2..1024"}},
    {"\"query_pre_attn_scalar\": 256.0", {"query_pre_attn_scalar", "an integer"}},
    {"\"query_pre_attn_scalar\": 0", {"query_pre_attn_scalar"}},
    {"\"hidden_size\": \"big\"", {"hidden_size", "a string"}},
    {"\"hidden_size\": -1", {"hidden_size", "-1"}},
    {"\"hidden_size\": 9007199254740993", {"hidden_size"}},
    {"\"num_hidden_layers\": 513", {"num_hidden_layers", "513", "1..512"}},
    {"\"num_hidden_layers\": 0", {"num_hidden_layers"}},
    {"\"vocab_size\": null", {"vocab_size", "null"}},
    {"\"sliding_window\": 0", {"sliding_window"}},
    {"\"sliding_window\": null", {"sliding_window", "null"}},
    {"\"sliding_window_pattern\": 0", {"sliding_window_pattern"}},
    {"\"rms_norm_eps\": 0", {"rms_norm_eps"}},
    {"\"rms_norm_eps\": \"1e-6\"", {"rms_norm_eps", "a string"}},
    {"\"final_logit_softcapping\": -30", {"final_logit_softcapping"}},
    {"\"bos_token_id\": 4294967296", {"bos_token_id"}},
    {"\"tie_word_embeddings\": \"yes\"", {"tie_word_embeddings"}},
    {"\"num_hidden_layers\": 2, \"layer_types\": [\"full_attention\"]",
     {"layer_types", "1 entries", "2"}},
    {"\"num_hidden_layers\": 1, \"layer_types\": [\"chunked_attention\"]",
     {"layer_types[0]", "chunked_attention"}},
    {"\"num_hidden_layers\": 1, \"layer_types\": [1]", {"layer_types[0]", "an integer"}},
    {"\"layer_types\": \"full_attention\"", {"layer_types", "a string"}},
    {"\"rope_parameters\": {\"rope_type\": \"linear\", \"factor\": 8}",
     {"rope_parameters", "rope_type"}},
    {"\"rope_parameters\": []", {"rope_parameters", "a list"}},
    {"\"rope_parameters\": {" FULL "1}", {"full_attention", "an integer"}},
    {"\"rope_parameters\": {" FULL "{\"rope_type\": \"yarn\"}}", {"yarn", "linear"}},
    {"\"rope_scaling\": {\"rope_type\": \"dynamic\", \"factor\": 2}", {"dynamic"}},
    {"\"rope_scaling\": {\"type\": \"llama3\", \"factor\": 2}", {"llama3"}},
    {"\"rope_scaling\": {\"rope_type\": \"linear\"}", {"factor"}},
    {"\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 0}",
     {"rope_scaling", "factor"}},
    {"\"rope_scaling\": {\"rope_type\": 3}", {"rope_type", "an integer"}},
    {"\"rope_scaling\": 8", {"rope_scaling", "an integer"}},
    {"\"rope_theta\": -1", {"rope_theta"}},
    {"\"rope_theta\": 1e300", {"rope_theta", "1e+300"}},
    {"\"rms_norm_eps\": 1e-300", {"rms_norm_eps"}},
    {"\"rope_theta\": null", {"rope_theta", "null"}},
    {"\"text_config\": {}", {"text_config", "an object"}},
};

static void each_rule_refuses_with_its_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < FC_LEN(refusals); i++) {
        fc_gemma_config c;
        fc_err err = {0};
        const fc_status status = load_text(&c, refusals[i].members, &err);
        bool is_named = status == FC_FORMAT && strstr(err.text, path) != NULL;
        for (int w = 0; w < 3 && refusals[i].words[w] != NULL; w++)
            is_named = is_named && strstr(err.text, refusals[i].words[w]) != NULL;
        if (!is_named)
            fail_msg("%s: %s: %s", refusals[i].members, fc_status_word(status), err.text);
    }
}

static void files_that_are_no_gemma3_config_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"", "JSON"},
        {"{\"model_type\": \"gemma3_text\"", "JSON"},
        {"[]", "a list"},
        {"{}", "model_type"},
        {"{\"model_type\": \"gemma2\"}", "gemma2"},
        {"{\"model_type\": 3}", "model_type"},
        {"{\"model_type\": \"gemma3\"}", "text_config"},
        {"{\"model_type\": \"gemma3\", \"text_config\": 7}", "text_config"},
        {"{\"model_type\": \"gemma3\", \"text_config\": {\"model_type\": \"gemma2\"}}",
         "gemma2"},
        {"{\"model_type\": \"gemma3\", \"text_config\": {\"hidden_size\": \"x\"}}",
         "text_config: hidden_size"},
        {"{\"model_type\": \"gemma3\", \"quantization_config\": {}, \"text_config\": {}}",
         "quantization_config"},
        {"{\"model_type\": \"gemma3_text\", \"hidden_size\": 8, \"hidden_size\": 8}",
         "JSON"},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_gemma_config c = {.n_vocab = -7};
        fc_err err = {0};
        const fc_status status = load(&c, cases[i].text, &err);
        if (status != FC_FORMAT || strstr(err.text, cases[i].word) == NULL)
            fail_msg("%s: %s: %s", cases[i].text, fc_status_word(status), err.text);
        assert_int_equal(c.n_vocab, -7); /* untouched */
    }
    fc_gemma_config c;
    fc_err err;
    fc_assert_fails(fc_gemma_config_load(&c, "/nonexistent/config.json", &err), &err,
                    FC_IO, "/nonexistent/config.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_keys_take_the_defaults_of_transformers),
        cmocka_unit_test(sparse_multimodal_configs_are_completed),
        cmocka_unit_test(rope_takes_each_key_from_the_strongest_source),
        cmocka_unit_test(layer_kinds_come_from_the_list_or_from_the_pattern),
        cmocka_unit_test(the_softcap_is_for_text_only_models),
        cmocka_unit_test(ids_and_the_tied_head_are_read_at_their_places),
        cmocka_unit_test(each_rule_refuses_with_its_key),
        cmocka_unit_test(files_that_are_no_gemma3_config_are_refused),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
