/* arrays.c - one door to files of arrays, whatever their format.
 *
 * Opening reads headers only. A stored array of a zip lies in the map, a deflated one is unpacked when
 * it is loaded: by then the caller has seen its shape, and the member's length has been compared
 * with it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/arrays_internal.h"
#include "formats/npy.h"

enum { ARRAYS_MAX = 8192 };

void fc_array_set_strides(fc_array *array)
{
    int64_t stride = 1;
    for (int i = array->rank; i-- > 0;) {
        array->stride[i] = stride;
        stride *= array->shape[i]; /* the product fits, as the shape does */
    }
}

void fc_arrays_of_npy(fc_array *array, const fc_npy *npy)
{
    array->dtype = npy->dtype;
    array->is_swapped = npy->is_swapped;
    array->rank = npy->rank;
    array->n = npy->n;
    memcpy(array->shape, npy->shape, sizeof array->shape);
    fc_array_set_strides(array);
    if (!npy->is_fortran) return;
    int64_t stride = 1;
    for (int i = 0; i < npy->rank; i++) {
        array->stride[i] = stride;
        stride *= array->shape[i];
    }
}

fc_status fc_arrays_add(fc_arrays *arrays, const fc_array *array,
                        const fc_array_source *source, fc_err *err)
{
    fc_arrays *a = arrays;
    if (a->n == ARRAYS_MAX)
        return fc_fail(err, FC_FORMAT, "%s: holds more than %d arrays", a->path,
                       ARRAYS_MAX);
    if (fc_arrays_find(a, array->name) != NULL)
        return fc_fail(err, FC_FORMAT, "%s: two arrays are named '%s'", a->path,
                       array->name);
    FC_TRY(fc_grow(&a->array, &a->capacity, a->n + 1, sizeof *a->array, a->path, err));
    FC_TRY(
        fc_grow(&a->name, &a->names_capacity, a->n + 1, sizeof *a->name, a->path, err));
    FC_TRY(fc_grow(&a->source, &a->sources_capacity, a->n + 1, sizeof *a->source, a->path,
                   err));
    FC_TRY(fc_strdup(&a->name[a->n], array->name, err));
    a->array[a->n] = *array;
    a->array[a->n].name = a->name[a->n];
    a->source[a->n] = source != NULL ? *source : (fc_array_source){0};
    a->n++;
    return FC_OK;
}

/* --- formats that need no file of their own ------------------------------------------------- */

static fc_status read_safetensors(fc_arrays *a, fc_err *err)
{
    a->format = "safetensors";
    FC_TRY(fc_safetensors_open(&a->st, a->path, err));
    for (int64_t i = 0; i < fc_safetensors_count(a->st); i++) {
        const fc_tensor *t = fc_safetensors_at(a->st, i);
        fc_array array = {.name = t->name,
                          .dtype = t->dtype,
                          .rank = t->rank,
                          .n = t->n,
                          .data = t->data};
        memcpy(array.shape, t->shape, sizeof array.shape);
        fc_array_set_strides(&array);
        FC_TRY(fc_arrays_add(a, &array, NULL, err));
    }
    return FC_OK;
}

static fc_status read_npy(fc_arrays *a, fc_err *err)
{
    fc_npy npy;
    fc_array array = {.name = ""};
    a->format = "npy";
    FC_TRY(fc_npy_parse(&npy, a->map.data, a->map.n_bytes, a->path, err));
    const int64_t n_there = (int64_t)a->map.n_bytes - npy.at;
    if (n_there < npy.n_bytes)
        return fc_fail(err, FC_FORMAT,
                       "%s: holds %" PRId64 " bytes of data, expected %" PRId64, a->path,
                       n_there, npy.n_bytes);
    fc_arrays_of_npy(&array, &npy);
    array.data = a->map.data + npy.at;
    return fc_arrays_add(a, &array, NULL, err);
}

static fc_status read_any(fc_arrays *a, fc_err *err)
{
    FC_TRY(fc_map_open(&a->map, a->path, err));
    if (fc_npy_is(a->map.data, a->map.n_bytes)) return read_npy(a, err);
    const bool is_zip = fc_zip_is(a->map.data, a->map.n_bytes);
    fc_map_close(&a->map);
    if (!is_zip) return read_safetensors(a, err);
    FC_TRY(fc_zip_open(&a->zip, a->path, err));
    return fc_arrays_is_torch(a->zip) ? fc_arrays_read_torch(a, err)
                                      : fc_arrays_read_npz(a, err);
}

