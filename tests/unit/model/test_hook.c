/* test_hook.c - names of hook points: every spelling, one canonical name, and what is said about
 * a name that is wrong.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdio.h>
#include <string.h>

#include "model/hook.h"

static const fc_gemma_config config = {.n_vocab = 1000,
                                       .d_model = 64,
                                       .d_mlp = 96,
                                       .n_layers = 26,
                                       .n_heads = 4,
                                       .n_kv_heads = 2,
                                       .d_head = 8};

static const struct {
    const char *text;
    fc_site site;
    int layer;
    int64_t width;
    const char *name;
} spellings[] = {
    {"model.embed_tokens", FC_SITE_EMBED, 0, 64, "model.embed_tokens"},
    {"embed_tokens.output", FC_SITE_EMBED, 0, 64, "model.embed_tokens"},
    {"model.norm", FC_SITE_FINAL_NORM, 0, 64, "model.norm"},
    {"model.norm:input", FC_SITE_LAYER_OUT, 25, 64, "model.layers.25"},
    {"lm_head", FC_SITE_LOGITS, 0, 1000, "lm_head"},
    {"language_model.lm_head", FC_SITE_LOGITS, 0, 1000, "lm_head"},
    {"lm_head.input", FC_SITE_FINAL_NORM, 0, 64, "model.norm"},
    {"model.layers.7", FC_SITE_LAYER_OUT, 7, 64, "model.layers.7"},
    {"model.layers[7]", FC_SITE_LAYER_OUT, 7, 64, "model.layers.7"},
    {"layers.0:output", FC_SITE_LAYER_OUT, 0, 64, "model.layers.0"},
    {"layers.25.input", FC_SITE_LAYER_IN, 25, 64, "model.layers.25:input"},
    {"model.layers.1.input_layernorm", FC_SITE_ATTN_NORM, 1, 64,
     "model.layers.1.input_layernorm"},
    {"model.layers.1.input_layernorm:input", FC_SITE_LAYER_IN, 1, 64,
     "model.layers.1:input"},
    {"model.layers.1.self_attn", FC_SITE_ATTN_OUT, 1, 64,
     "model.layers.1.self_attn.o_proj"},
    {"model.layers.1.self_attn:input", FC_SITE_ATTN_NORM, 1, 64,
     "model.layers.1.input_layernorm"},
    {"model.layers.1.self_attn.q_proj", FC_SITE_Q, 1, 32,
     "model.layers.1.self_attn.q_proj"},
    {"model.layers.1.self_attn.k_proj", FC_SITE_K, 1, 16,
     "model.layers.1.self_attn.k_proj"},
    {"model.layers.1.self_attn.v_proj", FC_SITE_V, 1, 16,
     "model.layers.1.self_attn.v_proj"},
    {"model.layers.1.self_attn.v_proj:input", FC_SITE_ATTN_NORM, 1, 64,
     "model.layers.1.input_layernorm"},
    {"model.layers.1.self_attn.q_norm", FC_SITE_Q_NORM, 1, 32,
     "model.layers.1.self_attn.q_norm"},
    {"model.layers.1.self_attn.q_norm:input", FC_SITE_Q, 1, 32,
     "model.layers.1.self_attn.q_proj"},
    {"model.layers.1.self_attn.k_norm", FC_SITE_K_NORM, 1, 16,
     "model.layers.1.self_attn.k_norm"},
    {"model.layers.1.self_attn.k_norm:input", FC_SITE_K, 1, 16,
     "model.layers.1.self_attn.k_proj"},
    {"model.layers.1.self_attn.o_proj", FC_SITE_ATTN_OUT, 1, 64,
     "model.layers.1.self_attn.o_proj"},
    {"model.layers.1.self_attn.o_proj:input", FC_SITE_ATTN_Z, 1, 32,
     "model.layers.1.self_attn.o_proj:input"},
    {"model.layers.1.post_attention_layernorm", FC_SITE_POST_ATTN_NORM, 1, 64,
     "model.layers.1.post_attention_layernorm"},
    {"model.layers.1.post_attention_layernorm.input", FC_SITE_ATTN_OUT, 1, 64,
     "model.layers.1.self_attn.o_proj"},
    {"model.layers.1.pre_feedforward_layernorm:input", FC_SITE_RESID_MID, 1, 64,
     "model.layers.1.pre_feedforward_layernorm:input"},
    {"model.layers.1.pre_feedforward_layernorm", FC_SITE_MLP_NORM, 1, 64,
     "model.layers.1.pre_feedforward_layernorm"},
    {"model.layers.1.mlp.gate_proj", FC_SITE_GATE, 1, 96, "model.layers.1.mlp.gate_proj"},
    {"model.layers.1.mlp.up_proj", FC_SITE_UP, 1, 96, "model.layers.1.mlp.up_proj"},
    {"model.layers.1.mlp.up_proj:input", FC_SITE_MLP_NORM, 1, 64,
     "model.layers.1.pre_feedforward_layernorm"},
    {"model.layers.1.mlp.down_proj:input", FC_SITE_MLP_ACT, 1, 96,
     "model.layers.1.mlp.down_proj:input"},
    {"model.layers.25.mlp.down_proj", FC_SITE_MLP_OUT, 25, 64,
     "model.layers.25.mlp.down_proj"},
    {"model.layers[25].mlp", FC_SITE_MLP_OUT, 25, 64, "model.layers.25.mlp.down_proj"},
    {"layers.25.mlp", FC_SITE_MLP_OUT, 25, 64, "model.layers.25.mlp.down_proj"},
    {"model.model.layers[25].mlp.down_proj.output", FC_SITE_MLP_OUT, 25, 64,
     "model.layers.25.mlp.down_proj"},
    {"model.language_model.layers.25.mlp", FC_SITE_MLP_OUT, 25, 64,
     "model.layers.25.mlp.down_proj"},
    {"model.model.language_model.layers.25.mlp", FC_SITE_MLP_OUT, 25, 64,
     "model.layers.25.mlp.down_proj"},
    {"language_model.model.layers.25.mlp", FC_SITE_MLP_OUT, 25, 64,
     "model.layers.25.mlp.down_proj"},
    {"model.layers.2.post_feedforward_layernorm", FC_SITE_POST_MLP_NORM, 2, 64,
     "model.layers.2.post_feedforward_layernorm"},
    {"model.layers.2.post_feedforward_layernorm:input", FC_SITE_MLP_OUT, 2, 64,
     "model.layers.2.mlp.down_proj"},
};

static void every_spelling_leads_to_its_site(void **state)
{
    (void)state;
    for (size_t i = 0; i < FC_LEN(spellings); i++) {
        fc_hook_point p, again;
        fc_err err;
        fc_assert_ok(fc_hook_parse(&p, spellings[i].text, &config, &err), &err);
        if (p.site != spellings[i].site || p.layer != spellings[i].layer ||
            p.width != spellings[i].width || strcmp(p.name, spellings[i].name) != 0)
            fail_msg("%s: site %d, layer %d, width %d, name %s", spellings[i].text,
                     (int)p.site, p.layer, (int)p.width, p.name);
        fc_assert_ok(fc_hook_parse(&again, p.name, &config, &err),
                     &err); /* the name leads back */
        assert_int_equal(fc_hook_compare(&p, &again), 0);
        assert_string_equal(p.name, again.name);
    }
}

