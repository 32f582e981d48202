/* sweep.c - steps several trainings in turn until all have ended.
 *
 * A run goes on until its next batch would have to be waited for, so that its weights stay in the
 * cache for a whole window. With windows, waiting is for the window that the hindmost run needs: a
 * window is overwritten only when all are past it, so one that waited for a later window would wait
 * for ever.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/sweep.h"

#include "base/alloc.h"
#include "base/log.h"

typedef struct sweep {
    fc_sweep_run *runs;
    fc_training **training; /* [n] NULL: ended */
    int64_t n, n_open;
    fc_windows *windows;
    fc_sweep_fn *on_end;
    void *ctx;
    fc_progress progress;
    int64_t n_steps; /* done, by all */
} sweep;

double fc_sweep_run_bytes(const fc_train_config *config, const fc_feed_info *info)
{
    enum { COPIES = 4 }; /* weights, two moments; a mean of weights, or rounded ones */
    const double d_sae = config->d_sae > 0
                             ? (double)config->d_sae
                             : (double)config->expansion * (double)info->d_in;
    const double width = (double)(info->d_in + info->d_out);
    const double batch = (double)config->batch_size;
    return d_sae * width * COPIES * sizeof(float) + /* matrices */
           d_sae * batch * 2 * sizeof(float) +      /* features of a batch */
           batch * width * COPIES * sizeof(float);  /* rows */
}

static fc_status end_run(sweep *s, int64_t i, fc_err *err)
{
    fc_training_close(s->training[i]);
    s->training[i] = NULL;
    s->n_open--;
    return s->on_end(s->ctx, i, err);
}

static fc_status finish_run(sweep *s, int64_t i, fc_err *err)
{
    FC_TRY(fc_training_finish(s->training[i], &s->runs[i].result, err));
    return end_run(s, i, err);
}

/* One that diverged ends; any other failure is that of the sweep. */
static fc_status step_run(sweep *s, int64_t i, fc_err *err)
{
    fc_sweep_run *const run = &s->runs[i];
    const fc_status status = fc_training_step(s->training[i], &run->why);
    if (status == FC_OK) {
        s->n_steps++;
        return FC_OK;
    }
    if (status != FC_MISMATCH) return fc_fail(err, status, "%s", run->why.text);
    run->failure = status;
    fc_log(FC_LOG_WARN, "%s: %s", run->dir, run->why.text);
    return end_run(s, i, err);
}

static fc_status drain_run(sweep *s, int64_t i, bool *has_moved, fc_err *err)
{
    while (s->training[i] != NULL) {
        if (fc_training_is_done(s->training[i])) {
            FC_TRY(finish_run(s, i, err));
        } else {
            if (!fc_training_is_ready(s->training[i])) return FC_OK;
            FC_TRY(step_run(s, i, err));
        }
        *has_moved = true;
        fc_progress_set(&s->progress, (double)s->n_steps);
    }
    return FC_OK;
}

static fc_status loop(sweep *s, fc_err *err)
{
    while (s->n_open > 0) {
        bool has_moved = false;
        for (int64_t i = 0; i < s->n; i++) FC_TRY(drain_run(s, i, &has_moved, err));
        if (!has_moved && s->windows != NULL)
            FC_TRY(fc_windows_wait_first(s->windows, err));
    }
    return FC_OK;
}

/* After Ctrl-C: also those that were not at work. */
static fc_status save_all(const sweep *s, fc_err *err)
{
    for (int64_t i = 0; i < s->n; i++)
        if (s->training[i] != NULL) FC_TRY(fc_training_checkpoint(s->training[i], err));
    return FC_OK;
}

static fc_status open_all(sweep *s, fc_backend *be, fc_err *err)
{
    int64_t total = 0;
    for (int64_t i = 0; i < s->n; i++) {
        fc_sweep_run *const run = &s->runs[i];
        fc_feed *const feed = run->feed;
        run->feed = NULL;
        FC_TRY(fc_training_open(&s->training[i], run->config, feed, be, run->dir, true,
                                err));
        s->n_open++;
        fc_training_hide_progress(s->training[i]);
        s->n_steps += fc_training_steps_done(s->training[i]);
        total += fc_training_steps(s->training[i]);
    }
    s->progress = fc_progress_begin("sweep", "steps", (double)s->n_steps, (double)total);
    return FC_OK;
}

fc_status fc_sweep_train(fc_sweep_run *runs, int64_t n, fc_windows *windows,
                         fc_backend *be, fc_sweep_fn *on_end, void *ctx, fc_err *err)
{
    sweep s = {.runs = runs, .n = n, .windows = windows, .on_end = on_end, .ctx = ctx};
    bool has_progress = false;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&s.training, n, sizeof *s.training, "the runs of a sweep", err));
    FC_TRY_GOTO(open_all(&s, be, err));
    has_progress = true;
    status = loop(&s, err);
    if (status == FC_CANCELLED) {
        FC_TRY_GOTO(save_all(&s, err));
        status = FC_CANCELLED;
    }
done:
    if (has_progress) fc_progress_end(&s.progress);
    for (int64_t i = 0; i < n; i++) {
        if (s.training != NULL) fc_training_close(s.training[i]);
        fc_feed_close(runs[i].feed);
        runs[i].feed = NULL;
    }
    fc_free(s.training);
    return status;
}
