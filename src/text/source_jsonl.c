/* source_jsonl.c - JSON Lines: one object a line, its text in one member.
 *
 *     {"text": "...", "title": "...", "id": ...}
 *
 * A record is a document; the lines of its text are the lines of the corpus, all with the line
 * number of the record. Blank lines between records are passed over.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "formats/json.h"
#include "text/corpus_internal.h"

typedef struct jsonl {
    json_t *record;       /* NULL: none in hand */
    int64_t number;       /* its line */
    const char *at, *end; /* what remains of its text; at NULL: nothing */
    char id[32];          /* an integer id, written out */
} jsonl;

static bool is_blank(const char *text, int64_t n)
{
    while (n > 0 && strchr(" \t\r", text[n - 1]) && text[n - 1]) n--;
    return n == 0;
}

/* "title", else "id", else the name of the file. */
static void find_title(const fc_text_file *file, jsonl *state, fc_line *line)
{
    static const char *const keys[] = {"title", "id"};
    line->title = fc_path_base(file->path);
    for (size_t i = 0; i < FC_LEN(keys); i++) {
        const json_t *value = json_object_get(state->record, keys[i]);
        if (json_is_integer(value)) {
            snprintf(state->id, sizeof state->id, "%" PRId64,
                     (int64_t)json_integer_value(value));
            line->title = state->id;
            break;
        }
        if (json_string_length(value) == 0) continue;
        line->title = json_string_value(value);
        break;
    }
    line->n_title = (int64_t)strlen(line->title);
}

static fc_status next_record(fc_text_file *file, jsonl *state, bool *is_end, fc_err *err)
{
    fc_line line;
    do {
        FC_TRY(fc_text_file_line(file, &line, is_end, err));
        if (*is_end) return FC_OK;
    } while (is_blank(line.text, line.n));
    json_decref(state->record);
    state->record = NULL;
    const char *text = NULL;
    fc_status status =
        fc_json_parse(&state->record, line.text, (size_t)line.n, "record", err);
    if (status == FC_OK)
        status = fc_json_need_text(state->record, file->field, &text, "record", err);
    if (status != FC_OK)
        return fc_fail_in(err, "%s: line %" PRId64, file->path, line.number);
    state->number = line.number;
    state->at = text;
    state->end = text + json_string_length(json_object_get(state->record, file->field));
    return FC_OK;
}

static fc_status next_line(fc_text_file *file, fc_line *line, bool *is_end, fc_err *err)
{
    if (!file->state)
        FC_TRY(fc_alloc(&file->state, 1, sizeof(jsonl), "corpus source", err));
    jsonl *state = file->state;
    *line = (fc_line){0};
    *is_end = false;
    if (!state->at) {
        FC_TRY(next_record(file, state, is_end, err));
        if (*is_end) return FC_OK;
        find_title(file, state, line);
    }
    const size_t n_left = (size_t)(state->end - state->at);
    const char *newline = memchr(state->at, '\n', n_left);
    line->text = state->at;
    line->n = newline ? newline - state->at : (int64_t)n_left;
    line->number = state->number;
    state->at = newline ? newline + 1 : NULL;
    return FC_OK;
}

static void close_file(fc_text_file *file)
{
    jsonl *state = file->state;
    if (state) json_decref(state->record);
    fc_free(state);
}

static bool is_first_line(const char *text, int64_t n)
{
    while (n > 0 && (*text == ' ' || *text == '\t')) text++, n--;
    return n > 0 && *text == '{';
}

static const char *const suffixes[] = {".jsonl", ".ndjson", ".jsonlines", NULL};

const fc_source fc_source_jsonl = {
    .name = "jsonl",
    .suffixes = suffixes,
    .is_first_line = is_first_line,
    .line = next_line,
    .close = close_file,
};
