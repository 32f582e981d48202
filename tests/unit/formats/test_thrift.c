/* test_thrift.c - Thrift's compact protocol: every type, read and skipped, and bytes that make no sense.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <string.h>

#include "formats/thrift.h"

/* {1: -3 (i32), 2: true, 3: "ab", 20: [7, 8] (i16), 21: {1: 1.0}, 22: {1: 5 (i8)}, 23: uuid, 24: false} */
static const uint8_t all_types[] = {
    0x15, 0x05,                                           /* 1: zigzag(-3) */
    0x11,                                                 /* 2: true */
    0x18, 0x02, 'a',  'b',                                /* 3 */
    0x09, 0x28, 0x24, 0x0e, 0x10,                         /* 20: its id follows */
    0x1c, 0x17, 0,    0,    0,    0,    0, 0, 0xf0, 0x3f, /* 21: a struct with a double */
    0x00,                                                 /* its end */
    0x1b, 0x01, 0x83, 0x01, 'k',  0x05,                   /* 22: a map of binary to i8 */
    0x1d, 1,    2,    3,    4,    5,    6, 7, 8,    9,    10,
    11,   12,   13,   14,   15,   16, /* 23: uuid */
    0x12,                             /* 24: false */
    0x00};

static void every_type_is_read_or_passed_over(void **state)
{
    (void)state;
    fc_thrift t = fc_thrift_over(all_types, sizeof all_types);
    fc_thrift_field f = {0};
    int64_t n;
    assert_true(fc_thrift_next(&t, &f));
    assert_int_equal(f.id, 1);
    assert_int_equal(fc_thrift_i64(&t, f), -3);
    assert_true(fc_thrift_next(&t, &f));
    assert_true(fc_thrift_bool(&t, f));
    assert_true(fc_thrift_next(&t, &f));
    assert_memory_equal(fc_thrift_text(&t, f, &n), "ab", 2);
    assert_int_equal(n, 2);
    assert_true(fc_thrift_next(&t, &f));
    assert_int_equal(f.id, 20);
    assert_int_equal(fc_thrift_list(&t, f, FC_THRIFT_I16), 2);
    assert_int_equal(fc_thrift_i64(&t, (fc_thrift_field){.type = FC_THRIFT_I16}), 7);
    assert_int_equal(fc_thrift_i64(&t, (fc_thrift_field){.type = FC_THRIFT_I16}), 8);
    for (int id = 21; id <= 24; id++) {
        assert_true(fc_thrift_next(&t, &f));
        assert_int_equal(f.id, id);
        fc_thrift_skip(&t, f);
    }
    assert_false(fc_thrift_next(&t, &f));
    assert_null(t.fault);
    assert_ptr_equal(t.at, t.end);

    fc_thrift whole = fc_thrift_over(all_types, sizeof all_types);
    fc_thrift_skip(&whole, (fc_thrift_field){.type = FC_THRIFT_STRUCT});
    assert_null(whole.fault);
    assert_ptr_equal(whole.at, whole.end);
}

static void a_struct_cut_anywhere_is_a_fault(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof all_types; n++) {
        fc_thrift t = fc_thrift_over(all_types, n);
        fc_thrift_skip(&t, (fc_thrift_field){.type = FC_THRIFT_STRUCT});
        assert_non_null(t.fault);
        fc_thrift_field f = {0};
        assert_false(fc_thrift_next(&t, &f)); /* a fault is sticky */
        assert_int_equal(fc_thrift_i64(&t, (fc_thrift_field){.type = FC_THRIFT_I32}), 0);
    }
}

static void bytes_that_make_no_sense_are_faults(void **state)
{
    (void)state;
    static const struct {
        const char *fault;
        uint8_t bytes[16];
    } cases[] = {
        {"more than 64 bits",
         {0x15, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}},
        {"no known type", {0x1e, 0}},
        {"no known type", {0x10, 0}},
        {"out of range", {0x05, 0x80, 0x80, 0x80, 0x10, 0}}, /* a field's id */
        {"more elements than bytes", {0x19, 0xf5, 0xff, 0xff, 0xff, 0x0f}},
        {"more elements than bytes", {0x1b, 0xff, 0xff, 0x0f, 0x55}},
        {"within a value", {0x18, 0xff, 0xff, 0x0f, 'a'}},
        {"no known type", {0x19, 0x1e, 0}}, /* of an element */
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_thrift t = fc_thrift_over(cases[i].bytes, sizeof cases[i].bytes);
        fc_thrift_skip(&t, (fc_thrift_field){.type = FC_THRIFT_STRUCT});
        assert_non_null(t.fault);
        if (!strstr(t.fault, cases[i].fault))
            fail_msg("'%s' lacks '%s'", t.fault, cases[i].fault);
    }
}

static void nesting_ends_at_a_depth_of_32(void **state)
{
    (void)state;
    uint8_t lists[64];
    memset(lists, 0x19, sizeof lists); /* a list of one list of one list ... */
    for (size_t depth = 31; depth <= 32; depth++) {
        lists[depth] = 0x03; /* an empty list */
        fc_thrift t = fc_thrift_over(lists, sizeof lists);
        fc_thrift_skip(&t, (fc_thrift_field){.type = FC_THRIFT_LIST});
        assert_int_equal(t.fault != NULL, depth == 32);
        lists[depth] = 0x19;
    }
}

static void a_value_of_another_type_is_a_fault(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0x02, 0, 0, 0};
    int64_t n;
    for (int type = FC_THRIFT_TRUE; type <= FC_THRIFT_UUID; type++) {
        const fc_thrift_field f = {.id = 1, .type = (fc_thrift_type)type};
        fc_thrift t = fc_thrift_over(bytes, sizeof bytes);
        (void)fc_thrift_i64(&t, f);
        assert_int_equal(t.fault == NULL, type >= FC_THRIFT_I8 && type <= FC_THRIFT_I64);
        t = fc_thrift_over(bytes, sizeof bytes);
        (void)fc_thrift_text(&t, f, &n);
        assert_int_equal(t.fault == NULL, type == FC_THRIFT_BINARY);
        t = fc_thrift_over(bytes, sizeof bytes);
        (void)fc_thrift_bool(&t, f);
        assert_int_equal(t.fault == NULL, type <= FC_THRIFT_FALSE);
        t = fc_thrift_over(bytes, sizeof bytes);
        (void)fc_thrift_list(&t, f, FC_THRIFT_I32);
        assert_int_equal(t.fault == NULL, type == FC_THRIFT_LIST);
        t = fc_thrift_over(bytes, sizeof bytes);
        assert_int_equal(fc_thrift_is_struct(&t, f), type == FC_THRIFT_STRUCT);
    }
    const uint8_t list[] = {0x15, 2};
    fc_thrift t = fc_thrift_over(list, sizeof list);
    assert_int_equal(
        fc_thrift_list(&t, (fc_thrift_field){.type = FC_THRIFT_LIST}, FC_THRIFT_STRUCT),
        0);
    assert_string_equal(t.fault, "the elements of a list have the wrong type");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_read_or_passed_over),
        cmocka_unit_test(a_struct_cut_anywhere_is_a_fault),
        cmocka_unit_test(bytes_that_make_no_sense_are_faults),
        cmocka_unit_test(nesting_ends_at_a_depth_of_32),
        cmocka_unit_test(a_value_of_another_type_is_a_fault),
    };
    return cmocka_run_group_tests_name("thrift", tests, NULL, NULL);
}
