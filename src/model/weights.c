/* weights.c - fills the weight table: two tables say which tensor goes where and how large it is.
 *
 * 13 tensors a layer, plus embedding, final norm and perhaps a head. An lm_head in the files is
 * used even when the config calls the head tied, as transformers does. Matrices are not copied,
 * except a float32 one at an odd address, which the products could not read.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "model/weights.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

typedef enum dim { D_MODEL, D_MLP, D_HEAD, D_Q, D_KV } dim;

typedef struct layer_tensor {
    const char *name;
    size_t offset; /* in fc_layer_weights */
    dim out, in;   /* a gain has `out` only */
} layer_tensor;

#define MEMBER(name) offsetof(fc_layer_weights, name)
static const layer_tensor matrices[] = {
    {"self_attn.q_proj", MEMBER(q), D_Q, D_MODEL},
    {"self_attn.k_proj", MEMBER(k), D_KV, D_MODEL},
    {"self_attn.v_proj", MEMBER(v), D_KV, D_MODEL},
    {"self_attn.o_proj", MEMBER(o), D_MODEL, D_Q},
    {"mlp.gate_proj", MEMBER(gate), D_MLP, D_MODEL},
    {"mlp.up_proj", MEMBER(up), D_MLP, D_MODEL},
    {"mlp.down_proj", MEMBER(down), D_MODEL, D_MLP},
};
static const layer_tensor gains[] = {
    {"input_layernorm", MEMBER(input_norm), D_MODEL, D_MODEL},
    {"post_attention_layernorm", MEMBER(post_attention_norm), D_MODEL, D_MODEL},
    {"pre_feedforward_layernorm", MEMBER(pre_feedforward_norm), D_MODEL, D_MODEL},
    {"post_feedforward_layernorm", MEMBER(post_feedforward_norm), D_MODEL, D_MODEL},
    {"self_attn.q_norm", MEMBER(q_norm), D_HEAD, D_HEAD},
    {"self_attn.k_norm", MEMBER(k_norm), D_HEAD, D_HEAD},
};
#undef MEMBER

typedef struct loader {
    const fc_weight_files *files;
    const fc_gemma_config *config;
    fc_arena *arena;
} loader;

static int64_t size_of(const fc_gemma_config *config, dim which)
{
    switch (which) {
    case D_MODEL: return config->d_model;
    case D_MLP: return config->d_mlp;
    case D_HEAD: return config->d_head;
    case D_Q: return config->n_heads * config->d_head;
    case D_KV: return config->n_kv_heads * config->d_head;
    }
    return 0;
}

/* --- one tensor ------------------------------------------------------------------------- */

/* cols -1: a vector of `rows`. */
static fc_status check(const fc_tensor *tensor, const char *path, int64_t rows,
                       int64_t cols, fc_err *err)
{
    const fc_dtype type = tensor->dtype;
    if (type != FC_BF16 && type != FC_F16 && type != FC_F32)
        return fc_fail(err, FC_FORMAT,
                       "%s: '%s' is of type %s, expected BF16, F16 or F32", path,
                       tensor->name, fc_dtype_name(type));
    const bool is_vector = cols < 0;
    const bool is_fitting = is_vector ? tensor->rank == 1 && tensor->shape[0] == rows
                                      : tensor->rank == 2 && tensor->shape[0] == rows &&
                                            tensor->shape[1] == cols;
    if (is_fitting) return FC_OK;
    char found[128] = "", expected[64];
    size_t n = 0;
    for (int i = 0; i < tensor->rank && n < sizeof found; i++)
        n += (size_t)snprintf(found + n, sizeof found - n, "%s%" PRId64,
                              i > 0 ? ", " : "", tensor->shape[i]);
    if (is_vector)
        snprintf(expected, sizeof expected, "%" PRId64, rows);
    else
        snprintf(expected, sizeof expected, "%" PRId64 ", %" PRId64, rows, cols);
    return fc_fail(err, FC_MISMATCH,
                   "%s: '%s' has the shape [%s], expected [%s] by config.json", path,
                   tensor->name, found, expected);
}

static fc_status need(const loader *from, const char *name, const fc_tensor **tensor,
                      const char **path, fc_err *err)
{
    FC_TRY(fc_weight_files_find(from->files, name, tensor, path, err));
    if (*tensor != NULL) return FC_OK;
    return fc_fail(err, FC_FORMAT,
                   "%s: '%s%s' is missing, expected it in a Gemma 3 model of %" PRId64
                   " layers",
                   *path, from->files->prefix, name, from->config->n_layers);
}

