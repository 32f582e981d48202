/* tiny_gemma.c - writes a random Gemma 3 checkpoint, whole or damaged as asked.
 *
 * Matrices are normal with variance 1 / in, so that activations keep their size; norm gains are
 * normal around 0, the stored offset from 1.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "tiny_gemma.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "formats/json.h"
#include "formats/safetensors.h"

enum { MAX_TENSORS = 256, NAME_BYTES = 96 };

typedef struct tensors {
    const fc_tiny_gemma *tiny;
    fc_tensor tensor[MAX_TENSORS];
    char name[MAX_TENSORS][NAME_BYTES];
    void *data[MAX_TENSORS];
    fc_tensor part[MAX_TENSORS]; /* those of one shard */
    int64_t n;
    uint64_t n_drawn;
} tensors;

fc_tiny_gemma fc_tiny_gemma_defaults(void)
{
    return (fc_tiny_gemma){.n_vocab = 256,
                           .d_model = 64,
                           .d_mlp = 96,
                           .n_layers = 2,
                           .n_heads = 4,
                           .n_kv_heads = 2,
                           .d_head = 16,
                           .window = 8,
                           .pattern = 2,
                           .query_pre_attn_scalar = 16,
                           .seed = 1,
                           .dtype = FC_BF16,
                           .prefix = "model."};
}

static bool is_named(const char *asked, const char *name)
{
    return asked != NULL && strcmp(asked, name) == 0;
}

/* cols 0: a vector of gains. */
static void add(tensors *all, const char *name, int64_t rows, int64_t cols)
{
    const fc_tiny_gemma *tiny = all->tiny;
    if (is_named(tiny->left_out, name)) return;
    if (is_named(tiny->misshapen, name)) rows++;
    const bool is_gain = cols == 0;
    const int64_t n = is_gain ? rows : rows * cols;
    const double scale = is_gain ? 0.3 : 1 / sqrt((double)cols);
    float *values = calloc((size_t)n, sizeof *values);
    void *data = calloc((size_t)n, sizeof *values);
    assert_true(values != NULL && data != NULL && all->n < MAX_TENSORS);
    for (int64_t i = 0; i < n; i++)
        values[i] =
            (float)(scale * fc_rng_normal(tiny->seed, FC_RNG_TEST, all->n_drawn++));
    if (is_named(tiny->poisoned, name)) values[n - 1] = (float)NAN;
    fc_from_f32(data, tiny->dtype, values, n);
    free(values);

    fc_tensor *tensor = &all->tensor[all->n];
    snprintf(all->name[all->n], NAME_BYTES, "%s", name);
    all->data[all->n] = data;
    *tensor = (fc_tensor){.name = all->name[all->n],
                          .dtype = tiny->dtype,
                          .rank = is_gain ? 1 : 2,
                          .shape = {rows, cols},
                          .n = n,
                          .data = data,
                          .n_bytes = (size_t)n * fc_dtype_size(tiny->dtype)};
    all->n++;
}

static void add_layer(tensors *all, int64_t layer)
{
    const fc_tiny_gemma *tiny = all->tiny;
    const int64_t q = tiny->n_heads * tiny->d_head, k = tiny->n_kv_heads * tiny->d_head;
    const struct {
        const char *name;
        int64_t rows, cols;
    } rows[] = {
        {"input_layernorm", tiny->d_model, 0},
        {"post_attention_layernorm", tiny->d_model, 0},
        {"pre_feedforward_layernorm", tiny->d_model, 0},
        {"post_feedforward_layernorm", tiny->d_model, 0},
        {"self_attn.q_norm", tiny->d_head, 0},
        {"self_attn.k_norm", tiny->d_head, 0},
        {"self_attn.q_proj", q, tiny->d_model},
        {"self_attn.k_proj", k, tiny->d_model},
        {"self_attn.v_proj", k, tiny->d_model},
        {"self_attn.o_proj", tiny->d_model, q},
        {"mlp.gate_proj", tiny->d_mlp, tiny->d_model},
        {"mlp.up_proj", tiny->d_mlp, tiny->d_model},
        {"mlp.down_proj", tiny->d_model, tiny->d_mlp},
    };
    for (size_t i = 0; i < FC_LEN(rows); i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "%slayers.%" PRId64 ".%s.weight", tiny->prefix, layer,
                 rows[i].name);
        add(all, name, rows[i].rows, rows[i].cols);
    }
}

