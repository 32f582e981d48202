/* gemma_config.c - config.json of Gemma 3, in every spelling in use, to one plain struct.
 *
 *   text-only    {"model_type": "gemma3_text", "hidden_size": ..., ...}
 *   multimodal   {"model_type": "gemma3", "text_config": {"hidden_size": ..., ...}, ...}
 *
 * Published multimodal configs are sparse: an absent key takes the default of transformers'
 * Gemma3TextConfig, kept in the tables below. A rule that transformers applies silently and that
 * would give other numbers here is refused instead, since the weights alone never show it.
 *
 * RoPE of one kind of layer, key by key, the first that says something wins:
 *   full_attention     rope_scaling, rope_parameters.full_attention, rope_theta, 1e6
 *   sliding_attention  rope_parameters.sliding_attention, rope_local_base_freq, 1e4
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "model/gemma_config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "formats/json.h"

/* Where the values come from: the text keys lie at the top or in text_config. */
typedef struct source {
    const json_t *root, *text;
    const char *root_name;            /* "dir/config.json" */
    char text_name[FC_PATH_MAX + 16]; /* "dir/config.json: text_config" */
} source;

static bool is_given(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return value != NULL && !json_is_null(value);
}

/* fc_json_* takes null for absent; where transformers wants a number, null is a mistake. */
static fc_status refuse_null(const json_t *object, const char *key, const char *name,
                             fc_err *err)
{
    if (!json_is_null(json_object_get(object, key))) return FC_OK;
    return fc_fail(err, FC_FORMAT, "%s: %s is null, expected a number or no such key",
                   name, key);
}

/* --- plain keys ------------------------------------------------------------------------- */

typedef struct int_key {
    const char *key;
    size_t offset; /* int64_t in fc_gemma_config */
    int64_t absent, min, max;
} int_key;

#define MEMBER(name) offsetof(fc_gemma_config, name)
static const int_key int_keys[] = {
    {"vocab_size", MEMBER(n_vocab), 262208, 1, 1 << 24},
    {"hidden_size", MEMBER(d_model), 2304, 1, 1 << 20},
    {"intermediate_size", MEMBER(d_mlp), 9216, 1, 1 << 20},
    {"num_hidden_layers", MEMBER(n_layers), 26, 1, FC_MAX_LAYERS},
    {"num_attention_heads", MEMBER(n_heads), 8, 1, 1 << 10},
    {"num_key_value_heads", MEMBER(n_kv_heads), 4, 1, 1 << 10},
    {"head_dim", MEMBER(d_head), 256, 2, 1 << 10},
    {"sliding_window", MEMBER(window), 4096, 1, INT32_MAX},
    {"max_position_embeddings", MEMBER(max_positions), 131072, 1, INT32_MAX},
};
#undef MEMBER

static fc_status read_i64(const source *from, const int_key *key, int64_t *value,
                          fc_err *err)
{
    *value = key->absent;
    FC_TRY(refuse_null(from->text, key->key, from->text_name, err));
    FC_TRY(fc_json_i64(from->text, key->key, value, from->text_name, err));
    if (*value >= key->min && *value <= key->max) return FC_OK;
    return fc_fail(err, FC_FORMAT,
                   "%s: %s is %" PRId64 ", expected %" PRId64 "..%" PRId64,
                   from->text_name, key->key, *value, key->min, key->max);
}

static fc_status read_sizes(fc_gemma_config *config, const source *from, fc_err *err)
{
    for (size_t i = 0; i < FC_LEN(int_keys); i++) {
        int64_t value;
        FC_TRY(read_i64(from, &int_keys[i], &value, err));
        memcpy((char *)config + int_keys[i].offset, &value, sizeof value);
    }
    static const int_key scalar = {"query_pre_attn_scalar", 0, 256, 1, 1 << 20};
    int64_t value;
    FC_TRY(read_i64(from, &scalar, &value, err));
    config->query_pre_attn_scalar = (double)value;
    return FC_OK;
}

/* A token id, or null for "has none", which keeps the default. */
static fc_status read_id(int32_t *id, const source *from, const char *key, int32_t absent,
                         fc_err *err)
{
    int64_t value = absent;
    FC_TRY(fc_json_i64(from->text, key, &value, from->text_name, err));
    if (value < -1 || value > INT32_MAX)
        return fc_fail(err, FC_FORMAT, "%s: %s is %" PRId64 ", expected a token id",
                       from->text_name, key, value);
    *id = (int32_t)value;
    return FC_OK;
}

