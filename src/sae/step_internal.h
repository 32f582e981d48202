/* step_internal.h - what the files of a training step share: scratch memory of the workers.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_STEP_INTERNAL_H
#define FC_SAE_STEP_INTERNAL_H

#include "sae/step.h"

/* Features whose gradients are made together. Lists: their gradient of one matrix, 32 x 1152
 * floats, shares the second cache with a panel of the batch. Whole rows: as many as products like. */
enum { FC_STEP_LISTS = 32, FC_STEP_WHOLE = 112 };

typedef struct fc_step_worker {
    float *g;      /* [FC_STEP_WHOLE, widest of d_in, d_out] gradients */
    float *w;      /* [FC_STEP_WHOLE, d_out] gathered decoder rows */
    float *f, *dz; /* [FC_STEP_WHOLE, row] gathered features, gradients of features */
    float
        *df_aux; /* [FC_STEP_LISTS, row] gradients of the second term; NULL without one */
    int64_t *begin; /* [FC_STEP_WHOLE] lists of a block in dz */
} fc_step_worker;

typedef struct fc_step_scratch {
    fc_step_worker *worker;
    int n_workers;
    int64_t row;       /* of f and dz: batch_size, rounded up */
    double *column;    /* [widest] */
    float *x_sum;      /* [d_in] of the input over the batch, for dz_all */
    float *into_b_dec; /* [n_blocks, d_in] sum of db_enc_i W_enc_i over each block */
    int64_t n_blocks;  /* of this step: whole rows first, then lists */
    uint16_t *w_dec;   /* [d_sae, d_out] W_dec in bf16, NULL in float32 */
    uint16_t *x;       /* [batch_size, d_in] likewise */
    bool is_w_dec_fresh;
    fc_packed x_rows, delta_rows, delta_cols; /* x, delta [n, d]; delta^T [d_out, n] */
    int64_t rest_steps;                       /* silent steps until a first moment is 0 */
    uint8_t *is_moved;                        /* [d_sae] has a gradient in this step */
} fc_step_scratch;

static inline const fc_step_worker *fc_step_worker_of(const fc_step *step, int worker)
{
    FC_CHECK(worker < step->scratch->n_workers); /* threads added after fc_step_new */
    return &step->scratch->worker[worker];
}

/* The batch as the sparse products read it: in the type of the precision. */
fc_mat fc_step_x(const fc_step *step);

/* --- step_memory.c ------------------------------------------------------------------------ */

static inline bool fc_step_has(const fc_step *step, fc_sae_tensor_id id)
{
    return step->param[id].m != NULL;
}

/* W_enc and W_dec: a row for each feature, updated as soon as its gradient is there. */
static inline bool fc_step_is_by_feature(int id)
{
    return id == FC_W_ENC || id == FC_W_DEC;
}

/* --- optimizer.c -------------------------------------------------------------------------- */

typedef struct fc_row_update {
    fc_adam adam;
    bool is_projected; /* the gradients have been projected already */
} fc_row_update;

/* Updates neighbouring rows of a matrix, from one thread: feature first + i has the gradient
 * g + i * cols, i < n_rows. Those at rest are passed over. g is overwritten. */
void fc_optimizer_rows(fc_step *step, int param, int64_t first, int64_t n_rows, float *g,
                       const fc_row_update *update);

/* All but W_enc and W_dec; and the step counts as done for all features. */
void fc_step_apply_vectors(fc_step *step, const fc_adam *adam);

fc_adam fc_step_adam(const fc_step *step, double lr, int64_t k);

#endif
