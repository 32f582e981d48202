/* backend.h - the arithmetic that model and SAE code is written against.
 *
 * One table of operations, named for the mathematics and not for the caller. The CPU fills it
 * in steps, each overriding the one before: ref (plain C, the definition of truth), avx2, avx512,
 * and amx for products in bf16. `fc_backend_open` picks what the machine has; a mask (--cpu)
 * holds it back.
 *
 * Contract of every operation, unless it says otherwise:
 *   - arrays are row-major float32, 64-byte aligned at their base, and must not overlap;
 *   - a dimension of 0 is valid and does nothing;
 *   - a sum over a row uses 16 lanes, acc[i % 16] in ascending i, folded 16 -> 8 -> 4 -> 2 -> 1 by
 *     adding the upper half to the lower; so ref, avx2 and avx512 agree bit for bit;
 *   - the work is split over rows or columns, never over the summed dimension: any number of
 *     threads gives the same bytes;
 *   - NaN and infinity pass through as IEEE 754 arithmetic has it;
 *   - no operation fails or allocates: scratch memory is taken once, in fc_backend_open.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TENSOR_BACKEND_H
#define FC_TENSOR_BACKEND_H

#include <stdbool.h>

#include "formats/dtype.h"

/* How products treat their operands. Sums are float32 in both.
 *   F32   operands as they are, bf16 and f16 widened exactly
 *   BF16  operands rounded to bf16 first (to nearest, ties to even) */
typedef enum fc_precision { FC_PRECISION_F32, FC_PRECISION_BF16 } fc_precision;

/* A matrix somewhere in memory: element (i, j) is data[i * row + j * col]. Not owned.
 * dtype F32, BF16 or F16; a BF16 or F16 matrix may be unaligned (a mapped file). */
typedef struct fc_mat {
    const void *data;
    fc_dtype dtype;
    int64_t rows, cols; /* shape */
    int64_t row, col;   /* strides, in elements */
} fc_mat;

static inline fc_mat fc_mat_of(const void *data, fc_dtype dtype, int64_t rows,
                               int64_t cols)
{
    fc_mat m = {data, dtype, rows, cols, cols, 1};
    return m;
}

static inline fc_mat fc_mat_transposed(fc_mat m)
{
    fc_mat t = {m.data, m.dtype, m.cols, m.rows, m.col, m.row};
    return t;
}

/* A right operand B[k, n], laid out once as the register kernel of a precision reads it, for many
 * products. Fill in all but *data, take fc_backend_packed_bytes for data, then call op pack. */
typedef struct fc_packed {
    int64_t k, n;
    fc_precision precision;
    void *
        data; /* 64-byte aligned, owned by the caller; any number of threads may read it */
} fc_packed;

/* Rows of a sparse matrix [n_rows, n_cols] as lists, read only. Entry j < count[i] of row i is
 * value[begin[i] + j], in column index[begin[i] + j]; columns of a row ascend. */
typedef struct fc_sparse {
    int64_t n_rows, n_cols;
    const int64_t *begin, *count; /* [n_rows] */
    const int32_t *index;
    const float *value;
} fc_sparse;

/* Where op relu_rows puts the rows of a batch of features; row r of each array belongs to row r.
 *   list    index + r * index_row, value + r * value_row: the first count[r] entries
 *   whole   value + r * value_row: all n entries, zeros included; index holds nothing of use
 * A row is a list when count[r] <= n_list. */
typedef struct fc_feature_rows {
    int64_t n_list; /* -1: all rows are whole */
    int32_t *index;
    float *value;
    int64_t index_row, value_row; /* elements from row to row, >= n rounded up to 16 */
    int64_t *count;               /* entries above 0 */
    double *sum;                  /* of them; may be NULL */
    float *max;                   /* the largest, 0 when none; may be NULL */
} fc_feature_rows;

/* Ragged batch: sequence s holds the rows begin[s] .. begin[s+1]-1 of every [n_tokens, ...]
 * array, and its first row is position 0. */
