/* source_parquet.c - Parquet: a row a document, its text in one column; or WikiText, a line a row.
 *
 *     text = "...", title = "..."            a document, named by "title", else "id", else the file
 *     messages = [{role, content}, ...]      a conversation, written as text/chat.h says
 *     " = Title = \n", "", " Text . \n"      WikiText as it is on the hub: read by source_wikitext.c
 *
 * The layout is told by the first rows: each of them empty or one line with its '\n', and a heading
 * among them. The hub's copy has lost the one space that blank lines have in the raw file; it is put
 * back, so that both give the same documents. Its shards, -00000-of-00002 and on, are one text: an
 * article goes on from one to the next, and lines are counted through.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "formats/parquet.h"
#include "text/chat.h"
#include "text/corpus_internal.h"
#include "text/utf8.h"

struct fc_rows {
    const char *path; /* of the shard in hand; borrowed */
    fc_parquet *file;
    fc_parquet_values *text, *title; /* title: or NULL */
    fc_parquet_chat *conversations;
    bool is_wikitext, is_checked_utf8;
    int64_t n_rows; /* begun */

    const char *at, *end; /* what remains of the row's text; at NULL: nothing */
    const char *name;     /* the row's title, or NULL */
    int64_t n_name;
    fc_chat chat;
    fc_parquet_turn turn; /* the first of the next conversation */
    bool has_turn;
};

/* --- opening ------------------------------------------------------------------------------ */

static bool is_text_column(fc_parquet_column column)
{
    return column.is_bytes && !column.is_list;
}

/* "'title', 'text'", for a message. */
static fc_status no_column(const fc_text_file *file, const fc_parquet *parquet,
                           fc_err *err)
{
    char names[512] = "";
    size_t n = 0;
    for (int64_t i = 0; i < fc_parquet_n_columns(parquet) && n < sizeof names; i++) {
        const fc_parquet_column column = fc_parquet_column_at(parquet, i);
        if (!is_text_column(column) || !column.is_text) continue;
        n += (size_t)snprintf(names + n, sizeof names - n, "%s'%s'", n > 0 ? ", " : "",
                              column.name);
    }
    if (fc_parquet_is_chat(parquet, "messages") && n < sizeof names)
        (void)snprintf(names + n, sizeof names - n, "%s'messages'", n > 0 ? ", " : "");
    return fc_fail(err, FC_MISMATCH,
                   "%s: there is no text column '%s'; columns with text: %s", file->path,
                   file->field, names[0] ? names : "none");
}

static fc_status open_title(fc_rows *rows, fc_err *err)
{
    static const char *const keys[] = {"title", "id"};
    for (size_t i = 0; i < FC_LEN(keys); i++) {
        const int64_t column = fc_parquet_find(rows->file, keys[i]);
        if (column < 0 || !fc_parquet_column_at(rows->file, column).is_text ||
            !is_text_column(fc_parquet_column_at(rows->file, column)))
            continue;
        return fc_parquet_values_open(&rows->title, rows->file, column, err);
    }
    return FC_OK;
}

/* Do the first rows lie as WikiText's? */
static fc_status look(fc_rows *rows, int64_t column, fc_err *err)
{
    enum { N_LOOKED_AT = 1000 };
    fc_parquet_values *values = NULL;
    fc_parquet_value row;
    bool is_end = false, has_heading = false, is_by_line = true;
    FC_TRY(fc_parquet_values_open(&values, rows->file, column, err));
    fc_status status = FC_OK;
    for (int i = 0; i < N_LOOKED_AT && is_by_line && status == FC_OK; i++) {
        status = fc_parquet_values_next(values, &row, &is_end, err);
        if (is_end || status != FC_OK) break;
        if (row.n == 0) continue;
        is_by_line = memchr(row.bytes, '\n', (size_t)row.n) == row.bytes + row.n - 1;
        has_heading |= is_by_line && fc_wikitext_is_heading(row.bytes, row.n - 1);
    }
    rows->is_wikitext = is_by_line && has_heading;
    fc_parquet_values_close(values);
    return status;
}

static void close_shard(fc_rows *rows)
{
    fc_parquet_values_close(rows->text);
    fc_parquet_values_close(rows->title);
    fc_parquet_chat_close(rows->conversations);
    fc_parquet_close(rows->file);
    rows->text = rows->title = NULL;
    rows->conversations = NULL;
    rows->file = NULL;
}

