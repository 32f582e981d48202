/* hub_cache.c - names to folders, as the huggingface_hub library lays them out.
 *
 * Only the commit in refs/REVISION counts: another snapshot that happens to be there may be an
 * older state of the model, and a run on it would look like one on the newest.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "formats/hub_cache.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/strbuf.h"

/* --- names -------------------------------------------------------------------------------- */

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '-' || c == '_' || c == '.';
}

/* One side of ORG/NAME: "--" would make the folder's name ambiguous. */
static bool is_name_part(const char *text, size_t n)
{
    if (n == 0 || text[0] == '.' || text[0] == '-' || text[n - 1] == '.' ||
        text[n - 1] == '-')
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!is_name_char(text[i])) return false;
        if (i > 0 && text[i] == text[i - 1] && (text[i] == '-' || text[i] == '.'))
            return false;
    }
    return true;
}

bool fc_hub_is_safe_path(const char *path)
{
    enum { LONGEST = 1000 };
    const size_t n = strlen(path);
    if (n == 0 || n > LONGEST) return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)path[i] < ' ' || path[i] == 0x7f || path[i] == '\\')
            return false;
    for (const char *part = path;; part++) {
        const size_t n_part = strcspn(part, "/");
        if (n_part == 0 || (n_part == 1 && part[0] == '.') ||
            (n_part == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        part += n_part;
        if (*part == '\0') return true;
    }
}

static bool copy(char to[FC_HUB_NAME_MAX], const char *from, size_t n)
{
    if (n >= FC_HUB_NAME_MAX) return false;
    memcpy(to, from, n);
    to[n] = '\0';
    return true;
}

bool fc_hub_name_parse(fc_hub_name *name, const char *text)
{
    const size_t n_repo = strcspn(text, "@:");
    const char *slash = memchr(text, '/', n_repo);
    *name = (fc_hub_name){.revision = "main"};
    if (!slash || !is_name_part(text, (size_t)(slash - text)) ||
        !is_name_part(slash + 1, n_repo - (size_t)(slash + 1 - text)) ||
        !copy(name->repo, text, n_repo))
        return false;
    const char *at = text + n_repo;
    if (*at == '@') {
        const size_t n = strcspn(++at, ":");
        if (!copy(name->revision, at, n) || !fc_hub_is_safe_path(name->revision))
            return false;
        at += n;
    }
    if (*at == '\0') return true;
    at++;
    return copy(name->subset, at, strlen(at)) && fc_hub_is_safe_path(name->subset);
}

const char *fc_hub_kind_word(fc_hub_kind kind)
{
    return kind == FC_HUB_MODEL ? "model" : "data set";
}

/* --- subsets ------------------------------------------------------------------------------- */

/* Is one of the folders in path[0 .. base) named word[n]? */
static bool has_folder(const char *path, const char *base, const char *word, size_t n)
{
    for (const char *at = path; at < base;) {
        const size_t n_part = strcspn(at, "/");
        if (n_part == n && memcmp(at, word, n) == 0) return true;
        at += n_part + 1;
    }
    return false;
}

/* A folder of that name, or a file name that begins with it as a word. */
static bool has_split(const char *path, const char *base, const char *word, size_t n)
{
    if (has_folder(path, base, word, n)) return true;
    return strncmp(base, word, n) == 0 && (base[n] == '\0' || strchr("-._", base[n]));
}

bool fc_hub_subset_has(const char *subset, const char *path)
{
    const size_t n = strlen(subset);
    if (n == 0) return true;
    if (strncmp(path, subset, n) == 0 && (path[n] == '\0' || path[n] == '/')) return true;
    const char *base = fc_path_base(path);
    const char *slash = strrchr(subset, '/');
    if (!slash) return has_split(path, base, subset, n);
    const char *config_end = slash;
    const char *config = config_end;
    while (config > subset && config[-1] != '/') config--;
    const char *split = slash + 1;
    return has_folder(path, base, config, (size_t)(config_end - config)) &&
           has_split(path, base, split, strlen(split));
}

/* --- folders ------------------------------------------------------------------------------ */

static const char *setting(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

/* Adds the value of the variable whose name begins at `name`; returns what follows the name. */
static const char *add_variable(fc_strbuf *out, const char *name, fc_status *status,
                                fc_err *err)
{
    char word[64];
    const bool has_braces = *name == '{';
    const char *begin = name + has_braces, *end = begin;
    while (isalnum((unsigned char)*end) || *end == '_') end++;
    const size_t n = (size_t)(end - begin);
    if (n == 0 || n >= sizeof word || (has_braces && *end != '}')) {
        *status = fc_strbuf_add(out, "$", 1, err); /* a plain dollar */
        return name;
    }
    memcpy(word, begin, n);
    word[n] = '\0';
    const char *value = setting(word);
    if (value) *status = fc_strbuf_add(out, value, (int64_t)strlen(value), err);
    return end + has_braces;
}

/* "~/x" and "$NAME/x" to path[FC_PATH_MAX]. */
static fc_status expand(char *path, const char *text, fc_err *err)
{
    fc_strbuf out = {0};
    fc_status status = FC_OK;
    const char *home = setting("HOME");
    if (text[0] == '~' && (text[1] == '/' || text[1] == '\0') && home) {
        status = fc_strbuf_addf(&out, err, "%s", home);
        text++;
    }
    while (*text && status == FC_OK) {
        const size_t n = strcspn(text, "$");
        status = fc_strbuf_add(&out, text, (int64_t)n, err);
        text += n;
        if (*text == '$' && status == FC_OK)
            text = add_variable(&out, text + 1, &status, err);
    }
    if (status == FC_OK) status = fc_path_join(path, NULL, fc_strbuf_text(&out), err);
    fc_strbuf_free(&out);
    return status;
}

fc_status fc_hub_home(char *path, fc_err *err)
{
    char base[FC_PATH_MAX];
    if (setting("HF_HOME")) return expand(path, setting("HF_HOME"), err);
    const char *xdg = setting("XDG_CACHE_HOME");
    if (!xdg && !setting("HOME"))
        return fc_fail(err, FC_IO,
                       "there is no Hugging Face cache: neither HF_HOME nor HOME is set");
    FC_TRY(expand(base, xdg ? xdg : "~/.cache", err));
    return fc_path_join(path, base, "huggingface", err);
}

fc_status fc_hub_cache(char *path, fc_err *err)
{
    static const char *const names[] = {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"};
    char home[FC_PATH_MAX];
    for (size_t i = 0; i < FC_LEN(names); i++)
        if (setting(names[i])) return expand(path, setting(names[i]), err);
    FC_TRY(fc_hub_home(home, err));
    return fc_path_join(path, home, "hub", err);
}

fc_status fc_hub_repo_dir(char *path, fc_hub_kind kind, const char *repo, fc_err *err)
{
    char cache[FC_PATH_MAX];
    char folder[FC_HUB_NAME_MAX + 16];
    const char *slash = strchr(repo, '/');
    FC_CHECK(slash != NULL);
    FC_TRY(fc_hub_cache(cache, err));
    snprintf(folder, sizeof folder, "%ss--%.*s--%s",
             kind == FC_HUB_MODEL ? "model" : "dataset", (int)(slash - repo), repo,
             slash + 1);
    return fc_path_join(path, cache, folder, err);
}

/* --- snapshots ---------------------------------------------------------------------------- */

static bool is_commit(const char *text)
{
    return strspn(text, "0123456789abcdef") == FC_HUB_COMMIT_HEX - 1 &&
           text[FC_HUB_COMMIT_HEX - 1] == '\0';
}

/* The commit of a revision; "" where the cache does not know it. */
static fc_status read_ref(char commit[FC_HUB_COMMIT_HEX], const char *repo_dir,
                          const char *revision, fc_err *err)
{
    char refs[FC_PATH_MAX], path[FC_PATH_MAX], text[FC_HUB_COMMIT_HEX + 8] = "";
    commit[0] = '\0';
    if (is_commit(revision)) {
        memcpy(commit, revision, FC_HUB_COMMIT_HEX);
        return FC_OK;
    }
    FC_TRY(fc_path_join(refs, repo_dir, "refs", err));
    FC_TRY(fc_path_join(path, refs, revision, err));
    FILE *file = fopen(path, "rb");
    if (!file) return FC_OK;
    const size_t n = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[n] = '\0';
    text[strcspn(text, "\r\n \t")] = '\0';
    if (!is_commit(text))
        return fc_fail(err, FC_FORMAT, "%s: expected a commit of 40 hexadecimal digits",
                       path);
    memcpy(commit, text, FC_HUB_COMMIT_HEX);
    return FC_OK;
}

fc_status fc_hub_snapshot(char *path, fc_hub_kind kind, const fc_hub_name *name,
                          fc_err *err)
{
    char repo_dir[FC_PATH_MAX], snapshots[FC_PATH_MAX];
    char commit[FC_HUB_COMMIT_HEX];
    const bool is_main = strcmp(name->revision, "main") == 0;
    FC_TRY(fc_hub_repo_dir(repo_dir, kind, name->repo, err));
    FC_TRY(read_ref(commit, repo_dir, name->revision, err));
    FC_TRY(fc_path_join(snapshots, repo_dir, "snapshots", err));
    FC_TRY(fc_path_join(path, snapshots, commit, err));
    if (commit[0] && fc_path_is_dir(path)) return FC_OK;
    return fc_fail(err, FC_IO,
                   "'%s' is not a path here, and there is no %s of that name%s%s in the "
                   "Hugging Face cache (%s); 'facet fetch %s%s%s%s%s%s' downloads it",
                   name->repo, fc_hub_kind_word(kind), is_main ? "" : " at revision ",
                   is_main ? "" : name->revision, repo_dir, name->repo,
                   name->subset[0] ? ":" : "", name->subset,
                   kind == FC_HUB_DATASET && !name->subset[0] ? " --type dataset" : "",
                   is_main ? "" : " --revision ", is_main ? "" : name->revision);
}

fc_status fc_hub_model_path(char *path, const char *given, fc_err *err)
{
    fc_hub_name name;
    if (fc_path_exists(given) || !fc_hub_name_parse(&name, given) || name.subset[0])
        return fc_path_join(path, NULL, given, err);
    return fc_hub_snapshot(path, FC_HUB_MODEL, &name, err);
}

/* --- files of a snapshot ------------------------------------------------------------------- */

typedef struct listing {
    fc_names *files;
    int64_t files_capacity;
    fc_names folders; /* to look into; "" is the root */
    int64_t folders_capacity;
} listing;

static fc_status add_name(fc_names *names, int64_t *capacity, const char *name,
                          fc_err *err)
{
    FC_TRY(fc_grow(&names->name, capacity, names->n + 1, sizeof *names->name,
                   "a list of files", err));
    FC_TRY(fc_strdup(&names->name[names->n], name, err));
    names->n++;
    return FC_OK;
}

static int depth_of(const char *path)
{
    int depth = 0;
    for (; *path; path++) depth += *path == '/';
    return depth;
}

static fc_status list_folder(listing *l, const char *dir, const char *folder, fc_err *err)
{
    enum { DEEPEST = 16 }; /* links can make a circle */
    char path[FC_PATH_MAX], name[FC_PATH_MAX];
    fc_names entries;
    FC_TRY(fc_path_join(path, dir, folder, err));
    FC_TRY(fc_dir_list(&entries, path, err));
    fc_status status = FC_OK;
    for (int64_t i = 0; i < entries.n && status == FC_OK; i++) {
        status = fc_path_join(name, folder, entries.name[i], err);
        if (status == FC_OK) status = fc_path_join(path, dir, name, err);
        if (status != FC_OK) break;
        if (!fc_path_is_dir(path))
            status = add_name(l->files, &l->files_capacity, name, err);
        else if (depth_of(name) < DEEPEST)
            status = add_name(&l->folders, &l->folders_capacity, name, err);
    }
    fc_names_free(&entries);
    return status;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

fc_status fc_hub_list(fc_names *files, const char *dir, fc_err *err)
{
    *files = (fc_names){0};
    listing l = {.files = files};
    fc_status status = add_name(&l.folders, &l.folders_capacity, "", err);
    for (int64_t i = 0; i < l.folders.n && status == FC_OK; i++)
        status = list_folder(&l, dir, l.folders.name[i], err);
    fc_names_free(&l.folders);
    if (status != FC_OK)
        fc_names_free(files);
    else if (files->n > 1)
        qsort(files->name, (size_t)files->n, sizeof *files->name, compare_names);
    return status;
}

bool fc_hub_is_offline(void)
{
    static const char *const names[] = {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"};
    static const char *const yes[] = {"1", "ON", "YES", "TRUE"};
    for (size_t i = 0; i < FC_LEN(names); i++)
        for (size_t k = 0; k < FC_LEN(yes); k++)
            if (setting(names[i]) && strcasecmp(setting(names[i]), yes[k]) == 0)
                return true;
    return false;
}
