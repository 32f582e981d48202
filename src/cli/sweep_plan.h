/* sweep_plan.h - a sweep's recipe as the list of its runs.
 *
 *   out: runs/sweep
 *   text: [wiki.train.raw]
 *   collect: {model: gemma-3-1b-it, hook: [model.layers.5, model.layers.12], tokens: 3M}
 *   train:                         options of facet train; a list means: each of these
 *     epochs: 1
 *     expansion: [8, 16]
 *   grid topk:                     any number of grids; each goes over its own lists and train's
 *     arch: [topk, batchtopk]
 *     k: [32, 64]
 *   grid relu:
 *     l1-coefficient: [1e-4, 3e-4]
 *
 * A run for each combination of hook and listed values, in the order of the file, the last varying
 * fastest. Its name says what varies: model.layers.5_expansion8_topk_k32. `recipe` among the options
 * begins with a built-in recipe's.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_CLI_SWEEP_PLAN_H
#define FC_CLI_SWEEP_PLAN_H

#include <jansson.h>

#include "base/arena.h"
#include "cli/args.h"
#include "sae/train.h"

enum { FC_SWEEP_MAX_RUNS = 1024, FC_SWEEP_NAME = 200 };

typedef struct fc_sweep_setting { /* a value of the recipe's sections train and grid */
    const char *section, *key, *value, *where;
} fc_sweep_setting;

typedef struct fc_planned_run {
    char name[FC_SWEEP_NAME];
    int hook;
    fc_train_config config;
    json_t *varies; /* {key: value}: what tells it from the others */
} fc_planned_run;

typedef struct fc_sweep_plan {
    fc_arena text;
    fc_sweep_setting *setting;
    int64_t n_settings, settings_capacity;
    fc_planned_run *run;
    int64_t n_runs, runs_capacity;
} fc_sweep_plan;

/* Reads the recipe: sections train and grid into the plan, the others into args. */
fc_status fc_sweep_plan_load(fc_sweep_plan *plan, fc_args *args, const char *path,
                             fc_err *err);

/* Fills plan->run: hooks [n_hooks] are their names. Every configuration is checked. */
fc_status fc_sweep_plan_runs(fc_sweep_plan *plan, const char *const *hooks, int n_hooks,
                             const char *path, fc_err *err);

void fc_sweep_plan_free(fc_sweep_plan *plan); /* back to {0} */

#endif
