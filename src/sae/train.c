/* train.c - the training loop: a feed in, an SAE out, the same bytes whatever happens between.
 *
 *   for step = done .. T-1:   epoch = step / B, batch = step % B   (B batches an epoch)
 *       x, y = feed           normalised, in an order fixed by (seed, epoch, shuffle)
 *       forward               features, losses
 *       update                gradients, projection, clipping, Adam
 *       maxima, log, checkpoint, Ctrl-C
 *
 * All of that depends on the step count and on what a checkpoint holds, never on the clock, so
 * a run that was stopped or killed ends with the same weights and the same log.
 *
 * Dead features. A maximum is kept over the running epoch and over the one before; both together
 * are what a feature is judged by, so from the second epoch on it had at least one whole epoch
 * to fire in. At the end of an epoch that is exactly this epoch. During the first, fewer
 * activations were seen and the count is too high.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/train.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "sae/checkpoint.h"
#include "sae/feed.h"
#include "sae/init.h"
#include "sae/resample.h"
#include "sae/run_log.h"
#include "sae/run_recipe.h"
#include "sae/schedule.h"

struct fc_training {
    fc_train_config config; /* d_sae and batch_size resolved */
    char run_dir[FC_PATH_MAX];
    fc_backend *be;
    fc_feed *feed;
    fc_sae *sae;
    fc_step *step;
    fc_run_log *log;
    fc_train_state state;
    fc_resample_draw *draw;       /* [batch_size] */
    double *middle;               /* [2, d_out] scratch: the start of b_dec, a mean */
    int64_t n_batches;            /* an epoch */
    int64_t n_steps;              /* in all */
    double begin_s, checkpoint_s; /* clock: start, last checkpoint */
    int64_t checkpoint_step;      /* steps done at the last checkpoint */
    fc_progress progress;
    bool has_progress;
};

typedef struct fc_training training;

/* --- beginning ---------------------------------------------------------------------------- */

/* Sizes that depend on the data. */
static fc_status resolve(training *t, fc_err *err)
{
    fc_train_config *c = &t->config;
    const int64_t rows = t->feed->info.n_rows;
    const fc_arch *const arch = fc_arch_at(c->arch);
    if (arch->is_transcoder != t->feed->info.has_target)
        return fc_fail(err, FC_USAGE,
                       arch->is_transcoder
                           ? "arch is %s, but there is no target: a transcoder needs "
                             "--target, or without stores --target-hook"
                           : "arch is %s, which reconstructs its input, but a target is "
                             "given: that is for transcoders",
                       arch->name);
    FC_TRY(fc_train_resolve(c, t->feed->info.d_in, err));
    c->batch_size = fc_min(c->batch_size, fc_max(rows, 1));
    t->n_batches = fc_mixer_batches(rows, c->batch_size, c->drop_last);
    t->n_steps = t->n_batches * c->epochs;
    if (c->max_steps > 0) t->n_steps = fc_min(t->n_steps, c->max_steps);
    if (t->n_steps < 1)
        return fc_fail(err, FC_USAGE, "there are no activations to train on");
    if (t->n_steps > FC_CHECKPOINT_MAX_STEP)
        return fc_fail(err, FC_USAGE,
                       "%" PRId64
                       " steps in all, expected at most %d: larger batches or fewer "
                       "epochs",
                       t->n_steps, FC_CHECKPOINT_MAX_STEP);
    return FC_OK;
}

static int64_t buffer_rows(const fc_train_config *config)
{
    return config->shuffle == FC_SHUFFLE_FULL ? 0 : config->mix_buffer_rows;
}

static fc_status make_sae(training *t, fc_err *err)
{
    const fc_feed_info *info = &t->feed->info;
    FC_TRY(fc_sae_new(&t->sae, fc_arch_at(t->config.arch)->name, info->d_in, info->d_out,
                      t->config.d_sae, err));
    fc_sae *sae = t->sae;
    (void)snprintf(sae->model, sizeof sae->model, "%s", info->model);
    (void)snprintf(sae->hook, sizeof sae->hook, "%s", info->hook);
    sae->context_size = info->max_length;
    sae->is_b_dec_subtracted = t->config.apply_b_dec_to_input;
    const fc_feed_norm norm = {.kind = (fc_norm_kind)t->config.normalization,
                               .buffer_rows = buffer_rows(&t->config),
                               .run_dir = t->run_dir};
    FC_TRY(t->feed->ops->normalisers(t->feed, &norm, &sae->normaliser,
                                     &sae->target_normaliser, err));
    (void)snprintf(sae->target_hook, sizeof sae->target_hook, "%s", info->target_hook);
    fc_sae_init_weights(sae, &t->config, t->be);
    return fc_step_new(&t->step, &t->config, t->be, sae, false, err);
}

