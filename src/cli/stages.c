/* stages.c - collect, train, study, report (eval: stage_eval.c): open what the stage needs, call it, record it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/stages.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "cli/stage_entry.h"
#include "formats/manifest.h"
#include "study/concept_texts.h"
#include "study/features_db.h"

/* ---- collect ---- */

/* Into the store; with several hooks into each: what it says is wanted where the rows are read. */
static fc_status record_collect(const char *acts_dir, const fc_collect_result *r,
                                const json_t *entry, fc_err *err)
{
    fc_status status = FC_OK;
    for (int i = 0; i < r->n_hooks && status == FC_OK; i++) {
        char dir[FC_PATH_MAX];
        json_t *const copy = json_deep_copy(entry);
        status = fc_path_join(dir, r->n_hooks > 1 ? acts_dir : NULL,
                              r->n_hooks > 1 ? r->hook[i] : acts_dir, err);
        if (status == FC_OK)
            status = fc_manifest_add(dir, copy, err);
        else
            json_decref(copy);
    }
    return status;
}

fc_status fc_stage_collect(const fc_cli *cli, const fc_collect_config *config,
                           const fc_arg_list *texts, const char *acts_dir,
                           fc_stage_result *result, fc_err *err)
{
    fc_backend *be = NULL;
    fc_collect_result r = {0};
    json_t *entry = NULL, *settings = NULL, *inputs = json_array();
    int64_t n_fields;
    const fc_field *fields = fc_collect_fields(&n_fields);
    fc_status status = FC_OK;

    FC_TRY_GOTO(fc_cli_backend(cli, &be, err));
    entry = fc_entry_begin(cli, "collect", be);
    FC_TRY_GOTO(fc_collect(config, (const char *const *)texts->item, texts->n, be,
                           acts_dir, &r, err));
    for (int64_t i = 0; i < texts->n; i++)
        FC_TRY_GOTO(fc_entry_input(inputs, texts->item[i], err));
    FC_TRY_GOTO(fc_manifest_config(&settings, fields, n_fields, config, err));
    const char *precision = r.precision == FC_PRECISION_BF16 ? "bf16" : "f32";
    result->object = json_pack(
        "{ss, ss, sI, sI, sI, sf, ss}", "command", "collect", "out", acts_dir, "rows",
        (json_int_t)r.n_rows, "documents", (json_int_t)r.n_docs, "tokens_run",
        (json_int_t)r.n_tokens_run, "seconds", r.seconds, "precision", precision);
    snprintf(result->text, sizeof result->text,
             "%s: %" PRId64 " activations of %s from %" PRId64
             " documents (%s, %.0f tokens/s)\n",
             acts_dir, r.n_rows, config->hook, r.n_docs, precision,
             r.seconds > 0 ? (double)r.n_tokens_run / r.seconds : 0);
    fc_entry_fill(entry, inputs, settings, r.seconds, result->object);
    inputs = settings = NULL;
    status = record_collect(acts_dir, &r, entry, err);
done:
    json_decref(entry);
    json_decref(inputs);
    json_decref(settings);
    fc_backend_close(be);
    return status;
}

/* ---- study ---- */

/* A tokenizer is welcome, not needed: without the model's folder, contexts show ids. */
static fc_tokenizer *try_tokenizer(const char *model)
{
    fc_tokenizer *tokenizer = NULL;
    fc_err why = {0};
    if (!model[0] || fc_tokenizer_load(&tokenizer, model, &why) != FC_OK) {
        fc_log(FC_LOG_WARN, "contexts will show token ids: %s",
               model[0] ? why.text : "the store names no model");
        return NULL;
    }
    return tokenizer;
}