static void add_all(tensors *all)
{
    const fc_tiny_gemma *tiny = all->tiny;
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%sembed_tokens.weight", tiny->prefix);
    add(all, name, tiny->n_vocab, tiny->d_model);
    for (int64_t i = 0; i < tiny->n_layers; i++) add_layer(all, i);
    snprintf(name, sizeof name, "%snorm.weight", tiny->prefix);
    add(all, name, tiny->d_model, 0);
    if (tiny->has_head) add(all, "lm_head.weight", tiny->n_vocab, tiny->d_model);
}

static void write_config(const char *dir, const fc_tiny_gemma *tiny)
{
    char text[4096], path[FC_PATH_MAX];
    const int n = snprintf(
        text, sizeof text,
        "{\"architectures\": [\"Gemma3ForCausalLM\"], \"model_type\": \"gemma3_text\",\n"
        " \"vocab_size\": %" PRId64 ", \"hidden_size\": %" PRId64
        ", \"intermediate_size\": %" PRId64 ",\n \"num_hidden_layers\": %" PRId64
        ", \"num_attention_heads\": %" PRId64 ", \"num_key_value_heads\": %" PRId64
        ", \"head_dim\": %" PRId64 ",\n \"sliding_window\": %" PRId64
        ", \"sliding_window_pattern\": %" PRId64 ", \"query_pre_attn_scalar\": %" PRId64
        ",\n \"tie_word_embeddings\": %s%s%s}\n",
        tiny->n_vocab, tiny->d_model, tiny->d_mlp, tiny->n_layers, tiny->n_heads,
        tiny->n_kv_heads, tiny->d_head, tiny->window, tiny->pattern,
        tiny->query_pre_attn_scalar, tiny->has_head ? "false" : "true",
        tiny->more_config != NULL ? ", " : "",
        tiny->more_config != NULL ? tiny->more_config : "");
    assert_true(n > 0 && n < (int)sizeof text);
    fc_test_path(path, dir, "config.json");
    fc_test_write(path, text, (size_t)n);
}

/* Tensor i goes to shard i mod n_shards. */
static void write_shards(const char *dir, tensors *all)
{
    const int n_shards = all->tiny->n_shards;
    json_t *root = json_object(), *map = json_object();
    char file[64], path[FC_PATH_MAX];
    fc_err err;
    for (int shard = 0; shard < n_shards; shard++) {
        int64_t n = 0;
        snprintf(file, sizeof file, "model-%05d-of-%05d.safetensors", shard + 1,
                 n_shards);
        for (int64_t i = shard; i < all->n; i += n_shards) {
            all->part[n++] = all->tensor[i];
            json_object_set_new(map, all->tensor[i].name, json_string(file));
        }
        fc_test_path(path, dir, file);
        fc_assert_ok(fc_safetensors_save(path, all->part, n, &err), &err);
    }
    json_object_set_new(root, "weight_map", map);
    fc_test_path(path, dir, "model.safetensors.index.json");
    fc_assert_ok(fc_json_save(root, path, &err), &err);
    json_decref(root);
}

void fc_tiny_gemma_write(const char *dir, const fc_tiny_gemma *tiny)
{
    tensors *all = calloc(1, sizeof *all);
    assert_non_null(all);
    all->tiny = tiny;
    add_all(all);
    write_config(dir, tiny);
    if (tiny->n_shards > 0) {
        write_shards(dir, all);
    } else {
        char path[FC_PATH_MAX];
        fc_err err;
        fc_test_path(path, dir, "model.safetensors");
        fc_assert_ok(fc_safetensors_save(path, all->tensor, all->n, &err), &err);
    }
    for (int64_t i = 0; i < all->n; i++) free(all->data[i]);
    free(all);
}
