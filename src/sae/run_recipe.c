/* run_recipe.c - writes recipe.json and holds a resumed run to it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/run_recipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "acts/mixer.h"
#include "base/file.h"
#include "formats/manifest.h"

/* Members that do not touch the result: they may differ from run to run. */
static const char *const free_keys[] = {"acts", "model", "checkpoint_every"};

static bool is_free(const char *key)
{
    for (size_t i = 0; i < FC_LEN(free_keys); i++)
        if (strcmp(key, free_keys[i]) == 0) return true;
    return false;
}

/* What tells one store from another; the digest of its mean stands for the rows. */
static json_t *store_json(const fc_store *store)
{
    const fc_store_info *info = fc_store_info_of(store);
    const json_t *mean = json_object_get(fc_store_meta(store), "mean");
    const char *mean_hash = json_string_value(json_object_get(mean, "xxh3"));
    return json_pack("{s:s, s:s, s:s, s:I, s:s, s:I, s:s, s:s}", "hook", info->hook,
                     "model", info->model, "model_hash", info->model_hash, "width",
                     (json_int_t)info->d, "dtype", fc_dtype_name(info->dtype), "rows",
                     (json_int_t)fc_store_rows(store), "text_hash", info->text_hash,
                     "mean_xxh3", mean_hash != NULL ? mean_hash : "");
}

/* The folder's name from the root: a run must find its store from anywhere. */
static fc_status full_path(char path[FC_PATH_MAX], const char *dir, fc_err *err)
{
    char here[FC_PATH_MAX];
    if (dir[0] == '/') return fc_path_join(path, NULL, dir, err);
    if (getcwd(here, sizeof here) == NULL)
        return fc_fail_errno(err, "cannot tell the current folder");
    return fc_path_join(path, here, dir, err);
}

static fc_status make_recipe(json_t **recipe, const fc_train_config *config,
                             const char *store_dir, const fc_store *store, fc_err *err)
{
    int64_t n;
    const fc_field *fields = fc_train_fields(&n);
    char acts[FC_PATH_MAX];
    json_t *train = NULL;
    FC_TRY(full_path(acts, store_dir, err));
    FC_TRY(fc_manifest_config(&train, fields, n, config, err));
    *recipe = json_pack("{s:s, s:o, s:o}", "acts", acts, "store", store_json(store),
                        "train", train);
    if (*recipe == NULL)
        return fc_fail(
            err, FC_FORMAT,
            "recipe.json: a name in the store '%s' is not UTF-8 (or there is no memory)",
            store_dir);
    return FC_OK;
}

/* The value as it stands in the file, for sentences. */
static void print_value(char text[64], const json_t *value)
{
    char *dumped = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
    (void)snprintf(text, 64, "%s", dumped != NULL ? dumped : "nothing");
    free(dumped);
}

/* The first member of `asked` that `there` has otherwise. */
static fc_status compare_section(const json_t *there, json_t *asked, const char *path,
                                 fc_err *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(asked, key, value)
    {
        const json_t *old = json_object_get(there, key);
        char a[64], b[64];
        if (is_free(key) || json_equal(old, value)) continue;
        print_value(a, old);
        print_value(b, value);
        return fc_fail(
            err, FC_MISMATCH,
            "%s: %s is %s, this run asks for %s: a run goes on only as it began", path,
            key, a, b);
    }
    return FC_OK;
}

static fc_status compare_recipes(const char *path, const json_t *asked, fc_err *err)
{
    static const char *const sections[] = {"store", "train"};
    json_t *there = NULL;
    FC_TRY(fc_json_load(&there, path, err));
    fc_status status = FC_OK;
    for (size_t i = 0; i < FC_LEN(sections) && status == FC_OK; i++)
        status = compare_section(json_object_get(there, sections[i]),
                                 json_object_get(asked, sections[i]), path, err);
    json_decref(there);
    return status;
}

