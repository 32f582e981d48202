/* hub_http.c - requests through libcurl, their headers, and when to try again.
 *
 * libcurl follows no redirect for us: with a token in play, each step is checked by hand. Only http
 * and https are spoken. The token is the header "Authorization: Bearer ..." and is set only when the
 * address has the endpoint's scheme, host and port.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/log.h"
#include "formats/hub_http_internal.h"

struct fc_http {
    CURL *curl;
    char *endpoint;
    char *token;
    bool is_global; /* curl_global_init was called */
};

typedef struct exchange { /* a request on its way */
    const fc_http_request *request;
    fc_http_reply *reply;
    CURL *curl;
    fc_status status; /* of take */
    fc_err *err;
} exchange;

/* --- headers ------------------------------------------------------------------------------ */

/* Copies value[n] without what stands around it; control characters become spaces. */
static void copy_word(char *to, size_t size, const char *value, size_t n)
{
    while (n > 0 && (value[n - 1] == '\r' || value[n - 1] == '\n' || value[n - 1] == ' '))
        n--;
    while (n > 0 && (*value == ' ' || *value == '\t')) value++, n--;
    if (n >= size) n = size - 1;
    for (size_t i = 0; i < n; i++)
        to[i] = (unsigned char)value[i] < ' ' || value[i] == 0x7f ? ' ' : value[i];
    to[n] = '\0';
}

/* W/"abc" to abc. */
static void copy_etag(char *to, const char *value, size_t n)
{
    char word[FC_HTTP_WORD_MAX] = "";
    copy_word(word, sizeof word, value, n);
    char *begin = strncmp(word, "W/", 2) == 0 ? word + 2 : word;
    if (*begin == '"') begin++;
    begin[strcspn(begin, "\"")] = '\0';
    snprintf(to, FC_HTTP_WORD_MAX, "%s", begin);
}

static int64_t copy_number(const char *value, size_t n)
{
    char word[32];
    copy_word(word, sizeof word, value, n);
    char *end;
    const long long number = strtoll(word, &end, 10);
    return end == word || *end != '\0' || number < 0 ? -1 : (int64_t)number;
}

static void take_header(fc_http_reply *r, const char *name, const char *value, size_t n)
{
    if (strcasecmp(name, "X-Repo-Commit") == 0)
        copy_word(r->commit, sizeof r->commit, value, n);
    else if (strcasecmp(name, "ETag") == 0)
        copy_etag(r->etag, value, n);
    else if (strcasecmp(name, "X-Linked-Etag") == 0)
        copy_etag(r->linked_etag, value, n);
    else if (strcasecmp(name, "Content-Length") == 0)
        r->n_bytes = copy_number(value, n);
    else if (strcasecmp(name, "X-Linked-Size") == 0)
        r->n_linked_bytes = copy_number(value, n);
    else if (strcasecmp(name, "X-Error-Code") == 0)
        copy_word(r->code, sizeof r->code, value, n);
    else if (strcasecmp(name, "X-Error-Message") == 0)
        copy_word(r->message, sizeof r->message, value, n);
    else if (strcasecmp(name, "Retry-After") == 0)
        r->retry_after_s = copy_number(value, n);
    else if (strcasecmp(name, "Location") == 0)
        r->is_location_relative = n > 2 && value[strspn(value, " ")] == '/' &&
                                  value[strspn(value, " ") + 1] != '/';
    else if (strcasecmp(name, "Content-Range") == 0) {
        char word[FC_HTTP_WORD_MAX];
        copy_word(word, sizeof word, value, n);
        if (strncasecmp(word, "bytes ", 6) == 0) r->begin = strtoll(word + 6, NULL, 10);
    }
}

static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
    exchange *x = ctx;
    char name[64], text[FC_HTTP_WORD_MAX + 64];
    n *= size;
    const char *colon = memchr(line, ':', n);
    const size_t n_name = colon ? (size_t)(colon - line) : 0;
    if (!colon || n_name >= sizeof name) return n;
    memcpy(name, line, n_name);
    name[n_name] = '\0';
    size_t n_value = n - n_name - 1;
    if (n_value >= sizeof text) n_value = sizeof text - 1;
    memcpy(text, colon + 1, n_value); /* which the header itself may not end with zero */
    text[n_value] = '\0';
    take_header(x->reply, name, text, strlen(text));
    return n;
}

