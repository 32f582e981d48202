/* test_attention.c - blocked attention against the definition in double, on every instruction
 * set and number of threads, in either precision.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "formats/float_bits.h"
#include "unit/tensor/kernels.h"

typedef struct attention_case {
    const char *name;
    int64_t n_seqs, begin[6];
    fc_attention shape; /* n_heads, n_kv_heads, d_head, window, scale */
} attention_case;

static const attention_case cases[] = {
    {"no sequence", 0, {0}, {2, 1, 8, 0, 1.0f}},
    {"one token", 1, {0, 1}, {1, 1, 1, 0, 1.0f}},
    {"empty sequences between", 5, {0, 0, 3, 3, 10, 10}, {2, 1, 8, 0, 0.35f}},
    {"one head for each key head", 2, {0, 37, 90}, {3, 3, 16, 0, 0.25f}},
    {"four heads for one key head", 2, {0, 37, 190}, {4, 1, 64, 0, 0.125f}},
    {"longer than a block of keys", 1, {0, 300}, {4, 2, 20, 0, 0.3f}},
    {"window of one", 1, {0, 150}, {2, 1, 8, 1, 0.35f}},
    {"window inside a block", 2, {0, 5, 300}, {4, 1, 24, 60, 0.2f}},
    {"window across blocks", 1, {0, 420}, {2, 1, 16, 200, 0.25f}},
    {"window longer than the sequence", 1, {0, 50}, {2, 1, 16, 1000, 0.25f}},
    {"head wider than a block of depth", 1, {0, 20}, {2, 1, 500, 0, 0.05f}},
    {"more heads than rows of a task", 1, {0, 9}, {240, 2, 4, 0, 0.5f}},
    {"large scores", 1, {0, 200}, {1, 1, 32, 0, 8.0f}},
};

/* One query in double. */
static void attend_one(double *z, const float *q, const float *k, const float *v,
                       int64_t row, int64_t oldest, int64_t newest,
                       const fc_attention *shape)
{
    const int64_t d = shape->d_head;
    double max = -HUGE_VAL, total = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t b = oldest; b <= newest; b++) {
            double score = 0;
            for (int64_t i = 0; i < d; i++)
                score += (double)q[i] * (double)k[b * row + i];
            score *= (double)shape->scale;
            if (pass == 0) {
                max = fmax(max, score);
                continue;
            }
            const double p = exp(score - max);
            total += p;
            for (int64_t i = 0; i < d; i++) z[i] += p * (double)v[b * row + i];
        }
    }
    for (int64_t i = 0; i < d; i++) z[i] /= total;
}

static void oracle(float *z, const float *q, const float *k, const float *v,
                   const attention_case *c)
{
    const fc_attention *const s = &c->shape;
    const int64_t row = s->n_kv_heads * s->d_head;
    double *const sum = calloc((size_t)s->d_head, sizeof *sum);
    for (int64_t seq = 0; seq < c->n_seqs; seq++) {
        const int64_t first = c->begin[seq];
        for (int64_t t = first; t < c->begin[seq + 1]; t++) {
            for (int64_t h = 0; h < s->n_heads; h++) {
                const int64_t at = (t * s->n_heads + h) * s->d_head;
                const int64_t head = h / (s->n_heads / s->n_kv_heads) * s->d_head;
                const int64_t oldest = s->window > 0 && t - first >= s->window
                                           ? t - first - s->window + 1
                                           : 0;
                memset(sum, 0, (size_t)s->d_head * sizeof *sum);
                attend_one(sum, q + at, k + first * row + head, v + first * row + head,
                           row, oldest, t - first, s);
                for (int64_t i = 0; i < s->d_head; i++) z[at + i] = (float)sum[i];
            }
        }
    }
    free(sum);
}

typedef struct inputs {
    guarded q, k, v, want;
    fc_ragged seqs;
    int64_t n;
} inputs;

static inputs make_inputs(const attention_case *c)
{
    const int64_t n_tokens = c->begin[c->n_seqs];
    inputs x = {.seqs = {c->n_seqs, c->begin},
                .n = n_tokens * c->shape.n_heads * c->shape.d_head};
    x.q = guarded_normal(x.n, 1);
    x.k = guarded_normal(n_tokens * c->shape.n_kv_heads * c->shape.d_head, 2);
    x.v = guarded_normal(n_tokens * c->shape.n_kv_heads * c->shape.d_head, 3);
    x.want = guarded_new(x.n);
    return x;
}

static void free_inputs(inputs *x)
{
    guarded_free(x->q);
    guarded_free(x->k);
    guarded_free(x->v);
    guarded_free(x->want);
}

static void attend(fc_backend *be, float *z, const inputs *x, fc_attention shape,
                   fc_precision precision)
{
    be->ops->attention(be, z, x->q.at, x->k.at, x->v.at, x->seqs, shape, precision);
}