/* Digest of the members that must be the same, in their order. */
static fc_status hash_recipe(const json_t *recipe, char hash[FC_HASH_HEX], fc_err *err)
{
    json_t *fixed = json_deep_copy(recipe);
    json_t *const sections[] = {fixed, json_object_get(fixed, "store"),
                                json_object_get(fixed, "train")};
    for (size_t i = 0; i < FC_LEN(sections); i++)
        for (size_t k = 0; k < FC_LEN(free_keys); k++)
            (void)json_object_del(sections[i], free_keys[k]);
    char *text = json_dumps(fixed, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(fixed);
    if (text == NULL) return fc_fail(err, FC_NOMEM, "no memory for the configuration");
    fc_hash_bytes(text, strlen(text), hash);
    free(text);
    return FC_OK;
}

/* A choice that is left open becomes what the run began with, else `word`. */
static fc_status settle_choice(fc_train_config *config, const char *name,
                               const json_t *there, const char *word, const char *path,
                               fc_err *err)
{
    int64_t n;
    const fc_field *fields = fc_train_fields(&n);
    FC_TRY(fc_json_text(there, name, &word, path, err));
    return fc_field_set(fc_fields_find(fields, n, name), config, word, path, err);
}

static fc_status settle_shuffle(fc_train_config *config, const json_t *there,
                                const fc_store *store, int64_t memory_bytes,
                                const char *path, fc_err *err)
{
    const char *word = fc_mixer_wants_blocks(store, memory_bytes) ? "blocks" : "full";
    if (config->shuffle == FC_SHUFFLE_AUTO)
        FC_TRY(settle_choice(config, "shuffle", there, word, path, err));
    if (config->shuffle != FC_SHUFFLE_BLOCKS || config->mix_buffer_rows != 0)
        return FC_OK;
    config->mix_buffer_rows =
        fc_min(fc_mixer_buffer_rows(store, memory_bytes), fc_store_rows(store));
    return fc_json_i64(there, "mix_buffer_rows", &config->mix_buffer_rows, path, err);
}

fc_status fc_run_settle(const char *run_dir, const fc_backend *be, const fc_store *store,
                        int64_t memory_bytes, fc_train_config *config, fc_err *err)
{
    char path[FC_PATH_MAX];
    json_t *recipe = NULL;
    fc_status status;
    FC_TRY(fc_path_join(path, run_dir, "recipe.json", err));
    if (fc_path_exists(path)) FC_TRY(fc_json_load(&recipe, path, err));
    const json_t *const there = json_object_get(recipe, "train");
    if (config->precision == FC_AUTO_PRECISION)
        FC_TRY_GOTO(settle_choice(config, "precision", there,
                                  fc_backend_prefers_bf16(be) ? "bf16" : "f32", path,
                                  err));
    status = settle_shuffle(config, there, store, memory_bytes, path, err);
done:
    json_decref(recipe);
    return status;
}

fc_status fc_run_recipe(const char *run_dir, const fc_train_config *config,
                        const char *store_dir, const fc_store *store, bool is_resume,
                        char hash[FC_HASH_HEX], fc_err *err)
{
    char path[FC_PATH_MAX];
    json_t *recipe = NULL;
    fc_status status;
    FC_TRY(fc_path_join(path, run_dir, "recipe.json", err));
    const bool is_there = fc_path_exists(path);
    if (is_there && !is_resume)
        return fc_fail(
            err, FC_USAGE,
            "'%s' holds a run already: go on with --resume, or choose another folder",
            run_dir);
    FC_TRY(make_recipe(&recipe, config, store_dir, store, err));
    if (is_there) FC_TRY_GOTO(compare_recipes(path, recipe, err));
    FC_TRY_GOTO(hash_recipe(recipe, hash, err));
    FC_TRY_GOTO(fc_dir_make(run_dir, err));
    status = fc_json_save(recipe, path, err);
done:
    json_decref(recipe);
    return status;
}
