/* saelens_import.c - a SAELens folder, checked before it is believed.
 *
 * Loads what SAELens 6 writes, with weights in float32, bfloat16, float16 or float64, and the flat
 * cfg.json of versions before 6, which is recognised as SAELens does it: no sae_lens_version, or
 * one below 6. The tensors must be exactly those of the architecture, finite, and of the shapes that
 * cfg.json says.
 *
 *   normalize_activations   none; layer_norm, constant_norm_rescale: done to each row, and undone
 *                           on the way out; expected_average_only_in scales nothing, as in SAELens
 *                           (the factor is not in the folder)
 *   reshape_activations     none; hook_z only flattens heads, which a store has done already
 *   rescale_acts_by_decoder_norm   folded into the weights, as SAELens does when it saves
 *   batchtopk, matryoshka_batchtopk   with `topk_threshold` (a checkpoint of a training run): the
 *                           features of its inference form
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "sae/arch.h"
#include "sae/import_internal.h"
#include "sae/saelens_internal.h"

void fc_saelens_rows(fc_import_row rows[FC_SAE_TENSORS], const char *arch)
{
    const bool is_gated = strcmp(arch, "gated") == 0;
    const fc_import_row all[FC_SAE_TENSORS] = {
        {FC_W_DEC, "W_dec", false},
        {FC_W_ENC, "W_enc", true},
        {FC_W_SKIP, "W_skip", false},
        {FC_B_DEC, "b_dec", false},
        {FC_B_ENC, is_gated ? "b_gate" : "b_enc", false},
        {FC_B_MAG, "b_mag", false},
        {FC_R_MAG, "r_mag", false},
        {FC_THRESHOLD, "threshold", false},
    };
    memcpy(rows, all, sizeof all);
}

static const char THRESHOLD_OF_BATCHES[] = "topk_threshold";

/* --- cfg.json --------------------------------------------------------------------------- */

