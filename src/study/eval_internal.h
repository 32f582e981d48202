/* eval_internal.h - an evaluation while it runs, and what is left of it for eval.json.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_EVAL_INTERNAL_H
#define FC_STUDY_EVAL_INTERNAL_H

#include "study/eval.h"
#include "study/reconstruction_internal.h"
#include "study/splice.h"
#include "study/token_losses_internal.h"

typedef struct fc_evaluation {
    const fc_eval_config *config;
    const fc_sae *sae;
    const fc_eval_source *source;
    fc_backend *be;
    fc_eval_result *result;

    /* where */
    fc_hook_point in, out; /* the SAE's input, and the tensor that is replaced */
    int64_t layer;         /* from which the runs differ */
    fc_runner *runner;

    /* the batch, [batch.n, width] each */
    fc_text_batch batch;
    int64_t *row;    /* [n_rows] of the batch that are replaced and counted */
    int64_t *prompt; /* [n_rows] sequences of them, over the whole text */
    int64_t n_rows;
    float *residual; /* entering `layer` */
    float *x, *t,
        *y; /* input, target and what takes its place: [n_rows, width] in the end */
    float *h[FC_EVAL_RUNS];                      /* after the final norm */
    float *nll[FC_EVAL_RUNS], *kl[FC_EVAL_RUNS]; /* [batch.n] */
    int32_t *next; /* [batch.n] token; 0 where none follows */

    /* logits of n_block rows */
    int64_t n_block;
    float *original, *other;

    float *mean;       /* [d_out] */
    fc_moments target; /* to find it */
    float *no_bias;    /* [d_out] zeros */
    fc_splice *splice;

    /* what is left */
    fc_core_metrics *core;
    fc_reconstruction normalised;
    fc_token_losses losses;
    int64_t n_batches;
} fc_evaluation;

/* Runs over the text. On failure all is released. */
fc_status fc_evaluation_run(fc_evaluation *e, fc_err *err);
void fc_evaluation_deinit(fc_evaluation *e);

/* eval.json from it. */
fc_status fc_eval_json(const fc_evaluation *e, json_t **eval, fc_err *err);

#endif
