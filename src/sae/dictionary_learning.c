/* dictionary_learning.c - SAEs of dictionary_learning (Marks, Karvonen, Mueller).
 *
 *   trainer_0/config.json     {"trainer": {dict_class, activation_dim, dict_size, k, layer, ...}, "buffer": ...}
 *   trainer_0/ae.pt           the state dictionary, a PyTorch checkpoint
 *
 *   AutoEncoder             standard    `bias` is b_dec, subtracted from x
 *   AutoEncoderNew          standard    nothing is subtracted
 *   AutoEncoderTopK         topk        its threshold is not used
 *   BatchTopKSAE            batchtopk   one threshold for all
 *   MatryoshkaBatchTopKSAE  matryoshka_batchtopk, the same
 *   GatedAutoEncoder        gated
 *   JumpReluAutoEncoder     jumprelu    b_dec is not subtracted
 *
 * Decoder norms are left as they are: that is what `encode` gives. PyTorch's Linear stores [out, in],
 * so encoder.weight is [F, d] and decoder.weight [d, F]; the raw matrices are [d, F] and [F, d].
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "sae/dictionary_learning_internal.h"

/* Several classes call one tensor differently. */
static const fc_import_row rows_auto[] = {
    {FC_W_ENC, "encoder.weight", false},
    {FC_B_ENC, "encoder.bias", false},
    {FC_W_DEC, "decoder.weight", true},
    {FC_B_DEC, "bias", false},
};
static const fc_import_row rows_new[] = {
    {FC_W_ENC, "encoder.weight", false},
    {FC_B_ENC, "encoder.bias", false},
    {FC_W_DEC, "decoder.weight", true},
    {FC_B_DEC, "decoder.bias", false},
};
static const fc_import_row rows_topk[] = {
    {FC_W_ENC, "encoder.weight", false},
    {FC_B_ENC, "encoder.bias", false},
    {FC_W_DEC, "decoder.weight", true},
    {FC_B_DEC, "b_dec", false},
};
static const fc_import_row rows_matrix[] = {
    {FC_W_ENC, "W_enc", true},          {FC_B_ENC, "b_enc", false},
    {FC_W_DEC, "W_dec", false},         {FC_B_DEC, "b_dec", false},
    {FC_THRESHOLD, "threshold", false},
};
static const fc_import_row rows_gated[] = {
    {FC_W_ENC, "encoder.weight", false}, {FC_B_ENC, "gate_bias", false},
    {FC_W_DEC, "decoder.weight", true},  {FC_B_DEC, "decoder_bias", false},
    {FC_R_MAG, "r_mag", false},          {FC_B_MAG, "mag_bias", false},
};
static const char *const topk_others[] = {"k", "threshold", NULL};
static const char *const matryoshka_others[] = {"k", "threshold", "group_sizes", NULL};

const fc_dictionary fc_dictionaries[FC_N_DICTIONARIES] = {
    {"AutoEncoder", "StandardTrainer", "standard", true, FC_ONE_NONE, rows_auto, 4, NULL},
    {"AutoEncoderNew", "StandardTrainerAprilUpdate", "standard", false, FC_ONE_NONE,
     rows_new, 4, NULL},
    {"AutoEncoderTopK", "TopKTrainer", "topk", true, FC_ONE_K, rows_topk, 4, topk_others},
    {"BatchTopKSAE", "BatchTopKTrainer", "batchtopk", true, FC_ONE_K | FC_ONE_THRESHOLD,
     rows_topk, 4, topk_others},
    {"MatryoshkaBatchTopKSAE", "MatryoshkaBatchTopKTrainer", "matryoshka_batchtopk", true,
     FC_ONE_K | FC_ONE_THRESHOLD, rows_matrix, 5, matryoshka_others},
    {"GatedAutoEncoder", "GatedSAETrainer", "gated", true, FC_ONE_NONE, rows_gated, 6,
     NULL},
    {"JumpReluAutoEncoder", "JumpReluTrainer", "jumprelu", false, FC_ONE_NONE,
     rows_matrix, 5, NULL},
};

/* --- config.json ---------------------------------------------------------------------------- */

static fc_status find_class(const fc_dictionary **found, const json_t *trainer,
                            const char *path, fc_err *err)
{
    const char *name = NULL;
    FC_TRY(fc_json_need_text(trainer, "dict_class", &name, path, err));
    for (size_t i = 0; i < FC_N_DICTIONARIES; i++)
        if (strcmp(name, fc_dictionaries[i].name) == 0) {
            *found = &fc_dictionaries[i];
            return FC_OK;
        }
    return fc_fail(
        err, FC_FORMAT,
        "%s: dict_class '%.64s' is not supported, expected AutoEncoder, "
        "AutoEncoderNew, AutoEncoderTopK, BatchTopKSAE, MatryoshkaBatchTopKSAE, "
        "GatedAutoEncoder or JumpReluAutoEncoder",
        path, name);
}

