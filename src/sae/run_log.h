/* run_log.h - what a training run says about itself: metrics.csv and TensorBoard events.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_RUN_LOG_H
#define FC_SAE_RUN_LOG_H

#include "base/err.h"
#include "sae/losses.h"

/* One line: means over the steps since the line before, and the state after step `step`. */
typedef struct fc_run_line {
    int64_t step;     /* steps done */
    double epoch;     /* epochs done */
    fc_losses losses; /* means over these steps */
    int64_t n_dead;
    double lr; /* of step `step`'s update */
} fc_run_line;

typedef struct fc_run_log fc_run_log;

/* losses: a bit 1 << fc_loss for each that is logged beside total, mse, l1 and l0.
 * Starts metrics.csv with its header line, or sets it back to `csv` [n_bytes] if that is not
 * NULL; opens a new events file. Both grow while the run goes on. first_step: the step to come when
 * the run is resumed, 0 when it begins. */
fc_status fc_run_log_open(fc_run_log **opened, const char *run_dir, unsigned losses,
                          const void *csv, size_t n_bytes, int64_t first_step,
                          fc_err *err);

/* One row of metrics.csv and the scalars loss/NAME, sparsity/l0, sparsity/dead, lr; both are in the files when it returns. */
fc_status fc_run_log_line(fc_run_log *log, const fc_run_line *line, fc_err *err);

/* Histogram features/max of max [d_sae]. */
fc_status fc_run_log_maxima(fc_run_log *log, int64_t step, const float *max,
                            int64_t d_sae, fc_err *err);
void fc_run_log_close(fc_run_log *log); /* accepts NULL */

#endif
