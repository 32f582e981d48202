/* sparse_avx512bf16.c - kernels of the sparse products in bf16 with vdpbf16ps.
 *
 * The instruction adds two products to each sum, so rows are gathered in pairs:
 *
 *   x  row i      x0 x1 x2 ... x31          32 columns
 *   y  row i+1    y0 y1 y2 ... y31
 *   low           x0 y0 .. x3 y3   x8 y8 .. x11 y11   ...    sums of columns 0-3, 8-11, 16-19, 24-27
 *   high          x4 y4 .. x7 y7   x12 y12 ..         ...    the others
 *
 * Unpacking works inside quarters of a register; the sums stay in this order for a whole list and
 * are put in that of the columns once at its end. An odd last row pairs with zero. Subnormal
 * operands count as zero.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <immintrin.h>

#include "base/macros.h"
#include "tensor/cpu/sparse_internal.h"

enum {
    GROUP = 32,                   /* columns */
    MOST = FC_SPARSE_COLS / GROUP /* groups of a panel */
};

static const unsigned char *row_of(const fc_sparse_panel *panel, int64_t row)
{
    return panel->data + row * panel->row_bytes;
}

/* Columns of a group, `lanes` of them real, as bf16; the others are not read and are zero. */
__attribute__((always_inline)) static inline __m512i
load_group(const unsigned char *row, int64_t group, const fc_dtype dtype, __mmask32 lanes)
{
    if (dtype == FC_BF16) return _mm512_maskz_loadu_epi16(lanes, row + group * GROUP * 2);
    const unsigned char *const p = row + group * GROUP * 4;
    const __m512 low = _mm512_maskz_loadu_ps((__mmask16)lanes, p);
    const __m512 high = _mm512_maskz_loadu_ps((__mmask16)(lanes >> 16), p + 64);
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

/* --- gather ------------------------------------------------------------------------------- */

/* Sums of a group, in the order of the columns and in that of the unpacked pairs. */
static inline void load_sums(__m512 sum[2], const float *c, __mmask32 lanes)
{
    const __m512 first = _mm512_maskz_loadu_ps((__mmask16)lanes, c);
    const __m512 second = _mm512_maskz_loadu_ps((__mmask16)(lanes >> 16), c + 16);
    sum[0] = _mm512_shuffle_f32x4(first, second, 0x88);
    sum[1] = _mm512_shuffle_f32x4(first, second, 0xdd);
}

static inline void store_sums(float *c, const __m512 sum[2], __mmask32 lanes)
{
    const __m512i front = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    const __m512i back = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    const __m512d low = _mm512_castps_pd(sum[0]), high = _mm512_castps_pd(sum[1]);
    _mm512_mask_storeu_ps(c, (__mmask16)lanes,
                          _mm512_castpd_ps(_mm512_permutex2var_pd(low, front, high)));
    _mm512_mask_storeu_ps(c + 16, (__mmask16)(lanes >> 16),
                          _mm512_castpd_ps(_mm512_permutex2var_pd(low, back, high)));
}

/* Both values as bf16 in every lane. */
static inline __m512bh pair_of(float even, float odd)
{
    const __m128 pair = _mm_unpacklo_ps(_mm_set_ss(even), _mm_set_ss(odd));
    return (__m512bh)_mm512_broadcastd_epi32((__m128i)_mm_cvtneps_pbh(pair));
}

__attribute__((always_inline)) static inline void add_pair(__m512 sum[2], __m512i x,
                                                           __m512i y, __m512bh pair)
{
    sum[0] = _mm512_dpbf16_ps(sum[0], (__m512bh)_mm512_unpacklo_epi16(x, y), pair);
    sum[1] = _mm512_dpbf16_ps(sum[1], (__m512bh)_mm512_unpackhi_epi16(x, y), pair);
}

/* n_groups groups of columns from group `at` on. */
__attribute__((always_inline)) static inline void
gather_groups(const int n_groups, const fc_dtype dtype, __mmask32 lanes, float *c,
              const fc_sparse_list *list, const fc_sparse_panel *b, int64_t at,
              bool accumulate)
{
    const int64_t size = dtype == FC_F32 ? 4 : 2, offset = at * GROUP * size;
    const int64_t n = list->count, last = n - 1;
    __m512 sum[MOST][2];
#pragma GCC unroll 12
    for (int g = 0; g < n_groups; g++) {
        sum[g][0] = sum[g][1] = _mm512_setzero_ps();
        if (accumulate) load_sums(sum[g], c + (at + g) * GROUP, lanes);
    }
    for (int64_t i = 0; i < last; i += 2) {
        const unsigned char *const x = row_of(b, list->index[i]) + offset;
        const unsigned char *const y = row_of(b, list->index[i + 1]) + offset;
        const unsigned char *const next_x =
            row_of(b, list->index[fc_min(i + FC_SPARSE_AHEAD, last)]) + offset;
        const unsigned char *const next_y =
            row_of(b, list->index[fc_min(i + FC_SPARSE_AHEAD + 1, last)]) + offset;
        const __m512bh pair = pair_of(list->value[i], list->value[i + 1]);
#pragma GCC unroll 12
        for (int g = 0; g < n_groups; g++) {
            if (b->is_far) {
                __builtin_prefetch(next_x + g * GROUP * size);
                __builtin_prefetch(next_y + g * GROUP * size);
            }
            add_pair(sum[g], load_group(x, g, dtype, lanes),
                     load_group(y, g, dtype, lanes), pair);
        }
    }
    if (n % 2 != 0) {
        const unsigned char *const x = row_of(b, list->index[last]) + offset;
        const __m512bh pair = pair_of(list->value[last], 0.0f);
#pragma GCC unroll 12
        for (int g = 0; g < n_groups; g++)
            add_pair(sum[g], load_group(x, g, dtype, lanes), _mm512_setzero_si512(),
                     pair);
    }
#pragma GCC unroll 12
    for (int g = 0; g < n_groups; g++) store_sums(c + (at + g) * GROUP, sum[g], lanes);
}

__attribute__((always_inline)) static inline void
gather_type(const fc_dtype dtype, float *c, const fc_sparse_list *list,
            const fc_sparse_panel *b, bool accumulate)
{
    const __mmask32 all = ~(__mmask32)0;
    const int64_t n_whole = b->n_cols / GROUP, n_rest = b->n_cols % GROUP;
    int64_t at = 0;
    for (; at + MOST <= n_whole; at += MOST)
        gather_groups(MOST, dtype, all, c, list, b, at, accumulate);
    for (; at + 4 <= n_whole; at += 4)
        gather_groups(4, dtype, all, c, list, b, at, accumulate);
    for (; at < n_whole; at++) gather_groups(1, dtype, all, c, list, b, at, accumulate);
    if (n_rest > 0)
        gather_groups(1, dtype, ((__mmask32)1 << n_rest) - 1, c, list, b, at, accumulate);
}

static void gather(float *c, fc_sparse_list list, const fc_sparse_panel *b,
                   bool accumulate)
{
    if (b->dtype == FC_BF16)
        gather_type(FC_BF16, c, &list, b, accumulate);
    else
        gather_type(FC_F32, c, &list, b, accumulate);
}

/* --- dots --------------------------------------------------------------------------------- */

/* The sums of four registers. */
static inline __m128 fold_four(const __m512 sum[4])
{
    __m128 q[4];
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++) {
        const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(sum[r]),
                                          _mm512_extractf32x8_ps(sum[r], 1));
        q[r] = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    }
    const __m128 first =
        _mm_add_ps(_mm_unpacklo_ps(q[0], q[1]), _mm_unpackhi_ps(q[0], q[1]));
    const __m128 second =
        _mm_add_ps(_mm_unpacklo_ps(q[2], q[3]), _mm_unpackhi_ps(q[2], q[3]));
    return _mm_add_ps(_mm_movelh_ps(first, second), _mm_movehl_ps(second, first));
}

