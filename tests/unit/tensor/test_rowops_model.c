/* test_rowops_model.c - embedding, rotary positions, cross entropy and type conversion: inputs
 * that the table of test_rowops.c has no place for.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit/tensor/kernels.h"

#include "formats/dtype.h"

typedef struct backends {
    fc_backend *be[N_ISAS];
    int n;
} backends;

static int open_all(void **state)
{
    static backends all;
    all.n = open_backends(all.be);
    *state = &all;
    return 0;
}

static int close_all(void **state)
{
    backends *const all = *state;
    close_backends(all->be, all->n);
    return 0;
}

/* --- embedding ---------------------------------------------------------------------------- */

static void embedding_scales_rows_of_any_type_at_any_address(void **state)
{
    const backends *const all = *state;
    enum { N_VOCAB = 9, D = 35, N = 5 };
    static const int32_t id[N] = {8, 0, 3, 3, 1};
    guarded table = guarded_normal(N_VOCAB * D, 1);
    unsigned char narrow[N_VOCAB * D * 2 + 1];
    fc_from_f32(narrow + 1, FC_BF16, table.at, N_VOCAB * D);
    for (int isa = 0; isa < all->n; isa++) {
        fc_backend *const be = all->be[isa];
        const guarded y = guarded_new(N * D), z = guarded_new(N * D),
                      t = guarded_new(N * D);
        const fc_mat transposed = {table.at, FC_F32, D,
                                   N_VOCAB,  1,      D}; /* D "tokens" of N_VOCAB */
        be->ops->embed(be, y.at, fc_mat_of(table.at, FC_F32, N_VOCAB, D), id, N, 2.5f);
        be->ops->embed(be, z.at, fc_mat_of(narrow + 1, FC_BF16, N_VOCAB, D), id, N, 2.5f);
        be->ops->embed(be, t.at, transposed, id, N, 1.0f);
        for (int i = 0; i < N * D; i++) {
            const float want = table.at[id[i / D] * D + i % D];
            assert_true(y.at[i] == want * 2.5f);
            assert_true(z.at[i] == fc_bf16_to_f32(fc_bf16_from_f32(want)) * 2.5f);
        }
        for (int i = 0; i < N * N_VOCAB; i++)
            assert_true(t.at[i] == table.at[i % N_VOCAB * D + id[i / N_VOCAB]]);
        guarded_free(y);
        guarded_free(z);
        guarded_free(t);
    }
    guarded_free(table);
}

/* --- rotary positions --------------------------------------------------------------------- */

static const struct {
    int64_t n_heads, d;
    int32_t first_position;
    double limit; /* of the error of a value near 1 */
} rope_cases[] = {
    {1, 2, 0, 2e-7},
    {3, 8, 0, 5e-7},
    {4, 64, 1000, 5e-7},
    {1, 256, 32000, 5e-7},
    {2, 600, 130000, 5e-7},
    {1, 6, 1000000000, 5e-7}, /* past what the fast reduction takes */
};

static void rope_oracle(float *x, const int32_t *position, const float *inv_freq,
                        int64_t n_tokens, int64_t n_heads, int64_t d)
{
    for (int64_t row = 0; row < n_tokens * n_heads; row++) {
        for (int64_t j = 0; j < d / 2; j++) {
            const int64_t token = row / n_heads;
            const float angle = (float)position[token] * inv_freq[j];
            const double c = cos((double)angle), s = sin((double)angle);
            float *const low = &x[row * d + j], *const high = low + d / 2;
            const double a = (double)*low, b = (double)*high;
            *low = (float)(a * c - b * s);
            *high = (float)(b * c + a * s);
        }
    }
}

static void rope_turns_pairs_by_position_times_frequency(void **state)
{
    const backends *const all = *state;
    enum { N = 7 };
    for (size_t i = 0; i < FC_LEN(rope_cases); i++) {
        const int64_t n_heads = rope_cases[i].n_heads, d = rope_cases[i].d,
                      n = N * n_heads * d;
        int32_t position[N];
        for (int t = 0; t < N; t++) position[t] = rope_cases[i].first_position + 3 * t;
        guarded inv_freq = guarded_new(d / 2), x = guarded_normal(n, 1);
        for (int64_t j = 0; j < d / 2; j++)
            inv_freq.at[j] = powf(10000.0f, -2.0f * (float)j / (float)d);
        guarded want = guarded_copy(x.at, n), first = guarded_copy(x.at, n);
        rope_oracle(want.at, position, inv_freq.at, N, n_heads, d);
        for (int isa = 0; isa < all->n; isa++) {
            fc_backend *const be = all->be[isa];
            guarded got = guarded_copy(x.at, n);
            be->ops->rope(be, got.at, position, inv_freq.at, N, n_heads, d);
            if (isa == 0) memcpy(first.at, got.at, (size_t)n * sizeof(float));
            fc_assert_close(got.at, want.at, n, rope_cases[i].limit, rope_cases[i].limit);
            assert_memory_equal(got.at, first.at, (size_t)n * sizeof(float));
            guarded_free(got);
        }
        guarded_free(inv_freq);
        guarded_free(x);
        guarded_free(want);
        guarded_free(first);
    }
}

