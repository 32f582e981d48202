/* saelens_import.c - fc_sae_load: a SAELens folder, checked before it is believed.
 *
 * Loads what SAELens 6 writes for the architecture "standard", with weights in float32, bfloat16
 * or float16 (widened exactly), and the flat cfg.json of versions before 6, which is recognised
 * as SAELens does it: no sae_lens_version, or one below 6. The tensors must be exactly those of
 * the architecture, finite, and of the shapes that cfg.json says.
 *
 *   normalize_activations   none; expected_average_only_in scales nothing here, as in SAELens
 *                           (the factor is not in the folder); the others are refused
 *   reshape_activations     none; hook_z only flattens heads, which a store has done already
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "sae/arch.h"
#include "sae/saelens_internal.h"

const char *const fc_saelens_names[FC_SAELENS_TENSORS] = {"W_dec", "W_enc", "b_dec",
                                                          "b_enc"};

int fc_saelens_shape(int i, int64_t d_in, int64_t d_sae, int64_t shape[2])
{
    const int64_t shapes[FC_SAELENS_TENSORS][2] = {
        {d_sae, d_in}, {d_in, d_sae}, {d_in, 0}, {d_sae, 0}};
    memcpy(shape, shapes[i], sizeof shapes[i]);
    return shapes[i][1] > 0 ? 2 : 1;
}

fc_status fc_saelens_check_finite(const float *w, int64_t n, const char *name,
                                  const char *where, fc_err *err)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(w[i]))
            return fc_fail(err, FC_FORMAT,
                           "%s: '%s' holds %g at place %" PRId64
                           ", expected finite numbers",
                           where, name, (double)w[i], i);
    return FC_OK;
}

/* --- cfg.json --------------------------------------------------------------------------- */

typedef struct cfg {
    const char *path;
    const json_t *root, *metadata; /* metadata: root itself in the flat form */
    bool is_flat;
    int64_t d_in, d_sae;
    bool is_b_dec_subtracted, is_center_unit;
} cfg;

/* Flat: written before version 6, when all keys lay at the top. */
static fc_status find_form(cfg *c, fc_err *err)
{
    const char *version = NULL;
    if (!json_is_object(c->root))
        return fc_fail(err, FC_FORMAT, "%s: holds %s, expected an object", c->path,
                       fc_json_type_word(c->root));
    c->metadata = json_object_get(c->root, "metadata");
    FC_TRY(fc_json_text(c->root, "sae_lens_version", &version, c->path, err));
    if (version == NULL)
        FC_TRY(fc_json_text(c->metadata, "sae_lens_version", &version, c->path, err));
    c->is_flat = version == NULL || strtol(version, NULL, 10) < 6;
    if (c->is_flat) c->metadata = c->root;
    return FC_OK;
}

static fc_status check_architecture(const cfg *c, fc_err *err)
{
    const char *arch = "standard", *activation = "relu";
    if (c->is_flat) {
        FC_TRY(fc_json_text(c->root, "architecture", &arch, c->path, err));
        FC_TRY(fc_json_text(c->root, "activation_fn_str", &activation, c->path, err));
        FC_TRY(fc_json_text(c->root, "activation_fn", &activation, c->path, err));
    } else {
        FC_TRY(fc_json_need_text(c->root, "architecture", &arch, c->path, err));
    }
    if (strcmp(arch, "standard") != 0)
        return fc_fail(err, FC_FORMAT,
                       "%s: architecture '%s' is not supported, expected '%s'", c->path,
                       arch, "standard");
    if (strcmp(activation, "relu") != 0)
        return fc_fail(
            err, FC_FORMAT,
            "%s: architecture 'standard' with activation '%s' is not supported, "
            "expected 'relu'",
            c->path, activation);
    return FC_OK;
}

