/* weight_files.c - one file or an index with shards: opened, named and fingerprinted.
 *
 *   model.safetensors.index.json
 *     {"weight_map": {"model.norm.weight": "model-00002-of-00002.safetensors", ...}}
 *
 * When both are there, model.safetensors wins, as in transformers. The index is the authority on
 * where a tensor lies; a shard that lacks what the index promises is an error, not a search. A
 * shard name is a plain file name of the same folder: anything with a path in it is refused, since
 * a downloaded index must not open other files of the machine.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "model/weight_files.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/memory.h"

/* In-memory names of transformers 4.52 and later; the Hub's multimodal files; text-only; bare. */
static const char *const prefixes[] = {"model.language_model.", "language_model.model.",
                                       "model.", ""};

enum { FULL_NAME_MAX = 256, SAMPLE_BYTES = 4096 };

/* --- files ------------------------------------------------------------------------------ */

static int64_t find_file(const fc_weight_files *files, const char *file_name)
{
    for (int64_t i = 0; i < files->n_files; i++)
        if (strcmp(fc_path_base(fc_safetensors_path(files->file[i])), file_name) == 0)
            return i;
    return -1;
}

/* Opens dir/file_name into its place in name order. */
static fc_status add_file(fc_weight_files *files, const char *dir, const char *file_name,
                          fc_err *err)
{
    char path[FC_PATH_MAX];
    fc_safetensors *file = NULL;
    FC_TRY(fc_path_join(path, dir, file_name, err));
    FC_TRY(fc_grow(&files->file, &files->capacity, files->n_files + 1,
                   sizeof(fc_safetensors *), "weight files", err));
    FC_TRY(fc_safetensors_open(&file, path, err));
    int64_t at = files->n_files++;
    for (; at > 0 && strcmp(fc_safetensors_path(files->file[at - 1]), path) > 0; at--)
        files->file[at] = files->file[at - 1];
    files->file[at] = file;
    return FC_OK;
}

static fc_status check_shard_name(const char *tensor, const json_t *value,
                                  const char *index_path, fc_err *err)
{
    if (!json_is_string(value))
        return fc_fail(err, FC_FORMAT, "%s: weight_map['%s'] is %s, expected a file name",
                       index_path, tensor, fc_json_type_word(value));
    const char *name = json_string_value(value);
    const bool is_plain = json_string_length(value) == strlen(name) && name[0] != '\0' &&
                          name[0] != '.' && strpbrk(name, "/\\") == NULL;
    if (is_plain) return FC_OK;
    return fc_fail(
        err, FC_FORMAT,
        "%s: weight_map['%s'] is \"%s\", expected the name of a file in the same folder",
        index_path, tensor, name);
}

static fc_status open_shards(fc_weight_files *files, const char *dir, fc_err *err)
{
    const char *path = files->list_path;
    FC_TRY(fc_json_load(&files->index, path, err));
    json_t *map = json_object_get(files->index, "weight_map");
    if (!json_is_object(map) || json_object_size(map) == 0)
        return fc_fail(
            err, FC_FORMAT,
            "%s: weight_map is %s, expected an object of tensor and file names", path,
            json_is_object(map) ? "empty" : fc_json_type_word(map));
    const char *tensor;
    const json_t *value;
    json_object_foreach(map, tensor, value)
    {
        FC_TRY(check_shard_name(tensor, value, path, err));
        if (find_file(files, json_string_value(value)) >= 0) continue;
        const fc_status status = add_file(files, dir, json_string_value(value), err);
        if (status != FC_OK) return fc_fail_in(err, "a shard of %s", path);
    }
    return FC_OK;
}

static fc_status open_files(fc_weight_files *files, const char *dir, fc_err *err)
{
    char path[FC_PATH_MAX];
    FC_TRY(fc_path_join(path, dir, "model.safetensors", err));
    const bool is_single = fc_path_exists(path);
    if (!is_single) FC_TRY(fc_path_join(path, dir, "model.safetensors.index.json", err));
    if (!fc_path_exists(path))
        return fc_fail(
            err, FC_IO,
            "%s: has neither model.safetensors nor model.safetensors.index.json, "
            "expected a Hugging Face checkpoint",
            dir);
    FC_TRY(fc_strdup(&files->list_path, path, err));
    if (is_single) return add_file(files, dir, "model.safetensors", err);
    return open_shards(files, dir, err);
}

/* --- names ------------------------------------------------------------------------------ */

