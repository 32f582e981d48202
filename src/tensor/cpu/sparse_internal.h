/* sparse_internal.h - kernels of the sparse products, for one row of the sparse matrix at a time.
 *
 * sparse.c walks panels of columns and rows of lists; a kernel does one list on one panel.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TENSOR_CPU_SPARSE_INTERNAL_H
#define FC_TENSOR_CPU_SPARSE_INTERNAL_H

#include "tensor/backend.h"

/* Columns of a panel: as float32 sums they fill 24 of 32 vector registers, and 512 rows of them in
 * bf16 stay in L2. The contract of sddmm names it. */
enum { FC_SPARSE_COLS = 384 };

/* Rows between asking for one and using it. */
enum { FC_SPARSE_AHEAD = 8 };

typedef struct fc_sparse_list {
    const int32_t *index;
    const float *value;
    int64_t count;
} fc_sparse_list;

/* n_cols <= FC_SPARSE_COLS adjacent columns of a dense matrix; row i begins at data + i * row_bytes. */
typedef struct fc_sparse_panel {
    const unsigned char *data;
    int64_t row_bytes, n_cols;
    fc_dtype dtype; /* F32 or BF16 */
    bool is_far;    /* too large for L2 */
} fc_sparse_panel;

typedef struct fc_sparse_kernels {
    /* c [n_cols] (+)= sum over the list of value * b_index */
    void (*gather)(float *c, fc_sparse_list list, const fc_sparse_panel *b,
                   bool accumulate);
    /* out [count] (+)= u . v_index, u being row 0 of its panel */
    void (*dots)(float *out, fc_sparse_list list, const fc_sparse_panel *u,
                 const fc_sparse_panel *v, bool accumulate);
} fc_sparse_kernels;

extern const fc_sparse_kernels fc_sparse_avx512bf16;

void fc_cpu_spmm(fc_backend *be, float *c, int64_t c_row, fc_sparse a, fc_mat b,
                 fc_precision precision, bool accumulate);

void fc_cpu_sddmm(fc_backend *be, float *out, fc_sparse pattern, fc_mat u, fc_mat v,
                  fc_precision precision);

#endif