static fc_status read_positive(double *value, const json_t *object, const char *key,
                               const char *name, fc_err *err)
{
    FC_TRY(refuse_null(object, key, name, err));
    FC_TRY(fc_json_f64(object, key, value, name, err));
    if (isfinite((float)*value) && (float)*value > 0) return FC_OK;
    return fc_fail(err, FC_FORMAT, "%s: %s is %g, expected a positive number", name, key,
                   *value);
}

/* The multimodal class of transformers reads the softcap and never applies it. */
static fc_status read_softcap(fc_gemma_config *config, const source *from, fc_err *err)
{
    const char *key = "final_logit_softcapping";
    config->final_logit_softcap = 0;
    if (!is_given(from->text, key)) return FC_OK;
    FC_TRY(read_positive(&config->final_logit_softcap, from->text, key, from->text_name,
                         err));
    if (!config->is_multimodal) return FC_OK;
    fc_log(FC_LOG_WARN,
           "%s: %s is not applied, as transformers does not in a multimodal model",
           from->text_name, key);
    config->final_logit_softcap = 0;
    return FC_OK;
}

/* --- layer kinds ------------------------------------------------------------------------ */

static const char full_name[] = "full_attention", sliding_name[] = "sliding_attention";

static fc_status read_layer_types(fc_gemma_config *config, const json_t *types,
                                  const char *name, fc_err *err)
{
    if (!json_is_array(types))
        return fc_fail(err, FC_FORMAT, "%s: layer_types is %s, expected a list", name,
                       fc_json_type_word(types));
    if (json_array_size(types) != (size_t)config->n_layers)
        return fc_fail(
            err, FC_FORMAT,
            "%s: layer_types has %zu entries, expected num_hidden_layers = %" PRId64,
            name, json_array_size(types), config->n_layers);
    for (int64_t i = 0; i < config->n_layers; i++) {
        const json_t *item = json_array_get(types, (size_t)i);
        const char *type =
            json_is_string(item) ? json_string_value(item) : fc_json_type_word(item);
        config->is_full[i] = strcmp(type, full_name) == 0;
        if (!config->is_full[i] && strcmp(type, sliding_name) != 0)
            return fc_fail(err, FC_FORMAT,
                           "%s: layer_types[%" PRId64 "] is %s, expected %s or %s", name,
                           i, type, full_name, sliding_name);
    }
    return FC_OK;
}

/* _sliding_window_pattern is written by transformers 5 and never read. */
static fc_status read_layer_kinds(fc_gemma_config *config, const source *from,
                                  fc_err *err)
{
    if (is_given(from->text, "layer_types"))
        return read_layer_types(config, json_object_get(from->text, "layer_types"),
                                from->text_name, err);
    static const int_key key = {"sliding_window_pattern", 0, 6, 1, INT32_MAX};
    int64_t pattern;
    FC_TRY(read_i64(from, &key, &pattern, err));
    for (int64_t i = 0; i < config->n_layers; i++)
        config->is_full[i] = (i + 1) % pattern == 0;
    return FC_OK;
}

/* --- RoPE ------------------------------------------------------------------------------- */

/* What one kind of layer is told, strongest first; either may be NULL. */
typedef struct rope_source {
    const json_t *said[2];
    const char *name[2];
} rope_source;

static fc_status rope_object(json_t **object, const json_t *parent, const char *key,
                             const char *name, fc_err *err)
{
    *object = is_given(parent, key) ? json_object_get(parent, key) : NULL;
    if (*object == NULL || json_is_object(*object)) return FC_OK;
    return fc_fail(err, FC_FORMAT, "%s: %s is %s, expected an object", name, key,
                   fc_json_type_word(*object));
}

/* rope_parameters without an object for each kind is ignored by transformers without a word. */
static fc_status refuse_flat(json_t *parameters, const char *name, fc_err *err)
{
    const char *key;
    const json_t *value;
    json_object_foreach(parameters, key, value)
    {
        if (strcmp(key, full_name) != 0 && strcmp(key, sliding_name) != 0)
            return fc_fail(err, FC_FORMAT,
                           "%s: rope_parameters has the key '%s', expected an object for "
                           "each of %s and %s",
                           name, key, full_name, sliding_name);
    }
    return FC_OK;
}

