/* test_limits.c - the models behind the limits, against sums done by hand.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>

#include "base/macros.h"
#include "bench/collect_limit.h"
#include "bench/train_limit.h"

static void assert_near(double got, double expected)
{
    if (!(fabs(got - expected) <= 1e-12 * fabs(expected)))
        fail_msg("%.17g, expected %.17g", got, expected);
}

/* Rates of a machine whose sums are easy. */
static const fc_peaks peaks = {.flops = {1000.0, 4000.0},
                               .read = 100.0,
                               .update = 50.0,
                               .copy = 1.0,
                               .l2 = 200.0,
                               .l3 = 80.0};

static void a_step_costs_what_the_formulas_say(void **state)
{
    (void)state;
    /* d 10, n 5: a feature dense is 100 operations; sparse, 40 bytes for each time it fires */
    static const int64_t count[4] = {0, 1, 5, 2};
    const fc_train_shape shape = {
        .d_in = 10, .d_sae = 4, .n = 5, .count = count, .n_moving = 3};
    const fc_train_limit limit = fc_train_limit_of(&shape, &peaks);
    assert_near(limit.encode, 4 * 10 * 4 / 100.0); /* reading W_enc: longer than 0.4 */
    assert_near(limit.decode, 3 * 0.1);            /* dense: 0.1, sparse: 0.5 and more */
    assert_near(limit.gradients, 3 * 3 * 0.1);
    assert_near(limit.adam, 24 * 2 * 10 * 3 / 50.0);
    assert_near(limit.other, (5 * 4 * 5 * 10 + 3 * 8 * 8) / 80.0);
    assert_near(limit.total,
                limit.encode + limit.decode + limit.gradients + limit.adam + limit.other);
}

static void features_that_fire_seldom_are_cheaper_as_lists(void **state)
{
    (void)state;
    /* d 10, n 1000: dense 20 000 operations; sparse 20 bytes each time in bf16 */
    static const int64_t count[2] = {2, 1000};
    const fc_train_shape shape = {.d_in = 10,
                                  .d_sae = 2,
                                  .n = 1000,
                                  .count = count,
                                  .precision = FC_PRECISION_BF16};
    const fc_train_limit limit = fc_train_limit_of(&shape, &peaks);
    assert_near(limit.encode, 2 * 20000 / 4000.0);
    assert_near(limit.decode, 2 * 20 / 80.0 + 20000 / 4000.0);
    assert_near(limit.gradients, 3 * (2 * 20 / 200.0 + 20000 / 4000.0));
    assert_near(limit.adam, 0.0);
}

/* --- collect ------------------------------------------------------------------------------ */

/* Two layers, the first with a window of 3; d 8, 2 query heads and 1 of keys of 5, d_mlp 16. */
static fc_gemma_config small_model(void)
{
    fc_gemma_config m = {.n_vocab = 100,
                         .d_model = 8,
                         .d_mlp = 16,
                         .n_layers = 2,
                         .n_heads = 2,
                         .n_kv_heads = 1,
                         .d_head = 5,
                         .window = 3};
    m.is_full[1] = true;
    return m;
}

static void a_forward_pass_costs_its_products_and_its_keys(void **state)
{
    (void)state;
    static const int64_t begin[] = {0, 5, 7}; /* sequences of 5 and 2 tokens */
    const fc_ragged seqs = {.n_seqs = 2, .begin = begin};
    const double keys_window = 1 + 2 + 3 + 3 + 3 + 1 + 2, keys_full = 15 + 3;
    const double q = 7 * 2.0 * 8 * 10, kv = 7 * 2.0 * 8 * 5, o = q,
                 mlp = 7 * 2.0 * 8 * 16;
    const double layer_0 = q + 2 * kv + o + 3 * mlp + 4 * 10 * keys_window;
    const double attention_1 = 4 * 10 * keys_full;
    const struct {
        const char *hook;
        double flops;
    } cases[] = {
        {"model.embed_tokens", 0},
        {"model.layers.0.input_layernorm", 0},
        {"model.layers.0.self_attn.q_proj", q},
        {"model.layers.0.self_attn.v_proj", q + 2 * kv},
        {"model.layers.0", layer_0},
        {"model.layers.1.self_attn.o_proj:input", layer_0 + q + 2 * kv + attention_1},
        {"model.layers.1.mlp.down_proj:input",
         layer_0 + q + 2 * kv + attention_1 + o + 2 * mlp},
        {"model.layers.1.mlp.down_proj",
         layer_0 + q + 2 * kv + attention_1 + o + 3 * mlp},
        {"model.norm", layer_0 + q + 2 * kv + attention_1 + o + 3 * mlp},
        {"lm_head", layer_0 + q + 2 * kv + attention_1 + o + 3 * mlp + 7 * 2.0 * 8 * 100},
    };
    const fc_gemma_config model = small_model();
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_hook_point hook;
        fc_err err;
        fc_assert_ok(fc_hook_parse(&hook, cases[i].hook, &model, &err), &err);
        const double flops = fc_collect_flops(&model, &hook, seqs);
        if (flops != cases[i].flops)
            fail_msg("%s: %g, expected %g", cases[i].hook, flops, cases[i].flops);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_costs_what_the_formulas_say),
        cmocka_unit_test(features_that_fire_seldom_are_cheaper_as_lists),
        cmocka_unit_test(a_forward_pass_costs_its_products_and_its_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
