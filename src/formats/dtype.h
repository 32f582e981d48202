/* dtype.h - element types as they lie on disk and in memory, and their way to float32.
 *
 * The names are those of safetensors ("F32", "BF16"). The order is safetensors' writing order:
 * tensors are sorted by it in a file, wide types first.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FORMATS_DTYPE_H
#define FC_FORMATS_DTYPE_H

#include "base/err.h"

/* X(enum constant, safetensors name, bytes) */
#define FC_DTYPE_TABLE(X) \
    X(FC_U64, "U64", 8)   \
    X(FC_I64, "I64", 8)   \
    X(FC_F64, "F64", 8)   \
    X(FC_F32, "F32", 4)   \
    X(FC_U32, "U32", 4)   \
    X(FC_I32, "I32", 4)   \
    X(FC_BF16, "BF16", 2) \
    X(FC_F16, "F16", 2)   \
    X(FC_U16, "U16", 2)   \
    X(FC_I16, "I16", 2)   \
    X(FC_U8, "U8", 1)     \
    X(FC_I8, "I8", 1)     \
    X(FC_BOOL, "BOOL", 1)

#define FC_DTYPE_ENUM(id, name, size) id,
typedef enum fc_dtype { FC_DTYPE_TABLE(FC_DTYPE_ENUM) FC_N_DTYPES } fc_dtype;
#undef FC_DTYPE_ENUM

/* A brain float: the upper half of a float32. A struct, so that it is never taken for a count. */
typedef struct fc_bf16 {
    uint16_t bits;
} fc_bf16;

const char *fc_dtype_name(fc_dtype dtype);
size_t fc_dtype_size(fc_dtype dtype);
fc_status fc_dtype_parse(fc_dtype *dtype, const char *name,
                         fc_err *err); /* safetensors names */

float fc_bf16_to_f32(fc_bf16 x);    /* exact */
fc_bf16 fc_bf16_from_f32(float x);  /* nearest, ties to even; NaN stays NaN */
float fc_f16_to_f32(uint16_t bits); /* exact */

/* n elements of a float type (F64 F32 BF16 F16) or integer type to float32. `from` may be
 * unaligned: tensors in a mapped file often are. */
void fc_to_f32(float *restrict to, const void *restrict from, fc_dtype dtype, int64_t n);
/* n float32 to F32, BF16. */
void fc_from_f32(void *restrict to, fc_dtype dtype, const float *restrict from,
                 int64_t n);

#endif
