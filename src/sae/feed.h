/* feed.h - where training gets its batches: the plug-in point of data.
 *
 *   store     rows of an activation store, shuffled (acts/mixer.h); for a transcoder those of a
 *             second store beside them                                  feed_store.c
 *   stream    text through the model, without a store (acts/windows.h)    feed_stream.c
 *
 * A batch is an input x and what is to be reconstructed, y: the same rows, but for a transcoder,
 * whose target is another tensor of the model. Both are normalised, each by its own moments. The target
 * never to unit length, which could not be undone: with center_unit it is center_scale. What batch `index` of epoch
 * `epoch` holds depends on the data and on fc_feed_order alone, so a run goes on from any of them.
 *
 *   open -> settle -> normalisers -> begin -> next, next, ... -> close
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_FEED_H
#define FC_SAE_FEED_H

#include "acts/mixer.h"
#include "acts/windows.h"
#include "sae/train.h"

typedef struct fc_feed_info {
    int64_t n_rows; /* of an epoch */
    int64_t d_in, d_out;
    bool has_target; /* y is a tensor of its own; else y is x */
    bool is_stream;  /* no store: the text runs through the model while training */
    char model[1024], hook[128], target_hook[128]; /* where rows come from; "" unknown */
    int64_t max_length;                            /* of their sequences, in tokens */
} fc_feed_info;

typedef struct fc_feed_order { /* how to mix, and where to begin */
    int64_t batch_size;        /* 1 .. n_rows */
    uint64_t seed;
    bool drop_last;
    int64_t epoch, index; /* 0, 0: a new run */
    int64_t n_left;       /* batches that will be asked for */
    int64_t buffer_rows;  /* of the mixing buffer; 0: mix all rows at once */
} fc_feed_order;

typedef struct fc_feed_norm { /* how to normalise */
    fc_norm_kind kind;
    int64_t buffer_rows; /* as in fc_feed_order */
    const char *run_dir; /* where a stream keeps moments */
} fc_feed_norm;

typedef struct fc_fed_batch { /* borrowed until the next one is asked for */
    const float *x;           /* [n, d_in] normalised */
    const float *y;           /* [n, d_out] normalised; x itself unless has_target */
    const uint32_t *row;      /* [n] rows of the epoch, in the order of the text */
    int64_t n;
} fc_fed_batch;

typedef struct fc_feed fc_feed;

typedef struct fc_feed_ops {
    /* What options that are left open become with so much memory: fc_shuffle, and rows of the
     * mixing buffer for any way of mixing that has one. */
    fc_shuffle (*shuffle)(const fc_feed *feed, int64_t memory_bytes);
    int64_t (*buffer_rows)(const fc_feed *feed, int64_t memory_bytes);

    /* Adds to recipe.json what tells this data from other data. */
    fc_status (*describe)(const fc_feed *feed, json_t *recipe, fc_err *err);

    /* Of the input, and of the target (left alone unless has_target). A stream's are those of its
     * first window, for which it runs the model; the run's folder keeps them. */
    fc_status (*normalisers)(fc_feed *feed, const fc_feed_norm *norm, fc_normaliser *in,
                             fc_normaliser *target, fc_err *err);

    /* Normalisers are borrowed until the feed is closed. */
    fc_status (*begin)(fc_feed *feed, const fc_feed_order *order, const fc_normaliser *in,
                       const fc_normaliser *target, fc_err *err);

    /* Whether the next batch is there without waiting; NULL: it always is, or soon. */
    bool (*is_ready)(fc_feed *feed);

    /* The next batch. FC_CANCELLED when Ctrl-C ended the wait for it. */
    fc_status (*next)(fc_feed *feed, fc_fed_batch *batch, fc_err *err);
    void (*close)(fc_feed *feed);
} fc_feed_ops;

struct fc_feed { /* the first member of each kind of feed */
    const fc_feed_ops *ops;
    fc_feed_info info;
};

void fc_feed_close(fc_feed *feed); /* accepts NULL */

/* A finished store; target_dir: NULL, or that of the target, whose rows must be the same tokens. */
fc_status fc_feed_of_store(fc_feed **feed, const char *store_dir, const char *target_dir,
                           fc_err *err);

/* Text through the model: hook number `hook` of the windows, and number `target`, or -1. Several feeds
 * may share windows, then all on one thread; is_owner: they are closed with the feed, also where this
 * fails. */
fc_status fc_feed_of_windows(fc_feed **feed, fc_windows *windows, int hook, int target,
                             bool is_owner, fc_err *err);

/* What the target's kind of normalisation is when the input's is `kind`. */
fc_norm_kind fc_feed_target_norm(fc_norm_kind kind);

#endif
