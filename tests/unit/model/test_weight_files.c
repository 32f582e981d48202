/* test_weight_files.c - checkpoint folders: prefixes, shards, types, and every kind of damage.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "formats/safetensors.h"
#include "model/model.h"
#include "tiny_gemma.h"

static char dir[FC_PATH_MAX];
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
    fc_log_set_sink((fc_log_sink){.message = count_warnings});
    n_warnings = 0;
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    fc_log_set_sink((fc_log_sink){0});
    fc_test_dir_remove(dir);
    return 0;
}

static void write_text(const char *name, const char *text)
{
    char path[FC_PATH_MAX];
    fc_test_path(path, dir, name);
    fc_test_write(path, text, strlen(text));
}

/* --- logits of one short sequence, to tell models apart --------------------------------- */

enum { N_TOKENS = 5, N_VOCAB = 256 };

static fc_status copy_logits(void *ctx, const fc_hook_point *point, float *x,
                             int64_t n_tokens, fc_err *err)
{
    (void)err;
    memcpy(ctx, x, (size_t)(n_tokens * point->width) * sizeof *x);
    return FC_OK;
}

/* logits: [N_TOKENS, N_VOCAB] of the model now in dir. */
static void run(float *logits)
{
    static const int32_t id[N_TOKENS] = {2, 77, 5, 255, 0};
    static const int64_t begin[] = {0, N_TOKENS};
    fc_err err;
    fc_model *model = NULL;
    fc_backend *be = NULL;
    fc_runner *runner = NULL;
    fc_hook hook = {.fn = copy_logits, .ctx = logits};
    fc_assert_ok(fc_model_load(&model, dir, &err), &err);
    fc_assert_ok(fc_backend_open(&be, NULL, &err), &err);
    fc_assert_ok(fc_runner_new(&runner, model, be, FC_F32_PRECISION, N_TOKENS, &err),
                 &err);
    fc_assert_ok(fc_hook_parse(&hook.point, "lm_head", fc_model_config(model), &err),
                 &err);
    fc_assert_ok(fc_runner_run(runner, (fc_batch){id, {1, begin}}, &hook, 1, &err), &err);
    fc_runner_free(runner);
    fc_backend_close(be);
    fc_model_close(model);
}

static float logits_a[N_TOKENS * N_VOCAB], logits_b[N_TOKENS * N_VOCAB];

static void prefixes_and_shards_change_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *prefix;
        int n_shards;
    } cases[] = {{"model.language_model.", 0},
                 {"language_model.model.", 0},
                 {"", 0},
                 {"model.", 1},
                 {"model.", 3},
                 {"", 5},
                 {"language_model.model.", 2}};
    fc_tiny_gemma tiny = fc_tiny_gemma_defaults();
    fc_tiny_gemma_write(dir, &tiny);
    run(logits_a);
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        remove_dir(NULL);
        make_dir(NULL);
        tiny.prefix = cases[i].prefix;
        tiny.n_shards = cases[i].n_shards;
        fc_tiny_gemma_write(dir, &tiny);
        run(logits_b);
        assert_memory_equal(logits_a, logits_b, sizeof logits_a);
    }
}

static void one_file_wins_over_an_index(void **state)
{
    (void)state;
    fc_tiny_gemma tiny = fc_tiny_gemma_defaults();
    fc_tiny_gemma_write(dir, &tiny);
    run(logits_a);
    write_text("model.safetensors.index.json", "not JSON");
    run(logits_b);
    assert_memory_equal(logits_a, logits_b, sizeof logits_a);
}

static void a_head_in_the_files_is_used_even_when_the_config_says_tied(void **state)
{
    (void)state;
    fc_tiny_gemma tiny = fc_tiny_gemma_defaults();
    fc_tiny_gemma_write(dir, &tiny);
    run(logits_a);
    tiny.has_head = 1;
    fc_tiny_gemma_write(dir, &tiny);
    run(logits_b);
    assert_true(fc_compare(logits_b, logits_a, N_TOKENS * N_VOCAB).l2 > 0.1);

    char path[FC_PATH_MAX], *config;
    size_t n;
    fc_test_path(path, dir, "config.json");
    config = fc_test_read(path, &n);
    char *word = strstr(config, "false");
    assert_non_null(word);
    for (int i = 0; i < 5; i++) word[i] = "true "[i];
    fc_test_write(path, config, n);
    free(config);
    run(logits_a);
    assert_memory_equal(logits_a, logits_b, sizeof logits_a);
}

