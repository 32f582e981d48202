/* stage_sweep.c - plans, checks, trains in groups, writes the table.
 *
 * A run is finished when its manifest says that it was trained and its sae/ is there: what came of it
 * is read from there. The others are trained side by side, as many as memory holds; the next group has
 * the text run through the model again.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/stage_sweep.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/stage_entry.h"
#include "cli/sweep_table.h"
#include "sae/arch.h"
#include "sae/run_recipe.h"
#include "sae/sweep.h"

typedef struct hook_source { /* where the rows of a hook come from */
    char name[FC_PATH_MAX];  /* of the hook; of stores, the folder's */
    char dir[FC_PATH_MAX];   /* its store; "": the stream */
} hook_source;

typedef struct sweep {
    const fc_cli *cli;
    const fc_sweep_options *options;
    const fc_sweep_from *from;
    fc_sweep_plan *plan;
    fc_collect_config how; /* with all hooks, the target's last */
    fc_harvest_text text;
    hook_source *hook; /* [n_hooks] of inputs */
    int n_hooks;
    char target_dir[FC_PATH_MAX];
    fc_backend *be, *model_be;
    fc_windows *windows;
    json_t *inputs;
    fc_sweep_outcome *outcome; /* [plan->n_runs] */
    char (*dir)[FC_PATH_MAX];  /* [plan->n_runs] */
    fc_sweep_run *group;       /* [plan->n_runs] those that are trained now, */
    int64_t *of_group;         /* and their numbers in the plan */
} sweep;

/* --- where rows come from ----------------------------------------------------------------- */

static fc_status add_hook(sweep *s, const char *name, const char *dir, fc_err *err)
{
    if (s->n_hooks == FC_MAX_HOOKS)
        return fc_fail(err, FC_USAGE, "more than %d hooks", FC_MAX_HOOKS);
    hook_source *const hook = &s->hook[s->n_hooks++];
    FC_TRY(fc_path_join(hook->name, NULL, name, err));
    return fc_path_join(hook->dir, NULL, dir, err);
}

static bool is_store(const char *dir)
{
    char path[FC_PATH_MAX];
    return fc_path_join(path, dir, "meta.json", NULL) == FC_OK && fc_path_exists(path);
}

/* A store of its own, or those of the folder but for the target's. */
static fc_status list_stores(sweep *s, fc_err *err)
{
    const char *const acts = s->options->acts;
    fc_names names = {0};
    fc_status status;
    if (is_store(acts)) return add_hook(s, fc_path_base(acts), acts, err);
    FC_TRY_GOTO(fc_dir_list(&names, acts, err));
    for (int64_t i = 0; i < names.n; i++) {
        char dir[FC_PATH_MAX];
        FC_TRY_GOTO(fc_path_join(dir, acts, names.name[i], err));
        if (is_store(dir) && strcmp(names.name[i], s->options->target_hook) != 0)
            FC_TRY_GOTO(add_hook(s, names.name[i], dir, err));
    }
    if (s->n_hooks == 0)
        FC_TRY_GOTO(fc_fail(err, FC_USAGE, "%s: no store, nor a folder of stores", acts));
done:
    fc_names_free(&names);
    return status;
}

static fc_status list_named_stores(sweep *s, fc_err *err)
{
    const char *at = s->from->how->hook;
    for (;;) {
        char name[FC_FIELD_TEXT_MAX], dir[FC_PATH_MAX];
        const size_t n = strcspn(at, ",");
        memcpy(name, at, n);
        name[n] = '\0';
        FC_TRY(fc_path_join(dir, s->options->acts, name, err));
        if (!is_store(dir))
            return fc_fail(err, FC_USAGE, "%s: no store of hook %s (%s)",
                           s->options->acts, name, dir);
        FC_TRY(add_hook(s, name, dir, err));
        if (at[n] == '\0') return FC_OK;
        at += n + 1;
    }
}

/* What the runs that are there were begun with, where it was left open: the precision of the model,
 * and rows of a window (0: none is there). */
