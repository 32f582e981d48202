/* rowops_sparse.c - kernels of the sparse products in float32, and in bf16 for machines without
 * instructions for it: operands are rounded and the float32 arithmetic does the rest.
 *
 *   gather   c += value * b_index, each column one chain of fused multiply-adds
 *   dots     u . v_index, 16 lanes over the panel
 *
 * A float32 operand is read in place. Any other is converted row by row, which costs as much as
 * the arithmetic: products are fastest in the type of their precision.
 *
 * Compiled once for each instruction set (FC_ISA).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tensor/cpu/matmul_runs_internal.h"
#include "tensor/cpu/rowops_internal.h"
#include "tensor/cpu/sparse_internal.h"

static const unsigned char *row_of(const fc_sparse_panel *panel, int64_t row)
{
    return panel->data + row * panel->row_bytes;
}

/* A row of a panel as float32, rounded to bf16 if asked for: where it lies, or in `room`. */
static inline const float *floats_of(const fc_sparse_panel *panel, int64_t row,
                                     bool is_rounded, float room[FC_SPARSE_COLS])
{
    const void *const data = row_of(panel, row);
    if (panel->dtype == FC_F32 && !is_rounded) return data;
    if (is_rounded)
        fc_run_to_rounded(room, data, panel->dtype, panel->n_cols);
    else
        fc_run_to_f32(room, data, panel->dtype, panel->n_cols);
    return room;
}

static inline void gather(float *c, fc_sparse_list list, const fc_sparse_panel *b,
                          bool is_rounded, bool accumulate)
{
    float room[FC_SPARSE_COLS];
    if (!accumulate) memset(c, 0, (size_t)b->n_cols * sizeof *c);
    for (int64_t i = 0; i < list.count; i++) {
        const float *const x = floats_of(b, list.index[i], is_rounded, room);
        float value;
        if (is_rounded)
            fc_run_to_rounded(&value, &list.value[i], FC_F32, 1);
        else
            value = list.value[i];
        FC_EACH
        for (int64_t j = 0; j < b->n_cols; j++) c[j] = fmaf(value, x[j], c[j]);
    }
}

static inline void dots(float *out, fc_sparse_list list, const fc_sparse_panel *u,
                        const fc_sparse_panel *v, bool is_rounded, bool accumulate)
{
    float u_room[FC_SPARSE_COLS], v_room[FC_SPARSE_COLS];
    const float *const x = floats_of(u, 0, is_rounded, u_room);
    for (int64_t i = 0; i < list.count; i++) {
        const float *const y = floats_of(v, list.index[i], is_rounded, v_room);
        const float sum = fc_row_dot(x, y, v->n_cols);
        out[i] = accumulate ? out[i] + sum : sum;
    }
}

static void gather_f32(float *c, fc_sparse_list list, const fc_sparse_panel *b,
                       bool accumulate)
{
    gather(c, list, b, false, accumulate);
}

static void gather_rounded(float *c, fc_sparse_list list, const fc_sparse_panel *b,
                           bool accumulate)
{
    gather(c, list, b, true, accumulate);
}

static void dots_f32(float *out, fc_sparse_list list, const fc_sparse_panel *u,
                     const fc_sparse_panel *v, bool accumulate)
{
    dots(out, list, u, v, false, accumulate);
}

static void dots_rounded(float *out, fc_sparse_list list, const fc_sparse_panel *u,
                         const fc_sparse_panel *v, bool accumulate)
{
    dots(out, list, u, v, true, accumulate);
}

void FC_ROWOPS(sparse)(fc_cpu *cpu)
{
    static const fc_sparse_kernels f32 = {gather_f32, dots_f32};
    static const fc_sparse_kernels rounded = {gather_rounded, dots_rounded};
    cpu->sparse[FC_PRECISION_F32] = &f32;
    cpu->sparse[FC_PRECISION_BF16] = &rounded;
    cpu->ops.spmm = fc_cpu_spmm;
    cpu->ops.sddmm = fc_cpu_sddmm;
}
