/* bench_peaks.c - measures the peaks, with one thread and with all.
 *
 * Arrays lie in one mapping, larger than any cache and on large pages where the system gives them,
 * so that the figure is that of the memory and not of address translation. Each part:
 *
 *   read      one array                        copy    one half to the other
 *   update    three arrays, a third each       L2, L3  a piece of its own for each thread
 *
 * The work is cut into many more chunks than there are threads, so none waits for the last.
 *
 * SPDX-License-Identifier: Apache-2.0 */
/* MADV_HUGEPAGE. NOLINTNEXTLINE(bugprone-reserved-identifier) */
#define _DEFAULT_SOURCE
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/par.h"
#include "bench/bench_internal.h"
#include "bench/peak_internal.h"

enum { PIECE = 64 * 1024 }; /* floats that one chunk touches */

typedef struct arena {
    float *at;
    int64_t n; /* floats, a multiple of 6 PIECE */
} arena;

typedef struct peak_job {
    const fc_peak_loops *loops;
    const fc_peak_products *products;
    arena arena;
    int64_t n_rounds;     /* of products, in one chunk */
    int64_t cached, laps; /* floats of a thread's piece, times that a chunk reads it */
} peak_job;

fc_peak_loops fc_peak_loops_of(const fc_backend *be)
{
    fc_peak_loops loops = {.f32 = &fc_peak_fma_ref, .memory = &fc_peak_memory_ref};
#if defined(__x86_64__)
    if (strcmp(be->ops->name, "avx2") == 0) {
        loops.f32 = &fc_peak_fma_avx2;
        loops.memory = &fc_peak_memory_avx2;
    }
    const bool is_amx = strcmp(be->ops->name, "amx") == 0;
    if (is_amx || strcmp(be->ops->name, "avx512") == 0) {
        loops.f32 = &fc_peak_fma_avx512;
        loops.memory = &fc_peak_memory_avx512;
        if (__builtin_cpu_supports("avx512bf16")) loops.bf16 = &fc_peak_dot_avx512bf16;
        if (is_amx) loops.bf16 = &fc_peak_dot_amx;
    }
#else
    (void)be;
#endif
    return loops;
}

/* --- memory ------------------------------------------------------------------------------- */

/* Half a gigabyte for each half of the copy, at most an eighth of what there is. */
static int64_t arena_floats(bool is_quick)
{
    const int64_t unit = 6 * PIECE, wanted = is_quick ? 1 << 20 : 1 << 28;
    const int64_t eighth = fc_memory_bytes() / 8 / (int64_t)sizeof(float);
    return fc_max(1, fc_min(wanted, eighth) / unit) * unit;
}

static void touch(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const arena *const a = ctx;
    for (int64_t i = begin; i < end; i++) a->at[i] = 1.0f;
}

