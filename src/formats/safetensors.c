/* safetensors.c - reads a safetensors file without copying it.
 *
 *   file:  u64 N | header, N bytes of JSON | data
 *          0       8                         8 + N            size
 *
 * The file is mapped; a tensor is a pointer into the map, its name a key of the parsed header,
 * which is kept. Everything in the header is hostile until `place` has compared it with the
 * bytes that are there: sizes by division before each product, offsets by sorting, after which
 * "each tensor begins where the one before it ends" excludes holes, overlaps and sharing at once.
 *
 * Format: https://github.com/huggingface/safetensors, "Format".
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "formats/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/strbuf.h"
#include "formats/json.h"

enum { HEADER_MAX = 100 * 1000 * 1000, LENGTH_BYTES = 8 };

static const char metadata_key[] = "__metadata__";

struct fc_safetensors {
    fc_map map;
    char *path;
    json_t *header;
    const json_t *metadata;    /* in header; NULL when there is none */
    fc_tensor *tensors;        /* [n] in file order */
    const fc_tensor **by_name; /* [n] sorted */
    int64_t n;
};

static fc_status read_length(const fc_safetensors *st, size_t *n_header, fc_err *err)
{
    const size_t n_file = st->map.n_bytes;
    if (n_file < LENGTH_BYTES)
        return fc_fail(err, FC_FORMAT,
                       "%s: has %zu bytes, expected at least the 8 of a header length",
                       st->path, n_file);
    uint64_t n = 0;
    for (int i = LENGTH_BYTES - 1; i >= 0; i--) n = n << 8 | st->map.data[i];
    if (n > HEADER_MAX)
        return fc_fail(err, FC_FORMAT,
                       "%s: header length is %" PRIu64 ", expected at most %d", st->path,
                       n, HEADER_MAX);
    if (n > n_file - LENGTH_BYTES)
        return fc_fail(err, FC_FORMAT,
                       "%s: header length is %" PRIu64 ", but only %zu bytes follow",
                       st->path, n, n_file - LENGTH_BYTES);
    *n_header = (size_t)n;
    return FC_OK;
}

static fc_status parse_header(fc_safetensors *st, size_t n_header, fc_err *err)
{
    fc_strbuf name = {0};
    fc_status status;
    const char *const text = (const char *)st->map.data + LENGTH_BYTES;
    FC_TRY_GOTO(fc_strbuf_addf(&name, err, "%s: header", st->path));
    FC_TRY_GOTO(fc_json_parse(&st->header, text, n_header, name.data, err));
    if (!json_is_object(st->header))
        status = fc_fail(err, FC_FORMAT, "%s is %s, expected an object", name.data,
                         fc_json_type_word(st->header));
done:
    fc_strbuf_free(&name);
    return status;
}

static fc_status check_metadata(fc_safetensors *st, fc_err *err)
{
    json_t *const metadata = json_object_get(st->header, metadata_key);
    if (metadata == NULL || json_is_null(metadata)) return FC_OK;
    if (!json_is_object(metadata))
        return fc_fail(err, FC_FORMAT, "%s: %s is %s, expected an object of strings",
                       st->path, metadata_key, fc_json_type_word(metadata));
    const char *key;
    const json_t *value;
    json_object_foreach(metadata, key, value)
    {
        if (!json_is_string(value))
            return fc_fail(err, FC_FORMAT, "%s: %s '%s' is %s, expected a string",
                           st->path, metadata_key, key, fc_json_type_word(value));
    }
    st->metadata = metadata;
    return FC_OK;
}

/* Takes the shape and its product. */
static fc_status read_shape(const fc_safetensors *st, const json_t *shape,
                            fc_tensor *tensor, fc_err *err)
{
    if (!json_is_array(shape))
        return fc_fail(err, FC_FORMAT, "%s: shape of '%s' is %s, expected a list",
                       st->path, tensor->name, fc_json_type_word(shape));
    const size_t rank = json_array_size(shape);
    if (rank > FC_MAX_RANK)
        return fc_fail(err, FC_FORMAT, "%s: '%s' has %zu dimensions, expected at most %d",
                       st->path, tensor->name, rank, FC_MAX_RANK);
    tensor->rank = (int)rank;
    tensor->n = 1;
    for (size_t i = 0; i < rank; i++) {
        const json_t *const dim = json_array_get(shape, i);
        const int64_t n = json_is_integer(dim) ? json_integer_value(dim) : -1;
        if (n < 0)
            return fc_fail(err, FC_FORMAT,
                           "%s: dimension %zu of '%s' is not an integer of 0 or more",
                           st->path, i, tensor->name);
        if (n > 0 && tensor->n > INT64_MAX / n)
            return fc_fail(err, FC_FORMAT,
                           "%s: the shape of '%s' multiplies to more than 63 bits",
                           st->path, tensor->name);
        tensor->shape[i] = n;
        tensor->n *= n;
    }
    return FC_OK;
}

