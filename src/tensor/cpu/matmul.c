/* matmul.c - C[m, n] = A[m, k] B[k, n] (+ C), the driver round the register kernels.
 *
 *   for each slab of columns, block of k, slab of rows              a stage
 *     pack A[rows, block], and B[block, columns] when it is new     shared by all threads
 *     for each tile of the slab, in parallel                        about 250 x 384
 *       for each nr columns, for each mr rows                       the register kernel
 *
 * After BLIS (Van Zee and van de Geijn, ACM TOMS 41(3), 2015): the rows of A of a tile stay in L2,
 * while its columns of B come by once, and a slab of them stays in L3. The packing for the next stage
 * runs in the same parallel loop as the tiles of this one, so that there is one wait for each
 * stage, and threads that finish early pack.
 *
 * Rows of A that the kernel can read where they lie are not packed.
 *
 * With few rows every element of B is used by one tile only. Then the tile packs it itself,
 * into L2 and not into a slab, and a stage takes in as much of k as A has room for: the whole
 * product is one stage as a rule.
 *
 * An element of C is the sum over k blocks, in order, of one chain of fused multiply-adds over
 * ascending k. Where the borders of slabs and tiles fall cannot change it, so they may follow
 * the number of threads and the result does not.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tensor/cpu/matmul_internal.h"

#include <string.h>

#include "base/par.h"
#include "tensor/cpu/cpu_internal.h"

enum {
    A_PIECE = FC_GEMM_ROWS,      /* rows that one thread packs at a time */
    B_PIECE = 192,               /* columns likewise */
    FEW_ROWS = 2 * FC_GEMM_ROWS, /* up to here tiles pack their own B */
    TILES_PER_THREAD = 4,        /* wanted in a stage */
    MIN_TILE_ROWS = 56,          /* a tile reads its columns of B from L3 once */
    SERIAL_WORK = 1 << 16        /* multiply-adds that no second thread is woken for */
};

typedef struct product {
    const fc_cpu *cpu;
    const fc_gemm *gemm;
    float *c;
    int64_t c_row, m, n, k;
    fc_gemm_operand a, b;
    bool accumulate, a_is_in_place, b_is_shared; /* in place: not packed */
    int64_t slab_m, slab_n, slab_k;              /* size of a stage */
    int64_t n_m, n_n, n_k;                       /* stages each way */
    int64_t tile_m, tile_n;
} product;

/* One stage: C[i0.., j0..] += A[i0.., k0..] B[k0.., j0..], m x n x k. */
typedef struct stage {
    int64_t i0, j0, k0, m, n, k;
    float *a, *b;    /* packed; a: [blocks of k][m, padded][FC_GEMM_UNITS] */
    int64_t a_block; /* floats from one block of k to the next in a */
    bool is_b_new;   /* b is to be packed, not left over from the stage before */
    int64_t n_tiles_m, n_tiles;
    int64_t n_a_pieces, n_pieces; /* to pack: first those of A */
} stage;

static int64_t block_depth(const product *p)
{
    return FC_GEMM_UNITS * p->gemm->k_per_unit;
}

static int64_t n_stages(const product *p)
{
    return p->n_m * p->n_n * p->n_k;
}

/* Stage s in the order of the head of this file. Past the last it is empty. */
static stage stage_at(const product *p, int64_t s)
{
    stage st = {0};
    if (s >= n_stages(p)) return st;
    const int64_t outer = s / p->n_m; /* counts the slabs of B */
    st.i0 = s % p->n_m * p->slab_m;
    st.k0 = outer % p->n_k * p->slab_k;
    st.j0 = outer / p->n_k * p->slab_n;
    st.m = fc_min(p->slab_m, p->m - st.i0);
    st.n = fc_min(p->slab_n, p->n - st.j0);
    st.k = fc_min(p->slab_k, p->k - st.k0);
    st.a = p->cpu->slab_a + s % 2 * FC_SLAB_A;
    st.b = p->cpu->slab_b + outer % 2 * FC_SLAB_B;
    st.a_block = fc_round_up(st.m, FC_GEMM_SQUARE) * FC_GEMM_UNITS;
    st.is_b_new = p->b_is_shared && s % p->n_m == 0;
    st.n_tiles_m = fc_ceil_div(st.m, p->tile_m);
    st.n_tiles = st.n_tiles_m * fc_ceil_div(st.n, p->tile_n);
    st.n_a_pieces = p->a_is_in_place
                        ? 0
                        : fc_ceil_div(st.m, A_PIECE) * fc_ceil_div(st.k, block_depth(p));
    st.n_pieces = st.n_a_pieces + (st.is_b_new ? fc_ceil_div(st.n, B_PIECE) : 0);
    return st;
}

