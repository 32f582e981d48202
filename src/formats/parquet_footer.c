/* parquet_footer.c - FileMetaData of a Parquet file: the leaves of its schema and its row groups.
 *
 *   FileMetaData  2 schema list<SchemaElement>   3 num_rows   4 row_groups list<RowGroup>
 *   SchemaElement 1 type   3 repetition   4 name   5 num_children   6 converted_type   10 logical
 *   RowGroup      1 columns list<ColumnChunk>   3 num_rows
 *   ColumnChunk   1 file_path   3 meta_data   8 crypto
 *   ColumnMetaData 1 type  4 codec  5 num_values  7 compressed size  9 data page  11 dictionary page
 *
 * The schema is a tree written depth first; leaf i is chunk i of every row group. Only the place of
 * a row group is kept: its chunks are read from the footer again when their turn comes, so memory
 * does not grow with columns times row groups. (parquet-format, parquet.thrift)
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/little_endian.h"
#include "formats/parquet_internal.h"
#include "formats/thrift.h"

enum { MAX_DEPTH = 32, MAX_ELEMENTS = 65536, MAX_NAME = 1024, MAX_FOOTER = 64 << 20 };
enum { MAX_GROUPS = 1 << 20 };
enum { REQUIRED, OPTIONAL, REPEATED };
enum { CONVERTED_UTF8 = 0, LOGICAL_STRING = 1 };
enum { MAGIC_BYTES = 4, TAIL_BYTES = 8 };

static fc_status damaged(const fc_parquet *file, const fc_thrift *t, const char *fault,
                         fc_err *err)
{
    return fc_fail(err, FC_FORMAT, "%s: damaged Parquet footer at byte %" PRId64 ": %s",
                   file->path, (int64_t)(t->at - file->map.data),
                   t->fault ? t->fault : fault);
}

/* --- schema ------------------------------------------------------------------------------- */

typedef struct element {
    int64_t type; /* -1: a group */
    int64_t repetition, n_children;
    const char *name;
    int64_t n_name;
    bool is_text;
} element;

static bool is_string_type(fc_thrift *t, fc_thrift_field field)
{
    fc_thrift_field kind = {0};
    bool is_string = false;
    if (!fc_thrift_is_struct(t, field)) return false;
    while (fc_thrift_next(t, &kind)) {
        is_string |= kind.id == LOGICAL_STRING;
        fc_thrift_skip(t, kind);
    }
    return is_string;
}

static element read_element(fc_thrift *t)
{
    element e = {.type = -1, .name = ""};
    fc_thrift_field f = {0};
    while (fc_thrift_next(t, &f)) switch (f.id)
        {
        case 1: e.type = fc_thrift_i64(t, f); break;
        case 3: e.repetition = fc_thrift_i64(t, f); break;
        case 4: e.name = fc_thrift_text(t, f, &e.n_name); break;
        case 5: e.n_children = fc_thrift_i64(t, f); break;
        case 6: e.is_text |= fc_thrift_i64(t, f) == CONVERTED_UTF8; break;
        case 10: e.is_text |= is_string_type(t, f); break;
        default: fc_thrift_skip(t, f);
        }
    return e;
}

typedef struct node { /* a group on the way from the root */
    int64_t n_left;   /* children to come */
    int max_def, max_rep;
    size_t n_name; /* of the path that names it */
} node;

typedef struct walk {
    node stack[MAX_DEPTH];
    int depth;
    char name[MAX_NAME];
} walk;

static fc_status add_leaf(fc_parquet *file, const element *e, const node *at,
                          const char *name, fc_err *err)
{
    char *copy;
    FC_TRY(fc_arena_strdup(&file->arena, &copy, name, (int64_t)at->n_name, err));
    FC_TRY(fc_grow(&file->leaf, &file->leaf_capacity, file->n_leaves + 1,
                   sizeof *file->leaf, "columns", err));
    file->leaf[file->n_leaves++] = (fc_pq_leaf){.name = copy,
                                                .type = (int)e->type,
                                                .max_def = at->max_def,
                                                .max_rep = at->max_rep,
                                                .is_text = e->is_text};
    return FC_OK;
}

