/* hub_list.c - what the hub has under a name, redirects by hand, and refusals in words.
 *
 *   GET ENDPOINT/api/models/ORG/NAME/revision/REVISION?blobs=true
 *     -> {"sha": COMMIT, "siblings": [{"rfilename": PATH, "size": BYTES}, ...]}
 *
 * Paths from the hub become paths on disk, so one that leaves its folder ends everything.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "formats/hub_fetch_internal.h"
#include "formats/json.h"

enum { LISTING_MAX_BYTES = 64 << 20, MAX_REDIRECTS = 5 };

static const char *kind_folder(fc_hub_kind kind)
{
    return kind == FC_HUB_MODEL ? "models" : "datasets";
}

fc_status fc_hub_page(const fc_hub_fetch_job *job, fc_strbuf *url, fc_err *err)
{
    return fc_strbuf_addf(url, err, "%s/%s%s", fc_http_endpoint(job->http),
                          job->config->kind == FC_HUB_DATASET ? "datasets/" : "",
                          job->config->name.repo);
}

/* --- refusals ----------------------------------------------------------------------------- */

static fc_status gated(const fc_hub_fetch_job *job, const char *page,
                       const fc_http_reply *reply, fc_err *err)
{
    const char *repo = job->config->name.repo;
    if (!fc_http_has_token(job->http))
        return fc_fail(
            err, FC_IO,
            "'%s' is gated: accept its terms at %s with your account, then set "
            "HF_TOKEN to a token of it (%s/settings/tokens)",
            repo, page, fc_http_endpoint(job->http));
    return fc_fail(err, FC_IO,
                   "'%s' is gated, and the account of your token has no access yet: "
                   "accept its terms at %s (the server says %" PRId64 ": %s)",
                   repo, page, reply->status,
                   reply->message[0] ? reply->message : reply->code);
}

static fc_status refused_at(const fc_hub_fetch_job *job, const char *what,
                            const char *page, const fc_http_reply *r, fc_err *err)
{
    const fc_hub_name *name = &job->config->name;
    const char *const kind = fc_hub_kind_word(job->config->kind);
    const bool is_auth = r->status == 401 || r->status == 403;
    if (r->status == 0)
        return fc_fail(err, FC_IO, "%s cannot be reached: %s",
                       fc_http_endpoint(job->http), r->fault);
    if (strcasecmp(r->code, "GatedRepo") == 0) return gated(job, page, r, err);
    if (strcasecmp(r->code, "RevisionNotFound") == 0)
        return fc_fail(err, FC_IO, "the %s '%s' has no revision '%s' at %s", kind,
                       name->repo, name->revision, page);
    if (strcasecmp(r->code, "EntryNotFound") == 0)
        return fc_fail(err, FC_IO, "the %s '%s' has no file '%s' at %s", kind, name->repo,
                       what, page);
    if (is_auth && fc_http_has_token(job->http) && strstr(r->message, "nvalid"))
        return fc_fail(err, FC_IO,
                       "%s does not accept your token (HF_TOKEN, or the token file): %s",
                       fc_http_endpoint(job->http), r->message);
    if (is_auth || r->status == 404)
        return fc_fail(err, FC_IO, "there is no %s '%s' at %s, or it is private%s", kind,
                       name->repo, page,
                       fc_http_has_token(job->http)
                           ? " and your token does not open it"
                           : ", which needs a token in HF_TOKEN");
    return fc_fail(err, FC_IO, "%s%s%s: the server answers %" PRId64 "%s%s%s%s", page,
                   what[0] ? ": " : "", what, r->status, r->message[0] ? ": " : "",
                   r->message, r->fault[0] ? ": " : "", r->fault);
}

