/* spectrum.c - counts and samples in logarithmic slots that move up with the maximum.
 *
 *   slot of v    from the bits of the float: exponent and 8 bits of the mantissa
 *   priority     mix(draw[row] xor key[feature]): random, but the same in any order of work
 *
 * Equal bins of (0, max] need max first, and a second pass over the store would cost as much as
 * the first. Slots 256 to the octave put a border at most 0.4 % of its value off, a fifth of a
 * bin at the upper end. Keeping the lowest priorities of each cell is a uniform sample of it
 * (bottom-k sampling), and the sample of two cells put together is the lowest of both: so cells
 * can be merged when the window moves, and joined to ranges at the end.
 *
 * Few activations of a long store are drawn: of all others only the count and the limit of their
 * cell are touched, and the loop over hits has no branch that is hard to foresee.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/spectrum_internal.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"

enum {
    MANTISSA_BITS = 23,
    SLOT_SHIFT = MANTISSA_BITS - 8, /* 2^8 = FC_SPECTRUM_FINENESS */
    CELLS_PER_OCTAVE = FC_SPECTRUM_FINENESS / FC_SPECTRUM_CELL,
    BATCH = 256
};

/* Features draw their words from indices above those of the rows. */
static const uint64_t feature_words = UINT64_C(1) << 40;

fc_status fc_spectrum_init(fc_spectrum *spectrum, int64_t n_features, int64_t per_cell,
                           uint64_t seed, fc_err *err)
{
    fc_spectrum s = {.per_cell = per_cell};
    size_t draw_bytes = 0;
    fc_status status;
    FC_TRY_GOTO(fc_bytes(per_cell, FC_SPECTRUM_CELLS * sizeof *s.draw, &draw_bytes, err));
    FC_TRY_GOTO(fc_alloc(&s.key, n_features, sizeof *s.key, "random words", err));
    FC_TRY_GOTO(fc_alloc(&s.top, n_features, sizeof *s.top, "octaves", err));
    FC_TRY_GOTO(fc_alloc(&s.count, n_features, FC_SPECTRUM_SLOTS * sizeof *s.count,
                         "histograms", err));
    FC_TRY_GOTO(fc_alloc(&s.limit, n_features, FC_SPECTRUM_CELLS * sizeof *s.limit,
                         "limits of samples", err));
    FC_TRY_GOTO(fc_alloc(&s.draw, n_features, draw_bytes, "sampled activations", err));
    memset(s.limit, 0xff, (size_t)n_features * FC_SPECTRUM_CELLS * sizeof *s.limit);
    memset(s.draw, 0xff, (size_t)n_features * draw_bytes);
    for (int64_t i = 0; i < n_features; i++)
        s.key[i] =
            (uint32_t)fc_rng_u64(seed, FC_RNG_EXAMPLES, feature_words + (uint64_t)i);
done:
    if (status != FC_OK) fc_spectrum_deinit(&s);
    *spectrum = s;
    return status;
}

void fc_spectrum_deinit(fc_spectrum *spectrum)
{
    fc_free(spectrum->key);
    fc_free(spectrum->top);
    fc_free(spectrum->count);
    fc_free(spectrum->limit);
    fc_free(spectrum->draw);
    *spectrum = (fc_spectrum){0};
}

/* --- slots ------------------------------------------------------------------------------ */

/* Bits of a float > 0, less one: so that intervals are closed above and open below. */
static uint32_t bits_below(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits - 1;
}

static int32_t octave_of(float v)
{
    return (int32_t)(bits_below(v) >> MANTISSA_BITS);
}

/* Slot of v under a window whose top octave is `top` >= octave_of(v). */
static int32_t slot_of(float v, int32_t top)
{
    const int32_t lowest = (top - FC_SPECTRUM_OCTAVES + 1) * FC_SPECTRUM_FINENESS;
    const int32_t slot = (int32_t)(bits_below(v) >> SLOT_SHIFT) - lowest + 1;
    return slot > 0 ? slot : 0;
}

