/* matmul_packed.c - C[m, n] = A[m, k] B[k, n] (+ C) with B packed before.
 *
 * The layout of B is the blocks of k one after the other, each as fc_gemm_pack_b makes it:
 *
 *   [blocks][n / nr, padded][units of the block, padded][nr]
 *
 * A tile is some rows and all columns, or some of them where that gives too few tiles for the
 * threads, or more of C than L2 has room for. It takes one block of k after the other: there its
 * rows of A stay in L2, 112 x 1.5 KB, and each panel of B is read once, from wherever it is. A tile
 * needs nothing of another and its scratch belongs to the worker, so the product may run inside a
 * chunk of a parallel loop.
 *
 * Rows of A are read where they lie when they have the kernel's type. Otherwise the tile
 * converts them, block by block.
 *
 * The sums are those of matmul.c: same blocks, same chains.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/par.h"
#include "tensor/cpu/cpu_internal.h"

enum {
    TILE_ROWS = FC_GEMM_ROWS,
    TILE_COLS = 3 * FC_GEMM_COLS,
    MIN_TILE_COLS = 4 * FC_GEMM_MAX_NR,
    TILES_PER_THREAD = 8,
    PACK_COLS = 128,      /* of B that one thread packs at a time */
    SERIAL_WORK = 1 << 16 /* multiply-adds that no second thread is woken for */
};

static int64_t block_depth(const fc_gemm *gemm)
{
    return FC_GEMM_UNITS * gemm->k_per_unit;
}

static int64_t padded_cols(int64_t n)
{
    return fc_round_up(n, FC_GEMM_MAX_NR);
}

/* Floats before the block that begins at k. */
static int64_t block_offset(const fc_gemm *gemm, int64_t k, int64_t n)
{
    return k / gemm->k_per_unit * padded_cols(n);
}

int64_t fc_backend_packed_bytes(const fc_backend *be, int64_t k, int64_t n,
                                fc_precision precision)
{
    const fc_cpu *const cpu = be->state;
    const int64_t n_units = fc_ceil_div(k, cpu->gemm[precision]->k_per_unit);
    return fc_gemm_panel_units(n_units) * padded_cols(n) * FC_GEMM_UNIT_BYTES;
}

/* --- packing ---------------------------------------------------------------------------- */

typedef struct pack_job {
    const fc_cpu *cpu;
    const fc_gemm *gemm;
    const fc_packed *to;
    fc_gemm_operand from;
} pack_job;

static void pack_pieces(int64_t begin, int64_t end, int worker, void *ctx)
{
    const pack_job *const job = ctx;
    const fc_scratch scratch = fc_cpu_scratch(job->cpu, worker);
    const int64_t n_across = fc_ceil_div(job->to->n, PACK_COLS);
    for (int64_t piece = begin; piece < end; piece++) {
        const int64_t j = piece % n_across * PACK_COLS;
        const int64_t k = piece / n_across * block_depth(job->gemm);
        const int64_t n_k = fc_min(block_depth(job->gemm), job->to->k - k);
        const int64_t n_units = fc_ceil_div(n_k, job->gemm->k_per_unit);
        float *const block =
            (float *)job->to->data + block_offset(job->gemm, k, job->to->n);
        fc_gemm_pack_b(job->gemm, block + j * fc_gemm_panel_units(n_units), &job->from, j,
                       fc_min(PACK_COLS, job->to->n - j), k, n_k, scratch.lines);
    }
}

void fc_cpu_pack(fc_backend *be, const fc_packed *to, fc_mat b)
{
    FC_ASSERT(b.rows == to->k && b.cols == to->n);
    if (to->k <= 0 || to->n <= 0) return;
    const fc_cpu *const cpu = be->state;
    const int64_t size = (int64_t)fc_dtype_size(b.dtype);
    pack_job job = {.cpu = cpu,
                    .gemm = cpu->gemm[to->precision],
                    .to = to,
                    .from = {b.data, b.dtype, b.col * size, b.row * size}};
    const int64_t n_blocks = fc_ceil_div(to->k, block_depth(job.gemm));
    fc_par_for(n_blocks * fc_ceil_div(to->n, PACK_COLS), 1, pack_pieces, &job);
}

/* --- the product ------------------------------------------------------------------------ */

typedef struct product {
    const fc_cpu *cpu;
    const fc_gemm *gemm;
    float *c;
    int64_t c_row, m, n, k;
    fc_gemm_operand a;
    const float *b;
    bool accumulate, is_in_place; /* rows of A need no conversion */
    int64_t tile_m, tile_n, n_tiles_m;
} product;