/* "resid_post_layer_13" is the residual stream after layer 13; other names are kept as they are. */
static fc_status read_origin(const json_t *trainer, fc_sae *sae, const char *path,
                             fc_err *err)
{
    static const char resid[] = "resid_post_layer_";
    char hook[128];
    const char *model = "", *name = "";
    FC_TRY(fc_json_text(trainer, "lm_name", &model, path, err));
    FC_TRY(fc_json_text(trainer, "submodule_name", &name, path, err));
    const bool is_resid = strncmp(name, resid, sizeof resid - 1) == 0;
    (void)snprintf(hook, sizeof hook, "%s%.100s", is_resid ? "model.layers." : "",
                   is_resid ? name + sizeof resid - 1 : name);
    return fc_import_origin(sae, model, hook, "", path, err);
}

/* --- reading -------------------------------------------------------------------------------- */

static fc_status read_ones(const fc_dictionary *d, fc_sae *sae, fc_arrays *arrays,
                           fc_err *err)
{
    double value = 0.0;
    if (d->ones & FC_ONE_K) {
        FC_TRY(fc_import_scalar(arrays, "k", &value, err));
        FC_TRY(fc_import_k(sae, value, fc_arrays_path(arrays), err));
    }
    if (!(d->ones & FC_ONE_THRESHOLD)) return FC_OK;
    FC_TRY(fc_import_scalar(arrays, "threshold", &value, err));
    for (int64_t i = 0; i < sae->d_sae; i++) sae->threshold[i] = (float)value;
    return FC_OK;
}

static fc_status read_all(fc_sae **sae, const json_t *trainer, fc_arrays *arrays,
                          const char *path, fc_err *err)
{
    const fc_dictionary *d = &fc_dictionaries[0];
    FC_TRY(find_class(&d, trainer, path, err));
    fc_import im = {.arch = d->arch,
                    .rows = d->rows,
                    .n_rows = d->n_rows,
                    .absent = d->ones & FC_ONE_THRESHOLD ? 1U << FC_THRESHOLD : 0,
                    .others = d->others};
    FC_TRY(fc_import_count(trainer, "activation_dim", INT32_MAX, &im.d_in, path, err));
    FC_TRY(fc_import_count(trainer, "dict_size", INT32_MAX, &im.d_sae, path, err));
    im.d_out = im.d_in;
    FC_TRY(fc_import_sae(sae, &im, arrays, err));
    (*sae)->is_b_dec_subtracted = d->is_b_dec_subtracted;
    FC_TRY(read_ones(d, *sae, arrays, err));
    return read_origin(trainer, *sae, path, err);
}

/* checkpoints/ae_1000.pt has its config.json in the folder above. */
static fc_status find_config(char *config, const char *dir, fc_err *err)
{
    FC_TRY(fc_path_join(config, dir, "config.json", err));
    if (fc_path_exists(config)) return FC_OK;
    char above[FC_PATH_MAX];
    FC_TRY(fc_path_join(above, dir, "../config.json", err));
    return fc_path_exists(above) ? fc_path_join(config, NULL, above, err) : FC_OK;
}

static bool has_ending(const char *path, const char *ending)
{
    const size_t n = strlen(path), n_ending = strlen(ending);
    return n > n_ending && strcmp(path + n - n_ending, ending) == 0;
}

static fc_status load(fc_sae **loaded, const char *path, fc_err *err)
{
    char dir[FC_PATH_MAX], file[FC_PATH_MAX], config[FC_PATH_MAX];
    json_t *root = NULL;
    fc_arrays *arrays = NULL;
    fc_sae *sae = NULL;
    fc_status status;
    const char *name = fc_import_has(path, "ae.pt") ? "ae.pt" : "ae.safetensors";
    FC_TRY(fc_import_place(dir, file, path, name, err));
    FC_TRY(find_config(config, dir, err));
    FC_TRY_GOTO(fc_arrays_open(&arrays, file, err)); /* first: what a pickle asks for */
    FC_TRY_GOTO(fc_json_load(&root, config, err));
    const json_t *trainer = json_object_get(root, "trainer");
    if (!json_is_object(trainer))
        FC_TRY_GOTO(fc_fail(err, FC_FORMAT, "%s: trainer is %s, expected an object",
                            config, fc_json_type_word(trainer)));
    FC_TRY_GOTO(read_all(&sae, trainer, arrays, config, err));
    *loaded = sae;
    sae = NULL;
done:
    fc_sae_free(sae);
    fc_arrays_close(arrays);
    json_decref(root);
    return status;
}

static bool is_it(const char *path)
{
    return fc_import_has(path, "ae.pt") || fc_import_has(path, "ae.safetensors") ||
           (fc_path_exists(path) && !fc_path_is_dir(path) && has_ending(path, ".pt"));
}

const fc_sae_format fc_format_dictionary_learning = {
    .name = "dictionary_learning",
    .title = "a dictionary_learning folder",
    .opener = "load_dictionary of dictionary_learning",
    .is_it = is_it,
    .load = load,
    .save = fc_dictionary_learning_save,
};
