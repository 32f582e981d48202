/* stages.h - the steps of an experiment, each the same whether run alone or by `facet run`.
 *
 * A stage does its work through one library call, records itself in the folder's manifest.json and
 * returns its result as JSON and as a line for people.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_CLI_STAGES_H
#define FC_CLI_STAGES_H

#include "acts/harvest.h"
#include "cli/cli.h"
#include "report/report.h"
#include "sae/train.h"
#include "study/concept.h"
#include "study/eval.h"

typedef struct fc_stage_result {
    json_t *object; /* the caller releases it */
    char text[4096];
} fc_stage_result;

fc_status fc_stage_collect(const fc_cli *cli, const fc_collect_config *config,
                           const fc_arg_list *texts, const char *acts_dir,
                           fc_stage_result *result, fc_err *err);

typedef struct fc_train_from {    /* a store, or text through the model */
    const char *acts, *target;    /* stores; NULL or "": there is none */
    const fc_collect_config *how; /* without a store: model, hook, and how text is cut */
    const char *target_hook;      /* or "" */
    const fc_arg_list *texts;
} fc_train_from;

fc_status fc_stage_train(const fc_cli *cli, const fc_train_config *config,
                         const fc_train_from *from, const char *run_dir, bool is_resume,
                         fc_stage_result *result, fc_err *err);

/* How a run says what came of it, and the entry of its manifest, in run_dir. Takes over entry and
 * inputs. */
fc_status fc_train_record(json_t *entry, json_t *inputs, const fc_train_config *config,
                          const char *run_dir, const fc_train_result *r,
                          fc_stage_result *result, fc_err *err);

/* acts_dir: NULL or "" takes the store that the run was trained on. is_lazy: does nothing when
 * features.db was made from this very SAE with this config. */
fc_status fc_stage_study(const fc_cli *cli, const fc_study_config *config,
                         const char *acts_dir, const char *run_dir, bool is_lazy,
                         fc_stage_result *result, fc_err *err);

typedef struct fc_eval_from {
    const char *run;              /* folder of a run, or of an SAE alone */
    const char *acts;             /* or "": the store that the run was trained on */
    const char *hook;             /* or "": the SAE's own */
    const char *against;          /* another run to find the same features in, or "" */
    const fc_collect_config *how; /* of it: the model, and how text is cut */
    const fc_arg_list *texts;
} fc_eval_from;

/* Writes RUN/eval.json. is_lazy: does nothing when it was made from this very SAE and text with this
 * config. */
fc_status fc_stage_eval(const fc_cli *cli, const fc_eval_config *config,
                        const fc_eval_from *from, bool is_lazy, fc_stage_result *result,
                        fc_err *err);

/* RUN/sae, or RUN itself where it has none. */
fc_status fc_run_sae(char *path, const char *run_dir, fc_err *err);

typedef struct fc_find_from { /* folders */
    const char *run;
    const char *acts;  /* or "": the store that the run was trained on */
    const char *model; /* whose tokenizer; or "": the one that the store names */
} fc_find_from;

/* Looks for concepts anew; records nothing. The caller deinits the result. */
fc_status fc_stage_find(const fc_cli *cli, const fc_find_config *config,
                        const fc_concepts *concepts, const fc_find_from *from,
                        fc_find_result *result, fc_err *err);

fc_status fc_stage_report(const fc_cli *cli, const fc_report_config *config,
                          const char *run_dir, fc_stage_result *result, fc_err *err);

#endif
