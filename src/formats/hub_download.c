/* hub_download.c - one file of the hub into the cache, whole or not at all.
 *
 *   HEAD ENDPOINT/ORG/NAME/resolve/COMMIT/PATH   hash (X-Linked-Etag, else ETag) and length
 *   GET  the same, "Range: bytes=N-"          -> blobs/HASH.incomplete, of which N bytes are there
 *   length and hash agree                     -> blobs/HASH
 *   snapshots/COMMIT/PATH                     -> ../../blobs/HASH, a link
 *
 * A hash of 64 digits is the SHA-256 of the content (large files), one of 40 git's SHA-1 (small
 * ones). While a file is on its way, .locks/REPO/HASH.lock is held as huggingface_hub does, so that
 * two programs do not write into each other's file.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/hash.h"
#include "formats/hub_fetch_internal.h"

static const double megabyte = 1e6;

typedef struct download {
    fc_hub_fetch_job *job;
    const fc_hub_file *file;
    fc_strbuf url;
    char etag[FC_HTTP_WORD_MAX];
    int64_t n_bytes; /* of the whole; -1: not known */
    char blob[FC_PATH_MAX], partial[FC_PATH_MAX];
    fc_out *out;
    int64_t n_there; /* bytes in the partial file */
    int64_t from;    /* where the running request began */
    bool is_begun;   /* its first piece was looked at */
    fc_http_reply reply;
    int lock_fd; /* -1: none */
} download;

static void show(const download *d)
{
    fc_hub_fetch_job *job = d->job;
    fc_progress_set(&job->progress, (job->n_done + (double)d->n_there) / megabyte);
}

/* --- what it is --------------------------------------------------------------------------- */

static fc_status make_url(download *d, fc_err *err)
{
    FC_TRY(fc_hub_page(d->job, &d->url, err));
    FC_TRY(fc_strbuf_addf(&d->url, err, "/resolve/%s/", d->job->result->commit));
    return fc_http_encode(&d->url, d->file->path, '/', err);
}

/* After try number i, from 1. */
static fc_status try_again(const download *d, int i, fc_err *err)
{
    const fc_http_patience patience = {d->job->config->tries, d->job->config->wait_s};
    if (i >= patience.tries || !fc_http_is_passing(&d->reply))
        return fc_hub_refused(d->job, d->file->path, &d->reply, err);
    return fc_http_wait(&patience, i, &d->reply, err);
}

/* A hash becomes the name of a file. */
static bool is_hash(const char *etag)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-_";
    const size_t n = strlen(etag);
    return n >= 8 && n <= 128 && strspn(etag, plain) == n;
}

static fc_status take_metadata(download *d, const fc_http_reply *reply, fc_err *err)
{
    if (reply->commit[0] && strcmp(reply->commit, d->job->result->commit) != 0)
        return fc_fail(err, FC_FORMAT, "%s: the server answers with commit '%.80s'",
                       fc_strbuf_text(&d->url), reply->commit);
    if (!is_hash(reply->etag))
        return fc_fail(err, FC_FORMAT,
                       "%s: the server gives %s%.80s%s, so the file can be neither "
                       "checked nor put into the cache",
                       fc_strbuf_text(&d->url), reply->etag[0] ? "the ETag '" : "no ETag",
                       reply->etag, reply->etag[0] ? "'" : "");
    snprintf(d->etag, sizeof d->etag, "%s", reply->etag);
    /* The Content-Length of a redirect is that of its own few words. */
    const int64_t n_bytes = reply->status == 200 ? reply->n_bytes : reply->n_linked_bytes;
    d->n_bytes = n_bytes >= 0 ? n_bytes : d->file->n_bytes;
    return FC_OK;
}

static fc_status get_metadata(download *d, fc_err *err)
{
    const fc_hub_request request = {.http = {.is_head = true},
                                    .url = fc_strbuf_text(&d->url)};
    const fc_http_reply *reply = &d->reply;
    for (int i = 1;; i++) {
        FC_TRY(fc_hub_once(d->job, &request, &d->reply, err));
        const bool is_found =
            reply->status == 200 || (reply->status / 100 == 3 && reply->location[0]);
        if (is_found && !reply->is_cut) return take_metadata(d, reply, err);
        FC_TRY(try_again(d, i, err));
    }
}

/* --- its bytes ---------------------------------------------------------------------------- */

/* The first piece: does it begin where it should? */
static fc_status begin_body(download *d, const fc_http_reply *reply, fc_err *err)
{
    d->is_begun = true;
    if (reply->status == 206 && reply->begin == d->from) return FC_OK;
    if (reply->status == 206 && d->from > 0)
        return fc_fail(err, FC_FORMAT,
                       "%s: the server sends from byte %" PRId64 ", asked for %" PRId64,
                       fc_strbuf_text(&d->url), reply->begin, d->from);
    if (d->n_there > 0) FC_TRY(fc_out_restart(d->out, err)); /* it sends all of it */
    d->n_there = 0;
    return FC_OK;
}

