/* hub_server.h - a small HTTP server on this machine that behaves like the Hugging Face hub, with its
 * faults.
 *
 * Two ports: the hub, and the store of large files to which it redirects. One repository, org/small.
 * Requests are answered one after the other by a thread of their own and written down.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_HUB_SERVER_H
#define FC_HUB_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FC_HUB_SERVER_COMMIT "0123456789abcdef0123456789abcdef01234567"

typedef struct fc_hub_server_file {
    const char *path;
    const char *bytes;
    size_t n;
    bool is_large; /* SHA-256, and redirected to the other port */
} fc_hub_server_file;

/* What goes wrong; a count says for how many requests, then all is well. */
typedef struct fc_hub_faults {
    int n_cuts;              /* bodies of files that end ... */
    size_t cut_after;        /* ... after so many bytes */
    int n_damaged;           /* bodies of files with a wrong byte */
    int n_status;            /* answers of any kind with ... */
    int status;              /* ... this status, */
    const char *code;        /* X-Error-Code and */
    const char *message;     /* X-Error-Message */
    const char *etag;        /* in place of the right one; "" leaves it out */
    const char *commit;      /* in place of the right one, in X-Repo-Commit */
    int64_t claimed;         /* size of a large file that the hub announces, if not 0 */
    bool ignores_range;      /* answers 200 and everything */
    bool shifts_range;       /* answers from another byte than asked for */
    bool is_renamed;         /* redirects to another path on the same port */
    bool is_circle;          /* redirects to itself */
    bool needs_token;        /* 401 without "Bearer secret" */
    void (*on_body)(void *); /* called in the middle of a body */
} fc_hub_faults;

typedef struct fc_hub_server fc_hub_server;

/* Starts it and points HF_ENDPOINT to it. */
fc_hub_server *fc_hub_server_start(const fc_hub_server_file *files, size_t n);
void fc_hub_server_stop(fc_hub_server *server);
void fc_hub_server_set(fc_hub_server *server,
                       fc_hub_faults faults); /* forgets the requests */
const char *fc_hub_server_url(const fc_hub_server *server);

/* Requests since the faults were set whose line, "HEAD hub /path token", contains all the words. The
 * line ends with "token" when one was sent and "from N" when a range was asked for. */
int fc_hub_server_count(fc_hub_server *server, const char *a, const char *b);

#endif
