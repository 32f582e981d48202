/* hub_server.c - the hub in 300 lines: listing, resolve, redirects, ranges, and faults.
 *
 *   GET  /api/models/org/small/revision/main       the list of files
 *   HEAD /org/small/resolve/COMMIT/PATH            200 with ETag, or 302 with X-Linked-Etag
 *   GET  the same                                  the bytes, or 302 to the other port
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "hub_server.h"

#include "testing.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/hash.h"

enum {
    MAX_FILES = 16,
    MAX_LINES = 256,
    LINE = 320,
    REQUEST_MAX = 8192,
    REPLY_MAX = 6144
};

struct fc_hub_server {
    fc_hub_server_file file[MAX_FILES];
    char etag[MAX_FILES][FC_SHA256_HEX];
    size_t n_files;
    int hub, store; /* listening sockets */
    int hub_port, store_port;
    int stop[2]; /* a pipe */
    char url[64];
    pthread_t thread;
    pthread_mutex_t mutex; /* over what follows */
    fc_hub_faults faults;
    char line[MAX_LINES][LINE];
    int n_lines;
};

typedef struct request {
    fc_hub_server *server;
    int fd;
    bool is_store, is_head, has_token, has_right_token;
    long from; /* -1: all */
    char path[1024];
} request;

/* --- sockets ------------------------------------------------------------------------------ */

static int listen_here(int *port)
{
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t n = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &n), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

/* A client that goes away is not our fault. */
static bool send_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        const ssize_t n_sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (n_sent <= 0) return false;
        bytes += n_sent;
        n -= (size_t)n_sent;
    }
    return true;
}

static bool read_request(request *r)
{
    char text[REQUEST_MAX];
    size_t n = 0;
    text[0] = '\0';
    while (!strstr(text, "\r\n\r\n")) {
        const ssize_t n_read = recv(r->fd, text + n, sizeof text - 1 - n, 0);
        if (n_read <= 0) return false;
        n += (size_t)n_read;
        text[n] = '\0';
    }
    r->is_head = strncmp(text, "HEAD ", 5) == 0;
    const char *path = strchr(text, ' ') + 1;
    snprintf(r->path, sizeof r->path, "%.*s", (int)strcspn(path, " "), path);
    r->has_token = strstr(text, "\r\nAuthorization:") != NULL;
    r->has_right_token = strstr(text, "\r\nAuthorization: Bearer secret\r\n") != NULL;
    const char *range = strstr(text, "\r\nRange: bytes=");
    r->from = range ? strtol(range + strlen("\r\nRange: bytes="), NULL, 10) : -1;
    return true;
}

static void write_down(const request *r)
{
    fc_hub_server *s = r->server;
    char from[32] = "";
    if (r->from >= 0) snprintf(from, sizeof from, " from %ld", r->from);
    if (s->n_lines == MAX_LINES) return;
    snprintf(s->line[s->n_lines++], LINE, "%s %s %.200s%s%s", r->is_head ? "HEAD" : "GET",
             r->is_store ? "store" : "hub", r->path, r->has_token ? " token" : "", from);
}

/* --- answers ------------------------------------------------------------------------------ */

/* Counts a fault down; whether it is this request's. */
static bool is_due(int *n)
{
    if (*n <= 0) return false;
    --*n;
    return true;
}

static void answer(const request *r, int status, const char *headers, const char *body)
{
    char text[REPLY_MAX];
    const int n = snprintf(text, sizeof text,
                           "HTTP/1.1 %d Some Words\r\nConnection: close\r\n%s"
                           "Content-Length: %zu\r\n\r\n%s",
                           status, headers, strlen(body), r->is_head ? "" : body);
    (void)send_all(r->fd, text, (size_t)n);
}

static void answer_list(const request *r)
{
    const fc_hub_server *s = r->server;
    char body[REPLY_MAX / 2];
    int n = snprintf(body, sizeof body, "{\"sha\":\"%s\",\"siblings\":[",
                     FC_HUB_SERVER_COMMIT);
    for (size_t i = 0; i < s->n_files; i++)
        n += snprintf(body + n, sizeof body - (size_t)n,
                      "%s{\"rfilename\":\"%s\",\"size\":%zu}", i > 0 ? "," : "",
                      s->file[i].path, s->file[i].n);
    snprintf(body + n, sizeof body - (size_t)n, "]}");
    answer(r, 200, "Content-Type: application/json\r\n", body);
}

static void send_damaged(const request *r, const fc_hub_server_file *file, size_t from)
{
    char *copy = malloc(file->n);
    assert_non_null(copy);
    memcpy(copy, file->bytes, file->n);
    copy[file->n / 2] ^= 1;
    (void)send_all(r->fd, copy + from, file->n - from);
    free(copy);
}

