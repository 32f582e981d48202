/* rows.c - one reader of rows for stores and for arrays of any file.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "acts/rows.h"

#include <inttypes.h>
#include <string.h>

#include "acts/store.h"
#include "base/alloc.h"
#include "base/file.h"
#include "formats/arrays.h"

struct fc_rows {
    fc_store *store; /* this, or the other two */
    fc_arrays *arrays;
    const fc_array *array;
    int64_t n, width;
};

/* The array that is meant when none is named. */
static fc_status choose(const fc_arrays *arrays, const char *name, const fc_array **found,
                        fc_err *err)
{
    static const char *const usual[] = {"activations", "x", "features"};
    if (name != NULL && name[0] != '\0') {
        *found = fc_arrays_find(arrays, name);
        if (*found != NULL) return FC_OK;
        return fc_fail(err, FC_USAGE, "%s: there is no array '%s'",
                       fc_arrays_path(arrays), name);
    }
    for (size_t i = 0; i < FC_LEN(usual); i++) {
        *found = fc_arrays_find(arrays, usual[i]);
        if (*found != NULL) return FC_OK;
    }
    if (fc_arrays_count(arrays) == 1) {
        *found = fc_arrays_at(arrays, 0);
        return FC_OK;
    }
    return fc_fail(err, FC_USAGE,
                   "%s: holds %" PRId64 " arrays and none is named activations, x or "
                   "features: which is meant?",
                   fc_arrays_path(arrays), fc_arrays_count(arrays));
}

static fc_status open_array(fc_rows *rows, const char *path, const char *name,
                            fc_err *err)
{
    FC_TRY(fc_arrays_open(&rows->arrays, path, err));
    FC_TRY(choose(rows->arrays, name, &rows->array, err));
    const fc_array *a = rows->array;
    if (a->rank < 2)
        return fc_fail(err, FC_MISMATCH,
                       "%s: '%s' has %d dimensions, expected rows of activations, "
                       "[n, width]",
                       path, a->name, a->rank);
    if (!fc_dtype_is_float(a->dtype))
        return fc_fail(err, FC_MISMATCH, "%s: '%s' is %s, expected F32, BF16, F16 or F64",
                       path, a->name, fc_dtype_name(a->dtype));
    rows->n = a->shape[0];
    rows->width = 1;
    for (int i = 1; i < a->rank; i++) rows->width *= a->shape[i]; /* fits, as n does */
    return fc_arrays_load(rows->arrays, a, err);
}

static fc_status open_any(fc_rows *rows, const char *path, const char *name, fc_err *err)
{
    if (!fc_path_is_dir(path)) return open_array(rows, path, name, err);
    FC_TRY(fc_store_open(&rows->store, path, false, false, err));
    rows->n = fc_store_rows(rows->store);
    rows->width = fc_store_info_of(rows->store)->d;
    return FC_OK;
}

fc_status fc_rows_open(fc_rows **rows, const char *path, const char *name, fc_err *err)
{
    fc_rows *made = NULL;
    FC_TRY(fc_alloc(&made, 1, sizeof *made, "rows of activations", err));
    const fc_status status = open_any(made, path, name, err);
    if (status == FC_OK)
        *rows = made;
    else
        fc_rows_close(made);
    return status;
}

void fc_rows_close(fc_rows *rows)
{
    if (rows == NULL) return;
    fc_store_close(rows->store);
    fc_arrays_close(rows->arrays);
    fc_free(rows);
}

int64_t fc_rows_count(const fc_rows *rows)
{
    return rows->n;
}

int64_t fc_rows_width(const fc_rows *rows)
{
    return rows->width;
}

void fc_rows_read(const fc_rows *rows, int64_t begin, int64_t n, float *out)
{
    if (rows->store != NULL)
        fc_store_read(rows->store, begin, n, out);
    else
        fc_array_rows(rows->array, begin, n, out);
}

void fc_rows_drop(const fc_rows *rows, int64_t begin, int64_t end)
{
    if (rows->store != NULL) fc_store_drop(rows->store, begin, end - begin);
}