/* So are the weights: without them features have no logits. Those of another model would lie. */
static fc_model *try_model(const fc_store_info *store)
{
    fc_model *model = NULL;
    fc_err why = {0};
    if (!store->model[0]) return NULL;
    if (fc_model_load(&model, store->model, &why) != FC_OK) {
        fc_log(FC_LOG_WARN, "features will have no logits: %s", why.text);
        return NULL;
    }
    if (strcmp(fc_model_fingerprint(model), store->model_hash) != 0) {
        fc_log(FC_LOG_WARN,
               "features will have no logits: '%s' is not the model that made the "
               "activations any more",
               store->model);
        fc_model_close(model);
        return NULL;
    }
    return model;
}

/* Whether features.db was made from these inputs with this config. */
static bool is_study_current(const char *run_dir, const json_t *inputs,
                             const json_t *settings)
{
    char path[FC_PATH_MAX];
    fc_features_db *db = NULL;
    if (fc_path_join(path, run_dir, "features.db", NULL) != FC_OK ||
        fc_features_open(&db, path, NULL) !=
            FC_OK) /* missing, damaged, of another version */
        return false;
    fc_features_close(db);
    return fc_entry_is_current(run_dir, "study", inputs, settings);
}

static bool has_own_concepts(const char *choice)
{
    return choice[0] != '\0' && strcmp(choice, "none") != 0;
}

/* "" are the built-in ones; "none" gives NULL. */
static fc_status open_concepts(fc_concepts **concepts, const char *choice, fc_err *err)
{
    *concepts = NULL;
    if (has_own_concepts(choice)) return fc_concepts_load(concepts, choice, err);
    return choice[0] == '\0' ? fc_concepts_built_in(concepts, err) : FC_OK;
}

/* The built-in rules are an input too: another version of the program may bring others. */
static void add_built_in_concepts(json_t *inputs)
{
    char hex[FC_HASH_HEX];
    const char *text = fc_concept_text("english");
    fc_hash_bytes(text, strlen(text), hex);
    json_array_append_new(inputs,
                          json_pack("{ss, sI, ss}", "path", "built-in concepts", "bytes",
                                    (json_int_t)strlen(text), "xxh3", hex));
}

static fc_status study_inputs(json_t *inputs, const char *acts, const char *run_dir,
                              const char *concepts, fc_err *err)
{
    char path[FC_PATH_MAX];
    if (has_own_concepts(concepts)) FC_TRY(fc_entry_input(inputs, concepts, err));
    if (concepts[0] == '\0') add_built_in_concepts(inputs);
    FC_TRY(fc_path_join(path, acts, "meta.json", err));
    FC_TRY(fc_entry_input(inputs, path, err));
    FC_TRY(fc_path_join(path, run_dir, "sae/sae_weights.safetensors", err));
    return fc_entry_input(inputs, path, err);
}

static void study_result(fc_stage_result *result, const fc_study_result *r,
                         const char *db)
{
    result->object = json_pack("{ss, ss, sI, sI, sI, sf, sf, sf, sf, sf}", "command",
                               "study", "out", db, "rows", (json_int_t)r->n_rows, "d_sae",
                               (json_int_t)r->d_sae, "dead", (json_int_t)r->n_dead, "l0",
                               r->l0, "mse", r->mse, "fvu", r->fvu, "explained_variance",
                               r->explained_variance, "seconds", r->seconds);
    snprintf(result->text, sizeof result->text,
             "%s: %" PRId64 " of %" PRId64
             " features dead, average L0 %.1f, FVU %.4f (%.0f rows/s)\n",
             db, r->n_dead, r->d_sae, r->l0, r->fvu, r->rows_per_s);
}

