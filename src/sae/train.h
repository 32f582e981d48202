/* train.h - `facet train`: activations to an SAE, exactly repeatable, resumable at any step.
 *
 *   runs/NAME/recipe.json      the configuration, every number of it
 *   runs/NAME/events.*, metrics.csv   total, mse, l1, l0, dead, lr
 *   runs/NAME/checkpoints/     weights, moments, cursor: what --resume needs
 *   runs/NAME/sae/             the result, in SAELens' layout
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_TRAIN_H
#define FC_SAE_TRAIN_H

#include "acts/store.h"
#include "base/fields.h"
#include "model/model.h"
#include "sae/sae.h"

typedef enum fc_lr_schedule { FC_LR_COSINE, FC_LR_LINEAR, FC_LR_CONSTANT } fc_lr_schedule;
typedef enum fc_l1_form { FC_L1_SUM, FC_L1_MEAN, FC_L1_DECODER_NORM } fc_l1_form;
typedef enum fc_mse_form { FC_MSE_MEAN, FC_MSE_SUM } fc_mse_form;
typedef enum fc_l0_penalty { FC_L0_TANH, FC_L0_STEP, FC_L0_QUADRATIC } fc_l0_penalty;
typedef enum fc_b_dec_init {
    FC_B_DEC_ZERO, /* left as init has it */
    FC_B_DEC_MEAN,
    FC_B_DEC_MEDIAN
} fc_b_dec_init;
typedef enum fc_init { FC_INIT_LINEAR, FC_INIT_TIED_UNIT, FC_INIT_SAELENS } fc_init;

/* Ways to mix, see acts/mixer.h, acts/windows.h. auto: settled when a run begins, kept when it goes on. */
typedef enum fc_shuffle {
    FC_SHUFFLE_AUTO,
    FC_SHUFFLE_FULL,
    FC_SHUFFLE_BLOCKS,
    FC_SHUFFLE_WINDOWS /* of a stream, and its only one */
} fc_shuffle;
#define FC_SHUFFLE_CHOICES "auto|full|blocks|windows"

typedef struct fc_train_config {
    int arch;      /* row of fc_archs: "standard" */
    int64_t d_sae; /* 0: expansion * d_in */
    int64_t expansion;
    int64_t epochs, batch_size;
    int64_t max_steps; /* 0: epochs decide */
    double lr, lr_final_factor;
    int64_t lr_warm_up_steps;
    int lr_schedule; /* fc_lr_schedule, after the warm-up */
    double
        lr_decay_share; /* constant: the last share of the steps falls to the final factor */
    double l1_coefficient;
    int64_t l1_warm_up_steps;
    int l1_form;  /* fc_l1_form, over features; always mean over the batch */
    int mse_form; /* fc_mse_form, over dimensions; always mean over the batch */
    double adam_beta1, adam_beta2, adam_eps;
    double grad_clip_norm; /* 0: none */
    double ema_decay;      /* of the mean of weights that is saved at the end; 0: none */
    bool unit_norm_decoder;
    bool apply_b_dec_to_input;
    bool drop_last;
    int shuffle;             /* fc_shuffle */
    int64_t mix_buffer_rows; /* of blocks, of a window; 0: settled when a run begins */
    int normalization;       /* none | center_unit | center_scale */
    int init;       /* fc_init: linear is torch.nn.Linear's default, as the seed */
    int b_dec_init; /* fc_b_dec_init, from the first batch */

    double k; /* topk family */
    bool rescale_by_decoder_norm;
    double topk_threshold_lr;
    double aux_coefficient;
    int64_t aux_k;               /* 0: half the input's width; see fc_train_aux_k */
    int64_t dead_feature_window; /* steps */
    char matryoshka_widths[FC_FIELD_TEXT_MAX];
    bool matryoshka_aux;

    double jumprelu_threshold, jumprelu_bandwidth;
    int l0_penalty; /* fc_l0_penalty */
    double l0_coefficient;
    int64_t l0_warm_up_steps;
    double jumprelu_tanh_scale, target_l0, pre_act_coefficient;
    bool jumprelu_ste_to_input;

    int64_t resample_every; /* steps; 0: never */

    int precision; /* fc_precision_choice */
    double
        dead_threshold; /* 1e-6: a feature is dead when its maximum does not exceed it */
    fc_every checkpoint_every, log_every, histogram_every;
    int64_t seed;
} fc_train_config;

/* Dead features that reconstruct what is left over, at most. */
int64_t fc_train_aux_k(const fc_train_config *config, int64_t d_in);

void fc_train_defaults(fc_train_config *config); /* the recipe "seed" */
const fc_field *fc_train_fields(int64_t *n);
fc_status fc_train_check(const fc_train_config *config, fc_err *err);
/* What depends on the width of the input as well. Sets d_sae. */
fc_status fc_train_resolve(fc_train_config *config, int64_t d_in, fc_err *err);

typedef struct fc_train_result {
    int64_t steps, n_dead;     /* dead over the last epoch, by the running maxima */
    double mse, l1, l0, total; /* means over the last 100 steps */
    double
        explained_variance; /* 1 - mse / variance over the same steps; NaN: rows are equal */
    double seconds;
} fc_train_result;

/* Trains into out_dir. is_resume: goes on from the newest sound checkpoint (or starts when there is
 * none); the config must be the same. Without it an existing run is refused. FC_CANCELLED after
 * Ctrl-C, with a checkpoint written. */
fc_status fc_train(const fc_train_config *config, const char *store_dir, fc_backend *be,
                   const char *out_dir, bool is_resume, fc_train_result *result,
                   fc_err *err);

/* The same a step at a time, on any feed (feed.h), for who trains several SAEs side by side. The feed
 * belongs to the training from the call on, also where that fails; the backend is borrowed. */
typedef struct fc_training fc_training;
struct fc_feed;
fc_status fc_training_open(fc_training **opened, const fc_train_config *config,
                           struct fc_feed *feed, fc_backend *be, const char *run_dir,
                           bool is_resume, fc_err *err);
bool fc_training_is_done(const fc_training *training);
/* Whether the feed has a batch without waiting for it. */
bool fc_training_is_ready(const fc_training *training);
/* Not when it is done. FC_CANCELLED after Ctrl-C, with a checkpoint written. */
fc_status fc_training_step(fc_training *training, fc_err *err);
fc_status fc_training_finish(fc_training *training, fc_train_result *result,
                             fc_err *err);     /* writes sae/ */
void fc_training_close(fc_training *training); /* accepts NULL */

/* For who steps several: how far one is; no progress of its own; a checkpoint now. */
int64_t fc_training_steps_done(const fc_training *training);
int64_t fc_training_steps(const fc_training *training); /* in all */
void fc_training_hide_progress(fc_training *training);
fc_status fc_training_checkpoint(fc_training *training, fc_err *err);

/* All of it. The feed is closed. */
fc_status fc_train_feed(const fc_train_config *config, struct fc_feed *feed,
                        fc_backend *be, const char *out_dir, bool is_resume,
                        fc_train_result *result, fc_err *err);

#endif
