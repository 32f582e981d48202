/* sparsify.c - SAEs of EleutherAI's sparsify.
 *
 *   RUN/config.json                    model
 *   RUN/HOOKPOINT/cfg.json             activation, k, num_latents, transcode, skip_connection, ...
 *   RUN/HOOKPOINT/sae.safetensors      encoder.weight [F, d]  encoder.bias [F]  W_dec [F, d]  b_dec [d]
 *                                      and, with skip_connection, W_skip [d, d]
 *
 *   z = (x - b_dec) W^T + b, or x W^T + b with `transcode`
 *   topk: the k largest of max(z, 0); groupmax: the largest of each of k runs of F/k neighbours
 *   y = f W_dec + b_dec + x W_skip^T
 *
 * SAELens 6.54 opens none of these rightly; this follows sparsify.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "sae/arch.h"
#include "sae/export_internal.h"

static const char WEIGHTS_FILE[] = "sae.safetensors", CFG_FILE[] = "cfg.json";

static const fc_import_row rows[] = {
    {FC_W_ENC, "encoder.weight", false}, {FC_B_ENC, "encoder.bias", false},
    {FC_W_DEC, "W_dec", false},          {FC_B_DEC, "b_dec", false},
    {FC_W_SKIP, "W_skip", false},
};

typedef struct cfg {
    const char *activation;
    int64_t d_in, num_latents, expansion, k;
    bool is_transcoder, has_skip;
} cfg;

static fc_status read_cfg(cfg *c, const json_t *root, const char *path, fc_err *err)
{
    FC_TRY(fc_import_count(root, "d_in", INT32_MAX, &c->d_in, path, err));
    FC_TRY(fc_json_text(root, "activation", &c->activation, path, err));
    FC_TRY(fc_json_i64(root, "expansion_factor", &c->expansion, path, err));
    FC_TRY(fc_json_i64(root, "num_latents", &c->num_latents, path, err));
    FC_TRY(fc_json_i64(root, "k", &c->k, path, err));
    FC_TRY(fc_json_bool(root, "transcode", &c->is_transcoder, path, err));
    FC_TRY(fc_json_bool(root, "skip_connection", &c->has_skip, path, err));
    if (c->num_latents == 0 && c->expansion >= 1 && c->expansion <= INT32_MAX / c->d_in)
        c->num_latents = c->d_in * c->expansion;
    if (c->num_latents < 1 || c->num_latents > INT32_MAX)
        return fc_fail(err, FC_FORMAT,
                       "%s: num_latents is %" PRId64 " and expansion_factor %" PRId64
                       ", expected 1 to %d latents",
                       path, c->num_latents, c->expansion, INT32_MAX);
    return FC_OK;
}

static fc_status find_arch(const cfg *c, const char **arch, const char *path, fc_err *err)
{
    const bool is_group = strcmp(c->activation, "groupmax") == 0;
    if (!is_group && strcmp(c->activation, "topk") != 0)
        return fc_fail(err, FC_FORMAT,
                       "%s: activation is '%.64s', expected topk or groupmax", path,
                       c->activation);
    if (is_group && (c->k < 1 || c->num_latents % c->k != 0))
        return fc_fail(err, FC_FORMAT,
                       "%s: %" PRId64 " latents do not divide into k = %" PRId64
                       " groups of the same size",
                       path, c->num_latents, c->k);
    if (c->has_skip && !c->is_transcoder)
        return fc_fail(err, FC_FORMAT,
                       "%s: skip_connection without transcode is not supported", path);
    if (is_group && c->is_transcoder)
        return fc_fail(err, FC_FORMAT, "%s: groupmax with transcode is not supported",
                       path);
    *arch = is_group           ? "groupmax"
            : c->has_skip      ? "topk_skip_transcoder"
            : c->is_transcoder ? "topk_transcoder"
                               : "topk";
    return FC_OK;
}

/* The folder's name is the hookpoint, below the base model: "layers.13.mlp". */
static fc_status read_origin(const cfg *c, fc_sae *sae, const char *dir, fc_err *err)
{
    char path[FC_PATH_MAX], hook[160] = "", target[160] = "";
    const char *model = "", *name = fc_path_base(dir);
    json_t *root = NULL;
    const bool is_layer = strncmp(name, "layers.", 7) == 0;
    if (name[0] != '.')
        (void)snprintf(hook, sizeof hook, "%s%.110s%s", is_layer ? "model." : "", name,
                       c->is_transcoder ? ":input" : "");
    if (c->is_transcoder)
        (void)snprintf(target, sizeof target, "%s%.110s", is_layer ? "model." : "", name);
    FC_TRY(fc_path_join(path, dir, "../config.json", err));
    fc_status status = fc_path_exists(path) ? fc_json_load(&root, path, err) : FC_OK;
    if (status == FC_OK) status = fc_json_text(root, "model", &model, path, err);
    if (status == FC_OK) status = fc_import_origin(sae, model, hook, target, path, err);
    json_decref(root);
    return status;
}

