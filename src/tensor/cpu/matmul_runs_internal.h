/* matmul_runs_internal.h - runs of adjacent elements to float32; inlined into each kernel file
 * so that each instruction set gets its own vectorised copy.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TENSOR_CPU_MATMUL_RUNS_INTERNAL_H
#define FC_TENSOR_CPU_MATMUL_RUNS_INTERNAL_H

#include "formats/dtype.h"
#include "formats/float_bits.h"

static inline uint32_t fc_run_load16(const void *from, int64_t i)
{
    uint16_t bits;
    memcpy(&bits, (const unsigned char *)from + i * 2, sizeof bits);
    return bits;
}

static inline void fc_run_to_f32(float *restrict to, const void *restrict from,
                                 fc_dtype dtype, int64_t n)
{
    if (dtype == FC_F32)
        memcpy(to, from, (size_t)n * sizeof *to);
    else if (dtype == FC_BF16)
        for (int64_t i = 0; i < n; i++)
            to[i] = fc_f32_of_bits(fc_run_load16(from, i) << 16);
    else
        for (int64_t i = 0; i < n; i++)
            to[i] = fc_f32_of_f16_bits(fc_run_load16(from, i));
}

/* The same, rounded to bf16 and widened again: bf16 products on a float32 kernel. */
static inline void fc_run_to_rounded(float *restrict to, const void *restrict from,
                                     fc_dtype dtype, int64_t n)
{
    fc_run_to_f32(to, from, dtype, n);
    for (int64_t i = 0; i < n && dtype != FC_BF16; i++)
        to[i] = fc_f32_of_bits(fc_bf16_bits_of_f32(to[i]) << 16);
}

/* n adjacent float32 to bf16, nearest, ties to even. */
static inline void fc_run_to_bf16(void *restrict to, const void *restrict from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float x;
        memcpy(&x, (const unsigned char *)from + i * 4, sizeof x);
        const uint16_t bits = (uint16_t)fc_bf16_bits_of_f32(x);
        memcpy((unsigned char *)to + i * 2, &bits, sizeof bits);
    }
}

#endif
