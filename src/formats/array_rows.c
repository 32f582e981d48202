/* array_rows.c - arrays of any type, byte order and strides, row-major and in float32.
 *
 * The last axis is copied a run at a time: as it lies where its stride is 1 and its bytes are in
 * order, else element by element into a short buffer first. The other axes count like an odometer.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "formats/arrays.h"

enum { RUN = 256, WIDEST = 8 };

bool fc_dtype_is_float(fc_dtype dtype)
{
    return dtype == FC_F32 || dtype == FC_BF16 || dtype == FC_F16 || dtype == FC_F64;
}

/* n elements from `at`, `stride` elements apart, to float32. */
static void copy_run(const fc_array *a, int64_t at, int64_t stride, int64_t n, float *out)
{
    const size_t size = fc_dtype_size(a->dtype);
    const unsigned char *from = (const unsigned char *)a->data + (size_t)at * size;
    unsigned char run[RUN * WIDEST];
    if (stride == 1 && !a->is_swapped) {
        fc_to_f32(out, from, a->dtype, n);
        return;
    }
    for (int64_t begin = 0; begin < n; begin += RUN) {
        const int64_t n_run = fc_min(RUN, n - begin);
        for (int64_t i = 0; i < n_run; i++) {
            const unsigned char *element = from + (size_t)((begin + i) * stride) * size;
            unsigned char *to = run + (size_t)i * size;
            for (size_t b = 0; b < size; b++)
                to[a->is_swapped ? size - 1 - b : b] = element[b];
        }
        fc_to_f32(out + begin, run, a->dtype, n_run);
    }
}

/* Entries begin .. begin+n-1 of the first axis. */
void fc_array_rows(const fc_array *array, int64_t begin, int64_t n, float *out)
{
    const fc_array *a = array;
    FC_ASSERT(a->rank >= 1 && begin >= 0 && n >= 0 && begin + n <= a->shape[0]);
    const int last = a->rank - 1;
    const int64_t n_last = last == 0 ? n : a->shape[last];
    int64_t place[FC_MAX_RANK] = {0}, at = begin * a->stride[0];
    int64_t n_runs = last == 0 ? 1 : n;
    for (int i = 1; i < last; i++) n_runs *= a->shape[i];
    if (n_last == 0) return;
    for (int64_t run = 0; run < n_runs; run++) {
        copy_run(a, at, a->stride[last], n_last, out + run * n_last);
        for (int i = last - 1; i >= 0; i--) { /* to the next run */
            at += a->stride[i];
            if (i == 0 || ++place[i] < a->shape[i]) break;
            at -= place[i] * a->stride[i];
            place[i] = 0;
        }
    }
}

fc_status fc_array_to_f32(const fc_array *array, float **out, fc_err *err)
{
    float *made = NULL;
    FC_TRY(fc_alloc(&made, array->n, sizeof *made, array->name, err));
    if (array->rank == 0)
        copy_run(array, 0, 1, 1, made);
    else if (array->n > 0)
        fc_array_rows(array, 0, array->shape[0], made);
    *out = made;
    return FC_OK;
}
