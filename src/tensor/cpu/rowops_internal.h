/* rowops_internal.h - how rowops_*.c are written so that three compilations agree bit for bit.
 *
 * Each of those files is compiled with FC_ISA = ref, avx2 and avx512 and flags to match, and
 * exports one function per instruction set, which enters its operations in the table.
 *
 * Elementwise loops are plain C that compilers vectorise. Sums over a row are spelled on 16
 * lanes, which are one register, two, or four as the machine has them. Every step is exactly
 * rounded (+ - * / sqrt fma), so the width in hardware cannot show in a result.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TENSOR_CPU_ROWOPS_INTERNAL_H
#define FC_TENSOR_CPU_ROWOPS_INTERNAL_H

#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#    include <immintrin.h>
#endif

#include "base/par.h"
#include "tensor/cpu/cpu_internal.h"
#include "tensor/cpu/math_internal.h"

/* FC_ROWOPS(norm) is fc_rowops_norm_avx2 in the avx2 compilation. */
#define FC_ROWOPS_PASTE(group, isa)  fc_rowops_##group##_##isa
#define FC_ROWOPS_EXPAND(group, isa) FC_ROWOPS_PASTE(group, isa)
#define FC_ROWOPS(group)             FC_ROWOPS_EXPAND(group, FC_ISA)

#define FC_ROWOPS_DECLARE(isa)                \
    void fc_rowops_norm_##isa(fc_cpu *cpu);   \
    void fc_rowops_elem_##isa(fc_cpu *cpu);   \
    void fc_rowops_sae_##isa(fc_cpu *cpu);    \
    void fc_rowops_sparse_##isa(fc_cpu *cpu); \
    void fc_rowops_relu_##isa(fc_cpu *cpu);   \
    void fc_rowops_select_##isa(fc_cpu *cpu); \
    void fc_rowops_attention_##isa(fc_cpu *cpu);
FC_ROWOPS_DECLARE(ref)
FC_ROWOPS_DECLARE(avx2)
FC_ROWOPS_DECLARE(avx512)

/* Before a loop whose iterations are independent although two of its arrays may be the same. */
#if defined(__clang__)
#    define FC_EACH _Pragma("clang loop vectorize(assume_safety)")
#else
#    define FC_EACH _Pragma("GCC ivdep")
#endif

/* Elements that one chunk of a parallel loop works on: 64 KiB of each array. */
enum { FC_CHUNK = 16384 };

static inline int64_t fc_rows_per_chunk(int64_t d)
{
    return fc_max(1, FC_CHUNK / fc_max(d, 1));
}

/* 16 partial results of a row, lane i % 16 for element i. The one place where a width shows:
 * compilers do not find these loops by themselves. */
#if defined(__AVX512F__)

typedef struct fc_lanes {
    __m512 all;
} fc_lanes;

static inline void fc_lanes_set(fc_lanes *lanes, float x)
{
    lanes->all = _mm512_set1_ps(x);
}

static inline void fc_lanes_load(fc_lanes *lanes, const float *x)
{
    lanes->all = _mm512_loadu_ps(x);
}

static inline void fc_lanes_store(float part[16], const fc_lanes *lanes)
{
    _mm512_storeu_ps(part, lanes->all);
}

/* Each lane takes in one of 16 elements: += x y, += s x, += x, the larger of the two. */
static inline void fc_lanes_dot(fc_lanes *lanes, const float *x, const float *y)
{
    lanes->all = _mm512_fmadd_ps(_mm512_loadu_ps(x), _mm512_loadu_ps(y), lanes->all);
}

static inline void fc_lanes_add_scaled(fc_lanes *lanes, float s, const float *x)
{
    lanes->all = _mm512_fmadd_ps(_mm512_set1_ps(s), _mm512_loadu_ps(x), lanes->all);
}

static inline void fc_lanes_sum(fc_lanes *lanes, const float *x)
{
    lanes->all = _mm512_add_ps(lanes->all, _mm512_loadu_ps(x));
}

static inline void fc_lanes_max(fc_lanes *lanes, const float *x)
{
    lanes->all = _mm512_max_ps(_mm512_loadu_ps(x), lanes->all);
}

#elif defined(__AVX2__)

typedef struct fc_lanes {
    __m256 low, high;
} fc_lanes;

static inline void fc_lanes_set(fc_lanes *lanes, float x)
{
    lanes->low = lanes->high = _mm256_set1_ps(x);
}

static inline void fc_lanes_load(fc_lanes *lanes, const float *x)
{
    lanes->low = _mm256_loadu_ps(x);
    lanes->high = _mm256_loadu_ps(x + 8);
}

static inline void fc_lanes_store(float part[16], const fc_lanes *lanes)
{
    _mm256_storeu_ps(part, lanes->low);
    _mm256_storeu_ps(part + 8, lanes->high);
}

static inline void fc_lanes_dot(fc_lanes *lanes, const float *x, const float *y)
{
    lanes->low = _mm256_fmadd_ps(_mm256_loadu_ps(x), _mm256_loadu_ps(y), lanes->low);
    lanes->high =
        _mm256_fmadd_ps(_mm256_loadu_ps(x + 8), _mm256_loadu_ps(y + 8), lanes->high);
}

static inline void fc_lanes_add_scaled(fc_lanes *lanes, float s, const float *x)
{
    const __m256 factor = _mm256_set1_ps(s);
    lanes->low = _mm256_fmadd_ps(factor, _mm256_loadu_ps(x), lanes->low);
    lanes->high = _mm256_fmadd_ps(factor, _mm256_loadu_ps(x + 8), lanes->high);
}