static fc_status take_piece(void *ctx, const fc_http_reply *reply, const char *bytes,
                            size_t n, fc_err *err)
{
    download *d = ctx;
    if (!d->is_begun) FC_TRY(begin_body(d, reply, err));
    if (d->n_bytes >= 0 && (int64_t)n > d->n_bytes - d->n_there)
        return fc_fail(err, FC_FORMAT,
                       "%s: the server sends more than the %" PRId64
                       " bytes that it announces",
                       fc_strbuf_text(&d->url), d->n_bytes);
    FC_TRY(fc_out_write(d->out, bytes, n, err));
    d->n_there += (int64_t)n;
    d->job->result->n_bytes += (int64_t)n;
    show(d);
    return FC_OK;
}

static fc_status check_disk(const download *d, fc_err *err)
{
    int64_t n_free;
    if (d->n_bytes < 0) return FC_OK;
    FC_TRY(fc_dir_free_bytes(d->job->repo_dir, &n_free, err));
    if (d->n_bytes - d->n_there <= n_free) return FC_OK;
    return fc_fail(
        err, FC_IO,
        "'%s' of '%s' has %" PRId64 " bytes, and the disk of '%s' has %" PRId64 " left",
        d->file->path, d->job->config->name.repo, d->n_bytes, d->job->repo_dir, n_free);
}

/* One request for what is missing; *is_complete when nothing is. */
static fc_status get_rest(download *d, bool *is_complete, fc_err *err)
{
    fc_http_reply *reply = &d->reply;
    const fc_hub_request request = {
        .http = {.from = d->n_there, .take = take_piece, .ctx = d},
        .url = fc_strbuf_text(&d->url)};
    d->from = d->n_there;
    d->is_begun = false;
    FC_TRY(check_disk(d, err));
    FC_TRY(fc_hub_once(d->job, &request, reply, err));
    const bool is_answer = reply->status == 200 || reply->status == 206;
    if (is_answer && !d->is_begun && reply->status == 200 && d->n_there > 0) {
        FC_TRY(fc_out_restart(d->out, err)); /* an empty body: all of an empty file */
        d->n_there = 0;
    }
    *is_complete =
        is_answer && (d->n_bytes >= 0 ? d->n_there == d->n_bytes : !reply->is_cut);
    if (*is_complete || reply->is_cut || !is_answer) return FC_OK;
    reply->is_cut = true; /* it ended well, and short */
    snprintf(reply->fault, sizeof reply->fault,
             "the server ended after %" PRId64 " of %" PRId64 " bytes", d->n_there,
             d->n_bytes);
    return FC_OK;
}

/* Opens the partial file; one that is longer than the whole is none of it. */
static fc_status open_partial(download *d, fc_err *err)
{
    FC_TRY(fc_out_resume(&d->out, d->blob, d->partial, &d->n_there, err));
    if (d->n_bytes < 0 || d->n_there <= d->n_bytes) return FC_OK;
    d->n_there = 0;
    return fc_out_restart(d->out, err);
}

static void close_partial(download *d)
{
    fc_out_close(d->out);
    d->out = NULL;
}

static fc_status get_bytes(download *d, fc_err *err)
{
    enum { RANGE_NOT_SATISFIABLE = 416 };
    bool is_complete = false;
    int64_t n_before = -1;
    for (int i = 1;; i++) {
        FC_TRY(open_partial(d, err));
        show(d);
        is_complete = d->n_bytes >= 0 && d->n_there == d->n_bytes;
        if (!is_complete) FC_TRY(get_rest(d, &is_complete, err));
        if (is_complete) return FC_OK;
        if (d->reply.status == RANGE_NOT_SATISFIABLE && d->n_there > 0) {
            FC_TRY(fc_out_restart(d->out, err)); /* what is there is not of this file */
            d->reply.is_cut = true;
        }
        close_partial(d);
        if (n_before >= 0 && d->n_there > n_before) i = 1; /* it gets on */
        n_before = d->n_there;
        FC_TRY(try_again(d, i, err));
    }
}

/* Compares the partial file with its hash, as far as the hash is one we know. */
static fc_status check_hash(const download *d, bool *is_right, fc_err *err)
{
    char hex[FC_SHA256_HEX] = "";
    const size_t n = strlen(d->etag);
    *is_right = true;
    if (n == FC_SHA256_HEX - 1)
        FC_TRY(fc_sha256_file(d->partial, hex, err));
    else if (n == FC_SHA1_HEX - 1)
        FC_TRY(fc_git_hash_file(d->partial, hex, err));
    else
        fc_log(FC_LOG_WARN,
               "%s: the server names the file '%s', which is no checksum; only its "
               "length is checked",
               fc_strbuf_text(&d->url), d->etag);
    if (hex[0]) *is_right = strcmp(hex, d->etag) == 0;
    return FC_OK;
}

