/* float_bits.h - the short floating point formats as bit patterns, branch free and inline.
 *
 *   bf16   s eeeeeeee mmmmmmm             the upper half of a float32
 *   f16    s eeeee mmmmmmmmmm             exponent bias 15, subnormals below 2^-14
 *
 * Inline because the products compile them once per instruction set; everyone else calls the
 * functions of dtype.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FORMATS_FLOAT_BITS_H
#define FC_FORMATS_FLOAT_BITS_H

#include <stdint.h>
#include <string.h>

static inline float fc_f32_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t fc_bits_of_f32(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Nearest, ties to even, as the upper 16 bits. A NaN stays one: its quiet bit is set, since
 * rounding could carry it into infinity. */
static inline uint32_t fc_bf16_bits_of_f32(float x)
{
    const uint32_t bits = fc_bits_of_f32(x);
    const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    const uint32_t quiet = (bits >> 16) | 0x40u;
    return (bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded;
}

/* Exact. A subnormal is made by letting the float unit normalise 2^-14 (1 + m) - 2^-14. */
static inline float fc_f32_of_f16_bits(uint32_t half)
{
    const uint32_t sign = (half & 0x8000u) << 16;
    const uint32_t magnitude = (half & 0x7fffu) << 13;
    const uint32_t exponent = magnitude & 0x0f800000u;
    const uint32_t normal = magnitude + ((127u - 15u) << 23);
    const uint32_t special = normal + ((128u - 16u) << 23); /* infinity, NaN */
    const float subnormal =
        fc_f32_of_bits(normal + (1u << 23)) - fc_f32_of_bits(113u << 23);
    uint32_t bits = exponent == 0x0f800000u ? special : normal;
    bits = exponent == 0 ? fc_bits_of_f32(subnormal) : bits;
    return fc_f32_of_bits(bits | sign);
}

#endif