/* Turns the two offsets into data and n_bytes, and compares them with the shape. */
static fc_status read_offsets(const fc_safetensors *st, const json_t *offsets,
                              size_t data_begin, fc_tensor *tensor, fc_err *err)
{
    const json_t *const first = json_array_get(offsets, 0);
    const json_t *const second = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) ||
        !json_is_integer(second))
        return fc_fail(err, FC_FORMAT,
                       "%s: data_offsets of '%s' is not a pair of integers", st->path,
                       tensor->name);
    const int64_t begin = json_integer_value(first), end = json_integer_value(second);
    const int64_t n_data = (int64_t)(st->map.n_bytes - data_begin);
    if (begin < 0 || end < begin || end > n_data)
        return fc_fail(err, FC_FORMAT,
                       "%s: data_offsets of '%s' are %" PRId64 " to %" PRId64
                       ", expected a range within the %" PRId64 " bytes of data",
                       st->path, tensor->name, begin, end, n_data);
    const int64_t size = (int64_t)fc_dtype_size(tensor->dtype);
    if (tensor->n > INT64_MAX / size || tensor->n * size != end - begin)
        return fc_fail(err, FC_FORMAT,
                       "%s: data_offsets of '%s' hold %" PRId64
                       " bytes, expected %" PRId64 " elements of %s",
                       st->path, tensor->name, end - begin, tensor->n,
                       fc_dtype_name(tensor->dtype));
    tensor->data = st->map.data + data_begin + begin;
    tensor->n_bytes = (size_t)(end - begin);
    return FC_OK;
}

static fc_status read_entry(const fc_safetensors *st, const json_t *entry,
                            size_t data_begin, fc_tensor *tensor, fc_err *err)
{
    if (!json_is_object(entry))
        return fc_fail(err, FC_FORMAT, "%s: the entry of '%s' is %s, expected an object",
                       st->path, tensor->name, fc_json_type_word(entry));
    const json_t *const dtype = json_object_get(entry, "dtype");
    if (!json_is_string(dtype))
        return fc_fail(err, FC_FORMAT, "%s: dtype of '%s' is %s, expected a string",
                       st->path, tensor->name, fc_json_type_word(dtype));
    if (fc_dtype_parse(&tensor->dtype, json_string_value(dtype), err) != FC_OK)
        return fc_fail_in(err, "%s: '%s'", st->path, tensor->name);
    FC_TRY(read_shape(st, json_object_get(entry, "shape"), tensor, err));
    return read_offsets(st, json_object_get(entry, "data_offsets"), data_begin, tensor,
                        err);
}

/* File order. Tensors without bytes may share an offset: they stand before the one that has
 * bytes there, and among themselves by name. */
static int compare_place(const void *left, const void *right)
{
    const fc_tensor *const a = left, *const b = right;
    const uintptr_t at_a = (uintptr_t)a->data, at_b = (uintptr_t)b->data;
    if (at_a != at_b) return at_a < at_b ? -1 : 1;
    if (a->n_bytes != b->n_bytes) return a->n_bytes < b->n_bytes ? -1 : 1;
    return strcmp(a->name, b->name);
}

static int compare_name(const void *left, const void *right)
{
    const fc_tensor *const *const a = left, *const *const b = right;
    return strcmp((*a)->name, (*b)->name);
}

/* Sorts both ways and checks that the tensors tile the data: no hole, no overlap, no rest. */
static fc_status place(fc_safetensors *st, size_t data_begin, fc_err *err)
{
    if (st->n > 0) qsort(st->tensors, (size_t)st->n, sizeof *st->tensors, compare_place);
    size_t at = data_begin;
    for (int64_t i = 0; i < st->n; i++) {
        const fc_tensor *const tensor = &st->tensors[i];
        const size_t begin = (size_t)((const uint8_t *)tensor->data - st->map.data);
        if (begin != at)
            return fc_fail(
                err, FC_FORMAT,
                "%s: '%s' begins at byte %zu of the data, expected %zu, the end of %s",
                st->path, tensor->name, begin - data_begin, at - data_begin,
                i == 0 ? "the header" : st->tensors[i - 1].name);
        at += tensor->n_bytes;
        st->by_name[i] = tensor;
    }
    if (at != st->map.n_bytes)
        return fc_fail(err, FC_FORMAT,
                       "%s: %zu bytes follow the last tensor, expected none", st->path,
                       st->map.n_bytes - at);
    if (st->n > 0) qsort(st->by_name, (size_t)st->n, sizeof *st->by_name, compare_name);
    return FC_OK;
}

static fc_status read_tensors(fc_safetensors *st, size_t data_begin, fc_err *err)
{
    const int64_t n_keys = (int64_t)json_object_size(st->header);
    FC_TRY(fc_alloc(&st->tensors, n_keys, sizeof *st->tensors, "tensor entries", err));
    FC_TRY(fc_alloc(&st->by_name, n_keys, sizeof *st->by_name, "tensor names", err));
    const char *name;
    const json_t *entry;
    json_object_foreach(st->header, name, entry)
    {
        if (strcmp(name, metadata_key) == 0) continue;
        fc_tensor *const tensor = &st->tensors[st->n++];
        tensor->name = name;
        FC_TRY(read_entry(st, entry, data_begin, tensor, err));
    }
    return place(st, data_begin, err);
}