static fc_status check_dtype(const cfg *c, fc_err *err)
{
    static const char *const known[] = {"float32", "float64", "bfloat16", "float16"};
    const char *dtype = "float32";
    FC_TRY(fc_json_text(c->root, "dtype", &dtype, c->path, err));
    const char *name = strncmp(dtype, "torch.", 6) == 0 ? dtype + 6 : dtype;
    for (size_t i = 0; i < FC_LEN(known); i++)
        if (strcmp(name, known[i]) == 0) return FC_OK;
    return fc_fail(err, FC_FORMAT,
                   "%s: dtype is '%s', expected float32, bfloat16, float16 or float64",
                   c->path, dtype);
}

static fc_status check_size(const cfg *c, const char *key, int64_t *value, fc_err *err)
{
    FC_TRY(fc_json_need_i64(c->root, key, value, c->path, err));
    if (*value < 1 || *value > INT32_MAX)
        return fc_fail(err, FC_FORMAT, "%s: %s is %" PRId64 ", expected 1 to %d", c->path,
                       key, *value, INT32_MAX);
    return FC_OK;
}

/* Whether normalize_activations is something that this program computes. */
static fc_status check_normalisation(const cfg *c, fc_err *err)
{
    static const char key[] = "normalize_activations";
    static const char *const later[] = {"layer_norm", "constant_norm_rescale",
                                        "covariance_whitening"};
    const json_t *value = json_object_get(c->root, key);
    const char *word = "none";
    if (c->is_flat && json_is_boolean(value))
        word = json_is_true(value) ? "expected_average_only_in" : "none";
    else
        FC_TRY(fc_json_text(c->root, key, &word, c->path, err));
    if (strcmp(word, "none") == 0) return FC_OK;
    if (strcmp(word, "expected_average_only_in") == 0) {
        fc_log(FC_LOG_WARN,
               "%s: the SAE expects input scaled to mean norm sqrt(d_in), but the "
               "factor is not in the folder; nothing is scaled",
               c->path);
        return FC_OK;
    }
    for (size_t i = 0; i < FC_LEN(later); i++)
        if (strcmp(word, later[i]) == 0)
            return fc_fail(err, FC_FORMAT,
                           "%s: %s '%s' is not supported yet, expected 'none'", c->path,
                           key, word);
    return fc_fail(err, FC_FORMAT, "%s: %s is '%s', which is no normalisation of SAELens",
                   c->path, key, word);
}

static fc_status check_reshape(const cfg *c, fc_err *err)
{
    const char *word = "none";
    FC_TRY(fc_json_text(c->root, "reshape_activations", &word, c->path, err));
    if (strcmp(word, "none") == 0 || strcmp(word, "hook_z") == 0) return FC_OK;
    return fc_fail(err, FC_FORMAT,
                   "%s: reshape_activations is '%s', expected none or hook_z", c->path,
                   word);
}

static fc_status read_cfg(cfg *c, fc_err *err)
{
    const char *normalisation = NULL;
    FC_TRY(find_form(c, err));
    FC_TRY(check_architecture(c, err));
    FC_TRY(check_dtype(c, err));
    FC_TRY(check_size(c, "d_in", &c->d_in, err));
    FC_TRY(check_size(c, "d_sae", &c->d_sae, err));
    FC_TRY(check_normalisation(c, err));
    FC_TRY(check_reshape(c, err));
    c->is_b_dec_subtracted = true;
    FC_TRY(fc_json_bool(c->root, "apply_b_dec_to_input", &c->is_b_dec_subtracted, c->path,
                        err));
    FC_TRY(fc_json_text(c->metadata, FC_SAELENS_NORMALIZATION, &normalisation, c->path,
                        err));
    c->is_center_unit = normalisation != NULL;
    if (normalisation != NULL && strcmp(normalisation, "center_unit") != 0)
        return fc_fail(err, FC_FORMAT, "%s: %s is '%s', expected 'center_unit'", c->path,
                       FC_SAELENS_NORMALIZATION, normalisation);
    return FC_OK;
}

