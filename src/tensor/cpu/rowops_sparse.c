/* rowops_sparse.c - kernels of the sparse products in float32, and in bf16 for machines without
 * instructions for it: operands are rounded and the float32 arithmetic does the rest.
 *
 *   gather   c += value * b_index, each column one chain of fused multiply-adds
 *   dots     u . v_index, 16 lanes over the panel
 *
 * A row that is gathered is used once, so loads set the pace: the sums of as many columns as there
 * are registers stay in them for a whole list, and rows that lie beyond L2 are asked for ahead. A
 * float32 operand is read in place. Any other is converted row by row, which costs as much as the
 * arithmetic: products are fastest in the type of their precision.
 *
 * Compiled once for each instruction set (FC_ISA).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tensor/cpu/matmul_runs_internal.h"
#include "tensor/cpu/rowops_internal.h"
#include "tensor/cpu/sparse_internal.h"

/* Groups of 16 columns whose sums stay in registers, and fewer for what is left. */
#if defined(__AVX512F__)
enum { WIDE = 24, NARROW = 8 };
#else
enum { WIDE = 6, NARROW = 2 };
#endif

static const void *row_of(const fc_sparse_panel *panel, int64_t row)
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

/* --- gather ------------------------------------------------------------------------------- */

/* n_lanes * 16 columns from `col` on. */
__attribute__((always_inline)) static inline void
gather_lanes(const int n_lanes, float *c, const fc_sparse_list *list,
             const fc_sparse_panel *b, int64_t col, bool accumulate)
{
    fc_lanes sum[WIDE];
    const int64_t last = list->count - 1;
#pragma GCC unroll 24
    for (int l = 0; l < n_lanes; l++) {
        if (accumulate)
            fc_lanes_load(&sum[l], c + col + l * 16);
        else
            fc_lanes_set(&sum[l], 0.0f);
    }
    for (int64_t i = 0; i <= last; i++) {
        const float *const x = (const float *)row_of(b, list->index[i]) + col;
        const int64_t ahead = list->index[fc_min(i + FC_SPARSE_AHEAD, last)];
        const float *const next = (const float *)row_of(b, ahead) + col;
        const float value = list->value[i];
#pragma GCC unroll 24
        for (int l = 0; l < n_lanes; l++) {
            if (b->is_far) __builtin_prefetch(next + l * 16);
            fc_lanes_add_scaled(&sum[l], value, x + l * 16);
        }
    }
#pragma GCC unroll 24
    for (int l = 0; l < n_lanes; l++) fc_lanes_store(c + col + l * 16, &sum[l]);
}

/* c[n] += value * x */
static inline void add_row(float *restrict c, float value, const float *restrict x,
                           int64_t n)
{
    for (int64_t j = 0; j < n; j++) c[j] = fmaf(value, x[j], c[j]);
}

static void gather_in_place(float *c, const fc_sparse_list *list,
                            const fc_sparse_panel *b, bool accumulate)
{
    int64_t col = 0;
    for (; col + WIDE * 16 <= b->n_cols; col += WIDE * 16)
        gather_lanes(WIDE, c, list, b, col, accumulate);
    for (; col + NARROW * 16 <= b->n_cols; col += NARROW * 16)
        gather_lanes(NARROW, c, list, b, col, accumulate);
    for (; col + 16 <= b->n_cols; col += 16) gather_lanes(1, c, list, b, col, accumulate);
    const int64_t n_rest = b->n_cols - col;
    if (n_rest == 0) return;
    if (!accumulate) memset(c + col, 0, (size_t)n_rest * sizeof *c);
    for (int64_t i = 0; i < list->count; i++)
        add_row(c + col, list->value[i], (const float *)row_of(b, list->index[i]) + col,
                n_rest);
}

static inline void gather_converted(float *c, const fc_sparse_list *list,
                                    const fc_sparse_panel *b, bool is_rounded,
                                    bool accumulate)
{
    float room[FC_SPARSE_COLS];
    if (!accumulate) memset(c, 0, (size_t)b->n_cols * sizeof *c);
    for (int64_t i = 0; i < list->count; i++) {
        float value = list->value[i];
        if (is_rounded) fc_run_to_rounded(&value, &list->value[i], FC_F32, 1);
        add_row(c, value, floats_of(b, list->index[i], is_rounded, room), b->n_cols);
    }
}

static void gather_f32(float *c, fc_sparse_list list, const fc_sparse_panel *b,
                       bool accumulate)
{
    if (b->dtype == FC_F32)
        gather_in_place(c, &list, b, accumulate);
    else
        gather_converted(c, &list, b, false, accumulate);
}

static void gather_rounded(float *c, fc_sparse_list list, const fc_sparse_panel *b,
                           bool accumulate)
{
    gather_converted(c, &list, b, true, accumulate);
}

/* --- dots --------------------------------------------------------------------------------- */

/* Four rows at a time hide the latency of a chain of sums. */
static inline void four_dots(float out[4], const float *x, const float *const y[4],
                             int64_t n)
{
    fc_lanes sum[4];
    int64_t i = 0;
    for (int r = 0; r < 4; r++) fc_lanes_set(&sum[r], 0.0f);
    for (; i + 16 <= n; i += 16) {
#pragma GCC unroll 4
        for (int r = 0; r < 4; r++) fc_lanes_dot(&sum[r], x + i, y[r] + i);
    }
    if (i < n) {
        float x_rest[16], y_rest[16];
        fc_lanes_rest(x_rest, x + i, n - i, 0.0f);
        for (int r = 0; r < 4; r++) {
            fc_lanes_rest(y_rest, y[r] + i, n - i, 0.0f);
            fc_lanes_dot(&sum[r], x_rest, y_rest);
        }
    }
    fc_lanes_fold_four(out, sum);
}

static inline void dots(float *out, const fc_sparse_list *list, const fc_sparse_panel *u,
                        const fc_sparse_panel *v, bool is_rounded, bool accumulate)
{
    float u_room[FC_SPARSE_COLS], v_room[4][FC_SPARSE_COLS];
    const float *const x = floats_of(u, 0, is_rounded, u_room);
    for (int64_t i = 0; i < list->count; i += 4) {
        const int64_t n = fc_min(4, list->count - i);
        const float *y[4];
        float sum[4];
        for (int64_t r = 0; r < 4; r++) /* fewer than four: the last one again */
            y[r] = r < n ? floats_of(v, list->index[i + r], is_rounded, v_room[r])
                         : y[n - 1];
        four_dots(sum, x, y, v->n_cols);
        for (int64_t r = 0; r < n; r++)
            out[i + r] = accumulate ? out[i + r] + sum[r] : sum[r];
    }
}

static void dots_f32(float *out, fc_sparse_list list, const fc_sparse_panel *u,
                     const fc_sparse_panel *v, bool accumulate)
{
    dots(out, &list, u, v, false, accumulate);
}

static void dots_rounded(float *out, fc_sparse_list list, const fc_sparse_panel *u,
                         const fc_sparse_panel *v, bool accumulate)
{
    dots(out, &list, u, v, true, accumulate);
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
