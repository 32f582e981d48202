/* hit_sample.c - priority sampling of each feature's activations in two heaps.
 *
 * After the first rows nearly all activations fail the test against the least priority of the full
 * heap, so an activation costs a random word and two comparisons. The word depends on row and
 * feature alone: the sample is the same in any order of work.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/hit_sample_internal.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/rng.h"

/* Features draw their words from indices above those of rows and of the spectrum. */
static const uint64_t feature_words = UINT64_C(1) << 41;

fc_status fc_hit_sample_init(fc_hit_sample *sample, int64_t n_features, uint64_t seed,
                             fc_err *err)
{
    *sample = (fc_hit_sample){0};
    FC_TRY(fc_alloc(&sample->heaps, n_features, sizeof *sample->heaps,
                    "sampled activations", err));
    for (int64_t i = 0; i < n_features; i++)
        sample->heaps[i].key =
            (uint32_t)fc_rng_u64(seed, FC_RNG_EXAMPLES, feature_words + (uint64_t)i);
    return FC_OK;
}

void fc_hit_sample_deinit(fc_hit_sample *sample)
{
    fc_free(sample->heaps);
    *sample = (fc_hit_sample){0};
}

/* --- heaps ------------------------------------------------------------------------------ */

static void sift_up(fc_sampled *heap, int32_t at, fc_sampled one)
{
    for (; at > 0 && heap[(at - 1) / 2].priority > one.priority; at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = one;
}

static void replace_least(fc_sampled *heap, int32_t n, fc_sampled one)
{
    int32_t at = 0;
    for (;;) {
        int32_t child = 2 * at + 1;
        if (child >= n) break;
        if (child + 1 < n && heap[child + 1].priority < heap[child].priority) child++;
        if (heap[child].priority >= one.priority) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = one;
}

/* Returns the priority that a later one has to exceed. */
static double keep(fc_sampled *heap, int32_t *n, int32_t capacity, fc_sampled one)
{
    if (*n < capacity)
        sift_up(heap, (*n)++, one);
    else
        replace_least(heap, *n, one);
    return *n < capacity ? 0.0 : heap[0].priority;
}

/* MurmurHash3's finaliser: a bijection that leaves no trace of its input. */
static uint32_t mix(uint32_t h)
{
    h = (h ^ (h >> 16)) * UINT32_C(0x85ebca6b);
    h = (h ^ (h >> 13)) * UINT32_C(0xc2b2ae35);
    return h ^ (h >> 16);
}

static double fourth_power(double x)
{
    return x * x * (x * x);
}

void fc_hit_sample_add(fc_hit_sample *sample, const fc_hits *hits, const fc_block *block)
{
    enum { MASS = FC_SAMPLE_MASS + 1, STRONG = FC_SAMPLE_STRONG + 1 };
    fc_sample_heaps *h = &sample->heaps[hits->feature];
    const uint32_t key = h->key;
    double least_mass = h->n_mass < MASS ? 0.0 : h->mass[0].priority;
    double least_strong = h->n_strong < STRONG ? 0.0 : h->strong[0].priority;
    for (int64_t j = 0; j < hits->n; j++) {
        const float value = hits->value[j];
        const double a = (double)value, a4 = fourth_power(a);
        const double u = ((double)mix(block->draw[hits->at[j]] ^ key) + 1.0) * 0x1p-32;
        if (a <= least_mass * u && a4 <= least_strong * u) continue;
        fc_sampled one = {a / u, value, (uint32_t)(block->first + hits->at[j])};
        if (one.priority > least_mass) least_mass = keep(h->mass, &h->n_mass, MASS, one);
        one.priority = a4 / u;
        if (one.priority > least_strong)
            least_strong = keep(h->strong, &h->n_strong, STRONG, one);
    }
}

/* --- at the end ------------------------------------------------------------------------- */

static int compare_rows(const void *a, const void *b)
{
    const fc_weighed *p = a, *q = b;
    return (p->row > q->row) - (p->row < q->row);
}

/* weight = value / min(1, w / tau), without the element that is tau once the heap is full. */
static int64_t weigh(const fc_sampled *heap, int32_t n, int32_t capacity, bool is_strong,
                     fc_weighed *out)
{
    const bool is_full = n == capacity;
    const double tau = is_full ? heap[0].priority : 0.0;
    int64_t n_out = 0;
    for (int32_t i = is_full; i < n; i++) {
        const double a = (double)heap[i].value, w = is_strong ? fourth_power(a) : a;
        const double inclusion = w >= tau ? 1.0 : w / tau;
        out[n_out++] = (fc_weighed){heap[i].row, heap[i].value, a / inclusion};
    }
    qsort(out, (size_t)n_out, sizeof *out, compare_rows);
    return n_out;
}

int64_t fc_hit_sample_mass(const fc_hit_sample *sample, int64_t feature,
                           fc_weighed out[FC_SAMPLE_MASS])
{
    const fc_sample_heaps *h = &sample->heaps[feature];
    return weigh(h->mass, h->n_mass, FC_SAMPLE_MASS + 1, false, out);
}

int64_t fc_hit_sample_strong(const fc_hit_sample *sample, int64_t feature,
                             fc_weighed out[FC_SAMPLE_STRONG])
{
    const fc_sample_heaps *h = &sample->heaps[feature];
    return weigh(h->strong, h->n_strong, FC_SAMPLE_STRONG + 1, true, out);
}
