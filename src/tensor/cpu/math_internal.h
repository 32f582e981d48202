/* math_internal.h - exp, tanh, sin and cos in float32, branch free, so that loops over them
 * become vector code and every instruction set computes the same bits.
 *
 * Only + - * / and fmaf, which are exactly rounded everywhere. Largest errors against the exact
 * value: exp 0.9 ulp, tanh 1.3 ulp, sin and cos 0.6 ulp of 1 for angles below 100,000.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TENSOR_CPU_MATH_INTERNAL_H
#define FC_TENSOR_CPU_MATH_INTERNAL_H

#include <math.h>

#include "formats/float_bits.h"

/* Adding 1.5 * 2^23 rounds to an integer, which then sits in the low bits of the sum. */
#define FC_ROUNDER 0x1.8p23f

/* e^x = 2^n e^r with n = round(x / ln 2), |r| <= ln 2 / 2. Two factors make 2^n, so that results
 * below the normal range come out rounded rather than as zero. */
static inline float fc_exp(float x)
{
    float v = x < -104.0f ? -104.0f : x;
    v = v > 89.0f ? 89.0f : v;
    const float shifted = fmaf(v, 0x1.715476p+0f, FC_ROUNDER);
    const float n = shifted - FC_ROUNDER;
    const float r = fmaf(n, -0x1.7f7d1cp-20f, fmaf(n, -0x1.62e4p-1f, v));
    float p = fmaf(0x1.694p-10f, r, 0x1.125edcp-7f);
    p = fmaf(p, r, 0x1.555b5ap-5f);
    p = fmaf(p, r, 0x1.55545p-3f);
    p = fmaf(p, r, 0x1.fffff6p-2f);
    p = fmaf(p, r, 1.0f);
    p = fmaf(p, r, 1.0f);
    /* n + 256 in 0 .. 511; half of it rounded down, and the rest. */
    const uint32_t biased = fc_bits_of_f32(shifted) - 0x4b400000u + 256u;
    const uint32_t half = biased >> 1;
    const float first = fc_f32_of_bits((half - 128u + 127u) << 23);
    const float second = fc_f32_of_bits((biased - half - 128u + 127u) << 23);
    return p * first * second;
}

/* Small arguments by an odd polynomial (Cephes), others by 1 - 2 / (e^2x + 1). */
static inline float fc_tanh(float x)
{
    const float magnitude = fabsf(x), square = x * x;
    const float far = 1.0f - 2.0f / (fc_exp(2.0f * magnitude) + 1.0f);
    float p = fmaf(-0x1.75e1d4p-8f, square, 0x1.52269cp-6f);
    p = fmaf(p, square, -0x1.b83c5ap-5f);
    p = fmaf(p, square, 0x1.110726p-3f);
    p = fmaf(p, square, -0x1.555532p-2f);
    const float near = fmaf(p * square, x, x);
    const float signed_far = x < 0.0f ? -far : far;
    return magnitude < 0.625f ? near : signed_far;
}

/* 0.5 x (1 + tanh(s)) with s = sqrt(2/pi) (x + 0.044715 x^3), as x / (1 + e^-2s): the same
 * function, and no cancellation where tanh is near -1. */
static inline float fc_gelu_tanh(float x)
{
    const float s = 0x1.988454p-1f * fmaf(0.044715f * x * x, x, x);
    return x / (1.0f + fc_exp(-2.0f * s));
}

/* Largest angle whose quadrant the reduction below can count. */
#define FC_SIN_COS_LIMIT 1e6f

/* The angle less a multiple of pi/2, which is taken in three parts: the first subtraction is
 * exact. Then one polynomial each, swapped and signed by the quadrant. */
static inline void fc_sin_cos(float angle, float *sine, float *cosine)
{
    const float shifted = fmaf(angle, 0x1.45f306p-1f, FC_ROUNDER);
    const float n = shifted - FC_ROUNDER;
    float r = fmaf(n, -0x1.921fb6p+0f, angle);
    r = fmaf(n, 0x1.777a5cp-25f, r);
    r = fmaf(n, 0x1.ee59dap-50f, r);
    const float square = r * r;
    float s = fmaf(0x1.80ap-19f, square, -0x1.a0690cp-13f);
    s = fmaf(s, square, 0x1.111182p-7f);
    s = fmaf(s, square, -0x1.555556p-3f);
    s = fmaf(s, r * square, r);
    float c = fmaf(0x1.9a8p-16f, square, -0x1.6c0efap-10f);
    c = fmaf(c, square, 0x1.55555p-5f);
    c = fmaf(c, square, -0.5f);
    c = fmaf(c, square, 1.0f);
    const uint32_t quadrant = fc_bits_of_f32(shifted);
    const float for_sine = (quadrant & 1u) != 0 ? c : s;
    const float for_cosine = (quadrant & 1u) != 0 ? s : c;
    *sine = fc_f32_of_bits(fc_bits_of_f32(for_sine) ^ ((quadrant & 2u) << 30));
    *cosine = fc_f32_of_bits(fc_bits_of_f32(for_cosine) ^ (((quadrant + 1u) & 2u) << 30));
}

#endif
