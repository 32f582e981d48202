/* stage_train.c - trains on a store, on two, or on text as it goes through the model.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/stage_entry.h"
#include "cli/stages.h"
#include "formats/manifest.h"
#include "sae/feed.h"

enum { MANY_EPOCHS = 4 };

static bool is_given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* --- the stream --------------------------------------------------------------------------- */

/* `auto` is settled once for a run, as it is for a store: by its recipe.json, when there is one. */
static fc_precision_choice settle_precision(const fc_collect_config *how,
                                            const char *run_dir)
{
    char path[FC_PATH_MAX];
    json_t *recipe = NULL;
    fc_precision_choice choice = (fc_precision_choice)how->precision;
    if (choice != FC_AUTO_PRECISION ||
        fc_path_join(path, run_dir, "recipe.json", NULL) != FC_OK ||
        !fc_path_exists(path) || fc_json_load(&recipe, path, NULL) != FC_OK)
        return choice;
    const json_t *const stream = json_object_get(recipe, "stream");
    const char *const word = json_string_value(json_object_get(stream, "precision"));
    if (word != NULL && strcmp(word, "bf16") == 0) choice = FC_BF16_PRECISION;
    if (word != NULL && strcmp(word, "f32") == 0) choice = FC_F32_PRECISION;
    json_decref(recipe);
    return choice;
}

/* The hooks of a stream: the input, and the target behind it. */
static fc_status join_hooks(fc_collect_config *how, const char *target, fc_err *err)
{
    if (strchr(how->hook, ',') != NULL)
        return fc_fail(err, FC_USAGE,
                       "hook is %s, expected one: 'facet sweep' trains on several",
                       how->hook);
    if (!is_given(target)) return FC_OK;
    const size_t n = strlen(how->hook);
    const int n_added = snprintf(how->hook + n, sizeof how->hook - n, ",%s", target);
    if (n_added < (int)(sizeof how->hook - n)) return FC_OK;
    return fc_fail(err, FC_USAGE, "target-hook: the name is too long");
}

/* Feed, config and list of texts must outlive one another in this order, so the config is the caller's. */
static fc_status open_stream(fc_feed **feed, const fc_harvest_text *text,
                             fc_precision_choice precision, fc_backend *be,
                             bool has_target, fc_err *err)
{
    fc_harvester *harvester = NULL;
    fc_windows *windows = NULL;
    FC_TRY(fc_harvester_open(&harvester, text, be, precision, err));
    FC_TRY(fc_windows_open(&windows, harvester,
                           text->config->dtype == 0 ? FC_BF16 : FC_F32, err));
    return fc_feed_of_windows(feed, windows, 0, has_target ? 1 : -1, true, err);
}

static fc_status train_on_stream(const fc_cli *cli, const fc_train_config *config,
                                 const fc_train_from *from, fc_backend *be,
                                 const char *run_dir, bool is_resume, fc_train_result *r,
                                 fc_err *err)
{
    fc_collect_config how = *from->how;
    fc_backend *model_be = NULL; /* of the thread that runs the model */
    fc_feed *feed = NULL;
    fc_status status;
    const fc_harvest_text text = {&how, (const char *const *)from->texts->item,
                                  from->texts->n};
    FC_TRY(join_hooks(&how, from->target_hook, err));
    if (config->epochs >= MANY_EPOCHS && config->max_steps == 0)
        fc_log(FC_LOG_WARN,
               "the text runs through the model anew in each of %" PRId64
               " epochs; a store (facet collect) needs that once",
               config->epochs);
    FC_TRY_GOTO(fc_cli_backend(cli, &model_be, err));
    FC_TRY_GOTO(open_stream(&feed, &text, settle_precision(&how, run_dir), model_be,
                            is_given(from->target_hook), err));
    status = fc_train_feed(config, feed, be, run_dir, is_resume, r, err);
done:
    fc_backend_close(model_be);
    return status;
}

/* --- the stage ---------------------------------------------------------------------------- */

static fc_status train(const fc_cli *cli, const fc_train_config *config,
                       const fc_train_from *from, fc_backend *be, const char *run_dir,
                       bool is_resume, fc_train_result *r, fc_err *err)
{
    fc_feed *feed = NULL;
    FC_TRY(fc_train_check(config, err)); /* before anything is read */
    if (!is_given(from->acts))
        return train_on_stream(cli, config, from, be, run_dir, is_resume, r, err);
    FC_TRY(fc_feed_of_store(&feed, from->acts,
                            is_given(from->target) ? from->target : NULL, err));
    return fc_train_feed(config, feed, be, run_dir, is_resume, r, err);
}

static fc_status add_inputs(json_t *inputs, const fc_train_from *from, fc_err *err)
{
    const char *const stores[] = {from->acts, from->target};
    for (size_t i = 0; i < FC_LEN(stores); i++) {
        char path[FC_PATH_MAX];
        if (!is_given(stores[i])) continue;
        FC_TRY(fc_path_join(path, stores[i], "meta.json", err));
        FC_TRY(fc_entry_input(inputs, path, err));
    }
    if (is_given(from->acts)) return FC_OK;
    for (int64_t i = 0; i < from->texts->n; i++)
        FC_TRY(fc_entry_input(inputs, from->texts->item[i], err));
    return FC_OK;
}

fc_status fc_train_record(json_t *entry, json_t *inputs, const fc_train_config *config,
                          const char *run_dir, const fc_train_result *r,
                          fc_stage_result *result, fc_err *err)
{
    int64_t n_fields;
    const fc_field *const fields = fc_train_fields(&n_fields);
    json_t *settings = NULL;
    const fc_status status = fc_manifest_config(&settings, fields, n_fields, config, err);
    if (status != FC_OK) {
        json_decref(entry);
        json_decref(inputs);
        return status;
    }
    result->object = json_pack(
        "{ss, ss, sI, sf, sf, so, sf, sf, sI, sf}", "command", "train", "out", run_dir,
        "steps", (json_int_t)r->steps, "total", r->total, "mse", r->mse,
        "explained_variance",
        isfinite(r->explained_variance) ? json_real(r->explained_variance) : json_null(),
        "l1", r->l1, "l0", r->l0, "dead", (json_int_t)r->n_dead, "seconds", r->seconds);
    snprintf(result->text, sizeof result->text,
             "%s: %" PRId64 " steps, mse %.4g, l0 %.1f, %" PRId64 " dead (%.0f s)\n",
             run_dir, r->steps, r->mse, r->l0, r->n_dead, r->seconds);
    return fc_entry_end(entry, run_dir, inputs, settings, r->seconds, result->object,
                        err);
}

fc_status fc_stage_train(const fc_cli *cli, const fc_train_config *config,
                         const fc_train_from *from, const char *run_dir, bool is_resume,
                         fc_stage_result *result, fc_err *err)
{
    fc_backend *be = NULL;
    fc_train_result r = {0};
    json_t *entry = NULL, *inputs = json_array();
    fc_status status;

    FC_TRY_GOTO(fc_cli_backend(cli, &be, err));
    entry = fc_entry_begin(cli, "train", be);
    FC_TRY_GOTO(train(cli, config, from, be, run_dir, is_resume, &r, err));
    FC_TRY_GOTO(add_inputs(inputs, from, err));
    status = fc_train_record(entry, inputs, config, run_dir, &r, result, err);
    entry = inputs = NULL;
done:
    json_decref(entry);
    json_decref(inputs);
    fc_backend_close(be);
    return status;
}