static inline void fc_lanes_sum(fc_lanes *lanes, const float *x)
{
    lanes->low = _mm256_add_ps(lanes->low, _mm256_loadu_ps(x));
    lanes->high = _mm256_add_ps(lanes->high, _mm256_loadu_ps(x + 8));
}

static inline void fc_lanes_max(fc_lanes *lanes, const float *x)
{
    lanes->low = _mm256_max_ps(_mm256_loadu_ps(x), lanes->low);
    lanes->high = _mm256_max_ps(_mm256_loadu_ps(x + 8), lanes->high);
}

#else

typedef struct fc_lanes {
    float at[16];
} fc_lanes;

static inline void fc_lanes_set(fc_lanes *lanes, float x)
{
    for (int l = 0; l < 16; l++) lanes->at[l] = x;
}

static inline void fc_lanes_load(fc_lanes *lanes, const float *x)
{
    memcpy(lanes->at, x, sizeof lanes->at);
}

static inline void fc_lanes_store(float part[16], const fc_lanes *lanes)
{
    memcpy(part, lanes->at, sizeof lanes->at);
}

static inline void fc_lanes_dot(fc_lanes *lanes, const float *x, const float *y)
{
    for (int l = 0; l < 16; l++) lanes->at[l] = fmaf(x[l], y[l], lanes->at[l]);
}

static inline void fc_lanes_add_scaled(fc_lanes *lanes, float s, const float *x)
{
    for (int l = 0; l < 16; l++) lanes->at[l] = fmaf(s, x[l], lanes->at[l]);
}

static inline void fc_lanes_sum(fc_lanes *lanes, const float *x)
{
    for (int l = 0; l < 16; l++) lanes->at[l] += x[l];
}

static inline void fc_lanes_max(fc_lanes *lanes, const float *x)
{
    for (int l = 0; l < 16; l++) lanes->at[l] = x[l] > lanes->at[l] ? x[l] : lanes->at[l];
}

#endif

/* 16 -> 8 -> 4 -> 2 -> 1, the upper half added to the lower. */
static inline float fc_lanes_fold(const fc_lanes *lanes)
{
    float part[16];
    fc_lanes_store(part, lanes);
    for (int half = 8; half > 0; half /= 2)
        for (int l = 0; l < half; l++) part[l] += part[l + half];
    return part[0];
}

/* The same of four, at once where there are vectors. */
static inline void fc_lanes_fold_four(float out[4], const fc_lanes lanes[4])
{
#if defined(__AVX2__)
    __m128 q[4];
    for (int r = 0; r < 4; r++) {
#    if defined(__AVX512F__)
        const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(lanes[r].all),
                                          _mm512_extractf32x8_ps(lanes[r].all, 1));
#    else
        const __m256 half = _mm256_add_ps(lanes[r].low, lanes[r].high);
#    endif
        q[r] = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    }
    /* sums of elements 0 and 2, 1 and 3, of two rows at a time */
    const __m128 first =
        _mm_add_ps(_mm_unpacklo_ps(q[0], q[1]), _mm_unpackhi_ps(q[0], q[1]));
    const __m128 second =
        _mm_add_ps(_mm_unpacklo_ps(q[2], q[3]), _mm_unpackhi_ps(q[2], q[3]));
    _mm_storeu_ps(out,
                  _mm_add_ps(_mm_movelh_ps(first, second), _mm_movehl_ps(second, first)));
#else
    for (int r = 0; r < 4; r++) out[r] = fc_lanes_fold(&lanes[r]);
#endif
}

/* The last elements of a row, n < 16, with `fill` behind them. */
static inline void fc_lanes_rest(float rest[16], const float *x, int64_t n, float fill)
{
    for (int64_t l = 0; l < 16; l++) rest[l] = l < n ? x[l] : fill;
}

static inline float fc_row_dot(const float *x, const float *y, int64_t n)
{
    fc_lanes lanes;
    int64_t i = 0;
    fc_lanes_set(&lanes, 0.0f);
    for (; i + 16 <= n; i += 16) fc_lanes_dot(&lanes, x + i, y + i);
    if (i < n) {
        float x_rest[16], y_rest[16];
        fc_lanes_rest(x_rest, x + i, n - i, 0.0f);
        fc_lanes_rest(y_rest, y + i, n - i, 0.0f);
        fc_lanes_dot(&lanes, x_rest, y_rest);
    }
    return fc_lanes_fold(&lanes);
}

static inline float fc_row_sum(const float *x, int64_t n)
{
    fc_lanes lanes;
    int64_t i = 0;
    fc_lanes_set(&lanes, 0.0f);
    for (; i + 16 <= n; i += 16) fc_lanes_sum(&lanes, x + i);
    if (i < n) {
        float rest[16];
        fc_lanes_rest(rest, x + i, n - i, 0.0f);
        fc_lanes_sum(&lanes, rest);
    }
    return fc_lanes_fold(&lanes);
}

/* The largest element; `least` where the row is empty or has nothing above it. NaN is passed
 * over. */
static inline float fc_row_max(const float *x, int64_t n, float least)
{
    fc_lanes lanes;
    int64_t i = 0;
    fc_lanes_set(&lanes, least);
    for (; i + 16 <= n; i += 16) fc_lanes_max(&lanes, x + i);
    if (i < n) {
        float rest[16];
        fc_lanes_rest(rest, x + i, n - i, least);
        fc_lanes_max(&lanes, rest);
    }
    float part[16], largest = least;
    fc_lanes_store(part, &lanes);
    for (int l = 0; l < 16; l++) largest = part[l] > largest ? part[l] : largest;
    return largest;
}

#endif