/* --- cross entropy ------------------------------------------------------------------------ */

static void cross_entropy_is_the_negative_log_softmax(void **state)
{
    const backends *const all = *state;
    static const int64_t vocabs[] = {1, 2, 15, 16, 17, 1000, 262144};
    enum { N = 3 };
    for (size_t v = 0; v < FC_LEN(vocabs); v++) {
        const int64_t n_vocab = vocabs[v];
        guarded logits = guarded_normal(N * n_vocab, 1), first = guarded_new(N);
        for (int64_t i = 0; i < N * n_vocab; i++)
            logits.at[i] = 6.0f * logits.at[i] - 40.0f;
        const int32_t target[N] = {0, (int32_t)(n_vocab - 1), (int32_t)(n_vocab / 2)};
        float want[N];
        for (int64_t t = 0; t < N; t++) {
            double sum = 0;
            for (int64_t i = 0; i < n_vocab; i++)
                sum += exp((double)logits.at[t * n_vocab + i]);
            want[t] = (float)(log(sum) - (double)logits.at[t * n_vocab + target[t]]);
        }
        for (int isa = 0; isa < all->n; isa++) {
            fc_backend *const be = all->be[isa];
            guarded nll = guarded_new(N);
            be->ops->cross_entropy(be, nll.at, logits.at, target, N, n_vocab);
            if (isa == 0) memcpy(first.at, nll.at, sizeof want);
            fc_assert_close(nll.at, want, N, 1e-6, 1e-6);
            assert_memory_equal(nll.at, first.at, sizeof want);
            guarded_free(nll);
        }
        guarded_free(logits);
        guarded_free(first);
    }
}

static void cross_entropy_survives_large_logits_and_shows_nan(void **state)
{
    const backends *const all = *state;
    const float logits[2][4] = {{1e4f, -1e4f, 0.0f, 1e4f}, {0.0f, NAN, 1.0f, 2.0f}};
    const int32_t target[2] = {0, 0};
    for (int isa = 0; isa < all->n; isa++) {
        float nll[2];
        all->be[isa]->ops->cross_entropy(all->be[isa], nll, logits[0], target, 2, 4);
        assert_true(fabs((double)nll[0] - log(2.0)) < 1e-6);
        assert_true(isnan(nll[1]));
    }
}

/* --- divergence --------------------------------------------------------------------------- */

static double divergence_oracle(const float *a, const float *b, int64_t n)
{
    double sum_a = 0, sum_b = 0, kl = 0;
    for (int64_t i = 0; i < n; i++) {
        sum_a += exp((double)a[i]);
        sum_b += exp((double)b[i]);
    }
    for (int64_t i = 0; i < n; i++)
        kl += exp((double)a[i]) / sum_a *
              ((double)a[i] - log(sum_a) - (double)b[i] + log(sum_b));
    return kl;
}

static void divergence_is_the_mean_of_log_ratios(void **state)
{
    const backends *const all = *state;
    static const int64_t vocabs[] = {1, 2, 15, 16, 17, 255, 257, 1000, 262144};
    enum { N = 3 };
    for (size_t v = 0; v < FC_LEN(vocabs); v++) {
        const int64_t n_vocab = vocabs[v], n = N * n_vocab;
        guarded a = guarded_normal(n, 1), b = guarded_normal(n, 2);
        float want[N], first[N];
        for (int64_t i = 0; i < n; i++)
        { /* rows far apart, near, and equal but for a shift */
            const float far[N] = {4.0f, 0.01f, 0.0f};
            a.at[i] = 6.0f * a.at[i] - 40.0f;
            b.at[i] = a.at[i] + far[i / n_vocab] * b.at[i] + 3.0f;
        }
        for (int64_t t = 0; t < N; t++)
            want[t] =
                (float)divergence_oracle(a.at + t * n_vocab, b.at + t * n_vocab, n_vocab);
        for (int isa = 0; isa < all->n; isa++) {
            fc_backend *const be = all->be[isa];
            guarded kl = guarded_new(N);
            be->ops->kl_divergence(be, kl.at, a.at, b.at, N, n_vocab);
            if (isa == 0) memcpy(first, kl.at, sizeof first);
            for (int64_t t = 0; t < N; t++)
                assert_true(fabs((double)kl.at[t] - (double)want[t]) <=
                            2e-6 * (1.0 + fabs((double)want[t])));
            assert_memory_equal(kl.at, first, sizeof first);
            be->ops->kl_divergence(be, kl.at, a.at, a.at, N, n_vocab);
            for (int64_t t = 0; t < N; t++) assert_true(kl.at[t] == 0.0f);
            guarded_free(kl);
        }
        guarded_free(a);
        guarded_free(b);
    }
}