static fc_status arena_map(arena *a, bool is_quick, fc_err *err)
{
    a->n = arena_floats(is_quick);
    void *const at = mmap(NULL, (size_t)a->n * sizeof(float), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return fc_fail(err, FC_NOMEM, "no memory left for the arrays of the peaks");
    (void)madvise(at, (size_t)a->n * sizeof(float), MADV_HUGEPAGE); /* a wish */
    a->at = at;
    fc_par_for(a->n, PIECE, touch, a);
    return FC_OK;
}

static void arena_unmap(arena *a)
{
    if (a->at != NULL) (void)munmap(a->at, (size_t)a->n * sizeof(float));
    a->at = NULL;
}

/* --- the loops on all threads ------------------------------------------------------------- */

static void read_chunk(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const peak_job *const job = ctx;
    (void)job->loops->memory->read(job->arena.at + begin, end - begin);
}

static void update_chunk(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const peak_job *const job = ctx;
    float *const w = job->arena.at + begin;
    const int64_t third = job->arena.n / 3;
    job->loops->memory->update(w, w + third, w + 2 * third, end - begin);
}

static void copy_chunk(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const peak_job *const job = ctx;
    memcpy(job->arena.at + job->arena.n / 2 + begin, job->arena.at + begin,
           (size_t)(end - begin) * sizeof(float));
}

static void cached_chunk(int64_t begin, int64_t end, int worker, void *ctx)
{
    const peak_job *const job = ctx;
    const float *const own = job->arena.at + worker * job->cached;
    for (int64_t i = begin * job->laps; i < end * job->laps; i++)
        (void)job->loops->memory->read(own, job->cached);
}

static void products_chunk(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const peak_job *const job = ctx;
    for (int64_t i = begin; i < end; i++) (void)job->products->run(job->n_rounds);
}

enum { CHUNKS = 32 }; /* of a thread, where each is as long as the others */

static fc_status read_all(void *ctx, double *seconds, fc_err *err)
{
    const peak_job *const job = ctx;
    (void)seconds;
    (void)err;
    fc_par_for(job->arena.n, PIECE, read_chunk, ctx);
    return FC_OK;
}

static fc_status update_all(void *ctx, double *seconds, fc_err *err)
{
    const peak_job *const job = ctx;
    (void)seconds;
    (void)err;
    fc_par_for(job->arena.n / 3, PIECE, update_chunk, ctx);
    return FC_OK;
}

static fc_status copy_all(void *ctx, double *seconds, fc_err *err)
{
    const peak_job *const job = ctx;
    (void)seconds;
    (void)err;
    fc_par_for(job->arena.n / 2, PIECE, copy_chunk, ctx);
    return FC_OK;
}

static fc_status read_cached(void *ctx, double *seconds, fc_err *err)
{
    (void)seconds;
    (void)err;
    fc_par_for((int64_t)fc_par_threads() * CHUNKS, 1, cached_chunk, ctx);
    return FC_OK;
}

static fc_status multiply(void *ctx, double *seconds, fc_err *err)
{
    (void)seconds;
    (void)err;
    fc_par_for((int64_t)fc_par_threads() * CHUNKS, 1, products_chunk, ctx);
    return FC_OK;
}

/* --- rows --------------------------------------------------------------------------------- */

/* Floats of a piece that fits into half of a core's cache; or into a core's share of the last one,
 * but not into its own. */
static int64_t cached_floats(const peak_job *job, bool is_l3)
{
    const long l2 = sysconf(_SC_LEVEL2_CACHE_SIZE), l3 = sysconf(_SC_LEVEL3_CACHE_SIZE);
    const int64_t own = l2 > 0 ? l2 : 1 << 20, shared = l3 > 0 ? l3 : 1 << 25;
    const int64_t n_threads = fc_par_threads();
    const int64_t bytes =
        is_l3 ? fc_max(own, fc_min(3 * own, shared / 2 / n_threads)) : own / 2;
    const int64_t n = fc_min(bytes / 4, job->arena.n / n_threads);
    return fc_max(1, n / FC_PEAK_BLOCK) * FC_PEAK_BLOCK;
}

static fc_status add_row(fc_bench_run *run, const char *what, fc_bench_unit unit,
                         fc_work_fn *fn, peak_job *job, double *best, fc_err *err)
{
    char name[80];
    fc_bench_row *row;
    const int n = fc_par_threads();
    (void)snprintf(name, sizeof name, "%s, %d thread%s", what, n, n == 1 ? "" : "s");
    FC_TRY(fc_bench_measure(run, name, unit, fn, job, &row, err));
    *best = 1e9 * row->max;
    return FC_OK;
}

static fc_status measure_products(fc_bench_run *run, peak_job *job,
                                  const fc_peak_products *products, double *best,
                                  fc_err *err)
{
    char what[64];
    job->products = products;
    job->n_rounds = run->config->is_quick ? 20 : 20000;
    const int64_t n_rounds = job->n_rounds * fc_par_threads() * CHUNKS;
    const fc_bench_unit unit = {"GFLOP/s", 1e-9 * (double)(n_rounds * products->flops)};
    (void)snprintf(what, sizeof what, "%s, %s",
                   products->precision == FC_PRECISION_F32 ? "f32" : "bf16",
                   products->name);
    return add_row(run, what, unit, multiply, job, best, err);
}

static fc_status measure_cached(fc_bench_run *run, peak_job *job, bool is_l3,
                                double *best, fc_err *err)
{
    job->cached = cached_floats(job, is_l3);
    job->laps = fc_max(1, (run->config->is_quick ? 1 << 16 : 1 << 22) / job->cached);
    const double n =
        (double)(job->cached * job->laps) * (double)fc_par_threads() * CHUNKS;
    const fc_bench_unit unit = {"GB/s", 4e-9 * n};
    return add_row(run, is_l3 ? "L3, read" : "L2, read", unit, read_cached, job, best,
                   err);
}

/* With the current number of threads. */
static fc_status measure_all(fc_bench_run *run, peak_job *job, fc_peaks *peaks,
                             fc_err *err)
{
    double *const f32 = &peaks->flops[FC_PRECISION_F32];
    double *const bf16 = &peaks->flops[FC_PRECISION_BF16];
    const fc_bench_unit once = {"GB/s", 4e-9 * (double)job->arena.n};
    const fc_bench_unit twice = {"GB/s", 8e-9 * (double)job->arena.n};
    FC_TRY(measure_products(run, job, run->loops.f32, f32, err));
    if (run->loops.bf16 != NULL)
        FC_TRY(measure_products(run, job, run->loops.bf16, bf16, err));
    *bf16 = fmax(*bf16, *f32); /* rounded operands may use either instruction */
    FC_TRY(add_row(run, "memory, read", once, read_all, job, &peaks->read, err));
    FC_TRY(add_row(run, "memory, update in place", twice, update_all, job, &peaks->update,
                   err));
    FC_TRY(add_row(run, "memory, copy", once, copy_all, job, &peaks->copy, err));
    FC_TRY(measure_cached(run, job, false, &peaks->l2, err));
    return measure_cached(run, job, true, &peaks->l3, err);
}

fc_status fc_bench_peaks(fc_bench_run *run, fc_err *err)
{
    const bool is_shown = run->config->has_part[FC_BENCH_PEAKS];
    peak_job job = {.loops = &run->loops};
    fc_peaks one = {0};
    fc_status status;
    FC_TRY_GOTO(arena_map(&job.arena, run->config->is_quick, err));
    if (is_shown && run->n_threads > 1) {
        fc_par_set_threads(1);
        FC_TRY_GOTO(measure_all(run, &job, &one, err));
        fc_par_set_threads(run->n_threads);
    }
    if (!is_shown) fc_sampler_set_seconds(run->sampler, fmin(run->seconds, 0.3));
    status = measure_all(run, &job, &run->peaks, err);
    if (!is_shown) run->result->n_rows = 0;
done:
    fc_sampler_set_seconds(run->sampler, run->seconds);
    arena_unmap(&job.arena);
    return status;
}
