/* select.c - exact selection in two cheap passes, without sorting.
 *
 *   1. Features are put in groups, at least 4 k of them, and the largest key of each group is taken.
 *      The k-th largest of these maxima is a lower bound of the k-th largest key, since each of the
 *      k groups holds a key that large; with 4 k groups it is exceeded by about 1.15 k keys.
 *   2. A pass over z keeps the candidates that reach the bound of their row.
 *   3. Among the candidates of a row the k-th largest key is found by partition: the cut. What
 *      reaches it stays.
 *
 * Over a batch it is the same with all maxima and all candidates at once.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/select.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/par.h"

enum {
    GROUPS_PER_K = 4,
    TOKENS = 16,     /* rows whose maxima are looked at together: a line of each group */
    FEATURES = 256,  /* of a block of candidates */
    GROUP_CHUNK = 16 /* groups that a thread makes at a time */
};

struct fc_select {
    int64_t d_sae, n_max, row, max_groups;
    float *max;     /* [max_groups, row] */
    float *bound;   /* [row] of each row of the batch */
    int32_t *index; /* [d_sae, row] candidates: rows on which feature i is one */
    int64_t *count; /* [d_sae] */
    int32_t *turn;  /* [blocks of FEATURES, n_max] */
    int64_t *begin; /* [n_max + 1] */
    float *key;     /* [d_sae * n_max] keys of the candidates, by row of the batch */
    float *cut;     /* [n_max] keys above it stay, */
    int32_t *last;  /* [n_max] equal ones up to this feature */
};

/* --- memory ----------------------------------------------------------------------------- */

static fc_status alloc_all(fc_select *s, fc_err *err)
{
    const char *what = "selection of features";
    const int64_t n_blocks = fc_ceil_div(s->d_sae, FEATURES), n_z = s->d_sae * s->row;
    FC_TRY(fc_alloc(&s->max, s->max_groups * s->row, sizeof *s->max, what, err));
    FC_TRY(fc_alloc(&s->bound, s->row, sizeof *s->bound, what, err));
    FC_TRY(fc_alloc(&s->index, n_z, sizeof *s->index, what, err));
    FC_TRY(fc_alloc(&s->count, s->d_sae, sizeof *s->count, what, err));
    FC_TRY(fc_alloc(&s->turn, n_blocks * s->n_max, sizeof *s->turn, what, err));
    FC_TRY(fc_alloc(&s->begin, s->n_max + 1, sizeof *s->begin, what, err));
    FC_TRY(fc_alloc(&s->key, s->d_sae * s->n_max, sizeof *s->key, what, err));
    FC_TRY(fc_alloc(&s->cut, s->n_max, sizeof *s->cut, what, err));
    return fc_alloc(&s->last, s->n_max, sizeof *s->last, what, err);
}

fc_status fc_select_new(fc_select **created, int64_t d_sae, int64_t n_max, int64_t row,
                        double k_max, fc_err *err)
{
    fc_select *s = NULL;
    FC_TRY(fc_alloc(&s, 1, sizeof *s, "selection of features", err));
    s->d_sae = d_sae;
    s->n_max = n_max;
    s->row = row;
    /* the largest size of a group that leaves enough of them may leave up to twice as many */
    s->max_groups = fc_min(d_sae, 2 * GROUPS_PER_K * ((int64_t)ceil(k_max) + 1));
    s->max_groups = fc_max(s->max_groups, fc_ceil_div(d_sae, 16));
    const fc_status status = alloc_all(s, err);
    if (status != FC_OK) {
        fc_select_free(s);
        return status;
    }
    *created = s;
    return FC_OK;
}

void fc_select_free(fc_select *s)
{
    if (s == NULL) return;
    void *const arrays[] = {s->max,   s->bound, s->index, s->count, s->turn,
                            s->begin, s->key,   s->cut,   s->last,  s};
    for (size_t i = 0; i < FC_LEN(arrays); i++) fc_free(arrays[i]);
}