static void read_begun(const char *out, fc_precision_choice *precision, int64_t *rows)
{
    fc_names names = {0};
    *rows = 0;
    if (!fc_path_is_dir(out) || fc_dir_list(&names, out, NULL) != FC_OK) return;
    for (int64_t i = 0; i < names.n && *rows == 0; i++) {
        char dir[FC_PATH_MAX], path[FC_PATH_MAX];
        json_t *recipe = NULL;
        if (fc_path_join(dir, out, names.name[i], NULL) != FC_OK ||
            fc_path_join(path, dir, "recipe.json", NULL) != FC_OK ||
            !fc_path_exists(path) || fc_json_load(&recipe, path, NULL) != FC_OK)
            continue;
        const json_t *const stream = json_object_get(recipe, "stream");
        const json_t *const train = json_object_get(recipe, "train");
        const char *const word = json_string_value(json_object_get(stream, "precision"));
        if (word != NULL && *precision == FC_AUTO_PRECISION)
            *precision = strcmp(word, "bf16") == 0 ? FC_BF16_PRECISION : FC_F32_PRECISION;
        if (stream != NULL)
            *rows = json_integer_value(json_object_get(train, "mix_buffer_rows"));
        json_decref(recipe);
    }
    fc_names_free(&names);
}

static fc_status open_stream(sweep *s, fc_precision_choice precision, fc_err *err)
{
    fc_harvester *harvester = NULL;
    const char *const target = s->options->target_hook;
    s->how = *s->from->how;
    if (target[0] != '\0') {
        const size_t n = strlen(s->how.hook);
        const int n_added =
            snprintf(s->how.hook + n, sizeof s->how.hook - n, ",%s", target);
        if (n_added >= (int)(sizeof s->how.hook - n))
            return fc_fail(err, FC_USAGE, "the names of the hooks are too long");
    }
    s->text = (fc_harvest_text){&s->how, (const char *const *)s->from->texts->item,
                                s->from->texts->n};
    FC_TRY(fc_cli_backend(s->cli, &s->model_be, err));
    FC_TRY(fc_harvester_open(&harvester, &s->text, s->model_be, precision, err));
    FC_TRY(fc_windows_open(&s->windows, harvester, s->how.dtype == 0 ? FC_BF16 : FC_F32,
                           err));
    const int n = fc_harvester_hooks(harvester) - (target[0] != '\0');
    for (int i = 0; i < n; i++)
        FC_TRY(add_hook(s, fc_harvester_hook(harvester, i)->name, "", err));
    for (int64_t i = 0; i < s->text.n_paths; i++)
        FC_TRY(fc_entry_input(s->inputs, s->text.paths[i], err));
    return FC_OK;
}

static fc_status open_source(sweep *s, fc_err *err)
{
    const char *const target = s->options->target_hook;
    FC_TRY(fc_alloc(&s->hook, FC_MAX_HOOKS, sizeof *s->hook, "hooks", err));
    if (s->options->acts[0] == '\0') {
        fc_precision_choice precision = (fc_precision_choice)s->from->how->precision;
        int64_t unused;
        read_begun(s->options->out, &precision, &unused);
        return open_stream(s, precision, err);
    }
    if (target[0] != '\0')
        FC_TRY(fc_path_join(s->target_dir, s->options->acts, target, err));
    return s->from->how->hook[0] != '\0' ? list_named_stores(s, err)
                                         : list_stores(s, err);
}

static fc_status open_feed(fc_feed **feed, sweep *s, const fc_planned_run *run,
                           fc_err *err)
{
    const bool is_transcoder = fc_arch_at(run->config.arch)->is_transcoder;
    if (is_transcoder && s->options->target_hook[0] == '\0')
        return fc_fail(
            err, FC_USAGE,
            "%s: run %s is a %s: target_hook is missing at the top of the recipe",
            s->from->recipe, run->name, fc_arch_at(run->config.arch)->name);
    if (s->windows == NULL)
        return fc_feed_of_store(feed, s->hook[run->hook].dir,
                                is_transcoder ? s->target_dir : NULL, err);
    return fc_feed_of_windows(feed, s->windows, run->hook,
                              is_transcoder ? s->n_hooks : -1, false, err);
}