/* Where the activations came from, as far as it is said. */
static fc_status read_origin(const cfg *c, fc_sae *sae, fc_err *err)
{
    const char *model = "", *hook = "", *hf_hook = "";
    FC_TRY(fc_json_text(c->metadata, "model_name", &model, c->path, err));
    FC_TRY(fc_json_text(c->metadata, c->is_flat ? "hook_point" : "hook_name", &hook,
                        c->path, err));
    FC_TRY(fc_json_text(c->metadata, "hf_hook_name", &hf_hook, c->path, err));
    FC_TRY(fc_json_i64(c->metadata, "context_size", &sae->context_size, c->path, err));
    if (hf_hook[0] != '\0') hook = hf_hook;
    if (strlen(model) >= sizeof sae->model || strlen(hook) >= sizeof sae->hook)
        return fc_fail(err, FC_FORMAT,
                       "%s: the name of the model or of the hook is too long "
                       "(at most %zu and %zu bytes)",
                       c->path, sizeof sae->model - 1, sizeof sae->hook - 1);
    (void)snprintf(sae->model, sizeof sae->model, "%s", model);
    (void)snprintf(sae->hook, sizeof sae->hook, "%s", hook);
    return FC_OK;
}

/* --- tensors ---------------------------------------------------------------------------- */

static bool is_float(fc_dtype dtype)
{
    return dtype == FC_F32 || dtype == FC_BF16 || dtype == FC_F16 || dtype == FC_F64;
}

/* A tensor of exactly that name, shape and a float type. */
static fc_status need(const cfg *c, const fc_safetensors *st, int i,
                      const fc_tensor **tensor, fc_err *err)
{
    const char *name = fc_saelens_names[i], *path = fc_safetensors_path(st);
    const fc_tensor *t = fc_safetensors_find(st, name);
    int64_t shape[2];
    const int rank = fc_saelens_shape(i, c->d_in, c->d_sae, shape);
    if (t == NULL)
        return fc_fail(err, FC_FORMAT, "%s: tensor '%s' is missing", path, name);
    if (!is_float(t->dtype))
        return fc_fail(err, FC_FORMAT, "%s: '%s' is %s, expected F32, BF16, F16 or F64",
                       path, name, fc_dtype_name(t->dtype));
    *tensor = t;
    return fc_safetensors_need(st, name, t->dtype, rank, shape, tensor, err);
}

static bool is_expected(const char *name)
{
    for (int i = 0; i < FC_SAELENS_TENSORS; i++)
        if (strcmp(name, fc_saelens_names[i]) == 0) return true;
    return false;
}

/* A factor per feature that old versions kept; only ones change nothing. */
static fc_status check_scaling_factor(const fc_tensor *t, const char *path, fc_err *err)
{
    float *w = NULL;
    if (!is_float(t->dtype))
        return fc_fail(err, FC_FORMAT, "%s: 'scaling_factor' is %s, expected F32", path,
                       fc_dtype_name(t->dtype));
    FC_TRY(fc_tensor_to_f32(t, &w, err));
    fc_status status = FC_OK;
    for (int64_t i = 0; i < t->n && status == FC_OK; i++)
        if (w[i] != 1.0f)
            status = fc_fail(
                err, FC_FORMAT,
                "%s: 'scaling_factor' holds %g, which is not supported, expected 1", path,
                (double)w[i]);
    fc_free(w);
    return status;
}

static fc_status check_names(const fc_safetensors *st, fc_err *err)
{
    for (int64_t i = 0; i < fc_safetensors_count(st); i++) {
        const fc_tensor *t = fc_safetensors_at(st, i);
        if (is_expected(t->name)) continue;
        if (strcmp(t->name, "scaling_factor") != 0)
            return fc_fail(
                err, FC_FORMAT,
                "%s: '%.64s' is no tensor of the architecture 'standard', expected "
                "W_enc, W_dec, b_enc and b_dec alone",
                fc_safetensors_path(st), t->name);
        FC_TRY(check_scaling_factor(t, fc_safetensors_path(st), err));
    }
    return FC_OK;
}

