/* sampler.h - times a piece of work many times and leaves out the samples that others spoilt.
 *
 *   canary | work | canary | work | canary ...
 *
 * On a shared machine a core may run at half its speed for seconds, because another tenant has the
 * other half, and no clock shows it. So between samples all threads do the same short burst
 * of multiply-adds, the canary. A sample is dropped when
 *   - the canary before or after it was slower than 85 % of the fastest seen, or
 *   - threads of ours waited for a core for more than 1 % of it (schedstat; where the system has it).
 * Dropped samples are counted. When none is left, all are used, and n_kept is 0.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_BENCH_SAMPLER_H
#define FC_BENCH_SAMPLER_H

#include "base/err.h"

struct fc_peak_products;

/* Work of one sample. *seconds: left alone, the whole call counts; else what the work itself says. */
typedef fc_status fc_work_fn(void *ctx, double *seconds, fc_err *err);

typedef struct fc_sample {
    double seconds;
    double canary; /* multiply-adds a second, of the slower one */
    double waited; /* share of the sample */
} fc_sample;

typedef struct fc_sample_stats { /* seconds, over the samples kept */
    double median, min, max;
    int64_t n_kept, n_dropped;
} fc_sample_stats;

/* The rule above; sorts the samples.  n >= 1 */
fc_sample_stats fc_samples_sum_up(fc_sample *samples, int64_t n, double best_canary);

typedef struct fc_sampler fc_sampler;

/* seconds: time for one piece of work, warm-up not counted; up to three times as much while fewer
 * than three samples are good. */
fc_status fc_sampler_new(fc_sampler **created, const struct fc_peak_products *canary,
                         double seconds, fc_err *err);
void fc_sampler_free(fc_sampler *sampler);
void fc_sampler_set_seconds(fc_sampler *sampler, double seconds);

/* Runs fn once to warm up and then in samples, with the current number of threads. FC_CANCELLED
 * after Ctrl-C; a failure of fn is passed on. */
fc_status fc_sampler_run(fc_sampler *sampler, fc_work_fn *fn, void *ctx,
                         fc_sample_stats *stats, fc_err *err);

#endif