fc_status fc_stage_study(const fc_cli *cli, const fc_study_config *config,
                         const char *acts_dir, const char *run_dir, bool is_lazy,
                         fc_stage_result *result, fc_err *err)
{
    fc_backend *be = NULL;
    fc_sae *sae = NULL;
    fc_store *store = NULL;
    fc_tokenizer *tokenizer = NULL;
    fc_model *model = NULL;
    fc_concepts *concepts = NULL;
    fc_study_result r = {0};
    char acts[FC_PATH_MAX], path[FC_PATH_MAX], db[FC_PATH_MAX];
    json_t *entry = NULL, *settings = NULL, *inputs = json_array();
    int64_t n_fields;
    const fc_field *fields = fc_study_fields(&n_fields);
    fc_status status = FC_OK;

    FC_TRY_GOTO(fc_run_store(acts, acts_dir, run_dir, err));
    FC_TRY_GOTO(fc_path_join(path, run_dir, "sae", err));
    FC_TRY_GOTO(fc_path_join(db, run_dir, "features.db", err));
    FC_TRY_GOTO(study_inputs(inputs, acts, run_dir, config->concepts, err));
    FC_TRY_GOTO(fc_manifest_config(&settings, fields, n_fields, config, err));
    if (is_lazy && is_study_current(run_dir, inputs, settings)) goto done;

    FC_TRY_GOTO(open_concepts(&concepts, config->concepts, err));
    FC_TRY_GOTO(fc_sae_load(&sae, path, err));
    FC_TRY_GOTO(fc_store_open(&store, acts, false, false, err));
    FC_TRY_GOTO(fc_cli_backend(cli, &be, err));
    tokenizer = try_tokenizer(fc_store_info_of(store)->model);
    model = try_model(fc_store_info_of(store));
    entry = fc_entry_begin(cli, "study", be);
    const fc_study_source source = {tokenizer, model, concepts};
    FC_TRY_GOTO(fc_study(config, sae, store, &source, be, db, &r, err));
    study_result(result, &r, db);
    status =
        fc_entry_end(entry, run_dir, inputs, settings, r.seconds, result->object, err);
    entry = inputs = settings = NULL;
done:
    json_decref(entry);
    json_decref(inputs);
    json_decref(settings);
    fc_concepts_free(concepts);
    fc_model_close(model);
    fc_tokenizer_free(tokenizer);
    fc_store_close(store);
    fc_sae_free(sae);
    fc_backend_close(be);
    return status;
}

/* ---- find ---- */

fc_status fc_stage_find(const fc_cli *cli, const fc_find_config *config,
                        const fc_concepts *concepts, const fc_find_from *from,
                        fc_find_result *result, fc_err *err)
{
    fc_backend *be = NULL;
    fc_sae *sae = NULL;
    fc_store *store = NULL;
    fc_tokenizer *tokenizer = NULL;
    char acts[FC_PATH_MAX], path[FC_PATH_MAX];
    fc_status status;

    FC_TRY_GOTO(fc_run_store(acts, from->acts, from->run, err));
    FC_TRY_GOTO(fc_path_join(path, from->run, "sae", err));
    FC_TRY_GOTO(fc_sae_load(&sae, path, err));
    FC_TRY_GOTO(fc_store_open(&store, acts, false, false, err));
    const char *model =
        from->model[0] != '\0' ? from->model : fc_store_info_of(store)->model;
    FC_TRY_GOTO(fc_tokenizer_load(&tokenizer, model, err));
    FC_TRY_GOTO(fc_cli_backend(cli, &be, err));
    const fc_study_source source = {.tokenizer = tokenizer, .concepts = concepts};
    FC_TRY_GOTO(fc_find(config, sae, store, &source, be, result, err));
done:
    fc_tokenizer_free(tokenizer);
    fc_store_close(store);
    fc_sae_free(sae);
    fc_backend_close(be);
    return status;
}

/* ---- report ---- */

fc_status fc_stage_report(const fc_cli *cli, const fc_report_config *config,
                          const char *run_dir, fc_stage_result *result, fc_err *err)
{
    fc_report_result r = {0};
    (void)cli;
    FC_TRY(fc_report(config, run_dir, &r, err));
    result->object =
        json_pack("{ss, ss, sI, sI}", "command", "report", "out", r.pdf, "pages",
                  (json_int_t)r.n_pages, "cards", (json_int_t)r.n_cards);
    snprintf(result->text, sizeof result->text,
             "%s: %" PRId64 " pages, %" PRId64 " feature cards\n", r.pdf, r.n_pages,
             r.n_cards);
    return FC_OK;
}