/* --- body --------------------------------------------------------------------------------- */

static size_t on_body(char *bytes, size_t size, size_t n, void *ctx)
{
    exchange *x = ctx;
    long status = 0;
    n *= size;
    if (curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK) return 0;
    x->reply->status = status;
    if ((status != 200 && status != 206) || !x->request->take) return n;
    x->status = x->request->take(x->request->ctx, x->reply, bytes, n, x->err);
    return x->status == FC_OK ? n : 0;
}

static int on_progress(void *ctx, curl_off_t n_down, curl_off_t down, curl_off_t n_up,
                       curl_off_t up)
{
    (void)ctx, (void)n_down, (void)down, (void)n_up, (void)up;
    return fc_cancel_requested();
}

/* --- requests ----------------------------------------------------------------------------- */

fc_status fc_http_open(fc_http **http, const char *endpoint, const char *token,
                       fc_err *err)
{
    fc_http *made = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&made, 1, sizeof *made, "a connection", err));
    FC_TRY_GOTO(fc_strdup(&made->endpoint, endpoint, err));
    FC_TRY_GOTO(fc_strdup(&made->token, token, err));
    made->is_global = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    if (made->is_global) made->curl = curl_easy_init();
    if (!made->curl) {
        status = fc_fail(err, FC_NOMEM, "libcurl cannot be started");
        goto done;
    }
    *http = made;
    made = NULL;
done:
    fc_http_close(made);
    return status;
}

void fc_http_close(fc_http *http)
{
    if (!http) return;
    curl_easy_cleanup(http->curl);
    if (http->is_global) curl_global_cleanup();
    fc_free(http->endpoint);
    fc_free(http->token);
    fc_free(http);
}

const char *fc_http_endpoint(const fc_http *http)
{
    return http->endpoint;
}

bool fc_http_has_token(const fc_http *http)
{
    return http->token[0] != '\0';
}

/* Have both addresses the same scheme, host and port? */
static bool is_same_origin(const char *a, const char *b)
{
    static const CURLUPart parts[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT};
    CURLU *url_a = curl_url(), *url_b = curl_url();
    bool is_same = url_a && url_b &&
                   curl_url_set(url_a, CURLUPART_URL, a, 0) == CURLUE_OK &&
                   curl_url_set(url_b, CURLUPART_URL, b, 0) == CURLUE_OK;
    for (size_t i = 0; i < FC_LEN(parts) && is_same; i++) {
        char *part_a = NULL, *part_b = NULL;
        is_same =
            curl_url_get(url_a, parts[i], &part_a, CURLU_DEFAULT_PORT) == CURLUE_OK &&
            curl_url_get(url_b, parts[i], &part_b, CURLU_DEFAULT_PORT) == CURLUE_OK &&
            strcasecmp(part_a, part_b) == 0;
        curl_free(part_a);
        curl_free(part_b);
    }
    curl_url_cleanup(url_a);
    curl_url_cleanup(url_b);
    return is_same;
}

static bool set_options(const fc_http *http, exchange *x, struct curl_slist **headers,
                        char *fault)
{
    enum { CONNECT_S = 20, SLOW_S = 60, SLOW_BYTES = 1 };
    CURL *c = http->curl;
    const fc_http_request *q = x->request;
    char range[32], line[FC_HTTP_WORD_MAX + 64];
    *headers = curl_slist_append(NULL, "Accept-Encoding: identity");
    if (http->token[0] && is_same_origin(q->url, http->endpoint)) {
        snprintf(line, sizeof line, "Authorization: Bearer %s", http->token);
        struct curl_slist *longer = curl_slist_append(*headers, line);
        if (!longer) return false;
        *headers = longer;
    }
    snprintf(range, sizeof range, "%lld-", (long long)q->from);
    curl_easy_reset(c);
    return *headers && curl_easy_setopt(c, CURLOPT_URL, q->url) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOBODY, q->is_head ? 1L : 0L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HTTPHEADER, *headers) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_USERAGENT, "facet/" FACET_VERSION) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_RANGE, q->from > 0 ? range : NULL) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)SLOW_S) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_ERRORBUFFER, fault) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HEADERDATA, x) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEDATA, x) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress) == CURLE_OK;
}

