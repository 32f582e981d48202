/* windows_internal.h - what the thread that fills windows and the readers that drain them share.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_ACTS_WINDOWS_INTERNAL_H
#define FC_ACTS_WINDOWS_INTERNAL_H

#include <pthread.h>

#include "acts/row_stats.h"
#include "acts/windows.h"

enum { FC_WINDOW_SLOTS = 2 };

typedef struct fc_window_hook {
    int64_t width;
    size_t row_bytes;
    uint8_t *x[FC_WINDOW_SLOTS]; /* [B, width] as stored; window k is in slot k % 2 */
    uint8_t *staged;             /* [batch_rows, width] of the batch that ran last */
    float *mean;                 /* [width], or NULL: not known yet */
    double mean_centred_norm;
} fc_window_hook;

struct fc_windows {
    fc_harvester *harvester;
    fc_dtype dtype;
    int64_t n_rows, window_rows, n_windows; /* of an epoch; 0: not set */
    fc_window_hook hook[FC_MAX_HOOKS];
    int n_hooks;
    int64_t at,
        n_staged; /* the thread's: rows of all epochs put, and staged behind them */

    /* of the thread that reads */
    fc_window_reader *readers; /* a list */
    bool has_thread, has_mutex;
    pthread_t thread;
    int64_t first; /* window at which the thread began */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t has_space, has_window;
    int64_t
        n_begun; /* windows below it were begun: the slot of the last is overwritten */
    int64_t n_filled; /* windows below it were filled: n_begun or one less */
    int64_t n_put;    /* `at`, to be shown */
    int64_t needed;   /* those before may be overwritten */
    int64_t last;     /* none after it is filled */
    bool is_stopping;
    fc_status status; /* why the thread ended */
    fc_err err;
};

/* Rows of window k. */
int64_t fc_windows_rows_of(const fc_windows *windows, int64_t k);
/* Row i of window k, which is there. */
const uint8_t *fc_windows_row(const fc_windows *windows, int hook, int64_t k, int64_t i);

/* Tells the thread what readers need, and starts it where none of them has to wait for windows that
 * nobody wants. Of the readers' thread. */
fc_status fc_windows_want(fc_windows *windows, fc_err *err);
bool fc_windows_has(fc_windows *windows, int64_t k);
fc_status fc_windows_wait(fc_windows *windows, int64_t k, fc_err *err);
bool fc_windows_has_failed(fc_windows *windows);

struct fc_window_reader {
    fc_windows *windows;
    const fc_normaliser *normaliser;
    fc_window_place place; /* epoch and index: of the next batch */
    int64_t needed, last;  /* windows */
    fc_window_reader *next;

    uint32_t *order;      /* [B] of window `ordered` */
    int64_t ordered;      /* -1: none */
    const uint8_t **from; /* [batch_size] where the rows of a batch are */
    float *x;             /* [batch_size, width] */
    uint32_t *row;        /* [batch_size] */
};

#endif
