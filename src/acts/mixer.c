/* mixer.c - a ring of batches between one thread that fills and one caller that computes.
 *
 *   slots   n_released            n_filled
 *             | in use | ready ... |  being filled  |  (FC_MIXER_SLOTS in all)
 *
 * Both counters only grow and are guarded by one mutex; slot k % FC_MIXER_SLOTS belongs to the
 * caller while n_released <= k < n_filled, to the thread otherwise. The thread gathers one batch
 * in well under a millisecond, a training step takes tens: so one thread is enough, and it
 * never calls the parallel loop, which belongs to the caller.
 *
 * Either way of mixing fills the slots: a permutation of all rows, gathered from the store, or a
 * mixing buffer (mix_buffer.h).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "acts/mixer.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "acts/mix_buffer.h"
#include "base/alloc.h"
#include "base/rng.h"

struct fc_mixer {
    const fc_store *store;
    const fc_normaliser *normaliser;
    fc_mixer_config config; /* epoch and index: of the next batch to fill; the thread's */
    int64_t n_rows, d, n_batches;
    uint32_t *order;       /* full: [n_rows] this epoch's permutation; the thread's */
    fc_mix_buffer *buffer; /* blocks; the thread's */
    float *x;              /* the memory of all slots */
    fc_row_norm *norm;
    uint32_t *row;
    fc_mixed_batch slot[FC_MIXER_SLOTS];

    pthread_t thread;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t has_space, has_batch;
    int64_t n_filled, n_released;
    bool is_stopping;
    bool is_holding; /* the caller works on slot n_released; the caller's */
    bool has_mutex, has_thread;
};

int64_t fc_mixer_batches(int64_t n_rows, int64_t batch_size, bool drop_last)
{
    return n_rows / batch_size + (!drop_last && n_rows % batch_size != 0);
}

static int64_t row_bytes(const fc_store *store)
{
    const fc_store_info *const info = fc_store_info_of(store);
    return info->d * (int64_t)fc_dtype_size(info->dtype);
}

bool fc_mixer_wants_blocks(const fc_store *store, int64_t memory_bytes)
{
    return fc_store_rows(store) * row_bytes(store) >= memory_bytes / 2;
}

int64_t fc_mixer_buffer_rows(const fc_store *store, int64_t memory_bytes)
{
    const int64_t n_bytes = fc_min(memory_bytes / 4, FC_MIX_BUFFER_BYTES);
    return fc_max(n_bytes / row_bytes(store), 1);
}

/* --- the thread --------------------------------------------------------------------------- */

static void fill(fc_mixer *mixer, int64_t k)
{
    fc_mixer_config *const at = &mixer->config;
    const int64_t slot = k % FC_MIXER_SLOTS, size = at->batch_size, d = mixer->d;
    const int64_t begin = at->index * size, n = fc_min(size, mixer->n_rows - begin);
    float *const x = mixer->x + slot * size * d;
    fc_row_norm *const norm = mixer->norm + slot * size;
    uint32_t *const row = mixer->row + slot * size;
    if (mixer->buffer != NULL) {
        fc_mix_buffer_draw(mixer->buffer, row, x, n);
    } else {
        memcpy(row, mixer->order + begin, (size_t)n * sizeof *row);
        fc_store_gather(mixer->store, row, n, x);
    }
    fc_normalise(mixer->normaliser, x, x, norm, n);
    mixer->slot[slot] = (fc_mixed_batch){x, norm, row, n, at->epoch, at->index};
    if (++at->index < mixer->n_batches) return;
    at->index = 0;
    at->epoch++;
    if (mixer->buffer != NULL && begin + n < mixer->n_rows)
        fc_mix_buffer_skip(mixer->buffer, mixer->n_rows - begin - n);
}

static void shuffle(fc_mixer *mixer)
{
    if (mixer->order == NULL) return;
    const uint64_t stream = (uint64_t)FC_RNG_EPOCH + (uint64_t)mixer->config.epoch;
    fc_rng_permutation(mixer->config.seed, stream, mixer->n_rows, mixer->order);
}

/* Waits until slot k is free; false: the thread is to end. */
static bool wait_for_space(fc_mixer *mixer, int64_t k)
{
    pthread_mutex_lock(&mixer->mutex);
    while (!mixer->is_stopping && k - mixer->n_released == FC_MIXER_SLOTS)
        pthread_cond_wait(&mixer->has_space, &mixer->mutex);
    const bool is_stopping = mixer->is_stopping;
    pthread_mutex_unlock(&mixer->mutex);
    return !is_stopping;
}

static void *run(void *ctx)
{
    fc_mixer *const mixer = ctx;
    bool is_stale = true; /* `order` is not of the current epoch */
    while (mixer->buffer != NULL && fc_mix_buffer_load(mixer->buffer))
        if (!wait_for_space(mixer, 0)) return NULL;
    for (int64_t k = 0; wait_for_space(mixer, k); k++) {
        if (is_stale) shuffle(mixer);
        fill(mixer, k);
        is_stale = mixer->config.index == 0;

        pthread_mutex_lock(&mixer->mutex);
        mixer->n_filled = k + 1;
        pthread_cond_signal(&mixer->has_batch);
        pthread_mutex_unlock(&mixer->mutex);
    }
    return NULL;
}

/* --- the caller --------------------------------------------------------------------------- */