static fc_status take_matrix(const loader *to, fc_mat *matrix, const fc_tensor *tensor,
                             int64_t rows, int64_t cols, fc_err *err)
{
    const void *data = tensor->data;
    if (tensor->dtype == FC_F32 && (uintptr_t)data % sizeof(float) != 0) {
        float *copy;
        FC_TRY(fc_arena_alloc(to->arena, &copy, tensor->n, sizeof *copy, err));
        fc_to_f32(copy, data, FC_F32, tensor->n);
        data = copy;
    }
    *matrix = fc_mat_of(data, tensor->dtype, rows, cols);
    return FC_OK;
}

static fc_status load_matrix(const loader *from, fc_mat *matrix, const char *name,
                             int64_t rows, int64_t cols, fc_err *err)
{
    const fc_tensor *tensor;
    const char *path;
    FC_TRY(need(from, name, &tensor, &path, err));
    FC_TRY(check(tensor, path, rows, cols, err));
    return take_matrix(from, matrix, tensor, rows, cols, err);
}

static fc_status load_gain(const loader *from, const float **gain, const char *name,
                           int64_t n, fc_err *err)
{
    const fc_tensor *tensor;
    const char *path;
    float *copy;
    FC_TRY(need(from, name, &tensor, &path, err));
    FC_TRY(check(tensor, path, n, -1, err));
    FC_TRY(fc_arena_alloc(from->arena, &copy, n, sizeof *copy, err));
    fc_to_f32(copy, tensor->data, tensor->dtype, n);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(copy[i]))
            return fc_fail(err, FC_FORMAT,
                           "%s: '%s'[%" PRId64 "] is %g, expected a finite number", path,
                           tensor->name, i, (double)copy[i]);
    *gain = copy;
    return FC_OK;
}

/* --- the table -------------------------------------------------------------------------- */

static fc_status load_layer(const loader *from, fc_layer_weights *layer, int64_t index,
                            fc_err *err)
{
    char name[128];
    for (size_t i = 0; i < FC_LEN(gains); i++) {
        const float *gain;
        snprintf(name, sizeof name, "layers.%" PRId64 ".%s.weight", index, gains[i].name);
        FC_TRY(load_gain(from, &gain, name, size_of(from->config, gains[i].out), err));
        memcpy((char *)layer + gains[i].offset, &gain, sizeof gain);
    }
    for (size_t i = 0; i < FC_LEN(matrices); i++) {
        fc_mat matrix;
        snprintf(name, sizeof name, "layers.%" PRId64 ".%s.weight", index,
                 matrices[i].name);
        FC_TRY(load_matrix(from, &matrix, name, size_of(from->config, matrices[i].out),
                           size_of(from->config, matrices[i].in), err));
        memcpy((char *)layer + matrices[i].offset, &matrix, sizeof matrix);
    }
    return FC_OK;
}

static fc_status load_head(const loader *from, fc_weights *weights, fc_err *err)
{
    const fc_gemma_config *config = from->config;
    const fc_tensor *tensor;
    const char *path;
    FC_TRY(fc_weight_files_find_head(from->files, &tensor, &path, err));
    weights->head = weights->embed;
    if (tensor != NULL) {
        FC_TRY(check(tensor, path, config->n_vocab, config->d_model, err));
        return take_matrix(from, &weights->head, tensor, config->n_vocab, config->d_model,
                           err);
    }
    if (config->is_head_tied) return FC_OK;
    return fc_fail(
        err, FC_FORMAT,
        "%s: 'lm_head.weight' is missing, expected it since tie_word_embeddings is false",
        from->files->list_path);
}

/* transformers says the same of layers that the config does not count. */
static fc_status warn_of_more_layers(const loader *from, fc_err *err)
{
    char name[128];
    const fc_tensor *tensor;
    const char *path;
    snprintf(name, sizeof name, "layers.%" PRId64 ".input_layernorm.weight",
             from->config->n_layers);
    FC_TRY(fc_weight_files_find(from->files, name, &tensor, &path, err));
    if (tensor != NULL)
        fc_log(FC_LOG_WARN, "%s: '%s' is not used, since num_hidden_layers is %" PRId64,
               path, tensor->name, from->config->n_layers);
    return FC_OK;
}

fc_status fc_weights_load(fc_weights *weights, const fc_weight_files *files,
                          const fc_gemma_config *config, fc_arena *arena, fc_err *err)
{
    const loader from = {files, config, arena};
    FC_TRY(load_matrix(&from, &weights->embed, "embed_tokens.weight", config->n_vocab,
                       config->d_model, err));
    FC_TRY(load_gain(&from, &weights->final_norm, "norm.weight", config->d_model, err));
    FC_TRY(load_head(&from, weights, err));
    FC_TRY(fc_arena_alloc(arena, &weights->layer, config->n_layers,
                          sizeof *weights->layer, err));
    for (int64_t i = 0; i < config->n_layers; i++)
        FC_TRY(load_layer(&from, &weights->layer[i], i, err));
    return warn_of_more_layers(&from, err);
}
