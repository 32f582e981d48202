/* hub_fetch.h - downloads a model or data set from the Hugging Face hub into its local cache.
 *
 * The cache is laid out as huggingface_hub does it (hub_cache.h), so transformers and datasets find what
 * is fetched here, and nothing is fetched twice. A file is written to blobs/HASH.incomplete, its
 * length and checksum (SHA-256, or git's SHA-1 for small files) are compared, and only then it gets
 * its name; refs/REVISION follows when all files are there. What was cut off goes on where it was.
 * The token is sent to the endpoint and to no other host.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FORMATS_HUB_FETCH_H
#define FC_FORMATS_HUB_FETCH_H

#include "formats/hub_cache.h"

typedef struct fc_hub_fetch_config {
    fc_hub_kind kind;
    fc_hub_name name;           /* files outside its subset are left out */
    const char *const *include; /* patterns as in a shell, '*' takes '/' too; borrowed */
    int64_t n_include;          /* 0: all files */
    const char *endpoint;       /* NULL or "": HF_ENDPOINT, else https://huggingface.co */
    int tries;                  /* of each request, when the network or server fails */
    double wait_s;              /* before the second try; doubles each time */
} fc_hub_fetch_config;

void fc_hub_fetch_defaults(fc_hub_fetch_config *config); /* no name yet */

typedef struct fc_hub_fetch_result {
    char commit[FC_HUB_COMMIT_HEX];
    char snapshot[FC_PATH_MAX]; /* the folder */
    int64_t n_files;            /* wanted */
    int64_t n_fetched;          /* of them, now */
    int64_t n_bytes;            /* received now */
} fc_hub_fetch_result;

/* Fails with FC_USAGE when HF_HUB_OFFLINE forbids it, FC_CANCELLED on Ctrl-C (what is there is kept). A
 * refusal of the hub (gated, missing, private, wrong token) says what to do. */
fc_status fc_hub_fetch(const fc_hub_fetch_config *config, fc_hub_fetch_result *result,
                       fc_err *err);

#endif
