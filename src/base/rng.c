/* rng.c - Philox4x32-10: ten rounds of two 32 x 32 -> 64 bit products over a 128-bit counter.
 *
 *   key = seed,  counter = (index, stream)   each 64 bits, low word first
 *
 * Counter-based instead of a running state: number i costs the same whoever asks for it, so
 * threads and resumed runs need no hand-over. Salmon et al., "Parallel random numbers: as easy
 * as 1, 2, 3", SC 2011.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"

#include <math.h>

static const uint32_t MULTIPLIER_0 = 0xD2511F53, MULTIPLIER_1 = 0xCD9E8D57;
static const uint32_t WEYL_0 = 0x9E3779B9, WEYL_1 = 0xBB67AE85; /* key steps */
static const double TWO_PI = 6.28318530717958647692;

void fc_rng_block(uint64_t seed, uint64_t stream, uint64_t index, uint32_t out[4])
{
    enum { ROUNDS = 10 };
    uint32_t key_0 = (uint32_t)seed, key_1 = (uint32_t)(seed >> 32);
    uint32_t c[4] = {(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)stream,
                     (uint32_t)(stream >> 32)};
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t product_0 = (uint64_t)MULTIPLIER_0 * c[0];
        const uint64_t product_1 = (uint64_t)MULTIPLIER_1 * c[2];
        c[0] = (uint32_t)(product_1 >> 32) ^ c[1] ^ key_0;
        c[1] = (uint32_t)product_1;
        c[2] = (uint32_t)(product_0 >> 32) ^ c[3] ^ key_1;
        c[3] = (uint32_t)product_0;
        key_0 += WEYL_0;
        key_1 += WEYL_1;
    }
    for (int i = 0; i < 4; i++) out[i] = c[i];
}

static uint64_t pair(uint32_t low, uint32_t high)
{
    return (uint64_t)high << 32 | low;
}

/* The upper 53 bits as k / 2^53. */
static double unit(uint64_t bits)
{
    return (double)(bits >> 11) * 0x1p-53;
}

uint64_t fc_rng_u64(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint32_t word[4];
    fc_rng_block(seed, stream, index, word);
    return pair(word[0], word[1]);
}

double fc_rng_uniform(uint64_t seed, uint64_t stream, uint64_t index)
{
    return unit(fc_rng_u64(seed, stream, index));
}

double fc_rng_normal(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint32_t word[4];
    fc_rng_block(seed, stream, index, word);
    const double radius =
        sqrt(-2 * log(1 - unit(pair(word[0], word[1])))); /* 1 - u > 0 */
    return radius * cos(TWO_PI * unit(pair(word[2], word[3])));
}

/* Position i is swapped with one of 0..i, drawn from number i of the stream. The remainder of
 * 64 random bits by less than 2^32 is uneven by less than 2^-32. */
void fc_rng_permutation(uint64_t seed, uint64_t stream, int64_t n, uint32_t *out)
{
    FC_ASSERT(n <= UINT32_MAX);
    for (int64_t i = 0; i < n; i++) out[i] = (uint32_t)i;
    for (int64_t i = n - 1; i > 0; i--) {
        const uint64_t j = fc_rng_u64(seed, stream, (uint64_t)i) % (uint64_t)(i + 1);
        const uint32_t other = out[j];
        out[j] = out[i];
        out[i] = other;
    }
}