typedef struct fc_ragged {
    int64_t n_seqs;
    const int64_t *begin; /* [n_seqs + 1], begin[0] = 0, non-decreasing */
} fc_ragged;

/* Shapes of one attention call; see spec: grouped queries, causal, optional sliding window. */
typedef struct fc_attention {
    int64_t n_heads, n_kv_heads,
        d_head;     /* query head h reads kv head h / (n_heads / n_kv_heads) */
    int64_t window; /* keys visible, the query included; 0 = all before it */
    float scale;    /* on q . k */
} fc_attention;

/* Scalars of one Adam step, formed in double as PyTorch does. */
typedef struct fc_adam {
    double lr, beta1, beta2, eps;
    int64_t step; /* 1, 2, ... */
} fc_adam;

typedef struct fc_backend fc_backend;

typedef struct fc_ops {
    const char *name; /* "ref", "avx2", "avx512", "amx" */

    /* C[m, n] = A[m, k] B[k, n], or C += A B when accumulate.
     *   c: [m, n] f32, c_row elements from row to row, columns adjacent    written
     *   a: any strides, b: any strides; fastest when a.col == 1, or b.row == 1 (a weight [n, k])
     * Each element is one chain of fused multiply-adds over ascending k in blocks whose size
     * depends on nothing but the precision. F32: ref, avx2, avx512 agree bit for bit.
     * BF16: products of pairs may be summed first; agrees with ref within 1e-5 of sum |a||b|. */
    void (*matmul)(fc_backend *be, float *c, int64_t c_row, fc_mat a, fc_mat b,
                   fc_precision precision, bool accumulate);

    /* Lays B out for matmul_packed. b: [to->k, to->n], any strides and type. */
    void (*pack)(fc_backend *be, const fc_packed *to, fc_mat b);

    /* C[m, n] (+)= A B with B packed; the precision is B's, the sums are those of matmul.
     *   a: [m, k]; read in place when a.col == 1 and it has the type of the precision (F32, BF16),
     *      else converted on the way.
     * Uses scratch of the calling worker only: may be called from inside a parallel loop. */
    void (*matmul_packed)(fc_backend *be, float *c, int64_t c_row, fc_mat a,
                          const fc_packed *b, bool accumulate);

    /* C[m, n] (+)= A B with A sparse: c_i = sum over the entries (j, v) of row i of v b_j.
     *   b: [a.n_cols, n], b.col == 1, F32 or BF16; fastest in the type of the precision
     * Each element is one chain of fused multiply-adds in the order of the list (from c when
     * accumulate). F32: ref, avx2, avx512 agree bit for bit. BF16: values and b are rounded to bf16,
     * products of pairs may be summed first. May be called from inside a parallel loop. */
    void (*spmm)(fc_backend *be, float *c, int64_t c_row, fc_sparse a, fc_mat b,
                 fc_precision precision, bool accumulate);

    /* Sampled dense-dense product: out[begin[i] + j] = u_i . v_(index[begin[i] + j]) at the entries of
     * a pattern; its value is not read.  u: [n_rows, k], v: [n_cols, k], col == 1 in both, F32 or BF16.
     * F32: k is cut into blocks of 384, each a sum in 16 lanes, and blocks are added in order, so that
     * a block of v stays in the cache for many rows of u. BF16: operands rounded, lanes of pairs. May
     * be called from inside a parallel loop. */
    void (*sddmm)(fc_backend *be, float *out, fc_sparse pattern, fc_mat u, fc_mat v,
                  fc_precision precision);

    /* f = max(z + bias[row], 0) as lists and whole rows.  z: [n_rows, n], z_row elements from row to
     * row, z_row a multiple of 16; bias: [n_rows]. NaN counts as 0. The sum is that of a row in
     * 16 lanes of float. May be called from inside a parallel loop. */
    void (*relu_rows)(fc_backend *be, const fc_feature_rows *to, const float *z,
                      int64_t z_row, const float *bias, int64_t n_rows, int64_t n);

    /* z += bias of its row, then max[t] = the largest key scale_r z_rt of the column; -infinity when
     * there is no row. NaN is passed over.  z: [n_rows, n] in place, z_row elements from row to row;
     * bias, scale: [n_rows], or NULL for 0 and 1; max: [n]. On the calling thread: for a block in its
     * cache. */
    void (*bias_max)(fc_backend *be, float *z, int64_t z_row, const float *bias,
                     const float *scale, float *max, int64_t n_rows, int64_t n);

    /* bound[t] <= the k-th largest of column t, and near it: 2^-16 of the distance between its largest
     * and its smallest. -infinity when fewer than k are above that.  x: [n_rows, n], x_row elements from row to row,
     * at least n rounded up to 16 (what lies behind n is read); bound: [n]; k >= 1. */
    void (*kth_bound)(fc_backend *be, float *bound, const float *x, int64_t x_row,
                      int64_t n_rows, int64_t n, int64_t k);

    /* index = the t, ascending, with scale z[t] >= bound[t]; returns their number. NaN reaches
     * nothing.  z, bound: [n]; index: room for n. On the calling thread. */
    int64_t (*reach_row)(fc_backend *be, int32_t *index, const float *z, float scale,
                         const float *bound, int64_t n);

    /* y[t] = table[id[t]] * scale.  table: [n_vocab, d] F32/BF16/F16; every id is in range. */
    void (*embed)(fc_backend *be, float *y, fc_mat table, const int32_t *id,
                  int64_t n_tokens, float scale);

    /* y = x / sqrt(mean(x^2) + eps) * (1 + w), row by row.  x, y: [n, d] (y == x is allowed),
     * w: [d] f32. */
    void (*rmsnorm)(fc_backend *be, float *y, const float *x, const float *w, int64_t n,
                    int64_t d, float eps);

    /* x += rmsnorm(y; w).  x: [n, d] read and written, y: [n, d]. */
    void (*add_rmsnorm)(fc_backend *be, float *x, const float *y, const float *w,
                        int64_t n, int64_t d, float eps);

    /* Rotates halves (NeoX layout): pairs (j, j + d/2) by angle position * inv_freq[j], the
     * angle formed in float32.  x: [n_tokens, n_heads, d] in place; position: [n_tokens]. */
    void (*rope)(fc_backend *be, float *x, const int32_t *position, const float *inv_freq,
                 int64_t n_tokens, int64_t n_heads, int64_t d);

    /* Softmax attention of each sequence on itself. BF16: q, k, v and the weights are rounded, the
     * softmax is float32.
     *   z, q: [n_tokens, n_heads, d_head]; k, v: [n_tokens, n_kv_heads, d_head] */
    void (*attention)(fc_backend *be, float *z, const float *q, const float *k,
                      const float *v, fc_ragged seqs, fc_attention shape,
                      fc_precision precision);

    /* y = gelu_tanh(gate) * up, n elements; y is F32, and may be gate or up, or it is BF16. */
    void (*gelu_mul)(fc_backend *be, void *y, fc_dtype y_dtype, const float *gate,
                     const float *up, int64_t n);

    /* x = c * tanh(x / c), n elements. */
    void (*softcap)(fc_backend *be, float *x, int64_t n, float c);

    /* nll[t] = log sum exp(logits[t]) - logits[t][target[t]].  logits: [n, n_vocab]. */
    void (*cross_entropy)(fc_backend *be, float *nll, const float *logits,
                          const int32_t *target, int64_t n, int64_t n_vocab);

    /* kl[t] = sum over v of p_v log(p_v / q_v), p = softmax(a[t]), q = softmax(b[t]); a sum of
     * rounded terms, so equal rows give 0 and others may come out below it by that much.
     *   a, b: [n, n_vocab] logits (b == a is allowed); kl: [n] */
    void (*kl_divergence)(fc_backend *be, float *kl, const float *a, const float *b,
                          int64_t n, int64_t n_vocab);

    /* y = x - v for each row.  x, y: [n, d] (y == x is allowed), v: [d]. */
    void (*sub_row)(fc_backend *be, float *y, const float *x, const float *v, int64_t n,
                    int64_t d);

    /* Each row to unit L2 norm times scale; a zero row stays zero.  x: [n, d] in place;
     * norm: [n] the norms before, or NULL. */
    void (*unit_rows)(fc_backend *be, float *x, float *norm, int64_t n, int64_t d,
                      float scale);

    /* dz = f > 0 ? g + add[row] : 0 in place of g, and sum[row] = sum of dz over the row.
     *   g, f: [n_rows, n]; add, sum: [n_rows] */
    void (*relu_grad)(fc_backend *be, float *g, const float *f, const float *add,
                      float *sum, int64_t n_rows, int64_t n);

    /* Squared error and its gradient.  y: [n, d] reconstruction without bias, becomes
     * scale * (y + b - x); returns the sum of (y + b - x)^2, row sums folded in row order in
     * double. */
    double (*mse_grad)(fc_backend *be, float *y, const float *b, const float *x,
                       int64_t n, int64_t d, float scale);

    /* out[j] = sum over rows of x[i][j], double, rows in ascending order within blocks of 256
     * rows, blocks in order.  x: [n, d]; out: [d]. */
    void (*col_sum)(fc_backend *be, double *out, const float *x, int64_t n, int64_t d);

    /* Sum of squares, as double, rows of 4096 elements folded in order. */
    double (*sum_sq)(fc_backend *be, const float *x, int64_t n);

    /* norm[i] = L2 norm of row i.  x: [n, d] */
    void (*row_norms)(fc_backend *be, float *norm, const float *x, int64_t n, int64_t d);

    /* g_i -= (g_i . w_i) w_i for each row (rows of w have unit norm).  g, w: [n, d] */
    void (*project_rows)(fc_backend *be, float *g, const float *w, int64_t n, int64_t d);

    /* x *= s, n elements.  y += s * x per row: y_i += s_i x_i, [n, d]. */
    void (*scale)(fc_backend *be, float *x, int64_t n, float s);
    void (*add_scaled_rows)(fc_backend *be, float *y, const float *s, const float *x,
                            int64_t n, int64_t d);

    /* One Adam step as torch.optim.Adam takes it (no weight decay, no amsgrad), n elements:
     *   m += (g - m)(1 - b1);  v = b2 v + (1 - b2) g^2
     *   w -= lr / (1 - b1^step) * m / (sqrt(v) / sqrt(1 - b2^step) + eps)
     * Then m below FLT_MIN becomes 0: subnormals are slow, and the row of a feature that has fallen
     * silent comes to rest exactly. May be called from inside a parallel loop. */
    void (*adam)(fc_backend *be, float *w, float *m, float *v, const float *g, int64_t n,
                 const fc_adam *adam);

    /* y = x as another type: F32 <-> BF16, n elements. */
    void (*convert)(fc_backend *be, void *y, fc_dtype y_dtype, const void *x,
                    fc_dtype x_dtype, int64_t n);
} fc_ops;

struct fc_backend {
    const fc_ops *ops;
    void *state; /* scratch memory, owned */
};

/* cpu: NULL or "native" for the best this machine has, or "ref", "avx2", "avx512", "amx".
 * Asking for more than the machine has is an error that names what it has. Uses fc_par threads,
 * at most as many as there are when it is opened; one backend serves one caller at a time. */
fc_status fc_backend_open(fc_backend **be, const char *cpu, fc_err *err);
void fc_backend_close(fc_backend *be);

int64_t fc_backend_packed_bytes(const fc_backend *be, int64_t k, int64_t n,
                                fc_precision precision);

/* Share of entries above 0 from which dense products are faster than spmm and sddmm. A constant of
 * the kernel, measured once, so that what a program does depends on its data alone. */
double fc_backend_dense_share(const fc_backend *be, fc_precision precision);

/* Whether BF16 products are faster here than F32 ones ("auto" precision picks by it). */
bool fc_backend_prefers_bf16(const fc_backend *be);

#endif
