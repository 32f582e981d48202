/* saelens_export.c - fc_sae_save: the folder that SAELens 6 loads as it is.
 *
 *   DIR/sae_weights.safetensors    W_enc [d_in, d_sae], W_dec [d_sae, d_in], b_enc, b_dec, F32
 *   DIR/cfg.json                   what it is and where its input comes from
 *   DIR/normalization.safetensors  center_unit only: mean [d_in]
 *
 * SAELens knows no centring. With c, s the mean and the scale of center_scale, x' = (x - c) / s,
 * so the same SAE on raw x is exactly
 *
 *   W_enc / s    W_dec s    b_dec s + c    b_enc             if b_dec is subtracted from x
 *                                          b_enc - W_enc c / s          if it is not
 *
 * and that is what is written. center_unit divides every row by its own length and cannot be
 * folded: the weights are those for normalised input, metadata.facet_normalization says so, and
 * the mean lies beside them. Loading is strict there: no tensor more, none less.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>

#include "base/alloc.h"
#include "base/file.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "sae/saelens_internal.h"

/* Without this, SAELens takes cfg.json for the flat form of versions before 6. */
static const char SAE_LENS_VERSION[] = "6.18.0";

enum { BLOCK = 64 }; /* rows of W_enc that are transposed at once */

typedef struct export
{
    const fc_sae *sae;
    fc_safetensors_out *out;
    float *block;   /* [BLOCK, widest row] */
    double s;       /* what center_scale divides by, 1 otherwise */
    const float *c; /* its mean, or NULL */
}
export;

static fc_status write_w_enc(const export *e, fc_err *err)
{
    const int64_t d_in = e->sae->d_in, d_sae = e->sae->d_sae;
    for (int64_t begin = 0; begin < d_in; begin += BLOCK) {
        const int64_t n = fc_min(BLOCK, d_in - begin);
        for (int64_t i = 0; i < d_sae; i++)
            for (int64_t j = 0; j < n; j++) {
                const double w = (double)e->sae->w_enc[i * d_in + begin + j];
                e->block[j * d_sae + i] = (float)(w / e->s);
            }
        FC_TRY(fc_safetensors_write(e->out, "W_enc", e->block,
                                    (size_t)(n * d_sae) * sizeof(float), err));
    }
    return FC_OK;
}

static fc_status write_w_dec(const export *e, fc_err *err)
{
    const int64_t d_in = e->sae->d_in;
    for (int64_t i = 0; i < e->sae->d_sae; i++) {
        for (int64_t j = 0; j < d_in; j++)
            e->block[j] = (float)((double)e->sae->w_dec[i * d_in + j] * e->s);
        FC_TRY(fc_safetensors_write(e->out, "W_dec", e->block,
                                    (size_t)d_in * sizeof(float), err));
    }
    return FC_OK;
}

static fc_status write_b_dec(const export *e, fc_err *err)
{
    for (int64_t j = 0; j < e->sae->d_in; j++)
        e->block[j] =
            (float)((double)e->sae->b_dec[j] * e->s + (e->c ? (double)e->c[j] : 0.0));
    return fc_safetensors_write(e->out, "b_dec", e->block,
                                (size_t)e->sae->d_in * sizeof(float), err);
}

static fc_status write_b_enc(const export *e, fc_err *err)
{
    const int64_t d_in = e->sae->d_in;
    const bool is_centred = e->c != NULL && !e->sae->is_b_dec_subtracted;
    for (int64_t i = 0; i < e->sae->d_sae; i++) {
        double shift = 0.0;
        for (int64_t j = 0; is_centred && j < d_in; j++)
            shift += (double)e->sae->w_enc[i * d_in + j] * (double)e->c[j];
        e->block[i] = (float)((double)e->sae->b_enc[i] - shift / e->s);
    }
    return fc_safetensors_write(e->out, "b_enc", e->block,
                                (size_t)e->sae->d_sae * sizeof(float), err);
}

static fc_status write_tensors(export *e, const char *path, fc_err *err)
{
    const int64_t d_in = e->sae->d_in, d_sae = e->sae->d_sae;
    FC_TRY(fc_safetensors_create(&e->out, path, err));
    for (int i = 0; i < FC_SAELENS_TENSORS; i++) {
        int64_t shape[2];
        const int rank = fc_saelens_shape(i, d_in, d_sae, shape);
        FC_TRY(fc_safetensors_declare(e->out, fc_saelens_names[i], FC_F32, rank, shape,
                                      err));
    }
    FC_TRY(write_w_dec(e, err)); /* in the order of the file: nothing waits in memory */
    FC_TRY(write_w_enc(e, err));
    FC_TRY(write_b_dec(e, err));
    FC_TRY(write_b_enc(e, err));
    return fc_safetensors_commit(e->out, err);
}

