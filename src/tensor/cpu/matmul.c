/* matmul.c - C[m, n] = A[m, k] B[k, n] (+ C), the driver round the register kernels.
 *
 *   for each tile of C, in parallel              about m/4 x 384, any thread
 *     for each block of k                        384 units deep
 *       pack B[block, tile columns]              to L2, read by every row of the tile
 *       for each 112 rows of the tile
 *         pack A[rows, block]                    a few rows of it live in L1
 *         for each mr rows, for each nr columns  the register kernel
 *
 * After BLIS (Van Zee and van de Geijn, ACM TOMS 41(3), 2015), with one change: tiles share
 * nothing, so each packs its own operands. That repeats 2 to 5 % of the work and saves every
 * barrier between threads.
 *
 * An element of C is the sum over k blocks, in order, of one chain of fused multiply-adds over
 * ascending k. Where the borders of tiles fall cannot change it, so tiles may follow the number
 * of threads and the result does not.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tensor/cpu/matmul_internal.h"

#include <string.h>

#include "base/par.h"
#include "tensor/cpu/cpu_internal.h"

enum {
    TILE_ROWS =
        9 * FC_GEMM_ROWS,   /* most rows of a tile: packing B is paid back by then */
    TILES_PER_THREAD = 6,   /* so that a late thread costs little */
    MIN_TILE_WORK = 1 << 18 /* multiply-adds below which a tile is not worth splitting */
};

typedef struct product {
    const fc_cpu *cpu;
    const fc_gemm *gemm;
    float *c;
    int64_t c_row, m, n, k;
    fc_gemm_operand a, b;
    bool accumulate;
    int64_t tile_m, tile_n, n_tiles_m;
} product;

/* The last columns of a block, fewer than nr, go through a buffer of a whole tile. */
static void edge_tile(const fc_gemm *gemm, float *c, int64_t c_row, const float *a,
                      const float *b, int64_t n_rows, int64_t n_cols, int64_t n_units,
                      bool accumulate)
{
    _Alignas(64) float whole[FC_GEMM_MAX_MR * FC_GEMM_MAX_NR];
    gemm->tile(whole, gemm->nr, a, b, n_units, n_rows, false);
    for (int64_t i = 0; i < n_rows; i++) {
        for (int64_t j = 0; j < n_cols; j++) {
            float *const to = &c[i * c_row + j];
            const float sum = whole[i * gemm->nr + j];
            *to = accumulate ? *to + sum : sum;
        }
    }
}

void fc_gemm_block(const fc_gemm *gemm, float *c, int64_t c_row, const float *a,
                   const float *b, int64_t m, int64_t n, int64_t n_units, bool accumulate)
{
    /* Rows in equal shares: 8 + 7 keeps the multipliers busier than 14 + 1. */
    const int64_t n_shares = fc_ceil_div(m, gemm->mr), nr = gemm->nr;
    for (int64_t share = 0; share < n_shares; share++) {
        const int64_t i = share * m / n_shares, n_rows = (share + 1) * m / n_shares - i;
        const float *const rows = a + i * FC_GEMM_UNITS;
        for (int64_t j = 0; j < n; j += nr) {
            const float *const panel = b + j * n_units;
            float *const to = c + i * c_row + j;
            if (j + nr <= n)
                gemm->tile(to, c_row, rows, panel, n_units, n_rows, accumulate);
            else
                edge_tile(gemm, to, c_row, rows, panel, n_rows, n - j, n_units,
                          accumulate);
        }
    }
}

