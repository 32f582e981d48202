/* torch_pickle_internal.h - the pickle of a PyTorch state dictionary.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FORMATS_TORCH_PICKLE_INTERNAL_H
#define FC_FORMATS_TORCH_PICKLE_INTERNAL_H

#include "base/strbuf.h"
#include "formats/safetensors.h"

typedef struct fc_declared { /* an array to be written */
    char *name;
    fc_dtype dtype;
    int rank;
    int64_t shape[FC_MAX_RANK];
    int64_t n, n_bytes;
} fc_declared;

/* Appends the pickle of {name: tensor, ...}: array i lies, row-major, in the storage of key "i". */
fc_status fc_torch_pickle(fc_strbuf *pickle, const fc_declared *arrays, int64_t n,
                          fc_err *err);

#endif