/* --- before anything is written ----------------------------------------------------------- */

static fc_status plan_runs(sweep *s, fc_err *err)
{
    const char *names[FC_MAX_HOOKS];
    for (int i = 0; i < s->n_hooks; i++) names[i] = s->hook[i].name;
    FC_TRY(fc_sweep_plan_runs(s->plan, names, s->n_hooks, s->from->recipe, err));
    const int64_t n = s->plan->n_runs;
    FC_TRY(fc_alloc(&s->outcome, n, sizeof *s->outcome, "outcomes", err));
    FC_TRY(fc_alloc(&s->dir, n, sizeof *s->dir, "names of folders", err));
    FC_TRY(fc_alloc(&s->group, n, sizeof *s->group, "the runs of a group", err));
    FC_TRY(fc_alloc(&s->of_group, n, sizeof *s->of_group, "the runs of a group", err));
    for (int64_t i = 0; i < n; i++)
        FC_TRY(fc_path_join(s->dir[i], s->options->out, s->plan->run[i].name, err));
    return FC_OK;
}

/* All runs of a stream share its windows. */
static fc_status settle_windows(sweep *s, fc_err *err)
{
    fc_precision_choice unused = FC_AUTO_PRECISION;
    int64_t rows;
    if (s->windows == NULL) return FC_OK;
    read_begun(s->options->out, &unused, &rows);
    if (rows == 0) rows = fc_windows_rows_for(s->windows, fc_memory_bytes());
    for (int64_t i = 0; i < s->plan->n_runs; i++) {
        fc_train_config *const config = &s->plan->run[i].config;
        const fc_train_config *const first = &s->plan->run[0].config;
        if (config->mix_buffer_rows == 0) config->mix_buffer_rows = rows;
        if (config->mix_buffer_rows != first->mix_buffer_rows)
            return fc_fail(err, FC_USAGE,
                           "%s: mix-buffer-rows is %" PRId64 " in run %s and %" PRId64
                           " in another: runs from one stream share its windows",
                           s->from->recipe, config->mix_buffer_rows, s->plan->run[i].name,
                           first->mix_buffer_rows);
    }
    return FC_OK;
}

static fc_status check_runs(sweep *s, fc_err *err)
{
    for (int64_t i = 0; i < s->plan->n_runs; i++) {
        const fc_planned_run *const run = &s->plan->run[i];
        fc_feed *feed = NULL;
        FC_TRY(open_feed(&feed, s, run, err));
        fc_err why;
        fc_status status = fc_run_check(s->dir[i], s->be, feed, &run->config, &why);
        if (status != FC_OK)
            status = fc_fail(err, status, "%s: run %s: %s", s->from->recipe, run->name,
                             why.text);
        else
            s->outcome[i].n_bytes = fc_sweep_run_bytes(&run->config, &feed->info);
        fc_feed_close(feed);
        FC_TRY(status);
        FC_TRY(fc_sweep_outcome_load(&s->outcome[i], s->dir[i], err));
    }
    return FC_OK;
}

/* --- training ----------------------------------------------------------------------------- */

/* The next runs that are trained side by side; 0: none is left. */
static int64_t choose_group(const sweep *s)
{
    const double budget = (double)fc_memory_bytes() / 2;
    int64_t n = 0, n_max = s->options->at_once;
    double n_bytes = 0;
    if (s->windows == NULL && n_max == 0) n_max = 1; /* nothing to share */
    for (int64_t i = 0; i < s->plan->n_runs; i++) {
        if (s->outcome[i].state != FC_SWEEP_PENDING) continue;
        n_bytes += s->outcome[i].n_bytes;
        const bool is_full = n_max > 0 ? n == n_max : n > 0 && n_bytes > budget;
        if (is_full) break;
        s->of_group[n++] = i;
    }
    return n;
}

static fc_status write_table(const sweep *s, fc_err *err)
{
    return fc_sweep_table_write(s->plan, s->outcome, s->options->out, err);
}

