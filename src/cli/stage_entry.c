/* stage_entry.c - the stage's entry in manifest.json, and the store that a run names.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/stage_entry.h"

#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/par.h"
#include "formats/instream.h"
#include "formats/manifest.h"

json_t *fc_entry_begin(const fc_cli *cli, const char *command, const fc_backend *be)
{
    char when[32];
    const time_t now = (time_t)fc_wall_clock_s();
    struct tm utc;
    gmtime_r(&now, &utc);
    (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    (void)cli;
    return json_pack("{ss, ss, ss, si}", "command", command, "started", when, "backend",
                     be ? be->ops->name : "none", "threads", fc_par_threads());
}

fc_status fc_entry_input(json_t *inputs, const char *path, fc_err *err)
{
    char hex[FC_HASH_HEX], file[FC_PATH_MAX];
    if (strcmp(path, "-") == 0) return FC_OK;
    (void)fc_instream_file(file, path); /* the archive, for a member of one */
    FC_TRY(fc_hash_file(file, hex, err));
    json_array_append_new(inputs, json_pack("{ss, sI, ss}", "path", path, "bytes",
                                            (json_int_t)fc_file_size(file), "xxh3", hex));
    return FC_OK;
}

/* Takes over config and inputs. */
void fc_entry_fill(json_t *entry, json_t *inputs, json_t *config, double seconds,
                   json_t *result)
{
    json_object_set_new(entry, "seconds", json_real(seconds));
    json_object_set_new(entry, "inputs", inputs ? inputs : json_array());
    json_object_set_new(entry, "config", config);
    json_object_set(entry, "result", result);
}

/* Takes over entry, config and inputs. */
fc_status fc_entry_end(json_t *entry, const char *dir, json_t *inputs, json_t *config,
                       double seconds, json_t *result, fc_err *err)
{
    fc_entry_fill(entry, inputs, config, seconds, result);
    return fc_manifest_add(dir, entry, err);
}

bool fc_entry_is_current(const char *dir, const char *command, const json_t *inputs,
                         const json_t *config)
{
    char path[FC_PATH_MAX];
    json_t *manifest = NULL;
    bool is_current = false;
    if (fc_path_join(path, dir, "manifest.json", NULL) != FC_OK ||
        !fc_path_exists(path) || fc_json_load(&manifest, path, NULL) != FC_OK)
        return false;
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(manifest, "commands"), i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "command"));
        if (name && strcmp(name, command) == 0)
            is_current = json_equal(json_object_get(entry, "inputs"), inputs) &&
                         json_equal(json_object_get(entry, "config"), config);
    }
    json_decref(manifest);
    return is_current;
}

static bool has_content(const json_t *inputs, const json_t *input)
{
    size_t i;
    const json_t *one;
    json_array_foreach(inputs, i,
                       one) if (json_equal(json_object_get(one, "xxh3"),
                                           json_object_get(input, "xxh3"))) return true;
    return false;
}

bool fc_entry_has_read(const char *dir, const char *command, const json_t *input)
{
    char path[FC_PATH_MAX];
    json_t *manifest = NULL;
    bool has_read = false;
    if (fc_path_join(path, dir, "manifest.json", NULL) != FC_OK ||
        !fc_path_exists(path) || fc_json_load(&manifest, path, NULL) != FC_OK)
        return false;
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(manifest, "commands"), i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "command"));
        if (name && strcmp(name, command) == 0)
            has_read = has_content(json_object_get(entry, "inputs"), input);
    }
    json_decref(manifest);
    return has_read;
}

/* The store a run was trained on: "acts" of its recipe.json. */
fc_status fc_run_store(char *path, const char *acts_dir, const char *run_dir, fc_err *err)
{
    json_t *recipe = NULL;
    char file[FC_PATH_MAX];
    const char *acts = NULL;
    if (acts_dir && acts_dir[0]) return fc_path_join(path, NULL, acts_dir, err);
    FC_TRY(fc_path_join(file, run_dir, "recipe.json", err));
    FC_TRY(fc_json_load(&recipe, file, err));
    const bool has_none = json_object_get(recipe, "acts") == NULL &&
                          json_object_get(recipe, "stream") != NULL;
    fc_status status =
        has_none
            ? fc_fail(err, FC_USAGE,
                      "%s: the run was trained without a store: make one with 'facet "
                      "collect' from the same model, hook and text, and name it with "
                      "--acts",
                      file)
            : fc_json_need_text(recipe, "acts", &acts, file, err);
    if (status == FC_OK) status = fc_path_join(path, NULL, acts, err);
    json_decref(recipe);
    return status;
}
