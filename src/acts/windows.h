/* windows.h - text through a model into a mixing buffer of two windows, without a store.
 *
 *   epoch      the rows of the text, n of them; at its end the text begins again
 *   window     B neighbouring rows, in the order of the text; the last of an epoch may be short
 *              window k = epoch * n_windows + w holds rows w B .. (w+1) B - 1, n_windows = ceil(n / B)
 *   thread     fills a window while the one before is drained; waits while both are needed
 *   reader     one who drains the windows of one hook, in an order of its own:
 *              fc_rng_permutation(seed, EPOCH + k) within window k, window after window
 *
 * So the order depends on (seed, text, B) alone, and a run goes on at any row: the thread then begins
 * at that row's window and leaves what lies before it to the tokenizer. B >= n is the order of
 * mixer.h's `full`. The price of less: rows are not mixed across windows. Two rows of one window share a
 * batch with chance size / B, in `full` with size / n; others only at a border.
 *
 * Rows are held as a store holds them (bf16, or float32), so their bytes are the same. Loops of the
 * thread and of readers take turns on the pool of threads, loop by loop (par.h).
 *
 *   memory: 2 B rows and a batch of the model's, for each hook; a reader: 4 B bytes
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_ACTS_WINDOWS_H
#define FC_ACTS_WINDOWS_H

#include "acts/harvester.h"
#include "acts/normaliser.h"

#define FC_WINDOWS_BYTES ((int64_t)2 << 30)

typedef struct fc_windows fc_windows;

/* The harvester belongs to the windows from the call on, also where that fails. Standard input is
 * refused: the text is read more than once. */
fc_status fc_windows_open(fc_windows **opened, fc_harvester *harvester, fc_dtype dtype,
                          fc_err *err);
void fc_windows_close(fc_windows *windows); /* readers first; accepts NULL */
const fc_harvester *fc_windows_harvester(const fc_windows *windows);
fc_dtype fc_windows_dtype(const fc_windows *windows);

/* Rows of a window that both windows of all hooks fit into a quarter of so much memory, and
 * FC_WINDOWS_BYTES at most; not more than the text has. */
int64_t fc_windows_rows_for(const fc_windows *windows, int64_t memory_bytes);

/* Sets B, takes the memory. Once; again only with the same B. */
fc_status fc_windows_set_rows(fc_windows *windows, int64_t window_rows, fc_err *err);

/* Moments of the rows of window 0, for all that train on hook i: mean [width], borrowed, and the mean
 * of ||x - mean||. The first call runs the model until window 0 is full. */
fc_status fc_windows_moments(fc_windows *windows, int hook, const float **mean,
                             double *mean_centred_norm, fc_err *err);
/* Or they are known, from an earlier run on the same text: copied. */
fc_status fc_windows_set_moments(fc_windows *windows, int hook, const float *mean,
                                 double mean_centred_norm, fc_err *err);

/* ---- readers: all on one thread ---- */

typedef struct fc_window_place {
    int hook;
    uint64_t seed;
    int64_t batch_size;     /* >= 1 */
    bool drop_last;         /* leave a short last batch of an epoch out */
    int64_t epoch, index;   /* the batch to begin with */
    int64_t n_batches_left; /* that will be asked for: no window after theirs is filled */
} fc_window_place;

typedef struct fc_window_reader fc_window_reader;

/* The windows are kept until every reader that was made has gone past them. The normaliser is
 * borrowed. Make all readers before the first of them reads: else the thread has to begin again. */
fc_status fc_window_reader_new(fc_window_reader **reader, fc_windows *windows,
                               const fc_window_place *place,
                               const fc_normaliser *normaliser, fc_err *err);
void fc_window_reader_free(fc_window_reader *reader); /* accepts NULL */

/* Whether the next batch is there, so that fc_window_reader_next does not wait. A reader whose batch
 * is not there must not wait for it while others have theirs. */
bool fc_window_reader_is_ready(fc_window_reader *reader);

/* Waits until the reader that is hindmost has its next batch. Fails like next. */
fc_status fc_windows_wait_first(fc_windows *windows, fc_err *err);

typedef struct fc_window_batch { /* borrowed until the next call */
    const float *x;              /* [n, width] normalised */
    const uint32_t *row;         /* [n] rows of the epoch */
    int64_t n;
} fc_window_batch;

/* Fails as the thread did: text that cannot be read, activations that are not finite; FC_CANCELLED
 * after Ctrl-C. Allocates nothing while it goes on. */
fc_status fc_window_reader_next(fc_window_reader *reader, fc_window_batch *batch,
                                fc_err *err);

#endif
