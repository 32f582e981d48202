/* test_dtype.c - names and sizes of element types; every bit pattern of the short floats.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <string.h>

#include "formats/dtype.h"

static void every_name_is_parsed_back(void **state)
{
    (void)state;
    for (int i = 0; i < FC_N_DTYPES; i++) {
        fc_dtype dtype = FC_N_DTYPES;
        fc_err err = {0};
        fc_assert_ok(fc_dtype_parse(&dtype, fc_dtype_name((fc_dtype)i), &err), &err);
        assert_int_equal(dtype, i);
        assert_in_range(fc_dtype_size(dtype), 1, 8);
    }
    assert_string_equal(fc_dtype_name(FC_N_DTYPES), "unknown");
    assert_int_equal(fc_dtype_size(FC_BF16), 2);
}

static void an_unknown_name_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const names[] = {"", "f32", "F8_E4M3", "F32 ",
                                        "a name that is much longer than any type has"};
    for (size_t i = 0; i < FC_LEN(names); i++) {
        fc_dtype dtype = FC_I8;
        fc_err err = {0};
        fc_assert_fails(fc_dtype_parse(&dtype, names[i], &err), &err, FC_FORMAT,
                        "expected", "BF16");
        assert_int_equal(dtype, FC_I8);
    }
}

static void every_bf16_survives_the_way_to_float32_and_back(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        const fc_bf16 x = {(uint16_t)bits};
        const float wide = fc_bf16_to_f32(x);
        const fc_bf16 back = fc_bf16_from_f32(wide);
        if (isnan(wide))
            assert_true(isnan(fc_bf16_to_f32(back)));
        else
            assert_int_equal(back.bits, bits);
    }
}

static void bf16_rounds_to_nearest_with_ties_to_even(void **state)
{
    (void)state;
    static const struct {
        float x;
        uint16_t bits;
    } cases[] = {
        {1.0f, 0x3f80},          {0x1.01p0f, 0x3f80},       /* tie, down to even */
        {0x1.03p0f, 0x3f82},                                /* tie, up to even */
        {0x1.010002p0f, 0x3f81}, {0x1.00fffep0f, 0x3f80},   /* just above, just below */
        {-0x1.03p0f, 0xbf82},    {0x1.fffffep127f, 0x7f80}, /* overflows */
        {0x1p-149f, 0x0000},     {0x1p-134f, 0x0000},       /* subnormals */
        {0x1.8p-133f, 0x0002},   {INFINITY, 0x7f80},        {-0.0f, 0x8000},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++)
        assert_int_equal(fc_bf16_from_f32(cases[i].x).bits, cases[i].bits);
}

/* 2^(e - 15) (1 + m / 1024), or m 2^-24 when e = 0. */
static void every_f16_becomes_its_value(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        const int e = (int)(bits >> 10) & 31, m = (int)bits & 1023;
        const double sign = bits >> 15 != 0 ? -1 : 1;
        const float x = fc_f16_to_f32((uint16_t)bits);
        if (e == 31 && m != 0) {
            assert_true(isnan(x));
            continue;
        }
        const double finite = e == 0 ? ldexp(m, -24) : ldexp(1024 + m, e - 25);
        assert_true((double)x == sign * (e == 31 ? HUGE_VAL : finite));
        assert_true((signbit(x) != 0) == (sign < 0));
    }
}

/* Four values of every type, at an odd address. */
static void arrays_of_every_type_are_read_at_any_address(void **state)
{
    (void)state;
#define CASE(dtype, type, ...)                                               \
    do {                                                                     \
        const type values[] = {__VA_ARGS__};                                 \
        unsigned char bytes[4 * 8 + 1];                                      \
        float got[4];                                                        \
        memcpy(bytes + 1, values, sizeof values);                            \
        fc_to_f32(got, bytes + 1, dtype, 4);                                 \
        for (int i = 0; i < 4; i++) assert_true(got[i] == (float)values[i]); \
    } while (0)
    CASE(FC_F64, double, 0.1, -2, 1e300, 3);
    CASE(FC_F32, float, 0.1f, -2, 1e30f, 3);
    CASE(FC_U64, uint64_t, 0, 1, UINT64_MAX, 7);
    CASE(FC_I64, int64_t, INT64_MIN, -1, INT64_MAX, 7);
    CASE(FC_U32, uint32_t, 0, 1, UINT32_MAX, 7);
    CASE(FC_I32, int32_t, INT32_MIN, -1, INT32_MAX, 7);
    CASE(FC_U16, uint16_t, 0, 1, 65535, 7);
    CASE(FC_I16, int16_t, -32768, -1, 32767, 7);
    CASE(FC_U8, uint8_t, 0, 1, 255, 7);
    CASE(FC_I8, int8_t, -128, -1, 127, 7);
    CASE(FC_BOOL, bool, 0, 1, 1, 0);
#undef CASE
    const uint16_t bf16[] = {0x3f80, 0xc000}, f16[] = {0x3c00, 0xc000};
    float got[2];
    fc_to_f32(got, bf16, FC_BF16, 2);
    assert_true(got[0] == 1 && got[1] == -2);
    fc_to_f32(got, f16, FC_F16, 2);
    assert_true(got[0] == 1 && got[1] == -2);
    fc_to_f32(got, NULL, FC_F32, 0);
}

static void float32_is_written_as_itself_or_as_bf16(void **state)
{
    (void)state;
    const float x[] = {1, -2, 0.1f};
    float same[3];
    uint16_t narrow[3];
    fc_from_f32(same, FC_F32, x, 3);
    assert_memory_equal(same, x, sizeof x);
    fc_from_f32(narrow, FC_BF16, x, 3);
    assert_true(narrow[0] == 0x3f80 && narrow[1] == 0xc000 && narrow[2] == 0x3dcd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_is_parsed_back),
        cmocka_unit_test(an_unknown_name_is_refused_by_name),
        cmocka_unit_test(every_bf16_survives_the_way_to_float32_and_back),
        cmocka_unit_test(bf16_rounds_to_nearest_with_ties_to_even),
        cmocka_unit_test(every_f16_becomes_its_value),
        cmocka_unit_test(arrays_of_every_type_are_read_at_any_address),
        cmocka_unit_test(float32_is_written_as_itself_or_as_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
