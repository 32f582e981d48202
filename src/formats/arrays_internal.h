/* arrays_internal.h - an open file of arrays, filled in by one function for each format.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FORMATS_ARRAYS_INTERNAL_H
#define FC_FORMATS_ARRAYS_INTERNAL_H

#include "base/file.h"
#include "formats/arrays.h"
#include "formats/zip.h"

typedef struct fc_array_source { /* where the data of an array are to be found */
    const fc_zip_member *member; /* NULL: they are in place */
    int64_t at;                  /* byte of the first element in the member */
    int64_t n_bytes;             /* the member must have */
    fc_zip_bytes bytes;          /* once it is loaded */
} fc_array_source;

struct fc_arrays {
    const char *format;
    char *path;
    fc_array *array;         /* [n] */
    char **name;             /* [n] owned; NULL entries are borrowed from the file */
    fc_array_source *source; /* [n] */
    int64_t n, capacity, names_capacity, sources_capacity;

    fc_safetensors *st; /* one of these holds the file */
    fc_zip *zip;
    fc_map map;
};

/* Appends an array; name is copied. Refuses a name that is there already. */
fc_status fc_arrays_add(fc_arrays *arrays, const fc_array *array,
                        const fc_array_source *source, fc_err *err);

fc_status fc_arrays_read_npz(fc_arrays *arrays, fc_err *err);   /* npz.c */
fc_status fc_arrays_read_torch(fc_arrays *arrays, fc_err *err); /* torch_zip.c */
bool fc_arrays_is_torch(const fc_zip *zip);

/* Type, shape and strides of an npy header. */
struct fc_npy;
void fc_arrays_of_npy(fc_array *array, const struct fc_npy *npy);

/* Row-major strides for its shape. */
void fc_array_set_strides(fc_array *array);

#endif
