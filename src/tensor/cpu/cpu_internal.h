/* cpu_internal.h - the state behind a CPU backend: chosen kernels and scratch memory.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TENSOR_CPU_CPU_INTERNAL_H
#define FC_TENSOR_CPU_CPU_INTERNAL_H

#include "tensor/cpu/matmul_internal.h"

/* Floats of scratch for each thread: packed A and B (B with room for one square that hangs
 * over), lines on their way through a transposition, one tile of C, and what attention keeps. */
enum {
    FC_SCRATCH_A = FC_GEMM_ROWS * FC_GEMM_UNITS,
    FC_SCRATCH_B = FC_GEMM_COLS * FC_GEMM_UNITS + FC_GEMM_SQUARE * FC_GEMM_MAX_NR,
    FC_SCRATCH_ATTENTION = 3 * FC_SCRATCH_A,
    FC_SCRATCH = FC_SCRATCH_A + FC_SCRATCH_B + FC_GEMM_LINES + FC_SCRATCH_ATTENTION
};

typedef struct fc_scratch {
    float *a, *b, *lines, *attention;
} fc_scratch;

typedef struct fc_cpu {
    fc_ops ops;
    const fc_gemm *gemm[2]; /* by fc_precision */
    bool prefers_bf16;
    int n_workers;
    float *scratch; /* [n_workers][FC_SCRATCH] */
} fc_cpu;

static inline fc_scratch fc_cpu_scratch(const fc_cpu *cpu, int worker)
{
    FC_CHECK(worker < cpu->n_workers);
    float *const base = cpu->scratch + (int64_t)worker * FC_SCRATCH;
    const fc_scratch scratch = {
        .a = base,
        .b = base + FC_SCRATCH_A,
        .lines = base + FC_SCRATCH_A + FC_SCRATCH_B,
        .attention = base + FC_SCRATCH_A + FC_SCRATCH_B + FC_GEMM_LINES,
    };
    return scratch;
}

void fc_cpu_matmul(fc_backend *be, float *c, int64_t c_row, fc_mat a, fc_mat b,
                   fc_precision precision, bool accumulate);

#endif
