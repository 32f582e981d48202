/* parquet.c - a Parquet file, its columns, and the values of one column after the other.
 *
 * A page gives entries: a repetition level (0: a row begins), a definition level (the maximum: there
 * is a value) and, then, a value. Row groups follow one another:
 *
 *   row group -> pages of its chunk -> entries -> values and nulls
 *
 * Counts are checked where they end: values of the pages against the chunk, rows against the row
 * group. A conversation is two such columns read side by side.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "formats/parquet.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/parquet_internal.h"

struct fc_parquet_values {
    const fc_parquet *file;
    fc_pq_pages pages;
    int64_t n_groups_begun;
    int64_t n_group_rows; /* rows begun in the row group in hand */
    int64_t n_rows;       /* in all */
};

bool fc_parquet_is(const char *path)
{
    char magic[4];
    FILE *file = fopen(path, "rb");
    if (!file) return false;
    const bool is_parquet = fread(magic, 1, sizeof magic, file) == sizeof magic &&
                            memcmp(magic, "PAR1", 4) == 0;
    (void)fclose(file);
    return is_parquet;
}

fc_status fc_parquet_open(fc_parquet **file, const char *path, fc_err *err)
{
    fc_parquet *opened = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&opened, 1, sizeof *opened, "a Parquet file", err));
    FC_TRY_GOTO(fc_strdup(&opened->path, path, err));
    FC_TRY_GOTO(fc_map_open(&opened->map, path, err));
    FC_TRY_GOTO(fc_pq_footer_read(opened, err));
    *file = opened;
    opened = NULL;
done:
    fc_parquet_close(opened);
    return status;
}

void fc_parquet_close(fc_parquet *file)
{
    if (!file) return;
    fc_map_close(&file->map);
    fc_arena_free(&file->arena);
    fc_free(file->leaf);
    fc_free(file->group);
    fc_free(file->path);
    fc_free(file);
}

int64_t fc_parquet_n_rows(const fc_parquet *file)
{
    return file->n_rows;
}

int64_t fc_parquet_n_columns(const fc_parquet *file)
{
    return file->n_leaves;
}

fc_parquet_column fc_parquet_column_at(const fc_parquet *file, int64_t i)
{
    const fc_pq_leaf *leaf = &file->leaf[i];
    const bool is_bytes = leaf->type == FC_PQ_BYTE_ARRAY;
    return (fc_parquet_column){.name = leaf->name,
                               .is_bytes = is_bytes,
                               .is_text = is_bytes && leaf->is_text,
                               .is_list = leaf->max_rep > 0};
}

int64_t fc_parquet_find(const fc_parquet *file, const char *name)
{
    for (int64_t i = 0; i < file->n_leaves; i++)
        if (strcmp(file->leaf[i].name, name) == 0) return i;
    return -1;
}

/* --- one column --------------------------------------------------------------------------- */

fc_status fc_parquet_values_open(fc_parquet_values **values, const fc_parquet *file,
                                 int64_t column, fc_err *err)
{
    FC_CHECK(column >= 0 && column < file->n_leaves);
    fc_parquet_values *made;
    const fc_pq_leaf *leaf = &file->leaf[column];
    if (leaf->type != FC_PQ_BYTE_ARRAY)
        return fc_fail(err, FC_MISMATCH, "%s: column '%s' holds numbers, expected text",
                       file->path, leaf->name);
    FC_TRY(fc_alloc(&made, 1, sizeof *made, "a Parquet column", err));
    made->file = file;
    made->pages.file = file;
    made->pages.leaf = leaf;
    *values = made;
    return FC_OK;
}

void fc_parquet_values_close(fc_parquet_values *values)
{
    if (!values) return;
    fc_pq_pages_deinit(&values->pages);
    fc_free(values);
}

double fc_parquet_values_fraction(const fc_parquet_values *values)
{
    const double n = (double)values->file->n_rows;
    return n > 0 ? (double)values->n_rows / n : 1;
}

/* Goes to the next page that has entries, in this row group or a later one. */
static fc_status next_page(fc_parquet_values *v, bool *is_end, fc_err *err)
{
    fc_pq_pages *p = &v->pages;
    while (p->n_left == 0) {
        if (p->n_to_come > 0) {
            FC_TRY(fc_pq_pages_next(p, err));
            continue;
        }
        if (v->n_groups_begun > 0 &&
            v->n_group_rows != v->file->group[v->n_groups_begun - 1].n_rows)
            return fc_pq_pages_fail(p, "the column has not as many rows as the row group",
                                    err);
        *is_end = v->n_groups_begun == v->file->n_groups;
        if (*is_end) return FC_OK;
        v->n_group_rows = 0;
        FC_TRY(fc_pq_pages_begin(p, v->n_groups_begun++, err));
    }
    return FC_OK;
}

