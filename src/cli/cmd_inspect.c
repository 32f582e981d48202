/* cmd_inspect.c - facet inspect: say in plain words what a folder holds, and whether it is sound.
 *
 * Each kind of thing is a row of a table: how it is recognised, how it is described.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acts/store.h"
#include "base/file.h"
#include "cli/cli.h"
#include "formats/arrays.h"
#include "formats/hub_cache.h"
#include "model/model.h"
#include "sae/arch.h"
#include "sae/exchange.h"

typedef struct own_options {
    bool is_quick;
} own_options;

static const fc_field fields[] = {
    {"quick", FC_FIELD_BOOL, offsetof(own_options, is_quick), 0, 0, NULL, NULL,
     "do not read the data through to verify checksums"},
};

/* A description: lines for people, members for --json. */
typedef struct report {
    fc_strbuf text;
    json_t *object;
    bool is_quick;
} report;

#define SAY(r, ...) FC_TRY(fc_strbuf_addf(&(r)->text, err, __VA_ARGS__))

static void put(report *r, const char *key, json_t *value)
{
    json_object_set_new(r->object, key, value);
}

/* ---- store ---- */

static fc_status describe_store(report *r, const char *path, fc_err *err)
{
    fc_store *store = NULL;
    FC_TRY(fc_store_open(&store, path, !r->is_quick, true, err));
    const fc_store_info *info = fc_store_info_of(store);
    const int64_t n = fc_store_rows(store), docs = fc_store_docs(store);
    const bool is_complete =
        json_is_true(json_object_get(fc_store_meta(store), "complete"));
    put(r, "kind", json_string("store"));
    put(r, "rows", json_integer(n));
    put(r, "width", json_integer(info->d));
    put(r, "hook", json_string(info->hook));
    put(r, "model", json_string(info->model));
    put(r, "documents", json_integer(docs));
    put(r, "complete", json_boolean(is_complete));
    fc_status status = fc_strbuf_addf(
        &r->text, err,
        "%s: activation store, %s\n  %" PRId64 " rows of %" PRId64 " (%s) from %" PRId64
        " documents\n  hook %s of %s\n  checksums %s\n",
        path,
        is_complete ? "complete"
                    : "not finished: 'facet collect' with the same options goes on",
        n, info->d, fc_dtype_name(info->dtype), docs, info->hook, info->model,
        r->is_quick ? "not read (--quick)" : "verified");
    fc_store_close(store);
    return status;
}

/* ---- checkpoint of a model ---- */

static fc_status describe_model(report *r, const char *path, fc_err *err)
{
    fc_model *model = NULL;
    FC_TRY(fc_model_load(&model, path, err));
    const fc_gemma_config *c = fc_model_config(model);
    int64_t n_full = 0;
    for (int64_t i = 0; i < c->n_layers; i++) n_full += c->is_full[i];
    put(r, "kind", json_string("model"));
    put(r, "layers", json_integer(c->n_layers));
    put(r, "width", json_integer(c->d_model));
    put(r, "vocabulary", json_integer(c->n_vocab));
    put(r, "fingerprint", json_string(fc_model_fingerprint(model)));
    fc_status status = fc_strbuf_addf(
        &r->text, err,
        "%s: Gemma 3 checkpoint%s\n  %" PRId64 " layers (%" PRId64
        " global, window %" PRId64 "), width %" PRId64 ", MLP %" PRId64 "\n  %" PRId64
        " query and %" PRId64 " key-value heads of %" PRId64 ", vocabulary %" PRId64
        ", head %s\n  fingerprint %s; names, types and shapes of all tensors checked\n",
        path, c->is_multimodal ? " (text part of a multimodal one)" : "", c->n_layers,
        n_full, c->window, c->d_model, c->d_mlp, c->n_heads, c->n_kv_heads, c->d_head,
        c->n_vocab, c->is_head_tied ? "tied to the embedding" : "of its own",
        fc_model_fingerprint(model));
    fc_model_close(model);
    return status;
}

/* ---- SAE ---- */

