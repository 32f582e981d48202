/* bench_matmul.c - speed of the matrix product at the shapes that matter, beside oneDNN.
 *
 *   bench_matmul [ref|avx2|avx512|amx|native]
 *
 * Prints GFLOP/s (two for each multiply-add), the best and the median of the repeats. nt: B is a
 * weight [n, k]; nn: B is [k, n]; tn: A is [k, m].
 *
 * Then products with packed B on one thread, by its processor time, best and median; so the figures
 * hold on a machine that does other work, and the peak to compare with is that of one core.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/par.h"
#include "tensor/backend.h"

#if defined(FACET_BENCH_DNNL)
#    include <dnnl.h>
#endif

enum { MAX_REPEATS = 15 };

typedef struct shape {
    const char *name, *layout;
    int64_t m, n, k;
} shape;

static const shape shapes[] = {
    {"sae encode", "nt", 512, 9216, 1152},
    {"sae encode, feature-major", "nt", 9216, 512, 1152},
    {"sae decode", "nn", 512, 1152, 9216},
    {"sae decode, feature-major", "tn", 512, 1152, 9216},
    {"sae weight gradient", "tn", 9216, 1152, 512},
    {"sae weight gradient", "nn", 9216, 1152, 512},
    {"mlp up", "nt", 2048, 6912, 1152},
    {"mlp down", "nt", 2048, 1152, 6912},
    {"mlp up, short", "nt", 128, 6912, 1152},
    {"mlp down, short", "nt", 128, 1152, 6912},
    {"one token", "nt", 1, 6912, 1152},
    {"16 tokens", "nt", 16, 6912, 1152},
};

/* B packed before; A f32, or bf16 read in place. */
static const shape packed_shapes[] = {
    {"sae encode, a chunk", "nt", 112, 512, 1152},
    {"sae gradient, a chunk", "nt", 64, 1152, 512},
    {"sae delta, a chunk", "nt", 64, 512, 1152},
    {"query", "nt", 512, 1024, 1152},
    {"key", "nt", 512, 256, 1152},
    {"attention out", "nt", 512, 1152, 1024},
    {"mlp up", "nt", 512, 6912, 1152},
    {"mlp down", "nt", 512, 1152, 6912},
    {"rows 4096 bytes apart", "nt", 512, 1152, 2048},
};

