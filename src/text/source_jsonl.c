/* source_jsonl.c - JSON Lines: one object a line, its text in one member.
 *
 *     {"text": "...", "title": "...", "id": ...}
 *     {"messages": [{"role": "user", "content": "..."}, ...]}
 *
 * A record is a document; the lines of its text are the lines of the corpus, all with the line
 * number of the record. A list of turns is a conversation, written as text/chat.h says and one line
 * whatever is in it. Blank lines between records are passed over.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "formats/json.h"
#include "text/chat.h"
#include "text/corpus_internal.h"

typedef struct jsonl {
    json_t *record;       /* NULL: none in hand */
    int64_t number;       /* its line */
    const char *at, *end; /* what remains of its text; at NULL: nothing */
    char id[32];          /* an integer id, written out */
    fc_chat chat;
    bool is_chat; /* the record is a conversation */
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

/* Member `a`, else `b`, if it is a text. */
static const json_t *text_of(const json_t *turn, const char *a, const char *b)
{
    const json_t *value = json_object_get(turn, a);
    if (!value) value = json_object_get(turn, b);
    return json_is_string(value) ? value : NULL;
}

/* Turns without content are passed over, as in Parquet. */
static fc_status read_chat(jsonl *state, const json_t *turns, fc_err *err)
{
    const json_t *turn;
    size_t i;
    fc_chat_begin(&state->chat);
    json_array_foreach(turns, i, turn)
    {
        const json_t *role = text_of(turn, "role", "from");
        const json_t *content = text_of(turn, "content", "value");
        if (!content) continue;
        const char *name = role ? json_string_value(role) : "user";
        FC_TRY(fc_chat_turn(&state->chat, name, (int64_t)strlen(name),
                            json_string_value(content),
                            (int64_t)json_string_length(content), err));
    }
    state->at = fc_strbuf_text(&state->chat.text);
    state->end = state->at + state->chat.text.n;
    return FC_OK;
}

static fc_status read_text(jsonl *state, const char *field, fc_err *err)
{
    const json_t *value = json_object_get(state->record, field);
    const char *text = NULL;
    state->is_chat = json_is_array(value);
    if (state->is_chat) return read_chat(state, value, err);
    FC_TRY(fc_json_need_text(state->record, field, &text, "record", err));
    state->at = text;
    state->end = text + json_string_length(value);
    return FC_OK;
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
    fc_status status =
        fc_json_parse(&state->record, line.text, (size_t)line.n, "record", err);
    if (status == FC_OK) status = read_text(state, file->field, err);
    if (status != FC_OK)
        return fc_fail_in(err, "%s: line %" PRId64, file->path, line.number);
    state->number = line.number;
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
    const char *newline = state->is_chat ? NULL : memchr(state->at, '\n', n_left);
    line->text = state->at;
    line->n = newline ? newline - state->at : (int64_t)n_left;
    line->number = state->number;
    state->at = newline ? newline + 1 : NULL;
    return FC_OK;
}

static void close_file(fc_text_file *file)
{
    jsonl *state = file->state;
    if (!state) return;
    json_decref(state->record);
    fc_chat_free(&state->chat);
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