/* --- entry points --------------------------------------------------------------------------- */

fc_status fc_arrays_open(fc_arrays **arrays, const char *path, fc_err *err)
{
    fc_arrays *made = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&made, 1, sizeof *made, "a file of arrays", err));
    FC_TRY_GOTO(fc_strdup(&made->path, path, err));
    FC_TRY_GOTO(read_any(made, err));
    *arrays = made;
    made = NULL;
done:
    fc_arrays_close(made);
    return status;
}

void fc_arrays_close(fc_arrays *arrays)
{
    if (arrays == NULL) return;
    for (int64_t i = 0; i < arrays->n; i++) {
        fc_free(arrays->name[i]);
        fc_zip_bytes_free(&arrays->source[i].bytes);
    }
    fc_free(arrays->array);
    fc_free(arrays->name);
    fc_free(arrays->source);
    fc_safetensors_close(arrays->st);
    fc_zip_close(arrays->zip);
    fc_map_close(&arrays->map);
    fc_free(arrays->path);
    fc_free(arrays);
}

const char *fc_arrays_path(const fc_arrays *arrays)
{
    return arrays->path;
}

const char *fc_arrays_format(const fc_arrays *arrays)
{
    return arrays->format;
}

int64_t fc_arrays_count(const fc_arrays *arrays)
{
    return arrays->n;
}

const fc_array *fc_arrays_at(const fc_arrays *arrays, int64_t i)
{
    FC_ASSERT(i >= 0 && i < arrays->n);
    return &arrays->array[i];
}

const fc_array *fc_arrays_find(const fc_arrays *arrays, const char *name)
{
    for (int64_t i = 0; i < arrays->n; i++)
        if (strcmp(arrays->array[i].name, name) == 0) return &arrays->array[i];
    return NULL;
}

fc_status fc_arrays_load(fc_arrays *arrays, const fc_array *array, fc_err *err)
{
    const int64_t i = array - arrays->array;
    FC_ASSERT(i >= 0 && i < arrays->n);
    fc_array_source *const s = &arrays->source[i];
    if (array->data != NULL || s->member == NULL) return FC_OK;
    FC_TRY(fc_zip_load(arrays->zip, s->member, s->n_bytes, &s->bytes, err));
    arrays->array[i].data = s->bytes.data + s->at;
    return FC_OK;
}

/* "[24, 96]" or "[24, any]"; rank -1: "any shape". */
static void shape_text(char *text, size_t n_max, int rank, const int64_t *shape)
{
    size_t n = 0;
    (void)snprintf(text, n_max, "%s", rank < 0 ? "any shape" : "[");
    for (int i = 0; i < rank && n < n_max; i++) {
        n = strlen(text);
        if (shape[i] < 0)
            (void)snprintf(text + n, n_max - n, "%sany", i > 0 ? ", " : "");
        else
            (void)snprintf(text + n, n_max - n, "%s%" PRId64, i > 0 ? ", " : "",
                           shape[i]);
    }
    n = strlen(text);
    if (rank >= 0) (void)snprintf(text + n, n_max - n, "]");
}

fc_status fc_arrays_need(fc_arrays *arrays, const char *name, int rank,
                         const int64_t *shape, const fc_array **array, fc_err *err)
{
    const fc_array *found = fc_arrays_find(arrays, name);
    char is[192], wanted[192];
    if (found == NULL)
        return fc_fail(err, FC_FORMAT, "%s: '%s' is missing", arrays->path, name);
    if (!fc_dtype_is_float(found->dtype))
        return fc_fail(err, FC_FORMAT, "%s: '%s' is %s, expected F32, BF16, F16 or F64",
                       arrays->path, name, fc_dtype_name(found->dtype));
    bool is_right = rank < 0 || rank == found->rank;
    for (int i = 0; is_right && i < rank; i++)
        is_right = shape[i] < 0 || shape[i] == found->shape[i];
    if (!is_right) {
        shape_text(is, sizeof is, found->rank, found->shape);
        shape_text(wanted, sizeof wanted, rank, shape);
        return fc_fail(err, FC_FORMAT, "%s: '%s' has shape %s, expected %s", arrays->path,
                       name, is, wanted);
    }
    FC_TRY(fc_arrays_load(arrays, found, err));
    *array = found;
    return FC_OK;
}
