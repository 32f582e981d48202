/* store_docs.c - documents-*.jsonl: one line for each document, in the shard in which it begins.
 *
 *   {"doc":17,"title":"Oak","source":"wiki.tokens","line":812,"tokens":96}
 *
 * Ids ascend through all files; those of documents without tokens are left out. Titles are what
 * the corpus says and may be damaged UTF-8, which JSON cannot hold: then U+FFFD stands in.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "acts/store_internal.h"
#include "base/alloc.h"
#include "text/utf8.h"

/* --- writing ------------------------------------------------------------------------------ */

static fc_status mend_utf8(fc_strbuf *mended, const char *text, fc_err *err)
{
    const int64_t n = (int64_t)strlen(text);
    for (int64_t i = 0; i < n;) {
        uint32_t code;
        bool is_valid;
        char bytes[FC_UTF8_MAX_BYTES];
        i += fc_utf8_next(text + i, n - i, &code, &is_valid);
        const int n_bytes = fc_utf8_put(is_valid ? code : FC_UTF8_REPLACEMENT, bytes);
        FC_TRY(fc_strbuf_add(mended, bytes, n_bytes, err));
    }
    return FC_OK;
}

fc_status fc_doc_line(fc_strbuf *lines, int32_t doc_id, const fc_doc *doc, fc_err *err)
{
    fc_strbuf title = {0}, source = {0};
    json_t *line = NULL;
    fc_status status;
    FC_TRY_GOTO(mend_utf8(&title, doc->title != NULL ? doc->title : "", err));
    FC_TRY_GOTO(mend_utf8(&source, doc->source != NULL ? doc->source : "", err));
    line = json_pack("{s:i, s:s, s:s, s:I, s:I}", "doc", (int)doc_id, "title",
                     fc_strbuf_text(&title), "source", fc_strbuf_text(&source), "line",
                     (json_int_t)doc->line, "tokens", (json_int_t)doc->n_tokens);
    FC_TRY_GOTO(fc_json_dump(line, JSON_COMPACT, lines, err));
    FC_TRY_GOTO(fc_strbuf_add(lines, "\n", 1, err));
done:
    json_decref(line);
    fc_strbuf_free(&title);
    fc_strbuf_free(&source);
    return status;
}

/* --- reading ------------------------------------------------------------------------------ */

/* Neighbours mostly share their source, so a text equal to the one before is not copied. */
static fc_status keep_text(fc_doc_list *list, const char **kept, const char *before,
                           const char *text, fc_err *err)
{
    char *copy = NULL;
    if (before != NULL && strcmp(before, text) == 0) {
        *kept = before;
        return FC_OK;
    }
    FC_TRY(fc_arena_strdup(&list->arena, &copy, text, (int64_t)strlen(text), err));
    *kept = copy;
    return FC_OK;
}

static fc_status take_line(fc_doc_list *list, const json_t *line, int64_t n_max,
                           const char *where, fc_err *err)
{
    int64_t id = -1;
    const char *title = "", *source = "";
    if (list->n == n_max)
        return fc_fail(err, FC_FORMAT, "%s: more documents than meta.json says", where);
    fc_doc *const doc = &list->doc[list->n];
    const fc_doc *const before = list->n > 0 ? doc - 1 : NULL;
    FC_TRY(fc_json_need_i64(line, "doc", &id, where, err));
    FC_TRY(fc_json_text(line, "title", &title, where, err));
    FC_TRY(fc_json_text(line, "source", &source, where, err));
    FC_TRY(fc_json_i64(line, "line", &doc->line, where, err));
    FC_TRY(fc_json_i64(line, "tokens", &doc->n_tokens, where, err));
    const int64_t last = list->n > 0 ? list->id[list->n - 1] : -1;
    if (id <= last || id > INT32_MAX)
        return fc_fail(err, FC_FORMAT,
                       "%s: doc is %" PRId64 ", expected one above %" PRId64, where, id,
                       last);
    FC_TRY(
        keep_text(list, &doc->title, before != NULL ? before->title : NULL, title, err));
    FC_TRY(keep_text(list, &doc->source, before != NULL ? before->source : NULL, source,
                     err));
    list->id[list->n++] = (int32_t)id;
    return FC_OK;
}

static fc_status take_lines(fc_doc_list *list, const char *text, size_t n_bytes,
                            int64_t n_max, const char *path, fc_err *err)
{
    fc_strbuf where = {0};
    fc_status status = FC_OK;
    for (size_t begin = 0, number = 1; begin < n_bytes; number++) {
        const char *const newline = memchr(text + begin, '\n', n_bytes - begin);
        const size_t end = newline != NULL ? (size_t)(newline - text) : n_bytes;
        json_t *line = NULL;
        fc_strbuf_clear(&where);
        FC_TRY_GOTO(fc_strbuf_addf(&where, err, "%s:%zu", path, number));
        FC_TRY_GOTO(
            fc_json_parse(&line, text + begin, end - begin, fc_strbuf_text(&where), err));
        status = take_line(list, line, n_max, fc_strbuf_text(&where), err);
        json_decref(line);
        if (status != FC_OK) goto done;
        begin = end + 1;
    }
done:
    fc_strbuf_free(&where);
    return status;
}

static fc_status load_file(fc_doc_list *list, const char *dir,
                           const fc_store_state *state, int64_t i, fc_err *err)
{
    char path[FC_PATH_MAX];
    fc_map map = {0};
    const int64_t n_max = list->n + state->shard[i].n_docs;
    FC_TRY(fc_docs_path(path, dir, i, err));
    FC_TRY(fc_map_open(&map, path, err));
    const fc_status status =
        take_lines(list, (const char *)map.data, map.n_bytes, n_max, path, err);
    fc_map_close(&map);
    FC_TRY(status);
    if (list->n == n_max) return FC_OK;
    return fc_fail(err, FC_FORMAT, "%s: fewer documents than meta.json says", path);
}

fc_status fc_doc_list_load(fc_doc_list *list, const char *dir,
                           const fc_store_state *state, fc_err *err)
{
    fc_doc_list made = {0};
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&made.doc, state->n_docs, sizeof *made.doc, "documents", err));
    FC_TRY_GOTO(fc_alloc(&made.id, state->n_docs, sizeof *made.id, "document ids", err));
    for (int64_t i = 0; i < state->n_shards; i++)
        FC_TRY_GOTO(load_file(&made, dir, state, i, err));
    *list = made;
    made = (fc_doc_list){0};
done:
    fc_doc_list_free(&made);
    return status;
}

void fc_doc_list_free(fc_doc_list *list)
{
    fc_arena_free(&list->arena);
    fc_free(list->doc);
    fc_free(list->id);
    *list = (fc_doc_list){0};
}
