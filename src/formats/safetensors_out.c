/* safetensors_out.c - writes a safetensors file as a stream.
 *
 *   u64 N | compact JSON, spaces until (8 + N) % 64 == 0 | tensors by dtype, then name
 *
 * The order puts wide types first, so every tensor is aligned to its element size. The header
 * needs only the declared shapes: it is written when the first data comes, and the data follow as
 * they are given. A tensor whose turn has not come is kept in memory until those before it are
 * complete; who gives tensors in file order, as fc_safetensors_save does, keeps nothing.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/strbuf.h"
#include "formats/json.h"
#include "formats/safetensors.h"

enum { LENGTH_BYTES = 8, ALIGNMENT = 64 };

typedef struct entry {
    char *name;
    fc_dtype dtype;
    int rank;
    int64_t shape[FC_MAX_RANK];
    size_t n_bytes;
    size_t n_given;   /* bytes that the caller gave so far */
    uint8_t *early;   /* [n_bytes] data given before its turn; NULL when there is none */
    int64_t declared; /* position among the declarations */
} entry;

struct fc_safetensors_out {
    fc_out *file;
    char *path;
    json_t *metadata;
    entry
        *entries; /* in order of declaration, in file order once the header is written */
    int64_t n, capacity;
    int64_t turn; /* the first entry that is not complete in the file */
    bool has_header;
};

fc_status fc_safetensors_create(fc_safetensors_out **out, const char *path, fc_err *err)
{
    fc_safetensors_out *made = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&made, 1, sizeof *made, "a safetensors file", err));
    FC_TRY_GOTO(fc_strdup(&made->path, path, err));
    made->metadata = json_pack("{s:s}", "format", "pt");
    if (made->metadata == NULL)
        FC_TRY_GOTO(fc_fail(err, FC_NOMEM, "%s: no memory for the metadata", path));
    FC_TRY_GOTO(fc_out_open(&made->file, path, err));
    *out = made;
    made = NULL;
done:
    fc_safetensors_discard(made);
    return status;
}

void fc_safetensors_discard(fc_safetensors_out *out)
{
    if (out == NULL) return;
    fc_out_close(out->file);
    json_decref(out->metadata);
    for (int64_t i = 0; i < out->n; i++) {
        fc_free(out->entries[i].early);
        fc_free(out->entries[i].name);
    }
    fc_free(out->entries);
    fc_free(out->path);
    fc_free(out);
}

static bool is_utf8(const char *text)
{
    json_t *const value = json_string(text); /* checks it; NULL without memory, too */
    json_decref(value);
    return value != NULL;
}

fc_status fc_safetensors_meta(fc_safetensors_out *out, const char *key, const char *value,
                              fc_err *err)
{
    if (out->has_header)
        return fc_fail(err, FC_USAGE, "%s: metadata '%s' comes after the first data",
                       out->path, key);
    if (!is_utf8(key) || !is_utf8(value))
        return fc_fail(err, FC_USAGE, "%s: metadata '%.100s' is not UTF-8", out->path,
                       key);
    if (json_object_set_new(out->metadata, key, json_string(value)) != 0)
        return fc_fail(err, FC_NOMEM, "%s: no memory for metadata '%s'", out->path, key);
    return FC_OK;
}

static entry *find(const fc_safetensors_out *out, const char *name)
{
    for (int64_t i = 0; i < out->n; i++)
        if (strcmp(out->entries[i].name, name) == 0) return &out->entries[i];
    return NULL;
}

/* The bytes of a shape, or a failure that names the tensor. */
static fc_status shape_bytes(const char *path, const char *name, fc_dtype dtype, int rank,
                             const int64_t *shape, size_t *n_bytes, fc_err *err)
{
    if (rank < 0 || rank > FC_MAX_RANK)
        return fc_fail(err, FC_USAGE, "%s: '%s' has %d dimensions, expected 0 to %d",
                       path, name, rank, FC_MAX_RANK);
    int64_t n = 1;
    for (int i = 0; i < rank; i++) {
        if (shape[i] < 0)
            return fc_fail(err, FC_USAGE,
                           "%s: dimension %d of '%s' is %" PRId64 ", expected 0 or more",
                           path, i, name, shape[i]);
        if (shape[i] > 0 && n > INT64_MAX / shape[i])
            return fc_fail(err, FC_USAGE,
                           "%s: the shape of '%s' multiplies to more than 63 bits", path,
                           name);
        n *= shape[i];
    }
    if (fc_bytes(n, fc_dtype_size(dtype), n_bytes, err) != FC_OK)
        return fc_fail_in(err, "%s: '%s'", path, name);
    return FC_OK;
}

fc_status fc_safetensors_declare(fc_safetensors_out *out, const char *name,
                                 fc_dtype dtype, int rank, const int64_t *shape,
                                 fc_err *err)
{
    entry new = {.dtype = dtype, .rank = rank, .declared = out->n};
    if (out->has_header)
        return fc_fail(err, FC_USAGE, "%s: '%s' is declared after the first data",
                       out->path, name);
    if (find(out, name) != NULL || strcmp(name, "__metadata__") == 0)
        return fc_fail(err, FC_USAGE, "%s: the name '%s' is taken", out->path, name);
    if (!is_utf8(name))
        return fc_fail(err, FC_USAGE, "%s: tensor name '%.100s' is not UTF-8", out->path,
                       name);
    FC_TRY(shape_bytes(out->path, name, dtype, rank, shape, &new.n_bytes, err));
    if (rank > 0) memcpy(new.shape, shape, (size_t)rank * sizeof *shape);
    FC_TRY(fc_grow(&out->entries, &out->capacity, out->n + 1, sizeof new,
                   "tensor entries", err));
    FC_TRY(fc_strdup(&new.name, name, err));
    out->entries[out->n++] = new;
    return FC_OK;
}