/* One more space after the header moves the data to an odd address. */
static void unaligned_float32_weights_are_read(void **state)
{
    (void)state;
    fc_tiny_gemma tiny = fc_tiny_gemma_defaults();
    tiny.dtype = FC_F32;
    fc_tiny_gemma_write(dir, &tiny);
    run(logits_a);

    char path[FC_PATH_MAX];
    size_t n;
    fc_test_path(path, dir, "model.safetensors");
    char *file = fc_test_read(path, &n), *moved = calloc(n + 1, 1);
    assert_non_null(moved);
    uint64_t n_header;
    memcpy(&n_header, file, sizeof n_header);
    const size_t data = 8 + (size_t)n_header;
    memcpy(moved, file, data);
    moved[data] = ' ';
    memcpy(moved + data + 1, file + data, n - data);
    n_header++;
    memcpy(moved, &n_header, sizeof n_header);
    fc_test_write(path, moved, n + 1);
    free(file);
    free(moved);
    run(logits_b);
    assert_memory_equal(logits_a, logits_b, sizeof logits_a);
}

/* --- fingerprints ----------------------------------------------------------------------- */

static void take_fingerprint(char *hex, const fc_tiny_gemma *tiny)
{
    fc_err err;
    fc_model *model = NULL;
    fc_tiny_gemma_write(dir, tiny);
    fc_assert_ok(fc_model_load(&model, dir, &err), &err);
    assert_string_equal(fc_model_dir(model), dir);
    snprintf(hex, FC_HASH_HEX, "%s", fc_model_fingerprint(model));
    assert_int_equal(strlen(hex), FC_HASH_HEX - 1);
    fc_model_close(model);
}

static void fingerprints_tell_models_of_one_shape_apart(void **state)
{
    (void)state;
    char a[FC_HASH_HEX], b[FC_HASH_HEX];
    fc_tiny_gemma tiny = fc_tiny_gemma_defaults();
    take_fingerprint(a, &tiny);
    take_fingerprint(b, &tiny);
    assert_string_equal(a, b);
    tiny.seed = 2; /* other weights */
    take_fingerprint(b, &tiny);
    assert_string_not_equal(a, b);
    tiny.seed = 1;
    tiny.window = 9; /* other config */
    take_fingerprint(b, &tiny);
    assert_string_not_equal(a, b);
}

/* --- damage ----------------------------------------------------------------------------- */

static const struct {
    const char *left_out, *misshapen, *poisoned;
    fc_status status;
    const char *words[3];
} damages[] = {
    {"model.embed_tokens.weight", NULL, NULL, FC_FORMAT, {"model.embed_tokens.weight"}},
    {"model.norm.weight", NULL, NULL, FC_FORMAT, {"'model.norm.weight' is missing"}},
    {"model.layers.1.mlp.up_proj.weight",
     NULL,
     NULL,
     FC_FORMAT,
     {"'model.layers.1.mlp.up_proj.weight' is missing", "2 layers"}},
    {"model.layers.0.self_attn.k_norm.weight", NULL, NULL, FC_FORMAT, {"k_norm"}},
    {"lm_head.weight", NULL, NULL, FC_FORMAT, {"lm_head.weight", "tie_word_embeddings"}},
    {NULL,
     "model.embed_tokens.weight",
     NULL,
     FC_MISMATCH,
     {"'model.embed_tokens.weight'", "[257, 64]", "[256, 64]"}},
    {NULL,
     "lm_head.weight",
     NULL,
     FC_MISMATCH,
     {"'lm_head.weight'", "[257, 64]", "[256, 64]"}},
    {NULL,
     "model.layers.0.self_attn.q_proj.weight",
     NULL,
     FC_MISMATCH,
     {"[65, 64]", "[64, 64]"}},
    {NULL,
     "model.layers.0.self_attn.v_proj.weight",
     NULL,
     FC_MISMATCH,
     {"[33, 64]", "[32, 64]"}},
    {NULL,
     "model.layers.1.mlp.down_proj.weight",
     NULL,
     FC_MISMATCH,
     {"[65, 96]", "[64, 96]"}},
    {NULL, "model.layers.1.self_attn.q_norm.weight", NULL, FC_MISMATCH, {"[17]", "[16]"}},
    {NULL, NULL, "model.norm.weight", FC_FORMAT, {"'model.norm.weight'[63]", "nan"}},
    {NULL,
     NULL,
     "model.layers.1.post_feedforward_layernorm.weight",
     FC_FORMAT,
     {"nan", "finite"}},
};