/* Rows r0.. of the block of k at k0: where they lie, or converted into scratch. */
static void take_rows(const product *p, fc_gemm_part *part, int64_t r0, int64_t k0,
                      int64_t n_k, fc_scratch scratch)
{
    if (p->is_in_place && n_k % p->gemm->k_per_unit == 0) {
        part->a = p->a.data + r0 * p->a.r_bytes + k0 * p->a.k_bytes;
        part->a_row = p->a.r_bytes / FC_GEMM_UNIT_BYTES;
        return;
    }
    fc_gemm_pack_a(p->gemm, scratch.a, &p->a, r0, part->m, k0, n_k, scratch.lines);
    part->a = scratch.a;
    part->a_row = FC_GEMM_UNITS;
}

static void multiply_tile(const product *p, int64_t tile, fc_scratch scratch)
{
    const int64_t i = tile % p->n_tiles_m * p->tile_m,
                  j = tile / p->n_tiles_m * p->tile_n;
    fc_gemm_part part = {.c = p->c + i * p->c_row + j,
                         .c_row = p->c_row,
                         .m = fc_min(p->tile_m, p->m - i),
                         .n = fc_min(p->tile_n, p->n - j)};
    for (int64_t k = 0; k < p->k; k += block_depth(p->gemm)) {
        const int64_t n_k = fc_min(block_depth(p->gemm), p->k - k);
        part.n_units = fc_ceil_div(n_k, p->gemm->k_per_unit);
        part.b =
            p->b + block_offset(p->gemm, k, p->n) + j * fc_gemm_panel_units(part.n_units);
        part.accumulate = p->accumulate || k > 0;
        take_rows(p, &part, i, k, n_k, scratch);
        fc_gemm_block(p->gemm, &part);
    }
}

static void multiply_tiles(int64_t begin, int64_t end, int worker, void *ctx)
{
    const product *const p = ctx;
    const fc_scratch scratch = fc_cpu_scratch(p->cpu, worker);
    for (int64_t tile = begin; tile < end; tile++) multiply_tile(p, tile, scratch);
}

/* Equal parts of n, each at most `most` and a multiple of `unit` (the last may be shorter). */
static int64_t equal_parts(int64_t n, int64_t most, int64_t unit)
{
    return fc_round_up(fc_ceil_div(n, fc_ceil_div(n, most)), unit);
}

static void choose_tiles(product *p)
{
    const int64_t n_threads = fc_par_threads_here();
    const int64_t wanted = n_threads == 1 ? 1 : n_threads * TILES_PER_THREAD;
    p->tile_m = fc_min(TILE_ROWS, equal_parts(p->m, TILE_ROWS, p->gemm->mr));
    p->n_tiles_m = fc_ceil_div(p->m, p->tile_m);
    const int64_t n_across = fc_ceil_div(wanted, p->n_tiles_m);
    p->tile_n = equal_parts(
        p->n, fc_min(TILE_COLS, fc_max(MIN_TILE_COLS, p->n / n_across)), FC_GEMM_MAX_NR);
}

void fc_cpu_matmul_packed(fc_backend *be, float *c, int64_t c_row, fc_mat a,
                          const fc_packed *b, bool accumulate)
{
    FC_ASSERT(a.cols == b->k && c_row >= b->n);
    FC_ASSERT(a.dtype == FC_F32 || a.dtype == FC_BF16 || a.dtype == FC_F16);
    if (a.rows <= 0 || b->n <= 0) return;
    if (b->k <= 0) { /* an empty sum */
        for (int64_t i = 0; i < a.rows && !accumulate; i++)
            memset(c + i * c_row, 0, (size_t)b->n * sizeof *c);
        return;
    }
    const fc_cpu *const cpu = be->state;
    const int64_t size = (int64_t)fc_dtype_size(a.dtype);
    product p = {.cpu = cpu,
                 .gemm = cpu->gemm[b->precision],
                 .c = c,
                 .c_row = c_row,
                 .m = a.rows,
                 .n = b->n,
                 .k = b->k,
                 .a = {a.data, a.dtype, a.row * size, a.col * size},
                 .b = b->data,
                 .accumulate = accumulate};
    p.is_in_place = fc_gemm_reads_in_place(p.gemm, &p.a);
    choose_tiles(&p);
    const int64_t n_tiles = p.n_tiles_m * fc_ceil_div(p.n, p.tile_n);
    const bool is_small = (double)p.m * (double)p.n * (double)p.k < SERIAL_WORK;
    fc_par_for(n_tiles, is_small ? n_tiles : 1, multiply_tiles, &p);
}
