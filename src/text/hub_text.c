/* hub_text.c - a data set's name to its files in the hub's cache.
 *
 *     wikitext-103-raw-v1/train-00000-of-00002.parquet      CONFIG/SPLIT-SHARD
 *     data/train-00000-of-00001.parquet                     one configuration
 *     train.jsonl.gz, default/train/0000.parquet            other habits
 *
 * Configuration and split are told by the names of folders and files, which is how data sets on the
 * hub are laid out unless their card says otherwise. The card (README.md) is not read.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "text/hub_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "formats/hub_cache.h"
#include "formats/instream.h"
#include "text/corpus_internal.h"

bool fc_text_is_path(const char *given)
{
    char file[FC_PATH_MAX];
    return strcmp(given, "-") == 0 || fc_path_exists(given) ||
           fc_instream_file(file, given) != NULL;
}

static bool is_text(const char *path)
{
    static const char zip[] = ".zip";
    const size_t n = strlen(path), n_zip = sizeof zip - 1;
    static const char card[] = "README.md";
    if (strcmp(fc_path_base(path), card) == 0) return false;
    return fc_source_by_name(path) || (n > n_zip && strcmp(path + n - n_zip, zip) == 0);
}

/* Keeps the names that are texts and in the subset. */
static void keep(fc_names *names, const char *subset)
{
    int64_t n = 0;
    for (int64_t i = 0; i < names->n; i++) {
        char *name = names->name[i];
        if (is_text(name) && fc_hub_subset_has(subset, name))
            names->name[n++] = name;
        else
            fc_free(name);
    }
    names->n = n;
}

static bool has_any(const fc_names *names, const char *subset)
{
    for (int64_t i = 0; i < names->n; i++)
        if (fc_hub_subset_has(subset, names->name[i])) return true;
    return false;
}

static size_t folder_length(const char *path)
{
    return (size_t)(fc_path_base(path) - path);
}

/* Texts in several folders are several configurations. Sorted names: equal folders are neighbours. */
static fc_status check_one_folder(const fc_names *names, const fc_hub_name *name,
                                  fc_err *err)
{
    char choices[512] = "";
    size_t n = 0;
    int64_t n_folders = 0;
    for (int64_t i = 0; i < names->n; i++) {
        const char *path = names->name[i], *before = i > 0 ? names->name[i - 1] : "";
        const size_t n_folder = folder_length(path);
        if (i > 0 && n_folder == folder_length(before) &&
            memcmp(path, before, n_folder) == 0)
            continue;
        n_folders++;
        if (n < sizeof choices)
            n += (size_t)snprintf(choices + n, sizeof choices - n, "%s%.*s",
                                  n > 0 ? ", " : "", n_folder > 0 ? (int)n_folder - 1 : 0,
                                  path);
    }
    if (n_folders < 2) return FC_OK;
    return fc_fail(
        err, FC_USAGE,
        "the data set '%s' has %" PRId64 " parts; name one of %s, as in '%s:%.*s'",
        name->repo, n_folders, choices, name->repo, (int)strcspn(choices, ","), choices);
}

/* Leaves one split of one configuration in `names`. */
static fc_status choose(fc_names *names, const fc_hub_name *name, fc_err *err)
{
    keep(names, name->subset);
    if (names->n == 0)
        return fc_fail(err, FC_IO,
                       "the data set '%s' has no text '%s' in the Hugging Face cache; "
                       "'facet fetch %s%s%s' downloads it",
                       name->repo, name->subset[0] ? name->subset : "files", name->repo,
                       name->subset[0] ? ":" : " --type dataset", name->subset);
    if (strchr(name->subset, '/')) return FC_OK; /* all is said */
    if (has_any(names, "train")) keep(names, "train");
    return check_one_folder(names, name, err);
}

/* Paths below the snapshot to whole paths. */
static fc_status complete(fc_names *names, const char *snapshot, fc_err *err)
{
    char path[FC_PATH_MAX];
    for (int64_t i = 0; i < names->n; i++) {
        char *whole = NULL;
        FC_TRY(fc_path_join(path, snapshot, names->name[i], err));
        FC_TRY(fc_strdup(&whole, path, err));
        fc_free(names->name[i]);
        names->name[i] = whole;
    }
    return FC_OK;
}

static fc_status find_named(fc_names *files, const fc_hub_name *name, fc_err *err)
{
    char snapshot[FC_PATH_MAX];
    FC_TRY(fc_hub_snapshot(snapshot, FC_HUB_DATASET, name, err));
    FC_TRY(fc_hub_list(files, snapshot, err));
    fc_status status = choose(files, name, err);
    if (status == FC_OK) {
        fc_log(FC_LOG_INFO, "%s: %" PRId64 " %s, from %s", name->repo, files->n,
               files->n == 1 ? "file" : "files", files->name[0]);
        status = complete(files, snapshot, err);
    }
    if (status != FC_OK) fc_names_free(files);
    return status;
}

static fc_status find_path(fc_names *files, const char *path, fc_err *err)
{
    FC_TRY(fc_alloc(&files->name, 1, sizeof *files->name, "a list of files", err));
    const fc_status status = fc_strdup(&files->name[0], path, err);
    if (status == FC_OK)
        files->n = 1;
    else
        fc_names_free(files);
    return status;
}

fc_status fc_text_find(fc_names *files, const char *given, fc_err *err)
{
    fc_hub_name name;
    *files = (fc_names){0};
    if (fc_text_is_path(given) || !fc_hub_name_parse(&name, given))
        return find_path(files, given, err);
    return find_named(files, &name, err);
}