static void missing_misshapen_and_poisoned_tensors_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < FC_LEN(damages); i++) {
        fc_tiny_gemma tiny = fc_tiny_gemma_defaults();
        tiny.has_head = 1;
        tiny.left_out = damages[i].left_out;
        tiny.misshapen = damages[i].misshapen;
        tiny.poisoned = damages[i].poisoned;
        fc_tiny_gemma_write(dir, &tiny);
        fc_model *model = NULL;
        fc_err err = {0};
        const fc_status status = fc_model_load(&model, dir, &err);
        bool is_said =
            status == damages[i].status && strstr(err.text, "model.safetensors") != NULL;
        for (int w = 0; w < 3 && damages[i].words[w] != NULL; w++)
            is_said = is_said && strstr(err.text, damages[i].words[w]) != NULL;
        if (!is_said) fail_msg("case %zu: %s: %s", i, fc_status_word(status), err.text);
        assert_null(model);
    }
}

static void tensors_of_other_types_are_refused(void **state)
{
    (void)state;
    static const int32_t zeros[256 * 64];
    const fc_tensor embed = {.name = "model.embed_tokens.weight",
                             .dtype = FC_I32,
                             .rank = 2,
                             .shape = {256, 64},
                             .n = 256 * 64,
                             .data = zeros,
                             .n_bytes = sizeof zeros};
    const fc_tiny_gemma tiny = fc_tiny_gemma_defaults();
    char path[FC_PATH_MAX];
    fc_model *model = NULL;
    fc_err err;
    fc_tiny_gemma_write(dir, &tiny);
    fc_test_path(path, dir, "model.safetensors");
    fc_assert_ok(fc_safetensors_save(path, &embed, 1, &err), &err);
    fc_assert_fails(fc_model_load(&model, dir, &err), &err, FC_FORMAT, "embed_tokens",
                    "I32", "BF16");
}

static const struct {
    const char *index;
    fc_status status;
    const char *words[2];
} bad_indexes[] = {
    {"{", FC_FORMAT, {"JSON"}},
    {"[]", FC_FORMAT, {"weight_map", "nothing"}},
    {"{\"weight_map\": []}", FC_FORMAT, {"weight_map", "a list"}},
    {"{\"weight_map\": {}}", FC_FORMAT, {"weight_map", "empty"}},
    {"{\"weight_map\": {\"a\": 1}}", FC_FORMAT, {"'a'", "an integer"}},
    {"{\"weight_map\": {\"a\": \"\"}}", FC_FORMAT, {"'a'", "same folder"}},
    {"{\"weight_map\": {\"a\": \"../model-00001-of-00002.safetensors\"}}",
     FC_FORMAT,
     {"same folder"}},
    {"{\"weight_map\": {\"a\": \"/etc/passwd\"}}",
     FC_FORMAT,
     {"/etc/passwd", "same folder"}},
    {"{\"weight_map\": {\"a\": \"..\"}}", FC_FORMAT, {"same folder"}},
    {"{\"weight_map\": {\"a\": \"sub/x.safetensors\"}}", FC_FORMAT, {"same folder"}},
    {"{\"weight_map\": {\"a\": \"sub\\\\x.safetensors\"}}", FC_FORMAT, {"same folder"}},
    {"{\"weight_map\": {\"a\": \"model-00001-of-00002.safetensors\\u0000/x\"}}",
     FC_FORMAT,
     {"same folder"}},
    {"{\"weight_map\": {\"a\": \"model-00009-of-00002.safetensors\"}}",
     FC_IO,
     {"a shard of", "model-00009-of-00002.safetensors"}},
    {"{\"weight_map\": {\"model.embed_tokens.weight\": "
     "\"model-00002-of-00002.safetensors\"}}",
     FC_FORMAT,
     {"'model.embed_tokens.weight' is not in the file", "index.json"}},
    {"{\"weight_map\": {\"other\": \"model-00002-of-00002.safetensors\"}}",
     FC_FORMAT,
     {"no tensor is named", "index.json"}},
};

