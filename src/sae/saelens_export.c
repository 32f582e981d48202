/* saelens_export.c - fc_sae_save: the folder that SAELens 6 loads as it is.
 *
 *   DIR/sae_weights.safetensors    W_enc [d_in, d_sae], W_dec [d_sae, d_out], b_enc, b_dec, ..., F32
 *   DIR/cfg.json                   what it is and where its input comes from
 *   DIR/normalization.safetensors  center_unit only: mean [d_in], and target_mean of transcoders
 *
 * SAELens knows no centring: center_scale is folded into the weights (export_internal.h). center_unit
 * divides every row by its own length and cannot be folded: the weights are those for normalised
 * input, metadata.facet_normalization says so, and the mean lies beside them. Loading is strict there:
 * no tensor more, none less. A trained batchtopk is a jumprelu with its threshold, as SAELens saves it;
 * metadata.training_architecture says what it was.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "sae/arch.h"
#include "sae/export_internal.h"
#include "sae/saelens_internal.h"

/* Without this, SAELens takes cfg.json for the flat form of versions before 6. */
static const char SAE_LENS_VERSION[] = "6.18.0";

static const char *const own_names[] = {
    "standard",
    "topk",
    "jumprelu",
    "gated",
    "transcoder",
    "skip_transcoder",
    "jumprelu_transcoder",
    "jumprelu_skip_transcoder",
};

static bool is_batchtopk(const fc_sae *sae)
{
    return strstr(sae->arch, "batchtopk") != NULL;
}

/* Its name there; NULL: it has none. */
static const char *name_of(const fc_sae *sae)
{
    if (is_batchtopk(sae)) return "jumprelu";
    for (size_t i = 0; i < FC_LEN(own_names); i++)
        if (strcmp(sae->arch, own_names[i]) == 0) return own_names[i];
    return NULL;
}

static fc_status write_tensors(const fc_export *e, const char *path, fc_err *err)
{
    fc_arrays_out *out = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_arrays_create(&out, fc_arrays_kind_of(path), path, err));
    FC_TRY_GOTO(fc_export_declare(e, out, err));
    FC_TRY_GOTO(fc_export_write(e, out, err));
    FC_TRY_GOTO(fc_arrays_commit(out, err));
done:
    fc_arrays_discard(out);
    return status;
}

static fc_tensor mean_tensor(const char *name, const float *mean, int64_t n)
{
    const fc_tensor t = {.name = name,
                         .dtype = FC_F32,
                         .rank = 1,
                         .shape = {n},
                         .n = n,
                         .data = mean,
                         .n_bytes = (size_t)n * sizeof *mean};
    return t;
}

static fc_status write_mean(const fc_sae *sae, const char *dir, fc_err *err)
{
    char path[FC_PATH_MAX];
    FC_TRY(fc_path_join(path, dir, FC_SAELENS_MEAN_FILE, err));
    if (sae->normaliser.kind != FC_NORM_CENTER_UNIT) return fc_file_remove(path, err);
    const fc_tensor means[] = {
        mean_tensor("mean", sae->normaliser.mean, sae->d_in),
        mean_tensor("target_mean", sae->target_normaliser.mean, sae->d_out)};
    const bool has_target = sae->target_normaliser.kind == FC_NORM_CENTER_UNIT;
    return fc_safetensors_save(path, means, has_target ? 2 : 1, err);
}

/* --- cfg.json --------------------------------------------------------------------------- */

static const char *text_or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

static int set(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value); /* -1 for a value that is NULL */
}

/* Where the activations came from, in SAELens' words; NULL: no memory, or no UTF-8. */
static json_t *metadata_json(const fc_sae *sae)
{
    json_t *m =
        json_pack("{s:s, s:n, s:s?, s:s, s:s?, s:s?, s:n, s:I, s:b, s:n, s:b, s:[n]}", //
                  "sae_lens_version", SAE_LENS_VERSION, "sae_lens_training_version",   //
                  "model_name", text_or_null(sae->model),                              //
                  "model_class_name", "AutoModelForCausalLM",                          //
                  "hook_name", text_or_null(sae->hook),                                //
                  "hf_hook_name", text_or_null(sae->hook), "hook_head_index",          //
                  "context_size", (json_int_t)sae->context_size, "prepend_bos", 1,
                  "dataset_path", //
                  "exclude_special_tokens", 1, "seqpos_slice");
    int failed = m == NULL;
    if (sae->target_hook[0] != '\0') {
        failed |= set(m, "hook_name_out", json_string(sae->target_hook));
        failed |= set(m, "hf_hook_name_out", json_string(sae->target_hook));
    }
    if (sae->normaliser.kind == FC_NORM_CENTER_UNIT)
        failed |= set(m, FC_SAELENS_NORMALIZATION, json_string("center_unit"));
    if (is_batchtopk(sae)) {
        failed |= set(m, "training_architecture", json_string(sae->arch));
        failed |=
            set(m, "training_architecture_details", json_pack("{s:f}", "k", sae->k));
    }
    if (failed == 0) return m;
    json_decref(m);
    return NULL;
}