static fc_status make_state(training *t, fc_err *err)
{
    t->state.step = t->step;
    FC_TRY(fc_ema_init(&t->state.ema, t->step, err));
    FC_TRY(fc_alloc(&t->draw, t->config.batch_size, sizeof *t->draw, "rows", err));
    FC_TRY(fc_alloc(&t->middle, 2 * t->sae->d_out, sizeof *t->middle, "middle", err));
    FC_TRY(fc_alloc(&t->state.max_epoch, t->config.d_sae, sizeof(float), "maxima", err));
    return fc_alloc(&t->state.max_before, t->config.d_sae, sizeof(float), "maxima", err);
}

/* Takes up the newest checkpoint, if one is wanted and there; opens data and log at its place. */
static fc_status take_up(training *t, bool is_resume, fc_err *err)
{
    char *csv = NULL;
    size_t n_csv_bytes = 0;
    fc_status status;
    if (is_resume)
        FC_TRY_GOTO(fc_checkpoint_load(t->run_dir, &t->state, &csv, &n_csv_bytes, err));
    t->checkpoint_step = csv != NULL ? t->state.n_done : -1;
    if (csv != NULL)
        fc_log(FC_LOG_INFO, "going on from step %" PRId64 " of %" PRId64, t->state.n_done,
               t->n_steps);
    const fc_feed_order order = {.batch_size = t->config.batch_size,
                                 .seed = (uint64_t)t->config.seed,
                                 .drop_last = t->config.drop_last,
                                 .epoch = t->state.n_done / t->n_batches,
                                 .index = t->state.n_done % t->n_batches,
                                 .n_left = t->n_steps - t->state.n_done,
                                 .buffer_rows = buffer_rows(&t->config)};
    FC_TRY_GOTO(t->feed->ops->begin(t->feed, &order, &t->sae->normaliser,
                                    &t->sae->target_normaliser, err));
    status = fc_run_log_open(&t->log, t->run_dir, t->step->arch->losses, csv, n_csv_bytes,
                             csv ? t->state.n_done + 1 : 0, err);
done:
    fc_free(csv);
    return status;
}

/* --- one step ----------------------------------------------------------------------------- */

/* Maxima of the batch into those of the epoch; at its end the epoch becomes the one before. */
static void keep_maxima(training *t)
{
    fc_train_state *s = &t->state;
    const float *max = t->step->codes->firing.max;
    for (int64_t i = 0; i < t->config.d_sae; i++)
        if (max[i] > s->max_epoch[i]) s->max_epoch[i] = max[i];
    if (s->n_done % t->n_batches != 0) return;
    float *const finished = s->max_epoch;
    s->max_epoch = s->max_before;
    s->max_before = finished;
    memset(s->max_epoch, 0, (size_t)t->config.d_sae * sizeof(float));
}

static float max_since(const fc_train_state *s, int64_t i)
{
    return s->max_epoch[i] > s->max_before[i] ? s->max_epoch[i] : s->max_before[i];
}

static int64_t count_dead(const training *t)
{
    int64_t n = 0;
    for (int64_t i = 0; i < t->config.d_sae; i++)
        n += (double)max_since(&t->state, i) <= t->config.dead_threshold;
    return n;
}

/* Of the batch's targets about their mean, as mse counts; in the last steps, for the result. */
static double variance(training *t, const fc_fed_batch *batch)
{
    const int64_t d = t->feed->info.d_out;
    double *const mean = t->middle, sum = 0;
    if (t->state.n_done + FC_RECENT_STEPS < t->n_steps) return 0;
    memset(mean, 0, (size_t)d * sizeof *mean);
    for (int64_t i = 0; i < batch->n; i++)
        for (int64_t j = 0; j < d; j++) mean[j] += (double)batch->y[i * d + j];
    for (int64_t j = 0; j < d; j++) mean[j] /= (double)batch->n;
    for (int64_t i = 0; i < batch->n; i++)
        for (int64_t j = 0; j < d; j++) {
            const double centred = (double)batch->y[i * d + j] - mean[j];
            sum += centred * centred;
        }
    return sum / t->step->denominator;
}

