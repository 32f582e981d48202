/* test_select.c - exact selection against sorting, ties and odd sizes included.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/par.h"
#include "base/rng.h"
#include "sae/select.h"

enum { BLOCK = 112 };

typedef enum value_kind { NORMAL, COARSE, EQUAL, NEGATIVE, WILD } value_kind;

typedef struct shape {
    int64_t d_sae, n;
    double k;
    bool is_batch, is_positive, has_scale, has_ids;
    value_kind kind;
} shape;

static const shape shapes[] = {
    {96, 16, 4, false, true, false, false, NORMAL},
    {96, 16, 4.5, true, true, true, false, NORMAL},
    {1000, 33, 8, false, true, true, false, NORMAL},
    {1000, 33, 8, true, true, true, false, NORMAL},
    {1000, 33, 8, false, true, false, false, COARSE},
    {1000, 33, 8.3, true, true, true, false, COARSE},
    {300, 7, 300, false, true, false, false, NORMAL}, /* all of them */
    {300, 1, 1, false, true, false, false, NORMAL},
    {300, 5, 20, false, true, false, false, EQUAL},
    {300, 5, 20, true, true, false, false, EQUAL},
    {300, 20, 20, false, true, false, false, NEGATIVE}, /* nothing */
    {300, 20, 20, false, false, false, false, NEGATIVE},
    {300, 20, 20, true, true, false, false, WILD}, /* NaN, infinite */
    {300, 20, 20, false, true, false, false, WILD},
    {900, 40, 30, false, false, true, true, NORMAL},
    {900, 40, 3, false, false, true, true, COARSE},
    {4096, 64, 32, false, true, true, false, NORMAL},
    {4096, 64, 32, true, true, true, false, COARSE},
};

typedef struct run {
    shape shape;
    int64_t row, n_ids;
    float *z, *scale;
    int32_t *id;
    fc_lists lists;
    fc_select *select;
    int64_t n_entries;
} run;

static float value_of(value_kind kind, uint64_t index)
{
    const float x = (float)fc_rng_normal(1, FC_RNG_TEST, index);
    switch (kind) {
    case NORMAL: return x;
    case COARSE: return floorf(3.0f * x) / 3.0f;
    case EQUAL: return 1.0f;
    case NEGATIVE: return -fabsf(x) - 1e-3f;
    case WILD: return index % 7 == 0 ? NAN : index % 11 == 0 ? INFINITY : x;
    }
    return 0.0f;
}

static void begin(run *r, const shape *s)
{
    fc_err err = {0};
    *r = (run){.shape = *s, .row = fc_round_up(s->n, 16)};
    fc_assert_ok(fc_alloc(&r->z, s->d_sae * r->row, sizeof *r->z, "z", &err), &err);
    fc_assert_ok(fc_alloc(&r->scale, s->d_sae, sizeof *r->scale, "scale", &err), &err);
    fc_assert_ok(fc_alloc(&r->id, s->d_sae, sizeof *r->id, "ids", &err), &err);
    for (int64_t i = 0; i < s->d_sae * r->row; i++)
        r->z[i] = i % r->row < s->n ? value_of(s->kind, (uint64_t)i) : 1e9f;
    for (int64_t i = 0; i < s->d_sae; i++) {
        r->scale[i] =
            s->kind == COARSE ? (float)(1 + i % 2) : 0.5f + 0.01f * (float)(i % 90);
        if (i % 3 == 1) r->id[r->n_ids++] = (int32_t)i;
    }
    fc_assert_ok(fc_select_new(&r->select, s->d_sae, s->n, r->row, s->k, &err), &err);
    fc_assert_ok(
        fc_lists_init(&r->lists, s->d_sae, s->n, 0, s->d_sae * s->n, false, &err), &err);
}

static void end(run *r)
{
    fc_select_free(r->select);
    fc_lists_deinit(&r->lists);
    fc_free(r->z);
    fc_free(r->scale);
    fc_free(r->id);
}

static void select_all(run *r, fc_backend *be)
{
    const shape *s = &r->shape;
    fc_select_job job = {.z = r->z,
                         .scale = s->has_scale ? r->scale : NULL,
                         .id = s->has_ids ? r->id : NULL,
                         .n_ids = s->has_ids ? r->n_ids : s->d_sae,
                         .n = s->n,
                         .k = s->k,
                         .is_batch = s->is_batch,
                         .is_positive = s->is_positive};
    memset(r->lists.count, 0, (size_t)s->d_sae * sizeof *r->lists.count);
    if (!s->has_ids) { /* maxima as an encoder hands them in */
        job.group = fc_select_group(r->select, s->k, BLOCK);
        for (int64_t i = 0; i < s->d_sae; i += job.group)
            be->ops->bias_max(be, r->z + i * r->row, r->row, NULL,
                              job.scale != NULL ? job.scale + i : NULL,
                              fc_select_max(r->select, i / job.group),
                              fc_min(job.group, s->d_sae - i), s->n);
    }
    r->n_entries = fc_select_run(r->select, be, &job, &r->lists, 0);
}

/* --- by sorting --------------------------------------------------------------------------- */

typedef struct entry {
    float key;
    int32_t feature, t;
} entry;