static const char *normalisation_of(const fc_sae *sae)
{
    if (sae->normaliser.kind == FC_NORM_LAYER) return "layer_norm";
    if (sae->normaliser.kind == FC_NORM_CONSTANT) return "constant_norm_rescale";
    return "none";
}

static json_t *cfg_json(const fc_sae *sae)
{
    json_t *cfg =
        json_pack("{s:s, s:I, s:I, s:s, s:s, s:b, s:s, s:s, s:o}",             //
                  "architecture", name_of(sae), "d_in", (json_int_t)sae->d_in, //
                  "d_sae", (json_int_t)sae->d_sae, "dtype", "float32",         //
                  "device", "cpu",                                             //
                  "apply_b_dec_to_input", sae->is_b_dec_subtracted ? 1 : 0,    //
                  "normalize_activations", normalisation_of(sae),              //
                  "reshape_activations", "none", "metadata", metadata_json(sae));
    int failed = cfg == NULL;
    if (fc_arch_find(sae->arch)->is_transcoder)
        failed |= set(cfg, "d_out", json_integer((json_int_t)sae->d_out));
    if (strcmp(sae->arch, "topk") == 0) {
        failed |= set(cfg, "k", json_integer((json_int_t)sae->k));
        failed |= set(cfg, "rescale_acts_by_decoder_norm", json_false());
    }
    if (failed == 0) return cfg;
    json_decref(cfg);
    return NULL;
}

static fc_status write_cfg(const fc_sae *sae, const char *dir, fc_err *err)
{
    char path[FC_PATH_MAX];
    FC_TRY(fc_path_join(path, dir, FC_SAELENS_CFG_FILE, err));
    json_t *cfg = cfg_json(sae);
    if (cfg == NULL)
        return fc_fail(
            err, FC_FORMAT,
            "%s: the model '%s' or the hook '%s' cannot be written as JSON, expected "
            "UTF-8 (or there is no memory)",
            path, sae->model, sae->hook);
    const fc_status status = fc_json_save(cfg, path, err);
    json_decref(cfg);
    return status;
}

static fc_status save(const fc_sae *sae, const char *dir, const char *weights_file,
                      fc_err *err)
{
    char path[FC_PATH_MAX];
    fc_import_row rows[FC_SAE_TENSORS];
    fc_export e = {.sae = sae,
                   .rows = rows,
                   .n_rows = FC_SAE_TENSORS,
                   .is_b_dec_subtracted = sae->is_b_dec_subtracted};
    fc_status status;
    if (name_of(sae) == NULL)
        return fc_fail(err, FC_MISMATCH, "SAELens has no architecture that computes '%s'",
                       sae->arch);
    FC_TRY(fc_path_join(path, dir, weights_file, err));
    fc_saelens_rows(rows, sae->arch);
    FC_TRY(fc_export_init(&e, dir, err));
    FC_TRY_GOTO(fc_dir_make(dir, err));
    FC_TRY_GOTO(write_mean(sae, dir, err));
    FC_TRY_GOTO(write_tensors(&e, path, err));
    status = write_cfg(sae, dir, err); /* last: a folder with cfg.json is whole */
done:
    fc_export_deinit(&e);
    return status;
}

fc_status fc_sae_save(const fc_sae *sae, const char *dir, fc_err *err)
{
    return save(sae, dir, FC_SAELENS_WEIGHTS_FILE, err);
}

fc_status fc_saelens_save_npz(const fc_sae *sae, const char *dir, fc_err *err)
{
    return save(sae, dir, FC_SAELENS_NPZ_FILE, err);
}