static const struct {
    const char *text;
    const char *words[2];
} wrong_names[] = {
    {"model.layers.25.mlp.dwn_proj", {"did you mean", "'model.layers.25.mlp.down_proj'"}},
    {"layers[3].self_atn.o_proj", {"did you mean", "'model.layers.3.self_attn.o_proj'"}},
    {"model.layers.3.self_attn.o_proj.weight",
     {"did you mean", "model.layers.3.self_attn.o_proj"}},
    {"model.layer.3.mlp", {"did you mean", "model.layers."}},
    {"embed_token", {"did you mean", "'model.embed_tokens'"}},
    {"lmhead", {"did you mean", "'lm_head'"}},
    {"model.nrm", {"did you mean", "'model.norm'"}},
    {"model.layers.26.mlp", {"layer 26", "0..25"}},
    {"model.layers[999999999].mlp", {"999999999", "0..25"}},
    {"model.layers.99999999999999999999.mlp", {"hook point"}},
    {"model.layers[-1].mlp", {"hook point"}},
    {"model.layers[1.mlp", {"hook point"}},
    {"model.layers[].mlp", {"hook point"}},
    {"model.layers.1mlp", {"hook point"}},
    {"model.layers.", {"hook point"}},
    {"model.embed_tokens:input", {"token ids"}},
    {"", {"expected a name such as"}},
    {"blocks.25.hook_mlp_out_and_then_some_more_words", {"expected a name such as"}},
    {"model.layers.3.mlp.act_fn.that.goes.on.and.on.and.on.for.far.longer.than.any."
     "name.of.a."
     "module.in.the.model",
     {"hook point", "expected a name such as"}},
};