static fc_status do_step(training *t, fc_err *err)
{
    fc_train_state *s = &t->state;
    fc_fed_batch batch;
    FC_TRY(t->feed->ops->next(t->feed, &batch, err));
    t->step->x = batch.x;
    t->step->y = batch.y;
    t->step->n = batch.n;
    if (s->n_done == 0)
        fc_sae_init_b_dec(t->sae, &t->config, batch.y, batch.n, t->middle);
    t->step->l1_coefficient = fc_schedule_l1(&t->config, s->n_done);
    t->step->l0_coefficient = fc_schedule_l0(&t->config, s->n_done);
    fc_step_forward(t->step);
    t->step->losses.variance = variance(t, &batch);
    const fc_losses *losses = &t->step->losses;
    if (!isfinite(losses->total))
        return fc_fail(err, FC_MISMATCH,
                       "training diverged: at step %" PRId64
                       " the loss is %g; a learning rate "
                       "below %g or --grad-clip-norm may help",
                       s->n_done, losses->total, t->config.lr);
    fc_step_update(t->step, fc_schedule_lr(&t->config, s->n_done, t->n_steps),
                   s->n_done + 1);
    fc_ema_update(&s->ema, t->step);
    (void)fc_resample(t->step, t->draw);

    s->recent[s->n_done % FC_RECENT_STEPS] = *losses;
    fc_losses_add(&s->window, losses);
    s->n_window++;
    s->n_done++;
    keep_maxima(t);
    return FC_OK;
}

/* --- log and checkpoints ------------------------------------------------------------------ */

static bool is_due(int64_t step, const fc_every *every, int64_t n_steps)
{
    return step % every->steps == 0 || step == n_steps;
}

static fc_status log_line(training *t, fc_err *err)
{
    fc_train_state *s = &t->state;
    const fc_losses mean = fc_losses_mean(s->window, s->n_window);
    const fc_run_line line = {.step = s->n_done,
                              .epoch = (double)s->n_done / (double)t->n_batches,
                              .losses = mean,
                              .n_dead = count_dead(t),
                              .lr =
                                  fc_schedule_lr(&t->config, s->n_done - 1, t->n_steps)};
    s->window = (fc_losses){0};
    s->n_window = 0;
    (void)snprintf(t->progress.note, sizeof t->progress.note,
                   "loss %.3e  l0 %.1f  dead %" PRId64, mean.total, mean.l0, line.n_dead);
    return fc_run_log_line(t->log, &line, err);
}

static fc_status log_maxima(training *t, fc_err *err)
{
    float *const max = t->step->dz_add; /* free between steps */
    for (int64_t i = 0; i < t->config.d_sae; i++) max[i] = max_since(&t->state, i);
    return fc_run_log_maxima(t->log, t->state.n_done, max, t->config.d_sae, err);
}

static fc_status save_checkpoint(training *t, fc_err *err)
{
    FC_TRY(fc_checkpoint_save(t->run_dir, &t->state, err));
    t->checkpoint_s = fc_clock_s();
    t->checkpoint_step = t->state.n_done;
    return FC_OK;
}

static bool is_checkpoint_due(const training *t)
{
    const fc_every *every = &t->config.checkpoint_every;
    if (every->steps > 0) return t->state.n_done % every->steps == 0;
    return fc_clock_s() - t->checkpoint_s >= every->seconds;
}

fc_status fc_training_checkpoint(fc_training *t, fc_err *err)
{
    return t->checkpoint_step == t->state.n_done ? FC_OK : save_checkpoint(t, err);
}

/* Ctrl-C: where the run stands is kept. */
static fc_status stop(training *t, fc_err *err)
{
    FC_TRY(fc_training_checkpoint(t, err));
    return fc_fail(err, FC_CANCELLED,
                   "stopped at step %" PRId64 " of %" PRId64
                   " with a checkpoint in '%s': --resume goes on from there",
                   t->state.n_done, t->n_steps, t->run_dir);
}

static fc_status after_step(training *t, fc_err *err)
{
    const int64_t done = t->state.n_done;
    if (is_due(done, &t->config.log_every, t->n_steps)) FC_TRY(log_line(t, err));
    if (is_due(done, &t->config.histogram_every, t->n_steps)) FC_TRY(log_maxima(t, err));
    if (done == t->n_steps || is_checkpoint_due(t)) FC_TRY(save_checkpoint(t, err));
    const bool is_cancelled = fc_cancel_requested() && done < t->n_steps;
    if (t->has_progress) fc_progress_set(&t->progress, (double)done);
    return is_cancelled ? stop(t, err) : FC_OK;
}

/* --- end ---------------------------------------------------------------------------------- */

