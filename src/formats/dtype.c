/* dtype.c - element types: names, sizes, and the way to float32 and back.
 *
 * Whole arrays are read element by element through memcpy, because tensors in a mapped file
 * start at any byte; compilers turn that into plain unaligned loads.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "formats/dtype.h"

#include <string.h>

#include "formats/float_bits.h"

typedef struct dtype_info {
    const char *name;
    size_t size;
} dtype_info;

#define DTYPE_ROW(id, name, size) {name, size},
static const dtype_info dtypes[] = {FC_DTYPE_TABLE(DTYPE_ROW)};
#undef DTYPE_ROW

const char *fc_dtype_name(fc_dtype dtype)
{
    return (size_t)dtype < FC_LEN(dtypes) ? dtypes[dtype].name : "unknown";
}

size_t fc_dtype_size(fc_dtype dtype)
{
    FC_CHECK((size_t)dtype < FC_LEN(dtypes));
    return dtypes[dtype].size;
}

fc_status fc_dtype_parse(fc_dtype *dtype, const char *name, fc_err *err)
{
    for (size_t i = 0; i < FC_LEN(dtypes); i++) {
        if (strcmp(name, dtypes[i].name) == 0) {
            *dtype = (fc_dtype)i;
            return FC_OK;
        }
    }
    return fc_fail(err, FC_FORMAT,
                   "element type is '%.32s', expected one of F64 F32 BF16 F16 "
                   "I64 I32 I16 I8 U64 U32 U16 U8 BOOL",
                   name);
}

float fc_bf16_to_f32(fc_bf16 x)
{
    return fc_f32_of_bits((uint32_t)x.bits << 16);
}

fc_bf16 fc_bf16_from_f32(float x)
{
    const fc_bf16 y = {(uint16_t)fc_bf16_bits_of_f32(x)};
    return y;
}

float fc_f16_to_f32(uint16_t bits)
{
    return fc_f32_of_f16_bits(bits);
}

/* One loop for each type: `value` is the element, already loaded. */
#define TO_F32(type, expression)                                        \
    for (int64_t i = 0; i < n; i++) {                                   \
        type value;                                                     \
        memcpy(&value, bytes + (size_t)i * sizeof value, sizeof value); \
        to[i] = (expression);                                           \
    }                                                                   \
    break

void fc_to_f32(float *restrict to, const void *restrict from, fc_dtype dtype, int64_t n)
{
    const unsigned char *const bytes = from;
    switch (dtype) {
    case FC_F32:
        if (n > 0) memcpy(to, from, (size_t)n * sizeof *to);
        break;
    case FC_BF16: TO_F32(uint16_t, fc_f32_of_bits((uint32_t)value << 16));
    case FC_F16: TO_F32(uint16_t, fc_f32_of_f16_bits(value));
    case FC_F64: TO_F32(double, (float)value);
    case FC_U64: TO_F32(uint64_t, (float)value);
    case FC_I64: TO_F32(int64_t, (float)value);
    case FC_U32: TO_F32(uint32_t, (float)value);
    case FC_I32: TO_F32(int32_t, (float)value);
    case FC_U16: TO_F32(uint16_t, (float)value);
    case FC_I16: TO_F32(int16_t, (float)value);
    case FC_U8: TO_F32(uint8_t, (float)value);
    case FC_I8: TO_F32(int8_t, (float)value);
    case FC_BOOL: TO_F32(uint8_t, value != 0 ? 1.0f : 0.0f);
    case FC_N_DTYPES:
    default: FC_CHECK(dtype < FC_N_DTYPES);
    }
}

void fc_from_f32(void *restrict to, fc_dtype dtype, const float *restrict from, int64_t n)
{
    FC_CHECK(dtype == FC_F32 || dtype == FC_BF16);
    unsigned char *const bytes = to;
    if (dtype == FC_F32) {
        if (n > 0) memcpy(to, from, (size_t)n * sizeof *from);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        const uint16_t bits = (uint16_t)fc_bf16_bits_of_f32(from[i]);
        memcpy(bytes + (size_t)i * sizeof bits, &bits, sizeof bits);
    }
}