static fc_status read_rope_type(bool *is_linear, const rope_source *from,
                                const char *name, fc_err *err)
{
    const char *type = "default";
    for (int i = 0; i < 2; i++) {
        const json_t *said = from->said[i];
        const bool is_old =
            said != NULL && !is_given(said, "rope_type") && is_given(said, "type");
        if (said == NULL || (!is_old && !is_given(said, "rope_type"))) continue;
        char where[FC_PATH_MAX + 64];
        snprintf(where, sizeof where, "%s: %s", name, from->name[i]);
        FC_TRY(fc_json_text(said, is_old ? "type" : "rope_type", &type, where, err));
        if (is_old && strcmp(type, "linear") == 0)
            fc_log(FC_LOG_WARN,
                   "%s: \"type\" is read as \"rope_type\"; transformers 5 leaves such a "
                   "model unscaled",
                   where);
        break;
    }
    *is_linear = strcmp(type, "linear") == 0;
    if (*is_linear || strcmp(type, "default") == 0) return FC_OK;
    return fc_fail(err, FC_FORMAT,
                   "%s: the RoPE type is \"%s\", expected \"default\" or \"linear\"",
                   name, type);
}

/* *is_found tells whether either object has the key. */
static fc_status read_rope_number(double *value, bool *is_found, const rope_source *from,
                                  const char *key, const char *name, fc_err *err)
{
    *is_found = false;
    for (int i = 0; i < 2 && !*is_found; i++) {
        if (from->said[i] == NULL || !is_given(from->said[i], key)) continue;
        char where[FC_PATH_MAX + 64];
        snprintf(where, sizeof where, "%s: %s", name, from->name[i]);
        FC_TRY(read_positive(value, from->said[i], key, where, err));
        *is_found = true;
    }
    return FC_OK;
}

static fc_status read_rope_kind(fc_rope *rope, const rope_source *said,
                                const source *from, const char *theta_key, fc_err *err)
{
    bool is_linear, is_found;
    FC_TRY(read_rope_number(&rope->theta, &is_found, said, "rope_theta", from->text_name,
                            err));
    if (!is_found)
        FC_TRY(read_positive(&rope->theta, from->text, theta_key, from->text_name, err));
    FC_TRY(read_rope_type(&is_linear, said, from->text_name, err));
    if (!is_linear) return FC_OK;
    FC_TRY(
        read_rope_number(&rope->factor, &is_found, said, "factor", from->text_name, err));
    if (is_found) return FC_OK;
    return fc_fail(
        err, FC_FORMAT,
        "%s: RoPE of type \"linear\" has no factor, expected a positive number",
        from->text_name);
}

static fc_status read_rope(fc_gemma_config *config, const source *from, fc_err *err)
{
    json_t *scaling, *parameters, *full, *sliding;
    FC_TRY(rope_object(&scaling, from->text, "rope_scaling", from->text_name, err));
    FC_TRY(rope_object(&parameters, from->text, "rope_parameters", from->text_name, err));
    FC_TRY(refuse_flat(parameters, from->text_name, err));
    FC_TRY(rope_object(&full, parameters, full_name, from->text_name, err));
    FC_TRY(rope_object(&sliding, parameters, sliding_name, from->text_name, err));

    const rope_source of_full = {{scaling, full},
                                 {"rope_scaling", "rope_parameters.full_attention"}};
    const rope_source of_sliding = {{sliding, NULL},
                                    {"rope_parameters.sliding_attention", ""}};
    config->rope_full = (fc_rope){.theta = 1e6, .factor = 1};
    config->rope_sliding = (fc_rope){.theta = 1e4, .factor = 1};
    FC_TRY(read_rope_kind(&config->rope_full, &of_full, from, "rope_theta", err));
    return read_rope_kind(&config->rope_sliding, &of_sliding, from,
                          "rope_local_base_freq", err);
}

/* --- what cannot be computed ------------------------------------------------------------ */

static fc_status refuse_true(const source *from, const char *key, const char *why,
                             fc_err *err)
{
    bool is_set = false;
    FC_TRY(fc_json_bool(from->text, key, &is_set, from->text_name, err));
    if (!is_set) return FC_OK;
    return fc_fail(err, FC_FORMAT, "%s: %s is true, expected false: %s", from->text_name,
                   key, why);
}

static fc_status refuse_given(const json_t *object, const char *key, const char *name,
                              const char *why, fc_err *err)
{
    if (!is_given(object, key)) return FC_OK;
    return fc_fail(err, FC_FORMAT, "%s: %s is given, expected null or no such key: %s",
                   name, key, why);
}

