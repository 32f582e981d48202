/* arrays.h - named arrays out of any file that holds some, and into it.
 *
 *   safetensors   named tensors                       (safetensors.h)
 *   npy           one array, its name is ""           (npy.h)
 *   npz           a zip of NAME.npy members           (zip.h, npy.h)
 *   torch         a PyTorch checkpoint: a zip with a pickle that names storages (pickle.h)
 *
 * An array is described before its data are touched: type, shape and strides come from headers that
 * have been compared with the length of the file, so a caller can refuse a shape before it costs
 * memory. fc_arrays_need does both. Nothing is ever executed or written to disk.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FORMATS_ARRAYS_H
#define FC_FORMATS_ARRAYS_H

#include <stdbool.h>

#include "formats/safetensors.h"

typedef struct fc_array { /* everything borrowed until the file is closed */
    const char *name;
    fc_dtype dtype;
    bool is_swapped; /* elements are big-endian */
    int rank;
    int64_t shape[FC_MAX_RANK];
    int64_t stride[FC_MAX_RANK]; /* in elements, 0 or more */
    int64_t n;                   /* product of shape */
    const void *data;            /* any alignment; NULL until it is loaded */
} fc_array;

typedef struct fc_arrays fc_arrays;

/* The format is told by the first bytes. */
fc_status fc_arrays_open(fc_arrays **arrays, const char *path, fc_err *err);
void fc_arrays_close(fc_arrays *arrays);
const char *fc_arrays_path(const fc_arrays *arrays);
const char *fc_arrays_format(const fc_arrays *arrays); /* "safetensors", "npy", ... */
int64_t fc_arrays_count(const fc_arrays *arrays);
const fc_array *fc_arrays_at(const fc_arrays *arrays, int64_t i);
const fc_array *fc_arrays_find(const fc_arrays *arrays, const char *name); /* or NULL */

/* Brings the data to memory where they are not mapped, and compares checksums. */
fc_status fc_arrays_load(fc_arrays *arrays, const fc_array *array, fc_err *err);

/* Finds an array of floats with this shape and loads it. rank -1: any; a size of -1: any. The sentence
 * names file, array, found and expected. */
fc_status fc_arrays_need(fc_arrays *arrays, const char *name, int rank,
                         const int64_t *shape, const fc_array **array, fc_err *err);

/* A loaded array as float32, row-major, in new memory (fc_free). */
fc_status fc_array_to_f32(const fc_array *array, float **out, fc_err *err);
/* Entries begin .. begin+n-1 along its first axis, of a loaded array of rank 1 or more. */
void fc_array_rows(const fc_array *array, int64_t begin, int64_t n, float *out);

bool fc_dtype_is_float(fc_dtype dtype);

/* ---- writing ----
 * Declare every array, then give the data of each in the order of declaration, whole or in pieces,
 * then commit. float32, float64 and the integers; torch also BF16 and F16. npy takes one array. */
typedef enum fc_arrays_kind {
    FC_ARRAYS_SAFETENSORS,
    FC_ARRAYS_NPY,
    FC_ARRAYS_NPZ,
    FC_ARRAYS_TORCH
} fc_arrays_kind;

/* By the ending: .npy, .npz, .pt; safetensors otherwise. */
fc_arrays_kind fc_arrays_kind_of(const char *path);

typedef struct fc_arrays_out fc_arrays_out;
fc_status fc_arrays_create(fc_arrays_out **out, fc_arrays_kind kind, const char *path,
                           fc_err *err);
fc_status fc_arrays_declare(fc_arrays_out *out, const char *name, fc_dtype dtype,
                            int rank, const int64_t *shape, fc_err *err);
fc_status fc_arrays_write(fc_arrays_out *out, const char *name, const void *data,
                          size_t n_bytes, fc_err *err);
fc_status fc_arrays_commit(fc_arrays_out *out, fc_err *err);
void fc_arrays_discard(fc_arrays_out *out); /* also after commit; accepts NULL */

#endif
