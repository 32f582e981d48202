/* spectrum_internal.h - how strong a feature's activations are: a histogram over (0, max], and
 * samples from any part of it, although max is known only at the end.
 *
 *   a feature's octaves     .. [top-6] [top-5] .. [top-1] [top]       top holds the largest value
 *   slots, 256 an octave    0: all below   1 .. 256, ......, 1792     counts
 *   cells,   8 an octave    0: all below   1 .. 8,   ......, 56       samples
 *
 * A slot (a cell) holds values in (low, high]. When a value above the top octave comes, the
 * window moves up and what falls out below is added to slot 0 and cell 0. Seven octaves reach
 * down to max / 64, below the first of 50 bins of (0, max]. Below 2^-126 floats have fewer digits and
 * slots become coarse; counts still add up.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_SPECTRUM_INTERNAL_H
#define FC_STUDY_SPECTRUM_INTERNAL_H

#include "base/err.h"
#include "study/hits_internal.h"

enum {
    FC_SPECTRUM_OCTAVES = 7,
    FC_SPECTRUM_FINENESS = 256, /* slots in an octave */
    FC_SPECTRUM_SLOTS = 1 + FC_SPECTRUM_OCTAVES * FC_SPECTRUM_FINENESS,
    FC_SPECTRUM_CELL = 32, /* slots in a cell */
    FC_SPECTRUM_CELLS = 1 + FC_SPECTRUM_OCTAVES * FC_SPECTRUM_FINENESS / FC_SPECTRUM_CELL,
    FC_SPECTRUM_MOST_DRAWS = 32 /* the largest per_cell */
};

/* A sampled activation. The lowest priorities of a cell stay: a uniform sample of it. */
typedef struct fc_draw {
    uint32_t priority, row;
    int32_t doc;
    float value;
} fc_draw;

typedef struct fc_spectrum {
    int64_t per_cell; /* draws kept in a cell */
    uint32_t *key;    /* [n_features] random word of each feature */
    int32_t *top;     /* [n_features] binary exponent field of the top octave */
    uint32_t *count;  /* [n_features, SLOTS] */
    uint32_t *limit;  /* [n_features, CELLS] priority of a cell's last draw */
    fc_draw
        *draw; /* [n_features, CELLS, per_cell] priority ascending; unused: all ones */
} fc_spectrum;

/* 0 <= per_cell <= MOST_DRAWS. Takes n_features * (7.4 KB + per_cell * 0.9 KB). On failure *spectrum
 * is {0}. */
fc_status fc_spectrum_init(fc_spectrum *spectrum, int64_t n_features, int64_t per_cell,
                           uint64_t seed, fc_err *err);
void fc_spectrum_deinit(fc_spectrum *spectrum);

void fc_spectrum_add(fc_spectrum *spectrum, const fc_hits *hits, const fc_block *block);

/* Counts in n_bins equal bins (lo, hi] of (0, max]; max is the feature's largest activation.
 * They add up to the number of activations. A slot (1/256 of its value wide) that a border
 * cuts is counted on the side of its middle; values with at most 8 bits after the leading one
 * lie on the upper border of their slot and are always in the right bin. */
void fc_spectrum_histogram(const fc_spectrum *spectrum, int64_t feature, float max,
                           int64_t n_bins, int64_t *bins);

/* Up to per_cell activations with lo < value <= hi, drawn at random without return, written
 * strongest first (equal: row ascending). Returns how many. All that there are, when those are
 * at most per_cell in each cell that the range touches; uniform over the range but for its two
 * outermost cells (1/8 octave), of which only the kept draws can be chosen. */
int64_t fc_spectrum_sample(const fc_spectrum *spectrum, int64_t feature, double lo,
                           double hi, fc_peak *peaks);

#endif
