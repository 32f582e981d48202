/* eval.h - `facet eval`: how much of the model an SAE keeps.
 *
 * A text runs through the model four times: as it is; with the SAE's reconstruction in place of the
 * tensor at its hook (a transcoder: at its target's hook); with zeros there; with that tensor's mean.
 * What the runs share, up to the hook, is computed once.
 *
 *   cross-entropy    -log p(next token), in nats; rows that have a next token in their sequence
 *   divergence       KL(p original || p run), in nats; all rows
 *   loss recovered   (CE zero - CE SAE) / (CE zero - CE original)         SAEBench's ce_loss_score
 *
 * Rows are real tokens. <bos> and other special tokens keep their tensor in all four runs and are not
 * counted (FC_SPECIAL_KEEP); SAELens and SAEBench ablate them as well (FC_SPECIAL_ABLATE), which makes the
 * ablated runs worse and every score better; or they are rows like others (FC_SPECIAL_REPLACE).
 *
 * What needs no text (offline.h) follows where it is asked for.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_EVAL_H
#define FC_STUDY_EVAL_H

#include <jansson.h>

#include "acts/text_batch.h"
#include "base/fields.h"
#include "model/model.h"
#include "sae/sae.h"
#include "study/core_metrics.h"
#include "study/offline.h"
#include "study/quantiles.h"

typedef enum fc_eval_special {
    FC_SPECIAL_KEEP,
    FC_SPECIAL_ABLATE,
    FC_SPECIAL_REPLACE
} fc_eval_special;
#define FC_EVAL_SPECIAL_CHOICES "keep|ablate|replace"

typedef struct fc_eval_config {
    int64_t tokens;       /* rows wanted, in whole sequences; 0 = all there are */
    int64_t batch_tokens; /* tokens a forward pass */
    int special;          /* fc_eval_special */
    bool
        has_error_term; /* the SAE's error is added back: the run must end as the original */
    int64_t worst;      /* tokens listed that lose most */
    int precision;      /* fc_precision_choice */
    fc_offline_config offline; /* what is evaluated without text */
} fc_eval_config;

void fc_eval_defaults(fc_eval_config *config);
const fc_field *fc_eval_fields(int64_t *n);

/* What is evaluated on what; all borrowed. */
typedef struct fc_eval_source {
    const fc_model *model;
    fc_text_source text;
    const float *mean; /* [d_out] of the replaced tensor; NULL: taken from the text, in a
                              pass of its own */
    const char *name;  /* of the SAE: its folder */
    const json_t *sae_cfg;           /* its cfg.json, for eval.json; or NULL */
    const struct fc_eval_more *more; /* NULL: nothing without text */
} fc_eval_source;

/* For the evaluations that need no text (offline.h); each may be NULL. */
typedef struct fc_eval_more {
    fc_features_db *study; /* what study found of the SAE */
    const fc_sae *against; /* another one */
    fc_features_db *against_study;
    const char *against_name;
} fc_eval_more;

/* The runs. */
typedef enum fc_eval_run {
    FC_RUN_ORIGINAL,
    FC_RUN_SAE,
    FC_RUN_ZERO,
    FC_RUN_MEAN,
    FC_EVAL_RUNS
} fc_eval_run;

/* Changes of tokens' losses are counted in equal bins from -FC_DELTA_END to FC_DELTA_END nats; the first
 * and the last hold what lies beyond. */
enum { FC_DELTA_BINS = 60, FC_DELTA_END = 3 };

typedef struct fc_eval_result {
    int64_t n_sequences, n_rows, n_predictions;
    fc_precision precision; /* of the model */
    double cross_entropy[FC_EVAL_RUNS], divergence[FC_EVAL_RUNS];
    fc_quantiles delta; /* cross-entropy of a token with the SAE less that without */
    int64_t delta_bin[FC_DELTA_BINS];
    double number[FC_CORE_N]; /* of raw activations, as the model sees them */
    double mse, fvu;    /* of normalised ones, as the SAE sees them: those of training */
    double seconds;     /* of the text */
    fc_offline offline; /* {0} without fc_eval_source.more */
} fc_eval_result;
void fc_eval_result_deinit(fc_eval_result *result);

/* Share of what `ablated` loses that the SAE does not: of cross-entropy, and of divergence. */
double fc_eval_ce_score(const fc_eval_result *result, fc_eval_run ablated);
double fc_eval_kl_score(const fc_eval_result *result, fc_eval_run ablated);

/* *eval: the whole of eval.json, SAEBench's form (docs/FORMATS.md); the caller releases it. Memory:
 * the model's buffers and 8 more rows of d_model for each token of a batch, two blocks of logits of
 * up to 64 MB each, features of up to 256 MB, 48 bytes a row. FC_CANCELLED after Ctrl-C. */
fc_status fc_eval(const fc_eval_config *config, const fc_sae *sae,
                  const fc_eval_source *source, fc_backend *be, json_t **eval,
                  fc_eval_result *result, fc_err *err);

#endif