static void a_wrong_name_is_answered_with_the_nearest_or_the_range(void **state)
{
    (void)state;
    for (size_t i = 0; i < FC_LEN(wrong_names); i++) {
        fc_hook_point p = {.width = -7};
        fc_err err = {0};
        const fc_status status = fc_hook_parse(&p, wrong_names[i].text, &config, &err);
        bool is_said =
            status == FC_USAGE && strstr(err.text, wrong_names[i].text) != NULL;
        for (int w = 0; w < 2 && wrong_names[i].words[w] != NULL; w++)
            is_said = is_said && strstr(err.text, wrong_names[i].words[w]) != NULL;
        if (!is_said)
            fail_msg("%s: %s: %s", wrong_names[i].text, fc_status_word(status), err.text);
        assert_int_equal(p.width, -7);
    }
}

static void points_are_ordered_as_they_are_computed(void **state)
{
    (void)state;
    static const char *const order[] = {
        "model.embed_tokens",
        "layers.0:input",
        "layers.0.input_layernorm",
        "layers.0.self_attn.q_proj",
        "layers.0.self_attn.k_proj",
        "layers.0.self_attn.v_proj",
        "layers.0.self_attn.q_norm",
        "layers.0.self_attn.k_norm",
        "layers.0.self_attn.o_proj:input",
        "layers.0.self_attn.o_proj",
        "layers.0.post_attention_layernorm",
        "layers.0.pre_feedforward_layernorm:input",
        "layers.0.pre_feedforward_layernorm",
        "layers.0.mlp.gate_proj",
        "layers.0.mlp.up_proj",
        "layers.0.mlp.down_proj:input",
        "layers.0.mlp.down_proj",
        "layers.0.post_feedforward_layernorm",
        "layers.0",
        "layers.1:input",
        "layers.1.mlp",
        "layers.10",
        "model.norm",
        "lm_head",
    };
    fc_hook_point p[FC_LEN(order)];
    fc_err err;
    for (size_t i = 0; i < FC_LEN(order); i++)
        fc_assert_ok(fc_hook_parse(&p[i], order[i], &config, &err), &err);
    for (size_t i = 0; i < FC_LEN(order); i++)
        for (size_t j = 0; j < FC_LEN(order); j++) {
            const int c = fc_hook_compare(&p[i], &p[j]);
            assert_true(i < j ? c < 0 : i > j ? c > 0 : c == 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spelling_leads_to_its_site),
        cmocka_unit_test(a_wrong_name_is_answered_with_the_nearest_or_the_range),
        cmocka_unit_test(points_are_ordered_as_they_are_computed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