static fc_status open_shard(fc_text_file *file, const char *path, fc_err *err)
{
    fc_rows *rows = file->rows;
    rows->path = path;
    FC_TRY(fc_parquet_open(&rows->file, path, err));
    const int64_t column = fc_parquet_find(rows->file, file->field);
    if (column >= 0 && is_text_column(fc_parquet_column_at(rows->file, column))) {
        if (file->n_taken == 0) FC_TRY(look(rows, column, err));
        file->has_blank_borders = rows->is_wikitext;
        rows->is_checked_utf8 = !fc_parquet_column_at(rows->file, column).is_text;
        FC_TRY(fc_parquet_values_open(&rows->text, rows->file, column, err));
        return rows->is_wikitext ? FC_OK : open_title(rows, err);
    }
    if (!fc_parquet_is_chat(rows->file, file->field))
        return no_column(file, rows->file, err);
    FC_TRY(fc_parquet_chat_open(&rows->conversations, rows->file, file->field, err));
    return open_title(rows, err);
}

static fc_status open_rows(fc_text_file *file, fc_err *err)
{
    FC_TRY(fc_alloc(&file->rows, 1, sizeof *file->rows, "corpus source", err));
    return open_shard(file, file->path, err);
}

/* --- WikiText ----------------------------------------------------------------------------- */

enum { SHARD_DIGITS = 5 };

/* Where "-00000-of-00002" begins, or NULL. */
static const char *shard_part(const char *path)
{
    const char *of = NULL;
    for (const char *at = strstr(path, "-of-"); at; at = strstr(at + 1, "-of-")) of = at;
    if (!of || of - path <= SHARD_DIGITS || of[-SHARD_DIGITS - 1] != '-') return NULL;
    for (int i = 1; i <= SHARD_DIGITS; i++)
        if (of[-i] < '0' || of[-i] > '9') return NULL;
    return of - SHARD_DIGITS - 1;
}

static bool continues(const char *path, const char *next)
{
    const char *a = shard_part(path), *b = shard_part(next);
    return a && b && a - path == b - next &&
           memcmp(path, next, (size_t)(a - path)) == 0 &&
           strcmp(a + 1 + SHARD_DIGITS, b + 1 + SHARD_DIGITS) == 0 &&
           strtol(b + 1, NULL, 10) == strtol(a + 1, NULL, 10) + 1;
}

static fc_status next_shard(fc_text_file *file, bool *is_end, fc_err *err)
{
    fc_rows *rows = file->rows;
    *is_end = file->n_taken == file->n_follow ||
              !continues(rows->path, file->follow[file->n_taken]);
    if (*is_end) return FC_OK;
    const char *path = file->follow[file->n_taken++];
    close_shard(rows);
    return open_shard(file, path, err);
}

static fc_status check_utf8(const fc_rows *rows, const fc_text_file *file,
                            const fc_parquet_value *row, fc_err *err)
{
    if (!rows->is_checked_utf8 || !row->bytes ||
        fc_utf8_check(row->bytes, row->n) == row->n)
        return FC_OK;
    return fc_fail(err, FC_FORMAT, "%s: row %" PRId64 " of column '%s' is not UTF-8",
                   rows->path, rows->n_rows, file->field);
}

fc_status fc_rows_line(fc_text_file *file, const char **text, int64_t *n, bool *is_end,
                       fc_err *err)
{
    fc_rows *rows = file->rows;
    fc_parquet_value row;
    do {
        FC_TRY(fc_parquet_values_next(rows->text, &row, is_end, err));
        if (!*is_end) break;
        FC_TRY(next_shard(file, is_end, err));
    } while (!*is_end);
    if (*is_end) return FC_OK;
    rows->n_rows++;
    FC_TRY(check_utf8(rows, file, &row, err));
    *text = row.n > 0 ? row.bytes : " ";
    *n = row.n > 0 ? row.n : 1;
    if ((*text)[*n - 1] == '\n') --*n;
    return FC_OK;
}

/* --- documents ---------------------------------------------------------------------------- */