/* The path of an element below `parent`; false when it is too long. */
static bool extend_name(walk *w, const node *parent, const element *e, size_t *n_name)
{
    size_t n = parent->n_name;
    if (n + (size_t)e->n_name + 2 > MAX_NAME) return false;
    if (n > 0) w->name[n++] = '.';
    memcpy(w->name + n, e->name, (size_t)e->n_name);
    *n_name = n + (size_t)e->n_name;
    return true;
}

static fc_status add_element(fc_parquet *file, walk *w, fc_thrift *t, fc_err *err)
{
    const element e = read_element(t);
    if (t->fault) return damaged(file, t, NULL, err);
    while (w->depth > 0 && w->stack[w->depth - 1].n_left == 0) w->depth--;
    if (w->depth == 0)
        return damaged(file, t, "the schema has elements outside its tree", err);
    node *parent = &w->stack[w->depth - 1];
    parent->n_left--;
    if (e.repetition < REQUIRED || e.repetition > REPEATED)
        return damaged(file, t, "the repetition of a column is unknown", err);
    if (e.type < -1 || e.type >= FC_PQ_N_TYPES || e.n_children < 0)
        return damaged(file, t, "the type of a column is unknown", err);
    node at = {.n_left = e.n_children,
               .max_def = parent->max_def + (e.repetition != REQUIRED),
               .max_rep = parent->max_rep + (e.repetition == REPEATED)};
    if (!extend_name(w, parent, &e, &at.n_name))
        return damaged(file, t, "the name of a column is longer than 1023 bytes", err);
    if (e.type >= 0) return add_leaf(file, &e, &at, w->name, err);
    if (w->depth == MAX_DEPTH)
        return damaged(file, t, "the schema is nested more than 32 deep", err);
    w->stack[w->depth++] = at;
    return FC_OK;
}

static fc_status read_schema(fc_parquet *file, fc_thrift *t, fc_thrift_field field,
                             fc_err *err)
{
    walk w;
    w.depth = 0;
    const int64_t n = fc_thrift_list(t, field, FC_THRIFT_STRUCT);
    if (t->fault || n < 1 || n > MAX_ELEMENTS)
        return damaged(file, t, "the schema has no root, or more than 65536 elements",
                       err);
    if (file->n_leaves > 0) return damaged(file, t, "there are two schemas", err);
    const element root = read_element(t);
    if (root.n_children < 0) return damaged(file, t, "the schema has no root", err);
    w.stack[w.depth++] = (node){.n_left = root.n_children};
    for (int64_t i = 1; i < n; i++) FC_TRY(add_element(file, &w, t, err));
    while (w.depth > 0 && w.stack[w.depth - 1].n_left == 0) w.depth--;
    if (w.depth > 0) return damaged(file, t, "the schema's tree is not complete", err);
    return FC_OK;
}

/* --- row groups ---------------------------------------------------------------------------- */

typedef struct chunk_meta {
    int64_t type, codec, n_values, n_bytes, data_page, dictionary_page;
    bool is_there, is_elsewhere, is_encrypted;
} chunk_meta;

static void read_column_meta(fc_thrift *t, fc_thrift_field field, chunk_meta *m)
{
    fc_thrift_field f = {0};
    if (!fc_thrift_is_struct(t, field)) return;
    m->is_there = true;
    while (fc_thrift_next(t, &f)) switch (f.id)
        {
        case 1: m->type = fc_thrift_i64(t, f); break;
        case 4: m->codec = fc_thrift_i64(t, f); break;
        case 5: m->n_values = fc_thrift_i64(t, f); break;
        case 7: m->n_bytes = fc_thrift_i64(t, f); break;
        case 9: m->data_page = fc_thrift_i64(t, f); break;
        case 11: m->dictionary_page = fc_thrift_i64(t, f); break;
        default: fc_thrift_skip(t, f);
        }
}

