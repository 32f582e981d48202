/* hub_cache.h - models and data sets by name: the local cache of the Hugging Face hub.
 *
 *   CACHE/models--google--gemma-3-1b-it/ | CACHE/datasets--Salesforce--wikitext/
 *     refs/main                            the commit that the revision stands for
 *     snapshots/COMMIT/config.json    ->   ../../blobs/HASH
 *
 * CACHE is $HF_HUB_CACHE, else $HUGGINGFACE_HUB_CACHE, else $HF_HOME/hub, where HF_HOME is
 * $XDG_CACHE_HOME/huggingface, else ~/.cache/huggingface; "~" and "$NAME" in them are expanded.
 * Nothing here uses the network or writes; hub_fetch.h does.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FORMATS_HUB_CACHE_H
#define FC_FORMATS_HUB_CACHE_H

#include <stdbool.h>

#include "base/file.h"

typedef enum fc_hub_kind { FC_HUB_MODEL, FC_HUB_DATASET } fc_hub_kind;
#define FC_HUB_KIND_CHOICES "model|dataset"

enum { FC_HUB_NAME_MAX = 256, FC_HUB_COMMIT_HEX = 41 };

/* ORG/NAME[@REVISION][:SUBSET], "Salesforce/wikitext:wikitext-103-raw-v1/train". */
typedef struct fc_hub_name {
    char repo[FC_HUB_NAME_MAX];
    char revision[FC_HUB_NAME_MAX]; /* "main" when not given */
    char subset[FC_HUB_NAME_MAX];   /* "" when not given */
} fc_hub_name;

/* false when text is not such a name: another form, "..", signs that the hub does not allow. */
bool fc_hub_name_parse(fc_hub_name *name, const char *text);
const char *fc_hub_kind_word(fc_hub_kind kind); /* "model", "data set" */

/* A path inside a repository that may become one on disk: relative, no "..", no empty part, no
 * backslash, no control character, at most 1000 bytes. */
bool fc_hub_is_safe_path(const char *path);

/* Whether the file at `path` of a repository is in the subset: "" takes all; "a/b.parquet" that file or
 * folder; "CONFIG", "SPLIT" and "CONFIG/SPLIT" what has a folder CONFIG and a folder, or the
 * beginning of a file name, SPLIT ("train-00000-of-00002.parquet"). */
bool fc_hub_subset_has(const char *subset, const char *path);

/* Folders into path[FC_PATH_MAX]; they need not exist. */
fc_status fc_hub_home(char *path, fc_err *err);  /* HF_HOME */
fc_status fc_hub_cache(char *path, fc_err *err); /* CACHE */
fc_status fc_hub_repo_dir(char *path, fc_hub_kind kind, const char *repo, fc_err *err);

/* The snapshot that the name's revision stands for. Fails with a sentence that says where it was
 * looked for and that `facet fetch` downloads it. */
fc_status fc_hub_snapshot(char *path, fc_hub_kind kind, const fc_hub_name *name,
                          fc_err *err);

/* A checkpoint folder or tokenizer as people give it: a path that exists, or else a model's name
 * in the cache. Anything else comes back as it is, for its reader to complain. */
fc_status fc_hub_model_path(char *path, const char *given, fc_err *err);

/* All files below a folder, as sorted paths relative to it. Free with fc_names_free. */
fc_status fc_hub_list(fc_names *files, const char *dir, fc_err *err);

bool fc_hub_is_offline(void); /* HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE says so */

#endif
