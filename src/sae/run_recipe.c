/* run_recipe.c - writes recipe.json and holds a resumed run to it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/run_recipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "formats/manifest.h"

/* Members that do not touch the result: they may differ from run to run. */
static const char *const free_keys[] = {"acts", "target_acts", "text", "model",
                                        "checkpoint_every"};

static bool is_free(const char *key)
{
    for (size_t i = 0; i < FC_LEN(free_keys); i++)
        if (strcmp(key, free_keys[i]) == 0) return true;
    return false;
}

static fc_status make_recipe(json_t **recipe, const fc_train_config *config,
                             const fc_feed *feed, fc_err *err)
{
    int64_t n;
    const fc_field *fields = fc_train_fields(&n);
    json_t *train = NULL;
    *recipe = json_object();
    if (*recipe == NULL) return fc_fail(err, FC_NOMEM, "no memory for the configuration");
    FC_TRY(feed->ops->describe(feed, *recipe, err));
    FC_TRY(fc_manifest_config(&train, fields, n, config, err));
    if (json_object_set_new(*recipe, "train", train) == 0) return FC_OK;
    return fc_fail(err, FC_NOMEM, "no memory for the configuration");
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

/* Section by section: those of the data, then "train". */
static fc_status compare_recipes(const char *path, json_t *asked, fc_err *err)
{
    json_t *there = NULL, *section;
    const char *key;
    FC_TRY(fc_json_load(&there, path, err));
    fc_status status = FC_OK;
    json_object_foreach(asked, key, section)
    {
        if (!json_is_object(section) || status != FC_OK) continue;
        status = compare_section(json_object_get(there, key), section, path, err);
    }
    json_decref(there);
    return status;
}

static void remove_free(json_t *section)
{
    for (size_t i = 0; i < FC_LEN(free_keys); i++)
        (void)json_object_del(section, free_keys[i]); /* -1: not there, or no object */
}

/* Digest of the members that must be the same, in their order. */
static fc_status hash_recipe(const json_t *recipe, char hash[FC_HASH_HEX], fc_err *err)
{
    json_t *fixed = json_deep_copy(recipe), *section;
    const char *name;
    remove_free(fixed);
    json_object_foreach(fixed, name, section) remove_free(section);
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
                                const fc_feed *feed, int64_t memory_bytes,
                                const char *path, fc_err *err)
{
    static const char *const words[] = {"auto", "full", "blocks", "windows"};
    const char *const word = words[feed->ops->shuffle(feed, memory_bytes)];
    if (config->shuffle == FC_SHUFFLE_AUTO)
        FC_TRY(settle_choice(config, "shuffle", there, word, path, err));
    if (feed->info.is_stream != (config->shuffle == FC_SHUFFLE_WINDOWS))
        return fc_fail(
            err, FC_USAGE, "shuffle is %s, but %s", words[config->shuffle],
            feed->info.is_stream
                ? "without a store activations are mixed in windows: it can "
                  "only be auto or windows"
                : "a store is mixed in full or in blocks: windows are for text "
                  "through the model without a store");
    if (config->shuffle == FC_SHUFFLE_FULL || config->mix_buffer_rows != 0) return FC_OK;
    config->mix_buffer_rows = feed->ops->buffer_rows(feed, memory_bytes);
    return fc_json_i64(there, "mix_buffer_rows", &config->mix_buffer_rows, path, err);
}

fc_status fc_run_settle(const char *run_dir, const fc_backend *be, const fc_feed *feed,
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
    status = settle_shuffle(config, there, feed, memory_bytes, path, err);
done:
    json_decref(recipe);
    return status;
}

fc_status fc_run_check(const char *run_dir, const fc_backend *be, const fc_feed *feed,
                       const fc_train_config *config, fc_err *err)
{
    char path[FC_PATH_MAX];
    fc_train_config settled = *config;
    json_t *recipe = NULL;
    FC_TRY(fc_path_join(path, run_dir, "recipe.json", err));
    FC_TRY(fc_train_resolve(&settled, feed->info.d_in, err));
    settled.d_sae = config->d_sae;
    FC_TRY(fc_run_settle(run_dir, be, feed, fc_memory_bytes(), &settled, err));
    if (!fc_path_exists(path)) return FC_OK;
    fc_status status = make_recipe(&recipe, &settled, feed, err);
    if (status == FC_OK) status = compare_recipes(path, recipe, err);
    json_decref(recipe);
    return status;
}

fc_status fc_run_recipe(const char *run_dir, const fc_train_config *config,
                        const fc_feed *feed, bool is_resume, char hash[FC_HASH_HEX],
                        fc_err *err)
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
    FC_TRY_GOTO(make_recipe(&recipe, config, feed, err));
    if (is_there) FC_TRY_GOTO(compare_recipes(path, recipe, err));
    FC_TRY_GOTO(hash_recipe(recipe, hash, err));
    FC_TRY_GOTO(fc_dir_make(run_dir, err));
    status = fc_json_save(recipe, path, err);
done:
    json_decref(recipe);
    return status;
}