static int by_key(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->key != y->key) return x->key > y->key ? -1 : 1;
    if (x->feature != y->feature) return x->feature < y->feature ? -1 : 1;
    return x->t < y->t ? -1 : x->t > y->t;
}

static void keep_first(entry *e, int64_t n, int64_t k, bool *kept, int64_t n_rows)
{
    qsort(e, (size_t)n, sizeof *e, by_key);
    for (int64_t j = 0; j < fc_min(n, k); j++)
        kept[e[j].feature * n_rows + e[j].t] = true;
}

static bool *sorted_choice(const run *r)
{
    const shape *s = &r->shape;
    bool *kept = calloc((size_t)(s->d_sae * s->n), sizeof *kept);
    entry *e = calloc((size_t)(s->d_sae * s->n), sizeof *e);
    assert_non_null(kept);
    assert_non_null(e);
    int64_t n = 0;
    for (int64_t t = 0; t < s->n; t++) {
        if (!s->is_batch) n = 0;
        for (int64_t i = 0; i < s->d_sae; i++) {
            if (s->has_ids && i % 3 != 1) continue;
            const float key = r->z[i * r->row + t] * (s->has_scale ? r->scale[i] : 1.0f);
            if (isnan(key) || (s->is_positive && !(key > 0.0f))) continue;
            e[n++] = (entry){key, (int32_t)i, (int32_t)t};
        }
        if (!s->is_batch) keep_first(e, n, (int64_t)s->k, kept, s->n);
    }
    if (s->is_batch) keep_first(e, n, (int64_t)(s->k * (double)s->n), kept, s->n);
    free(e);
    return kept;
}

static void check(const run *r, const bool *kept)
{
    const shape *s = &r->shape;
    int64_t n_all = 0, place = 0;
    for (int64_t i = 0; i < s->d_sae; i++) {
        int64_t n = 0;
        const int64_t at = r->lists.begin[i];
        for (int64_t t = 0; t < s->n; t++) {
            if (!kept[i * s->n + t]) continue;
            assert_true(n < r->lists.count[i]);
            assert_int_equal(r->lists.index[at + n], t);
            assert_memory_equal(&r->lists.value[at + n], &r->z[i * r->row + t],
                                sizeof(float));
            n++;
        }
        assert_int_equal(n, r->lists.count[i]);
        if (n > 0) assert_int_equal(at, place);
        place += n;
        n_all += n;
    }
    assert_int_equal(n_all, r->n_entries);
}

static void what_is_kept_is_what_sorting_keeps(void **state)
{
    (void)state;
    fc_err err = {0};
    fc_par_set_threads(3);
    for (int level = 0; level < 2; level++) {
        fc_backend *be = NULL;
        fc_assert_ok(fc_backend_open(&be, level == 0 ? "ref" : NULL, &err), &err);
        for (size_t i = 0; i < FC_LEN(shapes); i++) {
            run r;
            begin(&r, &shapes[i]);
            bool *kept = sorted_choice(&r);
            for (int again = 0; again < 2; again++) {
                select_all(&r, be);
                check(&r, kept);
            }
            free(kept);
            end(&r);
        }
        fc_backend_close(be);
    }
}

static void lists_by_row_are_those_by_feature(void **state)
{
    (void)state;
    fc_err err = {0};
    fc_backend *be = NULL;
    run r;
    fc_assert_ok(fc_backend_open(&be, NULL, &err), &err);
    begin(&r, &shapes[2]);
    select_all(&r, be);
    fc_lists_turn(&r.lists, r.shape.n);
    const fc_sparse all = fc_lists_by_row(&r.lists);
    const fc_sparse part = fc_lists_part_by_row(&r.lists, 100, 500);
    int64_t n = 0;
    for (int64_t t = 0; t < r.shape.n; t++) {
        int64_t n_part = 0;
        for (int64_t j = all.begin[t]; j < all.begin[t] + all.count[t]; j++, n++) {
            const int32_t i = all.index[j];
            assert_true(j == all.begin[t] || i > all.index[j - 1]);
            assert_true(all.value[j] == r.z[i * r.row + t]);
            n_part += i >= 100 && i < 500;
        }
        assert_int_equal(part.count[t], n_part);
        for (int64_t j = part.begin[t]; j < part.begin[t] + n_part; j++)
            assert_in_range(part.index[j], 100, 499);
    }
    assert_int_equal(n, r.n_entries);
    end(&r);
    fc_backend_close(be);
}

static void memory_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    for (int64_t at = 1;; at++) {
        fc_err err = {0};
        fc_select *select = NULL;
        fc_lists lists;
        fc_alloc_fail_at(at);
        fc_status status = fc_select_new(&select, 100, 10, 16, 4, &err);
        if (status == FC_OK)
            status = fc_lists_init(&lists, 100, 10, 16, 1600, true, &err);
        fc_alloc_fail_at(0);
        fc_select_free(select);
        if (status == FC_OK) {
            fc_lists_deinit(&lists);
            assert_true(at > 15);
            return;
        }
        assert_int_equal(status, FC_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_is_what_sorting_keeps),
        cmocka_unit_test(lists_by_row_are_those_by_feature),
        cmocka_unit_test(memory_that_is_not_there_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
