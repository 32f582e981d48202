/* gemma_scope.c - Gemma Scope: JumpReLU SAEs and transcoders of Google DeepMind.
 *
 *   1   .../gemma-scope-2b-pt-res/layer_12/width_16k/average_l0_71/params.npz
 *       W_enc [d_in, F]  W_dec [F, d_out]  b_enc  b_dec  threshold
 *   2   .../gemma-scope-2-1b-it/mlp_out/layer_25_width_16k_l0_small/params.safetensors, config.json
 *       w_enc [d_in, F]  w_dec [F, d_out]  b_enc  b_dec  threshold  affine_skip_connection [d_in, d_out]
 *
 *   f = max(z, 0) where z > threshold,  z = x W_enc + b_enc: b_dec is not subtracted
 *
 * Neither file of the first names model or hook: the path does. Of the second config.json does, and where
 * it is missing the path again. Sites mean different tensors than their names suggest: "mlp_out" is
 * the output of the post-feed-forward norm, not of the MLP; "attn_out" the input of o_proj.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/strbuf.h"
#include "sae/export_internal.h"

static const char NPZ_FILE[] = "params.npz", ST_FILE[] = "params.safetensors";
enum { CONTEXT = 1024 };

/* --- names in paths ------------------------------------------------------------------------- */

typedef struct site {
    const char *word;     /* in the path */
    const char *in, *out; /* after "model.layers.N"; out NULL: an SAE */
} site;

static const site sites_1[] = {
    {"-res", "", NULL},
    {"-mlp", ".post_feedforward_layernorm", NULL},
    {"-att", ".self_attn.o_proj:input", NULL},
    {"-transcoders", ".pre_feedforward_layernorm", ".post_feedforward_layernorm"},
};
static const site sites_2[] = {
    {"resid_post", "", NULL},
    {"mlp_out", ".post_feedforward_layernorm", NULL},
    {"attn_out", ".self_attn.o_proj:input", NULL},
    {"transcoder", ".pre_feedforward_layernorm", ".post_feedforward_layernorm"},
};

/* The last place in the path where the word ends a folder's name or is followed by "_all". */
static const site *find_site(const char *path, const site *sites, size_t n)
{
    for (const char *p = path + strlen(path); p-- > path;)
        for (size_t i = 0; i < n; i++) {
            const size_t n_word = strlen(sites[i].word);
            if (strncmp(p, sites[i].word, n_word) != 0) continue;
            const char *after = p + n_word;
            if (strncmp(after, "_all", 4) == 0) after += 4;
            if (*after == '/' || *after == '\0') return &sites[i];
        }
    return NULL;
}

/* "layer_12" as a folder's name or its beginning; -1: none. */
static int find_layer(const char *path)
{
    for (const char *p = path + strlen(path); p-- > path;)
        if (strncmp(p, "layer_", 6) == 0 && p[6] >= '0' && p[6] <= '9')
            return (int)fc_min(strtol(p + 6, NULL, 10), 999);
    return -1;
}

/* "google/gemma-2-2b" of gemma-scope-2b-pt-res; "google/gemma-3-1b-it" of gemma-scope-2-1b-it. */
static void find_model(char *model, size_t size, const char *path, bool is_second)
{
    static const char word[] = "gemma-scope-";
    const char *p = NULL;
    for (const char *next = path; (next = strstr(next, word)) != NULL; next++) p = next;
    model[0] = '\0';
    if (p == NULL) return;
    p += sizeof word - 1;
    if (is_second && strncmp(p, "2-", 2) == 0) p += 2;
    const size_t n_size = strcspn(p, "-/");
    if (p[n_size] != '-') return;
    const char *kind = p + n_size + 1;
    const size_t n_kind = strcspn(kind, "-/");
    const bool is_pt = n_kind == 2 && strncmp(kind, "pt", 2) == 0;
    if (is_second) /* both kinds are named */
        (void)snprintf(model, size, "google/gemma-3-%.*s-%.*s", (int)n_size, p,
                       (int)n_kind, kind);
    else
        (void)snprintf(model, size, "google/gemma-2-%.*s%s%.*s", (int)n_size, p,
                       is_pt ? "" : "-", is_pt ? 0 : (int)n_kind, kind);
}

