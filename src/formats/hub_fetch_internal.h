/* hub_fetch_internal.h - what listing and downloading share.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FORMATS_HUB_FETCH_INTERNAL_H
#define FC_FORMATS_HUB_FETCH_INTERNAL_H

#include "base/arena.h"
#include "base/log.h"
#include "formats/hub_fetch.h"
#include "formats/hub_http_internal.h"

typedef struct fc_hub_file {
    const char *path; /* inside the repository; safe */
    int64_t n_bytes;  /* -1: not known */
} fc_hub_file;

typedef struct fc_hub_fetch_job {
    const fc_hub_fetch_config *config;
    fc_hub_fetch_result *result;
    fc_http *http;
    char repo_dir[FC_PATH_MAX];
    fc_arena arena;
    fc_hub_file *file; /* [n] wanted */
    int64_t n, capacity;
    fc_progress progress; /* megabytes */
    double n_done;        /* bytes of all files so far */
} fc_hub_fetch_job;

/* Asks which commit the revision is and which files it has; keeps those wanted. */
fc_status fc_hub_list_remote(fc_hub_fetch_job *job, fc_err *err);

/* One file into the cache, unless its snapshot has it. */
fc_status fc_hub_download(fc_hub_fetch_job *job, const fc_hub_file *file, fc_err *err);

/* "ENDPOINT/datasets/org/name" into url. */
fc_status fc_hub_page(const fc_hub_fetch_job *job, fc_strbuf *url, fc_err *err);

/* A GET or HEAD that follows redirects, at most five, and tries again what may pass. HEAD follows only
 * those that stay on the server. From https it never goes to http. */
typedef struct fc_hub_request {
    fc_http_request http; /* url is set from here on */
    const char *url;
} fc_hub_request;
fc_status fc_hub_once(fc_hub_fetch_job *job, const fc_hub_request *request,
                      fc_http_reply *reply, fc_err *err);

/* The sentence for an answer that is no success: what (a file, or "" for the repository). */
fc_status fc_hub_refused(const fc_hub_fetch_job *job, const char *what,
                         const fc_http_reply *reply, fc_err *err);

#endif