/* to [cols, rows] = from [rows, cols] transposed. */
static void transpose(float *to, const float *from, int64_t rows, int64_t cols)
{
    enum { TILE = 32 };
    for (int64_t i0 = 0; i0 < rows; i0 += TILE)
        for (int64_t j0 = 0; j0 < cols; j0 += TILE)
            for (int64_t j = j0; j < fc_min(cols, j0 + TILE); j++)
                for (int64_t i = i0; i < fc_min(rows, i0 + TILE); i++)
                    to[j * rows + i] = from[i * cols + j];
}

static fc_status read_tensors(const cfg *c, const fc_safetensors *st, fc_sae **sae,
                              fc_err *err)
{
    const fc_tensor *tensor[FC_SAELENS_TENSORS];
    FC_TRY(check_names(st, err));
    for (int i = 0; i < FC_SAELENS_TENSORS; i++) FC_TRY(need(c, st, i, &tensor[i], err));
    /* the sizes are those of tensors in the file, so this is bounded by its length */
    FC_TRY(fc_sae_new(sae, "standard", c->d_in, c->d_in, c->d_sae, err));
    float *const to[] = {(*sae)->w_dec, (*sae)->w_enc, (*sae)->b_dec, (*sae)->b_enc};
    for (int i = 0; i < FC_SAELENS_TENSORS; i++) {
        float *w = NULL;
        FC_TRY(fc_tensor_to_f32(tensor[i], &w, err));
        if (to[i] == (*sae)->w_enc)
            transpose(to[i], w, c->d_in, c->d_sae);
        else
            memcpy(to[i], w, (size_t)tensor[i]->n * sizeof *w);
        fc_free(w);
        FC_TRY(fc_saelens_check_finite(to[i], tensor[i]->n, tensor[i]->name,
                                       fc_safetensors_path(st), err));
    }
    return FC_OK;
}

static fc_status read_mean(fc_sae *sae, const char *dir, fc_err *err)
{
    char path[FC_PATH_MAX];
    fc_safetensors *st = NULL;
    const fc_tensor *tensor;
    float *mean = NULL;
    fc_status status;
    FC_TRY(fc_path_join(path, dir, "normalization.safetensors", err));
    FC_TRY(fc_safetensors_open(&st, path, err));
    FC_TRY_GOTO(fc_safetensors_need(st, "mean", FC_F32, 1, &sae->d_in, &tensor, err));
    FC_TRY_GOTO(fc_tensor_to_f32(tensor, &mean, err));
    FC_TRY_GOTO(fc_saelens_check_finite(mean, sae->d_in, "mean", path, err));
    status = fc_normaliser_init(&sae->normaliser, FC_NORM_CENTER_UNIT, sae->d_in, mean, 0,
                                err);
done:
    fc_free(mean);
    fc_safetensors_close(st);
    return status;
}

fc_status fc_sae_load(fc_sae **loaded, const char *dir, fc_err *err)
{
    char path[FC_PATH_MAX], weights[FC_PATH_MAX];
    json_t *root = NULL;
    fc_safetensors *st = NULL;
    fc_sae *sae = NULL;
    fc_status status;
    FC_TRY(fc_path_join(path, dir, "cfg.json", err));
    FC_TRY(fc_path_join(weights, dir, "sae_weights.safetensors", err));
    FC_TRY_GOTO(fc_json_load(&root, path, err));
    cfg c = {.path = path, .root = root};
    FC_TRY_GOTO(read_cfg(&c, err));
    FC_TRY_GOTO(fc_safetensors_open(&st, weights, err));
    FC_TRY_GOTO(read_tensors(&c, st, &sae, err));
    (void)snprintf(sae->arch, sizeof sae->arch, "%s", fc_arch_standard.name);
    sae->is_b_dec_subtracted = c.is_b_dec_subtracted;
    FC_TRY_GOTO(read_origin(&c, sae, err));
    if (c.is_center_unit) FC_TRY_GOTO(read_mean(sae, dir, err));
    *loaded = sae;
    sae = NULL;
done:
    fc_sae_free(sae);
    fc_safetensors_close(st);
    json_decref(root);
    return status;
}
