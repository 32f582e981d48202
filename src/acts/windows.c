/* windows.c - a thread that runs the model and fills windows, two of them at any time.
 *
 *   thread   batch -> staged rows -> window n_filled, while needed > n_filled - 2; at the window's
 *            end n_filled + 1
 *   readers  windows n_begun - 2 .. n_filled - 1; those from `needed` on are kept
 *
 * These counters are guarded by one mutex. A batch is staged for all hooks before any of
 * it goes into a window: a hook that waited for space in the middle of a forward pass would keep the
 * hooks after it from finishing the window that others wait for.
 *
 * Where to begin is settled when the first window is asked for, by what all readers need. When that
 * is neither there nor comes next, the thread begins anew at it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "acts/windows.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "acts/store_internal.h"
#include "acts/windows_internal.h"
#include "base/alloc.h"
#include "base/cancel.h"
#include "base/log.h"

int64_t fc_windows_rows_of(const fc_windows *w, int64_t k)
{
    const int64_t begin = k % w->n_windows * w->window_rows;
    return fc_min(w->window_rows, w->n_rows - begin);
}

const uint8_t *fc_windows_row(const fc_windows *w, int hook, int64_t k, int64_t i)
{
    const fc_window_hook *const h = &w->hook[hook];
    return h->x[k % FC_WINDOW_SLOTS] + (size_t)i * h->row_bytes;
}

/* --- the thread --------------------------------------------------------------------------- */

static fc_status stage_rows(void *ctx, const fc_harvested *rows, fc_err *err)
{
    fc_windows *const w = ctx;
    const fc_window_hook *const h = &w->hook[rows->hook];
    const int64_t epoch_row = w->at % w->n_rows;
    const int64_t at = rows->first - epoch_row;
    FC_TRY(fc_rows_check_finite(fc_harvester_hook(w->harvester, rows->hook)->name,
                                rows->x, rows->row, rows->n, h->width, err));
    fc_from_f32(h->staged + (size_t)at * h->row_bytes, w->dtype, rows->x,
                rows->n * h->width);
    w->n_staged = at + rows->n;
    return FC_OK;
}

/* Until window k may be written; false: the thread is to end. */
static bool wait_for_space(fc_windows *w, int64_t k)
{
    pthread_mutex_lock(&w->mutex);
    while (!w->is_stopping && (w->needed <= k - FC_WINDOW_SLOTS || k > w->last))
        pthread_cond_wait(&w->has_space, &w->mutex);
    const bool is_stopping = w->is_stopping;
    if (!is_stopping) w->n_begun = k + 1;
    pthread_mutex_unlock(&w->mutex);
    return !is_stopping;
}

static void say_filled(fc_windows *w, int64_t k)
{
    pthread_mutex_lock(&w->mutex);
    w->n_filled = k + 1;
    pthread_cond_broadcast(&w->has_window);
    pthread_mutex_unlock(&w->mutex);
}

static void say_put(fc_windows *w)
{
    pthread_mutex_lock(&w->mutex);
    w->n_put = w->at;
    pthread_mutex_unlock(&w->mutex);
}

/* What is staged, into windows. */
static bool put_staged(fc_windows *w)
{
    for (int64_t done = 0; done < w->n_staged;) {
        const int64_t row = w->at % w->n_rows, i = row % w->window_rows;
        const int64_t k = w->at / w->n_rows * w->n_windows + row / w->window_rows;
        const int64_t n = fc_min(w->n_staged - done, fc_windows_rows_of(w, k) - i);
        if (i == 0 && !wait_for_space(w, k)) return false;
        for (int h = 0; h < w->n_hooks; h++) {
            const fc_window_hook *const hook = &w->hook[h];
            memcpy(hook->x[k % FC_WINDOW_SLOTS] + (size_t)i * hook->row_bytes,
                   hook->staged + (size_t)done * hook->row_bytes,
                   (size_t)n * hook->row_bytes);
        }
        w->at += n;
        done += n;
        say_put(w);
        if (i + n == fc_windows_rows_of(w, k)) say_filled(w, k);
    }
    return true;
}