static void pack_piece(const product *p, const stage *st, int64_t piece,
                       fc_scratch scratch)
{
    if (piece < st->n_a_pieces) {
        const int64_t n_rows = fc_ceil_div(st->m, A_PIECE);
        const int64_t block = piece / n_rows, i = piece % n_rows * A_PIECE;
        const int64_t k = block * block_depth(p);
        fc_gemm_pack_a(p->gemm, st->a + block * st->a_block + i * FC_GEMM_UNITS, &p->a,
                       st->i0 + i, fc_min(A_PIECE, st->m - i), st->k0 + k,
                       fc_min(block_depth(p), st->k - k), scratch.lines);
        return;
    }
    const int64_t j = (piece - st->n_a_pieces) * B_PIECE;
    const int64_t n_units = fc_ceil_div(st->k, p->gemm->k_per_unit);
    fc_gemm_pack_b(p->gemm, st->b + j * fc_gemm_panel_units(n_units), &p->b, st->j0 + j,
                   fc_min(B_PIECE, st->n - j), st->k0, st->k, scratch.lines);
}

/* A of the stage from row i on, in the block of k that begins at k. */
static void locate_rows(const product *p, const stage *st, int64_t i, int64_t k,
                        fc_gemm_part *part)
{
    part->a = st->a + k / block_depth(p) * st->a_block + i * FC_GEMM_UNITS;
    part->a_row = FC_GEMM_UNITS;
    if (!p->a_is_in_place) return;
    part->a = p->a.data + (st->i0 + i) * p->a.r_bytes + (st->k0 + k) * p->a.k_bytes;
    part->a_row = p->a.r_bytes / FC_GEMM_UNIT_BYTES;
}

static void multiply_tile(const product *p, const stage *st, int64_t tile,
                          fc_scratch scratch)
{
    const int64_t i = tile % st->n_tiles_m * p->tile_m;
    const int64_t j = tile / st->n_tiles_m * p->tile_n;
    fc_gemm_part part = {.c = p->c + (st->i0 + i) * p->c_row + st->j0 + j,
                         .c_row = p->c_row,
                         .m = fc_min(p->tile_m, st->m - i),
                         .n = fc_min(p->tile_n, st->n - j)};
    for (int64_t k = 0; k < st->k; k += block_depth(p)) {
        const int64_t n_k = fc_min(block_depth(p), st->k - k);
        part.n_units = fc_ceil_div(n_k, p->gemm->k_per_unit);
        part.b = st->b + j * fc_gemm_panel_units(part.n_units);
        part.accumulate = p->accumulate || st->k0 + k > 0;
        locate_rows(p, st, i, k, &part);
        if (!p->b_is_shared) {
            fc_gemm_pack_b(p->gemm, scratch.b, &p->b, st->j0 + j, part.n, st->k0 + k, n_k,
                           scratch.lines);
            part.b = scratch.b;
        }
        fc_gemm_block(p->gemm, &part);
    }
}

/* What one parallel loop does: the tiles of a stage, then the packing for the next. */
typedef struct step {
    const product *product;
    stage now, next;
} step;

