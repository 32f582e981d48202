/* sweep_plan.c - expands the lists of a sweep's recipe into runs.
 *
 *   grid    axes: keys of train that the grid has not, then the grid's; each with its values
 *   run     one value of each axis: an odometer whose last wheel turns fastest
 *   name    the values of axes that vary somewhere in the sweep
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/sweep_plan.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/recipe_yaml.h"
#include "sae/recipes.h"

enum { MAX_AXES = 64, MAX_VALUES = 256, MAX_GRIDS = 64 };

typedef struct axis {
    const char *key;
    const fc_sweep_setting *value[MAX_VALUES];
    int n, at;
} axis;

typedef struct grid {
    const char *section;
    axis axis[MAX_AXES];
    int n_axes;
} grid;

typedef struct grids {
    grid *grid;
    int n;
    const char *path; /* of the recipe */
} grids;

static const char recipe_key[] = "recipe";

/* --- reading ------------------------------------------------------------------------------ */

typedef struct loading {
    fc_sweep_plan *plan;
    fc_args *args;
} loading;

static bool is_grid(const char *section)
{
    return strncmp(section, "grid", 4) == 0;
}

static fc_status keep(fc_sweep_plan *plan, const char **copy, const char *text,
                      fc_err *err)
{
    char *made = NULL;
    FC_TRY(fc_arena_strdup(&plan->text, &made, text, (int64_t)strlen(text), err));
    *copy = made;
    return FC_OK;
}

static fc_status keep_setting(fc_sweep_plan *plan, const fc_sweep_setting *given,
                              fc_err *err)
{
    fc_sweep_setting kept = {0};
    FC_TRY(fc_grow(&plan->setting, &plan->settings_capacity, plan->n_settings + 1,
                   sizeof *plan->setting, "the settings of a sweep", err));
    FC_TRY(keep(plan, &kept.section, given->section, err));
    FC_TRY(keep(plan, &kept.key, given->key, err));
    FC_TRY(keep(plan, &kept.value, given->value, err));
    FC_TRY(keep(plan, &kept.where, given->where, err));
    plan->setting[plan->n_settings++] = kept;
    return FC_OK;
}

static fc_status take(void *ctx, const char *section, const char *key, const char *value,
                      const char *where, fc_err *err)
{
    static const char *const others[] = {"eval", "study", "report"};
    const loading *const l = ctx;
    const fc_sweep_setting setting = {section, key, value, where};
    if (section[0] == '\0' || strcmp(section, "collect") == 0)
        return fc_args_set(l->args, section, key, value, where, err);
    if (strcmp(section, "train") == 0 || is_grid(section))
        return keep_setting(l->plan, &setting, err);
    for (size_t i = 0; i < FC_LEN(others); i++)
        if (strcmp(section, others[i]) == 0) return FC_OK;
    return fc_fail(
        err, FC_USAGE,
        "%s: unknown section '%s', expected collect, train, or grid and a name", where,
        section);
}

fc_status fc_sweep_plan_load(fc_sweep_plan *plan, fc_args *args, const char *path,
                             fc_err *err)
{
    loading l = {plan, args};
    return fc_recipe_load(path, take, &l, err);
}

/* --- axes --------------------------------------------------------------------------------- */

/* max-length in files is also max_length. */
static bool is_same_key(const char *a, const char *b)
{
    for (; *a != '\0' && *b != '\0'; a++, b++)
        if (*a != *b && !((*a == '_' || *a == '-') && (*b == '_' || *b == '-')))
            return false;
    return *a == *b;
}

static axis *find_axis(grid *g, const char *key)
{
    for (int i = 0; i < g->n_axes; i++)
        if (is_same_key(g->axis[i].key, key)) return &g->axis[i];
    return NULL;
}

static fc_status add_value(grid *g, const fc_sweep_setting *s, fc_err *err)
{
    axis *a = find_axis(g, s->key);
    if (a == NULL) {
        if (g->n_axes == MAX_AXES)
            return fc_fail(err, FC_USAGE, "%s: more than %d keys", s->where, MAX_AXES);
        a = &g->axis[g->n_axes++];
        *a = (axis){.key = s->key};
    }
    if (a->n == MAX_VALUES)
        return fc_fail(err, FC_USAGE, "%s: more than %d values", s->where, MAX_VALUES);
    a->value[a->n++] = s;
    return FC_OK;
}