typedef struct origin {
    char model[256], hook[128], target[128];
} origin;

static void origin_of_path(origin *o, const char *path, bool is_second)
{
    const site *s = is_second ? find_site(path, sites_2, FC_LEN(sites_2))
                              : find_site(path, sites_1, FC_LEN(sites_1));
    const int layer = find_layer(path);
    *o = (origin){0};
    find_model(o->model, sizeof o->model, path, is_second);
    if (s == NULL || layer < 0) return;
    (void)snprintf(o->hook, sizeof o->hook, "model.layers.%d%s", layer, s->in);
    if (s->out != NULL)
        (void)snprintf(o->target, sizeof o->target, "model.layers.%d%s", layer, s->out);
}

/* --- the first ------------------------------------------------------------------------------ */

static const fc_import_row rows_1[] = {
    {FC_W_ENC, "W_enc", true},          {FC_W_DEC, "W_dec", false},
    {FC_B_ENC, "b_enc", false},         {FC_B_DEC, "b_dec", false},
    {FC_THRESHOLD, "threshold", false},
};

static fc_status sizes_of(fc_import *im, fc_arrays *arrays, const char *enc,
                          const char *dec, fc_err *err)
{
    int64_t d_sae = 0;
    FC_TRY(fc_import_sizes(arrays, enc, &im->d_in, &im->d_sae, err));
    return fc_import_sizes(arrays, dec, &d_sae, &im->d_out, err);
}

static fc_status load_1(fc_sae **loaded, const char *path, fc_err *err)
{
    char dir[FC_PATH_MAX], file[FC_PATH_MAX];
    origin o;
    fc_arrays *arrays = NULL;
    fc_sae *sae = NULL;
    fc_status status;
    FC_TRY(fc_import_place(dir, file, path, NPZ_FILE, err));
    FC_TRY(fc_arrays_open(&arrays, file, err));
    fc_import im = {.rows = rows_1, .n_rows = FC_LEN(rows_1)};
    FC_TRY_GOTO(sizes_of(&im, arrays, "W_enc", "W_dec", err));
    origin_of_path(&o, dir, false);
    im.arch = o.target[0] || im.d_in != im.d_out ? "jumprelu_transcoder" : "jumprelu";
    FC_TRY_GOTO(fc_import_sae(&sae, &im, arrays, err));
    sae->context_size = CONTEXT;
    FC_TRY_GOTO(fc_import_origin(sae, o.model, o.hook, o.target, file, err));
    *loaded = sae;
    sae = NULL;
done:
    fc_sae_free(sae);
    fc_arrays_close(arrays);
    return status;
}

fc_status fc_gemma_scope_save(const fc_sae *sae, const char *dir, fc_err *err)
{
    char file[FC_PATH_MAX];
    fc_arrays_out *out = NULL;
    fc_export e = {.sae = sae, .rows = rows_1, .n_rows = FC_LEN(rows_1)};
    fc_status status;
    if (sae->threshold == NULL || sae->w_skip != NULL)
        return fc_fail(
            err, FC_MISMATCH,
            "Gemma Scope has thresholds and no skip path; the architecture '%s' is "
            "something else",
            sae->arch);
    FC_TRY(fc_export_check_norm(sae, "gemma-scope", err));
    FC_TRY(fc_path_join(file, dir, NPZ_FILE, err));
    FC_TRY(fc_export_init(&e, dir, err));
    FC_TRY_GOTO(fc_dir_make(dir, err));
    FC_TRY_GOTO(fc_arrays_create(&out, FC_ARRAYS_NPZ, file, err));
    FC_TRY_GOTO(fc_export_declare(&e, out, err));
    FC_TRY_GOTO(fc_export_write(&e, out, err));
    FC_TRY_GOTO(fc_arrays_commit(out, err));
done:
    fc_arrays_discard(out);
    fc_export_deinit(&e);
    return status;
}

static bool is_1(const char *path)
{
    return fc_import_has(path, NPZ_FILE);
}

const fc_sae_format fc_format_gemma_scope = {
    .name = "gemma-scope",
    .title = "a Gemma Scope folder (params.npz)",
    .opener = "what opens Gemma Scope: from_pretrained of SAELens, numpy.load",
    .is_it = is_1,
    .load = load_1,
    .save = fc_gemma_scope_save,
};