/* u as bf16 in `x`, its last group filled up with zeros: what v has there is not read. */
__attribute__((always_inline)) static inline void
dots_type(const fc_dtype dtype, float *out, const fc_sparse_list *list, const __m512i *x,
          const fc_sparse_panel *v, bool accumulate)
{
    const int64_t n_whole = v->n_cols / GROUP, last = list->count - 1;
    const __mmask32 all = ~(__mmask32)0, rest = ((__mmask32)1 << v->n_cols % GROUP) - 1;
    for (int64_t i = 0; i <= last; i += 4) {
        const unsigned char *row[4];
        __m512 sum[4];
#pragma GCC unroll 4
        for (int r = 0; r < 4; r++) { /* fewer than four: the last one again */
            row[r] = row_of(v, list->index[fc_min(i + r, last)]);
            sum[r] = _mm512_setzero_ps();
        }
        for (int64_t g = 0; g < n_whole; g++) {
#pragma GCC unroll 4
            for (int r = 0; r < 4; r++)
                sum[r] = _mm512_dpbf16_ps(sum[r], (__m512bh)x[g],
                                          (__m512bh)load_group(row[r], g, dtype, all));
        }
        if (rest != 0) {
#pragma GCC unroll 4
            for (int r = 0; r < 4; r++)
                sum[r] =
                    _mm512_dpbf16_ps(sum[r], (__m512bh)x[n_whole],
                                     (__m512bh)load_group(row[r], n_whole, dtype, rest));
        }
        __m128 four = fold_four(sum);
        const __mmask8 real = (__mmask8)((1u << fc_min(4, last + 1 - i)) - 1);
        if (accumulate) four = _mm_add_ps(four, _mm_maskz_loadu_ps(real, out + i));
        _mm_mask_storeu_ps(out + i, real, four);
    }
}

static void dots(float *out, fc_sparse_list list, const fc_sparse_panel *u,
                 const fc_sparse_panel *v, bool accumulate)
{
    __m512i x[MOST];
    for (int64_t g = 0; g * GROUP < u->n_cols; g++) {
        const int64_t n = u->n_cols - g * GROUP;
        const __mmask32 lanes = n >= GROUP ? ~(__mmask32)0 : ((__mmask32)1 << n) - 1;
        x[g] = load_group(u->data, g, u->dtype, lanes);
    }
    if (v->dtype == FC_BF16)
        dots_type(FC_BF16, out, &list, x, v, accumulate);
    else
        dots_type(FC_F32, out, &list, x, v, accumulate);
}

const fc_sparse_kernels fc_sparse_avx512bf16 = {gather, dots};
