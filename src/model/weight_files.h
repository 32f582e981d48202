/* weight_files.h - the weight files of a Hugging Face folder, seen as one set of named tensors.
 *
 * Names are the canonical ones of the text model ("layers.3.mlp.up_proj.weight"): the prefix in
 * the files (model.language_model. | language_model.model. | model. | none) is found once.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_MODEL_WEIGHT_FILES_H
#define FC_MODEL_WEIGHT_FILES_H

#include "base/hash.h"
#include "formats/json.h"
#include "formats/safetensors.h"

typedef struct fc_weight_files {
    fc_safetensors **file; /* [n_files], sorted by path */
    int64_t n_files, capacity;
    json_t *index;      /* model.safetensors.index.json, or NULL when there is one file */
    const char *prefix; /* static text */
    char *list_path;    /* for sentences: the index, or the one file; owned */
} fc_weight_files;

/* Opens model.safetensors, or model.safetensors.index.json with its shards, and finds the prefix. */
fc_status fc_weight_files_open(fc_weight_files *files, const char *dir, fc_err *err);
void fc_weight_files_close(fc_weight_files *files); /* back to {0} */

/* A tensor by its name without prefix; *tensor is NULL when there is none. Fails when the index
 * points to a shard that does not hold it. Borrowed until close; *path is its file. */
fc_status fc_weight_files_find(const fc_weight_files *files, const char *name,
                               const fc_tensor **tensor, const char **path, fc_err *err);

/* The output head, which lies outside the text model: "lm_head.weight" with or without a
 * "language_model." before it. */
fc_status fc_weight_files_find_head(const fc_weight_files *files,
                                    const fc_tensor **tensor, const char **path,
                                    fc_err *err);

/* Gives back the memory behind the tensor whose data these are, if one of the files holds it. */
void fc_weight_files_release(const fc_weight_files *files, const void *data);

/* XXH3 over config.json, each file's size, header and the first 4096 bytes of every tensor. */
fc_status fc_weight_files_fingerprint(const fc_weight_files *files,
                                      const char *config_path, char hex[FC_HASH_HEX],
                                      fc_err *err);

#endif
