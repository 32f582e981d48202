/* hook.c - names of points in the model: two tables, a parser and the nearest names.
 *
 * A module's output and its input are looked up in the table below; where one tensor has several
 * names (the output of mlp is that of mlp.down_proj, the input of q_proj is the output of
 * input_layernorm) they lead to one site, and the site has one canonical name. So two stores
 * harvested under different spellings compare equal.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "model/hook.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fields.h"

/* --- tables ----------------------------------------------------------------------------- */

/* Outside the layers. The input of the final norm is the last layer's output; that of the
 * embedding is no float tensor: FC_N_SITES. */
typedef struct module {
    const char *name;
    fc_site out, in;
} module;

static const module model_modules[] = {
    {"embed_tokens", FC_SITE_EMBED, FC_N_SITES},
    {"norm", FC_SITE_FINAL_NORM, FC_SITE_LAYER_OUT},
    {"lm_head", FC_SITE_LOGITS, FC_SITE_FINAL_NORM},
};

/* Inside a layer; "" is the layer itself. */
static const module layer_modules[] = {
    {"", FC_SITE_LAYER_OUT, FC_SITE_LAYER_IN},
    {"input_layernorm", FC_SITE_ATTN_NORM, FC_SITE_LAYER_IN},
    {"self_attn", FC_SITE_ATTN_OUT, FC_SITE_ATTN_NORM},
    {"self_attn.q_proj", FC_SITE_Q, FC_SITE_ATTN_NORM},
    {"self_attn.k_proj", FC_SITE_K, FC_SITE_ATTN_NORM},
    {"self_attn.v_proj", FC_SITE_V, FC_SITE_ATTN_NORM},
    {"self_attn.q_norm", FC_SITE_Q_NORM, FC_SITE_Q},
    {"self_attn.k_norm", FC_SITE_K_NORM, FC_SITE_K},
    {"self_attn.o_proj", FC_SITE_ATTN_OUT, FC_SITE_ATTN_Z},
    {"post_attention_layernorm", FC_SITE_POST_ATTN_NORM, FC_SITE_ATTN_OUT},
    {"pre_feedforward_layernorm", FC_SITE_MLP_NORM, FC_SITE_RESID_MID},
    {"mlp", FC_SITE_MLP_OUT, FC_SITE_MLP_NORM},
    {"mlp.gate_proj", FC_SITE_GATE, FC_SITE_MLP_NORM},
    {"mlp.up_proj", FC_SITE_UP, FC_SITE_MLP_NORM},
    {"mlp.down_proj", FC_SITE_MLP_OUT, FC_SITE_MLP_ACT},
    {"post_feedforward_layernorm", FC_SITE_POST_MLP_NORM, FC_SITE_MLP_OUT},
};

/* Canonical names, after "model.layers.N" where the site lies in a layer. */
static const char *const site_names[FC_N_SITES] = {
    [FC_SITE_EMBED] = "model.embed_tokens",
    [FC_SITE_LAYER_IN] = ":input",
    [FC_SITE_ATTN_NORM] = ".input_layernorm",
    [FC_SITE_Q] = ".self_attn.q_proj",
    [FC_SITE_K] = ".self_attn.k_proj",
    [FC_SITE_V] = ".self_attn.v_proj",
    [FC_SITE_Q_NORM] = ".self_attn.q_norm",
    [FC_SITE_K_NORM] = ".self_attn.k_norm",
    [FC_SITE_ATTN_Z] = ".self_attn.o_proj:input",
    [FC_SITE_ATTN_OUT] = ".self_attn.o_proj",
    [FC_SITE_POST_ATTN_NORM] = ".post_attention_layernorm",
    [FC_SITE_RESID_MID] = ".pre_feedforward_layernorm:input",
    [FC_SITE_MLP_NORM] = ".pre_feedforward_layernorm",
    [FC_SITE_GATE] = ".mlp.gate_proj",
    [FC_SITE_UP] = ".mlp.up_proj",
    [FC_SITE_MLP_ACT] = ".mlp.down_proj:input",
    [FC_SITE_MLP_OUT] = ".mlp.down_proj",
    [FC_SITE_POST_MLP_NORM] = ".post_feedforward_layernorm",
    [FC_SITE_LAYER_OUT] = "",
    [FC_SITE_FINAL_NORM] = "model.norm",
    [FC_SITE_LOGITS] = "lm_head",
};