static fc_status write_weights(const fc_sae *sae, const char *dir, fc_err *err)
{
    char path[FC_PATH_MAX];
    FC_TRY(fc_path_join(path, dir, "sae_weights.safetensors", err));
    const fc_normaliser *norm = &sae->normaliser;
    const bool is_folded = norm->kind == FC_NORM_CENTER_SCALE;
    export e = {.sae = sae,
                .s = is_folded ? (double)norm->norm : 1.0,
                .c = is_folded ? norm->mean : NULL};
    FC_TRY(fc_alloc(&e.block, BLOCK * fc_max(sae->d_in, sae->d_sae), sizeof(float),
                    "a block of weights", err));
    const fc_status status = write_tensors(&e, path, err);
    fc_safetensors_discard(e.out);
    fc_free(e.block);
    return status;
}

static fc_status write_mean(const fc_sae *sae, const char *dir, fc_err *err)
{
    char path[FC_PATH_MAX];
    FC_TRY(fc_path_join(path, dir, "normalization.safetensors", err));
    if (sae->normaliser.kind != FC_NORM_CENTER_UNIT) return fc_file_remove(path, err);
    const fc_tensor mean = {.name = "mean",
                            .dtype = FC_F32,
                            .rank = 1,
                            .shape = {sae->d_in},
                            .n = sae->d_in,
                            .data = sae->normaliser.mean,
                            .n_bytes = (size_t)sae->d_in * sizeof(float)};
    return fc_safetensors_save(path, &mean, 1, err);
}

/* Where the activations came from, in SAELens' words. */
static json_t *metadata_json(const fc_sae *sae)
{
    json_t *metadata =
        json_pack("{s:s, s:n, s:s?, s:s, s:s?, s:s?, s:n, s:I, s:b, s:n, s:b, s:[n]}", //
                  "sae_lens_version", SAE_LENS_VERSION, "sae_lens_training_version",   //
                  "model_name", sae->model[0] ? sae->model : NULL,                     //
                  "model_class_name", "AutoModelForCausalLM",                          //
                  "hook_name", sae->hook[0] ? sae->hook : NULL,                        //
                  "hf_hook_name", sae->hook[0] ? sae->hook : NULL, "hook_head_index",  //
                  "context_size", (json_int_t)sae->context_size, "prepend_bos", 1,
                  "dataset_path", //
                  "exclude_special_tokens", 1, "seqpos_slice");
    if (metadata != NULL && sae->normaliser.kind == FC_NORM_CENTER_UNIT &&
        json_object_set_new(metadata, FC_SAELENS_NORMALIZATION,
                            json_string("center_unit")) != 0)
    {
        json_decref(metadata);
        return NULL;
    }
    return metadata;
}

static fc_status write_cfg(const fc_sae *sae, const char *dir, fc_err *err)
{
    char path[FC_PATH_MAX];
    FC_TRY(fc_path_join(path, dir, "cfg.json", err));
    json_t *cfg = json_pack("{s:s, s:I, s:I, s:s, s:s, s:b, s:s, s:s, s:o}",          //
                            "architecture", sae->arch, "d_in", (json_int_t)sae->d_in, //
                            "d_sae", (json_int_t)sae->d_sae, "dtype", "float32",      //
                            "device", "cpu",                                          //
                            "apply_b_dec_to_input", sae->is_b_dec_subtracted ? 1 : 0, //
                            "normalize_activations", "none",                          //
                            "reshape_activations", "none",                            //
                            "metadata", metadata_json(sae));
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

fc_status fc_sae_save(const fc_sae *sae, const char *dir, fc_err *err)
{
    const float *const w[] = {sae->w_dec, sae->w_enc, sae->b_dec, sae->b_enc};
    const int64_t matrix = sae->d_in * sae->d_sae;
    const int64_t n[] = {matrix, matrix, sae->d_in, sae->d_sae};
    for (int i = 0; i < FC_SAELENS_TENSORS; i++)
        FC_TRY(fc_saelens_check_finite(w[i], n[i], fc_saelens_names[i], dir, err));
    FC_TRY(fc_dir_make(dir, err));
    FC_TRY(write_mean(sae, dir, err));
    FC_TRY(write_weights(sae, dir, err));
    return write_cfg(sae, dir, err); /* last: a folder with cfg.json is whole */
}