fc_status fc_training_finish(fc_training *t, fc_train_result *result, fc_err *err)
{
    char dir[FC_PATH_MAX];
    const fc_train_state *s = &t->state;
    FC_TRY(fc_path_join(dir, t->run_dir, "sae", err));
    fc_ema_use(&s->ema, t->step);
    fc_step_finish(t->step);
    FC_TRY(fc_sae_save(t->sae, dir, err));
    const int64_t n = fc_min(s->n_done, FC_RECENT_STEPS);
    fc_losses sum = {0};
    for (int64_t i = 0; i < n; i++) fc_losses_add(&sum, &s->recent[i]);
    const fc_losses mean = fc_losses_mean(sum, n);
    *result = (fc_train_result){.steps = s->n_done,
                                .n_dead = count_dead(t),
                                .mse = mean.mse,
                                .l1 = mean.l1,
                                .l0 = mean.l0,
                                .total = mean.total,
                                .explained_variance = 1 - mean.mse / mean.variance,
                                .seconds = fc_clock_s() - t->begin_s};
    return FC_OK;
}

void fc_training_close(fc_training *t)
{
    if (t == NULL) return;
    if (t->has_progress) fc_progress_end(&t->progress);
    fc_feed_close(t->feed); /* it reads the normalisers of the SAE */
    fc_run_log_close(t->log);
    fc_step_free(t->step);
    fc_sae_free(t->sae);
    fc_free(t->state.max_epoch);
    fc_free(t->state.max_before);
    fc_ema_deinit(&t->state.ema);
    fc_free(t->draw);
    fc_free(t->middle);
    fc_free(t);
}

/* --- the loop, a step at a time ----------------------------------------------------------- */

static fc_status begin(training *t, const char *run_dir, bool is_resume,
                       fc_train_config *asked, fc_err *err)
{
    FC_TRY(fc_path_join(t->run_dir, NULL, run_dir, err));
    FC_TRY(fc_run_settle(run_dir, t->be, t->feed, fc_memory_bytes(), asked, err));
    t->config = *asked;
    FC_TRY(resolve(t, err));
    FC_TRY(fc_run_recipe(run_dir, asked, t->feed, is_resume, t->state.recipe_hash, err));
    FC_TRY(make_sae(t, err));
    FC_TRY(make_state(t, err));
    FC_TRY(take_up(t, is_resume, err));
    t->progress =
        fc_progress_begin("train", "steps", (double)t->state.n_done, (double)t->n_steps);
    t->has_progress = true;
    t->checkpoint_s = fc_clock_s();
    return FC_OK;
}

fc_status fc_training_open(fc_training **opened, const fc_train_config *config,
                           fc_feed *feed, fc_backend *be, const char *run_dir,
                           bool is_resume, fc_err *err)
{
    fc_train_config asked = *config;
    training *t = NULL;
    fc_status status = fc_alloc(&t, 1, sizeof *t, "a training run", err);
    if (status != FC_OK) {
        fc_feed_close(feed);
        return status;
    }
    t->feed = feed;
    t->be = be;
    t->begin_s = fc_clock_s();
    FC_TRY_GOTO(fc_train_check(config, err));
    FC_TRY_GOTO(begin(t, run_dir, is_resume, &asked, err));
    *opened = t;
    t = NULL;
done:
    fc_training_close(t);
    return status;
}

int64_t fc_training_steps_done(const fc_training *t)
{
    return t->state.n_done;
}

int64_t fc_training_steps(const fc_training *t)
{
    return t->n_steps;
}

void fc_training_hide_progress(fc_training *t)
{
    if (t->has_progress) fc_progress_end(&t->progress);
    t->has_progress = false;
}

bool fc_training_is_done(const fc_training *t)
{
    return t->state.n_done >= t->n_steps;
}

bool fc_training_is_ready(const fc_training *t)
{
    return t->feed->ops->is_ready == NULL || t->feed->ops->is_ready(t->feed);
}

fc_status fc_training_step(fc_training *t, fc_err *err)
{
    const fc_status status = do_step(t, err);
    if (status == FC_CANCELLED) return stop(t, err); /* while waiting for the batch */
    return status == FC_OK ? after_step(t, err) : status;
}

fc_status fc_train_feed(const fc_train_config *config, fc_feed *feed, fc_backend *be,
                        const char *out_dir, bool is_resume, fc_train_result *result,
                        fc_err *err)
{
    training *t = NULL;
    fc_status status;
    FC_TRY(fc_training_open(&t, config, feed, be, out_dir, is_resume, err));
    while (!fc_training_is_done(t)) FC_TRY_GOTO(fc_training_step(t, err));
    status = fc_training_finish(t, result, err);
done:
    fc_training_close(t);
    return status;
}

fc_status fc_train(const fc_train_config *config, const char *store_dir, fc_backend *be,
                   const char *out_dir, bool is_resume, fc_train_result *result,
                   fc_err *err)
{
    fc_feed *feed = NULL;
    FC_TRY(fc_train_check(config, err)); /* before the store is read */
    FC_TRY(fc_feed_of_store(&feed, store_dir, NULL, err));
    return fc_train_feed(config, feed, be, out_dir, is_resume, result, err);
}