static bool has_key(const fc_sweep_plan *plan, const char *section, const char *key)
{
    for (int64_t i = 0; i < plan->n_settings; i++)
        if (strcmp(plan->setting[i].section, section) == 0 &&
            is_same_key(plan->setting[i].key, key))
            return true;
    return false;
}

static fc_status fill_grid(grid *g, const fc_sweep_plan *plan, fc_err *err)
{
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < plan->n_settings; i++) {
            const fc_sweep_setting *const s = &plan->setting[i];
            const char *const section = pass == 0 ? "train" : g->section;
            if (strcmp(s->section, section) != 0) continue;
            if (pass == 0 && has_key(plan, g->section, s->key)) continue;
            FC_TRY(add_value(g, s, err));
        }
    return FC_OK;
}

/* The sections that are grids; without one, train alone. */
static fc_status find_grids(grids *all, const fc_sweep_plan *plan, fc_err *err)
{
    const char *section[MAX_GRIDS];
    int n = 0;
    for (int64_t i = 0; i < plan->n_settings; i++) {
        const fc_sweep_setting *const s = &plan->setting[i];
        int k = 0;
        while (k < n && strcmp(section[k], s->section) != 0) k++;
        if (!is_grid(s->section) || k < n) continue;
        if (n == MAX_GRIDS)
            return fc_fail(err, FC_USAGE, "%s: more than %d grids", s->where, MAX_GRIDS);
        section[n++] = s->section;
    }
    if (n == 0) section[n++] = "";
    FC_TRY(fc_alloc(&all->grid, n, sizeof *all->grid, "the grids of a sweep", err));
    all->n = n;
    for (int k = 0; k < n; k++) {
        all->grid[k].section = section[k];
        FC_TRY(fill_grid(&all->grid[k], plan, err));
    }
    return FC_OK;
}

/* Whether a key has not the same one value in all grids. */
static bool varies(const grids *all, const char *key)
{
    const char *only = NULL;
    for (int k = 0; k < all->n; k++) {
        const axis *const a = find_axis(&all->grid[k], key);
        if (a == NULL || a->n > 1) return true;
        if (only != NULL && strcmp(only, a->value[0]->value) != 0) return true;
        only = a->value[0]->value;
    }
    return false;
}

/* --- configurations ----------------------------------------------------------------------- */

static fc_status set_field(fc_train_config *config, const char *key, const char *value,
                           const char *where, fc_err *err)
{
    int64_t n;
    const fc_field *const fields = fc_train_fields(&n);
    const fc_field *const field = fc_fields_find(fields, n, key);
    const char *names[256];
    if (field != NULL) return fc_field_set(field, config, value, where, err);
    const int64_t n_names = fc_min(n, (int64_t)FC_LEN(names));
    for (int64_t i = 0; i < n_names; i++) names[i] = fields[i].name;
    const char *const nearest = fc_nearest_name(key, names, n_names);
    return fc_fail(err, FC_USAGE, "%s: unknown key%s%s%s", where,
                   nearest != NULL ? "; did you mean '" : "",
                   nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
}

static fc_status set_from_recipe(void *ctx, const char *section, const char *key,
                                 const char *value, const char *where, fc_err *err)
{
    if (strcmp(section, "train") != 0) return FC_OK;
    return set_field(ctx, key, value, where, err);
}

static fc_status begin_with_recipe(fc_train_config *config, const fc_sweep_setting *s,
                                   fc_err *err)
{
    const char *const text = fc_recipe_text(s->value);
    if (text != NULL)
        return fc_recipe_parse(text, strlen(text), s->value, set_from_recipe, config,
                               err);
    return fc_fail(err, FC_USAGE, "%s is '%s', expected a built-in recipe: %s", s->where,
                   s->value, fc_recipe_names());
}

static fc_status configure(fc_train_config *config, const grid *g, fc_err *err)
{
    fc_train_defaults(config);
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < g->n_axes; i++) {
            const fc_sweep_setting *const s = g->axis[i].value[g->axis[i].at];
            const bool is_recipe = is_same_key(s->key, recipe_key);
            if (is_recipe != (pass == 0)) continue;
            FC_TRY(is_recipe ? begin_with_recipe(config, s, err)
                             : set_field(config, s->key, s->value, s->where, err));
        }
    return FC_OK;
}

/* --- names -------------------------------------------------------------------------------- */

