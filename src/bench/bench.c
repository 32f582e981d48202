/* bench.c - the parts one after the other, and how a measured time becomes a row.
 *
 * Limits need the peaks of all threads, so those are always measured first, briefly when nobody
 * asked to see them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench.h"

#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/par.h"
#include "bench/bench_internal.h"
#include "bench/peak_internal.h"
#include "bench/rates.h"
#include "sae/init.h"

static double value_of(fc_bench_unit unit, double seconds)
{
    return unit.work > 0.0 ? unit.work / seconds : 1e3 * seconds;
}

fc_status fc_bench_measure(fc_bench_run *run, const char *name, fc_bench_unit unit,
                           fc_work_fn *fn, void *ctx, fc_bench_row **row, fc_err *err)
{
    fc_bench_result *const result = run->result;
    fc_sample_stats stats;
    FC_CHECK(result->n_rows < FC_BENCH_MAX_ROWS);
    (void)snprintf(run->progress.note, sizeof run->progress.note, "%s: %s",
                   fc_bench_part_names[run->part], name);
    fc_progress_set(&run->progress, (double)run->n_measured++);
    FC_TRY(fc_sampler_run(run->sampler, fn, ctx, &stats, err));
    const bool is_rate = unit.work > 0.0;
    const double a = value_of(unit, stats.min), b = value_of(unit, stats.max);
    fc_bench_row *const r = &result->row[result->n_rows++];
    *r = (fc_bench_row){.part = run->part,
                        .unit = unit.name,
                        .is_rate = is_rate,
                        .median = value_of(unit, stats.median),
                        .min = fmin(a, b),
                        .max = fmax(a, b),
                        .n_kept = stats.n_kept,
                        .n_dropped = stats.n_dropped,
                        .limit = (double)NAN,
                        .percent = (double)NAN};
    (void)snprintf(r->name, sizeof r->name, "%s", name);
    *row = r;
    return FC_OK;
}

void fc_bench_limit(fc_bench_row *row, fc_bench_unit unit, double seconds)
{
    row->limit = value_of(unit, seconds);
    row->percent =
        100.0 * (row->is_rate ? row->median / row->limit : row->limit / row->median);
}

static void add_detail(fc_bench_row *row, fc_bench_detail detail)
{
    FC_CHECK(row->n_details < FC_BENCH_MAX_DETAILS);
    row->detail[row->n_details++] = detail;
}

void fc_bench_detail_add(fc_bench_row *row, const char *name, double value,
                         const char *unit)
{
    add_detail(row, (fc_bench_detail){"", name, unit, value});
}

void fc_bench_limit_detail(fc_bench_row *row, const char *name, double value,
                           const char *unit)
{
    add_detail(row, (fc_bench_detail){"limit", name, unit, value});
}

fc_status fc_bench_sae(const fc_bench_run *run, double share, int64_t n_dead, int64_t n,
                       fc_sae **sae, float **x, fc_err *err)
{
    const fc_bench_config *const c = run->config;
    const fc_rates rates = {.n = c->d_sae, .n_dead = n_dead, .mean = share, .seed = 1};
    fc_train_config train;
    double *rate = NULL;
    fc_status status;
    fc_train_defaults(&train);
    *sae = NULL;
    *x = NULL;
    FC_TRY_GOTO(fc_alloc(&rate, c->d_sae, sizeof *rate, "firing rates", err));
    FC_TRY_GOTO(fc_rates_draw(rate, &rates, err));
    FC_TRY_GOTO(fc_alloc(x, n * c->d_in, sizeof **x, "random rows", err));
    fc_unit_rows(*x, run->be, n, c->d_in, rates.seed);
    FC_TRY_GOTO(fc_sae_new(sae, "standard", c->d_in, c->d_in, c->d_sae, err));
    (void)snprintf((*sae)->arch, sizeof(*sae)->arch, "standard");
    (*sae)->normaliser.d = c->d_in;
    fc_sae_init_weights(*sae, &train, run->be);
    for (int64_t j = 0; j < c->d_in; j++) (*sae)->b_dec[j] = 0.0f;
    status = fc_rates_set(*sae, run->be, *x, n, rate, rates.seed, err);
done:
    fc_free(rate);
    if (status == FC_OK) return FC_OK;
    fc_free(*x);
    fc_sae_free(*sae);
    *x = NULL;
    *sae = NULL;
    return status;
}

/* Rows that the parts asked for will have, the peaks also when they are only needed. */
static int64_t expected_rows(const fc_bench_run *run)
{
    const bool *const has = run->config->has_part;
    const int64_t n_peaks = run->loops.bf16 != NULL ? 7 : 6;
    const int64_t ways = run->n_threads > 1 ? 2 : 1; /* one thread, all threads */
    return n_peaks * (has[FC_BENCH_PEAKS] ? ways : 1) + 10 * has[FC_BENCH_TRAIN] +
           2 * has[FC_BENCH_COLLECT] + 2 * ways * has[FC_BENCH_STUDY] +
           ways * has[FC_BENCH_TOKENIZE];
}

static fc_status run_parts(fc_bench_run *run, fc_err *err)
{
    static fc_status (*const parts[FC_N_BENCH_PARTS])(fc_bench_run *, fc_err *) = {
        [FC_BENCH_PEAKS] = fc_bench_peaks,       [FC_BENCH_TRAIN] = fc_bench_train,
        [FC_BENCH_COLLECT] = fc_bench_collect,   [FC_BENCH_STUDY] = fc_bench_study,
        [FC_BENCH_TOKENIZE] = fc_bench_tokenize,
    };
    for (run->part = 0; run->part < FC_N_BENCH_PARTS; run->part++) {
        if (run->part != FC_BENCH_PEAKS && !run->config->has_part[run->part]) continue;
        const fc_status status = parts[run->part](run, err);
        fc_par_set_threads(run->n_threads);
        FC_TRY(status);
    }
    return FC_OK;
}

fc_status fc_bench(const fc_bench_config *config, fc_backend *be,
                   fc_bench_result **result, fc_err *err)
{
    fc_bench_run run = {.config = config,
                        .be = be,
                        .n_threads = fc_par_threads(),
                        .seconds = config->is_quick ? fmin(0.02, config->seconds)
                                                    : config->seconds,
                        .loops = fc_peak_loops_of(be)};
    fc_status status;
    if ((config->store[0] != '\0') != (config->sae[0] != '\0'))
        return fc_fail(err, FC_USAGE,
                       "%s is given alone, expected --store and --sae together",
                       config->store[0] ? "--store" : "--sae");
    FC_TRY_GOTO(fc_alloc(&run.result, 1, sizeof *run.result, "the figures", err));
    FC_TRY_GOTO(fc_sampler_new(&run.sampler, run.loops.f32, run.seconds, err));
    fc_machine_describe(&run.result->machine, be);
    run.result->machine.f32 = run.loops.f32->name;
    run.result->machine.bf16 =
        run.loops.bf16 != NULL ? run.loops.bf16->name : run.loops.f32->name;
    run.progress = fc_progress_begin("bench", "lines", 0.0, (double)expected_rows(&run));
    status = run_parts(&run, err);
    fc_progress_end(&run.progress);
done:
    fc_sampler_free(run.sampler);
    if (status == FC_OK)
        *result = run.result;
    else
        fc_free(run.result);
    return status;
}