static chunk_meta read_chunk_meta(fc_thrift *t)
{
    chunk_meta m = {.type = -1};
    fc_thrift_field f = {0};
    while (fc_thrift_next(t, &f)) {
        if (f.id == 3) {
            read_column_meta(t, f, &m);
            continue;
        }
        m.is_elsewhere |= f.id == 1;
        m.is_encrypted |= f.id == 8;
        fc_thrift_skip(t, f);
    }
    return m;
}

static fc_status read_chunk(const fc_parquet *file, fc_thrift *t, const fc_pq_leaf *leaf,
                            fc_pq_chunk *chunk, fc_err *err)
{
    const chunk_meta m = read_chunk_meta(t);
    if (t->fault) return damaged(file, t, NULL, err);
    if (m.is_encrypted)
        return fc_fail(err, FC_FORMAT, "%s: column '%s' is encrypted", file->path,
                       leaf->name);
    if (!m.is_there || m.is_elsewhere)
        return damaged(file, t, "a column lies in another file", err);
    if (m.type != leaf->type)
        return damaged(file, t, "the types of a column and its schema differ", err);
    /* A column without rows may have a dictionary and no data. */
    const bool begins_with_dictionary =
        m.dictionary_page > 0 &&
        (m.dictionary_page < m.data_page || m.data_page < MAGIC_BYTES);
    const int64_t begin = begins_with_dictionary ? m.dictionary_page : m.data_page;
    const int64_t limit = (int64_t)file->footer;
    const bool is_outside =
        begin < MAGIC_BYTES || begin > limit || m.n_bytes > limit - begin;
    if (m.n_bytes < 0 || (m.n_bytes > 0 && is_outside)) /* without bytes: anywhere */
        return damaged(file, t, "a column does not lie between the ends of the file",
                       err);
    if (m.n_values < 0) return damaged(file, t, "a column has a negative size", err);
    *chunk = (fc_pq_chunk){.codec = m.codec,
                           .n_values = m.n_values,
                           .begin = m.n_bytes > 0 ? (size_t)begin : 0,
                           .end = m.n_bytes > 0 ? (size_t)(begin + m.n_bytes) : 0};
    return FC_OK;
}

/* Reads the row group at t. Keeps the chunk of leaf `wanted` (-1: none). */
static fc_status read_group(const fc_parquet *file, fc_thrift *t, int64_t wanted,
                            fc_pq_chunk *kept, int64_t *n_rows, fc_err *err)
{
    fc_thrift_field f = {0};
    int64_t n_columns = 0;
    *n_rows = -1;
    while (fc_thrift_next(t, &f)) {
        if (f.id == 3) {
            *n_rows = fc_thrift_i64(t, f);
            continue;
        }
        if (f.id != 1) {
            fc_thrift_skip(t, f);
            continue;
        }
        n_columns = fc_thrift_list(t, f, FC_THRIFT_STRUCT);
        if (n_columns != file->n_leaves) break;
        for (int64_t i = 0; i < n_columns; i++) {
            fc_pq_chunk chunk;
            FC_TRY(read_chunk(file, t, &file->leaf[i], &chunk, err));
            if (i == wanted) *kept = chunk;
        }
    }
    if (t->fault) return damaged(file, t, NULL, err);
    if (n_columns != file->n_leaves)
        return damaged(file, t, "a row group has not as many columns as the schema", err);
    if (*n_rows < 0) return damaged(file, t, "a row group has no number of rows", err);
    return FC_OK;
}