fc_status fc_hub_refused(const fc_hub_fetch_job *job, const char *what,
                         const fc_http_reply *reply, fc_err *err)
{
    fc_strbuf page = {0};
    fc_status status = fc_hub_page(job, &page, err);
    if (status == FC_OK)
        status = refused_at(job, what, fc_strbuf_text(&page), reply, err);
    fc_strbuf_free(&page);
    return status;
}

/* --- redirects ---------------------------------------------------------------------------- */

static bool is_redirect(const fc_http_reply *r)
{
    return (r->status == 301 || r->status == 302 || r->status == 303 ||
            r->status == 307 || r->status == 308) &&
           r->location[0];
}

/* What the first answers say of the content counts, not what a store of blobs says of itself. */
static void keep_linked(fc_http_reply *to, const fc_http_reply *from)
{
    if (from->commit[0]) memcpy(to->commit, from->commit, sizeof to->commit);
    if (from->linked_etag[0]) {
        memcpy(to->linked_etag, from->linked_etag, sizeof to->linked_etag);
        memcpy(to->etag, from->linked_etag, sizeof to->etag);
    }
    if (from->n_linked_bytes >= 0)
        to->n_bytes = to->n_linked_bytes = from->n_linked_bytes;
}

fc_status fc_hub_once(fc_hub_fetch_job *job, const fc_hub_request *request,
                      fc_http_reply *reply, fc_err *err)
{
    fc_http_request step = request->http;
    fc_http_reply before = {.n_linked_bytes = -1};
    char url[FC_HTTP_URL_MAX];
    if (strlen(request->url) >= sizeof url)
        return fc_fail(err, FC_USAGE, "the address %.80s... is too long", request->url);
    snprintf(url, sizeof url, "%s", request->url);
    step.url = url;
    for (int i = 0; i <= MAX_REDIRECTS; i++) {
        FC_TRY(fc_http_do(job->http, &step, reply, err));
        keep_linked(reply, &before);
        if (!is_redirect(reply) || (step.is_head && !reply->is_location_relative))
            return FC_OK;
        if (strncmp(url, "https:", 6) == 0 && strncmp(reply->location, "https:", 6) != 0)
            return fc_fail(err, FC_IO,
                           "%s leads to %s, which is not encrypted: not followed", url,
                           reply->location);
        before = *reply;
        snprintf(url, sizeof url, "%s", reply->location);
    }
    return fc_fail(err, FC_IO, "%s leads in a circle of redirects", request->url);
}

/* --- the list ----------------------------------------------------------------------------- */

static fc_status take_text(void *ctx, const fc_http_reply *reply, const char *bytes,
                           size_t n, fc_err *err)
{
    fc_strbuf *text = ctx;
    (void)reply;
    if (text->n + (int64_t)n > LISTING_MAX_BYTES)
        return fc_fail(err, FC_FORMAT, "the hub's list of files is longer than %d bytes",
                       LISTING_MAX_BYTES);
    return fc_strbuf_add(text, bytes, (int64_t)n, err);
}

static fc_status list_url(const fc_hub_fetch_job *job, fc_strbuf *url, fc_err *err)
{
    const fc_hub_fetch_config *config = job->config;
    FC_TRY(fc_strbuf_addf(url, err, "%s/api/%s/%s/revision/", fc_http_endpoint(job->http),
                          kind_folder(config->kind), config->name.repo));
    FC_TRY(fc_http_encode(url, config->name.revision, '\0', err));
    return fc_strbuf_addf(url, err, "?blobs=true");
}

static fc_status get_list(fc_hub_fetch_job *job, const char *url, fc_strbuf *text,
                          fc_err *err)
{
    const fc_http_patience patience = {job->config->tries, job->config->wait_s};
    const fc_hub_request request = {.http = {.take = take_text, .ctx = text}, .url = url};
    fc_http_reply reply;
    for (int i = 1;; i++) {
        fc_strbuf_clear(text);
        FC_TRY(fc_hub_once(job, &request, &reply, err));
        if (reply.status == 200 && !reply.is_cut) return FC_OK;
        if (i >= patience.tries || !fc_http_is_passing(&reply))
            return fc_hub_refused(job, "", &reply, err);
        FC_TRY(fc_http_wait(&patience, i, &reply, err));
    }
}

