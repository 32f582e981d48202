/* checkpoint.h - the state of a training run on disk: to go on from it is to never have stopped.
 *
 *   checkpoints/step-00001234.safetensors     the newest two are kept
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_CHECKPOINT_H
#define FC_SAE_CHECKPOINT_H

#include "base/hash.h"
#include "sae/ema.h"

enum { FC_RECENT_STEPS = 100, FC_CHECKPOINT_MAX_STEP = 99999999 };

/* All that the next step depends on, and what the logs have not said yet. */
typedef struct fc_train_state {
    fc_step *step; /* borrowed: weights, moments, last firings */
    int64_t
        n_done; /* steps done: place in the data and in the schedules follow from it */

    /* Largest activation of each feature, [d_sae]: in the running epoch, and in the one before */
    float *max_epoch, *max_before;

    fc_ema ema; /* mean of the weights, where one is kept */

    /* Sums of the losses over the n_window steps since the last line of the log */
    fc_losses window;
    int64_t n_window;

    /* Losses of the last steps: those of step i (0, 1, ...) at i % FC_RECENT_STEPS */
    fc_losses recent[FC_RECENT_STEPS];

    char recipe_hash
        [FC_HASH_HEX]; /* of the configuration: checkpoints of another are refused */
} fc_train_state;

/* Writes the checkpoint of state->n_done, with a copy of the run's metrics.csv, then removes all
 * but the newest two. Killed at any point, the run has its earlier checkpoints or this one too. */
fc_status fc_checkpoint_save(const char *run_dir, const fc_train_state *state,
                             fc_err *err);

/* Fills the state from the newest sound checkpoint; *csv receives metrics.csv as it was then
 * (fc_free). Damaged ones are reported as warnings, passed over, and removed once a sound one is
 * found. No checkpoint: *csv stays NULL, the state is untouched. Only damaged ones: FC_FORMAT. */
fc_status fc_checkpoint_load(const char *run_dir, fc_train_state *state, char **csv,
                             size_t *n_csv_bytes, fc_err *err);

#endif