/* What libcurl knows once it is over. */
static void finish_reply(CURL *curl, CURLcode code, const char *fault, fc_http_reply *r)
{
    long status = 0;
    char *location = NULL;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    r->status = status;
    (void)curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &location);
    if (location && strlen(location) < sizeof r->location)
        snprintf(r->location, sizeof r->location, "%s", location);
    if (r->linked_etag[0]) memcpy(r->etag, r->linked_etag, sizeof r->etag);
    if (r->n_linked_bytes >= 0) r->n_bytes = r->n_linked_bytes;
    if (code == CURLE_OK) return;
    r->is_cut = true;
    r->is_lasting = code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_URL_MALFORMAT ||
                    code == CURLE_UNSUPPORTED_PROTOCOL ||
                    code == CURLE_PEER_FAILED_VERIFICATION;
    snprintf(r->fault, sizeof r->fault, "%s",
             fault[0] ? fault : curl_easy_strerror(code));
}

fc_status fc_http_do(fc_http *http, const fc_http_request *request, fc_http_reply *reply,
                     fc_err *err)
{
    char fault[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL;
    exchange x = {.request = request, .reply = reply, .curl = http->curl, .err = err};
    *reply = (fc_http_reply){
        .n_bytes = -1, .n_linked_bytes = -1, .begin = -1, .retry_after_s = -1};
    if (fc_cancel_requested()) return fc_fail(err, FC_CANCELLED, "stopped");
    if (!set_options(http, &x, &headers, fault)) {
        curl_slist_free_all(headers);
        return fc_fail(err, FC_NOMEM, "libcurl does not take the request for %s",
                       request->url);
    }
    const CURLcode code = curl_easy_perform(http->curl);
    finish_reply(http->curl, code, fault, reply);
    /* The handle must not point to what is gone when this function is. */
    curl_easy_reset(http->curl);
    curl_slist_free_all(headers);
    if (x.status != FC_OK) return x.status;
    if (code == CURLE_ABORTED_BY_CALLBACK) return fc_fail(err, FC_CANCELLED, "stopped");
    if (code == CURLE_OUT_OF_MEMORY)
        return fc_fail(err, FC_NOMEM, "no memory left for a request");
    return FC_OK;
}

fc_status fc_http_encode(fc_strbuf *out, const char *text, char keep, fc_err *err)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-._~";
    for (; *text; text++) {
        if (strchr(plain, *text) || (keep && *text == keep))
            FC_TRY(fc_strbuf_add(out, text, 1, err));
        else
            FC_TRY(fc_strbuf_addf(out, err, "%%%02X", (unsigned char)*text));
    }
    return FC_OK;
}

/* --- trying again ------------------------------------------------------------------------- */

bool fc_http_is_passing(const fc_http_reply *r)
{
    return (r->is_cut && !r->is_lasting) || r->status == 408 || r->status == 429 ||
           (r->status >= 500 && r->status < 600 && r->status != 501);
}

fc_status fc_http_wait(const fc_http_patience *patience, int i,
                       const fc_http_reply *reply, fc_err *err)
{
    enum { LONGEST_S = 120 };
    const struct timespec slice = {.tv_nsec = 50 * 1000 * 1000};
    double seconds = patience->wait_s;
    for (int k = 1; k < i; k++) seconds *= 2;
    if ((double)reply->retry_after_s > seconds) seconds = (double)reply->retry_after_s;
    if (seconds > LONGEST_S) seconds = LONGEST_S;
    fc_log(FC_LOG_WARN, "%s; trying again in %.0f s",
           reply->fault[0]        ? reply->fault
           : reply->status == 429 ? "the server asks for fewer requests"
                                  : "the server is not well",
           seconds);
    const double until = fc_clock_s() + seconds;
    while (fc_clock_s() < until) {
        if (fc_cancel_requested()) return fc_fail(err, FC_CANCELLED, "stopped");
        (void)nanosleep(&slice, NULL);
    }
    return FC_OK;
}
