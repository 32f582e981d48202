/* step.h - one training step: losses, gradients in closed form, Adam.
 *
 *   feed -> x [n, d_in], y [n, d_out] -> fc_step_forward: losses, delta -> fc_step_update: weights
 *
 * The loss has one or two terms that decode features, the squared error and, with some architectures,
 * an auxiliary one (of dead features, of a gate). With f the entries of a term, delta = d loss / d
 * of what it decodes [n, d_out], summed over the terms:
 *
 *   dW_dec_i = sum_t f_it delta_t (+ w_dec_scale_i W_dec_i)
 *   df_it    = W_dec_i . delta_t, at the entries alone;  dz = the architecture's backward(df)
 *   dW_enc_i = sum_t dz_it x_t (+ dz_all_i sum_t x_t)      db_enc_i = sum_t dz_it (+ n dz_all_i)
 *   db_dec   = sum_t delta_t            (- sum_i db_enc_i W_enc_i when b_dec is subtracted from x)
 *   dW_skip  = sum_t delta_t x_t^T
 *
 * A term may have levels: features below level_end[l] and not below the one before see delta[l].
 *
 * Each feature's rows of both matrices are updated as soon as their gradient is there, so that no
 * gradient of a matrix is ever in memory. Only clipping needs them all first.
 *
 * Rest. A feature that is silent has a gradient of 0, and Adam goes on moving its rows by the first
 * moment, which fades by beta1 a step. When that has become 0 (float32 underflows after a known
 * number of silent steps) the rows are left alone: their weights could not change any more. The
 * second moment would have gone on fading; what it missed is made up for when the feature moves
 * again, by one factor.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_STEP_H
#define FC_SAE_STEP_H

#include "sae/arch.h"
#include "sae/losses.h"

enum { FC_MAX_LEVELS = 16 };

/* A parameter while it is trained. w lies in the SAE; g, m, v belong to the fc_step. */
typedef struct fc_param {
    const char *name;
    int64_t rows, cols, n; /* n = rows * cols */
    float *w, *m, *v; /* weights, Adam's first and second moment; all NULL: has none */
    float *g;         /* gradient; NULL for W_enc, W_dec unless has_gradients */
} fc_param;

/* One term of the loss; see above. */
typedef struct fc_term {
    const fc_lists *lists; /* NULL: not in this step */
    bool is_second; /* its entries are those of the first term, its values lists.second */
    int n_levels;
    float *delta;      /* [n_levels, batch_size, d_out] */
    uint16_t *rounded; /* the same in bf16, NULL in float32 */
} fc_term;

/* Everything one training step works on. Made once; a step allocates nothing. */
typedef struct fc_step {
    const fc_arch *arch;
    fc_train_config config;
    fc_backend *be;                 /* borrowed */
    fc_precision precision;         /* of the products */
    fc_sae *sae;                    /* borrowed: the weights */
    fc_param param[FC_SAE_TENSORS]; /* by fc_sae_tensor_id */
    int n_params;       /* entries of param, those that are not there included */
    bool has_gradients; /* gradients of matrices are kept in memory: clipping, tests */

    /* set by the caller before fc_step_forward */
    const float *x; /* [n, d_in] normalised batch, borrowed until the update is done */
    const float *y; /* [n, d_out] what is to be reconstructed; NULL: x */
    int64_t
        n; /* 1 .. batch_size: a short last batch is a smaller one, not a padded one */
    double l1_coefficient, l0_coefficient; /* of this step */

    /* set by fc_step_forward */
    fc_codes *codes; /* features, and how often they fire */
    fc_losses losses;
    double
        level_mse[FC_MAX_LEVELS]; /* squared error of each level, the last is all of it */
    fc_term main, aux;
    double denominator; /* of squared errors: n, or n d_out */

    int n_levels; /* 1: all features see the same delta */
    int64_t level_end[FC_MAX_LEVELS];

    /* for arch->loss; see above. [d_sae] each */
    float *dz_add, *dz_all, *w_dec_scale;
    bool has_w_dec_scale, has_dz_all;
    struct fc_auxk *auxk; /* scratch of the auxiliary term (auxk.h), or NULL */

    bool has_norms; /* norm: ||W_dec_i||, [d_sae] */
    float *norm;
    float *
        row_weight; /* [batch_size] for the architecture's own use from loss to backward */

    /* State beside weights and moments. */
    int64_t n_done; /* steps done */
    int64_t *
        fired; /* [d_sae] number of the step (1, 2, ...) in which it last fired, 0 never */
    int64_t *moved;        /* [d_sae] the same for its last gradient other than 0 */
    double topk_threshold; /* batchtopk: mean of the smallest activation, fading */

    uint8_t *
        is_dead; /* [d_sae] silent for more than dead_feature_window steps before this one */
    int64_t n_dead;

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

/* Step number k = n_done + 1: gradients, projection, clipping, Adam, unit rows, as configured. */
void fc_step_update(fc_step *step, double lr, int64_t k);

/* The same in three pieces, for who wants to see the gradients. Need has_gradients; param[].g is
 * filled by the first, projected and clipped by the second, which returns the norm of all of them
 * before clipping, and used by the third. */
void fc_step_gradients(fc_step *step);
double fc_step_clip(fc_step *step);
void fc_step_apply(fc_step *step, double lr, int64_t k);

/* After the last step: the SAE as it is to be used (batchtopk: its thresholds). */
void fc_step_finish(fc_step *step);

/* W_dec in the type that sparse products read, and delta of one level of a term. */
fc_mat fc_step_w_dec(const fc_step *step);
fc_mat fc_step_delta(const fc_step *step, const fc_term *term, int level);

/* What is to be reconstructed. */
static inline const float *fc_step_target(const fc_step *step)
{
    return step->y != NULL ? step->y : step->x;
}

#endif