/* Until the bytes are those that the hash names; damage on the way is given a second chance. */
static fc_status get_blob(download *d, fc_err *err)
{
    for (int i = 0; i < 2; i++) {
        bool is_right = false;
        FC_TRY(get_bytes(d, err));
        FC_TRY(fc_out_flush(d->out, err));
        FC_TRY(check_hash(d, &is_right, err));
        if (is_right) return fc_out_commit(d->out, err);
        close_partial(d);
        FC_TRY(fc_file_remove(d->partial, err));
    }
    return fc_fail(
        err, FC_FORMAT,
        "%s: the bytes received do not have the checksum %s; they were removed",
        fc_strbuf_text(&d->url), d->etag);
}

/* --- its place in the cache --------------------------------------------------------------- */

static fc_status make_parent(const char *path, fc_err *err)
{
    char dir[FC_PATH_MAX];
    const size_t n = (size_t)(fc_path_base(path) - path);
    FC_CHECK(n > 0 && n < sizeof dir);
    memcpy(dir, path, n - 1);
    dir[n - 1] = '\0';
    return fc_dir_make(dir, err);
}

static fc_status find_places(download *d, fc_err *err)
{
    char blobs[FC_PATH_MAX], name[FC_HTTP_WORD_MAX + 16];
    FC_TRY(fc_path_join(blobs, d->job->repo_dir, "blobs", err));
    FC_TRY(fc_dir_make(blobs, err));
    FC_TRY(fc_path_join(d->blob, blobs, d->etag, err));
    snprintf(name, sizeof name, "%s.incomplete", d->etag);
    return fc_path_join(d->partial, blobs, name, err);
}

/* snapshots/COMMIT/PATH -> ../../[../]blobs/HASH; where links are not possible, the file itself. */
static fc_status link_blob(const download *d, const char *entry, fc_err *err)
{
    fc_strbuf target = {0};
    fc_status status = fc_strbuf_addf(&target, err, "../../");
    for (const char *c = d->file->path; *c && status == FC_OK; c++)
        if (*c == '/') status = fc_strbuf_addf(&target, err, "../");
    if (status == FC_OK) status = fc_strbuf_addf(&target, err, "blobs/%s", d->etag);
    if (status == FC_OK) status = make_parent(entry, err);
    if (status == FC_OK) {
        (void)unlink(entry); /* a link that leads nowhere */
        if (symlink(fc_strbuf_text(&target), entry) != 0 && rename(d->blob, entry) != 0)
            status = fc_fail_errno(err, "cannot make '%s'", entry);
    }
    fc_strbuf_free(&target);
    return status;
}

/* CACHE/.locks/REPO/HASH.lock, held until it is closed. */
static fc_status lock(download *d, fc_err *err)
{
    const struct timespec slice = {.tv_nsec = 100 * 1000 * 1000};
    char cache[FC_PATH_MAX], path[FC_PATH_MAX], name[FC_PATH_MAX];
    FC_TRY(fc_hub_cache(cache, err));
    snprintf(name, sizeof name, ".locks/%s/%s.lock", fc_path_base(d->job->repo_dir),
             d->etag);
    FC_TRY(fc_path_join(path, cache, name, err));
    FC_TRY(make_parent(path, err));
    d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (d->lock_fd < 0) return fc_fail_errno(err, "cannot write '%s'", path);
    for (bool is_told = false; flock(d->lock_fd, LOCK_EX | LOCK_NB) != 0; is_told = true)
    {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return fc_fail_errno(err, "cannot lock '%s'", path);
        if (!is_told)
            fc_log(FC_LOG_INFO, "waiting for another program that fetches '%s'",
                   d->file->path);
        if (fc_cancel_requested()) return fc_fail(err, FC_CANCELLED, "stopped");
        (void)nanosleep(&slice, NULL);
    }
    return FC_OK;
}

static fc_status fetch(download *d, const char *entry, fc_err *err)
{
    FC_TRY(make_url(d, err));
    FC_TRY(get_metadata(d, err));
    FC_TRY(find_places(d, err));
    FC_TRY(lock(d, err));
    if (!fc_path_exists(d->blob)) {
        FC_TRY(get_blob(d, err));
        d->job->result->n_fetched++;
    }
    return link_blob(d, entry, err);
}

static void end(download *d)
{
    fc_out_close(d->out);
    if (d->lock_fd >= 0) close(d->lock_fd);
    fc_strbuf_free(&d->url);
    fc_free(d);
}

fc_status fc_hub_download(fc_hub_fetch_job *job, const fc_hub_file *file, fc_err *err)
{
    char entry[FC_PATH_MAX];
    FC_TRY(fc_path_join(entry, job->result->snapshot, file->path, err));
    if (!fc_path_exists(entry)) {
        download *d;
        FC_TRY(fc_alloc(&d, 1, sizeof *d, "a download", err));
        d->job = job;
        d->file = file;
        d->lock_fd = -1;
        const fc_status status = fetch(d, entry, err);
        end(d);
        FC_TRY(status);
    }
    job->n_done += (double)fc_max(fc_file_size(entry), 0);
    return FC_OK;
}
