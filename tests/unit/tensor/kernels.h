/* kernels.h - what the kernel tests share: every instruction set of this machine, numbers from
 * a counter, and arrays with guards on both sides.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TEST_KERNELS_H
#define FC_TEST_KERNELS_H

#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/par.h"
#include "base/rng.h"
#include "tensor/backend.h"

static const char *const isa_names[] = {"ref", "avx2", "avx512", "amx"};
enum { N_ISAS = 4 };

/* The backends of this machine, ref first; returns how many. */
static inline int open_backends(fc_backend *be[N_ISAS])
{
    int n = 0;
    for (int i = 0; i < N_ISAS; i++) {
        fc_err err = {0};
        if (fc_backend_open(&be[n], isa_names[i], &err) == FC_OK) n++;
    }
    assert_true(n >= 1);
    return n;
}

static inline void close_backends(fc_backend *be[N_ISAS], int n)
{
    for (int i = 0; i < n; i++) fc_backend_close(be[i]);
}

/* An array of n floats with 64 bytes of a pattern before and after. */
typedef struct guarded {
    float *at; /* the array, 64-byte aligned */
    int64_t n;
    unsigned char *base;
} guarded;

enum { GUARD_BYTES = 64 };

static inline guarded guarded_new(int64_t n)
{
    guarded g = {.n = n};
    fc_err err = {0};
    fc_assert_ok(fc_alloc(&g.base, n * 4 + 2 * GUARD_BYTES, 1, "a test array", &err),
                 &err);
    memset(g.base, 0xa5, (size_t)n * 4 + 2 * GUARD_BYTES);
    g.at = (float *)(void *)(g.base + GUARD_BYTES);
    return g;
}

static inline void guarded_free(guarded g)
{
    const unsigned char *const after = g.base + GUARD_BYTES + g.n * 4;
    for (int i = 0; i < GUARD_BYTES; i++) {
        assert_int_equal(g.base[i], 0xa5);
        assert_int_equal(after[i], 0xa5);
    }
    fc_free(g.base);
}

/* Normal numbers; `stream` tells arrays of one test apart. */
static inline void fill_normal(float *x, int64_t n, uint64_t stream)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)fc_rng_normal(7, FC_RNG_TEST + 1000000 * stream, (uint64_t)i);
}

static inline guarded guarded_normal(int64_t n, uint64_t stream)
{
    const guarded g = guarded_new(n);
    fill_normal(g.at, n, stream);
    return g;
}

static inline guarded guarded_copy(const float *x, int64_t n)
{
    const guarded g = guarded_new(n);
    if (n > 0) memcpy(g.at, x, (size_t)n * sizeof *x);
    return g;
}

#endif