static fc_status read_groups(fc_parquet *file, fc_thrift *t, fc_thrift_field field,
                             fc_err *err)
{
    const int64_t n = fc_thrift_list(t, field, FC_THRIFT_STRUCT);
    int64_t n_rows = 0;
    if (file->n_groups > 0) return damaged(file, t, "it lists row groups twice", err);
    if (n > MAX_GROUPS)
        return damaged(file, t, "there are more than 1048576 row groups", err);
    for (int64_t i = 0; i < n; i++) {
        fc_pq_group group = {.at = (size_t)(t->at - file->map.data)};
        FC_TRY(read_group(file, t, -1, NULL, &group.n_rows, err));
        if (group.n_rows > INT64_MAX - n_rows)
            return damaged(file, t, "the row groups have too many rows", err);
        n_rows += group.n_rows;
        FC_TRY(fc_grow(&file->group, &file->group_capacity, i + 1, sizeof *file->group,
                       "row groups", err));
        file->group[i] = group;
        file->n_groups = i + 1;
    }
    return FC_OK;
}

fc_status fc_pq_chunk_find(const fc_parquet *file, int64_t group, int64_t leaf,
                           fc_pq_chunk *chunk, fc_err *err)
{
    const size_t at = file->group[group].at;
    fc_thrift t = fc_thrift_over(file->map.data + at, file->footer_end - at);
    int64_t n_rows;
    return read_group(file, &t, leaf, chunk, &n_rows, err);
}

/* --- footer ------------------------------------------------------------------------------- */

static fc_status find_footer(fc_parquet *file, fc_err *err)
{
    const uint8_t *data = file->map.data;
    const size_t n = file->map.n_bytes;
    if (n < MAGIC_BYTES + TAIL_BYTES || memcmp(data, "PAR1", MAGIC_BYTES) != 0)
        return fc_fail(err, FC_FORMAT,
                       "%s: not a Parquet file, expected it to begin "
                       "with PAR1",
                       file->path);
    const uint8_t *tail = data + n - TAIL_BYTES;
    if (memcmp(tail + 4, "PARE", MAGIC_BYTES) == 0)
        return fc_fail(err, FC_FORMAT, "%s: the Parquet file is encrypted", file->path);
    if (memcmp(tail + 4, "PAR1", MAGIC_BYTES) != 0)
        return fc_fail(err, FC_FORMAT,
                       "%s: the Parquet file is cut off, expected it to end with PAR1",
                       file->path);
    const size_t n_footer = fc_le32(tail);
    if (n_footer > n - MAGIC_BYTES - TAIL_BYTES || n_footer > MAX_FOOTER)
        return fc_fail(err, FC_FORMAT,
                       "%s: the Parquet footer has %" PRId64
                       " bytes, expected at most %" PRId64,
                       file->path, (int64_t)n_footer,
                       fc_min((int64_t)n - MAGIC_BYTES - TAIL_BYTES, MAX_FOOTER));
    file->footer_end = n - TAIL_BYTES;
    file->footer = file->footer_end - n_footer;
    return FC_OK;
}

fc_status fc_pq_footer_read(fc_parquet *file, fc_err *err)
{
    FC_TRY(find_footer(file, err));
    fc_thrift t =
        fc_thrift_over(file->map.data + file->footer, file->footer_end - file->footer);
    fc_thrift_field f = {0};
    bool has_schema = false;
    int64_t n_rows = 0;
    file->n_rows = -1;
    while (fc_thrift_next(&t, &f)) {
        if (f.id == 2) {
            FC_TRY(read_schema(file, &t, f, err));
            has_schema = true;
        } else if (f.id == 3) {
            file->n_rows = fc_thrift_i64(&t, f);
        } else if (f.id == 4) {
            FC_TRY(read_groups(file, &t, f, err));
        } else {
            fc_thrift_skip(&t, f);
        }
    }
    if (t.fault) return damaged(file, &t, NULL, err);
    if (!has_schema) return damaged(file, &t, "it has no schema", err);
    for (int64_t i = 0; i < file->n_groups; i++) n_rows += file->group[i].n_rows;
    if (n_rows != file->n_rows)
        return damaged(file, &t, "the row groups have not as many rows as the file", err);
    return FC_OK;
}
