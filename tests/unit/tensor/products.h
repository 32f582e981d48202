/* products.h - operands of the tests of matrix products: every layout and type.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TEST_PRODUCTS_H
#define FC_TEST_PRODUCTS_H

#include "unit/tensor/kernels.h"

#include "formats/dtype.h"

/* How an operand of the case lies in memory. */
typedef enum layout {
    ROWS,      /* rows one after the other */
    COLUMNS,   /* stored transposed */
    ROWS_WIDE, /* rows further apart than they are long */
    STEPS      /* neither direction is adjacent */
} layout;

/* A matrix of normal numbers in the layout; owns its memory, which starts at an odd address
 * where the type allows it. */
typedef struct test_matrix {
    fc_mat mat;
    unsigned char *memory;
} test_matrix;

static inline uint16_t
f16_bits_of(float x) /* nearest below, normal range only: a test input */
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const int32_t exponent = (int32_t)((bits >> 23) & 0xff) - 127 + 15;
    const uint32_t sign = (bits >> 16) & 0x8000u;
    return (uint16_t)(exponent <= 0
                          ? sign
                          : sign | (uint32_t)exponent << 10 | (bits >> 13 & 0x3ff));
}

static inline void put_element(unsigned char *to, fc_dtype dtype, float x)
{
    if (dtype == FC_F16) {
        const uint16_t bits = f16_bits_of(x);
        memcpy(to, &bits, sizeof bits);
    } else {
        fc_from_f32(to, dtype, &x, 1);
    }
}

static inline test_matrix make_matrix(int64_t rows, int64_t cols, layout how,
                                      fc_dtype dtype, uint64_t stream)
{
    const int64_t size = (int64_t)fc_dtype_size(dtype);
    fc_mat mat = {NULL, dtype, rows, cols, cols, 1};
    if (how == ROWS_WIDE) mat.row = cols + 5;
    if (how == COLUMNS) mat.row = 1, mat.col = rows;
    if (how == STEPS) mat.row = 2, mat.col = 2 * rows + 3;
    const int64_t n = rows * mat.row + cols * mat.col + 1;
    test_matrix made = {mat, NULL};
    fc_err err = {0};
    fc_assert_ok(fc_alloc(&made.memory, n * size + 1, 1, "a matrix", &err), &err);
    unsigned char *const data = made.memory + (dtype == FC_F32 ? 0 : 1);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++)
            put_element(
                data + (i * mat.row + j * mat.col) * size, dtype,
                (float)fc_rng_normal(3, FC_RNG_TEST + stream, (uint64_t)(i * cols + j)));
    made.mat.data = data;
    return made;
}

#endif
