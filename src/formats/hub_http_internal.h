/* hub_http_internal.h - one request to the hub, over libcurl.
 *
 * A request goes to one address and says what came back; it follows nothing by itself, so that who
 * asks decides where the token may go: only to the scheme, host and port of the endpoint.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FORMATS_HUB_HTTP_INTERNAL_H
#define FC_FORMATS_HUB_HTTP_INTERNAL_H

#include <stdbool.h>

#include "base/err.h"
#include "base/file.h"
#include "base/strbuf.h"

enum { FC_HTTP_URL_MAX = 4096, FC_HTTP_WORD_MAX = 256 };

typedef struct fc_http fc_http;

/* endpoint: "https://huggingface.co", no slash at the end. token: "" for none. */
fc_status fc_http_open(fc_http **http, const char *endpoint, const char *token,
                       fc_err *err);
void fc_http_close(fc_http *http);
const char *fc_http_endpoint(const fc_http *http);
bool fc_http_has_token(const fc_http *http);

typedef struct fc_http_reply {
    int64_t status;                /* 200 ...; 0: nobody answered */
    char commit[FC_HTTP_WORD_MAX]; /* X-Repo-Commit; "" when absent, as all here */
    char etag[FC_HTTP_WORD_MAX];   /* X-Linked-Etag, else ETag; without W/ and quotes */
    char linked_etag[FC_HTTP_WORD_MAX];
    int64_t n_bytes; /* X-Linked-Size, else Content-Length; -1 */
    int64_t n_linked_bytes;
    int64_t begin;                  /* first byte of Content-Range; -1 */
    char code[FC_HTTP_WORD_MAX];    /* X-Error-Code */
    char message[FC_HTTP_WORD_MAX]; /* X-Error-Message */
    int64_t retry_after_s;          /* -1 */
    char location[FC_HTTP_URL_MAX]; /* of a redirect, completed to a whole address */
    bool is_location_relative;      /* as it was sent */
    char fault[FC_HTTP_WORD_MAX];   /* why nobody answered, or why the answer was cut */
    bool is_cut;                    /* a body came to a part only */
    bool is_lasting;                /* trying again will not help, whatever the status */
} fc_http_reply;

typedef struct fc_http_request {
    const char *url;
    bool is_head;
    int64_t from; /* first byte wanted; 0 asks for all */
    /* Takes a piece of a body with status 200 or 206; others are passed over. Fails: the request ends
     * with its status. */
    fc_status (*take)(void *ctx, const fc_http_reply *reply, const char *bytes, size_t n,
                      fc_err *err);
    void *ctx;
} fc_http_request;

/* Fails only with FC_CANCELLED (Ctrl-C), FC_NOMEM, FC_USAGE (no address), or as take does; what the
 * network and the server do is in the reply. */
fc_status fc_http_do(fc_http *http, const fc_http_request *request, fc_http_reply *reply,
                     fc_err *err);

/* Appends text with everything percent-encoded but letters, digits and "-._~" and `keep`. */
fc_status fc_http_encode(fc_strbuf *out, const char *text, char keep, fc_err *err);

/* --- the token ---------------------------------------------------------------------------- */

/* From HF_TOKEN, HUGGING_FACE_HUB_TOKEN, or the file HF_TOKEN_PATH or $HF_HOME/token; "" when there is
 * none. One that holds control characters is refused. */
fc_status fc_hub_token(char token[FC_HTTP_WORD_MAX], fc_err *err);

/* --- trying again ------------------------------------------------------------------------- */

typedef struct fc_http_patience {
    int tries;     /* in all */
    double wait_s; /* before the second; doubles each time */
} fc_http_patience;

/* Would the same request soon be answered otherwise? */
bool fc_http_is_passing(const fc_http_reply *reply);
/* Waits before try number `i` (from 1); FC_CANCELLED on Ctrl-C. */
fc_status fc_http_wait(const fc_http_patience *patience, int i,
                       const fc_http_reply *reply, fc_err *err);

#endif
