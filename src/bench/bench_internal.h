/* bench_internal.h - what the parts of `facet bench` share.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_BENCH_BENCH_INTERNAL_H
#define FC_BENCH_BENCH_INTERNAL_H

#include "base/log.h"
#include "bench/bench.h"
#include "bench/peaks.h"
#include "bench/sampler.h"
#include "sae/sae.h"

typedef struct fc_bench_run {
    const fc_bench_config *config;
    fc_backend *be;
    int n_threads;
    double seconds; /* for a row */
    fc_sampler *sampler;
    fc_peak_loops loops;
    fc_peaks peaks; /* of all threads */
    fc_bench_result *result;
    fc_bench_part part; /* that is running */
    fc_progress progress;
    int64_t n_measured; /* rows, the hidden ones included */
} fc_bench_run;

/* What a row's figures are: seconds of a sample as milliseconds (work 0), or work per second. */
typedef struct fc_bench_unit {
    const char *name; /* "ms", "GB/s" */
    double work;      /* of one sample, in the unit's numerator */
} fc_bench_unit;

/* Samples fn and adds a row. */
fc_status fc_bench_measure(fc_bench_run *run, const char *name, fc_bench_unit unit,
                           fc_work_fn *fn, void *ctx, fc_bench_row **row, fc_err *err);

/* seconds: the least that a sample could take. */
void fc_bench_limit(fc_bench_row *row, fc_bench_unit unit, double seconds);
void fc_bench_detail_add(fc_bench_row *row, const char *name, double value,
                         const char *unit);
void fc_bench_limit_detail(fc_bench_row *row, const char *name, double value,
                           const char *unit);

/* The parts. */
fc_status fc_bench_peaks(fc_bench_run *run, fc_err *err);
fc_status fc_bench_train(fc_bench_run *run, fc_err *err);
fc_status fc_bench_collect(fc_bench_run *run, fc_err *err);
fc_status fc_bench_study(fc_bench_run *run, fc_err *err);
fc_status fc_bench_tokenize(fc_bench_run *run, fc_err *err);

/* A random SAE of the configured shape, and rows on which its features fire as asked: x is
 * [n, d_in], freed with fc_free. */
fc_status fc_bench_sae(const fc_bench_run *run, double share, int64_t n_dead, int64_t n,
                       fc_sae **sae, float **x, fc_err *err);

#endif
