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
#include "formats/hub_cache.h"
#include "formats/safetensors.h"
#include "model/model.h"
#include "sae/sae.h"

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

static fc_status describe_sae(report *r, const char *path, fc_err *err)
{
    static const char *const normalisation[] = {"none", "center_unit", "center_scale"};
    fc_sae *sae = NULL;
    FC_TRY(fc_sae_load(&sae, path, err));
    put(r, "kind", json_string("sae"));
    put(r, "architecture", json_string(sae->arch));
    put(r, "d_in", json_integer(sae->d_in));
    put(r, "d_sae", json_integer(sae->d_sae));
    put(r, "hook", json_string(sae->hook));
    fc_status status =
        fc_strbuf_addf(&r->text, err,
                       "%s: sparse autoencoder, %s, %" PRId64 " -> %" PRId64
                       "\n  for %s of %s\n  input normalisation: %s\n",
                       path, sae->arch, sae->d_in, sae->d_sae,
                       sae->hook[0] ? sae->hook : "an unnamed hook",
                       sae->model[0] ? sae->model : "an unnamed model",
                       normalisation[sae->normaliser.kind]);
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

/* ---- one safetensors file ---- */

static fc_status describe_tensors(report *r, const char *path, fc_err *err)
{
    fc_safetensors *st = NULL;
    FC_TRY(fc_safetensors_open(&st, path, err));
    const int64_t n = fc_safetensors_count(st);
    fc_status status =
        fc_strbuf_addf(&r->text, err, "%s: %" PRId64 " tensors\n", path, n);
    put(r, "kind", json_string("tensors"));
    put(r, "tensors", json_integer(n));
    for (int64_t i = 0; i < n && status == FC_OK; i++) {
        const fc_tensor *t = fc_safetensors_at(st, i);
        status = fc_strbuf_addf(&r->text, err, "  %-5s", fc_dtype_name(t->dtype));
        for (int k = 0; k < t->rank && status == FC_OK; k++)
            status =
                fc_strbuf_addf(&r->text, err, "%s%" PRId64, k ? " x " : " ", t->shape[k]);
        if (status == FC_OK) status = fc_strbuf_addf(&r->text, err, "  %s\n", t->name);
    }
    fc_safetensors_close(st);
    return status;
}

static const struct kind {
    const char *sign; /* the file that tells this kind of folder */
    fc_status (*describe)(report *r, const char *path, fc_err *err);
} kinds[] = {
    {"meta.json", describe_store},
    {"recipe.json", describe_run},
    {"cfg.json", describe_sae},
    {"config.json", describe_model},
};

static fc_status describe(report *r, const char *given, fc_err *err)
{
    char path[FC_PATH_MAX], file[FC_PATH_MAX];
    FC_TRY(fc_hub_model_path(path, given, err));
    if (!fc_path_exists(path))
        return fc_fail(err, FC_IO, "%s: no such file or folder", path);
    if (!fc_path_is_dir(path)) return describe_tensors(r, path, err);
    for (size_t i = 0; i < FC_LEN(kinds); i++) {
        FC_TRY(fc_path_join(file, path, kinds[i].sign, err));
        if (fc_path_exists(file)) return kinds[i].describe(r, path, err);
    }
    return fc_fail(err, FC_FORMAT,
                   "%s: not a store (meta.json), run (recipe.json), SAE (cfg.json) or "
                   "model (config.json)",
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
    .summary = "say what a store, run, SAE, model or tensor file holds",
    .usage = "facet inspect PATH...",
    .text = "Checks what it describes: shapes, types, and the checksums of a store's "
            "shards.\n",
    .run = run,
};
