/* sampler.c - canaries, waiting times, and what remains of the samples.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "bench/sampler.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/log.h"
#include "base/par.h"
#include "bench/peak_internal.h"

enum { MAX_SAMPLES = 4096, WANTED = 5, WANTED_KEPT = 3 };
static const double CANARY_SHARE = 0.85, WAITED_SHARE = 0.01;

/* Waking a thread takes some microseconds, which no one else is to blame for. */
static const double WAKING_S = 30e-6;

struct fc_sampler {
    const fc_peak_products *canary;
    int64_t n_rounds; /* of the canary, in one chunk */
    double seconds;
    double best[FC_PAR_MAX_THREADS + 1]; /* fastest canary by number of threads */
    fc_sample sample[MAX_SAMPLES];
};

/* --- the canary --------------------------------------------------------------------------- */

static void burst_chunk(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const fc_sampler *const s = ctx;
    for (int64_t i = begin; i < end; i++) (void)s->canary->run(s->n_rounds);
}

/* The first burst wakes the threads. */
static double canary_rate(fc_sampler *s)
{
    enum { CHUNKS = 4, BURSTS = 2 }; /* chunks of a thread */
    const int n_threads = fc_par_threads();
    const int64_t n_chunks = (int64_t)n_threads * CHUNKS;
    double seconds = (double)INFINITY;
    for (int i = 0; i < BURSTS; i++) {
        const double begin_s = fc_clock_s();
        fc_par_for(n_chunks, 1, burst_chunk, s);
        seconds = fmin(seconds, fc_clock_s() - begin_s);
    }
    const double flops = (double)(n_chunks * s->n_rounds * s->canary->flops);
    const double rate = flops / fmax(seconds, 1e-9);
    s->best[n_threads] = fmax(s->best[n_threads], rate);
    return rate;
}

/* Makes a chunk take about 50 us. */
static void size_canary(fc_sampler *s)
{
    for (s->n_rounds = 256; s->n_rounds < 1 << 24; s->n_rounds *= 2) {
        const double begin_s = fc_clock_s();
        (void)s->canary->run(s->n_rounds);
        if (fc_clock_s() - begin_s > 35e-6) break;
    }
}

/* --- waiting ------------------------------------------------------------------------------ */

/* Seconds that all threads of this process together were ready to run and did not: the second
 * number of /proc/self/task/ID/schedstat. 0 where there is no such file. */
static double waited_s(void)
{
    double nanoseconds = 0.0;
    DIR *const tasks = opendir("/proc/self/task");
    if (tasks == NULL) return 0.0;
    for (const struct dirent *task = readdir(tasks); task != NULL; task = readdir(tasks))
    {
        char path[64], line[128], *rest = line;
        if (task->d_name[0] == '.') continue;
        (void)snprintf(path, sizeof path, "/proc/self/task/%.20s/schedstat",
                       task->d_name);
        FILE *const file = fopen(path, "r");
        if (file == NULL) continue;
        if (fgets(line, sizeof line, file) != NULL) {
            (void)strtoull(line, &rest, 10); /* NOLINT(cert-err33-c): time on a core */
            nanoseconds += (double)strtoull(rest, NULL, 10);
        }
        (void)fclose(file); /* NOLINT(cert-err33-c): it was only read */
    }
    (void)closedir(tasks);
    return 1e-9 * nanoseconds;
}

/* --- samples ------------------------------------------------------------------------------ */

static bool is_good(const fc_sample *sample, double best_canary)
{
    return sample->canary >= CANARY_SHARE * best_canary && sample->waited <= WAITED_SHARE;
}

static int by_seconds(const void *a, const void *b)
{
    const double x = ((const fc_sample *)a)->seconds, y = ((const fc_sample *)b)->seconds;
    return (x > y) - (x < y);
}

static int64_t count_good(const fc_sample *samples, int64_t n, double best_canary)
{
    int64_t n_good = 0;
    for (int64_t i = 0; i < n; i++) n_good += is_good(&samples[i], best_canary);
    return n_good;
}

fc_sample_stats fc_samples_sum_up(fc_sample *samples, int64_t n, double best_canary)
{
    FC_ASSERT(n >= 1);
    const int64_t n_good = count_good(samples, n, best_canary);
    const bool is_all = n_good == 0;
    int64_t n_used = 0;
    for (int64_t i = 0; i < n; i++)
        if (is_all || is_good(&samples[i], best_canary)) samples[n_used++] = samples[i];
    qsort(samples, (size_t)n_used, sizeof *samples, by_seconds);
    const double low = samples[(n_used - 1) / 2].seconds,
                 high = samples[n_used / 2].seconds;
    return (fc_sample_stats){.median = 0.5 * (low + high),
                             .min = samples[0].seconds,
                             .max = samples[n_used - 1].seconds,
                             .n_kept = n_good,
                             .n_dropped = n - n_good};
}

fc_status fc_sampler_new(fc_sampler **created, const struct fc_peak_products *canary,
                         double seconds, fc_err *err)
{
    fc_sampler *s;
    FC_TRY(fc_alloc(&s, 1, sizeof *s, "samples", err));
    s->canary = canary;
    s->seconds = seconds;
    size_canary(s);
    *created = s;
    return FC_OK;
}

void fc_sampler_free(fc_sampler *sampler)
{
    fc_free(sampler);
}

void fc_sampler_set_seconds(fc_sampler *sampler, double seconds)
{
    sampler->seconds = seconds;
}

static bool wants_more(const fc_sampler *s, int64_t n, double elapsed_s)
{
    if (n == 0 || elapsed_s < s->seconds) return n < MAX_SAMPLES;
    if (n >= MAX_SAMPLES || elapsed_s > 3 * s->seconds) return false;
    return n < WANTED ||
           count_good(s->sample, n, s->best[fc_par_threads()]) < WANTED_KEPT;
}

static fc_status take(fc_sample *sample, fc_work_fn *fn, void *ctx, fc_err *err)
{
    const double waited_before_s = waited_s(), begin_s = fc_clock_s();
    double seconds = -1.0;
    FC_TRY(fn(ctx, &seconds, err));
    const double elapsed_s = fmax(fc_clock_s() - begin_s, 1e-9);
    sample->seconds = seconds > 0.0 ? seconds : elapsed_s;
    sample->waited = (waited_s() - waited_before_s - WAKING_S) / elapsed_s;
    return FC_OK;
}

fc_status fc_sampler_run(fc_sampler *s, fc_work_fn *fn, void *ctx, fc_sample_stats *stats,
                         fc_err *err)
{
    double warm_up_s = -1.0;
    FC_TRY(fn(ctx, &warm_up_s, err));
    double before = canary_rate(s);
    const double begin_s = fc_clock_s();
    int64_t n = 0;
    while (wants_more(s, n, fc_clock_s() - begin_s)) {
        if (fc_cancel_requested()) return fc_fail(err, FC_CANCELLED, "stopped");
        fc_sample *const sample = &s->sample[n];
        FC_TRY(take(sample, fn, ctx, err));
        const double after = canary_rate(s);
        sample->canary = fmin(before, after);
        before = after;
        n++;
    }
    *stats = fc_samples_sum_up(s->sample, n, s->best[fc_par_threads()]);
    return FC_OK;
}