static void damaged_indexes_are_refused(void **state)
{
    (void)state;
    fc_tiny_gemma tiny = fc_tiny_gemma_defaults();
    tiny.n_shards = 2;
    fc_tiny_gemma_write(dir, &tiny);
    for (size_t i = 0; i < FC_LEN(bad_indexes); i++) {
        write_text("model.safetensors.index.json", bad_indexes[i].index);
        fc_model *model = NULL;
        fc_err err = {0};
        const fc_status status = fc_model_load(&model, dir, &err);
        bool is_said = status == bad_indexes[i].status;
        for (int w = 0; w < 2 && bad_indexes[i].words[w] != NULL; w++)
            is_said = is_said && strstr(err.text, bad_indexes[i].words[w]) != NULL;
        if (!is_said)
            fail_msg("%s: %s: %s", bad_indexes[i].index, fc_status_word(status),
                     err.text);
    }
}

static void folders_without_a_model_are_refused(void **state)
{
    (void)state;
    fc_model *model = NULL;
    fc_err err;
    fc_assert_fails(fc_model_load(&model, dir, &err), &err, FC_IO, "config.json");
    write_text("config.json", "{\"model_type\": \"gemma3_text\"}");
    fc_assert_fails(fc_model_load(&model, dir, &err), &err, FC_IO, dir,
                    "model.safetensors");
    write_text("model.safetensors", "short");
    fc_assert_fails(fc_model_load(&model, dir, &err), &err, FC_FORMAT,
                    "model.safetensors");
    fc_model_close(NULL);
}

static void layers_beyond_the_config_are_mentioned(void **state)
{
    (void)state;
    fc_tiny_gemma tiny = fc_tiny_gemma_defaults();
    char path[FC_PATH_MAX];
    fc_model *model = NULL;
    fc_err err;
    tiny.n_layers = 3;
    fc_tiny_gemma_write(dir, &tiny);
    fc_test_path(path, dir, "config.json");
    size_t n;
    char *config = fc_test_read(path, &n),
         *layers = strstr(config, "\"num_hidden_layers\": 3");
    assert_non_null(layers);
    layers[strlen("\"num_hidden_layers\": ")] = '2';
    fc_test_write(path, config, n);
    free(config);
    fc_assert_ok(fc_model_load(&model, dir, &err), &err);
    assert_int_equal(n_warnings, 1);
    fc_model_close(model);
}

int main(void)
{
#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        WITH_DIR(prefixes_and_shards_change_nothing),
        WITH_DIR(one_file_wins_over_an_index),
        WITH_DIR(a_head_in_the_files_is_used_even_when_the_config_says_tied),
        WITH_DIR(unaligned_float32_weights_are_read),
        WITH_DIR(fingerprints_tell_models_of_one_shape_apart),
        WITH_DIR(missing_misshapen_and_poisoned_tensors_are_named),
        WITH_DIR(tensors_of_other_types_are_refused),
        WITH_DIR(damaged_indexes_are_refused),
        WITH_DIR(folders_without_a_model_are_refused),
        WITH_DIR(layers_beyond_the_config_are_mentioned),
    };
#undef WITH_DIR
    return cmocka_run_group_tests(tests, NULL, NULL);
}
