/* sweep_table.c - the table of a sweep in three forms, and how a finished run is known.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/sweep_table.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "formats/json.h"
#include "sae/arch.h"

static const char *const state_words[] = {"pending", "finished", "failed"};

/* --- finished runs ------------------------------------------------------------------------ */

static double number(const json_t *object, const char *key)
{
    const json_t *const value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static void take_result(fc_train_result *r, const json_t *result)
{
    *r = (fc_train_result){.steps = json_integer_value(json_object_get(result, "steps")),
                           .n_dead = json_integer_value(json_object_get(result, "dead")),
                           .mse = number(result, "mse"),
                           .l1 = number(result, "l1"),
                           .l0 = number(result, "l0"),
                           .total = number(result, "total"),
                           .explained_variance = number(result, "explained_variance"),
                           .seconds = number(result, "seconds")};
}

fc_status fc_sweep_outcome_load(fc_sweep_outcome *outcome, const char *dir, fc_err *err)
{
    char path[FC_PATH_MAX];
    json_t *manifest = NULL, *entry;
    size_t i;
    FC_TRY(fc_path_join(path, dir, "sae/sae_weights.safetensors", err));
    if (!fc_path_exists(path)) return FC_OK;
    FC_TRY(fc_path_join(path, dir, "manifest.json", err));
    if (!fc_path_exists(path)) return FC_OK;
    FC_TRY(fc_json_load(&manifest, path, err));
    json_array_foreach(json_object_get(manifest, "commands"), i, entry)
    {
        const char *const command = json_string_value(json_object_get(entry, "command"));
        if (command == NULL || strcmp(command, "train") != 0) continue;
        outcome->state = FC_SWEEP_FINISHED;
        take_result(&outcome->result, json_object_get(entry, "result"));
    }
    json_decref(manifest);
    return FC_OK;
}

/* --- sweep.json --------------------------------------------------------------------------- */

/* NULL is what jansson takes as a failure, so null is said aloud. */
static json_t *real_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static int add_result(json_t *row, const fc_train_result *r)
{
    int failures = json_object_set_new(row, "steps", json_integer(r->steps));
    failures |= json_object_set_new(row, "l0", real_or_null(r->l0));
    failures |= json_object_set_new(row, "mse", real_or_null(r->mse));
    failures |= json_object_set_new(row, "explained_variance",
                                    real_or_null(r->explained_variance));
    failures |= json_object_set_new(row, "dead", json_integer(r->n_dead));
    return failures | json_object_set_new(row, "total", real_or_null(r->total));
}

static json_t *row_json(const fc_planned_run *run, const fc_sweep_outcome *o)
{
    json_t *const row =
        json_pack("{ss, ss, ss, sO}", "name", run->name, "state", state_words[o->state],
                  "arch", fc_arch_at(run->config.arch)->name, "varies", run->varies);
    int failures = row == NULL;
    if (o->state == FC_SWEEP_FINISHED) failures |= add_result(row, &o->result);
    if (o->state == FC_SWEEP_FAILED)
        failures |= json_object_set_new(row, "error", json_string(o->why));
    if (failures == 0) return row;
    json_decref(row);
    return NULL;
}

fc_status fc_sweep_table_json(json_t **object, const fc_sweep_plan *plan,
                              const fc_sweep_outcome *outcome, fc_err *err)
{
    json_t *const rows = json_array();
    int failures = 0;
    for (int64_t i = 0; i < plan->n_runs; i++)
        failures |= json_array_append_new(rows, row_json(&plan->run[i], &outcome[i]));
    json_t *const made = json_pack("{ss, so}", "command", "sweep", "runs", rows);
    if (failures == 0 && made != NULL) {
        *object = made;
        return FC_OK;
    }
    json_decref(made);
    return fc_fail(err, FC_NOMEM, "no memory for the table of the sweep");
}

/* --- sweep.csv ---------------------------------------------------------------------------- */

/* Every key that varies in some run, in the order of the runs. */
static json_t *all_keys(const fc_sweep_plan *plan)
{
    json_t *const keys = json_object();
    for (int64_t i = 0; i < plan->n_runs; i++) {
        const char *key;
        json_t *value;
        json_object_foreach(plan->run[i].varies, key, value)(void)
            json_object_set_new(keys, key, json_null());
    }
    return keys;
}

/* Quoted where it must be: a value may hold commas. */
static fc_status add_cell(fc_strbuf *csv, const char *text, fc_err *err)
{
    if (strpbrk(text, ",\"\n") == NULL) return fc_strbuf_addf(csv, err, "%s", text);
    FC_TRY(fc_strbuf_add(csv, "\"", 1, err));
    for (; *text != '\0'; text++)
        FC_TRY(fc_strbuf_addf(csv, err, *text == '"' ? "\"\"" : "%c", *text));
    return fc_strbuf_add(csv, "\"", 1, err);
}

static fc_status add_number(fc_strbuf *csv, double value, fc_err *err)
{
    return isfinite(value) ? fc_strbuf_addf(csv, err, ",%.9g", value)
                           : fc_strbuf_add(csv, ",", 1, err);
}

static fc_status add_csv_row(fc_strbuf *csv, const fc_planned_run *run,
                             const fc_sweep_outcome *o, json_t *keys, fc_err *err)
{
    const char *key;
    json_t *unused;
    FC_TRY(add_cell(csv, run->name, err));
    json_object_foreach(keys, key, unused)
    {
        const char *const value = json_string_value(json_object_get(run->varies, key));
        FC_TRY(fc_strbuf_add(csv, ",", 1, err));
        FC_TRY(add_cell(csv, value != NULL ? value : "", err));
    }
    FC_TRY(fc_strbuf_addf(csv, err, ",%s", state_words[o->state]));
    if (o->state != FC_SWEEP_FINISHED) return fc_strbuf_addf(csv, err, ",,,,,,\n");
    const fc_train_result *const r = &o->result;
    FC_TRY(fc_strbuf_addf(csv, err, ",%" PRId64, r->steps));
    FC_TRY(add_number(csv, r->l0, err));
    FC_TRY(add_number(csv, r->mse, err));
    FC_TRY(add_number(csv, r->explained_variance, err));
    FC_TRY(fc_strbuf_addf(csv, err, ",%" PRId64, r->n_dead));
    FC_TRY(add_number(csv, r->total, err));
    return fc_strbuf_add(csv, "\n", 1, err);
}

static fc_status make_csv(fc_strbuf *csv, const fc_sweep_plan *plan,
                          const fc_sweep_outcome *outcome, json_t *keys, fc_err *err)
{
    const char *key;
    json_t *unused;
    FC_TRY(fc_strbuf_addf(csv, err, "name"));
    json_object_foreach(keys, key, unused)
    {
        FC_TRY(fc_strbuf_add(csv, ",", 1, err));
        FC_TRY(add_cell(csv, key, err));
    }
    FC_TRY(
        fc_strbuf_addf(csv, err, ",state,steps,l0,mse,explained_variance,dead,total\n"));
    for (int64_t i = 0; i < plan->n_runs; i++)
        FC_TRY(add_csv_row(csv, &plan->run[i], &outcome[i], keys, err));
    return FC_OK;
}

fc_status fc_sweep_table_write(const fc_sweep_plan *plan, const fc_sweep_outcome *outcome,
                               const char *out, fc_err *err)
{
    char path[FC_PATH_MAX];
    fc_strbuf csv = {0};
    json_t *const keys = all_keys(plan);
    json_t *object = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_sweep_table_json(&object, plan, outcome, err));
    FC_TRY_GOTO(fc_path_join(path, out, "sweep.json", err));
    FC_TRY_GOTO(fc_json_save(object, path, err));
    FC_TRY_GOTO(make_csv(&csv, plan, outcome, keys, err));
    FC_TRY_GOTO(fc_path_join(path, out, "sweep.csv", err));
    status = fc_file_write(path, fc_strbuf_text(&csv), (size_t)csv.n, err);
done:
    json_decref(keys);
    json_decref(object);
    fc_strbuf_free(&csv);
    return status;
}