const float *fc_select_cut(const fc_select *s)
{
    return s->cut;
}

/* --- bounds ----------------------------------------------------------------------------- */

int64_t fc_select_group(const fc_select *s, double k, int64_t block)
{
    int64_t best = 1;
    for (int64_t size = 1; size <= block; size++)
        if (block % size == 0 &&
            (double)fc_ceil_div(s->d_sae, size) >= GROUPS_PER_K * ceil(k))
            best = size;
    return best;
}

float *fc_select_max(const fc_select *s, int64_t group)
{
    FC_ASSERT(group < s->max_groups);
    return s->max + group * s->row;
}

typedef struct run {
    fc_select *s;
    fc_backend *be;
    const fc_select_job *job;
    fc_lists *to;
    int64_t group; /* features of a group */
} run;

static int64_t id_of(const run *r, int64_t i)
{
    return r->job->id != NULL ? r->job->id[i] : i;
}

static float scale_of(const run *r, int64_t feature)
{
    return r->job->scale != NULL ? r->job->scale[feature] : 1.0f;
}

/* The largest key of one group in each row: max [n]. */
static void make_max(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const run *r = ctx;
    const fc_select *s = r->s;
    const int64_t n = r->job->n;
    for (int64_t g = begin; g < end; g++) {
        float *const max = fc_select_max(s, g);
        for (int64_t t = 0; t < n; t++) max[t] = -HUGE_VALF;
        for (int64_t i = g * r->group; i < fc_min((g + 1) * r->group, r->job->n_ids); i++)
        {
            const float *const z = r->job->z + id_of(r, i) * s->row;
            const float scale = scale_of(r, id_of(r, i));
            for (int64_t t = 0; t < n; t++) {
                const float key = z[t] * scale;
                max[t] = key > max[t] ? key : max[t];
            }
        }
    }
}

/* The k-th largest of a, by partition; a is left in another order. */
static float kth_largest(float *a, int64_t n, int64_t k)
{
    int64_t low = 0, high = n - 1;
    const int64_t want = k - 1;
    while (low < high) {
        const float first = a[low], middle = a[low + (high - low) / 2], last = a[high];
        const float larger = fmaxf(first, last), smaller = fminf(first, last);
        const float pivot = fminf(larger, fmaxf(smaller, middle)); /* their median */
        int64_t i = low, j = high;
        while (i <= j) {
            while (a[i] > pivot) i++;
            while (a[j] < pivot) j--;
            if (i > j) break;
            const float swapped = a[i];
            a[i++] = a[j];
            a[j--] = swapped;
        }
        if (want > j && want < i) return pivot;
        if (want <= j)
            high = j;
        else
            low = i;
    }
    return a[want];
}

static bool has_bounds(const run *r)
{
    const int64_t n_groups = fc_ceil_div(r->job->n_ids, r->group);
    return (double)n_groups >= ceil(r->job->k);
}

/* One bound for all rows. The maxima are dealt out to 16 columns: if each has k / 16 above its
 * bound, all together have k above the lowest of them. */
static void bound_batch(const run *r, int64_t n_groups)
{
    const fc_select *s = r->s;
    const int64_t n = r->job->n, row = fc_round_up(n, TOKENS);
    const int64_t k = (int64_t)(r->job->k * (double)n);
    float bound[TOKENS];
    for (int64_t g = 0; g < n_groups; g++) {
        float *const to = s->max + g * row;
        memmove(to, s->max + g * s->row, (size_t)n * sizeof *to);
        for (int64_t t = n; t < row; t++) to[t] = -INFINITY;
    }
    r->be->ops->kth_bound(r->be, bound, s->max, TOKENS, n_groups * row / TOKENS, TOKENS,
                          fc_ceil_div(k, TOKENS));
    for (int l = 1; l < TOKENS; l++) bound[0] = fminf(bound[0], bound[l]);
    for (int64_t t = 0; t < n; t++) s->bound[t] = bound[0];
}