static int32_t cell_of_slot(int32_t slot)
{
    return (int32_t)(((uint32_t)slot + FC_SPECTRUM_CELL - 1) / FC_SPECTRUM_CELL);
}

/* A value in the middle of slot 1 .. SLOTS-1. */
static double middle_of_slot(int32_t slot, int32_t top)
{
    const int32_t lowest = (top - FC_SPECTRUM_OCTAVES + 1) * FC_SPECTRUM_FINENESS;
    const int32_t key = lowest + slot - 1;
    if (key < 0) return 0.0; /* the window reaches below the smallest float */
    const uint32_t bits =
        ((uint32_t)key << SLOT_SHIFT) | (UINT32_C(1) << (SLOT_SHIFT - 1));
    float middle;
    memcpy(&middle, &bits, sizeof middle);
    return (double)middle;
}

/* --- samples ---------------------------------------------------------------------------- */

static bool comes_before(const fc_draw *a, const fc_draw *b)
{
    return a->priority < b->priority || (a->priority == b->priority && a->row < b->row);
}

static void keep_lowest(fc_draw *list, int64_t n, fc_draw draw)
{
    if (n == 0 || !comes_before(&draw, &list[n - 1])) return;
    int64_t at = n - 1;
    for (; at > 0 && comes_before(&draw, &list[at - 1]); at--) list[at] = list[at - 1];
    list[at] = draw;
}

/* A bijection of 32-bit words that leaves no trace of its input (MurmurHash3's finaliser). */
static uint32_t mix(uint32_t h)
{
    h = (h ^ (h >> 16)) * UINT32_C(0x85ebca6b);
    h = (h ^ (h >> 13)) * UINT32_C(0xc2b2ae35);
    return h ^ (h >> 16);
}

/* --- the moving window ------------------------------------------------------------------ */

static void raise_counts(uint32_t *count, int64_t n_octaves)
{
    const int64_t n = n_octaves * FC_SPECTRUM_FINENESS;
    for (int64_t i = 1; i <= n; i++) count[0] += count[i];
    const int64_t n_kept = FC_SPECTRUM_SLOTS - 1 - n;
    memmove(count + 1, count + 1 + n, (size_t)n_kept * sizeof *count);
    memset(count + 1 + n_kept, 0, (size_t)n * sizeof *count);
}

static void raise_draws(fc_draw *draw, int64_t per_cell, int64_t n_octaves)
{
    const int64_t n = n_octaves * CELLS_PER_OCTAVE * per_cell;
    for (int64_t i = per_cell; i < per_cell + n; i++)
        keep_lowest(draw, per_cell, draw[i]);
    const int64_t n_kept = (FC_SPECTRUM_CELLS - 1) * per_cell - n;
    memmove(draw + per_cell, draw + per_cell + n, (size_t)n_kept * sizeof *draw);
    memset(draw + per_cell + n_kept, 0xff, (size_t)n * sizeof *draw);
}

/* Lets the window of a feature reach up to an octave. */
static void raise_window(fc_spectrum *s, int64_t feature, int32_t octave)
{
    const int64_t per_cell = s->per_cell;
    const int64_t n = fc_min(octave - s->top[feature], FC_SPECTRUM_OCTAVES);
    uint32_t *limit = s->limit + feature * FC_SPECTRUM_CELLS;
    fc_draw *draw = s->draw + feature * FC_SPECTRUM_CELLS * per_cell;
    raise_counts(s->count + feature * FC_SPECTRUM_SLOTS, n);
    raise_draws(draw, per_cell, n);
    for (int64_t cell = 0; per_cell > 0 && cell < FC_SPECTRUM_CELLS; cell++)
        limit[cell] = draw[(cell + 1) * per_cell - 1].priority;
    s->top[feature] = octave;
}

/* Slots of up to BATCH values, counted. Their counts are asked for all at once: one after the other
 * they would be waited for. */
