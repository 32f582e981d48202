/* npy.h - the header of a NumPy array file.
 *
 *   93 "NUMPY" major minor | length: u16 (1.0) or u32 (2.0, 3.0) | header | data
 *   header: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }, spaces, '\n'
 *
 * The header is a Python literal; it is read here as exactly that dictionary and nothing else.
 * Arrays of objects need a pickle and are refused. NumPy has no bfloat16.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FORMATS_NPY_H
#define FC_FORMATS_NPY_H

#include <stdbool.h>

#include "base/strbuf.h"
#include "formats/safetensors.h"

typedef struct fc_npy {
    fc_dtype dtype;
    bool is_swapped; /* big-endian */
    bool is_fortran; /* the first axis runs fastest */
    int rank;
    int64_t shape[FC_MAX_RANK];
    int64_t n;       /* product of shape */
    int64_t n_bytes; /* of the data */
    int64_t at;      /* where they begin */
} fc_npy;

enum { FC_NPY_HEADER_MAX = 10000 + 12 }; /* NumPy's own limit, and what precedes it */

bool fc_npy_is(const uint8_t *bytes, size_t n_bytes);

/* From the first bytes of a file, all of it or FC_NPY_HEADER_MAX at least; `name` begins the
 * sentence. Whether the data are there is for the caller to compare. */
fc_status fc_npy_parse(fc_npy *npy, const uint8_t *bytes, size_t n_bytes,
                       const char *name, fc_err *err);

/* Appends the header of a row-major little-endian array, version 1.0. Any dtype but BF16. */
fc_status fc_npy_header(fc_strbuf *header, fc_dtype dtype, int rank, const int64_t *shape,
                        fc_err *err);

#endif
