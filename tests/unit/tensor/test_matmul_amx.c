/* test_matmul_amx.c - the kernel for tile registers, on registers in plain C, so on any machine.
 *
 * The registers here refuse what the processor refuses: no or a wrong configuration, operands
 * whose shapes do not fit. Where the machine has AMX, test_matmul.c runs the instructions.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit/tensor/kernels.h"

#include "formats/dtype.h"
#include "tensor/cpu/matmul_amx_internal.h"

/* --- the registers ---------------------------------------------------------------------- */

typedef struct tile_register {
    unsigned char row[16][64];
} tile_register;

static struct {
    bool is_configured;
    fc_tile_config config;
    tile_register tile[8];
} amx;

void fc_emulated_configure(const fc_tile_config *config)
{
    static const unsigned char zeros[14];
    memset(&amx, 0, sizeof amx);
    if (config == NULL) return;
    assert_int_equal(config->palette, 1);
    assert_int_equal(config->start_row, 0);
    assert_memory_equal(config->reserved, zeros, sizeof zeros);
    for (int i = 0; i < 16; i++) {
        assert_true(config->rows[i] <= 16 && config->row_bytes[i] <= 64);
        assert_true((config->rows[i] == 0) == (config->row_bytes[i] == 0));
        if (i >= 8) assert_int_equal(config->rows[i], 0);
    }
    amx.config = *config;
    amx.is_configured = true;
}

/* Rows of a tile that can be used. */
static int rows_of(int tile)
{
    assert_true(amx.is_configured);
    assert_true(amx.config.rows[tile] > 0);
    return amx.config.rows[tile];
}

void fc_emulated_zero(int tile)
{
    (void)rows_of(tile);
    memset(&amx.tile[tile], 0, sizeof amx.tile[tile]);
}

void fc_emulated_load(int tile, const void *p, int64_t row_bytes)
{
    const int n_rows = rows_of(tile);
    fc_emulated_zero(tile);
    for (int i = 0; i < n_rows; i++)
        memcpy(amx.tile[tile].row[i], (const unsigned char *)p + i * row_bytes,
               amx.config.row_bytes[tile]);
}

void fc_emulated_store(int tile, void *p, int64_t row_bytes)
{
    for (int i = 0; i < rows_of(tile); i++)
        memcpy((unsigned char *)p + i * row_bytes, amx.tile[tile].row[i],
               amx.config.row_bytes[tile]);
}

static float bf16_at(const tile_register *from, int row, int i)
{
    uint16_t bits;
    memcpy(&bits, &from->row[row][2 * i], sizeof bits);
    return fc_bf16_to_f32((fc_bf16){bits});
}

void fc_emulated_dot(int c, int a, int b)
{
    assert_int_equal(rows_of(c), rows_of(a));
    assert_int_equal(amx.config.row_bytes[a], 4 * rows_of(b));
    assert_int_equal(amx.config.row_bytes[c], amx.config.row_bytes[b]);
    for (int i = 0; i < rows_of(c); i++) {
        float sum[16];
        memcpy(sum, amx.tile[c].row[i], sizeof sum);
        for (int k = 0; k < rows_of(b); k++)
            for (int j = 0; j < 16; j++)
                for (int half = 0; half < 2; half++)
                    sum[j] += bf16_at(&amx.tile[a], i, 2 * k + half) *
                              bf16_at(&amx.tile[b], k, 2 * j + half);
        memcpy(amx.tile[c].row[i], sum, sizeof sum);
    }
}

/* --- the kernel ------------------------------------------------------------------------- */

enum { NR = 32, C_ROW = NR + 3 };

/* n bf16, NaN where nothing should be read. */
static fc_bf16 *numbers_between_nans(int64_t n, int64_t n_rows, int64_t row,
                                     uint64_t stream)
{
    const fc_bf16 nan = {0x7fc0};
    fc_bf16 *x = NULL;
    fc_err err = {0};
    fc_assert_ok(fc_alloc(&x, n_rows * row + 64, sizeof *x, "an operand", &err), &err);
    for (int64_t i = 0; i < n_rows * row + 64; i++) {
        const bool is_real = i / row < n_rows && i % row < n;
        x[i] = is_real ? fc_bf16_from_f32(
                             (float)fc_rng_normal(5, FC_RNG_TEST + stream, (uint64_t)i))
                       : nan;
    }
    return x;
}

/* b: [n_units][NR] pairs, like the panels of fc_gemm_pack_b. */
static void check_sum(const fc_gemm_part *part, const fc_bf16 *a, int64_t a_row,
                      const fc_bf16 *b, int64_t at)
{
    const int64_t i = at / NR, j = at % NR;
    double sum = part->accumulate ? 0.5 : 0, size = sum;
    for (int64_t k = 0; k < 2 * part->n_units; k++) {
        const double x = (double)fc_bf16_to_f32(a[i * a_row + k]);
        const double y = (double)fc_bf16_to_f32(b[(k / 2 * NR + j) * 2 + k % 2]);
        sum += x * y;
        size += fabs(x * y);
    }
    const double got = (double)part->c[i * C_ROW + j];
    if (!(fabs(got - sum) <= 1e-5 * size))
        fail_msg("%d rows, %d units: element (%d, %d) is %.9g, expected %.9g",
                 (int)part->m, (int)part->n_units, (int)i, (int)j, got, sum);
}

static void multiply(int64_t m, int64_t n_units, int64_t a_row, bool accumulate)
{
    fc_bf16 *const a = numbers_between_nans(2 * n_units, m, 2 * a_row, 1);
    fc_bf16 *const b = numbers_between_nans(2 * NR, n_units, 2 * NR, 2);
    const guarded c = guarded_new(m * C_ROW);
    for (int64_t i = 0; i < c.n; i++) c.at[i] = 0.5f;
    const fc_gemm_part part = {.c = c.at,
                               .c_row = C_ROW,
                               .a = a,
                               .a_row = a_row,
                               .b = (const float *)(const void *)b,
                               .m = m,
                               .n = NR,
                               .n_units = n_units,
                               .accumulate = accumulate,
                               .soon = (const unsigned char *)b,
                               .soon_step = 4};
    fc_amx_tile_emulated(&part);
    assert_false(amx.is_configured); /* no state is left behind */
    for (int64_t at = 0; at < m * NR; at++) check_sum(&part, a, 2 * a_row, b, at);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = NR; j < C_ROW; j++) assert_true(c.at[i * C_ROW + j] == 0.5f);
    guarded_free(c);
    fc_free(a);
    fc_free(b);
}

static void any_number_of_rows_and_units_gives_the_sums(void **state)
{
    (void)state;
    static const int64_t n_rows[] = {1,  2,  15, 16, 17, 31,  32,
                                     33, 48, 49, 64, 65, 111, 112};
    static const int64_t n_units[] = {1, 15, 16, 17, 31, 32, 64, 71};
    for (size_t i = 0; i < FC_LEN(n_rows); i++)
        for (size_t j = 0; j < FC_LEN(n_units); j++)
            multiply(n_rows[i], n_units[j], n_units[j] + 5, (i + j) % 2 == 0);
}

static void a_whole_block_of_packed_rows_gives_the_sums(void **state)
{
    (void)state;
    multiply(112, FC_GEMM_UNITS, FC_GEMM_UNITS, true);
    multiply(100, FC_GEMM_UNITS - 1, FC_GEMM_UNITS, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_rows_and_units_gives_the_sums),
        cmocka_unit_test(a_whole_block_of_packed_rows_gives_the_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