static fc_status add_part(fc_planned_run *run, const char *key, const char *value,
                          fc_err *err)
{
    const size_t n = strlen(run->name);
    const int n_added = snprintf(run->name + n, sizeof run->name - n, "%s%s%s",
                                 n > 0 ? "_" : "", key, value);
    if (n_added >= (int)(sizeof run->name - n))
        return fc_fail(err, FC_USAGE,
                       "the name of a run is too long: '%s..': fewer options should vary",
                       run->name);
    for (char *c = run->name + n; *c != '\0'; c++)
        if (*c == '/' || (unsigned char)*c <= ' ') *c = '-';
    return FC_OK;
}

/* What a value is called in names and tables: arch and recipe speak for themselves. */
static const char *key_in_name(const char *key)
{
    return strcmp(key, "arch") == 0 || is_same_key(key, recipe_key) ? "" : key;
}

static fc_status name_run(fc_planned_run *run, const grids *all, const grid *g,
                          const char *hook, fc_err *err)
{
    run->varies = json_object();
    int failures = run->varies == NULL;
    if (hook != NULL) {
        FC_TRY(add_part(run, "", hook, err));
        failures |= json_object_set_new(run->varies, "hook", json_string(hook));
    }
    for (int i = 0; i < g->n_axes; i++) {
        const axis *const a = &g->axis[i];
        const char *const value = a->value[a->at]->value;
        if (!varies(all, a->key)) continue;
        FC_TRY(add_part(run, key_in_name(a->key), value, err));
        failures |= json_object_set_new(run->varies, a->key, json_string(value));
    }
    if (run->name[0] == '\0') FC_TRY(add_part(run, "run", "", err));
    if (failures == 0) return FC_OK;
    return fc_fail(err, FC_FORMAT,
                   "%s: the name of a run is not UTF-8 (or there is no memory)",
                   run->name);
}

/* --- runs --------------------------------------------------------------------------------- */

static bool turn(grid *g)
{
    for (int i = g->n_axes - 1; i >= 0; i--) {
        if (++g->axis[i].at < g->axis[i].n) return true;
        g->axis[i].at = 0;
    }
    return false;
}

static fc_status add_run(fc_sweep_plan *plan, const grids *all, const grid *g, int hook,
                         const char *hook_name, fc_err *err)
{
    const char *const path = all->path;
    fc_err why;
    if (plan->n_runs == FC_SWEEP_MAX_RUNS)
        return fc_fail(err, FC_USAGE, "%s: more than %d runs", path, FC_SWEEP_MAX_RUNS);
    FC_TRY(fc_grow(&plan->run, &plan->runs_capacity, plan->n_runs + 1, sizeof *plan->run,
                   "the runs of a sweep", err));
    fc_planned_run *const run = &plan->run[plan->n_runs++];
    *run = (fc_planned_run){.hook = hook};
    FC_TRY(configure(&run->config, g, err));
    FC_TRY(name_run(run, all, g, hook_name, err));
    if (fc_train_check(&run->config, &why) != FC_OK)
        return fc_fail(err, why.status, "%s: run %s: %s", path, run->name, why.text);
    for (int64_t i = 0; i < plan->n_runs - 1; i++)
        if (strcmp(plan->run[i].name, run->name) == 0)
            return fc_fail(err, FC_USAGE, "%s: two runs are the same: %s", path,
                           run->name);
    return FC_OK;
}

fc_status fc_sweep_plan_runs(fc_sweep_plan *plan, const char *const *hooks, int n_hooks,
                             const char *path, fc_err *err)
{
    grids all = {.path = path};
    fc_status status = FC_OK;
    FC_TRY_GOTO(find_grids(&all, plan, err));
    for (int hook = 0; hook < n_hooks; hook++)
        for (int k = 0; k < all.n; k++) {
            do {
                FC_TRY_GOTO(add_run(plan, &all, &all.grid[k], hook,
                                    n_hooks > 1 ? hooks[hook] : NULL, err));
            } while (turn(&all.grid[k]));
        }
done:
    fc_free(all.grid);
    return status;
}

void fc_sweep_plan_free(fc_sweep_plan *plan)
{
    for (int64_t i = 0; i < plan->n_runs; i++) json_decref(plan->run[i].varies);
    fc_arena_free(&plan->text);
    fc_free(plan->setting);
    fc_free(plan->run);
    *plan = (fc_sweep_plan){0};
}