static void divergence_survives_large_logits_and_shows_nan(void **state)
{
    const backends *const all = *state;
    const float a[2][4] = {{1e4f, -1e4f, 0.0f, 1e4f}, {0.0f, NAN, 1.0f, 2.0f}};
    const float b[2][4] = {{1e4f, 1e4f, 1e4f, 1e4f}, {0.0f, 1.0f, 1.0f, 2.0f}};
    for (int isa = 0; isa < all->n; isa++) {
        float kl[2];
        all->be[isa]->ops->kl_divergence(all->be[isa], kl, a[0], b[0], 2, 4);
        assert_true(fabs((double)kl[0] - log(2.0)) < 1e-6);
        assert_true(isnan(kl[1]));
    }
}

/* --- conversion --------------------------------------------------------------------------- */

static void gated_activations_as_bf16_are_those_in_f32_rounded(void **state)
{
    const backends *const all = *state;
    enum { N = 40001 };
    guarded gate = guarded_normal(N, 1), up = guarded_normal(N, 2), y = guarded_new(N);
    guarded narrow = guarded_new(N / 2 + 1), want = guarded_new(N / 2 + 1);
    for (int isa = 0; isa < all->n; isa++) {
        fc_backend *const be = all->be[isa];
        be->ops->gelu_mul(be, y.at, FC_F32, gate.at, up.at, N);
        fc_from_f32(want.at, FC_BF16, y.at, N);
        be->ops->gelu_mul(be, narrow.at, FC_BF16, gate.at, up.at, N);
        assert_memory_equal(narrow.at, want.at, N * 2);
    }
    guarded_free(gate);
    guarded_free(up);
    guarded_free(y);
    guarded_free(narrow);
    guarded_free(want);
}

static void conversion_is_that_of_the_formats_layer(void **state)
{
    const backends *const all = *state;
    enum { N = 70000 };
    guarded x = guarded_new(N), wide = guarded_new(N), same = guarded_new(N);
    guarded narrow = guarded_new(N / 2), want = guarded_new(N / 2);
    for (int i = 0; i < N; i++) { /* every sign, exponent and kind of tie */
        const uint32_t bits = (uint32_t)i * 61357u;
        memcpy(&x.at[i], &bits, sizeof bits);
    }
    fc_from_f32(want.at, FC_BF16, x.at, N);
    for (int isa = 0; isa < all->n; isa++) {
        fc_backend *const be = all->be[isa];
        be->ops->convert(be, narrow.at, FC_BF16, x.at, FC_F32, N);
        assert_memory_equal(narrow.at, want.at, N * 2);
        be->ops->convert(be, same.at, FC_BF16, narrow.at, FC_BF16, N);
        assert_memory_equal(same.at, want.at, N * 2);
        be->ops->convert(be, wide.at, FC_F32, narrow.at, FC_BF16, N);
        fc_to_f32(same.at, want.at, FC_BF16, N);
        assert_memory_equal(wide.at, same.at, N * 4);
        be->ops->convert(be, wide.at, FC_F32, x.at, FC_F32, N);
        assert_memory_equal(wide.at, x.at, N * 4);
    }
    guarded_free(x);
    guarded_free(wide);
    guarded_free(same);
    guarded_free(narrow);
    guarded_free(want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(embedding_scales_rows_of_any_type_at_any_address),
        cmocka_unit_test(rope_turns_pairs_by_position_times_frequency),
        cmocka_unit_test(cross_entropy_is_the_negative_log_softmax),
        cmocka_unit_test(cross_entropy_survives_large_logits_and_shows_nan),
        cmocka_unit_test(divergence_is_the_mean_of_log_ratios),
        cmocka_unit_test(divergence_survives_large_logits_and_shows_nan),
        cmocka_unit_test(gated_activations_as_bf16_are_those_in_f32_rounded),
        cmocka_unit_test(conversion_is_that_of_the_formats_layer),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