static int compare(const void *left, const void *right)
{
    const entry *const a = left, *const b = right;
    if (a->dtype != b->dtype) return a->dtype < b->dtype ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* {"dtype": .., "shape": .., "data_offsets": ..}, or NULL without memory. */
static json_t *entry_json(const entry *e, size_t begin)
{
    json_t *const shape = json_array();
    for (int i = 0; i < e->rank; i++) {
        if (json_array_append_new(shape, json_integer(e->shape[i])) != 0) {
            json_decref(shape);
            return NULL;
        }
    }
    const json_int_t first = (json_int_t)begin, end = first + (json_int_t)e->n_bytes;
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", fc_dtype_name(e->dtype), "shape",
                     shape, "data_offsets", first, end);
}

static fc_status build_header(const fc_safetensors_out *out, json_t *header, fc_err *err)
{
    size_t begin = 0;
    int failed = json_object_set(header, "__metadata__", out->metadata);
    for (int64_t i = 0; i < out->n && failed == 0; i++) {
        const entry *const e = &out->entries[i];
        failed = json_object_set_new(header, e->name, entry_json(e, begin));
        begin += e->n_bytes;
    }
    if (failed != 0)
        return fc_fail(err, FC_NOMEM, "%s: no memory for the header", out->path);
    return FC_OK;
}

/* Sorts the entries and writes length and header. Nothing can be declared afterwards. */
static fc_status write_header(fc_safetensors_out *out, fc_err *err)
{
    fc_strbuf text = {0};
    fc_status status;
    uint8_t length[LENGTH_BYTES];
    json_t *const header = json_object();
    if (out->n > 0) qsort(out->entries, (size_t)out->n, sizeof *out->entries, compare);
    FC_TRY_GOTO(build_header(out, header, err));
    FC_TRY_GOTO(fc_json_dump(header, JSON_COMPACT, &text, err));
    while ((text.n + LENGTH_BYTES) % ALIGNMENT != 0)
        FC_TRY_GOTO(fc_strbuf_add(&text, " ", 1, err));
    for (int i = 0; i < LENGTH_BYTES; i++) length[i] = (uint8_t)(text.n >> (8 * i));
    FC_TRY_GOTO(fc_out_write(out->file, length, sizeof length, err));
    FC_TRY_GOTO(fc_out_write(out->file, text.data, (size_t)text.n, err));
    out->has_header = true;
done:
    json_decref(header);
    fc_strbuf_free(&text);
    return status;
}

/* Moves the turn past complete entries and writes what was kept of those that follow. */
static fc_status advance(fc_safetensors_out *out, fc_err *err)
{
    while (out->turn < out->n &&
           out->entries[out->turn].n_given == out->entries[out->turn].n_bytes)
    {
        if (++out->turn == out->n) break;
        entry *const next = &out->entries[out->turn];
        if (next->early == NULL) continue;
        FC_TRY(fc_out_write(out->file, next->early, next->n_given, err));
        fc_free(next->early);
        next->early = NULL;
    }
    return FC_OK;
}

fc_status fc_safetensors_write(fc_safetensors_out *out, const char *name,
                               const void *data, size_t n_bytes, fc_err *err)
{
    if (!out->has_header) {
        FC_TRY(write_header(out, err));
        FC_TRY(advance(out, err));
    }
    entry *const e = find(out, name);
    if (e == NULL)
        return fc_fail(err, FC_USAGE, "%s: '%s' was not declared", out->path, name);
    if (n_bytes > e->n_bytes - e->n_given)
        return fc_fail(err, FC_USAGE, "%s: '%s' is given %zu bytes, expected %zu",
                       out->path, name, e->n_given + n_bytes, e->n_bytes);
    if (n_bytes == 0) return FC_OK;
    if (e == &out->entries[out->turn]) {
        FC_TRY(fc_out_write(out->file, data, n_bytes, err));
    } else {
        if (e->early == NULL)
            FC_TRY(fc_alloc(&e->early, (int64_t)e->n_bytes, 1, "a tensor before its turn",
                            err));
        memcpy(e->early + e->n_given, data, n_bytes);
    }
    e->n_given += n_bytes;
    return advance(out, err);
}

fc_status fc_safetensors_commit(fc_safetensors_out *out, fc_err *err)
{
    if (!out->has_header) {
        FC_TRY(write_header(out, err));
        FC_TRY(advance(out, err));
    }
    if (out->turn < out->n) {
        const entry *const e = &out->entries[out->turn];
        return fc_fail(err, FC_USAGE, "%s: '%s' has %zu bytes, expected %zu", out->path,
                       e->name, e->n_given, e->n_bytes);
    }
    return fc_out_commit(out->file, err);
}

fc_status fc_safetensors_save(const char *path, const fc_tensor *tensors, int64_t n,
                              fc_err *err)
{
    fc_safetensors_out *out = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_safetensors_create(&out, path, err));
    for (int64_t i = 0; i < n; i++)
        FC_TRY_GOTO(fc_safetensors_declare(out, tensors[i].name, tensors[i].dtype,
                                           tensors[i].rank, tensors[i].shape, err));
    FC_TRY_GOTO(write_header(out, err));
    for (int64_t i = 0; i < n; i++) {
        const entry *const e = &out->entries[i];
        FC_TRY_GOTO(fc_safetensors_write(out, e->name, tensors[e->declared].data,
                                         e->n_bytes, err));
    }
    FC_TRY_GOTO(fc_safetensors_commit(out, err));
done:
    fc_safetensors_discard(out);
    return status;
}