/* A run has ended: its manifest, the table so far. */
static fc_status record(void *ctx, int64_t k, fc_err *err)
{
    sweep *const s = ctx;
    const int64_t i = s->of_group[k];
    const fc_sweep_run *const run = &s->group[k];
    fc_sweep_outcome *const outcome = &s->outcome[i];
    fc_stage_result result = {0};
    outcome->state = run->failure == FC_OK ? FC_SWEEP_FINISHED : FC_SWEEP_FAILED;
    outcome->result = run->result;
    if (run->failure != FC_OK) {
        (void)snprintf(outcome->why, sizeof outcome->why, "%s", run->why.text);
        return write_table(s, err);
    }
    json_t *const entry = fc_entry_begin(s->cli, "train", s->be);
    FC_TRY(fc_train_record(entry, json_deep_copy(s->inputs), &s->plan->run[i].config,
                           s->dir[i], &run->result, &result, err));
    json_decref(result.object);
    return write_table(s, err);
}

static fc_status train_group(sweep *s, int64_t n, fc_err *err)
{
    fc_status status = FC_OK;
    for (int64_t k = 0; k < n; k++) {
        const int64_t i = s->of_group[k];
        s->group[k] = (fc_sweep_run){.dir = s->dir[i], .config = &s->plan->run[i].config};
    }
    for (int64_t k = 0; k < n && status == FC_OK; k++)
        status = open_feed(&s->group[k].feed, s, &s->plan->run[s->of_group[k]], err);
    if (status == FC_OK)
        return fc_sweep_train(s->group, n, s->windows, s->be, record, s, err);
    for (int64_t k = 0; k < n; k++) fc_feed_close(s->group[k].feed);
    return status;
}

static fc_status train_all(sweep *s, fc_err *err)
{
    FC_TRY(fc_dir_make(s->options->out, err));
    FC_TRY(write_table(s, err));
    for (int64_t n; (n = choose_group(s)) > 0;) {
        const fc_status status = train_group(s, n, err);
        if (status != FC_CANCELLED) {
            FC_TRY(status);
            continue;
        }
        return fc_fail(
            err, FC_CANCELLED,
            "stopped; every run has a checkpoint in '%s', the same command goes "
            "on from there",
            s->options->out);
    }
    return FC_OK;
}

/* --- all of it ---------------------------------------------------------------------------- */

static fc_status say_failures(const sweep *s, fc_err *err)
{
    int64_t n = 0, first = -1;
    for (int64_t i = 0; i < s->plan->n_runs; i++) {
        if (s->outcome[i].state != FC_SWEEP_FAILED) continue;
        if (n++ == 0) first = i;
    }
    if (n == 0) return FC_OK;
    return fc_fail(err, FC_MISMATCH, "%" PRId64 " of %" PRId64 " runs failed: %s: %s", n,
                   s->plan->n_runs, s->plan->run[first].name, s->outcome[first].why);
}

static void close_all(sweep *s)
{
    fc_windows_close(s->windows);
    fc_backend_close(s->be);
    fc_backend_close(s->model_be);
    json_decref(s->inputs);
    fc_free(s->hook);
    fc_free(s->outcome);
    fc_free(s->dir);
    fc_free(s->group);
    fc_free(s->of_group);
}

fc_status fc_stage_sweep(const fc_cli *cli, const fc_sweep_options *options,
                         const fc_sweep_from *from, fc_sweep_plan *plan, json_t **object,
                         fc_strbuf *text, fc_err *err)
{
    sweep s = {.cli = cli, .options = options, .from = from, .plan = plan};
    fc_status status;
    s.inputs = json_array();
    FC_TRY_GOTO(fc_cli_backend(cli, &s.be, err));
    FC_TRY_GOTO(open_source(&s, err));
    FC_TRY_GOTO(plan_runs(&s, err));
    FC_TRY_GOTO(settle_windows(&s, err));
    FC_TRY_GOTO(check_runs(&s, err));
    FC_TRY_GOTO(train_all(&s, err));
    FC_TRY_GOTO(fc_sweep_table_text(text, plan, s.outcome, err));
    FC_TRY_GOTO(fc_sweep_table_json(object, plan, s.outcome, err));
    status = say_failures(&s, err);
done:
    close_all(&s);
    return status;
}
