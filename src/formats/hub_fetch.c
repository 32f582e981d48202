/* hub_fetch.c - a whole repository: list, files one after the other, and last the ref.
 *
 * The ref is written when all files are there. Whoever looks a name up in the meantime finds the
 * state before, whole, and not half of the new one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "formats/hub_fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/hub_fetch_internal.h"

void fc_hub_fetch_defaults(fc_hub_fetch_config *config)
{
    *config = (fc_hub_fetch_config){.tries = 5, .wait_s = 1};
}

/* Without slashes at the end, into endpoint[FC_PATH_MAX]. */
static fc_status find_endpoint(char *endpoint, const fc_hub_fetch_config *config,
                               fc_err *err)
{
    const char *setting = getenv("HF_ENDPOINT");
    const char *given = config->endpoint && config->endpoint[0] ? config->endpoint
                        : setting && setting[0]                 ? setting
                                                : "https://huggingface.co";
    FC_TRY(fc_path_join(endpoint, NULL, given, err));
    for (size_t n = strlen(endpoint); n > 0 && endpoint[n - 1] == '/';)
        endpoint[--n] = '\0';
    if (strncmp(endpoint, "https://", 8) == 0 || strncmp(endpoint, "http://", 7) == 0)
        return FC_OK;
    return fc_fail(err, FC_USAGE,
                   "the endpoint '%s' is no address, expected https://... or http://...",
                   endpoint);
}

static fc_status connect_hub(fc_hub_fetch_job *job, fc_err *err)
{
    char endpoint[FC_PATH_MAX], token[FC_HTTP_WORD_MAX];
    FC_TRY(find_endpoint(endpoint, job->config, err));
    FC_TRY(fc_hub_token(token, err));
    return fc_http_open(&job->http, endpoint, token, err);
}

/* Does the ref say so already? The cache may be one that cannot be written to. */
static bool has_ref(const char *path, const char *commit)
{
    char text[FC_HUB_COMMIT_HEX] = "";
    FILE *file = fopen(path, "rb");
    if (!file) return false;
    const size_t n = fread(text, 1, sizeof text, file);
    (void)fclose(file);
    return n == strlen(commit) && memcmp(text, commit, n) == 0;
}

static fc_status write_ref(const fc_hub_fetch_job *job, fc_err *err)
{
    const fc_hub_fetch_result *result = job->result;
    char refs[FC_PATH_MAX], path[FC_PATH_MAX];
    if (strcmp(job->config->name.revision, result->commit) == 0) return FC_OK;
    FC_TRY(fc_path_join(refs, job->repo_dir, "refs", err));
    FC_TRY(fc_path_join(path, refs, job->config->name.revision, err));
    if (has_ref(path, result->commit)) return FC_OK;
    char dir[FC_PATH_MAX];
    const size_t n = (size_t)(fc_path_base(path) - path);
    memcpy(dir, path, n);
    dir[n] = '\0';
    FC_TRY(fc_dir_make(dir, err));
    return fc_file_write(path, result->commit, strlen(result->commit), err);
}

static fc_status fetch_all(fc_hub_fetch_job *job, fc_err *err)
{
    char snapshots[FC_PATH_MAX];
    double n_bytes = 0;
    FC_TRY(fc_hub_list_remote(job, err));
    job->result->n_files = job->n;
    FC_TRY(fc_path_join(snapshots, job->repo_dir, "snapshots", err));
    FC_TRY(fc_path_join(job->result->snapshot, snapshots, job->result->commit, err));
    FC_TRY(fc_dir_make(job->result->snapshot, err));
    for (int64_t i = 0; i < job->n; i++)
        n_bytes += (double)fc_max(job->file[i].n_bytes, 0);
    job->progress = fc_progress_begin("fetch", "MB", 0, n_bytes / 1e6);
    fc_status status = FC_OK;
    for (int64_t i = 0; i < job->n && status == FC_OK; i++)
        status = fc_hub_download(job, &job->file[i], err);
    fc_progress_end(&job->progress);
    FC_TRY(status);
    return write_ref(job, err);
}

fc_status fc_hub_fetch(const fc_hub_fetch_config *config, fc_hub_fetch_result *result,
                       fc_err *err)
{
    fc_hub_fetch_job job = {.config = config, .result = result};
    fc_status status;
    *result = (fc_hub_fetch_result){0};
    if (fc_hub_is_offline())
        return fc_fail(err, FC_USAGE,
                       "HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE forbids the network, so "
                       "'%s' cannot be fetched",
                       config->name.repo);
    FC_TRY_GOTO(fc_hub_repo_dir(job.repo_dir, config->kind, config->name.repo, err));
    FC_TRY_GOTO(connect_hub(&job, err));
    status = fetch_all(&job, err);
    if (status == FC_CANCELLED)
        status = fc_fail(err, FC_CANCELLED,
                         "stopped; what there is of '%s' is kept, the same command goes "
                         "on from there",
                         config->name.repo);
done:
    fc_http_close(job.http);
    fc_arena_free(&job.arena);
    fc_free(job.file);
    return status;
}
