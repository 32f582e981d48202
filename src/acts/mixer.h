/* mixer.h - the rows of a store in random order, normalised, in batches, ahead of time.
 *
 *   epoch e    all rows once: an order fixed by (seed, e), in one of two ways
 *   batch b    its rows b * size .. (b+1) * size - 1, the last batch may be short
 *
 * full    a fresh uniform permutation, fc_rng_permutation(seed, EPOCH + e). A row is read where it
 *         lies: right for stores that stay in memory; beyond that, every row is an access to a disk.
 * blocks  pieces of FC_MIX_PIECE_BYTES in random order go through a buffer of buffer_rows rows, from
 *         which batches are drawn uniformly (mix_order.h). The store is read once an epoch, in
 *         pieces, ahead; memory is bounded. The price is uniformity. With B = buffer_rows of N:
 *           - a row can be drawn once its piece came in, and waits for some B rows (geometric): so
 *             the rows of a piece keep together, B rows apart on average, N/3 in `full`;
 *           - two rows of a piece share a batch with chance size/2B, in `full` size/N. A batch has
 *             N/2B times as many pairs from one piece as in `full` (figures: docs/SPEED.md).
 *         B = N is a full permutation again, in another order than `full`.
 *
 * One thread gathers and normalises the next batches into a ring of FC_MIXER_SLOTS while the
 * caller computes on the current one. What a batch holds depends on (seed, epoch, index), the size
 * of a batch and, in blocks, buffer_rows and piece_rows alone, so training goes on from any of them.
 * Going on in blocks draws the epoch's order up to there (20 ns a row) and reads the rows that the
 * buffer holds then. Nothing is allocated after fc_mixer_new.
 *
 *   memory: FC_MIXER_SLOTS * size * d floats, and
 *           full: 4 bytes a row of the store; blocks: 24 bytes and a row as stored, times buffer_rows
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_ACTS_MIXER_H
#define FC_ACTS_MIXER_H

#include "acts/normaliser.h"

enum { FC_MIXER_SLOTS = 3, FC_MIX_PIECE_BYTES = 2 << 20 };
#define FC_MIX_BUFFER_BYTES ((int64_t)2 << 30)

typedef struct fc_mixer_config {
    int64_t batch_size; /* rows, >= 1 */
    uint64_t seed;
    bool drop_last;       /* leave a short last batch out */
    int64_t epoch, index; /* where to begin, index < fc_mixer_batches; 0, 0: a new run */
    int64_t buffer_rows;  /* of the mixing buffer, cut to the store's; 0: mix in full */
    int64_t piece_rows;   /* blocks: rows read at a time; 0: FC_MIX_PIECE_BYTES of them */
} fc_mixer_config;

typedef struct fc_mixed_batch {
    const float *x;          /* [n, d] normalised */
    const fc_row_norm *norm; /* [n] the way back of each row */
    const uint32_t *row;     /* [n] rows of the store */
    int64_t n;
    int64_t epoch, index;
} fc_mixed_batch;

typedef struct fc_mixer fc_mixer;

/* Batches in an epoch of n_rows rows. */
int64_t fc_mixer_batches(int64_t n_rows, int64_t batch_size, bool drop_last);

/* What to do with so much memory: whether the activations take half of it or more, so that they are
 * better mixed in blocks; and rows that a quarter of it holds, FC_MIX_BUFFER_BYTES at most. */
bool fc_mixer_wants_blocks(const fc_store *store, int64_t memory_bytes);
int64_t fc_mixer_buffer_rows(const fc_store *store, int64_t memory_bytes);

/* Starts the thread. Store and normaliser are borrowed until fc_mixer_free. Fails when the store
 * has no batch, or the place to begin is not one. */
fc_status fc_mixer_new(fc_mixer **mixer, const fc_store *store,
                       const fc_normaliser *normaliser, const fc_mixer_config *config,
                       fc_err *err);

/* Waits for the next batch, epoch after epoch without end. Borrowed until the next call on this
 * mixer; one caller at a time. */
const fc_mixed_batch *fc_mixer_next(fc_mixer *mixer);

/* Stops the thread, whatever it is doing. Accepts NULL. */
void fc_mixer_free(fc_mixer *mixer);

#endif