/* --- the second ----------------------------------------------------------------------------- */

static const fc_import_row rows_2[] = {
    {FC_W_ENC, "w_enc", true},          {FC_W_DEC, "w_dec", false},
    {FC_B_ENC, "b_enc", false},         {FC_B_DEC, "b_dec", false},
    {FC_THRESHOLD, "threshold", false}, {FC_W_SKIP, "affine_skip_connection", true},
};

/* "gemma-v3-1b-it" -> "google/gemma-3-1b-it". */
static void model_of_config(char *model, size_t size, const char *name)
{
    static const char old[] = "gemma-v3-";
    if (strncmp(name, old, sizeof old - 1) == 0)
        (void)snprintf(model, size, "google/gemma-3-%s", name + sizeof old - 1);
    else
        (void)snprintf(model, size, "%s", name);
}

/* What config.json says goes before what the path does. */
static fc_status read_config(origin *o, const char *dir, fc_err *err)
{
    char path[FC_PATH_MAX];
    json_t *root = NULL;
    const char *arch = "jump_relu", *name = "", *in = "", *out = "";
    fc_status status;
    FC_TRY(fc_path_join(path, dir, "config.json", err));
    if (!fc_path_exists(path)) return FC_OK;
    FC_TRY(fc_json_load(&root, path, err));
    FC_TRY_GOTO(fc_json_text(root, "architecture", &arch, path, err));
    FC_TRY_GOTO(fc_json_text(root, "model_name", &name, path, err));
    FC_TRY_GOTO(fc_json_text(root, "hf_hook_point_in", &in, path, err));
    FC_TRY_GOTO(fc_json_text(root, "hf_hook_point_out", &out, path, err));
    if (strcmp(arch, "jump_relu") != 0)
        FC_TRY_GOTO(fc_fail(err, FC_FORMAT,
                            "%s: architecture is '%.64s', expected 'jump_relu'", path,
                            arch));
    if (name[0] != '\0') model_of_config(o->model, sizeof o->model, name);
    if (in[0] != '\0') {
        (void)snprintf(o->hook, sizeof o->hook, "%s", in);
        (void)snprintf(o->target, sizeof o->target, "%s", out);
    }
done:
    json_decref(root);
    return status;
}

static fc_status load_2(fc_sae **loaded, const char *path, fc_err *err)
{
    char dir[FC_PATH_MAX], file[FC_PATH_MAX];
    origin o;
    fc_arrays *arrays = NULL;
    fc_sae *sae = NULL;
    fc_status status;
    FC_TRY(fc_import_place(dir, file, path, ST_FILE, err));
    origin_of_path(&o, dir, true);
    FC_TRY(read_config(&o, dir, err));
    FC_TRY(fc_arrays_open(&arrays, file, err));
    fc_import im = {.rows = rows_2, .n_rows = FC_LEN(rows_2)};
    FC_TRY_GOTO(sizes_of(&im, arrays, "w_enc", "w_dec", err));
    const bool has_skip = fc_arrays_find(arrays, "affine_skip_connection") != NULL;
    const bool is_transcoder = has_skip || o.target[0] || im.d_in != im.d_out;
    im.arch = has_skip        ? "jumprelu_skip_transcoder"
              : is_transcoder ? "jumprelu_transcoder"
                              : "jumprelu";
    FC_TRY_GOTO(fc_import_sae(&sae, &im, arrays, err));
    sae->context_size = CONTEXT;
    FC_TRY_GOTO(fc_import_origin(sae, o.model, o.hook, o.target, file, err));
    *loaded = sae;
    sae = NULL;
done:
    fc_sae_free(sae);
    fc_arrays_close(arrays);
    return status;
}

static bool is_2(const char *path)
{
    return fc_import_has(path, ST_FILE);
}

const fc_sae_format fc_format_gemma_scope_2 = {
    .name = "gemma-scope-2",
    .title = "a Gemma Scope 2 folder (params.safetensors)",
    .opener = "what opens Gemma Scope 2: from_pretrained of SAELens",
    .is_it = is_2,
    .load = load_2,
};
