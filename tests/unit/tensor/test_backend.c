/* test_backend.c - choosing kernels, and what happens when memory runs out.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit/tensor/kernels.h"

static void the_mask_chooses_the_kernels(void **state)
{
    (void)state;
    fc_backend *be[N_ISAS];
    const int n_be = open_backends(be);
    for (int i = 0; i < n_be; i++) assert_string_equal(be[i]->ops->name, isa_names[i]);
    fc_backend *native = NULL;
    fc_err err = {0};
    fc_assert_ok(fc_backend_open(&native, "native", &err), &err);
    assert_string_equal(native->ops->name, be[n_be - 1]->ops->name);
    assert_false(fc_backend_prefers_bf16(be[0]));
    fc_backend_close(native);
    close_backends(be, n_be);
}

static void an_unknown_mask_is_refused_by_name(void **state)
{
    (void)state;
    fc_backend *be = NULL;
    fc_err err = {0};
    fc_assert_fails(fc_backend_open(&be, "sse9", &err), &err, FC_USAGE, "sse9",
                    "expected", "ref");
    assert_null(be);
    fc_backend_close(NULL);
}

static fc_status open_and_close(void *ctx, fc_err *err)
{
    (void)ctx;
    fc_backend *be = NULL;
    FC_TRY(fc_backend_open(&be, NULL, err));
    fc_backend_close(be);
    return FC_OK;
}

static void every_failing_allocation_is_a_status(void **state)
{
    (void)state;
    assert_int_equal(fc_test_sweep_alloc(open_and_close, NULL, NULL), 3);
}

static void every_operation_is_there(void **state)
{
    (void)state;
    fc_backend *be[N_ISAS];
    const int n_be = open_backends(be);
    for (int i = 0; i < n_be; i++) {
        void (*entry[sizeof(fc_ops) / sizeof(void *)])(void);
        memcpy(entry, be[i]->ops, sizeof entry);
        for (size_t j = 0; j < FC_LEN(entry); j++) assert_true(entry[j] != NULL);
    }
    close_backends(be, n_be);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mask_chooses_the_kernels),
        cmocka_unit_test(an_unknown_mask_is_refused_by_name),
        cmocka_unit_test(every_failing_allocation_is_a_status),
        cmocka_unit_test(every_operation_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
