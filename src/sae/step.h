/* step.h - one training step: losses, gradients in closed form, Adam.
 *
 *   mixer -> x [n, d_in] -> fc_step_forward: losses, delta -> fc_step_update: weights
 *
 *   y     = f^T W_dec + b_dec                      delta = d mse / d y      [n, d_in]
 *   dW_dec_i = sum_t f_it delta_t (+ w_dec_scale_i W_dec_i)
 *   dz_it = f_it > 0 ? W_dec_i . delta_t + dz_add_i : 0
 *   dW_enc_i = sum_t dz_it x_t        db_enc_i = sum_t dz_it
 *   db_dec = sum_t delta_t            (- sum_i db_enc_i W_enc_i when b_dec is subtracted from x)
 *
 * Each feature's rows of both matrices are updated as soon as their gradient is there, so that no
 * gradient of a matrix is ever in memory. Only clipping needs them all first.
 *
 * Rest. A feature that is silent has a gradient of 0, and Adam goes on moving its rows by the first
 * moment, which fades by beta1 a step. When that has become 0 (float32 underflows after a known
 * number of silent steps) the rows are left alone: their weights could not change any more. The
 * second moment would have gone on fading; what it missed is made up for when the feature fires
 * again, by one factor.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_STEP_H
#define FC_SAE_STEP_H

#include "sae/arch.h"

/* A parameter while it is trained. w lies in the SAE; g, m, v belong to the fc_step. */
typedef struct fc_param {
    const char *name;
    int64_t rows, cols, n; /* n = rows * cols */
    float *w, *m, *v;      /* weights, Adam's first and second moment */
    float *g;              /* gradient; NULL for a matrix unless has_gradients */
} fc_param;

typedef struct fc_losses { /* of one batch */
    double total, mse,
        l1;    /* total = mse + coefficient * l1 (+ what an architecture adds) */
    double l0; /* mean number of features above 0 for a row */
} fc_losses;

/* Everything one training step works on. Made once; a step allocates nothing. */
typedef struct fc_step {
    const fc_arch *arch;
    fc_train_config config;
    fc_backend *be;         /* borrowed */
    fc_precision precision; /* of the products */
    fc_sae *sae;            /* borrowed: the weights */
    fc_param param[FC_SAE_TENSORS];
    int n_params;
    bool has_gradients; /* gradients of matrices are kept in memory: clipping, tests */

    /* set by the caller before fc_step_forward */
    const float *x; /* [n, d_in] normalised batch, borrowed until the update is done */
    const float *y; /* [n, d_out] what is to be reconstructed; NULL: x */
    int64_t
        n; /* 1 .. batch_size: a short last batch is a smaller one, not a padded one */
    double l1_coefficient; /* of this step */

    /* set by fc_step_forward */
    fc_codes *codes; /* features, and how often they fire */
    fc_losses losses;
    float *delta; /* [n, d_in] */

    /* for arch->penalty; see above. [d_sae] each */
    float *dz_add, *w_dec_scale, *norm;
    bool has_w_dec_scale;

    /* Number of the step (1, 2, ...) in which a feature last fired, 0 = never. Part of the state. */
    int64_t *fired; /* [d_sae] */

    struct fc_step_scratch *scratch;
} fc_step;

/* Buffers, zeroed moments. `sae` and `be` are borrowed until fc_step_free. has_gradients: also
 * without clipping. */
fc_status fc_step_new(fc_step **created, const fc_train_config *config, fc_backend *be,
                      fc_sae *sae, bool has_gradients, fc_err *err);
void fc_step_free(fc_step *step);

/* Call when weights were changed from outside. */
void fc_step_weights_changed(fc_step *step);

/* Features, losses and delta of the batch x. */
void fc_step_forward(fc_step *step);

/* Step number k = 1, 2, ...: gradients, projection, clipping, Adam, unit rows, as configured. */
void fc_step_update(fc_step *step, double lr, int64_t k);

/* The same in three pieces, for who wants to see the gradients. Need has_gradients; param[].g is
 * filled by the first, projected and clipped by the second, which returns the norm of all of them
 * before clipping, and used by the third. */
void fc_step_gradients(fc_step *step);
double fc_step_clip(fc_step *step);
void fc_step_apply(fc_step *step, double lr, int64_t k);

#endif
