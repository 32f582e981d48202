/* rowops_attention.c - the softmax step of attention.c: scores of one block of keys become
 * weights, and what was summed before is brought to the same scale.
 *
 *   m' = max(m, largest visible score)     p = exp(s - m')     l' = l exp(m - m') + sum p
 *
 * Compiled once for each instruction set (FC_ISA).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tensor/cpu/rowops_internal.h"

static void scale_row(float *x, int64_t n, float s)
{
    for (int64_t i = 0; i < n; i++) x[i] *= s;
}

static void softmax(const fc_softmax_block *b)
{
    for (int64_t r = 0; r < b->n_rows; r++) {
        float *const s = b->scores + r * FC_GEMM_UNITS;
        const int64_t position = b->position + r / b->rows_per_position;
        const int64_t end = fc_min(position + 1, b->n_keys);
        const int64_t oldest = b->window > 0 ? position - b->window + 1 : 0;
        const int64_t begin = fc_min(fc_max(oldest, 0), b->n_keys);
        if (begin >= end) { /* sees nothing of this block */
            memset(s, 0, (size_t)b->n_keys * sizeof *s);
            continue;
        }
        scale_row(s + begin, end - begin, b->scale);
        const float max = fc_row_max(s + begin, end - begin, b->max[r]);
        const float rescale = fc_exp(b->max[r] - max);
        memset(s, 0, (size_t)begin * sizeof *s);
        for (int64_t i = begin; i < end; i++) s[i] = fc_exp(s[i] - max);
        memset(s + end, 0, (size_t)(b->n_keys - end) * sizeof *s);
        b->sum[r] = b->sum[r] * rescale + fc_row_sum(s, b->n_keys);
        b->max[r] = max;
        if (rescale != 1.0f) scale_row(b->z + r * b->d, b->d, rescale);
    }
}

void FC_ROWOPS(attention)(fc_cpu *cpu)
{
    cpu->softmax = softmax;
}