/* --- for people --------------------------------------------------------------------------- */

fc_status fc_sweep_table_text(fc_strbuf *text, const fc_sweep_plan *plan,
                              const fc_sweep_outcome *outcome, fc_err *err)
{
    int width = 4;
    for (int64_t i = 0; i < plan->n_runs; i++)
        width = (int)fc_max(width, (int64_t)strlen(plan->run[i].name));
    FC_TRY(fc_strbuf_addf(text, err, "%-*s  %8s %8s %11s %10s %7s %11s\n", width, "run",
                          "steps", "L0", "MSE", "explained", "dead", "loss"));
    for (int64_t i = 0; i < plan->n_runs; i++) {
        const fc_train_result *const r = &outcome[i].result;
        FC_TRY(fc_strbuf_addf(text, err, "%-*s  ", width, plan->run[i].name));
        if (outcome[i].state != FC_SWEEP_FINISHED)
            FC_TRY(fc_strbuf_addf(text, err, "%s\n", state_words[outcome[i].state]));
        else
            FC_TRY(fc_strbuf_addf(
                text, err, "%8" PRId64 " %8.1f %11.4g %9.1f%% %7" PRId64 " %11.4g\n",
                r->steps, r->l0, r->mse, 100 * r->explained_variance, r->n_dead,
                r->total));
    }
    return FC_OK;
}
