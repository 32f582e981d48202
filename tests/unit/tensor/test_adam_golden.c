/* test_adam_golden.c - one Adam step from recorded weights and gradients, against what
 * torch.optim.Adam made of them: equal to the last bit.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit/tensor/kernels.h"

#include "formats/safetensors.h"

static const char *const names[] = {"W_enc", "b_enc", "W_dec", "b_dec"};

static float *read_tensor(const fc_safetensors *st, const char *prefix, const char *name,
                          int64_t *n)
{
    char full[64];
    float *values = NULL;
    fc_err err = {0};
    snprintf(full, sizeof full, "%s%s", prefix, name);
    const fc_tensor *const tensor = fc_safetensors_find(st, full);
    assert_non_null(tensor);
    fc_assert_ok(fc_tensor_to_f32(tensor, &values, &err), &err);
    *n = tensor->n;
    return values;
}

static void the_first_step_is_that_of_pytorch(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    fc_safetensors *start = NULL, *trace = NULL;
    fc_backend *be = NULL;
    fc_err err = {0};
    double lr = 0;
    fc_fixture(path, "sae/training/seed-sum-l1/start.safetensors");
    fc_assert_ok(fc_safetensors_open(&start, path, &err), &err);
    fc_fixture(path, "sae/training/seed-sum-l1/trace.safetensors");
    fc_assert_ok(fc_safetensors_open(&trace, path, &err), &err);
    fc_assert_ok(fc_backend_open(&be, NULL, &err), &err);
    memcpy(&lr, fc_safetensors_find(start, "lr")->data, sizeof lr);
    for (size_t i = 0; i < FC_LEN(names); i++) {
        int64_t n = 0;
        float *const w = read_tensor(start, "", names[i], &n);
        float *const g = read_tensor(trace, "step0.grad.", names[i], &n);
        float *const want[] = {read_tensor(trace, "after1.", names[i], &n),
                               read_tensor(trace, "after1.adam_m.", names[i], &n),
                               read_tensor(trace, "after1.adam_v.", names[i], &n)};
        float *m = NULL, *v = NULL;
        fc_assert_ok(fc_alloc(&m, n, sizeof *m, "moments", &err), &err);
        fc_assert_ok(fc_alloc(&v, n, sizeof *v, "moments", &err), &err);
        const fc_adam adam = {
            .lr = lr, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .step = 1};
        be->ops->adam(be, w, m, v, g, n, &adam);
        assert_memory_equal(w, want[0], (size_t)n * sizeof *w);
        assert_memory_equal(m, want[1], (size_t)n * sizeof *m);
        assert_memory_equal(v, want[2], (size_t)n * sizeof *v);
        fc_free(w);
        fc_free(g);
        for (int j = 0; j < 3; j++) fc_free(want[j]);
        fc_free(m);
        fc_free(v);
    }
    fc_backend_close(be);
    fc_safetensors_close(start);
    fc_safetensors_close(trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_step_is_that_of_pytorch)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