/* "24 -> 96", of a transcoder "24 -> 96 -> 20". */
static fc_status say_shape(report *r, const fc_sae *sae, fc_err *err)
{
    const bool is_transcoder = fc_arch_find(sae->arch)->is_transcoder;
    put(r, "d_in", json_integer(sae->d_in));
    put(r, "d_out", json_integer(sae->d_out));
    put(r, "d_sae", json_integer(sae->d_sae));
    SAY(r, "%s, %s, %" PRId64 " -> %" PRId64,
        is_transcoder ? "transcoder" : "sparse autoencoder", sae->arch, sae->d_in,
        sae->d_sae);
    if (is_transcoder) SAY(r, " -> %" PRId64, sae->d_out);
    if (sae->k > 0) {
        put(r, "k", json_real(sae->k));
        SAY(r, ", k %g", sae->k);
    }
    return FC_OK;
}

static fc_status say_sae(report *r, const fc_sae *sae, const fc_sae_format *format,
                         fc_err *err)
{
    put(r, "kind", json_string("sae"));
    put(r, "format", json_string(format->name));
    put(r, "architecture", json_string(sae->arch));
    put(r, "hook", json_string(sae->hook));
    put(r, "model", json_string(sae->model));
    put(r, "normalization", json_string(fc_norm_name(sae->normaliser.kind)));
    SAY(r, "%s: ", format->title);
    FC_TRY(say_shape(r, sae, err));
    SAY(r, "\n  for %s of %s\n", sae->hook[0] ? sae->hook : "an unnamed hook",
        sae->model[0] ? sae->model : "an unnamed model");
    if (sae->target_hook[0]) {
        put(r, "target_hook", json_string(sae->target_hook));
        SAY(r, "  output stands for %s\n", sae->target_hook);
    }
    SAY(r, "  input normalisation: %s; b_dec is %ssubtracted from it\n",
        fc_norm_name(sae->normaliser.kind), sae->is_b_dec_subtracted ? "" : "not ");
    return FC_OK;
}

static fc_status describe_sae(report *r, const char *path, fc_err *err)
{
    const fc_sae_format *format = fc_sae_format_of(path);
    fc_sae *sae = NULL;
    if (format == NULL) return fc_sae_load(&sae, path, err); /* says what is missing */
    FC_TRY(format->load(&sae, path, err));
    fc_status status = fc_strbuf_addf(&r->text, err, "%s: ", path);
    if (status == FC_OK) status = say_sae(r, sae, format, err);
    fc_sae_free(sae);
    return status;
}

/* ---- run ---- */

static fc_status describe_stage(report *r, const json_t *entry, fc_err *err)
{
    const char *command = json_string_value(json_object_get(entry, "command"));
    const char *started = json_string_value(json_object_get(entry, "started"));
    char *result = json_dumps(json_object_get(entry, "result"),
                              JSON_COMPACT | JSON_REAL_PRECISION(5));
    const fc_status status =
        fc_strbuf_addf(&r->text, err, "  %-8s %s  %s\n", command ? command : "?",
                       started ? started : "?", result ? result : "");
    free(result);
    return status;
}

static fc_status describe_run(report *r, const char *path, fc_err *err)
{
    static const char *const parts[] = {"sae", "features.db", "report.pdf"};
    char file[FC_PATH_MAX];
    json_t *manifest = NULL;
    fc_status status = FC_OK;
    put(r, "kind", json_string("run"));
    SAY(r, "%s: run folder\n", path);
    FC_TRY(fc_path_join(file, path, "manifest.json", err));
    if (fc_path_exists(file)) {
        size_t i;
        json_t *entry;
        FC_TRY(fc_json_load(&manifest, file, err));
        json_array_foreach(json_object_get(manifest, "commands"), i, entry)
        {
            if (status == FC_OK) status = describe_stage(r, entry, err);
        }
        json_object_set(r->object, "commands", json_object_get(manifest, "commands"));
        json_decref(manifest);
    }
    for (size_t i = 0; i < FC_LEN(parts) && status == FC_OK; i++) {
        status = fc_path_join(file, path, parts[i], err);
        if (status != FC_OK) break;
        const bool is_there = fc_path_exists(file);
        put(r, parts[i], json_boolean(is_there));
        if (!is_there) status = fc_strbuf_addf(&r->text, err, "  no %s yet\n", parts[i]);
    }
    if (status != FC_OK) return status;
    FC_TRY(fc_path_join(file, path, "sae", err));
    return fc_path_exists(file) ? describe_sae(r, file, err) : FC_OK;
}

/* ---- one file of arrays ---- */

