/* test_strongest.c - the k strongest activations against sorting everything.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "hits_feed.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "study/strongest_internal.h"

static void add(void *statistic, const fc_hits *hits, const fc_block *block)
{
    fc_strongest_add(statistic, hits, block);
}

static int compare_peaks(const void *a, const void *b)
{
    const fc_peak *p = a, *q = b;
    if (p->value != q->value) return p->value > q->value ? -1 : 1;
    return (p->row > q->row) - (p->row < q->row);
}

/* The definition: sort all, take each unless its document has had its share. */
static int64_t brute_force(const feed *stream, int64_t k, int64_t per_document,
                           fc_peak *list)
{
    fc_peak *all = malloc((size_t)(stream->n + 1) * sizeof *all);
    int64_t n_all = 0, n = 0;
    assert_non_null(all);
    for (int64_t t = 0; t < stream->n; t++)
        if (stream->value[t] > 0.0f)
            all[n_all++] = (fc_peak){stream->value[t], (uint32_t)t, stream->doc[t]};
    qsort(all, (size_t)n_all, sizeof *all, compare_peaks);
    for (int64_t i = 0; i < n_all && n < k; i++) {
        int64_t n_same = 0;
        for (int64_t j = 0; j < n; j++) n_same += list[j].doc == all[i].doc;
        if (per_document == 0 || n_same < per_document) list[n++] = all[i];
    }
    free(all);
    return n;
}

static void check(const feed *stream, int64_t k, int64_t per_document, int64_t block_rows)
{
    fc_peak expected[64];
    fc_strongest s;
    fc_err err;
    assert_true(k <= 64);
    const int64_t n = brute_force(stream, k, per_document, expected);
    fc_assert_ok(fc_strongest_init(&s, 3, k, per_document, &err), &err);
    feed_rows(stream, block_rows, 1, add, &s);
    assert_int_equal(s.n[0], 0);
    assert_int_equal(s.n[1], n);
    assert_int_equal(s.n[2], 0);
    for (int64_t i = 0; i < n; i++) {
        assert_int_equal(s.peak[k + i].row, expected[i].row);
        assert_int_equal(s.peak[k + i].doc, expected[i].doc);
        assert_true(s.peak[k + i].value == expected[i].value);
    }
    fc_strongest_deinit(&s);
}

static const int32_t no_token[16];

static void equal_values_keep_the_lower_row(void **state)
{
    (void)state;
    const float value[] = {1, 2, 2, 1, 2, 3, 2};
    const int32_t doc[] = {0, 1, 2, 3, 4, 5, 6};
    const feed stream = {7, value, no_token, doc};
    fc_strongest s;
    fc_err err;
    fc_assert_ok(fc_strongest_init(&s, 1, 3, 0, &err), &err);
    feed_rows(&stream, 7, 0, add, &s);
    const uint32_t rows[] = {5, 1, 2};
    for (int i = 0; i < 3; i++) assert_int_equal(s.peak[i].row, rows[i]);
    fc_strongest_deinit(&s);
}

static void a_document_gives_its_strongest_only(void **state)
{
    (void)state;
    const float value[] = {5, 9, 9, 7, 1, 0, 3, 2};
    const int32_t doc[] = {0, 0, 0, 0, 1, 1, 2, 2};
    const feed stream = {8, value, no_token, doc};
    fc_strongest s;
    fc_err err;
    fc_assert_ok(fc_strongest_init(&s, 1, 5, 1, &err), &err);
    feed_rows(&stream, 3, 0, add, &s);
    const uint32_t rows[] = {1, 6, 4};
    assert_int_equal(s.n[0], 3);
    for (int i = 0; i < 3; i++) assert_int_equal(s.peak[i].row, rows[i]);
    fc_strongest_deinit(&s);
}

static void random_streams_agree_with_sorting_everything(void **state)
{
    (void)state;
    enum { N = 700 };
    static float value[N];
    static int32_t doc[N], token[N];
    const int64_t ks[] = {1, 2, 7, 20}, shares[] = {0, 1, 2, 5}, blocks[] = {1, 64, 512};
    for (uint64_t seed = 0; seed < 24; seed++) {
        const bool is_scattered = seed % 4 == 3; /* documents in no order */
        for (int64_t t = 0; t < N; t++) {
            const uint64_t r = fc_rng_u64(seed, FC_RNG_TEST, (uint64_t)t);
            value[t] = r % 3 == 0 ? 0.0f : (float)(r % (seed % 2 == 0 ? 11 : 100003));
            doc[t] = is_scattered ? (int32_t)(r >> 40) % 9
                                  : (int32_t)(t / (1 + (int64_t)seed * 3));
        }
        const feed stream = {N, value, token, doc};
        for (size_t i = 0; i < FC_LEN(ks); i++)
            for (size_t j = 0; j < FC_LEN(shares); j++)
                check(&stream, ks[i], shares[j], blocks[(i + j) % FC_LEN(blocks)]);
    }
}

static void a_silent_feature_has_none(void **state)
{
    (void)state;
    const float value[] = {0, 0, 0};
    const feed stream = {3, value, no_token, no_token};
    check(&stream, 4, 1, 2);
}

static fc_status use(void *ctx, fc_err *err)
{
    (void)ctx;
    fc_strongest s;
    FC_TRY(fc_strongest_init(&s, 3, 4, 1, err));
    fc_strongest_deinit(&s);
    return FC_OK;
}

static void memory_that_runs_out_is_reported(void **state)
{
    (void)state;
    assert_int_equal(fc_test_sweep_alloc(use, NULL, NULL), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_values_keep_the_lower_row),
        cmocka_unit_test(a_document_gives_its_strongest_only),
        cmocka_unit_test(random_streams_agree_with_sorting_everything),
        cmocka_unit_test(a_silent_feature_has_none),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
