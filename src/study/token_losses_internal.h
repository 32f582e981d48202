/* token_losses_internal.h - what each token lost in each run, and the tokens that lost most.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_TOKEN_LOSSES_INTERNAL_H
#define FC_STUDY_TOKEN_LOSSES_INTERNAL_H

#include "study/eval.h"

typedef struct fc_token_loss {
    int64_t at;    /* of the row's token in id */
    bool has_next; /* else it predicts nothing, and nll means nothing */
    float nll[FC_EVAL_RUNS], kl[FC_EVAL_RUNS];
} fc_token_loss;

typedef struct fc_token_losses {
    int32_t
        *id; /* [n_ids] all tokens that went through the model, sequence after sequence */
    int64_t *begin;      /* [n_seqs + 1] of the sequences in id */
    fc_token_loss *loss; /* [n] rows, in order */
    int64_t n_ids, n_seqs, n;
    int64_t id_capacity, seq_capacity, capacity;
} fc_token_losses;

void fc_token_losses_deinit(fc_token_losses *losses);

/* The tokens of a batch, before its losses, whose `at` then begins at the returned place. */
fc_status fc_token_losses_batch(fc_token_losses *losses, const fc_text_batch *batch,
                                int64_t *at, fc_err *err);
fc_status fc_token_losses_add(fc_token_losses *losses, const fc_token_loss *loss,
                              fc_err *err);

/* Means over rows, and the distribution of differences, into the result. */
fc_status fc_token_losses_sum(const fc_token_losses *losses, fc_eval_result *result,
                              fc_err *err);

/* The `n` predictions that the SAE makes worse by most, worst first, each with what stands before:
 * [{"delta", "nll_original", "nll_sae", "before", "token", "next", "sequence", "position"}, ...] */
fc_status fc_token_losses_worst(const fc_token_losses *losses,
                                const fc_tokenizer *tokenizer, int64_t n, json_t **list,
                                fc_err *err);

#endif
