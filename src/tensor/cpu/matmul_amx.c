/* matmul_amx.c - bf16 kernel on tile registers: up to 112 rows x 32 columns, 2 x 2 tiles at a time.
 *
 *            b0 [16][16]  b1 [16][16]     units x columns
 *   a0 [16][16]   c00         c01         rows x units; c: 16 x 16 float32
 *   a1 [r ][16]   c10         c11         r = 1 .. 16 rows, whatever is left
 *
 * A unit is a pair of bf16 and tdpbf16ps wants pairs on both sides, so it reads the layouts of the
 * other kernels as they are. One instruction does 16 x 16 x 32 products in 16 cycles; each tile
 * that is loaded is used twice.
 *
 * The numbers of rows are part of the configuration, which costs some hundred cycles to load. So
 * a kernel takes in all rows of a packed block, and changes it once at most, for the last ones. It
 * leaves no tile state behind: a thread without it is cheaper to switch.
 *
 * Units at the end that fill no tile go through copies with zeros behind them.
 *
 * Compiled with FC_AMX_EMULATED the tile registers are arrays and the file is plain C: a test runs
 * the same code on any machine.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#if !defined(FC_AMX_EMULATED)
#    include <immintrin.h>

#    include "tensor/cpu/matmul_avx512bf16_internal.h"
#endif

#include "tensor/cpu/matmul_amx_internal.h"
#include "tensor/cpu/matmul_internal.h"

enum { NR = 32, SIDE = 16, STEP_BYTES = SIDE * NR * FC_GEMM_UNIT_BYTES };

/* Numbers of the tile registers; macros because the instructions want literal ones. */
#define C00 0
#define C01 1
#define C10 2
#define C11 3
#define A0  4
#define A1  5
#define B0  6
#define B1  7

/* What ldtilecfg reads: tiles of 16 rows of 64 bytes, those of the last rows of r. */
#define CONFIG(r)                                                           \
    {                                                                       \
        .palette = 1, .rows = {16, 16, r, r, 16, r, 16, 16}, .row_bytes = { \
            64,                                                             \
            64,                                                             \
            64,                                                             \
            64,                                                             \
            64,                                                             \
            64,                                                             \
            64,                                                             \
            64                                                              \
        }                                                                   \
    }
static const fc_tile_config configs[SIDE] = {
    CONFIG(1),  CONFIG(2),  CONFIG(3),  CONFIG(4),  CONFIG(5),  CONFIG(6),
    CONFIG(7),  CONFIG(8),  CONFIG(9),  CONFIG(10), CONFIG(11), CONFIG(12),
    CONFIG(13), CONFIG(14), CONFIG(15), CONFIG(16),
};

/* Up to 32 rows of a part. */
typedef struct group {
    float *c;
    int64_t c_bytes; /* from row to row */
    const unsigned char *a;
    int64_t a_bytes;
    int64_t m;
    bool has_upper; /* more than 16 rows */
} group;

static inline void begin_sums(const group *g, bool accumulate)
{
    float *const lower =
        g->has_upper ? g->c + SIDE * g->c_bytes / (int64_t)sizeof *g->c : g->c;
    if (accumulate) {
        if (g->has_upper) {
            FC_TILE_LOAD(C00, g->c, g->c_bytes);
            FC_TILE_LOAD(C01, g->c + SIDE, g->c_bytes);
        }
        FC_TILE_LOAD(C10, lower, g->c_bytes);
        FC_TILE_LOAD(C11, lower + SIDE, g->c_bytes);
    } else {
        FC_TILE_ZERO(C00);
        FC_TILE_ZERO(C01);
        FC_TILE_ZERO(C10);
        FC_TILE_ZERO(C11);
    }
}

static inline void end_sums(const group *g)
{
    float *const lower =
        g->has_upper ? g->c + SIDE * g->c_bytes / (int64_t)sizeof *g->c : g->c;
    if (g->has_upper) {
        FC_TILE_STORE(C00, g->c, g->c_bytes);
        FC_TILE_STORE(C01, g->c + SIDE, g->c_bytes);
    }
    FC_TILE_STORE(C10, lower, g->c_bytes);
    FC_TILE_STORE(C11, lower + SIDE, g->c_bytes);
}

