/* window_reader.c - one run's way through the windows: its order, its batches.
 *
 *   rows of an epoch in the order of reading   windows one after the other, each permuted
 *   batch b                                    b size .. (b+1) size - 1 of these
 *
 * So a batch may take the last rows of a window and the first of the next. The permutation of a window
 * is made when its first row is wanted: 10 ns a row.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "acts/windows_internal.h"
#include "base/alloc.h"
#include "base/par.h"
#include "base/rng.h"

/* --- places ------------------------------------------------------------------------------- */

static int64_t batches(const fc_windows *w, const fc_window_place *place)
{
    return w->n_rows / place->batch_size +
           (!place->drop_last && w->n_rows % place->batch_size != 0);
}

static int64_t batch_rows(const fc_windows *w, const fc_window_place *place)
{
    return fc_min(place->batch_size, w->n_rows - place->index * place->batch_size);
}

/* Window of row `row` of an epoch. */
static int64_t window_of(const fc_windows *w, int64_t epoch, int64_t row)
{
    return epoch * w->n_windows + row / w->window_rows;
}

/* First and last window of a batch. */
static int64_t first_window(const fc_windows *w, const fc_window_place *place)
{
    return window_of(w, place->epoch, place->index * place->batch_size);
}

static int64_t last_window(const fc_windows *w, const fc_window_place *place)
{
    const int64_t row = place->index * place->batch_size;
    return window_of(w, place->epoch, row + batch_rows(w, place) - 1);
}

static void advance(const fc_windows *w, fc_window_place *place, int64_t n)
{
    const int64_t n_batches = batches(w, place);
    const int64_t number = place->epoch * n_batches + place->index + n;
    place->epoch = number / n_batches;
    place->index = number % n_batches;
}

/* --- life --------------------------------------------------------------------------------- */

static fc_status check(const fc_windows *w, const fc_window_place *place,
                       const fc_normaliser *normaliser, fc_err *err)
{
    FC_CHECK(place->hook >= 0 && place->hook < w->n_hooks && w->window_rows > 0);
    if (place->batch_size < 1)
        return fc_fail(err, FC_USAGE, "batch size is %" PRId64 ", expected 1 or more",
                       place->batch_size);
    if (batches(w, place) < 1)
        return fc_fail(err, FC_USAGE,
                       "the text gives %" PRId64 " rows: no whole batch of %" PRId64,
                       w->n_rows, place->batch_size);
    if (normaliser->d != w->hook[place->hook].width)
        return fc_fail(err, FC_MISMATCH,
                       "the activations have width %" PRId64
                       ", the normalisation %" PRId64,
                       w->hook[place->hook].width, normaliser->d);
    if (place->epoch >= 0 && place->index >= 0 && place->index < batches(w, place) &&
        place->n_batches_left >= 0)
        return FC_OK;
    return fc_fail(err, FC_USAGE,
                   "cannot begin at epoch %" PRId64 ", batch %" PRId64
                   ": an epoch has %" PRId64 " batches",
                   place->epoch, place->index, batches(w, place));
}

static fc_status allocate(fc_window_reader *r, fc_err *err)
{
    const int64_t n = r->place.batch_size;
    const size_t width = (size_t)r->windows->hook[r->place.hook].width;
    FC_TRY(fc_alloc(&r->order, r->windows->window_rows, sizeof *r->order,
                    "the order of a window", err));
    FC_TRY(fc_alloc(&r->from, n, sizeof *r->from, "places of rows", err));
    FC_TRY(fc_alloc(&r->x, n, width * sizeof *r->x, "a batch of rows", err));
    return fc_alloc(&r->row, n, sizeof *r->row, "numbers of rows", err);
}

