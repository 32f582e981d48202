/* dictionary_learning_export.c - the folder that load_dictionary of dictionary_learning opens.
 *
 *   DIR/config.json    {"trainer": {"dict_class", "activation_dim", "dict_size", "k", ...}, "buffer": ...}
 *   DIR/ae.pt          the state dictionary, as torch.save writes it (arrays_out.c)
 *
 * k is int32 and the thresholds float32 there, as the classes register them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "sae/dictionary_learning_internal.h"
#include "sae/export_internal.h"

/* The class of this architecture; where there are two, the one that does the same with b_dec. */
static const fc_dictionary *class_of(const fc_sae *sae)
{
    const fc_dictionary *found = NULL;
    for (size_t i = 0; i < FC_N_DICTIONARIES; i++) {
        const fc_dictionary *d = &fc_dictionaries[i];
        if (strcmp(d->arch, sae->arch) != 0) continue;
        if (found == NULL || d->is_b_dec_subtracted == sae->is_b_dec_subtracted)
            found = d;
    }
    return found;
}

/* The threshold of all features, once what is_rescaled says is folded into the encoder; they may differ
 * by roundings of that. */
static bool has_one_threshold(const fc_export *e, float *threshold)
{
    const fc_sae *sae = e->sae;
    const double first = (double)sae->threshold[0] * e->gain[0];
    *threshold = (float)first;
    for (int64_t i = 1; i < sae->d_sae; i++)
        if (fabs((double)sae->threshold[i] * e->gain[i] - first) > 1e-6 * fabs(first))
            return false;
    return true;
}

static fc_status check(const fc_sae *sae, const fc_dictionary *d, fc_err *err)
{
    if (d == NULL)
        return fc_fail(err, FC_MISMATCH,
                       "dictionary_learning has no class that computes '%s'", sae->arch);
    return fc_export_check_norm(sae, "dictionary_learning", err);
}

static fc_status check_threshold(const fc_export *e, const fc_dictionary *d, fc_err *err)
{
    float threshold;
    if (!(d->ones & FC_ONE_THRESHOLD) || has_one_threshold(e, &threshold)) return FC_OK;
    return fc_fail(
        err, FC_MISMATCH,
        "%s has one threshold for all features, expected that of this SAE to be "
        "the same for all",
        d->name);
}

static bool has_groups(const fc_dictionary *d)
{
    return strcmp(d->arch, "matryoshka_batchtopk") == 0;
}

static fc_status declare_ones(const fc_dictionary *d, fc_arrays_out *out, fc_err *err)
{
    static const int64_t one[] = {1};
    if (d->ones & FC_ONE_K) {
        FC_TRY(fc_arrays_declare(out, "k", FC_I32, 0, NULL, err));
        FC_TRY(fc_arrays_declare(out, "threshold", FC_F32, 0, NULL, err));
    }
    return has_groups(d) ? fc_arrays_declare(out, "group_sizes", FC_I64, 1, one, err)
                         : FC_OK;
}

static fc_status write_ones(const fc_dictionary *d, const fc_export *e,
                            fc_arrays_out *out, fc_err *err)
{
    const fc_sae *sae = e->sae;
    const int32_t k = (int32_t)sae->k;
    float threshold = -1.0f; /* not set */
    if (sae->threshold != NULL) (void)has_one_threshold(e, &threshold);
    const int64_t group = sae->d_sae; /* one group: it has no part in inference */
    if (d->ones & FC_ONE_K) {
        FC_TRY(fc_arrays_write(out, "k", &k, sizeof k, err));
        FC_TRY(fc_arrays_write(out, "threshold", &threshold, sizeof threshold, err));
    }
    return has_groups(d) ? fc_arrays_write(out, "group_sizes", &group, sizeof group, err)
                         : FC_OK;
}

static fc_status write_tensors(const fc_dictionary *d, const fc_export *e,
                               const char *path, fc_err *err)
{
    fc_arrays_out *out = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_arrays_create(&out, FC_ARRAYS_TORCH, path, err));
    FC_TRY_GOTO(declare_ones(d, out, err));
    FC_TRY_GOTO(fc_export_declare(e, out, err));
    FC_TRY_GOTO(write_ones(d, e, out, err));
    FC_TRY_GOTO(fc_export_write(e, out, err));
    FC_TRY_GOTO(fc_arrays_commit(out, err));
done:
    fc_arrays_discard(out);
    return status;
}

static json_t *config_json(const fc_dictionary *d, const fc_sae *sae)
{
    json_t *config = json_pack(
        "{s:{s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:n}, s:{s:I, s:s, s:I}}", //
        "trainer", "trainer_class", d->trainer, "dict_class", d->name,     //
        "activation_dim", (json_int_t)sae->d_in, "dict_size", (json_int_t)sae->d_sae,
        "lm_name", sae->model, "submodule_name", sae->hook, "device", "cpu", "layer", //
        "buffer", "d_submodule", (json_int_t)sae->d_in, "io", "out", "ctx_len",
        (json_int_t)sae->context_size);
    json_t *trainer = json_object_get(config, "trainer");
    int failed = config == NULL;
    if (d->ones & FC_ONE_K)
        failed |= json_object_set_new(trainer, "k", json_integer((json_int_t)sae->k));
    if (has_groups(d))
        failed |= json_object_set_new(trainer, "group_sizes",
                                      json_pack("[I]", (json_int_t)sae->d_sae));
    if (failed == 0) return config;
    json_decref(config);
    return NULL;
}

static fc_status write_config(const fc_dictionary *d, const fc_sae *sae, const char *path,
                              fc_err *err)
{
    json_t *config = config_json(d, sae);
    if (config == NULL)
        return fc_fail(err, FC_FORMAT,
                       "%s: the model '%s' or the hook '%s' cannot be written as JSON, "
                       "expected UTF-8 (or there is no memory)",
                       path, sae->model, sae->hook);
    const fc_status status = fc_json_save(config, path, err);
    json_decref(config);
    return status;
}

fc_status fc_dictionary_learning_save(const fc_sae *sae, const char *dir, fc_err *err)
{
    char weights[FC_PATH_MAX], config[FC_PATH_MAX];
    const fc_dictionary *d = class_of(sae);
    fc_export e = {.sae = sae};
    fc_status status;
    FC_TRY(check(sae, d, err));
    FC_TRY(fc_path_join(weights, dir, "ae.pt", err));
    FC_TRY(fc_path_join(config, dir, "config.json", err));
    e.rows = d->rows;
    e.n_rows = d->n_rows;
    e.is_b_dec_subtracted = d->is_b_dec_subtracted;
    FC_TRY(fc_export_init(&e, dir, err));
    if (d->ones & FC_ONE_THRESHOLD) e.absent = 1U << FC_THRESHOLD;
    FC_TRY_GOTO(check_threshold(&e, d, err));
    FC_TRY_GOTO(fc_dir_make(dir, err));
    FC_TRY_GOTO(write_tensors(d, &e, weights, err));
    status = write_config(d, sae, config, err);
done:
    fc_export_deinit(&e);
    return status;
}
