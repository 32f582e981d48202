/* peaks.h - the roof: what this machine's cores and memory can do at all.
 *
 * Fastest samples, not medians: a limit is what could be.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_BENCH_PEAKS_H
#define FC_BENCH_PEAKS_H

#include "tensor/backend.h"

/* Bytes count once when they are read and once when they are written. */
typedef struct fc_peaks {
    double flops[2]; /* a second, by fc_precision; two for each multiply-add */
    double read;     /* bytes a second from memory */
    double update;   /* three arrays in place, as Adam does */
    double copy;     /* memcpy */
    double l2, l3;   /* reading from a core's own cache, and from the shared one */
} fc_peaks;

/* The loops of the instructions that a backend may use. */
typedef struct fc_peak_loops {
    const struct fc_peak_products *f32,
        *bf16; /* bf16: NULL where there is no instruction */
    const struct fc_peak_memory *memory;
} fc_peak_loops;

fc_peak_loops fc_peak_loops_of(const fc_backend *be);

#endif