/* Gathers the turns of a row; a row without turns gives no text. */
static fc_status next_conversation(fc_rows *rows, bool *is_end, fc_err *err)
{
    *is_end = false;
    fc_chat_begin(&rows->chat);
    if (!rows->has_turn)
        FC_TRY(fc_parquet_chat_next(rows->conversations, &rows->turn, is_end, err));
    rows->has_turn = false;
    if (*is_end) return FC_OK;
    bool is_over = false;
    do {
        const fc_parquet_turn *turn = &rows->turn;
        if (turn->content)
            FC_TRY(fc_chat_turn(&rows->chat, turn->role ? turn->role : "user",
                                turn->role ? turn->n_role : 4, turn->content,
                                turn->n_content, err));
        FC_TRY(fc_parquet_chat_next(rows->conversations, &rows->turn, &is_over, err));
    } while (!is_over && !rows->turn.is_first);
    rows->has_turn = !is_over;
    rows->at = rows->chat.text.n > 0 ? rows->chat.text.data : NULL;
    rows->end = rows->at ? rows->at + rows->chat.text.n : NULL;
    return FC_OK;
}

static fc_status next_text(fc_text_file *file, bool *is_end, fc_err *err)
{
    fc_rows *rows = file->rows;
    fc_parquet_value row;
    FC_TRY(fc_parquet_values_next(rows->text, &row, is_end, err));
    if (*is_end) return FC_OK;
    FC_TRY(check_utf8(rows, file, &row, err));
    rows->at = row.bytes;
    rows->end = row.bytes ? row.bytes + row.n : NULL;
    return FC_OK;
}

/* The next row that has text, and its title. */
static fc_status next_row(fc_text_file *file, bool *is_end, fc_err *err)
{
    fc_rows *rows = file->rows;
    fc_parquet_value title = {0};
    bool is_title_end = false;
    while (!rows->at) {
        rows->n_rows++;
        FC_TRY(rows->text ? next_text(file, is_end, err)
                          : next_conversation(rows, is_end, err));
        if (*is_end) return FC_OK;
        if (rows->title)
            FC_TRY(fc_parquet_values_next(rows->title, &title, &is_title_end, err));
    }
    rows->name = title.n > 0 ? title.bytes : fc_path_base(file->path);
    rows->n_name = title.n > 0 ? title.n : (int64_t)strlen(rows->name);
    return FC_OK;
}

static fc_status next_line(fc_text_file *file, fc_line *line, bool *is_end, fc_err *err)
{
    fc_rows *rows = file->rows;
    if (rows->is_wikitext) return fc_source_wikitext.line(file, line, is_end, err);
    *line = (fc_line){0};
    *is_end = false;
    if (!rows->at) {
        FC_TRY(next_row(file, is_end, err));
        if (*is_end) return FC_OK;
        line->title = rows->name;
        line->n_title = rows->n_name;
    }
    FC_CHECK(rows->at != NULL); /* a row without text was passed over */
    const size_t n_left = (size_t)(rows->end - rows->at);
    const char *newline = rows->conversations ? NULL : memchr(rows->at, '\n', n_left);
    line->text = rows->at;
    line->n = newline ? newline - rows->at : (int64_t)n_left;
    line->number = rows->n_rows;
    rows->at = newline ? newline + 1 : NULL;
    return FC_OK;
}

static double fraction(const fc_text_file *file)
{
    const fc_rows *rows = file->rows;
    return rows->text ? fc_parquet_values_fraction(rows->text)
                      : fc_parquet_chat_fraction(rows->conversations);
}

static void close_file(fc_text_file *file)
{
    if (!file->rows) return;
    if (file->rows->is_wikitext) fc_source_wikitext.close(file);
    close_shard(file->rows);
    fc_chat_free(&file->rows->chat);
    fc_free(file->rows);
}

/* Of a stream, which cannot be read: corpus.c says so. */
static bool is_first_line(const char *text, int64_t n)
{
    return n >= 4 && memcmp(text, "PAR1", 4) == 0;
}

static const char *const suffixes[] = {".parquet", NULL};

const fc_source fc_source_parquet = {
    .name = "parquet",
    .suffixes = suffixes,
    .is_first_line = is_first_line,
    .open = open_rows,
    .line = next_line,
    .fraction = fraction,
    .close = close_file,
};