static void make_bounds(const run *r)
{
    const fc_select *s = r->s;
    const int64_t n = r->job->n, n_groups = fc_ceil_div(r->job->n_ids, r->group);
    if (!has_bounds(r))
        for (int64_t t = 0; t < n; t++) s->bound[t] = -INFINITY;
    else if (r->job->is_batch)
        bound_batch(r, n_groups);
    else
        r->be->ops->kth_bound(r->be, s->bound, s->max, s->row, n_groups, n,
                              (int64_t)ceil(r->job->k));
    for (int64_t t = 0; r->job->is_positive && t < n; t++)
        s->bound[t] = fmaxf(s->bound[t], FLT_TRUE_MIN);
}

/* --- candidates ------------------------------------------------------------------------- */

static void list_block(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const run *r = ctx;
    const fc_select *s = r->s;
    int32_t *const count = s->turn + begin / FEATURES * s->n_max;
    memset(count, 0, (size_t)r->job->n * sizeof *count);
    for (int64_t k = begin; k < end; k++) {
        const int64_t i = id_of(r, k);
        const float scale = scale_of(r, i);
        int32_t *const index = s->index + i * s->row;
        s->count[i] = r->be->ops->reach_row(r->be, index, r->job->z + i * s->row, scale,
                                            s->bound, r->job->n);
        for (int64_t j = 0; j < s->count[i]; j++) count[index[j]]++;
    }
}

/* Counts become places, as in lists.c. */
static void place_blocks(const run *r)
{
    const fc_select *s = r->s;
    const int64_t n_blocks = fc_ceil_div(r->job->n_ids, FEATURES);
    int64_t place = 0;
    for (int64_t t = 0; t < r->job->n; t++) {
        s->begin[t] = place;
        for (int64_t b = 0; b < n_blocks; b++) {
            int32_t *count = s->turn + b * s->n_max + t;
            const int32_t n = *count;
            *count = (int32_t)(place - s->begin[t]);
            place += n;
        }
    }
    s->begin[r->job->n] = place;
}

static void fill_block(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const run *r = ctx;
    const fc_select *s = r->s;
    int32_t *const place = s->turn + begin / FEATURES * s->n_max;
    for (int64_t k = begin; k < end; k++) {
        const int64_t i = id_of(r, k);
        const float *const z = r->job->z + i * s->row, scale = scale_of(r, i);
        const int32_t *const index = s->index + i * s->row;
        for (int64_t j = 0; j < s->count[i]; j++) {
            const int32_t t = index[j];
            s->key[s->begin[t] + place[t]++] = z[t] * scale;
        }
    }
}

/* --- cut -------------------------------------------------------------------------------- */

/* Where the k-th largest of n keys lies; *n_ties: how many equal to it may stay, -1: all. */
static float cut_of(float *key, int64_t n, int64_t k, int64_t *n_ties)
{
    *n_ties = -1;
    if (n < k) return -INFINITY;
    if (k < 1) return INFINITY;
    const float cut = kth_largest(key, n, k);
    int64_t n_above = 0, n_equal = 0;
    for (int64_t j = 0; j < n; j++) {
        n_above += key[j] > cut;
        n_equal += key[j] == cut;
    }
    if (n_above + n_equal > k) *n_ties = k - n_above;
    return cut;
}

/* The feature of the last of n_ties entries of row t that equal the cut. */
static int32_t last_tie(const run *r, int64_t t, float cut, int64_t n_ties)
{
    for (int64_t k = 0; k < r->job->n_ids; k++) {
        const int64_t i = id_of(r, k);
        if (r->job->z[i * r->s->row + t] * scale_of(r, i) == cut && --n_ties == 0)
            return (int32_t)i;
    }
    return INT32_MAX;
}