static fc_status find_full(const fc_weight_files *files, const char *name,
                           const fc_tensor **tensor, const char **path, fc_err *err)
{
    int64_t file = 0;
    *tensor = NULL;
    *path = files->list_path;
    if (files->index != NULL) {
        const json_t *shard =
            json_object_get(json_object_get(files->index, "weight_map"), name);
        if (shard == NULL) return FC_OK;
        file = find_file(files, json_string_value(shard));
    }
    *tensor = fc_safetensors_find(files->file[file], name);
    *path = fc_safetensors_path(files->file[file]);
    if (*tensor != NULL || files->index == NULL) return FC_OK;
    return fc_fail(err, FC_FORMAT, "%s: '%s' is not in the file, expected it as %s says",
                   *path, name, files->list_path);
}

fc_status fc_weight_files_find(const fc_weight_files *files, const char *name,
                               const fc_tensor **tensor, const char **path, fc_err *err)
{
    char full[FULL_NAME_MAX];
    snprintf(full, sizeof full, "%s%s", files->prefix, name);
    return find_full(files, full, tensor, path, err);
}

fc_status fc_weight_files_find_head(const fc_weight_files *files,
                                    const fc_tensor **tensor, const char **path,
                                    fc_err *err)
{
    FC_TRY(find_full(files, "lm_head.weight", tensor, path, err));
    if (*tensor != NULL) return FC_OK;
    return find_full(files, "language_model.lm_head.weight", tensor, path, err);
}

static fc_status find_prefix(fc_weight_files *files, fc_err *err)
{
    for (size_t i = 0; i < FC_LEN(prefixes); i++) {
        const fc_tensor *tensor;
        const char *path;
        files->prefix = prefixes[i];
        FC_TRY(fc_weight_files_find(files, "embed_tokens.weight", &tensor, &path, err));
        if (tensor != NULL) return FC_OK;
    }
    return fc_fail(err, FC_FORMAT,
                   "%s: no tensor is named 'model.embed_tokens.weight', or the same "
                   "after another of the "
                   "prefixes of Gemma 3, expected the weights of a text model",
                   files->list_path);
}

/* --- entry points ----------------------------------------------------------------------- */

fc_status fc_weight_files_open(fc_weight_files *files, const char *dir, fc_err *err)
{
    *files = (fc_weight_files){0};
    fc_status status = open_files(files, dir, err);
    if (status == FC_OK) status = find_prefix(files, err);
    if (status != FC_OK) fc_weight_files_close(files);
    return status;
}

void fc_weight_files_close(fc_weight_files *files)
{
    for (int64_t i = 0; i < files->n_files; i++) fc_safetensors_close(files->file[i]);
    fc_free(files->file);
    fc_free(files->list_path);
    json_decref(files->index);
    *files = (fc_weight_files){0};
}

void fc_weight_files_release(const fc_weight_files *files, const void *data)
{
    for (int64_t i = 0; i < files->n_files; i++)
        for (int64_t t = 0; t < fc_safetensors_count(files->file[i]); t++) {
            const fc_tensor *const tensor = fc_safetensors_at(files->file[i], t);
            if (tensor->data == data) fc_pages_drop(data, tensor->n_bytes);
        }
}

/* The bytes before the first tensor are the header; tensors come in file order. */
static fc_status hash_file(fc_hash *hash, const fc_safetensors *file, fc_err *err)
{
    fc_map map = {0};
    FC_TRY(fc_map_open(&map, fc_safetensors_path(file), err));
    size_t n_tensor_bytes = 0;
    for (int64_t i = 0; i < fc_safetensors_count(file); i++) {
        const fc_tensor *tensor = fc_safetensors_at(file, i);
        n_tensor_bytes += tensor->n_bytes;
        fc_hash_update(hash, tensor->data,
                       tensor->n_bytes < SAMPLE_BYTES ? tensor->n_bytes : SAMPLE_BYTES);
    }
    const uint64_t n_file = map.n_bytes;
    fc_hash_update(hash, &n_file, sizeof n_file);
    fc_hash_update(hash, map.data, map.n_bytes - n_tensor_bytes);
    fc_map_close(&map);
    return FC_OK;
}

fc_status fc_weight_files_fingerprint(const fc_weight_files *files,
                                      const char *config_path, char hex[FC_HASH_HEX],
                                      fc_err *err)
{
    fc_status status;
    fc_hash *hash = NULL;
    fc_map config = {0};
    FC_TRY_GOTO(fc_hash_new(&hash, err));
    FC_TRY_GOTO(fc_map_open(&config, config_path, err));
    fc_hash_update(hash, config.data, config.n_bytes);
    for (int64_t i = 0; i < files->n_files; i++)
        FC_TRY_GOTO(hash_file(hash, files->file[i], err));
    fc_hash_hex(hash, hex);
done:
    fc_map_close(&config);
    fc_hash_free(hash);
    return status;
}