typedef struct cfg {
    const char *path;
    const json_t *root, *metadata; /* metadata: root itself in the flat form */
    bool is_flat;
    const fc_arch *arch;
    int64_t d_in, d_out, d_sae;
    double k;
    bool is_b_dec_subtracted, is_rescaled, has_center_unit;
    fc_norm_kind norm;
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

/* In the flat form "topk" was an activation of the architecture "standard". */
static fc_status flat_architecture(const cfg *c, const char **arch, fc_err *err)
{
    const char *activation = "relu";
    FC_TRY(fc_json_text(c->root, "architecture", arch, c->path, err));
    FC_TRY(fc_json_text(c->root, "activation_fn_str", &activation, c->path, err));
    FC_TRY(fc_json_text(c->root, "activation_fn", &activation, c->path, err));
    if (strcmp(activation, "relu") == 0) return FC_OK;
    if (strcmp(*arch, "standard") == 0 && strcmp(activation, "topk") == 0) {
        *arch = "topk";
        return FC_OK;
    }
    return fc_fail(
        err, FC_FORMAT,
        "%s: architecture '%s' with activation '%s' is not supported, expected "
        "'relu' or 'topk'",
        c->path, *arch, activation);
}

static fc_status find_architecture(cfg *c, fc_err *err)
{
    static const char *const known[] = {"standard",
                                        "topk",
                                        "jumprelu",
                                        "gated",
                                        "batchtopk",
                                        "transcoder",
                                        "skip_transcoder",
                                        "matryoshka_batchtopk",
                                        "jumprelu_transcoder",
                                        "jumprelu_skip_transcoder"};
    const char *arch = "standard";
    if (c->is_flat)
        FC_TRY(flat_architecture(c, &arch, err));
    else
        FC_TRY(fc_json_need_text(c->root, "architecture", &arch, c->path, err));
    for (size_t i = 0; i < FC_LEN(known); i++)
        if (strcmp(arch, known[i]) == 0) c->arch = fc_arch_find(arch);
    if (c->arch != NULL) return FC_OK;
    return fc_fail(err, FC_FORMAT,
                   "%s: architecture '%.64s' is not supported, expected standard, topk, "
                   "jumprelu, gated, batchtopk, matryoshka_batchtopk or a transcoder",
                   c->path, arch);
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

static fc_status find_normalisation(cfg *c, fc_err *err)
{
    static const char key[] = "normalize_activations";
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
    if (strcmp(word, "layer_norm") == 0)
        c->norm = FC_NORM_LAYER;
    else if (strcmp(word, "constant_norm_rescale") == 0)
        c->norm = FC_NORM_CONSTANT;
    else
        return fc_fail(err, FC_FORMAT,
                       "%s: %s is '%.64s', expected none, expected_average_only_in, "
                       "constant_norm_rescale or layer_norm",
                       c->path, key, word);
    if (c->arch->is_transcoder)
        return fc_fail(err, FC_FORMAT,
                       "%s: a transcoder with %s '%s' is not supported, expected 'none'",
                       c->path, key, word);
    return FC_OK;
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

/* Whether metadata asks for input normalised by center_unit, which the saver of Facet writes. */
static fc_status find_center_unit(cfg *c, fc_err *err)
{
    const char *word = NULL;
    FC_TRY(fc_json_text(c->metadata, FC_SAELENS_NORMALIZATION, &word, c->path, err));
    c->has_center_unit = word != NULL;
    if (word == NULL || strcmp(word, "center_unit") == 0) return FC_OK;
    return fc_fail(err, FC_FORMAT, "%s: %s is '%s', expected 'center_unit'", c->path,
                   FC_SAELENS_NORMALIZATION, word);
}

static fc_status find_bias(cfg *c, fc_err *err)
{
    static const char key[] = "apply_b_dec_to_input";
    c->is_b_dec_subtracted = !c->arch->is_transcoder;
    FC_TRY(fc_json_bool(c->root, key, &c->is_b_dec_subtracted, c->path, err));
    if (c->arch->is_transcoder && c->is_b_dec_subtracted)
        return fc_fail(err, FC_FORMAT, "%s: a transcoder with %s true, expected false",
                       c->path, key);
    return FC_OK;
}

static fc_status find_k(cfg *c, fc_err *err)
{
    const json_t *details = json_object_get(c->metadata, "training_architecture_details");
    c->k = strcmp(c->arch->name, "topk") == 0 ? 100.0 : 0.0; /* SAELens' default */
    if (c->is_flat)
        FC_TRY(fc_json_f64(json_object_get(c->root, "activation_fn_kwargs"), "k", &c->k,
                           c->path, err));
    FC_TRY(fc_json_f64(details, "k", &c->k, c->path, err));
    FC_TRY(fc_json_f64(c->root, "k", &c->k, c->path, err));
    return fc_json_bool(c->root, "rescale_acts_by_decoder_norm", &c->is_rescaled, c->path,
                        err);
}

static fc_status read_cfg(cfg *c, fc_err *err)
{
    FC_TRY(find_form(c, err));
    FC_TRY(find_architecture(c, err));
    FC_TRY(check_dtype(c, err));
    FC_TRY(fc_import_count(c->root, "d_in", INT32_MAX, &c->d_in, c->path, err));
    FC_TRY(fc_import_count(c->root, "d_sae", INT32_MAX, &c->d_sae, c->path, err));
    c->d_out = c->d_in;
    if (c->arch->is_transcoder)
        FC_TRY(fc_import_count(c->root, "d_out", INT32_MAX, &c->d_out, c->path, err));
    FC_TRY(find_normalisation(c, err));
    FC_TRY(check_reshape(c, err));
    FC_TRY(find_bias(c, err));
    FC_TRY(find_k(c, err));
    return find_center_unit(c, err);
}

/* Where the activations came from, as far as it is said. Hugging Face's name is preferred. */
static fc_status read_origin(const cfg *c, fc_sae *sae, fc_err *err)
{
    const char *model = "", *hook = "", *target = "";
    const json_t *m = c->metadata;
    FC_TRY(fc_json_text(m, "model_name", &model, c->path, err));
    FC_TRY(fc_json_text(m, c->is_flat ? "hook_point" : "hook_name", &hook, c->path, err));
    FC_TRY(fc_json_text(m, "hf_hook_name", &hook, c->path, err));
    FC_TRY(fc_json_text(m, "hook_name_out", &target, c->path, err));
    FC_TRY(fc_json_text(m, "hf_hook_name_out", &target, c->path, err));
    FC_TRY(fc_json_i64(m, "context_size", &sae->context_size, c->path, err));
    return fc_import_origin(sae, model, hook, target, c->path, err);
}

/* --- tensors ---------------------------------------------------------------------------- */

/* A factor per feature that old versions kept; only ones change nothing. */
static fc_status check_scaling_factor(fc_arrays *arrays, fc_err *err)
{
    const fc_array *array = fc_arrays_find(arrays, "scaling_factor");
    float *w = NULL;
    if (array == NULL) return FC_OK;
    FC_TRY(fc_arrays_need(arrays, "scaling_factor", -1, NULL, &array, err));
    FC_TRY(fc_array_to_f32(array, &w, err));
    fc_status status = FC_OK;
    for (int64_t i = 0; i < array->n && status == FC_OK; i++)
        if (w[i] != 1.0f)
            status = fc_fail(
                err, FC_FORMAT,
                "%s: 'scaling_factor' holds %g, which is not supported, expected 1",
                fc_arrays_path(arrays), (double)w[i]);
    fc_free(w);
    return status;
}

/* A run that is not finished keeps one threshold for all; it is compared with what decoder norms have
 * been folded into. */
static fc_status read_checkpoint(const cfg *c, fc_arrays *arrays, fc_sae **sae,
                                 fc_err *err)
{
    static const char *const others[] = {THRESHOLD_OF_BATCHES, NULL};
    fc_import_row rows[FC_SAE_TENSORS];
    const fc_import im = {.arch = c->arch->name,
                          .d_in = c->d_in,
                          .d_out = c->d_out,
                          .d_sae = c->d_sae,
                          .rows = rows,
                          .n_rows = FC_SAE_TENSORS,
                          .absent = 1U << FC_THRESHOLD,
                          .others = others};
    double threshold = 0.0;
    fc_saelens_rows(rows, c->arch->name);
    FC_TRY(fc_import_scalar(arrays, THRESHOLD_OF_BATCHES, &threshold, err));
    FC_TRY(fc_import_sae(sae, &im, arrays, err));
    if (c->is_rescaled) fc_sae_fold_norms(*sae);
    for (int64_t i = 0; i < c->d_sae; i++) (*sae)->threshold[i] = (float)threshold;
    return FC_OK;
}

static fc_status read_tensors(const cfg *c, fc_arrays *arrays, fc_sae **sae, fc_err *err)
{
    static const char *const others[] = {"scaling_factor", NULL};
    fc_import_row rows[FC_SAE_TENSORS];
    const fc_import im = {.arch = c->arch->name,
                          .d_in = c->d_in,
                          .d_out = c->d_out,
                          .d_sae = c->d_sae,
                          .rows = rows,
                          .n_rows = FC_SAE_TENSORS,
                          .others = others};
    if (fc_arrays_find(arrays, THRESHOLD_OF_BATCHES) != NULL &&
        strstr(c->arch->name, "batchtopk") != NULL)
        return read_checkpoint(c, arrays, sae, err);
    fc_saelens_rows(rows, c->arch->name);
    FC_TRY(fc_import_sae(sae, &im, arrays, err));
    if (c->is_rescaled) fc_sae_fold_norms(*sae);
    return check_scaling_factor(arrays, err);
}

static fc_status read_mean(fc_sae *sae, const char *dir, fc_err *err)
{
    char path[FC_PATH_MAX];
    fc_arrays *arrays = NULL;
    const fc_array *array;
    float *mean = NULL, *target = NULL;
    fc_status status;
    FC_TRY(fc_path_join(path, dir, FC_SAELENS_MEAN_FILE, err));
    FC_TRY(fc_arrays_open(&arrays, path, err));
    FC_TRY_GOTO(fc_arrays_need(arrays, "mean", 1, &sae->d_in, &array, err));
    FC_TRY_GOTO(fc_array_to_f32(array, &mean, err));
    FC_TRY_GOTO(fc_check_finite(mean, sae->d_in, "mean", path, err));
    FC_TRY_GOTO(fc_normaliser_init(&sae->normaliser, FC_NORM_CENTER_UNIT, sae->d_in, mean,
                                   0, err));
    /* without it the target's normalisation is in the weights, or there is none */
    if (!fc_arch_find(sae->arch)->is_transcoder ||
        fc_arrays_find(arrays, "target_mean") == NULL)
        goto done;
    FC_TRY_GOTO(fc_arrays_need(arrays, "target_mean", 1, &sae->d_out, &array, err));
    FC_TRY_GOTO(fc_array_to_f32(array, &target, err));
    FC_TRY_GOTO(fc_check_finite(target, sae->d_out, "target_mean", path, err));
    FC_TRY_GOTO(fc_normaliser_init(&sae->target_normaliser, FC_NORM_CENTER_UNIT,
                                   sae->d_out, target, 0, err));
done:
    fc_free(mean);
    fc_free(target);
    fc_arrays_close(arrays);
    return status;
}

/* What cfg.json says beside the weights. */
static fc_status finish(const cfg *c, const char *dir, fc_sae *sae, fc_err *err)
{
    const char *trained = "";
    sae->is_b_dec_subtracted = c->is_b_dec_subtracted;
    if (strcmp(c->arch->name, "topk") == 0) FC_TRY(fc_import_k(sae, c->k, c->path, err));
    FC_TRY(read_origin(c, sae, err));
    FC_TRY(fc_json_text(c->metadata, "training_architecture", &trained, c->path, err));
    if (strcmp(sae->arch, "jumprelu") == 0 && strstr(trained, "batchtopk") != NULL &&
        fc_arch_find(trained) != NULL)
        (void)snprintf(sae->arch, sizeof sae->arch, "%s", trained); /* the same tensors */
    if (strstr(sae->arch, "batchtopk") != NULL && c->k > 0.0) sae->k = c->k;
    if (c->norm != FC_NORM_NONE)
        FC_TRY(fc_normaliser_init(&sae->normaliser, c->norm, sae->d_in, NULL, 0, err));
    return c->has_center_unit ? read_mean(sae, dir, err) : FC_OK;
}

static fc_status load_from(fc_sae **loaded, const char *path, const char *weights_file,
                           fc_err *err)
{
    char dir[FC_PATH_MAX], cfg_path[FC_PATH_MAX], weights[FC_PATH_MAX];
    json_t *root = NULL;
    fc_arrays *arrays = NULL;
    fc_sae *sae = NULL;
    fc_status status;
    FC_TRY(fc_import_place(dir, weights, path, weights_file, err));
    FC_TRY(fc_path_join(cfg_path, dir, FC_SAELENS_CFG_FILE, err));
    FC_TRY_GOTO(fc_json_load(&root, cfg_path, err));
    cfg c = {.path = cfg_path, .root = root};
    FC_TRY_GOTO(read_cfg(&c, err));
    FC_TRY_GOTO(fc_arrays_open(&arrays, weights, err));
    FC_TRY_GOTO(read_tensors(&c, arrays, &sae, err));
    FC_TRY_GOTO(finish(&c, dir, sae, err));
    *loaded = sae;
    sae = NULL;
done:
    fc_sae_free(sae);
    fc_arrays_close(arrays);
    json_decref(root);
    return status;
}

static fc_status load(fc_sae **loaded, const char *path, fc_err *err)
{
    return load_from(loaded, path, FC_SAELENS_WEIGHTS_FILE, err);
}

static fc_status load_npz(fc_sae **loaded, const char *path, fc_err *err)
{
    return load_from(loaded, path, FC_SAELENS_NPZ_FILE, err);
}

/* cfg.json alone counts too, so that what is missing beside it is named; sparsify has one as well. */
static bool is_it(const char *path)
{
    return fc_import_has(path, FC_SAELENS_WEIGHTS_FILE) ||
           (fc_path_is_dir(path) && fc_import_has(path, FC_SAELENS_CFG_FILE) &&
            !fc_import_has(path, "sae.safetensors") &&
            !fc_import_has(path, FC_SAELENS_NPZ_FILE));
}

static bool is_npz(const char *path)
{
    return fc_import_has(path, FC_SAELENS_NPZ_FILE);
}

const fc_sae_format fc_format_saelens = {
    .name = "saelens",
    .title = "a SAELens folder",
    .opener = "SAE.load_from_disk of SAELens 6",
    .is_it = is_it,
    .load = load,
    .save = fc_sae_save,
};

const fc_sae_format fc_format_npz = {
    .name = "npz",
    .title = "an npz folder",
    .opener = "numpy.load",
    .is_it = is_npz,
    .load = load_npz,
    .save = fc_saelens_save_npz,
};
