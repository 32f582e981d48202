/* concept_stats.c - histograms of activations by concept, and what follows from them.
 *
 *   bin of a     = bits of a >> 20             exponent and three bits of mantissa, a > 0
 *   F1(t)        = 2 TP / (2 TP + FP + FN)     a >= t speaks for the concept
 *   AUC          = P(a of a positive row > a of another) + P(equal) / 2
 *
 * A feature's maximum is not known beforehand, so bins are absolute and the 64 of them that are kept
 * slide: a ring by bin number. When a larger activation needs a new bin, the lowest two become one.
 * What is counted does not depend on the order of rows, so it does not on threads. Activations of
 * one bin are equal for the AUC, as are all rows where the feature does not fire.
 *
 * A row on which no concept holds costs one increment.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/concept_stats_internal.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

enum { MANTISSA_SHIFT = 20, RING = FC_CONCEPT_BINS - 1, BATCH = 512 };

/* --- counting --------------------------------------------------------------------------- */

fc_status fc_concept_stats_init(fc_concept_stats *stats, int64_t n_features,
                                int64_t n_concepts, fc_err *err)
{
    fc_concept_stats s = {.n_features = n_features, .n_concepts = n_concepts};
    const size_t row_bytes = (size_t)(n_concepts + 1) * FC_CONCEPT_BINS * sizeof *s.count;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&s.top, n_features, sizeof *s.top, "largest bins", err));
    FC_TRY_GOTO(fc_alloc(&s.max, n_features, sizeof *s.max, "maxima", err));
    FC_TRY_GOTO(fc_alloc(&s.count, n_features, row_bytes, "counts of concepts", err));
    FC_TRY_GOTO(
        fc_strongest_init(&s.strongest, n_features, FC_CONCEPT_STRONGEST, 0, err));
done:
    if (status != FC_OK) fc_concept_stats_deinit(&s);
    *stats = s;
    return status;
}

void fc_concept_stats_deinit(fc_concept_stats *stats)
{
    fc_free(stats->top);
    fc_free(stats->max);
    fc_free(stats->count);
    fc_strongest_deinit(&stats->strongest);
    *stats = (fc_concept_stats){0};
}

void fc_concept_stats_rows(fc_concept_stats *stats, const uint64_t *set, int64_t n)
{
    for (int64_t t = 0; t < n; t++)
        for (uint64_t rest = set[t]; rest != 0; rest &= rest - 1)
            stats->n_positive[__builtin_ctzll(rest)]++;
    stats->n_rows += n;
}

static uint32_t bin_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits >>= MANTISSA_SHIFT;
    return bits > 0 ? bits : 1; /* 0 stands for none */
}