static void send_body(const request *r, const fc_hub_server_file *file, size_t from)
{
    fc_hub_faults *f = &r->server->faults;
    size_t n = file->n - from;
    if (is_due(&f->n_damaged)) {
        send_damaged(r, file, from);
        return;
    }
    if (f->cut_after < n && is_due(&f->n_cuts)) n = f->cut_after;
    if (f->on_body) {
        (void)send_all(r->fd, file->bytes + from, n / 2);
        f->on_body(NULL);
        struct pollfd client = {.fd = r->fd, .events = POLLIN};
        (void)poll(&client, 1, 5000); /* until it goes away */
        from += n / 2;
        n -= n / 2;
    }
    (void)send_all(r->fd, file->bytes + from, n);
}

static void answer_bytes(const request *r, size_t i, const char *headers)
{
    const fc_hub_faults *f = &r->server->faults;
    const fc_hub_server_file *file = &r->server->file[i];
    char head[2048], range[96] = "";
    size_t from = r->from > 0 && !f->ignores_range ? (size_t)r->from : 0;
    if (from > file->n) {
        answer(r, 416, headers, "");
        return;
    }
    const bool is_part = from > 0;
    if (is_part && f->shifts_range) from--;
    if (is_part)
        snprintf(range, sizeof range, "Content-Range: bytes %zu-%zu/%zu\r\n", from,
                 file->n - 1, file->n);
    const int n_head = snprintf(head, sizeof head,
                                "HTTP/1.1 %d Some Words\r\nConnection: close\r\n%s%s"
                                "Content-Length: %zu\r\n\r\n",
                                is_part ? 206 : 200, headers, range, file->n - from);
    if (send_all(r->fd, head, (size_t)n_head) && !r->is_head) send_body(r, file, from);
}

/* Headers that say what a file is, for the hub itself or ("X-Linked-") for the other port. */
static void describe(const request *r, size_t i, const char *prefix, char *headers,
                     size_t size)
{
    const fc_hub_faults *f = &r->server->faults;
    const char *etag = f->etag ? f->etag : r->server->etag[i];
    int n = snprintf(headers, size, "X-Repo-Commit: %s\r\n",
                     f->commit ? f->commit : FC_HUB_SERVER_COMMIT);
    if (etag[0])
        n +=
            snprintf(headers + n, size - (size_t)n, "%sETag: W/\"%s\"\r\n", prefix, etag);
    if (prefix[0])
        snprintf(headers + n, size - (size_t)n, "X-Linked-Size: %lld\r\n",
                 (long long)(f->claimed ? f->claimed : (int64_t)r->server->file[i].n));
}

static void answer_file(const request *r, size_t i)
{
    const fc_hub_server *s = r->server;
    char headers[1024];
    if (r->is_store) {
        answer_bytes(r, i, "ETag: \"the store's own\"\r\n");
    } else if (!s->file[i].is_large) {
        describe(r, i, "", headers, sizeof headers);
        answer_bytes(r, i, headers);
    } else {
        describe(r, i, "X-Linked-", headers, sizeof headers);
        const size_t n = strlen(headers);
        snprintf(headers + n, sizeof headers - n,
                 "Location: http://127.0.0.1:%d/store/%s?signature=1\r\n", s->store_port,
                 s->file[i].path);
        answer(r, 302, headers, "elsewhere");
    }
}

/* "a%20b?c" to "a b". */
static void decode_path(char *out, const char *path)
{
    for (; *path && *path != '?'; path++) {
        const char digits[] = {path[0] == '%' ? path[1] : '\0',
                               path[2 * (path[0] == '%')], '\0'};
        *out++ = path[0] == '%' ? (char)strtol(digits, NULL, 16) : path[0];
        if (path[0] == '%') path += 2;
    }
    *out = '\0';
}

/* The file that a path ends with, or n_files. */
static size_t find_file(const request *r)
{
    char path[1024];
    decode_path(path, r->path);
    for (size_t i = 0; i < r->server->n_files; i++) {
        const size_t n = strlen(path), n_file = strlen(r->server->file[i].path);
        if (n > n_file && path[n - n_file - 1] == '/' &&
            strcmp(path + n - n_file, r->server->file[i].path) == 0)
            return i;
    }
    return r->server->n_files;
}

static void answer_refusal(const request *r, int status, const char *code,
                           const char *message)
{
    char headers[1024];
    snprintf(headers, sizeof headers,
             "Retry-After: 0\r\nX-Error-Code: %s\r\nX-Error-Message: %s\r\n",
             code ? code : "", message ? message : "");
    answer(r, status, headers, "no");
}