/* 16 units: a points at the first of them in the first row, b at their rows of the panel. */
static inline void step(const unsigned char *a, int64_t a_bytes, bool has_upper,
                        const float *b)
{
    FC_TILE_LOAD(B0, b, NR * FC_GEMM_UNIT_BYTES);
    FC_TILE_LOAD(B1, b + SIDE, NR * FC_GEMM_UNIT_BYTES);
    if (has_upper) {
        FC_TILE_LOAD(A0, a, a_bytes);
        FC_TILE_DOT(C00, A0, B0);
        FC_TILE_DOT(C01, A0, B1);
        a += SIDE * a_bytes;
    }
    FC_TILE_LOAD(A1, a, a_bytes);
    FC_TILE_DOT(C10, A1, B0);
    FC_TILE_DOT(C11, A1, B1);
}

/* The last n_units < 16: neither operand may be read beyond them. */
static void last_step(const group *g, const unsigned char *a, const float *b,
                      int64_t n_units)
{
    _Alignas(64) unsigned char rows[2 * SIDE][SIDE * FC_GEMM_UNIT_BYTES] = {0};
    _Alignas(64) float units[SIDE][NR] = {0};
    for (int64_t i = 0; i < g->m; i++)
        memcpy(rows[i], a + i * g->a_bytes, (size_t)n_units * FC_GEMM_UNIT_BYTES);
    memcpy(units, b, (size_t)n_units * sizeof units[0]);
    FC_TILE_WROTE(rows);
    FC_TILE_WROTE(units);
    step(rows[0], sizeof rows[0], g->has_upper, units[0]);
}

static void multiply_group(const group *g, const float *b, int64_t n_units,
                           bool accumulate, const unsigned char *soon, int64_t soon_bytes)
{
    begin_sums(g, accumulate);
    int64_t k = 0;
    for (; k + SIDE <= n_units; k += SIDE) {
        for (int64_t i = 0; i < soon_bytes; i += 64) __builtin_prefetch(soon + i, 0, 2);
        soon += soon_bytes;
        step(g->a + k * FC_GEMM_UNIT_BYTES, g->a_bytes, g->has_upper, b + k * NR);
    }
    if (k < n_units) last_step(g, g->a + k * FC_GEMM_UNIT_BYTES, b + k * NR, n_units - k);
    end_sums(g);
}

static void tile(const fc_gemm_part *part)
{
    FC_ASSERT(part->m >= 1 && part->m <= FC_GEMM_ROWS);
    const int64_t n_groups = fc_ceil_div(part->m, 2 * SIDE);
    const int64_t soon_bytes = fc_round_up(SIDE * part->soon_step / n_groups, 64);
    const unsigned char *soon = part->soon;
    int64_t rows_loaded = 0;
    FC_TILE_WROTE(part->c);
    for (int64_t i = 0; i < part->m; i += 2 * SIDE) {
        const int64_t m = fc_min(2 * SIDE, part->m - i);
        const int64_t n_lower = m > SIDE ? m - SIDE : m;
        const group g = {.c = part->c + i * part->c_row,
                         .c_bytes = part->c_row * (int64_t)sizeof *part->c,
                         .a = (const unsigned char *)part->a +
                              i * part->a_row * FC_GEMM_UNIT_BYTES,
                         .a_bytes = part->a_row * FC_GEMM_UNIT_BYTES,
                         .m = m,
                         .has_upper = m > SIDE};
        if (rows_loaded != n_lower) FC_TILE_CONFIGURE(&configs[n_lower - 1]);
        rows_loaded = n_lower;
        multiply_group(&g, part->b, part->n_units, part->accumulate, soon, soon_bytes);
        soon += part->n_units / SIDE * soon_bytes;
    }
    FC_TILE_RELEASE();
}

#if defined(FC_AMX_EMULATED)

void fc_amx_tile_emulated(const fc_gemm_part *part)
{
    tile(part);
}

#else

const fc_gemm fc_gemm_amx = {.name = "amx",
                             .mr = FC_GEMM_ROWS,
                             .nr = NR,
                             .k_per_unit = 2,
                             .a_dtype = FC_BF16,
                             .dense_share = 0.04,
                             .tile = tile,
                             .run = fc_bf16_run,
                             .pair_run = fc_bf16_pair_run,
                             .transpose = fc_bf16_transpose};

#endif