static fc_status refuse_unsupported(const source *from, fc_err *err)
{
    const char *activation = "gelu_pytorch_tanh";
    FC_TRY(
        fc_json_text(from->text, "hidden_activation", &activation, from->text_name, err));
    if (strcmp(activation, "gelu_pytorch_tanh") != 0)
        return fc_fail(err, FC_FORMAT,
                       "%s: hidden_activation is \"%s\", expected \"gelu_pytorch_tanh\"",
                       from->text_name, activation);
    const char *quantised = "quantised weights are not read";
    FC_TRY(
        refuse_given(from->root, "quantization_config", from->root_name, quantised, err));
    FC_TRY(
        refuse_given(from->text, "quantization_config", from->text_name, quantised, err));
    FC_TRY(refuse_given(from->text, "attn_logit_softcapping", from->text_name,
                        "transformers reads it for Gemma 3 and never applies it", err));
    FC_TRY(refuse_true(from, "attention_bias",
                       "the projections of Gemma 3 have no biases", err));
    return refuse_true(from, "use_bidirectional_attention", "attention is causal here",
                       err);
}

static fc_status check_heads(const fc_gemma_config *config, const char *name, fc_err *err)
{
    if (config->d_model % config->n_heads != 0)
        return fc_fail(err, FC_FORMAT,
                       "%s: hidden_size %" PRId64
                       " is not a multiple of num_attention_heads %" PRId64,
                       name, config->d_model, config->n_heads);
    if (config->n_heads % config->n_kv_heads != 0)
        return fc_fail(err, FC_FORMAT,
                       "%s: num_attention_heads %" PRId64
                       " is not a multiple of num_key_value_heads %" PRId64,
                       name, config->n_heads, config->n_kv_heads);
    if (config->d_head % 2 != 0)
        return fc_fail(err, FC_FORMAT,
                       "%s: head_dim is %" PRId64 ", expected an even number", name,
                       config->d_head);
    return FC_OK;
}

/* --- the whole -------------------------------------------------------------------------- */

/* Tells the two shapes apart and points at the text keys. */
static fc_status find_text(source *from, const char *path, fc_err *err)
{
    if (!json_is_object(from->root))
        return fc_fail(err, FC_FORMAT, "%s: the file holds %s, expected an object", path,
                       fc_json_type_word(from->root));
    const char *type;
    FC_TRY(fc_json_need_text(from->root, "model_type", &type, path, err));
    const bool is_multimodal = strcmp(type, "gemma3") == 0;
    if (!is_multimodal && strcmp(type, "gemma3_text") != 0)
        return fc_fail(err, FC_FORMAT,
                       "%s: model_type is \"%s\", expected \"gemma3_text\" or \"gemma3\"",
                       path, type);
    const json_t *text = json_object_get(from->root, "text_config");
    if (is_multimodal != json_is_object(text))
        return fc_fail(
            err, FC_FORMAT, "%s: model_type is \"%s\" and text_config is %s, expected %s",
            path, type, fc_json_type_word(text), is_multimodal ? "an object" : "nothing");
    from->text = is_multimodal ? text : from->root;
    from->root_name = path;
    snprintf(from->text_name, sizeof from->text_name, "%s%s", path,
             is_multimodal ? ": text_config" : "");
    if (!is_multimodal) return FC_OK;
    type = "gemma3_text";
    FC_TRY(fc_json_text(text, "model_type", &type, from->text_name, err));
    if (strcmp(type, "gemma3_text") == 0) return FC_OK;
    return fc_fail(err, FC_FORMAT, "%s: model_type is \"%s\", expected \"gemma3_text\"",
                   from->text_name, type);
}

static fc_status read_config(fc_gemma_config *config, const source *from, fc_err *err)
{
    config->is_multimodal = from->text != from->root;
    FC_TRY(refuse_unsupported(from, err));
    FC_TRY(read_sizes(config, from, err));
    FC_TRY(check_heads(config, from->text_name, err));
    config->rms_norm_eps = 1e-6;
    FC_TRY(read_positive(&config->rms_norm_eps, from->text, "rms_norm_eps",
                         from->text_name, err));
    FC_TRY(read_softcap(config, from, err));
    FC_TRY(read_layer_kinds(config, from, err));
    FC_TRY(read_rope(config, from, err));
    FC_TRY(read_id(&config->bos_id, from, "bos_token_id", 2, err));
    FC_TRY(read_id(&config->pad_id, from, "pad_token_id", 0, err));
    config->is_head_tied = true; /* counts at the top, also in the multimodal shape */
    return fc_json_bool(from->root, "tie_word_embeddings", &config->is_head_tied,
                        from->root_name, err);
}

fc_status fc_gemma_config_load(fc_gemma_config *config, const char *path, fc_err *err)
{
    json_t *root = NULL;
    FC_TRY(fc_json_load(&root, path, err));
    source from = {.root = root};
    fc_gemma_config read = {0};
    fc_status status = find_text(&from, path, err);
    if (status == FC_OK) status = read_config(&read, &from, err);
    if (status == FC_OK) *config = read;
    json_decref(root);
    return status;
}