fc_status fc_parquet_values_next(fc_parquet_values *v, fc_parquet_value *value,
                                 bool *is_end, fc_err *err)
{
    fc_pq_pages *p = &v->pages;
    const char *fault = NULL;
    *value = (fc_parquet_value){0};
    *is_end = false;
    FC_TRY(next_page(v, is_end, err));
    if (*is_end) return FC_OK;
    const uint32_t rep = fc_pq_runs_next(&p->rep, &fault);
    const uint32_t def = fc_pq_runs_next(&p->def, &fault);
    if (!fault && (rep > (uint32_t)p->leaf->max_rep || def > (uint32_t)p->leaf->max_def))
        fault = "a level is higher than the schema is deep";
    if (!fault && rep > 0 && v->n_group_rows == 0) fault = "it begins within a row";
    if (fault) return fc_pq_pages_fail(p, fault, err);
    p->n_left--;
    value->is_first = rep == 0;
    v->n_group_rows += rep == 0;
    v->n_rows += rep == 0;
    if (def < (uint32_t)p->leaf->max_def) return FC_OK;
    FC_TRY(fc_pq_bytes_next(&p->bytes, &value->bytes, &value->n, &fault, err));
    return fault ? fc_pq_pages_fail(p, fault, err) : FC_OK;
}

/* --- a conversation a row ------------------------------------------------------------------ */

struct fc_parquet_chat {
    const fc_parquet *file;
    fc_parquet_values *role, *content;
};

/* Leaf below `name`, in a list, one part of whose path is `part`; or -1. */
static int64_t find_part(const fc_parquet *file, const char *name, const char *part)
{
    const size_t n_name = strlen(name), n_part = strlen(part);
    for (int64_t i = 0; i < file->n_leaves; i++) {
        const fc_pq_leaf *leaf = &file->leaf[i];
        if (strncmp(leaf->name, name, n_name) != 0 || leaf->name[n_name] != '.' ||
            leaf->max_rep != 1 || leaf->type != FC_PQ_BYTE_ARRAY)
            continue;
        const char *at = leaf->name + n_name;
        while (at) {
            at++;
            const char *dot = strchr(at, '.');
            const size_t n = dot ? (size_t)(dot - at) : strlen(at);
            if (n == n_part && memcmp(at, part, n) == 0) return i;
            at = dot;
        }
    }
    return -1;
}

static bool find_chat(const fc_parquet *file, const char *name, int64_t *role,
                      int64_t *content)
{
    static const char *const spellings[][2] = {{"role", "content"}, {"from", "value"}};
    for (size_t i = 0; i < FC_LEN(spellings); i++) {
        *role = find_part(file, name, spellings[i][0]);
        *content = find_part(file, name, spellings[i][1]);
        if (*role >= 0 && *content >= 0) return true;
    }
    return false;
}

bool fc_parquet_is_chat(const fc_parquet *file, const char *name)
{
    int64_t role, content;
    return find_chat(file, name, &role, &content);
}

fc_status fc_parquet_chat_open(fc_parquet_chat **chat, const fc_parquet *file,
                               const char *name, fc_err *err)
{
    fc_parquet_chat *made = NULL;
    int64_t role, content;
    fc_status status;
    if (!find_chat(file, name, &role, &content))
        return fc_fail(err, FC_MISMATCH,
                       "%s: column '%s' is not a list of role and content", file->path,
                       name);
    FC_TRY_GOTO(fc_alloc(&made, 1, sizeof *made, "a Parquet column", err));
    made->file = file;
    FC_TRY_GOTO(fc_parquet_values_open(&made->role, file, role, err));
    FC_TRY_GOTO(fc_parquet_values_open(&made->content, file, content, err));
    *chat = made;
    made = NULL;
done:
    fc_parquet_chat_close(made);
    return status;
}

fc_status fc_parquet_chat_next(fc_parquet_chat *chat, fc_parquet_turn *turn, bool *is_end,
                               fc_err *err)
{
    fc_parquet_value role, content;
    bool is_content_end = false;
    FC_TRY(fc_parquet_values_next(chat->role, &role, is_end, err));
    FC_TRY(fc_parquet_values_next(chat->content, &content, &is_content_end, err));
    if (*is_end != is_content_end || role.is_first != content.is_first)
        return fc_fail(err, FC_FORMAT,
                       "%s: row %" PRId64 ": the columns '%s' and '%s' have not the same "
                       "number of turns",
                       chat->file->path, chat->role->n_rows, chat->role->pages.leaf->name,
                       chat->content->pages.leaf->name);
    *turn = (fc_parquet_turn){.role = role.bytes,
                              .content = content.bytes,
                              .n_role = role.n,
                              .n_content = content.n,
                              .is_first = role.is_first};
    return FC_OK;
}

double fc_parquet_chat_fraction(const fc_parquet_chat *chat)
{
    return fc_parquet_values_fraction(chat->role);
}

void fc_parquet_chat_close(fc_parquet_chat *chat)
{
    if (!chat) return;
    fc_parquet_values_close(chat->role);
    fc_parquet_values_close(chat->content);
    fc_free(chat);
}