static void do_tile(const product *p, int64_t tile, fc_scratch scratch)
{
    const fc_gemm *const gemm = p->gemm;
    const int64_t i0 = tile % p->n_tiles_m * p->tile_m, i1 = fc_min(i0 + p->tile_m, p->m);
    const int64_t j0 = tile / p->n_tiles_m * p->tile_n, j1 = fc_min(j0 + p->tile_n, p->n);
    const int64_t depth = FC_GEMM_UNITS * gemm->k_per_unit;
    for (int64_t k = 0; k < p->k; k += depth) {
        const int64_t n_k = fc_min(depth, p->k - k);
        const int64_t n_units = fc_ceil_div(n_k, gemm->k_per_unit);
        fc_gemm_pack_b(gemm, scratch.b, &p->b, j0, j1 - j0, k, n_k, scratch.lines);
        for (int64_t i = i0; i < i1; i += FC_GEMM_ROWS) {
            const int64_t n_rows = fc_min(FC_GEMM_ROWS, i1 - i);
            fc_gemm_pack_a(gemm, scratch.a, &p->a, i, n_rows, k, n_k, scratch.lines);
            fc_gemm_block(gemm, p->c + i * p->c_row + j0, p->c_row, scratch.a, scratch.b,
                          n_rows, j1 - j0, n_units, p->accumulate || k > 0);
        }
    }
}

static void do_tiles(int64_t begin, int64_t end, int worker, void *ctx)
{
    const product *const p = ctx;
    for (int64_t tile = begin; tile < end; tile++)
        do_tile(p, tile, fc_cpu_scratch(p->cpu, worker));
}

/* Cuts C into enough tiles for every thread. Narrower tiles repeat the packing of A, which is
 * mostly copying; lower ones that of B, which is mostly transposing and so costs double. */
static int64_t choose_tiles(product *p)
{
    int64_t n_m = fc_ceil_div(p->m, TILE_ROWS), n_n = fc_ceil_div(p->n, FC_GEMM_COLS);
    const double work = (double)p->m * (double)p->n * (double)p->k;
    const int64_t useful = work < 1e15 ? (int64_t)(work / MIN_TILE_WORK) : INT64_MAX;
    const int64_t wanted = fc_min(useful, (int64_t)fc_par_threads() * TILES_PER_THREAD);
    p->tile_m = p->m;
    p->tile_n = p->n;
    for (;;) {
        p->tile_m = fc_round_up(fc_ceil_div(p->m, n_m), p->gemm->mr);
        p->tile_n = fc_round_up(fc_ceil_div(p->n, n_n), FC_GEMM_MAX_NR);
        const bool is_narrow = p->tile_n == FC_GEMM_MAX_NR,
                   is_low = p->tile_m == p->gemm->mr;
        if (n_m * n_n >= wanted || fc_par_threads() == 1 || (is_narrow && is_low)) break;
        if (is_low || (!is_narrow && 2 * p->tile_n > p->tile_m))
            n_n++;
        else
            n_m++;
    }
    p->n_tiles_m = fc_ceil_div(p->m, p->tile_m);
    return p->n_tiles_m * fc_ceil_div(p->n, p->tile_n);
}

void fc_cpu_matmul(fc_backend *be, float *c, int64_t c_row, fc_mat a, fc_mat b,
                   fc_precision precision, bool accumulate)
{
    FC_ASSERT(a.cols == b.rows && c_row >= b.cols);
    FC_ASSERT(a.dtype == FC_F32 || a.dtype == FC_BF16 || a.dtype == FC_F16);
    FC_ASSERT(b.dtype == FC_F32 || b.dtype == FC_BF16 || b.dtype == FC_F16);
    const fc_cpu *const cpu = be->state;
    if (a.rows <= 0 || b.cols <= 0) return;
    if (a.cols <= 0) { /* an empty sum */
        for (int64_t i = 0; i < a.rows && !accumulate; i++)
            memset(c + i * c_row, 0, (size_t)b.cols * sizeof *c);
        return;
    }
    const int64_t a_size = (int64_t)fc_dtype_size(a.dtype),
                  b_size = (int64_t)fc_dtype_size(b.dtype);
    product p = {
        .cpu = cpu,
        .gemm = cpu->gemm[precision],
        .c = c,
        .c_row = c_row,
        .m = a.rows,
        .n = b.cols,
        .k = a.cols,
        .a = {a.data, a.dtype, a.row * a_size, a.col * a_size},
        .b = {b.data, b.dtype, b.col * b_size, b.row * b_size},
        .accumulate = accumulate,
    };
    fc_par_for(choose_tiles(&p), 1, do_tiles, &p);
}