const fc_mixed_batch *fc_mixer_next(fc_mixer *mixer)
{
    pthread_mutex_lock(&mixer->mutex);
    if (mixer->is_holding) mixer->n_released++;
    mixer->is_holding = true;
    pthread_cond_signal(&mixer->has_space);
    while (mixer->n_filled == mixer->n_released)
        pthread_cond_wait(&mixer->has_batch, &mixer->mutex);
    const fc_mixed_batch *const batch = &mixer->slot[mixer->n_released % FC_MIXER_SLOTS];
    pthread_mutex_unlock(&mixer->mutex);
    return batch;
}

static fc_status check(const fc_mixer *mixer, fc_err *err)
{
    const fc_mixer_config *const config = &mixer->config;
    if (mixer->normaliser->d != mixer->d)
        return fc_fail(err, FC_MISMATCH,
                       "the activations have width %" PRId64
                       ", the normalisation %" PRId64,
                       mixer->d, mixer->normaliser->d);
    if (mixer->n_batches < 1)
        return fc_fail(err, FC_USAGE,
                       "the store has %" PRId64 " rows: no whole batch of %" PRId64,
                       mixer->n_rows, config->batch_size);
    if (mixer->n_rows > UINT32_MAX)
        return fc_fail(err, FC_USAGE,
                       "the store has %" PRId64 " rows, expected at most %u",
                       mixer->n_rows, UINT32_MAX);
    if (config->buffer_rows < 0 || config->piece_rows < 0)
        return fc_fail(err, FC_USAGE,
                       "the mixing buffer has %" PRId64 " rows, read %" PRId64
                       " at a time; expected 0 or more",
                       config->buffer_rows, config->piece_rows);
    if (config->epoch < 0 || config->index < 0 || config->index >= mixer->n_batches)
        return fc_fail(err, FC_USAGE,
                       "cannot begin at epoch %" PRId64 ", batch %" PRId64
                       ": an epoch has %" PRId64 " batches",
                       config->epoch, config->index, mixer->n_batches);
    return FC_OK;
}

static fc_status make_buffer(fc_mixer *mixer, fc_err *err)
{
    const fc_mixer_config *const config = &mixer->config;
    const int64_t piece = FC_MIX_PIECE_BYTES / row_bytes(mixer->store);
    const fc_mix_place place = {.seed = config->seed,
                                .piece_rows = config->piece_rows > 0 ? config->piece_rows
                                                                     : fc_max(piece, 1),
                                .capacity = fc_min(config->buffer_rows, mixer->n_rows),
                                .epoch = config->epoch,
                                .n_drawn = config->index * config->batch_size};
    return fc_mix_buffer_new(&mixer->buffer, mixer->store, &place, err);
}

static fc_status allocate(fc_mixer *mixer, fc_err *err)
{
    const int64_t n = FC_MIXER_SLOTS * mixer->config.batch_size;
    if (mixer->config.buffer_rows > 0)
        FC_TRY(make_buffer(mixer, err));
    else
        FC_TRY(fc_alloc(&mixer->order, mixer->n_rows, sizeof *mixer->order,
                        "the order of rows", err));
    FC_TRY(fc_alloc(&mixer->x, n, (size_t)mixer->d * sizeof *mixer->x, "batches of rows",
                    err));
    FC_TRY(fc_alloc(&mixer->norm, n, sizeof *mixer->norm, "norms of rows", err));
    return fc_alloc(&mixer->row, n, sizeof *mixer->row, "numbers of rows", err);
}

static fc_status start(fc_mixer *mixer, fc_err *err)
{
    pthread_mutex_init(&mixer->mutex, NULL);
    pthread_cond_init(&mixer->has_space, NULL);
    pthread_cond_init(&mixer->has_batch, NULL);
    mixer->has_mutex = true;
    errno = pthread_create(&mixer->thread, NULL, run, mixer);
    if (errno != 0)
        return fc_fail_errno(err, "cannot start the thread that prepares batches");
    mixer->has_thread = true;
    return FC_OK;
}

fc_status fc_mixer_new(fc_mixer **mixer, const fc_store *store,
                       const fc_normaliser *normaliser, const fc_mixer_config *config,
                       fc_err *err)
{
    if (config->batch_size < 1)
        return fc_fail(err, FC_USAGE, "batch size is %" PRId64 ", expected 1 or more",
                       config->batch_size);
    fc_mixer *made = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&made, 1, sizeof *made, "the mixer of rows", err));
    made->store = store;
    made->normaliser = normaliser;
    made->config = *config;
    made->n_rows = fc_store_rows(store);
    made->d = fc_store_info_of(store)->d;
    made->n_batches =
        fc_mixer_batches(made->n_rows, config->batch_size, config->drop_last);
    FC_TRY_GOTO(check(made, err));
    made->config.batch_size = fc_min(config->batch_size, made->n_rows);
    FC_TRY_GOTO(allocate(made, err));
    FC_TRY_GOTO(start(made, err));
    *mixer = made;
    made = NULL;
done:
    fc_mixer_free(made);
    return status;
}

void fc_mixer_free(fc_mixer *mixer)
{
    if (mixer == NULL) return;
    if (mixer->has_thread) {
        pthread_mutex_lock(&mixer->mutex);
        mixer->is_stopping = true;
        pthread_cond_signal(&mixer->has_space);
        pthread_mutex_unlock(&mixer->mutex);
        pthread_join(mixer->thread, NULL);
    }
    if (mixer->has_mutex) {
        pthread_mutex_destroy(&mixer->mutex);
        pthread_cond_destroy(&mixer->has_space);
        pthread_cond_destroy(&mixer->has_batch);
    }
    fc_mix_buffer_free(mixer->buffer);
    fc_free(mixer->order);
    fc_free(mixer->x);
    fc_free(mixer->norm);
    fc_free(mixer->row);
    fc_free(mixer);
}