static void answer_request(const request *r)
{
    fc_hub_server *s = r->server;
    fc_hub_faults *f = &s->faults;
    char headers[1200];
    const size_t i = find_file(r);
    if (is_due(&f->n_status)) {
        answer_refusal(r, f->status, f->code, f->message);
    } else if (f->needs_token && !r->is_store && !r->has_right_token) {
        answer_refusal(r, 401, r->has_token ? "" : "GatedRepo",
                       r->has_token ? "Invalid credentials in Authorization header" : "");
    } else if (f->is_circle ||
               (f->is_renamed && strncmp(r->path, "/org/small/resolve/", 19) == 0))
    {
        snprintf(headers, sizeof headers, "Location: %s%s\r\n",
                 f->is_circle ? "" : "/new-name", r->path);
        answer(r, 307, headers, "renamed");
    } else if (strncmp(r->path, "/api/models/org/small/revision/main", 35) == 0 ||
               strncmp(r->path, "/api/datasets/org/small/revision/main", 37) == 0)
    {
        answer_list(r);
    } else if (i < s->n_files) {
        answer_file(r, i);
    } else {
        answer_refusal(r, 404,
                       strstr(r->path, "org/small/revision") ? "RevisionNotFound"
                                                             : "RepoNotFound",
                       "nothing there");
    }
}

/* --- the thread --------------------------------------------------------------------------- */

static void serve_one(fc_hub_server *s, int listener)
{
    request r = {.server = s, .is_store = listener == s->store};
    r.fd = accept(listener, NULL, NULL);
    if (r.fd < 0) return;
    if (read_request(&r)) {
        pthread_mutex_lock(&s->mutex);
        write_down(&r);
        answer_request(&r);
        pthread_mutex_unlock(&s->mutex);
    }
    close(r.fd);
}

static void *serve(void *ctx)
{
    fc_hub_server *s = ctx;
    for (;;) {
        struct pollfd fds[] = {{.fd = s->stop[0], .events = POLLIN},
                               {.fd = s->hub, .events = POLLIN},
                               {.fd = s->store, .events = POLLIN}};
        if (poll(fds, FC_LEN(fds), -1) < 0) continue;
        if (fds[0].revents) return NULL;
        if (fds[1].revents) serve_one(s, s->hub);
        if (fds[2].revents) serve_one(s, s->store);
    }
}

/* The checksum that the hub names the file by. */
static void hash_file(char etag[FC_SHA256_HEX], const fc_hub_server_file *file)
{
    char dir[FC_PATH_MAX], path[FC_PATH_MAX];
    fc_err err = {0};
    fc_test_dir_make(dir);
    fc_test_path(path, dir, "file");
    fc_test_write(path, file->bytes, file->n);
    fc_assert_ok(file->is_large ? fc_sha256_file(path, etag, &err)
                                : fc_git_hash_file(path, etag, &err),
                 &err);
    fc_test_dir_remove(dir);
}

fc_hub_server *fc_hub_server_start(const fc_hub_server_file *files, size_t n)
{
    fc_hub_server *s = calloc(1, sizeof *s);
    assert_non_null(s);
    assert_true(n <= MAX_FILES);
    memcpy(s->file, files, n * sizeof *files);
    s->n_files = n;
    for (size_t i = 0; i < n; i++) hash_file(s->etag[i], &files[i]);
    s->hub = listen_here(&s->hub_port);
    s->store = listen_here(&s->store_port);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d", s->hub_port);
    assert_int_equal(setenv("HF_ENDPOINT", s->url, 1), 0);
    assert_int_equal(setenv("no_proxy", "*", 1), 0);
    assert_int_equal(pipe(s->stop), 0);
    assert_int_equal(pthread_mutex_init(&s->mutex, NULL), 0);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
    return s;
}

void fc_hub_server_stop(fc_hub_server *s)
{
    if (!s) return;
    assert_int_equal(write(s->stop[1], "x", 1), 1);
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    const int fds[] = {s->stop[0], s->stop[1], s->hub, s->store};
    for (size_t i = 0; i < FC_LEN(fds); i++) close(fds[i]);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

void fc_hub_server_set(fc_hub_server *s, fc_hub_faults faults)
{
    pthread_mutex_lock(&s->mutex);
    s->faults = faults;
    s->n_lines = 0;
    pthread_mutex_unlock(&s->mutex);
}

const char *fc_hub_server_url(const fc_hub_server *s)
{
    return s->url;
}

int fc_hub_server_count(fc_hub_server *s, const char *a, const char *b)
{
    int n = 0;
    pthread_mutex_lock(&s->mutex);
    for (int i = 0; i < s->n_lines; i++)
        n += strstr(s->line[i], a) && strstr(s->line[i], b);
    pthread_mutex_unlock(&s->mutex);
    return n;
}
