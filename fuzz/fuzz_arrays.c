/* fuzz_arrays.c - a file through the reader of arrays: npy, npz or a PyTorch checkpoint; every
 * element of every array is read.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "base/alloc.h"
#include "formats/arrays.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    enum { ELEMENTS_MAX = 1 << 22 }; /* a zip of a few kB may rightly hold megabytes */
    fc_arrays *arrays = NULL;
    fc_err err;
    const char *const path = fuzz_file("x", data, n_bytes);
    if (fc_arrays_open(&arrays, path, &err) == FC_OK) {
        int64_t n_seen = 0;
        for (int64_t i = 0; i < fc_arrays_count(arrays); i++) {
            const fc_array *const a = fc_arrays_at(arrays, i);
            float *values = NULL;
            if (a->n > ELEMENTS_MAX - n_seen) continue;
            n_seen += a->n;
            if (fc_arrays_load(arrays, a, &err) != FC_OK) continue;
            if (fc_array_to_f32(a, &values, &err) != FC_OK) abort();
            fc_free(values);
        }
        fc_arrays_close(arrays);
    }
    (void)unlink(path);
    return 0;
}
