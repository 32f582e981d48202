/* fuzz_safetensors.c - a file through the safetensors reader; every byte of every tensor is read.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "base/alloc.h"
#include "formats/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    fc_safetensors *st = NULL;
    fc_err err;
    const char *const path = fuzz_file("x.safetensors", data, n_bytes);
    if (fc_safetensors_open(&st, path, &err) == FC_OK) {
        volatile uint8_t sum = 0;
        for (int64_t i = 0; i < fc_safetensors_count(st); i++) {
            const fc_tensor *const t = fc_safetensors_at(st, i), *found = NULL;
            float *values = NULL;
            for (size_t k = 0; k < t->n_bytes; k++)
                sum = (uint8_t)(sum ^ ((const uint8_t *)t->data)[k]);
            if (fc_tensor_to_f32(t, &values, &err) == FC_OK) fc_free(values);
            if (fc_safetensors_need(st, t->name, t->dtype, t->rank, t->shape, &found,
                                    &err) != FC_OK)
                abort();
        }
        fc_safetensors_close(st);
    }
    (void)unlink(path);
    return 0;
}
