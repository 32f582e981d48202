/* synthetic_gemma.c - a checkpoint in the exact shapes of Gemma 3 1B with random weights.
 *
 *   synthetic_gemma OUT [TOKENIZER.JSON]
 *
 * For measuring time and memory at real size where the real weights are not at hand: 26 layers,
 * width 1152, 262,144-row embedding, bf16, 2.0 GB. The tokenizer is the given one (by default that
 * of the example model), with its vocabulary filled up by unused pieces.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/rng.h"
#include "formats/json.h"
#include "formats/safetensors.h"

enum {
    N_LAYERS = 26,
    D_MODEL = 1152,
    D_MLP = 6912,
    N_VOCAB = 262144,
    D_HEAD = 256,
    N_HEADS = 4
};

static const struct layer_tensor {
    const char *name;
    int64_t rows, cols; /* cols 0: a norm's gain */
} layer_tensors[] = {
    {"input_layernorm", D_MODEL, 0},
    {"post_attention_layernorm", D_MODEL, 0},
    {"pre_feedforward_layernorm", D_MODEL, 0},
    {"post_feedforward_layernorm", D_MODEL, 0},
    {"self_attn.q_proj", N_HEADS *D_HEAD, D_MODEL},
    {"self_attn.k_proj", D_HEAD, D_MODEL},
    {"self_attn.v_proj", D_HEAD, D_MODEL},
    {"self_attn.o_proj", D_MODEL, N_HEADS *D_HEAD},
    {"self_attn.q_norm", D_HEAD, 0},
    {"self_attn.k_norm", D_HEAD, 0},
    {"mlp.gate_proj", D_MLP, D_MODEL},
    {"mlp.up_proj", D_MLP, D_MODEL},
    {"mlp.down_proj", D_MODEL, D_MLP},
};

/* Uniform in +-0.05: eight numbers from one block of random words. */
static void fill(fc_bf16 *w, int64_t n, uint64_t stream, int64_t first)
{
    for (int64_t i = 0; i < n; i += 8) {
        uint32_t word[4];
        fc_rng_block(0, stream, (uint64_t)(first + i), word);
        for (int64_t k = 0; k < 8 && i + k < n; k++) {
            const uint32_t half = word[k / 2] >> (16 * (k % 2)) & 0xffff;
            w[i + k] = fc_bf16_from_f32(0.1f * ((float)half / 65536.0f - 0.5f));
        }
    }
}

static void tensor_name(char name[128], int64_t layer, const char *tail)
{
    if (layer < 0)
        snprintf(name, 128, "model.%s.weight", tail);
    else
        snprintf(name, 128, "model.layers.%" PRId64 ".%s.weight", layer, tail);
}

static fc_status declare(fc_safetensors_out *out, int64_t layer, const char *tail,
                         int64_t rows, int64_t cols, fc_err *err)
{
    char name[128];
    const int64_t shape[2] = {rows, cols};
    tensor_name(name, layer, tail);
    return fc_safetensors_declare(out, name, FC_BF16, cols ? 2 : 1, shape, err);
}

static fc_status write(fc_safetensors_out *out, int64_t layer, const char *tail,
                       int64_t rows, int64_t cols, fc_err *err)
{
    enum { PIECE = 1 << 20 };
    static fc_bf16 piece[PIECE];
    char name[128], hex[FC_HASH_HEX];
    const int64_t n = cols ? rows * cols : rows;
    tensor_name(name, layer, tail);
    fc_hash_bytes(name, strlen(name),
                  hex); /* every tensor draws from a stream of its own */
    const uint64_t stream = strtoull(hex + 16, NULL, 16);
    for (int64_t i = 0; i < n; i += PIECE) {
        const int64_t k = fc_min(PIECE, n - i);
        fill(piece, k, stream, i);
        FC_TRY(fc_safetensors_write(out, name, piece, (size_t)k * sizeof *piece, err));
    }
    return FC_OK;
}

typedef fc_status tensor_fn(fc_safetensors_out *out, int64_t layer, const char *tail,
                            int64_t rows, int64_t cols, fc_err *err);

static fc_status each_tensor(fc_safetensors_out *out, tensor_fn *fn, fc_err *err)
{
    FC_TRY(fn(out, -1, "embed_tokens", N_VOCAB, D_MODEL, err));
    for (int64_t l = 0; l < N_LAYERS; l++)
        for (size_t i = 0; i < FC_LEN(layer_tensors); i++)
            FC_TRY(fn(out, l, layer_tensors[i].name, layer_tensors[i].rows,
                      layer_tensors[i].cols, err));
    return fn(out, -1, "norm", D_MODEL, 0, err);
}

static fc_status write_weights(const char *dir, fc_err *err)
{
    char path[FC_PATH_MAX];
    fc_safetensors_out *out = NULL;
    FC_TRY(fc_path_join(path, dir, "model.safetensors", err));
    FC_TRY(fc_safetensors_create(&out, path, err));
    fc_status status = each_tensor(out, declare, err);
    if (status == FC_OK) status = each_tensor(out, write, err);
    if (status == FC_OK) status = fc_safetensors_commit(out, err);
    fc_safetensors_discard(out);
    return status;
}

static fc_status write_config(const char *dir, fc_err *err)
{
    char path[FC_PATH_MAX];
    json_t *config = json_pack(
        "{s[s], ss, si, si, si, si, si, si, si, si, si, si, sf, sf, ss}", "architectures",
        "Gemma3ForCausalLM", "model_type", "gemma3_text", "vocab_size", N_VOCAB,
        "hidden_size", D_MODEL, "intermediate_size", D_MLP, "num_hidden_layers", N_LAYERS,
        "num_attention_heads", N_HEADS, "num_key_value_heads", 1, "head_dim", D_HEAD,
        "query_pre_attn_scalar", 256, "sliding_window", 512, "max_position_embeddings",
        32768, "rope_theta", 1e6, "rope_local_base_freq", 1e4, "torch_dtype", "bfloat16");
    FC_TRY(fc_path_join(path, dir, "config.json", err));
    const fc_status status = fc_json_save(config, path, err);
    json_decref(config);
    return status;
}

static fc_status write_tokenizer(const char *dir, const char *from, fc_err *err)
{
    char path[FC_PATH_MAX], piece[32];
    json_t *root = NULL;
    FC_TRY(fc_json_load(&root, from, err));
    json_t *vocab = json_object_get(json_object_get(root, "model"), "vocab");
    for (int64_t id = (int64_t)json_object_size(vocab); id < N_VOCAB; id++) {
        snprintf(piece, sizeof piece, "<filler%" PRId64 ">", id);
        json_object_set_new(vocab, piece, json_integer(id));
    }
    fc_status status = fc_path_join(path, dir, "tokenizer.json", err);
    if (status == FC_OK) status = fc_json_save(root, path, err);
    json_decref(root);
    return status;
}

int main(int argc, char **argv)
{
    fc_err err = {0};
    if (argc < 2) {
        fputs("usage: synthetic_gemma OUT [TOKENIZER.JSON]\n", stderr);
        return 2;
    }
    fc_status status = fc_dir_make(argv[1], &err);
    if (status == FC_OK) status = write_config(argv[1], &err);
    if (status == FC_OK)
        status = write_tokenizer(
            argv[1], argc > 2 ? argv[2] : "assets/example-model/tokenizer.json", &err);
    if (status == FC_OK) status = write_weights(argv[1], &err);
    if (status != FC_OK) fprintf(stderr, "synthetic_gemma: %s\n", err.text);
    return fc_status_exit_code(status);
}