static bool is_wanted(const fc_hub_fetch_config *config, const char *path)
{
    bool is_included = config->n_include == 0;
    for (int64_t i = 0; i < config->n_include; i++)
        is_included |= fnmatch(config->include[i], path, 0) == 0;
    /* The card says what a data set is and under which licence. */
    return is_included && (fc_hub_subset_has(config->name.subset, path) ||
                           strcmp(path, "README.md") == 0);
}

static fc_status add_file(fc_hub_fetch_job *job, const json_t *sibling, const char *url,
                          fc_err *err)
{
    const char *path = NULL;
    char *copy;
    int64_t n_bytes = -1;
    FC_TRY(fc_json_need_text(sibling, "rfilename", &path, url, err));
    FC_TRY(fc_json_i64(sibling, "size", &n_bytes, url, err));
    if (json_string_length(json_object_get(sibling, "rfilename")) != strlen(path) ||
        !fc_hub_is_safe_path(path))
        return fc_fail(err, FC_FORMAT,
                       "%s: names a file '%.200s', expected a path inside the repository",
                       url, path);
    if (!is_wanted(job->config, path)) return FC_OK;
    FC_TRY(fc_arena_strdup(&job->arena, &copy, path, (int64_t)strlen(path), err));
    FC_TRY(fc_grow(&job->file, &job->capacity, job->n + 1, sizeof *job->file,
                   "a list of files", err));
    job->file[job->n++] = (fc_hub_file){.path = copy, .n_bytes = fc_max(n_bytes, -1)};
    return FC_OK;
}

static fc_status read_list(fc_hub_fetch_job *job, const json_t *root, const char *url,
                           fc_err *err)
{
    const char *commit = NULL;
    const json_t *siblings = json_object_get(root, "siblings");
    const json_t *sibling;
    size_t i;
    FC_TRY(fc_json_need_text(root, "sha", &commit, url, err));
    if (strspn(commit, "0123456789abcdef") != FC_HUB_COMMIT_HEX - 1 ||
        commit[FC_HUB_COMMIT_HEX - 1])
        return fc_fail(err, FC_FORMAT,
                       "%s: sha is '%.80s', expected 40 hexadecimal digits", url, commit);
    memcpy(job->result->commit, commit, FC_HUB_COMMIT_HEX);
    if (!json_is_array(siblings))
        return fc_fail(err, FC_FORMAT, "%s: siblings is %s, expected a list of files",
                       url, fc_json_type_word(siblings));
    json_array_foreach(siblings, i, sibling) FC_TRY(add_file(job, sibling, url, err));
    if (job->n > 0) return FC_OK;
    return fc_fail(err, FC_USAGE,
                   "the %s '%s' has %zu files, none of which is asked for%s%s",
                   fc_hub_kind_word(job->config->kind), job->config->name.repo,
                   json_array_size(siblings), job->config->name.subset[0] ? ": " : "",
                   job->config->name.subset);
}

fc_status fc_hub_list_remote(fc_hub_fetch_job *job, fc_err *err)
{
    fc_strbuf url = {0}, text = {0};
    json_t *root = NULL;
    fc_status status;
    FC_TRY_GOTO(list_url(job, &url, err));
    FC_TRY_GOTO(get_list(job, fc_strbuf_text(&url), &text, err));
    FC_TRY_GOTO(fc_json_parse(&root, fc_strbuf_text(&text), (size_t)text.n,
                              fc_strbuf_text(&url), err));
    FC_TRY_GOTO(read_list(job, root, fc_strbuf_text(&url), err));
done:
    json_decref(root);
    fc_strbuf_free(&url);
    fc_strbuf_free(&text);
    return status;
}