static void attention_is_the_definition_on_every_instruction_set(void **state)
{
    (void)state;
    fc_backend *be[N_ISAS];
    const int n_be = open_backends(be);
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        const attention_case *const c = &cases[i];
        inputs x = make_inputs(c);
        oracle(x.want.at, x.q.at, x.k.at, x.v.at, c);
        guarded first = {0};
        for (int isa = 0; isa < n_be; isa++) {
            const guarded z = guarded_new(x.n);
            attend(be[isa], z.at, &x, c->shape, FC_PRECISION_F32);
            fc_assert_close(z.at, x.want.at, x.n, 2e-5, 2e-6);
            if (isa == 0) {
                first = z;
                continue;
            }
            if (memcmp(z.at, first.at, (size_t)x.n * sizeof *z.at) != 0)
                fail_msg("%s: %s differs from ref", c->name, be[isa]->ops->name);
            guarded_free(z);
        }
        guarded_free(first);
        free_inputs(&x);
    }
    close_backends(be, n_be);
}

static void round_to_bf16(guarded x)
{
    for (int64_t i = 0; i < x.n; i++)
        x.at[i] = fc_f32_of_bits(fc_bf16_bits_of_f32(x.at[i]) << 16);
}

/* The weights are rounded too: to 2^-9 of themselves, and they sum to 1. */
static void in_bf16_attention_is_the_definition_with_rounded_operands(void **state)
{
    (void)state;
    fc_backend *be[N_ISAS];
    const int n_be = open_backends(be);
    double largest = 0;
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        const attention_case *const c = &cases[i];
        inputs x = make_inputs(c);
        const guarded exact = guarded_new(x.n);
        attend(be[0], exact.at, &x, c->shape, FC_PRECISION_F32);
        round_to_bf16(x.q);
        round_to_bf16(x.k);
        round_to_bf16(x.v);
        oracle(x.want.at, x.q.at, x.k.at, x.v.at, c);
        for (int isa = 0; isa < n_be; isa++) {
            const guarded z = guarded_new(x.n);
            inputs again = make_inputs(c); /* not rounded beforehand */
            attend(be[isa], z.at, &again, c->shape, FC_PRECISION_BF16);
            fc_assert_close(z.at, x.want.at, x.n, 6e-3, 3e-3);
            for (int64_t e = 0; e < x.n; e++)
                largest = fmax(largest, fabs((double)z.at[e] - (double)exact.at[e]));
            free_inputs(&again);
            guarded_free(z);
        }
        guarded_free(exact);
        free_inputs(&x);
    }
    assert_true(largest > 4e-3); /* it did round */
    close_backends(be, n_be);
}

static void any_number_of_threads_gives_the_same_bytes(void **state)
{
    (void)state;
    const attention_case c = {"", 3, {0, 130, 131, 500}, {4, 2, 32, 100, 0.2f}};
    inputs x = make_inputs(&c);
    for (int run = 0; run < 6; run++) {
        const int n_threads = 1 + run % 3;
        fc_par_set_threads(n_threads);
        fc_backend *be = NULL;
        fc_err err = {0};
        fc_assert_ok(fc_backend_open(&be, NULL, &err), &err);
        const guarded z = guarded_new(x.n);
        attend(be, z.at, &x, c.shape, run < 3 ? FC_PRECISION_F32 : FC_PRECISION_BF16);
        if (n_threads == 1)
            memcpy(x.want.at, z.at, (size_t)x.n * sizeof *z.at);
        else
            assert_memory_equal(z.at, x.want.at, (size_t)x.n * sizeof *z.at);
        guarded_free(z);
        fc_backend_close(be);
    }
    fc_par_set_threads(0);
    free_inputs(&x);
}

static void check_that_a_token_depends_on_its_sequence_alone(fc_precision precision)
{
    const attention_case c = {"", 3, {0, 140, 141, 300}, {4, 2, 32, 0, 0.2f}};
    const int64_t q_row = 4 * 32, kv_row = 2 * 32;
    inputs x = make_inputs(&c);
    fc_backend *be = NULL;
    fc_err err = {0};
    fc_assert_ok(fc_backend_open(&be, NULL, &err), &err);
    attend(be, x.want.at, &x, c.shape, precision);

    /* The last sequence alone, and without its last 9 tokens. */
    const int64_t alone[] = {0, 150};
    const fc_ragged one = {1, alone};
    const guarded z = guarded_new(150 * q_row);
    be->ops->attention(be, z.at, x.q.at + 141 * q_row, x.k.at + 141 * kv_row,
                       x.v.at + 141 * kv_row, one, c.shape, precision);
    assert_memory_equal(z.at, x.want.at + 141 * q_row, (size_t)z.n * sizeof *z.at);
    guarded_free(z);
    free_inputs(&x);
    fc_backend_close(be);
}

static void a_token_depends_on_its_own_sequence_and_its_past_alone(void **state)
{
    (void)state;
    check_that_a_token_depends_on_its_sequence_alone(FC_PRECISION_F32);
    check_that_a_token_depends_on_its_sequence_alone(FC_PRECISION_BF16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_is_the_definition_on_every_instruction_set),
        cmocka_unit_test(in_bf16_attention_is_the_definition_with_rounded_operands),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bytes),
        cmocka_unit_test(a_token_depends_on_its_own_sequence_and_its_past_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