static void count_batch(uint32_t *count, const float *value, int64_t n, int32_t top,
                        int32_t *slot)
{
    for (int64_t j = 0; j < n; j++) slot[j] = slot_of(value[j], top);
    for (int64_t j = 0; j < n; j++) __builtin_prefetch(&count[slot[j]], 1);
    for (int64_t j = 0; j < n; j++) count[slot[j]]++;
}

static void draw_batch(fc_spectrum *s, const fc_hits *hits, int64_t first, int64_t n,
                       const int32_t *slot, const fc_block *block)
{
    const uint32_t key = s->key[hits->feature];
    uint32_t *limit = s->limit + hits->feature * FC_SPECTRUM_CELLS;
    fc_draw *draw = s->draw + hits->feature * FC_SPECTRUM_CELLS * s->per_cell;
    for (int64_t j = 0; j < n; j++) {
        const int32_t at = hits->at[first + j], cell = cell_of_slot(slot[j]);
        const uint32_t priority = mix(block->draw[at] ^ key);
        if (priority > limit[cell]) continue;
        fc_draw *list = draw + cell * s->per_cell;
        keep_lowest(list, s->per_cell,
                    (fc_draw){priority, (uint32_t)(block->first + at), block->doc[at],
                              hits->value[first + j]});
        limit[cell] = list[s->per_cell - 1].priority;
    }
}

void fc_spectrum_add(fc_spectrum *spectrum, const fc_hits *hits, const fc_block *block)
{
    const int64_t feature = hits->feature;
    uint32_t *count = spectrum->count + feature * FC_SPECTRUM_SLOTS;
    const int32_t octave = octave_of(hits->max);
    if (octave > spectrum->top[feature]) raise_window(spectrum, feature, octave);
    for (int64_t first = 0; first < hits->n; first += BATCH) {
        int32_t slot[BATCH];
        const int64_t n = fc_min(BATCH, hits->n - first);
        count_batch(count, hits->value + first, n, spectrum->top[feature], slot);
        if (spectrum->per_cell > 0) draw_batch(spectrum, hits, first, n, slot, block);
    }
}

/* --- at the end ------------------------------------------------------------------------- */

void fc_spectrum_histogram(const fc_spectrum *spectrum, int64_t feature, float max,
                           int64_t n_bins, int64_t *bins)
{
    const uint32_t *count = spectrum->count + feature * FC_SPECTRUM_SLOTS;
    memset(bins, 0, (size_t)n_bins * sizeof *bins);
    bins[0] = count[0];
    for (int32_t slot = 1; slot < FC_SPECTRUM_SLOTS; slot++) {
        if (count[slot] == 0) continue;
        const double share = middle_of_slot(slot, spectrum->top[feature]) / (double)max;
        const int64_t bin = (int64_t)ceil(share * (double)n_bins) - 1;
        bins[fc_max(0, fc_min(bin, n_bins - 1))] += count[slot];
    }
}

int64_t fc_spectrum_sample(const fc_spectrum *spectrum, int64_t feature, double lo,
                           double hi, fc_peak *peaks)
{
    const int64_t per_cell = spectrum->per_cell;
    const fc_draw *draw = spectrum->draw + feature * FC_SPECTRUM_CELLS * per_cell;
    fc_draw chosen[FC_SPECTRUM_MOST_DRAWS];
    memset(chosen, 0xff, sizeof chosen);
    for (int64_t i = 0; i < FC_SPECTRUM_CELLS * per_cell; i++)
        if ((double)draw[i].value > lo && (double)draw[i].value <= hi)
            keep_lowest(chosen, per_cell, draw[i]);
    int64_t n = 0;
    for (; n < per_cell && chosen[n].row != UINT32_MAX; n++) {
        const fc_peak peak = {chosen[n].value, chosen[n].row, chosen[n].doc};
        int64_t at = n;
        for (; at > 0 &&
               (peaks[at - 1].value < peak.value ||
                (peaks[at - 1].value == peak.value && peaks[at - 1].row > peak.row));
             at--)
            peaks[at] = peaks[at - 1];
        peaks[at] = peak;
    }
    return n;
}