fc_status fc_safetensors_open(fc_safetensors **st, const char *path, fc_err *err)
{
    fc_safetensors *opened = NULL;
    size_t n_header = 0;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&opened, 1, sizeof *opened, "a safetensors file", err));
    FC_TRY_GOTO(fc_strdup(&opened->path, path, err));
    FC_TRY_GOTO(fc_map_open(&opened->map, path, err));
    FC_TRY_GOTO(read_length(opened, &n_header, err));
    FC_TRY_GOTO(parse_header(opened, n_header, err));
    FC_TRY_GOTO(check_metadata(opened, err));
    FC_TRY_GOTO(read_tensors(opened, LENGTH_BYTES + n_header, err));
    *st = opened;
    opened = NULL;
done:
    fc_safetensors_close(opened);
    return status;
}

void fc_safetensors_close(fc_safetensors *st)
{
    if (st == NULL) return;
    json_decref(st->header);
    fc_map_close(&st->map);
    fc_free(st->by_name);
    fc_free(st->tensors);
    fc_free(st->path);
    fc_free(st);
}

int64_t fc_safetensors_count(const fc_safetensors *st)
{
    return st->n;
}

const fc_tensor *fc_safetensors_at(const fc_safetensors *st, int64_t i)
{
    FC_ASSERT(i >= 0 && i < st->n);
    return &st->tensors[i];
}

const fc_tensor *fc_safetensors_find(const fc_safetensors *st, const char *name)
{
    const fc_tensor key = {.name = name}, *const key_pointer = &key;
    if (st->n == 0) return NULL;
    const fc_tensor *const *const found = bsearch(
        &key_pointer, st->by_name, (size_t)st->n, sizeof *st->by_name, compare_name);
    return found == NULL ? NULL : *found;
}

const char *fc_safetensors_metadata(const fc_safetensors *st, const char *key)
{
    return json_string_value(json_object_get(st->metadata, key));
}

const char *fc_safetensors_path(const fc_safetensors *st)
{
    return st->path;
}

/* "F32 [3, any]" into text; what does not fit is cut. */
static void describe(char *text, size_t n_text, fc_dtype dtype, int rank,
                     const int64_t *shape)
{
    const char *const type = dtype == FC_N_DTYPES ? "any type" : fc_dtype_name(dtype);
    int at = snprintf(text, n_text, "%s [", type);
    for (int i = 0; i < rank && (size_t)at < n_text; i++) {
        const char *const comma = i > 0 ? ", " : "";
        if (shape[i] < 0)
            at += snprintf(text + at, n_text - (size_t)at, "%sany", comma);
        else
            at += snprintf(text + at, n_text - (size_t)at, "%s%" PRId64, comma, shape[i]);
    }
    if ((size_t)at < n_text)
        (void)snprintf(text + at, n_text - (size_t)at, rank < 0 ? "any shape]" : "]");
}

static bool has_shape(const fc_tensor *tensor, int rank, const int64_t *shape)
{
    if (rank < 0) return true;
    if (tensor->rank != rank) return false;
    for (int i = 0; i < rank; i++)
        if (shape[i] >= 0 && shape[i] != tensor->shape[i]) return false;
    return true;
}

fc_status fc_safetensors_need(const fc_safetensors *st, const char *name, fc_dtype dtype,
                              int rank, const int64_t *shape, const fc_tensor **tensor,
                              fc_err *err)
{
    enum { TEXT_MAX = 256 };
    char found[TEXT_MAX], expected[TEXT_MAX];
    describe(expected, sizeof expected, dtype, rank, shape);
    const fc_tensor *const there = fc_safetensors_find(st, name);
    if (there == NULL)
        return fc_fail(err, FC_MISMATCH, "%s: there is no tensor '%s', expected %s",
                       st->path, name, expected);
    if ((dtype != FC_N_DTYPES && there->dtype != dtype) || !has_shape(there, rank, shape))
    {
        describe(found, sizeof found, there->dtype, there->rank, there->shape);
        return fc_fail(err, FC_MISMATCH, "%s: '%s' is %s, expected %s", st->path, name,
                       found, expected);
    }
    *tensor = there;
    return FC_OK;
}

fc_status fc_tensor_to_f32(const fc_tensor *tensor, float **out, fc_err *err)
{
    const fc_dtype dtype = tensor->dtype;
    if (dtype != FC_F64 && dtype != FC_F32 && dtype != FC_BF16 && dtype != FC_F16)
        return fc_fail(err, FC_MISMATCH,
                       "tensor '%s' is %s, expected F64, F32, BF16 or F16", tensor->name,
                       fc_dtype_name(dtype));
    float *values = NULL;
    FC_TRY(fc_alloc(&values, tensor->n, sizeof *values, tensor->name, err));
    fc_to_f32(values, tensor->data, dtype, tensor->n);
    *out = values;
    return FC_OK;
}