/* From the row that comes next to the end of its epoch. *is_stopping: before that. */
static fc_status fill_epoch(fc_windows *w, bool *is_stopping, fc_err *err)
{
    const fc_harvest_sink sink = {.rows = stage_rows, .ctx = w};
    const int64_t epoch = w->at / w->n_rows;
    FC_TRY(fc_harvester_begin(w->harvester, w->at % w->n_rows, &sink, err));
    while (w->at / w->n_rows == epoch && !*is_stopping) {
        bool is_end = false;
        w->n_staged = 0;
        FC_TRY(fc_harvester_next(w->harvester, &is_end, err));
        if (w->n_staged == 0 && fc_cancel_requested())
            return fc_fail(err, FC_CANCELLED,
                           "stopped while the text was running through the model");
        if (w->n_staged == 0 && is_end)
            return fc_fail(err, FC_MISMATCH,
                           "the text has become shorter: row %" PRId64 " of %" PRId64
                           " is not there any more",
                           w->at % w->n_rows, w->n_rows);
        *is_stopping = !put_staged(w);
    }
    return FC_OK;
}

static void *run(void *ctx)
{
    fc_windows *const w = ctx;
    fc_err err = {0};
    fc_status status = FC_OK;
    bool is_stopping = false;
    while (status == FC_OK && !is_stopping) {
        const int64_t k = w->at / w->n_rows * w->n_windows;
        if (w->at % w->n_rows == 0 && !wait_for_space(w, k)) break;
        status = fill_epoch(w, &is_stopping, &err);
    }
    if (status == FC_OK) return NULL;
    pthread_mutex_lock(&w->mutex);
    w->status = status;
    w->err = err;
    pthread_cond_broadcast(&w->has_window);
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

static void stop_thread(fc_windows *w)
{
    if (!w->has_thread) return;
    pthread_mutex_lock(&w->mutex);
    w->is_stopping = true;
    pthread_cond_broadcast(&w->has_space);
    pthread_mutex_unlock(&w->mutex);
    pthread_join(w->thread, NULL);
    w->has_thread = false;
    w->is_stopping = false;
}

/* Signals are left to the main thread. */
static fc_status start_thread(fc_windows *w, int64_t k, fc_err *err)
{
    sigset_t all, before;
    w->first = w->n_begun = w->n_filled = k;
    w->at = k / w->n_windows * w->n_rows + k % w->n_windows * w->window_rows;
    w->status = FC_OK;
    FC_CHECK(sigfillset(&all) == 0);
    FC_CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    const int failure = pthread_create(&w->thread, NULL, run, w);
    FC_CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    errno = failure;
    if (failure != 0)
        return fc_fail_errno(err, "cannot start the thread that runs the model");
    w->has_thread = true;
    return FC_OK;
}

/* --- what is wanted ----------------------------------------------------------------------- */

static void set_wanted(fc_windows *w, int64_t needed, int64_t last)
{
    pthread_mutex_lock(&w->mutex);
    w->needed = needed;
    w->last = last;
    pthread_cond_signal(&w->has_space);
    pthread_mutex_unlock(&w->mutex);
}

/* Not overwritten, nor before the first. Under the mutex. */
static bool is_kept(const fc_windows *w, int64_t k)
{
    return k >= fc_max(w->first, w->n_begun - FC_WINDOW_SLOTS);
}

/* Whether window k is there or comes next. */
static bool is_there_or_next(fc_windows *w, int64_t k)
{
    pthread_mutex_lock(&w->mutex);
    const bool is_near = is_kept(w, k) && k <= w->n_filled;
    pthread_mutex_unlock(&w->mutex);
    return is_near;
}

static fc_status go_to(fc_windows *w, int64_t needed, int64_t last, fc_err *err)
{
    if (w->has_thread && !is_there_or_next(w, needed)) stop_thread(w);
    set_wanted(w, needed, last);
    return w->has_thread ? FC_OK : start_thread(w, needed, err);
}

fc_status fc_windows_want(fc_windows *w, fc_err *err)
{
    int64_t needed = INT64_MAX, last = 0;
    for (const fc_window_reader *r = w->readers; r != NULL; r = r->next) {
        if (r->needed > r->last) continue; /* through with all */
        needed = fc_min(needed, r->needed);
        last = fc_max(last, r->last);
    }
    if (needed == INT64_MAX) {
        if (w->has_thread) set_wanted(w, needed, -1);
        return FC_OK;
    }
    return go_to(w, needed, last, err);
}

bool fc_windows_has(fc_windows *w, int64_t k)
{
    pthread_mutex_lock(&w->mutex);
    const bool is_there = is_kept(w, k) && k < w->n_filled;
    pthread_mutex_unlock(&w->mutex);
    return is_there;
}

bool fc_windows_has_failed(fc_windows *w)
{
    pthread_mutex_lock(&w->mutex);
    const bool has_failed = w->status != FC_OK;
    pthread_mutex_unlock(&w->mutex);
    return has_failed;
}

fc_status fc_windows_wait(fc_windows *w, int64_t k, fc_err *err)
{
    pthread_mutex_lock(&w->mutex);
    while (w->n_filled <= k && w->status == FC_OK)
        pthread_cond_wait(&w->has_window, &w->mutex);
    const fc_status status = w->n_filled > k ? FC_OK : w->status;
    if (status != FC_OK && err != NULL) *err = w->err;
    pthread_mutex_unlock(&w->mutex);
    return status;
}

/* --- moments ------------------------------------------------------------------------------ */

typedef struct hook_rows {
    const fc_windows *windows;
    int hook;
} hook_rows;

static void read_first_window(const void *ctx, int64_t begin, int64_t n, float *out)
{
    const hook_rows *const of = ctx;
    fc_to_f32(out, fc_windows_row(of->windows, of->hook, 0, begin), of->windows->dtype,
              n * of->windows->hook[of->hook].width);
}

static fc_status find_moments(fc_windows *w, int hook, fc_err *err)
{
    fc_window_hook *const h = &w->hook[hook];
    const hook_rows rows = {w, hook};
    fc_row_stats stats = {0};
    FC_TRY(fc_row_stats_make(&stats, read_first_window, &rows, fc_windows_rows_of(w, 0),
                             h->width, err));
    const fc_status status =
        fc_windows_set_moments(w, hook, stats.mean, stats.mean_centred_norm, err);
    fc_row_stats_deinit(&stats);
    return status;
}

fc_status fc_windows_set_moments(fc_windows *w, int hook, const float *mean,
                                 double mean_centred_norm, fc_err *err)
{
    fc_window_hook *const h = &w->hook[hook];
    if (h->mean == NULL)
        FC_TRY(fc_alloc(&h->mean, h->width, sizeof *h->mean, "the mean activation", err));
    memcpy(h->mean, mean, (size_t)h->width * sizeof *mean);
    h->mean_centred_norm = mean_centred_norm;
    return FC_OK;
}

/* The first window takes as long as the model needs for it: with progress. */
static fc_status wait_for_first(fc_windows *w, fc_err *err)
{
    const int64_t n_rows = fc_windows_rows_of(w, 0);
    fc_progress progress = fc_progress_begin("first window", "tokens", 0, (double)n_rows);
    pthread_mutex_lock(&w->mutex);
    while (w->n_filled == 0 && w->status == FC_OK) {
        const int64_t n_put = fc_min(w->n_put, n_rows);
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        (void)pthread_cond_timedwait(&w->has_window, &w->mutex, &until);
        fc_progress_set(&progress, (double)n_put);
    }
    pthread_mutex_unlock(&w->mutex);
    fc_progress_end(&progress);
    return fc_windows_wait(w, 0, err);
}

fc_status fc_windows_moments(fc_windows *w, int hook, const float **mean,
                             double *mean_centred_norm, fc_err *err)
{
    FC_CHECK(w->window_rows > 0);
    if (w->hook[hook].mean == NULL) {
        FC_TRY(go_to(w, 0, 0, err)); /* who needs more has not said so yet */
        FC_TRY(wait_for_first(w, err));
        for (int i = 0; i < w->n_hooks; i++)
            if (w->hook[i].mean == NULL) FC_TRY(find_moments(w, i, err));
    }
    *mean = w->hook[hook].mean;
    *mean_centred_norm = w->hook[hook].mean_centred_norm;
    return FC_OK;
}

/* --- life --------------------------------------------------------------------------------- */

const fc_harvester *fc_windows_harvester(const fc_windows *w)
{
    return w->harvester;
}

fc_dtype fc_windows_dtype(const fc_windows *w)
{
    return w->dtype;
}

int64_t fc_windows_rows_for(const fc_windows *w, int64_t memory_bytes)
{
    const int64_t n_bytes = fc_min(memory_bytes / 4, FC_WINDOWS_BYTES);
    int64_t row_bytes = 0;
    for (int i = 0; i < w->n_hooks; i++) row_bytes += (int64_t)w->hook[i].row_bytes;
    return fc_min(fc_max(n_bytes / (FC_WINDOW_SLOTS * row_bytes), 1), w->n_rows);
}

fc_status fc_windows_set_rows(fc_windows *w, int64_t window_rows, fc_err *err)
{
    const int64_t n = fc_min(window_rows, w->n_rows);
    if (w->window_rows > 0 && w->window_rows != n)
        return fc_fail(err, FC_MISMATCH,
                       "windows of %" PRId64
                       " rows, but those of another run on the same "
                       "stream have %" PRId64,
                       n, w->window_rows);
    if (window_rows < 1)
        return fc_fail(err, FC_USAGE, "a window has %" PRId64 " rows, expected 1 or more",
                       window_rows);
    for (int i = 0; i < w->n_hooks && w->window_rows == 0; i++)
        for (int slot = 0; slot < FC_WINDOW_SLOTS; slot++)
            if (w->hook[i].x[slot] == NULL)
                FC_TRY(fc_alloc(&w->hook[i].x[slot], n, w->hook[i].row_bytes,
                                "a window of rows", err));
    w->window_rows = n;
    w->n_windows = fc_ceil_div(w->n_rows, n);
    return FC_OK;
}

static fc_status set_up(fc_windows *w, fc_err *err)
{
    if (fc_harvester_is_stdin(w->harvester))
        return fc_fail(
            err, FC_USAGE,
            "standard input can be read only once, but training reads its text "
            "again: give the text as files");
    w->n_rows = fc_harvester_rows(w->harvester);
    w->n_hooks = fc_harvester_hooks(w->harvester);
    if (w->n_rows > UINT32_MAX)
        return fc_fail(err, FC_USAGE,
                       "the text has %" PRId64 " rows, expected at most %" PRIu32,
                       w->n_rows, UINT32_MAX);
    for (int i = 0; i < w->n_hooks; i++) {
        fc_window_hook *const h = &w->hook[i];
        h->width = fc_harvester_hook(w->harvester, i)->width;
        h->row_bytes = (size_t)h->width * fc_dtype_size(w->dtype);
        FC_TRY(fc_alloc(&h->staged, fc_harvester_batch_rows(w->harvester), h->row_bytes,
                        "rows of a batch", err));
    }
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->has_space, NULL);
    pthread_cond_init(&w->has_window, NULL);
    w->has_mutex = true;
    return FC_OK;
}

fc_status fc_windows_open(fc_windows **opened, fc_harvester *harvester, fc_dtype dtype,
                          fc_err *err)
{
    fc_windows *w = NULL;
    fc_status status = fc_alloc(&w, 1, sizeof *w, "windows of rows", err);
    if (status != FC_OK) {
        fc_harvester_close(harvester);
        return status;
    }
    w->harvester = harvester;
    w->dtype = dtype;
    FC_TRY_GOTO(set_up(w, err));
    *opened = w;
    w = NULL;
done:
    fc_windows_close(w);
    return status;
}

void fc_windows_close(fc_windows *w)
{
    if (w == NULL) return;
    FC_CHECK(w->readers == NULL);
    stop_thread(w);
    if (w->has_mutex) {
        pthread_mutex_destroy(&w->mutex);
        pthread_cond_destroy(&w->has_space);
        pthread_cond_destroy(&w->has_window);
    }
    for (int i = 0; i < w->n_hooks; i++) {
        for (int slot = 0; slot < FC_WINDOW_SLOTS; slot++) fc_free(w->hook[i].x[slot]);
        fc_free(w->hook[i].staged);
        fc_free(w->hook[i].mean);
    }
    fc_harvester_close(w->harvester);
    fc_free(w);
}
