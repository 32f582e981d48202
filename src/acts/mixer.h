/* mixer.h - the rows of a store in random order, normalised, in batches, ahead of time.
 *
 *   epoch e    a fresh uniform permutation of all rows: fc_rng_permutation(seed, EPOCH + e)
 *   batch b    rows permutation[b * size] .. [(b+1) * size - 1], the last batch may be short
 *
 * One thread gathers and normalises the next batches into a ring of FC_MIXER_SLOTS while the
 * caller computes on the current one. What a batch holds depends on (seed, epoch, index) alone, so
 * training goes on from any of them. Nothing is allocated after fc_mixer_new.
 *
 *   memory: 4 bytes a row of the store, and FC_MIXER_SLOTS * size * d floats
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_ACTS_MIXER_H
#define FC_ACTS_MIXER_H

#include "acts/normaliser.h"

enum { FC_MIXER_SLOTS = 3 };

typedef struct fc_mixer_config {
    int64_t batch_size; /* rows, >= 1 */
    uint64_t seed;
    bool drop_last; /* leave a short last batch out */
    int64_t epoch,
        index; /* where to begin: index < fc_mixer_batches; both 0 for a new run */
} fc_mixer_config;

typedef struct fc_mixed_batch {
    const float *x;      /* [n, d] normalised */
    const float *norm;   /* [n] what each row was divided by */
    const uint32_t *row; /* [n] rows of the store */
    int64_t n;
    int64_t epoch, index;
} fc_mixed_batch;

typedef struct fc_mixer fc_mixer;

/* Batches in an epoch of n_rows rows. */
int64_t fc_mixer_batches(int64_t n_rows, int64_t batch_size, bool drop_last);

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