static void do_items(int64_t begin, int64_t end, int worker, void *ctx)
{
    const step *const x = ctx;
    const fc_scratch scratch = fc_cpu_scratch(x->product->cpu, worker);
    for (int64_t item = begin; item < end; item++) {
        if (item < x->now.n_tiles)
            multiply_tile(x->product, &x->now, item, scratch);
        else
            pack_piece(x->product, &x->next, item - x->now.n_tiles, scratch);
    }
}

/* Equal parts of n, each at most `most` and a multiple of `unit` (the last may be shorter). */
static int64_t equal_parts(int64_t n, int64_t most, int64_t unit)
{
    return fc_round_up(fc_ceil_div(n, fc_ceil_div(n, most)), unit);
}

static void choose_sizes(product *p)
{
    const int64_t wanted = (int64_t)fc_par_threads() * TILES_PER_THREAD;
    const int64_t n_blocks = fc_ceil_div(p->k, block_depth(p));
    p->b_is_shared = p->m > FEW_ROWS;
    p->slab_m = equal_parts(p->m, FC_SLAB_ROWS, p->gemm->mr);
    if (p->b_is_shared) {
        p->slab_n = equal_parts(p->n, FC_SLAB_COLS, FC_GEMM_MAX_NR);
        p->slab_k = block_depth(p);
        p->tile_n = equal_parts(p->slab_n, FC_GEMM_COLS, FC_GEMM_MAX_NR);
        const int64_t n_across = fc_ceil_div(p->slab_n, p->tile_n);
        const int64_t rows = p->slab_m / fc_ceil_div(wanted, n_across);
        p->tile_m =
            fc_min(p->slab_m, fc_round_up(fc_max(rows, MIN_TILE_ROWS), p->gemm->mr));
    } else {
        const int64_t padded = fc_round_up(p->m, FC_GEMM_SQUARE);
        p->slab_n = p->n;
        p->slab_k = fc_min(n_blocks, FC_SLAB_ROWS / padded) * block_depth(p);
        const int64_t cols = fc_max(p->n / wanted, 2 * FC_GEMM_MAX_NR);
        p->tile_n = equal_parts(p->n, fc_min(cols, FC_GEMM_COLS), FC_GEMM_MAX_NR);
        p->tile_m = p->m;
    }
    p->n_m = fc_ceil_div(p->m, p->slab_m);
    p->n_n = fc_ceil_div(p->n, p->slab_n);
    p->n_k = fc_ceil_div(p->k, p->slab_k);
}

static void multiply(product *p)
{
    choose_sizes(p);
    const bool is_small = (double)p->m * (double)p->n * (double)p->k < SERIAL_WORK;
    step x = {.product = p, .next = stage_at(p, 0)};
    for (int64_t s = 0; s <= n_stages(p); s++) {
        const int64_t n_items = x.now.n_tiles + x.next.n_pieces;
        fc_par_for(n_items, is_small ? fc_max(1, n_items) : 1, do_items, &x);
        x.now = x.next;
        x.next = stage_at(p, s + 1);
    }
}

void fc_cpu_matmul(fc_backend *be, float *c, int64_t c_row, fc_mat a, fc_mat b,
                   fc_precision precision, bool accumulate)
{
    FC_ASSERT(a.cols == b.rows && c_row >= b.cols);
    FC_ASSERT(a.dtype == FC_F32 || a.dtype == FC_BF16 || a.dtype == FC_F16);
    FC_ASSERT(b.dtype == FC_F32 || b.dtype == FC_BF16 || b.dtype == FC_F16);
    if (a.rows <= 0 || b.cols <= 0) return;
    if (a.cols <= 0) { /* an empty sum */
        for (int64_t i = 0; i < a.rows && !accumulate; i++)
            memset(c + i * c_row, 0, (size_t)b.cols * sizeof *c);
        return;
    }
    const fc_cpu *const cpu = be->state;
    const int64_t a_size = (int64_t)fc_dtype_size(a.dtype);
    const int64_t b_size = (int64_t)fc_dtype_size(b.dtype);
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
    p.a_is_in_place =
        p.k % p.gemm->k_per_unit == 0 && fc_gemm_reads_in_place(p.gemm, &p.a);
    multiply(&p);
}
