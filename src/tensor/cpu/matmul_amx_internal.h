/* matmul_amx_internal.h - the seven tile operations of matmul_amx.c, as instructions or as plain C.
 *
 * Instructions name their registers by literal numbers, so these are macros.
 *
 * Compilers do not all know that ldtilecfg and tileloadd read memory (gcc 12 does not): what they
 * read must be constant, or have passed FC_TILE_WROTE after it was written.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TENSOR_CPU_MATMUL_AMX_INTERNAL_H
#define FC_TENSOR_CPU_MATMUL_AMX_INTERNAL_H

#include <stdint.h>
#include <string.h>

#include "tensor/cpu/matmul_internal.h"

/* The 64 bytes of ldtilecfg, palette 1: for each of 8 tiles its rows and the bytes of a row. */
typedef struct fc_tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} fc_tile_config;
_Static_assert(sizeof(fc_tile_config) == 64, "as the processor reads it");

/* Strides are bytes from row to row; DOT: c += a b, sums of pairs. */
#if !defined(FC_AMX_EMULATED)

#    define FC_TILE_CONFIGURE(config)   _tile_loadconfig(config)
#    define FC_TILE_RELEASE()           _tile_release()
#    define FC_TILE_ZERO(tile)          _tile_zero(tile)
#    define FC_TILE_LOAD(tile, p, row)  _tile_loadd(tile, p, row)
#    define FC_TILE_STORE(tile, p, row) _tile_stored(tile, p, row)
#    define FC_TILE_DOT(c, a, b)        _tile_dpbf16ps(c, a, b)
#    define FC_TILE_WROTE(p)            __asm__ volatile("" : : "r"(p) : "memory")

#else

#    define FC_TILE_CONFIGURE(config)   fc_emulated_configure(config)
#    define FC_TILE_RELEASE()           fc_emulated_configure(NULL)
#    define FC_TILE_ZERO(tile)          fc_emulated_zero(tile)
#    define FC_TILE_LOAD(tile, p, row)  fc_emulated_load(tile, p, row)
#    define FC_TILE_STORE(tile, p, row) fc_emulated_store(tile, p, row)
#    define FC_TILE_DOT(c, a, b)        fc_emulated_dot(c, a, b)
#    define FC_TILE_WROTE(p)            (void)(p)

/* Defined by the test. They stop it where the processor would: no configuration, shapes that do
 * not fit. */
void fc_emulated_configure(const fc_tile_config *config);
void fc_emulated_zero(int tile);
void fc_emulated_load(int tile, const void *p, int64_t row_bytes);
void fc_emulated_store(int tile, void *p, int64_t row_bytes);
void fc_emulated_dot(int c, int a, int b);

/* The kernel on them: tile of fc_gemm_amx. */
void fc_amx_tile_emulated(const fc_gemm_part *part);

#endif
#endif
