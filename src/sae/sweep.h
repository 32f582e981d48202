/* sweep.h - several runs side by side, a step of one, a step of another: several SAEs from one forward
 * pass.
 *
 * Each run takes all batches that are there, then the next run takes its own; when no run has one,
 * all wait for the window that the hindmost needs. What comes of a run is what it would be alone.
 *
 *   memory: that of all runs together
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_SWEEP_H
#define FC_SAE_SWEEP_H

#include "sae/feed.h"

typedef struct fc_sweep_run {
    const char *dir; /* run folder; begun, or gone on with */
    const fc_train_config *config;
    fc_feed *feed; /* belongs to the sweep from the call on; NULL after it */
    fc_train_result result;
    fc_status failure; /* FC_MISMATCH: the run diverged, */
    fc_err why;        /* and how */
} fc_sweep_run;

/* Called when a run has written its sae/ (or failed); run i is closed by then. */
typedef fc_status fc_sweep_fn(void *ctx, int64_t i, fc_err *err);

/* windows: those of the feeds, NULL for stores. A run that diverges ends alone. After Ctrl-C every run
 * has a checkpoint, and FC_CANCELLED is returned. */
fc_status fc_sweep_train(fc_sweep_run *runs, int64_t n, fc_windows *windows,
                         fc_backend *be, fc_sweep_fn *on_end, void *ctx, fc_err *err);

/* Bytes that training takes with such a configuration, roughly. */
double fc_sweep_run_bytes(const fc_train_config *config, const fc_feed_info *info);

#endif