/* Object paths of the two model classes and their bare forms, longest first. */
static const char *const prefixes[] = {
    "model.model.language_model.",
    "model.language_model.model.",
    "model.language_model.",
    "language_model.model.",
    "model.model.",
    "language_model.",
    "model.",
    "",
};

static bool is_in_layer(fc_site site)
{
    return site > FC_SITE_EMBED && site < FC_SITE_FINAL_NORM;
}

static int64_t site_width(fc_site site, const fc_gemma_config *config)
{
    switch (site) {
    case FC_SITE_Q:
    case FC_SITE_Q_NORM:
    case FC_SITE_ATTN_Z: return config->n_heads * config->d_head;
    case FC_SITE_K:
    case FC_SITE_V:
    case FC_SITE_K_NORM: return config->n_kv_heads * config->d_head;
    case FC_SITE_GATE:
    case FC_SITE_UP:
    case FC_SITE_MLP_ACT: return config->d_mlp;
    case FC_SITE_LOGITS: return config->n_vocab;
    case FC_SITE_EMBED:
    case FC_SITE_LAYER_IN:
    case FC_SITE_ATTN_NORM:
    case FC_SITE_ATTN_OUT:
    case FC_SITE_POST_ATTN_NORM:
    case FC_SITE_RESID_MID:
    case FC_SITE_MLP_NORM:
    case FC_SITE_MLP_OUT:
    case FC_SITE_POST_MLP_NORM:
    case FC_SITE_LAYER_OUT:
    case FC_SITE_FINAL_NORM:
    case FC_N_SITES: break;
    }
    return config->d_model;
}

static void write_name(char *name, size_t n_bytes, fc_site site, int64_t layer)
{
    if (is_in_layer(site))
        snprintf(name, n_bytes, "model.layers.%" PRId64 "%s", layer, site_names[site]);
    else
        snprintf(name, n_bytes, "%s", site_names[site]);
}

/* --- parsing ---------------------------------------------------------------------------- */

/* The text taken apart: "model.layers[25].mlp.output" is layer 25, module "mlp", output. */
typedef struct name_parts {
    bool has_layer, is_input;
    int64_t layer;
    char module[96];
} name_parts;

static bool take(const char **text, const char *prefix)
{
    const size_t n = strlen(prefix);
    if (strncmp(*text, prefix, n) != 0) return false;
    *text += n;
    return true;
}

/* "layers.25" or "layers[25]", then the end or ".rest". */
static bool take_layer(const char **text, int64_t *layer)
{
    const char *p = *text;
    if (!take(&p, "layers.") && !take(&p, "layers[")) return false;
    const bool is_index = p[-1] == '[';
    const size_t n_digits = strspn(p, "0123456789");
    if (n_digits < 1 || n_digits > 9) return false;
    *layer = strtol(p, NULL, 10);
    p += n_digits;
    if (is_index && !take(&p, "]")) return false;
    if (*p != '\0' && !take(&p, ".")) return false;
    *text = p;
    return true;
}

static bool drop_end(char *text, const char *end)
{
    const size_t n = strlen(text), n_end = strlen(end);
    if (n < n_end || strcmp(text + n - n_end, end) != 0) return false;
    text[n - n_end] = '\0';
    return true;
}

static bool split(name_parts *parts, const char *text)
{
    char name[sizeof parts->module];
    if (strlen(text) >= sizeof name) return false;
    snprintf(name, sizeof name, "%s", text);
    parts->is_input = drop_end(name, ":input") || drop_end(name, ".input");
    if (!parts->is_input && !drop_end(name, ":output")) drop_end(name, ".output");

    const char *rest = name;
    for (size_t i = 0; i < FC_LEN(prefixes); i++)
        if (take(&rest, prefixes[i])) break;
    parts->has_layer = take_layer(&rest, &parts->layer);
    snprintf(parts->module, sizeof parts->module, "%s", rest);
    return true;
}