static float border_of(uint32_t bin)
{
    const uint32_t bits = bin << MANTISSA_SHIFT;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Lowest of the bins kept below `top`. */
static uint32_t lowest_of(uint32_t top)
{
    return top > RING ? top - RING : 0;
}

static uint32_t *counts_of(const fc_concept_stats *s, int64_t feature, int64_t concept)
{
    return s->count + (feature * (s->n_concepts + 1) + concept) * FC_CONCEPT_BINS;
}

/* Makes room for a larger bin. The ring begins anew every 64 bins, so that the place of the lowest
 * becomes that of the new one. */
static void slide(fc_concept_stats *s, int64_t feature, uint32_t top)
{
    uint32_t now = s->top[feature];
    if (now == 0) now = top; /* nothing is counted yet */
    for (uint32_t n = 0; now < top && n < FC_CONCEPT_BINS; n++, now++) {
        if (now < RING) continue;
        const uint32_t lowest = now - RING;
        for (int64_t c = 0; c <= s->n_concepts; c++) {
            uint32_t *count = counts_of(s, feature, c);
            count[(lowest + 1) & RING] += count[lowest & RING];
            count[lowest & RING] = 0;
        }
    }
    if (now < top) { /* all are in one bin, whose place changes */
        const uint32_t from = lowest_of(now) & RING, to = lowest_of(top) & RING;
        for (int64_t c = 0; c <= s->n_concepts && from != to; c++) {
            uint32_t *count = counts_of(s, feature, c);
            count[to] = count[from];
            count[from] = 0;
        }
    }
    s->top[feature] = top;
}

/* Counts up to BATCH hits: into four tables in turn, since hits of one feature often meet in one bin
 * and would wait for each other there; those on rows of concepts, few, are noted for later. */
static void count_batch(fc_concept_stats *s, const fc_hits *hits, int64_t first,
                        int64_t n, const uint64_t *set)
{
    uint32_t table[4][FC_CONCEPT_BINS] = {{0}};
    uint32_t bin[BATCH];
    int32_t noted[BATCH];
    int64_t n_noted = 0;
    const uint32_t lowest = lowest_of(s->top[hits->feature]);
    for (int64_t j = 0; j < n; j++) {
        const uint32_t of_value = bin_of(hits->value[first + j]);
        bin[j] = (of_value < lowest ? lowest : of_value) & RING;
    }
    for (int64_t j = 0; j < n; j++) {
        table[j & 3][bin[j]]++;
        noted[n_noted] = (int32_t)j;
        n_noted += set[hits->at[first + j]] != 0;
    }
    uint32_t *own = counts_of(s, hits->feature, 0);
    uint32_t *all = counts_of(s, hits->feature, s->n_concepts);
    for (int64_t k = 0; k < FC_CONCEPT_BINS; k++)
        all[k] += table[0][k] + table[1][k] + table[2][k] + table[3][k];
    for (int64_t i = 0; i < n_noted; i++) { /* not yet in the cache, mostly */
        const int64_t first_concept = __builtin_ctzll(set[hits->at[first + noted[i]]]);
        __builtin_prefetch(own + first_concept * FC_CONCEPT_BINS + bin[noted[i]], 1);
    }
    for (int64_t i = 0; i < n_noted; i++) {
        const int64_t j = noted[i];
        for (uint64_t rest = set[hits->at[first + j]]; rest != 0; rest &= rest - 1)
            own[__builtin_ctzll(rest) * FC_CONCEPT_BINS + (int64_t)bin[j]]++;
    }
}

void fc_concept_stats_add(fc_concept_stats *stats, const fc_hits *hits,
                          const fc_block *block, const uint64_t *set)
{
    const int64_t i = hits->feature;
    const uint32_t top = bin_of(hits->max);
    fc_strongest_add(&stats->strongest, hits, block);
    if (hits->max > stats->max[i]) stats->max[i] = hits->max;
    if (top > stats->top[i]) slide(stats, i, top);
    for (int64_t first = 0; first < hits->n; first += BATCH)
        count_batch(stats, hits, first, fc_min(BATCH, hits->n - first), set);
}

/* --- scores ----------------------------------------------------------------------------- */

/* Rows at or above the lower border of each bin, from the strongest down. */
typedef struct curve {
    int64_t positive[FC_CONCEPT_BINS], all[FC_CONCEPT_BINS];
    double threshold[FC_CONCEPT_BINS]; /* that border; 0 for the last */
    int n;
} curve;

static void curve_of(const fc_concept_stats *s, int64_t feature, int64_t concept,
                     curve *c)
{
    const uint32_t *own = counts_of(s, feature, concept),
                   *all = counts_of(s, feature, s->n_concepts);
    const uint32_t top = s->top[feature];
    int64_t n_own = 0, n_all = 0;
    c->n = (int)fc_min(FC_CONCEPT_BINS, (int64_t)top + 1);
    for (int k = 0; k < c->n; k++) {
        const uint32_t bin = top - (uint32_t)k;
        n_own += own[bin & RING];
        n_all += all[bin & RING];
        c->positive[k] = n_own;
        c->all[k] = n_all;
        c->threshold[k] = k < c->n - 1 ? (double)border_of(bin) : 0.0;
    }
}

static double auc_of(const curve *c, int64_t n_positive, int64_t n_rows)
{
    const double n_other = (double)(n_rows - n_positive);
    double sum = 0.0, before_positive = 0.0, before_other = 0.0;
    if (n_positive == 0 || n_other <= 0.0) return 0.5;
    for (int k = 0; k <= c->n; k++) { /* the last: rows where it does not fire */
        const double positive = (double)(k < c->n ? c->positive[k] : n_positive);
        const double all = (double)(k < c->n ? c->all[k] : n_rows);
        const double other = all - positive;
        sum += (other - before_other) * (positive + before_positive) / 2.0;
        before_positive = positive;
        before_other = other;
    }
    return sum / ((double)n_positive * n_other);
}

/* The point of the curve whose threshold is nearest to a share of the maximum. */
static int nearest_point(const curve *c, double threshold)
{
    int best = c->n - 1;
    for (int k = c->n - 1; k >= 0; k--)
        if (fabs(c->threshold[k] - threshold) < fabs(c->threshold[best] - threshold))
            best = k;
    return best;
}

static fc_concept_hit score(const fc_concept_stats *s, int64_t feature, int64_t concept,
                            const fc_thresholds *thresholds)
{
    curve c;
    fc_concept_hit hit = {.feature = feature};
    const int64_t n_positive = s->n_positive[concept];
    int64_t best_true = 0;
    curve_of(s, feature, concept, &c);
    const int64_t n = thresholds->n > 0 ? thresholds->n : c.n;
    for (int64_t i = 0; i < n; i++) {
        const int k =
            thresholds->n == 0
                ? (int)i
                : nearest_point(&c, thresholds->share[i] * (double)s->max[feature]);
        const double f1 = 2.0 * (double)c.positive[k] / (double)(c.all[k] + n_positive);
        if (!(f1 > hit.f1)) continue;
        best_true = c.positive[k];
        hit.f1 = f1;
        hit.threshold = c.threshold[k];
        hit.precision = (double)best_true / (double)c.all[k];
        hit.recall = (double)best_true / (double)n_positive;
    }
    hit.auc = auc_of(&c, n_positive, s->n_rows);
    return hit;
}

int64_t fc_concept_stats_best(const fc_concept_stats *stats, int64_t concept,
                              const fc_thresholds *thresholds, fc_concept_hit *hit,
                              int64_t most)
{
    int64_t n = 0;
    for (int64_t i = 0; i < stats->n_features; i++) {
        if (stats->top[i] == 0) continue;
        const fc_concept_hit found = score(stats, i, concept, thresholds);
        if (found.f1 <= 0.0) continue;
        int64_t at = n;
        for (; at > 0 && hit[at - 1].f1 < found.f1; at--)
            if (at < most) hit[at] = hit[at - 1];
        if (at < most) hit[at] = found;
        n = fc_min(n + 1, most);
    }
    return n;
}

double fc_concept_stats_precision(const fc_concept_stats *stats,
                                  const fc_concept_matcher *matcher, int64_t concept,
                                  int64_t feature)
{
    const fc_strongest *strongest = &stats->strongest;
    const fc_peak *peak = strongest->peak + feature * strongest->k;
    const int32_t n = strongest->n[feature];
    int64_t n_true = 0;
    for (int32_t i = 0; i < n; i++)
        n_true += (int64_t)(fc_concept_match(matcher, peak[i].row) >> concept & 1);
    return n > 0 ? (double)n_true / n : 0.0;
}