static fc_status describe_arrays(report *r, const char *path, fc_err *err)
{
    fc_arrays *arrays = NULL;
    FC_TRY(fc_arrays_open(&arrays, path, err));
    const int64_t n = fc_arrays_count(arrays);
    fc_status status =
        fc_strbuf_addf(&r->text, err, "%s: %s, %" PRId64 " tensor%s\n", path,
                       fc_arrays_format(arrays), n, n == 1 ? "" : "s");
    put(r, "kind", json_string("tensors"));
    put(r, "format", json_string(fc_arrays_format(arrays)));
    put(r, "tensors", json_integer(n));
    for (int64_t i = 0; i < n && status == FC_OK; i++) {
        const fc_array *a = fc_arrays_at(arrays, i);
        status = fc_strbuf_addf(&r->text, err, "  %-5s", fc_dtype_name(a->dtype));
        for (int k = 0; k < a->rank && status == FC_OK; k++)
            status =
                fc_strbuf_addf(&r->text, err, "%s%" PRId64, k ? " x " : " ", a->shape[k]);
        if (status == FC_OK) status = fc_strbuf_addf(&r->text, err, "  %s\n", a->name);
    }
    fc_arrays_close(arrays);
    return status;
}

/* ---- which of them ---- */

static bool is_store(const char *path)
{
    char file[FC_PATH_MAX];
    return fc_path_join(file, path, "meta.json", NULL) == FC_OK && fc_path_exists(file);
}

static bool is_run(const char *path)
{
    char file[FC_PATH_MAX];
    return fc_path_join(file, path, "recipe.json", NULL) == FC_OK && fc_path_exists(file);
}

static bool is_sae(const char *path)
{
    return fc_sae_format_of(path) != NULL;
}

/* SAEs may have a config.json too, so they come before models. */
static bool is_model(const char *path)
{
    char file[FC_PATH_MAX];
    return fc_path_join(file, path, "config.json", NULL) == FC_OK && fc_path_exists(file);
}

static const struct kind {
    bool (*is_it)(const char *path);
    fc_status (*describe)(report *r, const char *path, fc_err *err);
} kinds[] = {
    {is_store, describe_store},
    {is_run, describe_run},
    {is_sae, describe_sae},
    {is_model, describe_model},
};

static fc_status describe(report *r, const char *given, fc_err *err)
{
    char path[FC_PATH_MAX];
    const bool is_inside = !fc_path_exists(given) && strchr(given, ':') != NULL;
    FC_TRY(is_inside ? fc_sae_find(path, given, err)
                     : fc_hub_model_path(path, given, err));
    if (!fc_path_exists(path))
        return fc_fail(err, FC_IO, "%s: no such file or folder", path);
    if (!fc_path_is_dir(path)) return describe_arrays(r, path, err);
    for (size_t i = 0; i < FC_LEN(kinds); i++)
        if (kinds[i].is_it(path)) return kinds[i].describe(r, path, err);
    return fc_fail(
        err, FC_FORMAT,
        "%s: not a store (meta.json), run (recipe.json), SAE (cfg.json, ae.pt, "
        "params.npz, params.safetensors) or model (config.json)",
        path);
}

static fc_status run(fc_cli *cli, int argc, char *const *argv, fc_err *err)
{
    own_options own = {0};
    bool is_done = false;
    cli->args.min_files = 1;
    cli->args.max_files = -1;
    fc_args_group(&cli->args, "inspect", fields, FC_LEN(fields), &own);
    FC_TRY(fc_cli_begin(cli, &fc_cmd_inspect, argc, argv, &is_done, err));
    fc_status status = FC_OK;
    for (int64_t i = 0; i < cli->args.n_files && !is_done && status == FC_OK; i++) {
        report r = {.object = json_pack("{ss}", "path", cli->args.file[i]),
                    .is_quick = own.is_quick};
        status = describe(&r, cli->args.file[i], err);
        if (status == FC_OK)
            status = fc_cli_result(cli, r.object, fc_strbuf_text(&r.text), err);
        else
            json_decref(r.object);
        fc_strbuf_free(&r.text);
    }
    return status;
}

const fc_command fc_cmd_inspect = {
    .name = "inspect",
    .summary = "say what a store, run, SAE of any tool, model or file of tensors holds",
    .usage = "facet inspect PATH...",
    .text = "Checks what it describes: shapes, types, and the checksums of a store's "
            "shards.\n",
    .run = run,
};
