/* peak_internal.h - the loops behind the peaks, one set for each instruction set: multiply-adds from
 * registers, and passes over memory that do nothing else.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_BENCH_PEAK_INTERNAL_H
#define FC_BENCH_PEAK_INTERNAL_H

#include "tensor/backend.h"

/* Arrays are 64-byte aligned, and n a multiple of this. */
enum { FC_PEAK_BLOCK = 128 };

/* Multiply-adds of a product in one precision, operands and sums in registers. */
typedef struct fc_peak_products {
    const char *name; /* "avx512 fma" */
    fc_precision precision;
    int64_t flops; /* of one round, two for each multiply-add */
    /* The result only keeps the compiler from leaving the work out. */
    float (*run)(int64_t n_rounds);
} fc_peak_products;

typedef struct fc_peak_memory {
    /* Reads x[n]. */
    uint32_t (*read)(const float *x, int64_t n);
    /* w, m, v [n] in place, as Adam with the gradient in cache: 12 bytes read, 12 written each. */
    void (*update)(float *w, float *m, float *v, int64_t n);
} fc_peak_memory;

extern const fc_peak_products fc_peak_fma_ref;
extern const fc_peak_memory fc_peak_memory_ref;
#if defined(__x86_64__)
extern const fc_peak_products fc_peak_fma_avx2, fc_peak_fma_avx512,
    fc_peak_dot_avx512bf16, fc_peak_dot_amx;
extern const fc_peak_memory fc_peak_memory_avx2, fc_peak_memory_avx512;
#endif

#endif
