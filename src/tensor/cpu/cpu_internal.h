/* cpu_internal.h - the state behind a CPU backend: chosen kernels and scratch memory.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TENSOR_CPU_CPU_INTERNAL_H
#define FC_TENSOR_CPU_CPU_INTERNAL_H

#include "tensor/cpu/matmul_internal.h"
#include "tensor/cpu/sparse_internal.h"

/* Floats of scratch for each thread: what attention keeps of packed A, a block of packed B,
 * lines on their way through a transposition. */
enum {
    FC_SCRATCH_A = FC_GEMM_ROWS * FC_GEMM_UNITS,
    FC_SCRATCH_B = FC_GEMM_COLS * FC_GEMM_UNITS,
    FC_SCRATCH_ATTENTION = 2 * FC_SCRATCH_A,
    FC_SCRATCH = FC_SCRATCH_A + FC_SCRATCH_B + FC_GEMM_LINES + FC_SCRATCH_ATTENTION
};

/* What all threads share in a product, twice: for the stage that is multiplied and the one that
 * is packed meanwhile. */
enum {
    FC_SLAB_ROWS = 9 * FC_GEMM_ROWS,
    FC_SLAB_COLS = 4 * FC_GEMM_COLS,
    FC_SLAB_A = FC_SLAB_ROWS * FC_GEMM_UNITS,
    FC_SLAB_B = FC_SLAB_COLS * FC_GEMM_UNITS
};

typedef struct fc_scratch {
    float *a, *b, *lines, *attention;
} fc_scratch;

/* One block of keys in attention.c. Row r is a query at position + r / rows_per_position,
 * counted from the first key of the block; it sees keys up to there, the last `window` of them
 * (0 = all). scores: [n_rows][FC_GEMM_UNITS], become weights; z: [n_rows, d], max, sum: [n_rows],
 * brought up to date. */
typedef struct fc_softmax_block {
    float *scores, *z, *max, *sum;
    int64_t n_rows, n_keys, d, rows_per_position, position, window;
    float scale;
} fc_softmax_block;

typedef struct fc_cpu {
    fc_ops ops;
    void (*softmax)(const fc_softmax_block *block);
    const fc_gemm *gemm[2]; /* by fc_precision */
    const fc_sparse_kernels *sparse[2];
    bool prefers_bf16;
    int n_workers;
    float *scratch;         /* [n_workers][FC_SCRATCH] */
    float *slab_a, *slab_b; /* [2][FC_SLAB_A], [2][FC_SLAB_B], in the same allocation */
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

bool fc_cpu_has_amx(void); /* and may use it; asks the system */

void fc_cpu_matmul(fc_backend *be, float *c, int64_t c_row, fc_mat a, fc_mat b,
                   fc_precision precision, bool accumulate);
void fc_cpu_pack(fc_backend *be, const fc_packed *to, fc_mat b);
void fc_cpu_matmul_packed(fc_backend *be, float *c, int64_t c_row, fc_mat a,
                          const fc_packed *b, bool accumulate);

void fc_cpu_attention(fc_backend *be, float *z, const float *q, const float *k,
                      const float *v, fc_ragged seqs, fc_attention shape,
                      fc_precision precision);

#endif