static void cut_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const run *r = ctx;
    const fc_select *s = r->s;
    for (int64_t t = begin; t < end; t++) {
        int64_t n_ties;
        s->cut[t] = cut_of(s->key + s->begin[t], s->begin[t + 1] - s->begin[t],
                           (int64_t)r->job->k, &n_ties);
        s->last[t] = n_ties < 0 ? INT32_MAX : last_tie(r, t, s->cut[t], n_ties);
    }
}

static void cut_batch(const run *r)
{
    const fc_select *s = r->s;
    const int64_t n = r->job->n, k = (int64_t)(r->job->k * (double)n);
    int64_t n_ties;
    const float cut = cut_of(s->key, s->begin[n], k, &n_ties);
    for (int64_t t = 0; t < n; t++) {
        s->cut[t] = cut;
        s->last[t] = n_ties < 0 ? INT32_MAX : -1;
    }
    for (int64_t p = 0; p < r->job->n_ids && n_ties > 0; p++) {
        const int64_t i = id_of(r, p);
        const float *const z = r->job->z + i * s->row, scale = scale_of(r, i);
        for (int64_t t = 0; t < n && n_ties > 0; t++)
            if (z[t] * scale == cut) {
                s->last[t] = (int32_t)i;
                n_ties--;
            }
    }
}

/* --- what stays ------------------------------------------------------------------------- */

static bool stays(const fc_select *s, float key, int32_t feature, int32_t t)
{
    return key > s->cut[t] || (key == s->cut[t] && feature <= s->last[t]);
}

/* Candidates that stay move to the front of their list, and are counted. */
static void keep_block(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const run *r = ctx;
    const fc_select *s = r->s;
    for (int64_t k = begin; k < end; k++) {
        const int64_t i = id_of(r, k);
        const float *const z = r->job->z + i * s->row, scale = scale_of(r, i);
        int32_t *const index = s->index + i * s->row;
        int64_t n = 0;
        for (int64_t j = 0; j < s->count[i]; j++) {
            const int32_t t = index[j];
            index[n] = t;
            n += stays(s, z[t] * scale, (int32_t)i, t);
        }
        r->to->count[i] = n;
    }
}

static void write_block(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const run *r = ctx;
    for (int64_t k = begin; k < end; k++) {
        const int64_t i = id_of(r, k), at = r->to->begin[i];
        const float *const z = r->job->z + i * r->s->row;
        const int32_t *const index = r->s->index + i * r->s->row;
        for (int64_t j = 0; j < r->to->count[i]; j++) {
            r->to->index[at + j] = index[j];
            r->to->value[at + j] = z[index[j]];
        }
    }
}

int64_t fc_select_run(fc_select *s, fc_backend *be, const fc_select_job *job,
                      fc_lists *to, int64_t n_before)
{
    const int64_t per_group =
        (int64_t)((double)job->n_ids / (GROUPS_PER_K * ceil(job->k)));
    run r = {.s = s, .be = be, .job = job, .to = to};
    r.group = job->group > 0 ? job->group : fc_max(1, per_group);
    if (job->group == 0 && has_bounds(&r))
        fc_par_for(fc_ceil_div(job->n_ids, r.group), GROUP_CHUNK, make_max, &r);
    make_bounds(&r);
    fc_par_for(job->n_ids, FEATURES, list_block, &r);
    place_blocks(&r);
    fc_par_for(job->n_ids, FEATURES, fill_block, &r);
    if (job->is_batch)
        cut_batch(&r);
    else
        fc_par_for(job->n, TOKENS, cut_rows, &r);
    fc_par_for(job->n_ids, FEATURES, keep_block, &r);
    int64_t n = n_before;
    for (int64_t k = 0; k < job->n_ids; k++) {
        to->begin[id_of(&r, k)] = n;
        n += to->count[id_of(&r, k)];
    }
    fc_par_for(job->n_ids, FEATURES, write_block, &r);
    return n;
}