static const module *find_module(const name_parts *parts)
{
    const module *modules = parts->has_layer ? layer_modules : model_modules;
    const size_t n = parts->has_layer ? FC_LEN(layer_modules) : FC_LEN(model_modules);
    for (size_t i = 0; i < n; i++)
        if (strcmp(parts->module, modules[i].name) == 0) return &modules[i];
    return NULL;
}

/* --- the sentence ----------------------------------------------------------------------- */

static fc_status fail_unknown(const char *text, const name_parts *parts, fc_err *err)
{
    enum { N_NAMES = FC_N_SITES + 2 }; /* every site, and the short forms */
    char names[N_NAMES][96];
    const char *candidates[N_NAMES];
    const int64_t layer = parts->has_layer ? parts->layer : 0;
    for (int i = 0; i < FC_N_SITES; i++)
        write_name(names[i], sizeof names[i], (fc_site)i, layer);
    snprintf(names[FC_N_SITES], sizeof names[0], "model.layers.%" PRId64 ".mlp", layer);
    snprintf(names[FC_N_SITES + 1], sizeof names[0], "model.layers.%" PRId64 ".self_attn",
             layer);
    for (int i = 0; i < N_NAMES; i++) candidates[i] = names[i];

    char asked
        [160]; /* the same spelling as the candidates, so that distances mean something */
    if (parts->has_layer)
        snprintf(asked, sizeof asked, "model.layers.%" PRId64 ".%s", layer,
                 parts->module);
    else
        snprintf(asked, sizeof asked, "%s%s",
                 strncmp(parts->module, "lm", 2) == 0 ? "" : "model.", parts->module);
    const char *nearest = fc_nearest_name(asked, candidates, N_NAMES);
    if (nearest != NULL)
        return fc_fail(err, FC_USAGE,
                       "the model has no hook point '%s'; did you mean '%s'?", text,
                       nearest);
    return fc_fail(
        err, FC_USAGE,
        "the model has no hook point '%s', expected a name such as model.layers.%" PRId64
        ".mlp.down_proj, model.layers.%" PRId64
        ".self_attn.o_proj:input, model.layers.%" PRId64 ", model.norm or lm_head",
        text, layer, layer, layer);
}

/* --- entry points ----------------------------------------------------------------------- */

fc_status fc_hook_parse(fc_hook_point *point, const char *text,
                        const fc_gemma_config *config, fc_err *err)
{
    name_parts parts = {0};
    const module *found = split(&parts, text) ? find_module(&parts) : NULL;
    if (found == NULL) return fail_unknown(text, &parts, err);
    if (parts.has_layer && parts.layer >= config->n_layers)
        return fc_fail(err, FC_USAGE,
                       "hook point '%s': layer %" PRId64
                       " is out of range, expected 0..%" PRId64,
                       text, parts.layer, config->n_layers - 1);
    const fc_site site = parts.is_input ? found->in : found->out;
    if (site == FC_N_SITES)
        return fc_fail(
            err, FC_USAGE,
            "hook point '%s': the input of %s is token ids, expected its output", text,
            found->name);

    const bool is_last =
        !parts.has_layer && is_in_layer(site); /* the input of the final norm */
    const int64_t layer = is_last ? config->n_layers - 1 : parts.layer;
    *point = (fc_hook_point){
        .site = site, .layer = (int)layer, .width = site_width(site, config)};
    write_name(point->name, sizeof point->name, site, layer);
    return FC_OK;
}

int fc_hook_compare(const fc_hook_point *a, const fc_hook_point *b)
{
    const int stage_a = (a->site > FC_SITE_EMBED) + (a->site >= FC_SITE_FINAL_NORM);
    const int stage_b = (b->site > FC_SITE_EMBED) + (b->site >= FC_SITE_FINAL_NORM);
    if (stage_a != stage_b) return stage_a - stage_b;
    if (a->layer != b->layer) return a->layer - b->layer;
    return (int)a->site - (int)b->site;
}
