/* matmul_internal.h - what one register kernel of the matrix product looks like.
 *
 * A product C[m, n] = A[m, k] B[k, n] is cut into tiles of C, and k into blocks. For each block
 * both operands are copied ("packed") into the layout that the kernel reads with plain loads:
 *
 *   A  [rows][FC_GEMM_UNITS]         row by row; the kernel broadcasts one unit of each row
 *   B  [panels][units, padded][nr]   nr columns side by side; the kernel loads them as vectors
 *
 * A unit is 32 bits wide: one float32 of k, or two neighbouring bf16 of k. So float32 and bf16
 * products share every layout, and a block is FC_GEMM_UNITS units deep in both. That number is
 * part of the result (each block is one chain of fused multiply-adds, and the blocks are added
 * in order), so it is the same for every kernel.
 *
 * A new kernel is one file that fills one fc_gemm and one row in backend.c.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TENSOR_CPU_MATMUL_INTERNAL_H
#define FC_TENSOR_CPU_MATMUL_INTERNAL_H

#include "tensor/backend.h"

enum {
    FC_GEMM_UNIT_BYTES = 4,
    FC_GEMM_UNITS = 384, /* depth of a k block */
    FC_GEMM_ROWS = 112,  /* rows of A packed at a time: a whole number of 14s and 16s */
    FC_GEMM_COLS = 384,  /* columns of B packed at a time */
    FC_GEMM_RUN = 128,   /* longest piece of a row on its way through a transposition */
    FC_GEMM_MAX_NR = 32, /* largest nr; nr divides it */
    FC_GEMM_MAX_MR = FC_GEMM_ROWS, /* largest mr */
    FC_GEMM_SQUARE = 16            /* side of the squares that are transposed */
};

/* C[m, n] = A B, or += when accumulate, over one block of k. */
typedef struct fc_gemm_part {
    float *c;
    int64_t c_row;  /* elements from row to row */
    const void *a;  /* [m] rows of n_units units, */
    int64_t a_row;  /* units from row to row; packed: FC_GEMM_UNITS */
    const float *b; /* packed panels, 64-byte aligned */
    int64_t m, n;
    int64_t n_units;
    bool accumulate;
    const unsigned char
        *soon; /* read next: a kernel asks for soon_step bytes of it per unit */
    int64_t soon_step;
} fc_gemm_part;

/* A unit of A where it lies: in packed rows, or in a matrix of bf16 at any even address. */
typedef float fc_unit_f32 __attribute__((may_alias, aligned(4)));
typedef int32_t fc_unit_bf16 __attribute__((may_alias, aligned(2)));

/* Before a loop that must become straight code, or its sums lie in memory. */
#if defined(__clang__)
#    define FC_UNROLL _Pragma("clang loop unroll(full)")
#else
#    define FC_UNROLL _Pragma("GCC unroll 16")
#endif

typedef struct fc_gemm {
    const char *name;
    int64_t mr, nr;     /* largest tile; nr is 16 or 32 */
    int64_t k_per_unit; /* 1: float32, 2: pairs of bf16 */

    fc_dtype a_dtype; /* rows of A in this type are read in place; FC_N_DTYPES: none */

    double dense_share; /* see fc_backend_dense_share */

    /* One part with m = 1 .. mr and n = nr; b: [n_units][nr]. */
    void (*tile)(const fc_gemm_part *part);

    /* n adjacent elements of a matrix as the kernel's element type, adjacent. */
    void (*run)(void *to, const void *from, fc_dtype dtype, int64_t n);

    /* Two runs, element by element as pairs: to[i] = (even[i], odd[i]); odd may be NULL for
     * zeros. Only where k_per_unit is 2. */
    void (*pair_run)(void *to, const void *even, const void *odd, fc_dtype dtype,
                     int64_t n);

    /* to[j][i] = from[i][j] of 16 x 16 units; strides in units, rows of both aligned to 4. */
    void (*transpose)(void *to, int64_t to_row, const void *from, int64_t from_row);
} fc_gemm;

/* One operand seen from the packing side: r counts rows of A or columns of B, k the sum. */
typedef struct fc_gemm_operand {
    const unsigned char *data;
    fc_dtype dtype;
    int64_t r_bytes, k_bytes; /* strides */
} fc_gemm_operand;

/* Whether the kernel can read rows of A where they lie: whole units of its own type. Not rows
 * that share one set of L1, 4096 bytes apart: there each of 14 drives out another. */
static inline bool fc_gemm_reads_in_place(const fc_gemm *gemm, const fc_gemm_operand *a)
{
    const int64_t size = (int64_t)fc_dtype_size(a->dtype);
    return a->dtype == gemm->a_dtype && a->k_bytes == size &&
           (uintptr_t)a->data % (uintptr_t)size == 0 &&
           a->r_bytes % FC_GEMM_UNIT_BYTES == 0 && a->r_bytes % 4096 != 0;
}

/* Packs r0 .. r0+n_r-1 by k0 .. k0+n_k-1, rows and columns rounded up to whole squares.
 * lines: scratch of FC_GEMM_LINES floats. */
enum { FC_GEMM_LINES = 3 * FC_GEMM_SQUARE * FC_GEMM_RUN };
void fc_gemm_pack_a(const fc_gemm *gemm, float *to, const fc_gemm_operand *from,
                    int64_t r0, int64_t n_r, int64_t k0, int64_t n_k, float *lines);
void fc_gemm_pack_b(const fc_gemm *gemm, float *to, const fc_gemm_operand *from,
                    int64_t r0, int64_t n_r, int64_t k0, int64_t n_k, float *lines);

/* Units from one panel of packed B to the next: squares that hang over the end of one must not
 * reach into its neighbour, which another thread may have packed. */
static inline int64_t fc_gemm_panel_units(int64_t n_units)
{
    return fc_round_up(n_units, FC_GEMM_SQUARE);
}

/* A part of any m and n. */
void fc_gemm_block(const fc_gemm *gemm, const fc_gemm_part *part);

extern const fc_gemm fc_gemm_ref, fc_gemm_ref_rounded;
extern const fc_gemm fc_gemm_avx2, fc_gemm_avx2_rounded;
extern const fc_gemm fc_gemm_avx512, fc_gemm_avx512_rounded;
extern const fc_gemm fc_gemm_avx512bf16, fc_gemm_amx;

#endif