static fc_status load(fc_sae **loaded, const char *path, fc_err *err)
{
    char dir[FC_PATH_MAX], file[FC_PATH_MAX], cfg_path[FC_PATH_MAX];
    json_t *root = NULL;
    fc_arrays *arrays = NULL;
    fc_sae *sae = NULL;
    fc_status status;
    cfg c = {.activation = "topk", .expansion = 32, .k = 32}; /* sparsify's defaults */
    fc_import im = {.rows = rows, .n_rows = FC_LEN(rows)};
    FC_TRY(fc_import_place(dir, file, path, WEIGHTS_FILE, err));
    FC_TRY(fc_path_join(cfg_path, dir, CFG_FILE, err));
    FC_TRY_GOTO(fc_json_load(&root, cfg_path, err));
    FC_TRY_GOTO(read_cfg(&c, root, cfg_path, err));
    FC_TRY_GOTO(find_arch(&c, &im.arch, cfg_path, err));
    FC_TRY_GOTO(fc_arrays_open(&arrays, file, err));
    im.d_in = im.d_out = c.d_in;
    im.d_sae = c.num_latents;
    FC_TRY_GOTO(fc_import_sae(&sae, &im, arrays, err));
    FC_TRY_GOTO(fc_import_k(sae, (double)c.k, cfg_path, err));
    sae->is_b_dec_subtracted = !c.is_transcoder;
    FC_TRY_GOTO(read_origin(&c, sae, dir, err));
    *loaded = sae;
    sae = NULL;
done:
    fc_sae_free(sae);
    fc_arrays_close(arrays);
    json_decref(root);
    return status;
}

static bool is_it(const char *path)
{
    return fc_import_has(path, WEIGHTS_FILE);
}

/* --- writing -------------------------------------------------------------------------------- */

static fc_status write_cfg(const fc_sae *sae, const char *path, fc_err *err)
{
    const bool is_transcoder = fc_arch_find(sae->arch)->is_transcoder;
    json_t *text = json_pack(
        "{s:s, s:i, s:b, s:I, s:I, s:b, s:b, s:b, s:I}", "activation",
        strcmp(sae->arch, "groupmax") == 0 ? "groupmax" : "topk", "expansion_factor", 32,
        "normalize_decoder", 0, "num_latents", (json_int_t)sae->d_sae, "k",
        (json_int_t)sae->k, "multi_topk", 0, "skip_connection", sae->w_skip != NULL,
        "transcode", is_transcoder, "d_in", (json_int_t)sae->d_in);
    if (text == NULL) return fc_fail(err, FC_NOMEM, "%s: no memory for its text", path);
    const fc_status status = fc_json_save(text, path, err);
    json_decref(text);
    return status;
}

static fc_status check(const fc_sae *sae, fc_err *err)
{
    const bool is_known =
        strcmp(sae->arch, "groupmax") == 0 || strncmp(sae->arch, "topk", 4) == 0;
    if (!is_known || sae->d_in != sae->d_out)
        return fc_fail(err, FC_MISMATCH,
                       "sparsify computes topk and groupmax, and topk transcoders of one "
                       "width; '%s' is something else",
                       sae->arch);
    return fc_export_check_norm(sae, "sparsify", err);
}

static fc_status save(const fc_sae *sae, const char *dir, fc_err *err)
{
    char weights[FC_PATH_MAX], cfg_path[FC_PATH_MAX];
    fc_arrays_out *out = NULL;
    fc_export e = {.sae = sae,
                   .rows = rows,
                   .n_rows = FC_LEN(rows),
                   .is_b_dec_subtracted = !fc_arch_find(sae->arch)->is_transcoder};
    fc_status status;
    FC_TRY(check(sae, err));
    FC_TRY(fc_path_join(weights, dir, WEIGHTS_FILE, err));
    FC_TRY(fc_path_join(cfg_path, dir, CFG_FILE, err));
    FC_TRY(fc_export_init(&e, dir, err));
    FC_TRY_GOTO(fc_dir_make(dir, err));
    FC_TRY_GOTO(fc_arrays_create(&out, FC_ARRAYS_SAFETENSORS, weights, err));
    FC_TRY_GOTO(fc_export_declare(&e, out, err));
    FC_TRY_GOTO(fc_export_write(&e, out, err));
    FC_TRY_GOTO(fc_arrays_commit(out, err));
    status = write_cfg(sae, cfg_path, err);
done:
    fc_arrays_discard(out);
    fc_export_deinit(&e);
    return status;
}

const fc_sae_format fc_format_sparsify = {
    .name = "sparsify",
    .title = "a sparsify folder",
    .opener = "SparseCoder.load_from_disk of sparsify",
    .is_it = is_it,
    .load = load,
    .save = save,
};