fc_status fc_window_reader_new(fc_window_reader **reader, fc_windows *w,
                               const fc_window_place *place,
                               const fc_normaliser *normaliser, fc_err *err)
{
    fc_window_reader *made = NULL;
    fc_window_place last = *place;
    fc_status status;
    FC_TRY(check(w, place, normaliser, err));
    FC_TRY_GOTO(fc_alloc(&made, 1, sizeof *made, "a reader of windows", err));
    made->windows = w;
    made->normaliser = normaliser;
    made->place = *place;
    made->place.batch_size = fc_min(place->batch_size, w->n_rows);
    made->ordered = -1;
    made->needed = first_window(w, &made->place);
    advance(w, &last, fc_max(place->n_batches_left - 1, 0));
    made->last = place->n_batches_left > 0 ? last_window(w, &last) : -1;
    FC_TRY_GOTO(allocate(made, err));
    made->next = w->readers;
    w->readers = made;
    *reader = made;
    return FC_OK;
done:
    fc_window_reader_free(made);
    return status;
}

void fc_window_reader_free(fc_window_reader *reader)
{
    if (reader == NULL) return;
    fc_window_reader **at = &reader->windows->readers;
    while (*at != NULL && *at != reader) at = &(*at)->next;
    if (*at != NULL) *at = reader->next;
    fc_free(reader->order);
    fc_free(reader->from);
    fc_free(reader->x);
    fc_free(reader->row);
    fc_free(reader);
}

/* --- batches ------------------------------------------------------------------------------ */

bool fc_window_reader_is_ready(fc_window_reader *reader)
{
    fc_windows *const w = reader->windows;
    fc_err ignored;
    if (fc_windows_want(w, &ignored) != FC_OK) return true; /* next tells */
    return fc_windows_has_failed(w) ||
           (fc_windows_has(w, reader->needed) &&
            fc_windows_has(w, last_window(w, &reader->place)));
}

fc_status fc_windows_wait_first(fc_windows *w, fc_err *err)
{
    const fc_window_reader *first = NULL;
    FC_TRY(fc_windows_want(w, err));
    for (const fc_window_reader *r = w->readers; r != NULL; r = r->next)
        if (r->needed <= r->last && (first == NULL || r->needed < first->needed))
            first = r;
    return first == NULL ? FC_OK : fc_windows_wait(w, last_window(w, &first->place), err);
}

static void order_window(fc_window_reader *r, int64_t k)
{
    if (r->ordered == k) return;
    fc_rng_permutation(r->place.seed, (uint64_t)FC_RNG_EPOCH + (uint64_t)k,
                       fc_windows_rows_of(r->windows, k), r->order);
    r->ordered = k;
}

/* Where the rows of the next batch are. */
static void find_rows(fc_window_reader *r, int64_t n)
{
    const fc_windows *const w = r->windows;
    const int64_t begin = r->place.index * r->place.batch_size;
    for (int64_t i = 0; i < n; i++) {
        const int64_t k = window_of(w, r->place.epoch, begin + i);
        order_window(r, k);
        const int64_t in_window = r->order[(begin + i) % w->window_rows];
        r->from[i] = fc_windows_row(w, r->place.hook, k, in_window);
        r->row[i] = (uint32_t)(k % w->n_windows * w->window_rows + in_window);
    }
}

static void gather(int64_t begin, int64_t end, int worker, void *ctx)
{
    const fc_window_reader *const r = ctx;
    const int64_t d = r->normaliser->d;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        fc_to_f32(r->x + i * d, r->from[i], r->windows->dtype, d);
    fc_normalise(r->normaliser, r->x + begin * d, r->x + begin * d, NULL, end - begin);
}

fc_status fc_window_reader_next(fc_window_reader *r, fc_window_batch *batch, fc_err *err)
{
    enum { GATHER_ROWS = 32 };
    fc_windows *const w = r->windows;
    FC_CHECK(r->place.n_batches_left > 0);
    const int64_t n = batch_rows(w, &r->place);
    FC_TRY(fc_windows_want(w, err));
    FC_TRY(fc_windows_wait(w, last_window(w, &r->place), err));
    find_rows(r, n);
    fc_par_for(n, GATHER_ROWS, gather, r);
    advance(w, &r->place, 1);
    r->place.n_batches_left--;
    r->needed = r->place.n_batches_left > 0 ? first_window(w, &r->place) : r->last + 1;
    *batch = (fc_window_batch){r->x, r->row, n};
    return fc_windows_want(w, err);
}