static double clock_s(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double now_s(void)
{
    return clock_s(CLOCK_MONOTONIC);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* m x n as the layout letter has it: 'n' rows adjacent as they are, 't' stored transposed. */
static fc_mat operand(const void *data, fc_dtype dtype, int64_t rows, int64_t cols,
                      char letter)
{
    return letter == 'n' ? fc_mat_of(data, dtype, rows, cols)
                         : fc_mat_transposed(fc_mat_of(data, dtype, cols, rows));
}

typedef struct buffers {
    float *a, *b, *c, *packed;
    uint16_t *b16;
} buffers;

typedef struct rate {
    double best, median; /* GFLOP/s */
} rate;

static rate rate_of(const shape *s, double *seconds, int n)
{
    qsort(seconds, (size_t)n, sizeof *seconds, by_value);
    const double work = 2e-9 * (double)s->m * (double)s->n * (double)s->k;
    const rate r = {work / seconds[0], work / seconds[n / 2]};
    return r;
}

static rate run_ours(fc_backend *be, const shape *s, const buffers *x,
                     fc_precision precision, bool bf16_weights)
{
    const fc_mat a = operand(x->a, FC_F32, s->m, s->k, s->layout[0]);
    const fc_mat b = bf16_weights ? operand(x->b16, FC_BF16, s->k, s->n, s->layout[1])
                                  : operand(x->b, FC_F32, s->k, s->n, s->layout[1]);
    double seconds[MAX_REPEATS];
    int n = 0;
    be->ops->matmul(be, x->c, s->n, a, b, precision, false);
    for (double begin = now_s(); n < MAX_REPEATS && (n < 5 || now_s() - begin < 1.0); n++)
    {
        const double t = now_s();
        be->ops->matmul(be, x->c, s->n, a, b, precision, false);
        seconds[n] = now_s() - t;
    }
    return rate_of(s, seconds, n);
}

#if defined(FACET_BENCH_DNNL)
static rate run_dnnl(const shape *s, const buffers *x)
{
    double seconds[MAX_REPEATS];
    int n = 0;
    const char ta = s->layout[0] == 't' ? 'T' : 'N', tb = s->layout[1] == 't' ? 'T' : 'N';
    for (double begin = now_s(); n < MAX_REPEATS && (n < 5 || now_s() - begin < 1.0); n++)
    {
        const double t = now_s();
        if (dnnl_sgemm(ta, tb, s->m, s->n, s->k, 1, x->a, ta == 'T' ? s->m : s->k, x->b,
                       tb == 'T' ? s->k : s->n, 0, x->c, s->n) != dnnl_success)
            exit(1);
        seconds[n] = now_s() - t;
    }
    return rate_of(s, seconds, n);
}
#endif

typedef struct packed_call {
    fc_backend *be;
    float *c;
    fc_mat a;
    fc_packed b;
} packed_call;

static void multiply_packed(int64_t begin, int64_t end, int worker, void *ctx)
{
    const packed_call *const x = ctx;
    (void)begin, (void)end, (void)worker;
    x->be->ops->matmul_packed(x->be, x->c, x->b.n, x->a, &x->b, false);
}

/* As from inside a parallel loop, so on this thread alone. */
static rate run_packed(fc_backend *be, const shape *s, const buffers *x, fc_dtype a_dtype,
                       fc_precision precision)
{
    packed_call call = {.be = be,
                        .c = x->c,
                        .a = fc_mat_of(a_dtype == FC_BF16 ? (void *)x->b16 : (void *)x->a,
                                       a_dtype, s->m, s->k),
                        .b = {s->k, s->n, precision, x->packed}};
    be->ops->pack(be, &call.b, operand(x->a, FC_F32, s->k, s->n, s->layout[1]));
    double seconds[MAX_REPEATS];
    for (int n = 0; n < MAX_REPEATS; n++) {
        const double t = clock_s(CLOCK_THREAD_CPUTIME_ID);
        fc_par_for(1, 1, multiply_packed, &call);
        seconds[n] = clock_s(CLOCK_THREAD_CPUTIME_ID) - t;
    }
    return rate_of(s, seconds, MAX_REPEATS);
}

static void print_packed(fc_backend *be, const buffers *x)
{
    printf("%-26s %2s %5s %5s %5s  %11s  %11s  %11s\n", "packed B, one thread", "", "m",
           "n", "k", "f32", "bf16 f32 A", "bf16 bf16 A");
    for (size_t i = 0; i < FC_LEN(packed_shapes); i++) {
        const shape *const s = &packed_shapes[i];
        const rate f32 = run_packed(be, s, x, FC_F32, FC_PRECISION_F32);
        const rate mixed = run_packed(be, s, x, FC_F32, FC_PRECISION_BF16);
        const rate bf16 = run_packed(be, s, x, FC_BF16, FC_PRECISION_BF16);
        printf("%-26s %2s %5" PRId64 " %5" PRId64 " %5" PRId64, s->name, "", s->m, s->n,
               s->k);
        printf("  %5.1f %5.1f  %5.1f %5.1f  %5.1f %5.1f\n", f32.best, f32.median,
               mixed.best, mixed.median, bf16.best, bf16.median);
    }
}

static void fill(buffers *x, int64_t n)
{
    uint32_t state = 1;
    for (int64_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        x->a[i] = (float)(state >> 8) * 0x1p-24f - 0.5f;
        x->b[n - 1 - i] = x->a[i];
    }
    fc_from_f32(x->b16, FC_BF16, x->b, n);
}

int main(int argc, char **argv)
{
    enum { LARGEST = 2048 * 6912 };
    fc_err err = {0};
    fc_backend *be = NULL;
    buffers x = {0};
    if (fc_backend_open(&be, argc > 1 ? argv[1] : NULL, &err) != FC_OK ||
        fc_alloc(&x.a, LARGEST, sizeof *x.a, "A", &err) != FC_OK ||
        fc_alloc(&x.b, LARGEST, sizeof *x.b, "B", &err) != FC_OK ||
        fc_alloc(&x.c, LARGEST, sizeof *x.c, "C", &err) != FC_OK ||
        fc_alloc(&x.packed, LARGEST, sizeof *x.packed, "B", &err) != FC_OK ||
        fc_alloc(&x.b16, LARGEST, sizeof *x.b16, "B", &err) != FC_OK)
    {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    fill(&x, LARGEST);
    printf("%s, %d threads, GFLOP/s best / median; bf16 %s\n", be->ops->name,
           fc_par_threads(),
           fc_backend_prefers_bf16(be) ? "is faster here" : "is not faster here");
    printf("%-26s %2s %5s %5s %5s  %11s  %11s  %11s  %s\n", "", "", "m", "n", "k", "f32",
           "bf16 f32 B", "bf16 bf16 B", "oneDNN f32");
    for (size_t i = 0; i < FC_LEN(shapes); i++) {
        const shape *const s = &shapes[i];
        const rate f32 = run_ours(be, s, &x, FC_PRECISION_F32, false);
        const rate mixed = run_ours(be, s, &x, FC_PRECISION_BF16, false);
        const rate bf16 = run_ours(be, s, &x, FC_PRECISION_BF16, true);
        printf("%-26s %2s %5" PRId64 " %5" PRId64 " %5" PRId64, s->name, s->layout, s->m,
               s->n, s->k);
        printf("  %5.0f %5.0f  %5.0f %5.0f  %5.0f %5.0f", f32.best, f32.median,
               mixed.best, mixed.median, bf16.best, bf16.median);
#if defined(FACET_BENCH_DNNL)
        const rate dnnl = run_dnnl(s, &x);
        printf("  %5.0f %5.0f", dnnl.best, dnnl.median);
#endif
        printf("\n");
    }
    print_packed(be, &x);
    fc_free(x.packed);
    fc_free(x.a);
    fc_free(x.b);
    fc_free(x.c);
    fc_free(x.b16);
    fc_backend_close(be);
    return 0;
}
